"""An acceptor learns which answers are right, is calibrated, and says what it cannot know."""

from __future__ import annotations

import json
import math
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenomics_core.errors import ConfigurationError
from tokenomics_core.routing import Acceptor, Answer, AnswerAcceptor
from tokenomics_core.routing._answer_features import ANSWER_FEATURE_NAMES, answer_features, final_answer


def examples(n, seed=0):
    """Return questions, worked answers, whether each is right, and whether the next tier is."""
    rng = random.Random(seed)
    questions, answers, right, after = [], [], [], []
    for _ in range(n):
        a, b, c = rng.randint(2, 50), rng.randint(2, 50), rng.randint(2, 9)
        is_right = rng.random() < 0.65
        shows = rng.random() < 0.8  # the others hide their slip
        total = a + b if is_right or not shows else a + b + rng.randint(3, 9)
        answer = f"They have {a} + {b} = {total}.\nThen {total} * {c} = {total * c}.\n#### {total * c}"
        questions.append(f"Ann has {a} pens and Bob {b}. Each pen costs ${c}. What do all pens cost?")
        answers.append(answer)
        right.append(float(is_right))
        after.append(float(rng.random() < 0.9))
    return questions, answers, np.array(right), np.array(after)


def auc(chances, right):
    pairs = [(x > y) + (x == y) / 2 for x in chances[right == 1] for y in chances[right == 0]]
    return sum(pairs) / len(pairs)


@pytest.fixture(scope="module")
def fitted():
    questions, answers, right, after = examples(600)
    return AnswerAcceptor().fit(questions, answers, right, next_right=after)


def test_wrong_answers_that_show_it_are_told_from_right_ones(fitted):
    questions, answers, right, _ = examples(400, seed=1)
    chances = np.array(
        [fitted.accept_probability(q, Answer(text=a)) for q, a in zip(questions, answers, strict=True)]
    )
    assert auc(chances, right) > 0.85
    assert fitted.report_.auc == pytest.approx(auc(chances, right), abs=0.05)


def test_stated_chances_are_met(fitted):
    questions, answers, right, _ = examples(1000, seed=2)
    chances = np.array(
        [fitted.accept_probability(q, Answer(text=a)) for q, a in zip(questions, answers, strict=True)]
    )
    assert chances.mean() == pytest.approx(right.mean(), abs=0.04)
    for low, high in ((0, 0.5), (0.5, 1.01)):
        inside = (chances >= low) & (chances < high)
        assert chances[inside].mean() == pytest.approx(right[inside].mean(), abs=0.08)
    assert fitted.report_.ece < 0.08


def test_weights_that_fit_too_closely_are_tempered_by_the_folds():
    rng = random.Random(11)
    texts = [
        f"Well, {rng.randint(1, 999)} + {rng.randint(1, 9)} makes it, say {rng.random()}" for _ in range(400)
    ]
    right = np.array([float(rng.random() < 0.85) for _ in texts])  # nothing tells right from wrong
    close = AnswerAcceptor(strength=1e4).fit(["q"] * 200, texts[:200], right[:200])
    chances = np.array([close.accept_probability("q", Answer(text=text)) for text in texts[200:]])
    assert chances.mean() == pytest.approx(right[:200].mean(), abs=0.03)
    assert chances.std() < 0.1


def test_weights_that_fit_too_closely_still_state_the_right_mean():
    questions, answers, right, _ = examples(150, seed=8)
    close = AnswerAcceptor(strength=1e4).fit(questions, answers, right)
    questions, answers, right, _ = examples(300, seed=9)
    pairs = zip(questions, answers, strict=True)
    chances = np.array([close.accept_probability(question, Answer(text=text)) for question, text in pairs])
    assert chances.mean() == pytest.approx(right.mean(), abs=0.08)


def test_the_solved_gain_keeps_the_quality_that_was_asked_for(fitted):
    questions, answers, right, after = examples(1000, seed=3)
    gains = np.array([fitted.gain(q, Answer(text=a)) for q, a in zip(questions, answers, strict=True)])
    asked_again = gains >= fitted.least_gain_
    quality = np.where(asked_again, after, right).mean()
    assert quality >= 0.93 * after.mean()
    assert asked_again.mean() < 0.6
    assert fitted.report_.kept_quality >= 0.95


@given(question=st.text(max_size=200), text=st.text(max_size=400), logprob=st.floats(-20, 0))
def test_any_text_has_finite_features_and_a_chance(question, text, logprob):
    answer = Answer(text=text, logprobs=(logprob, -math.inf), samples=(text, "other"))
    row = answer_features(question, answer)
    assert len(row) == len(ANSWER_FEATURE_NAMES)
    assert all(map(math.isfinite, row))
    assert 0 <= AnswerAcceptor.pretrained().accept_probability(question, answer) <= 1


def feature(name, answer, question="q"):
    return answer_features(question, answer)[ANSWER_FEATURE_NAMES.index(f"answer_{name}")]


@pytest.mark.parametrize(
    ("name", "answer", "value"),
    [
        ("equations_wrong", Answer(text="2 + 2 = 5"), 1),
        ("hedges", Answer(text="It might be 4, perhaps."), 2),
        ("refuses", Answer(text="I'm sorry, I cannot help."), 1),
        ("unfinished", Answer(text="half a", finish_reason="length"), 1),
        ("unfinished", Answer(text="  "), 1),
        ("code_parses", Answer(text="```python\nx = 1\n```"), 1),
        ("code_broken", Answer(text="```python\nx = = 1\n```"), 1),
        ("code_broken", Answer(text="```bash\nx = = 1\n```"), 0),
        ("json_parses", Answer(text='{"a": 1}'), 1),
        ("json_parses", Answer(text='```json\n{"a": 1}\n```'), 1),
        ("json_parses", Answer(text="{a: 1}"), 0),
        ("schema_ok", Answer(text="{}", schema_ok=True), 1),
        ("schema_broken", Answer(text="{}", schema_ok=False), 1),
        ("tool_calls", Answer(text="", tool_calls=("search",)), 1),
        ("mean_logprob", Answer(text="a", logprobs=(-1.0, -3.0)), -2),
        ("least_logprob", Answer(text="a", logprobs=(-1.0, -300.0)), -10),
        ("agreement", Answer(text="so 4", samples=("it is 4.0", "it is 5", "4")), 2 / 3),
        ("agreement", Answer(text="The answer is Paris.", samples=("the answer is: paris",)), 1),
        ("repeats", Answer(text="This is a sentence. This is a sentence."), 0.5),
    ],
)
def test_features_see_what_they_are_named_for(name, answer, value):
    assert feature(name, answer) == pytest.approx(value)


@pytest.mark.parametrize(
    ("text", "final"),
    [
        ("work\n#### 12", ("12", True)),
        (r"so \boxed{7}", ("7", False)),
        ("The answer is 5 apples", ("5 apples", False)),
        ("first 3, then 9 of them", ("9", False)),
        ("no number", ("no number", False)),
    ],
)
def test_what_an_answer_comes_to(text, final):
    assert final_answer(text) == final


def test_agreement_counts_once_it_was_learned():
    rng = random.Random(4)
    answers, right = [], []
    for _ in range(300):
        ok = rng.random() < 0.6
        agrees = rng.random() < (0.9 if ok else 0.2)
        answers.append(Answer(text="It is 4", samples=("4",) if agrees else ("5",)))
        right.append(ok)
    acceptor = AnswerAcceptor().fit(["q"] * 300, answers, right)
    same = acceptor.accept_probability("q", Answer(text="It is 4", samples=("4",)))
    other = acceptor.accept_probability("q", Answer(text="It is 4", samples=("5",)))
    assert same > 0.75 > 0.4 > other
    assert acceptor.least_gain_ is None
    assert acceptor.gain("q", answers[0]) is None


def test_a_saved_acceptor_says_the_same(fitted, tmp_path):
    fitted.save(tmp_path / "a.json")
    loaded = AnswerAcceptor.load(tmp_path / "a.json")
    questions, answers, _, _ = examples(20, seed=5)
    for question, text in zip(questions, answers, strict=True):
        assert loaded.assess(question, Answer(text=text)) == fitted.assess(question, Answer(text=text))
    assert loaded.least_gain_ == fitted.least_gain_
    assert loaded.report_ == fitted.report_
    assert list(tmp_path.iterdir()) == [tmp_path / "a.json"]


def test_the_shipped_acceptor_knows_a_wrong_sum_and_what_it_never_saw():
    acceptor = AnswerAcceptor.pretrained()
    question = "Tom has 3 apples and buys 4 bags of 5 apples. How many apples does he have?"
    good = Answer(
        text=" He buys 4 bags of 5 apples, 4*5 = <<4*5=20>>20 apples.\n"
        "So he has 3+20 = <<3+20=23>>23.\n#### 23\n\n"
    )
    bad = Answer(
        text=" He buys 4 bags of 5 apples, 4*5 = <<4*5=20>>25 apples.\n"
        "However, 3+25 = <<3+25=28>>29.\n#### 29 apples in all\n\n"
    )
    assert acceptor.accept_probability(question, good) > acceptor.accept_probability(question, bad) + 0.3
    assert not acceptor.is_out_of_domain(question, good)
    essay = Answer(text="Rome fell for many reasons.\n" * 200)
    assert acceptor.is_out_of_domain("Why did Rome fall?\n" * 50, essay)
    assert isinstance(acceptor, Acceptor)


def test_few_labels_say_what_they_cannot_know():
    questions, answers, right, _ = examples(60)
    assert "below about 200" in AnswerAcceptor().fit(questions, answers, right).report_.notes[0]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"right": [1.0] * 59}, "one value for each"),
        ({"right": [2.0] * 60}, "in \\[0, 1\\]"),
        ({"right": [1.0] * 60}, "nothing to tell apart"),
        ({"answers": ["a"] * 59}, "needs one answer"),
        ({"questions": ["q"] * 10, "answers": ["a"] * 10, "right": [0.0, 1.0] * 5}, "at least 50"),
        ({"next_right": [math.nan] * 60}, "next_right must be in"),
    ],
)
def test_what_nothing_can_be_learned_from_is_refused(change, words):
    given_ = {"questions": ["q"] * 60, "answers": ["a"] * 60, "right": [0.0, 1.0] * 30, **change}
    extra = {"next_right": given_.pop("next_right")} if "next_right" in given_ else {}
    with pytest.raises(ConfigurationError, match=words):
        AnswerAcceptor().fit(given_["questions"], given_["answers"], given_["right"], **extra)


def test_an_acceptor_that_learned_nothing_says_so():
    with pytest.raises(ConfigurationError, match="call fit, load or pretrained"):
        AnswerAcceptor().accept_probability("q", Answer(text="a"))


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data.update(format=99),
        lambda data: data["features"].update(version=0),
        lambda data: data["features"]["names"].reverse(),
        lambda data: data["right"]["weights"].pop(),
        lambda data: data["right"].update(intercept="much"),
        lambda data: data["right"].update(intercept=float("nan")),
        lambda data: data.pop("next_right"),
        lambda data: data.update(least_gain="x"),
        lambda data: data.update(report={"unheard": 1}),
    ],
)
def test_a_file_of_another_kind_is_refused(fitted, tmp_path, damage):
    path = tmp_path / "a.json"
    fitted.save(path)
    data = json.loads(path.read_text())
    damage(data)
    path.write_text(json.dumps(data))
    with pytest.raises(ConfigurationError, match="no acceptor can be read"):
        AnswerAcceptor.load(path)


@pytest.mark.parametrize("content", ["", "[1, 2]", "{", "[" * 100_000, "null"])
def test_a_file_that_is_no_acceptor_is_refused(tmp_path, content):
    path = tmp_path / "a.json"
    path.write_text(content)
    with pytest.raises(ConfigurationError, match="no acceptor can be read"):
        AnswerAcceptor.load(path)


@pytest.mark.parametrize("wrong", [{"strength": 0}, {"folds": 1}, {"target_quality": 1.5}])
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(ConfigurationError):
        AnswerAcceptor(**wrong)
