"""The difficulty classifier learns what is there, says what it cannot know, and reads only its own files."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenomics_core.errors import ConfigurationError
from tokenomics_core.routing import DifficultyClassifier, OutcomeRecord, RouteRequest, Tier
from tokenomics_core.routing._features import FEATURE_NAMES, text_features
from tokenomics_core.routing._logistic import fit_logistic
from tokenomics_core.routing._words import SparseRows, Vocabulary, terms_of

HARD = ["prove", "derive", "integral", "theorem", "lemma"]
EASY = ["capital", "colour", "name", "city", "animal"]


def questions(number, seed=0):
    """Make questions whose words decide whether the weak model gets them right, in 9 cases of 10."""
    rng = np.random.default_rng(seed)
    hard = rng.random(number) < 0.5
    texts = [
        f"Please tell me about the {rng.choice(HARD if each else EASY)} of case {rng.integers(9)} "
        f"and the {rng.choice(HARD if each else EASY)} too"
        for each in hard
    ]
    right = np.where(rng.random(number) < 0.9, ~hard, hard)
    return texts, right.astype(float), np.where(rng.random(number) < 0.95, 1.0, 0.0)


@given(st.text(max_size=200))
def test_features_are_finite_and_named(text):
    features = text_features(text)
    assert len(features) == len(FEATURE_NAMES)
    assert all(map(math.isfinite, features))


def test_features_of_a_question_by_hand():
    text = "Why is 2 + 2 = 4 NOT `odd`?\nExplain Which rules follow"
    found = dict(zip(FEATURE_NAMES, text_features(text), strict=True))
    words = text.split()
    assert found["log_characters"] == math.log1p(len(text))
    assert found["log_words"] == math.log1p(len(words))
    assert found["mean_word_length"] == pytest.approx(sum(map(len, words)) / len(words))
    assert found["digit_share"] == pytest.approx(3 / len(text))
    assert (found["question_marks"], found["newlines"], found["dollars_and_equals"]) == (1, 1, 1)
    assert found["operators_per_100"] == pytest.approx(100 / len(text))
    assert found["capital_share"] == pytest.approx(6 / len(text))
    assert [found[name] for name in ("negated", "code", "says_follow", "says_which", "asks_why")] == [1] * 5
    assert found["distinct_word_share"] == pytest.approx((len(words) - 1) / len(words))


@pytest.mark.parametrize(("text", "negated"), [("this is not so", 1), ("notable", 0), ("all EXCEPT one", 1)])
def test_a_negation_is_a_word_of_its_own(text, negated):
    assert text_features(text)[FEATURE_NAMES.index("negated")] == negated


def test_terms_are_words_of_two_characters_and_their_pairs():
    assert terms_of("A cat sat") == ["cat", "sat", "cat sat"]


def test_word_weights_are_those_of_the_textbook():
    texts = ["red red dog", "red cat", "blue dog dog"]
    vocabulary = Vocabulary.fit(texts, min_documents=2, most=100)
    assert list(vocabulary.index_) == ["dog", "red"]
    idf = math.log(4 / 3) + 1
    columns, values = vocabulary.row(terms_of("red red dog"))
    raw = np.array([(1 + math.log(2)) * idf, idf])
    expected = dict(zip([1, 0], raw / np.linalg.norm(raw), strict=True))
    assert dict(zip(columns, values, strict=True)) == pytest.approx(expected)
    assert vocabulary.coverage(["red", "red dog"]) == 0.5


@given(st.integers(0, 10_000), st.sampled_from([0.03, 0.3, 3.0]))
def test_the_regression_stands_where_no_small_step_is_better(seed, strength):
    rng = np.random.default_rng(seed)
    dense, target = rng.normal(size=(40, 3)), (rng.random(40) < 0.6).astype(float)
    sparse = (rng.random((40, 5)) < 0.3) * rng.random((40, 5))
    rows = [np.flatnonzero(row) for row in sparse]
    words = SparseRows(
        np.concatenate([[0], np.cumsum([len(row) for row in rows])]),
        np.concatenate(rows),
        np.concatenate([row[at] for row, at in zip(sparse, rows, strict=True)]),
        5,
    )

    def loss(weights, features, intercept):
        odds = sparse @ weights + dense @ features + intercept
        penalty = (weights @ weights + features @ features) / 2
        return penalty + strength * np.sum(np.log1p(np.exp(odds)) - target * odds)

    found = fit_logistic(words, dense, target, strength=strength)
    best = loss(*found)
    for _ in range(30):
        shaken = [each + rng.normal(scale=1e-2, size=np.shape(each)) for each in found]
        assert loss(*shaken) >= best - 1e-9


def test_a_pattern_in_the_words_is_found_on_new_questions():
    classifier = DifficultyClassifier().fit(*questions(600))
    texts, weak, _ = questions(400, seed=1)
    gain = classifier.predict(texts)
    right, wrong = gain[weak == 1], gain[weak == 0]
    wins = (wrong[:, None] > right[None, :]).mean() + (wrong[:, None] == right[None, :]).mean() / 2
    assert wins > 0.85
    assert max(classifier.report_.calibration_errors.values()) < 0.06
    assert classifier.report_.apgr_interval[0] > 0.5
    assert not classifier.report_.cautions


def test_noise_is_called_noise():
    texts, _, _ = questions(400)
    rng = np.random.default_rng(3)
    weak, strong = (rng.random(400) < 0.6).astype(float), (rng.random(400) < 0.8).astype(float)
    report = DifficultyClassifier().fit(texts, weak, strong).report_
    assert any("not shown to be better than chance" in caution for caution in report.cautions)


def test_few_labels_are_called_few(caplog):
    classifier = DifficultyClassifier().fit(*questions(60))
    assert any("below 200" in caution for caution in classifier.report_.cautions)
    assert "caution" in classifier.summary() == str(classifier.report_)
    assert "below 200" in caplog.text


def test_enough_labels_are_not(caplog):
    DifficultyClassifier().fit(*questions(600))
    assert not caplog.records


def test_a_question_of_other_words_is_judged_by_the_features_alone():
    classifier = DifficultyClassifier().fit(*questions(600))
    inside = "Please tell me about the theorem of case 3 and the lemma too"
    outside = "Wie lautet der Satz des Pythagoras im rechtwinkligen Dreieck genau"
    assert classifier.out_of_domain([inside, outside]).tolist() == [False, True]
    assessment = classifier.assess(RouteRequest(question=outside), [])
    assert assessment.out_of_domain
    assert assessment.reasons


def test_what_was_saved_predicts_the_same(tmp_path):
    texts, weak, strong = questions(300)
    classifier = DifficultyClassifier().fit(texts, weak, strong)
    classifier.save(tmp_path / "mine.npz")
    loaded = DifficultyClassifier.load(tmp_path / "mine.npz")
    assert loaded.predict(texts) == pytest.approx(classifier.predict(texts), abs=1e-6)
    assert loaded.report_ == classifier.report_
    assert [path.name for path in tmp_path.iterdir()] == ["mine.npz"]


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 damaged", b"not a file of ours"])
def test_a_damaged_file_is_refused(tmp_path, content):
    (tmp_path / "x.npz").write_bytes(content)
    with pytest.raises(ConfigurationError, match="nothing was loaded"):
        DifficultyClassifier.load(tmp_path / "x.npz")


def test_a_file_that_could_run_code_is_refused(tmp_path):
    np.savez(tmp_path / "x.npz", header=np.array([object()], dtype=object))
    with pytest.raises(ConfigurationError, match="nothing was loaded"):
        DifficultyClassifier.load(tmp_path / "x.npz")


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(ConfigurationError, match="nothing was loaded"):
        DifficultyClassifier.load(tmp_path / "none.npz")


def test_the_shipped_weights_give_the_harder_question_the_lower_chances():
    classifier = DifficultyClassifier.pretrained()
    easy, hard = classifier.predict_proba(
        [
            "What is the capital of France?",
            (
                "Let G be a finite group of order 2021 acting on a set X with 47 elements. Which of the "
                "following statements is NOT true?\nA. 1\nB. 2\nC. 3\nD. 4\nAnswer:"
            ),
        ]
    )
    assert (hard < easy - 0.2).all()
    assert classifier.report_.questions > 5000


def test_tiers_by_other_names_are_placed_between_weak_and_strong():
    tiers = [Tier(name=name, model=name) for name in ("nano", "mini", "large")]
    classifier = DifficultyClassifier.pretrained()
    chances = classifier.assess(RouteRequest(question="What is the capital of France?"), tiers).probabilities
    learned, _ = classifier.chances("What is the capital of France?")
    assert list(chances) == ["nano", "mini", "large"]
    assert chances["nano"] == learned["weak"]
    assert chances["large"] == pytest.approx(learned["strong"])
    assert chances["mini"] == pytest.approx((chances["nano"] + chances["large"]) / 2)


def test_records_of_every_kind_are_learned_from():
    texts, weak, strong = questions(300)
    records = [
        OutcomeRecord(text=text, outcomes={"a": bool(w), "b": s, "c": "up"})
        for text, w, s in zip(texts, weak, strong, strict=True)
    ]
    records += [{"text": texts[0], "better": "b", "worse": "a"}, {"text": texts[1], "tie": ("a", "b")}]
    records += [{"text": texts[2], "outcomes": {"a": "down"}}, {"text": texts[3], "outcomes": {"b": 0.25}}]
    classifier = DifficultyClassifier().fit_records(records)
    assert classifier.tiers_ == ("a", "b", "c")
    assert classifier.report_.labels == {"a": 303, "b": 303, "c": 300}
    assert classifier.predict_proba(texts[:5]).shape == (5, 3)


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"text": "q", "outcomes": {"a": 2}}, r"record 1 cannot be read .*not 2"),
        ({"text": "q", "outcomes": {"a": "maybe"}}, "not 'maybe'"),
        ({"question": "q"}, "record 1 cannot be read"),
        ({"text": 3, "outcomes": {"a": 1}}, "text must be text"),
        ({"text": "q"}, "no record names a tier"),
    ],
)
def test_a_record_that_cannot_be_read_is_refused(record, message):
    with pytest.raises(ConfigurationError, match=message):
        DifficultyClassifier().fit_records([record])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("one text", [1], [1]), "must be a list of questions"),
        ((["a"] * 5, [1] * 5, [1] * 5), "too few"),
        ((["a"] * 12, [1] * 11, [1] * 12), r"shape \(11,\), not \(12,\)"),
        ((["a"] * 12, [1] * 12, [2] * 12), r"must lie in \[0, 1\]"),
        ((["a"] * 12, ["x"] * 12, [1] * 12), "must be numbers"),
        (([None] * 12, [1] * 12, [1] * 12), "must be text, not None"),
    ],
)
def test_outcomes_that_cannot_be_are_refused(arguments, message):
    with pytest.raises(ConfigurationError, match=message):
        DifficultyClassifier().fit(*arguments)


def test_an_untrained_classifier_says_so():
    with pytest.raises(ConfigurationError, match="has not learned anything"):
        DifficultyClassifier().predict(["x"])


@pytest.mark.parametrize(
    "settings",
    [{"strength": 0}, {"robust_strength": math.inf}, {"folds": 1}, {"max_terms": 0}, {"feature_weight": "x"}],
)
def test_settings_that_cannot_be_are_refused(settings):
    with pytest.raises(ConfigurationError, match=f"{next(iter(settings))} must be"):
        DifficultyClassifier(**settings)
