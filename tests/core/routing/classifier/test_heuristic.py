"""The heuristic classifier orders questions by how much they ask, and claims no chance that nobody stated."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenomics_core.routing import RouteRequest, Tier
from tokenomics_core.routing.classifiers import Classifier, HeuristicClassifier

PLAIN = (Tier(name="small", model="s"), Tier(name="large", model="l"))
STATED = (
    Tier(name="small", model="s", quality=0.6),
    Tier(name="middle", model="m", quality=0.7),
    Tier(name="large", model="l", quality=0.8),
)
EASY = "Who wrote Faust?"
HARD = (
    "Suppose that a plant must not run below 40 % load unless the grid is down. First derive the cost of a "
    "cold start, then compare it with the cost of idling, and explain which assumption that depends on. "
    "What changes if prices are negative?\n1. Give the formula.\n2. State the consequences."
)


@given(st.text())
def test_any_text_has_a_difficulty_between_0_and_1(text):
    assert 0 <= HeuristicClassifier().difficulty(text) <= 1


@given(st.text(alphabet="abc why?\n1.", max_size=60), st.text(alphabet="xyz if?", max_size=60))
def test_a_question_does_not_get_easier_by_what_is_added_on_a_new_line(text, more):
    classifier = HeuristicClassifier()
    assert classifier.difficulty(f"{text}\n{more}") >= classifier.difficulty(text) - 1e-12


def test_a_question_with_conditions_and_parts_is_harder_than_a_lookup():
    classifier = HeuristicClassifier()
    assert classifier.difficulty(HARD) > classifier.difficulty(EASY) + 0.3


@pytest.mark.parametrize(
    ("harder", "plain"),
    [
        ("Explain the rain?", "Predict the rain?"),
        ("Is it so if it is?", "Is it so so it is?"),
        ("Is it so? Or so?", "Is it so, or so?"),
        ("1. one\n2. two", "11 one\n22 two"),
        ("First this, then that", "Forst this, thus that"),
    ],
)
def test_words_of_reasoning_conditions_and_parts_each_count(harder, plain):
    assert len(harder) == len(plain)
    assert HeuristicClassifier().difficulty(harder) > HeuristicClassifier().difficulty(plain)


def test_a_word_inside_a_longer_one_does_not_count():
    classifier = HeuristicClassifier()
    assert classifier.difficulty("a butter gift") == classifier.difficulty("a batter rift")


def test_no_chances_are_claimed_for_tiers_without_a_stated_quality():
    found = HeuristicClassifier().assess(RouteRequest(question=HARD), PLAIN)
    assert found.probabilities == {}
    assert found.score == HeuristicClassifier().difficulty(HARD)
    assert found.cost_usd == 0
    assert "difficulty" in found.reasons[0]


def test_a_hard_question_lowers_the_chances_of_the_weak_tier_most():
    classifier = HeuristicClassifier()
    easy = classifier.assess(RouteRequest(question=EASY), STATED).probabilities
    hard = classifier.assess(RouteRequest(question=HARD), STATED).probabilities
    lost = [easy[tier.name] - hard[tier.name] for tier in STATED]
    assert lost[0] > lost[1] > lost[2] > 0


@given(quality=st.floats(0, 1), question=st.text(max_size=200))
def test_a_stated_quality_stays_a_chance(quality, question):
    tier = Tier(name="only", model="m", quality=quality)
    found = HeuristicClassifier().assess(RouteRequest(question=question), [tier])
    assert 0 <= found.probabilities["only"] <= 1
    if quality in (0, 1):
        assert found.probabilities["only"] == quality


def test_it_is_a_classifier():
    assert isinstance(HeuristicClassifier(), Classifier)
