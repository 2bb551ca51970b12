"""A classifier knows what it was taught on: other words, other forms, other tiers, history and tools."""

from __future__ import annotations

import math
import re
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenomics_core import ConfigurationError
from tokenomics_core.routing import DifficultyClassifier, OutcomeRecord, RouteRequest, Tier
from tokenomics_core.routing._difficulty_fit import _calibrated
from tokenomics_core.routing._features import CONTEXT_NAMES, FEATURE_NAMES, context_features, text_features
from tokenomics_core.routing._fit_report import report_on
from tokenomics_core.routing._words import excerpt, terms_of

SHIPPED = DifficultyClassifier.pretrained()
NOUNS = ("river", "castle", "engine", "garden", "letter", "planet", "market", "mirror")


def questions(number, seed=0):
    rng = np.random.default_rng(seed)
    texts = [
        f"What do we know about the {' and the '.join(rng.choice(NOUNS, some))} of case {rng.integers(9)}?"
        for some in rng.integers(1, 5, number)
    ]
    return texts, rng


def tiers(*names):
    return [Tier(name=name, model=name) for name in names]


@pytest.fixture(scope="module")
def taught():
    texts, rng = questions(400)
    return DifficultyClassifier().fit(texts, rng.random(400) < 0.6, rng.random(400) < 0.8)


@given(st.text(max_size=300))
def test_any_question_gets_chances_between_0_and_1(text):
    chances, _ = SHIPPED.chances(text)
    assert all(0 <= chance <= 1 for chance in chances.values())
    assert SHIPPED.predict([text])[0] == chances["strong"] - chances["weak"]


def by_the_book(classifier, text, tier):
    """Compute one chance with plain formulas."""
    learned = classifier.weights_
    words = re.findall(r"\b\w\w+\b", text.lower())
    counts = Counter(words) + Counter(f"{a} {b}" for a, b in pairwise(words))
    places = {term: at for at, term in enumerate(learned.vocabulary.index_)}
    row = np.zeros(len(places))
    for term, number in counts.items():
        if term in places:
            row[places[term]] = (1 + math.log(number)) * learned.vocabulary.idf_[places[term]]
    row /= np.linalg.norm(row) or 1
    values = np.array(text_features(text) + [0.0] * len(CONTEXT_NAMES))
    standard = np.clip((values - learned.mean) / learned.deviation, -2, 2)
    at = learned.tiers.index(tier)
    full, robust = learned.full[at], learned.robust[at]
    odds = row @ full.words + learned.feature_weight * standard @ full.features + full.intercept
    alone = standard @ robust.features + robust.intercept
    first, second = (
        1 / (1 + math.exp(-(model.slope * value + model.shift)))
        for model, value in ((full, odds), (robust, alone))
    )
    return (1 - learned.robust_share) * first + learned.robust_share * second


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_chances_are_those_of_the_formulas(share):
    texts, rng = questions(300)
    classifier = DifficultyClassifier(robust_share=share).fit(
        texts, rng.random(300) < 0.5, rng.random(300) < 0.9
    )
    for text in texts[:20]:
        chances, strange = classifier.chances(text)
        if not strange:
            for tier in ("weak", "strong"):
                assert chances[tier] == pytest.approx(by_the_book(classifier, text, tier), abs=1e-9)


def test_a_question_of_the_training_kind_is_seldom_strange(taught):
    texts, _ = questions(400, seed=1)
    assert taught.out_of_domain(texts).mean() < 0.05


@pytest.mark.parametrize(
    ("text", "feature"),
    [
        ("What do we know about the river\n\n\n\n of case 3?", "newlines"),
        ("What do we know about the river and the castle of case < 3?", "operators"),
        ("What do we know about the `river` of case 3?", "code"),
    ],
)
def test_known_words_in_a_form_never_seen_are_out_of_domain(taught, text, feature):
    found = taught.assess(RouteRequest(question=text), tiers("weak", "strong"))
    assert found.out_of_domain
    assert feature in found.reasons[0]
    assert found.reasons[0].endswith("features alone decide")


def test_a_form_that_lacks_what_all_had_is_out_of_domain():
    rng = np.random.default_rng(0)
    plain, _ = questions(300)
    lined = [
        text.replace("?", "?" + "\n" * lines)
        for text, lines in zip(plain, rng.integers(4, 8, 300), strict=True)
    ]
    classifier = DifficultyClassifier().fit(lined, rng.random(300) < 0.6, rng.random(300) < 0.8)
    assert classifier.out_of_domain(lined).mean() < 0.05
    assert classifier.out_of_domain(plain).all()
    assert "newlines" in classifier.assess(RouteRequest(question=plain[0]), []).reasons[0]


@given(st.integers(0, 4), st.integers(0, 2**32 - 1))
def test_no_fold_is_calibrated_by_its_own_outcomes(fold, seed):
    rng = np.random.default_rng(seed)
    logits, target, fold_of = rng.normal(size=100), (rng.random(100) < 0.5).astype(float), np.arange(100) % 5
    other = np.where(fold_of == fold, 1 - target, target)
    first, second = (_calibrated(logits, each, fold_of) for each in (target, other))
    assert (first[fold_of == fold] == second[fold_of == fold]).all()
    assert (first[fold_of != fold] != second[fold_of != fold]).any()


def test_context_by_hand():
    history = [("user", "How are you?"), ("assistant", "Well.")]
    found = dict(
        zip(CONTEXT_NAMES, context_features("And in France?", (history, ["search", "sum"])), strict=True)
    )
    assert found == {
        "log_messages": math.log1p(2),
        "log_history_characters": math.log1p(17),
        "log_tools": math.log1p(2),
        "short_follow_up": 1.0,
    }
    assert context_features("And in France?", ((), ["search"])) == [0.0, 0.0, math.log1p(1), 0.0]
    assert context_features("one two three four five six", (history, ()))[-1] == 0.0
    assert context_features("And in France?", ((), ())) == [0.0] * 4


def test_of_a_very_long_text_the_beginning_and_the_end_are_read():
    assert excerpt("x" * 16_000) == "x" * 16_000
    text = "a" * 8_000 + "b" * 1_000_000 + "c" * 8_000
    assert excerpt(text) == "a" * 8_000 + "\n" + "c" * 8_000
    assert terms_of(text) == ["a" * 8_000, "c" * 8_000, "a" * 8_000 + " " + "c" * 8_000]
    found = dict(zip(FEATURE_NAMES, text_features(text), strict=True))
    assert found["log_characters"] == math.log1p(1_016_000)
    assert found["mean_word_length"] == 8_000


def test_out_of_domain_the_words_do_not_count(taught):
    first, second = "Zwei Wege, ein Ziel?", "Vier Ziele, ein Weg?"
    assert text_features(first)[:1] == text_features(second)[:1]
    alone = DifficultyClassifier(robust_share=1.0)
    alone.weights_ = taught.weights_
    assert taught.out_of_domain([first, second]).all()
    assert taught.predict([first])[0] == pytest.approx(alone.predict([first])[0])


def with_history(number, seed=0):
    """Make records in which a long history, and nothing else, is what the weak model fails at."""
    texts, rng = questions(number, seed)
    long = rng.random(number) < 0.5
    history = (("user", "word " * 200), ("assistant", "word " * 200))
    return [
        OutcomeRecord(
            text=text,
            outcomes={"small": not heavy, "large": True},
            history=history if heavy else (),
            tools=("search",),
        )
        for text, heavy in zip(texts, long, strict=True)
    ]


def test_history_counts_where_records_teach_it():
    classifier = DifficultyClassifier().fit_records(with_history(400))
    plain = RouteRequest(question="What do we know about the river of case 3?", tools=("search",))
    heavy = RouteRequest(
        question=plain.question,
        tools=("search",),
        history=(("user", "word " * 180), ("assistant", "word " * 220)),
    )
    small, large = (classifier.assess(each, tiers("small", "large")) for each in (plain, heavy))
    assert small.probabilities["small"] > 0.8 > 0.2 > large.probabilities["small"]
    assert large.score > small.score + 0.5


def test_history_and_tools_change_nothing_where_nothing_was_learned_of_them(taught):
    plain = RouteRequest(question="What do we know about the river of case 3?")
    heavy = RouteRequest(question=plain.question, tools=("search",), history=(("user", "word " * 500),))
    for classifier in (taught, SHIPPED):
        both = tiers("weak", "strong")
        assert classifier.assess(plain, both).probabilities == classifier.assess(heavy, both).probabilities


def test_tiers_are_ordered_by_what_they_achieve_unless_told(taught):
    texts, _ = questions(60)
    records = [{"text": text, "better": "best", "worse": "least"} for text in texts[:30]]
    records += [{"text": text, "outcomes": {"middle": 0.5}} for text in texts[30:]]
    assert DifficultyClassifier().fit_records(records).tiers_ == ("least", "middle", "best")
    told = DifficultyClassifier().fit_records(records, tiers=["middle", "least"])
    assert told.tiers_ == ("middle", "least")
    with pytest.raises(ConfigurationError, match="huge"):
        DifficultyClassifier().fit_records(records, tiers=["huge", "least"])


def test_tiers_that_were_not_learned_get_no_chance_beside_those_that_were(taught):
    found = taught.assess(RouteRequest(question="why?"), tiers("weak", "new", "strong"))
    assert set(found.probabilities) == {"weak", "strong"}
    turned = taught.assess(RouteRequest(question="why?"), tiers("strong", "weak"))
    assert turned.score == -found.score


def test_settings_and_data_that_do_not_fit_are_refused():
    texts, _ = questions(12)
    with pytest.raises(ConfigurationError, match=r"robust_share must be in \[0, 1\], not 1.5"):
        DifficultyClassifier(robust_share=1.5)
    with pytest.raises(ConfigurationError, match="1 contexts for 12 questions"):
        DifficultyClassifier().fit_outcomes(texts, {"a": [1] * 12}, contexts=[((), ())])
    with pytest.raises(ConfigurationError, match="no tier"):
        DifficultyClassifier().fit_outcomes(texts, {})


def test_true_chances_are_found_calibrated_and_shifted_ones_are_not():
    rng = np.random.default_rng(0)
    chances = {"weak": rng.uniform(0.2, 0.7, 20_000), "strong": rng.uniform(0.6, 0.95, 20_000)}
    outcomes = {tier: (rng.random(20_000) < values).astype(float) for tier, values in chances.items()}
    right = report_on(outcomes, chances, rng)
    wrong = report_on(outcomes, {tier: values - 0.1 for tier, values in chances.items()}, rng)
    for tier in chances:
        low, high = wrong.calibration_intervals[tier]
        assert right.calibration_errors[tier] < 0.02
        assert low < 0.1 < high
        assert wrong.calibration_errors[tier] == pytest.approx(0.1, abs=0.01)
        assert f"({'95%'}: {low:.3f} to {high:.3f})" in wrong.summary()


def test_the_area_is_that_of_the_definition():
    gain = np.array([0.9, 0.4, 0.3, 0.1])
    weak, strong = np.array([0.0, 1, 0, 1]), np.array([1.0, 0, 1, 1])
    report = report_on(
        {"weak": weak, "strong": strong}, {"weak": 1 - gain, "strong": np.ones(4)}, np.random.default_rng(0)
    )
    recovered = [0, 1, 0, 1, 1]
    assert report.apgr == pytest.approx(sum((a + b) / 2 for a, b in pairwise(recovered)) / 4)


def test_the_features_of_a_file_are_those_it_was_written_with():
    assert len(SHIPPED.weights_.mean) == len(FEATURE_NAMES) + len(CONTEXT_NAMES)
    assert SHIPPED.weights_.robust_share == 0.5
    assert max(SHIPPED.report_.calibration_errors.values()) < 0.05
