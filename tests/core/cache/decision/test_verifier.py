"""The verifier gives a chance, the same both ways round, and takes no foreign weights."""

from __future__ import annotations

import json
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenomics_core.cache import FixedThreshold, Neighbour, Verifier
from tokenomics_core.cache._features import FEATURES, pair_features
from tokenomics_core.cache._lexicon import words_in
from tokenomics_core.cache._pair import compare
from tokenomics_core.cache._question import analyze
from tokenomics_core.errors import ConfigurationError

TEXT = st.text(max_size=80) | st.lists(
    st.sampled_from(
        words_in("how do i reset my card pin order 12 Paris not account the refund fee app 5 days")
    )
).map(" ".join)


@given(TEXT, TEXT, st.floats(-1, 1), st.none() | st.floats(-0.5, 1))
def test_it_is_a_chance_and_the_same_both_ways_round(one, other, similarity, background):
    verifier = Verifier()
    chance = verifier.probability(one, other, similarity, background=background)
    assert 0 <= chance <= 1
    assert chance == verifier.probability(other, one, similarity, background=background)


@given(TEXT, TEXT)
def test_features_have_names(one, other):
    features = pair_features(compare(analyze(one), analyze(other)), 0.8, 0.5, None)
    assert len(features) == len(FEATURES) == len(set(FEATURES))


def test_nearer_means_likelier_for_the_same_two_questions():
    verifier = Verifier()
    chances = [
        verifier.probability("how do I change my pin", "what is the way to change a pin", s / 20)
        for s in range(10, 21)
    ]
    assert chances[-1] > 0.9
    assert chances[-1] > chances[0]


def test_a_stricter_bound_asks_for_more():
    verifier = Verifier()
    asked = [verifier.threshold(error) for error in (0.001, 0.005, 0.01, 0.02, 0.05)]
    assert asked == sorted(asked, reverse=True)
    assert asked[0] == 1.0


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data.update(format=2),
        lambda data: data.update(features=["similarity"]),
        lambda data: data["layers"][0]["matrix"].pop(),
        lambda data: data["layers"][1]["offset"].__setitem__(0, float("nan")),
        lambda data: data.pop("thresholds"),
        lambda data: data["clues"]["names"].reverse(),
        lambda data: data["clues"]["weights"].pop(),
        lambda data: data["clues"].update(trusted_from=float("inf")),
    ],
)
def test_damaged_weights_are_refused(damage, tmp_path):
    data = json.loads(
        files("tokenomics_core.cache").joinpath("data", "verifier.json").read_text(encoding="utf-8")
    )
    damage(data)
    path = tmp_path / "weights.json"
    path.write_text(json.dumps(data))
    with pytest.raises(ConfigurationError, match="no verifier was made"):
        Verifier(path)


def test_weights_of_a_verifier_without_clues_are_taken(tmp_path):
    data = json.loads(
        files("tokenomics_core.cache").joinpath("data", "verifier.json").read_text(encoding="utf-8")
    )
    assert Verifier().clues is not None
    del data["clues"]
    path = tmp_path / "weights.json"
    path.write_text(json.dumps(data))
    assert Verifier(path).clues is None


def near(question: str, similarity: float = 0.97, group: str = "g") -> list[Neighbour]:
    return [Neighbour("e", similarity, question, group)]


@given(TEXT, TEXT, st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
def test_a_higher_threshold_never_serves_more(one, other, similarity, low, high):
    low, high = sorted((low, high))
    lax = FixedThreshold(low).decide("n", one, near(other, similarity))
    strict = FixedThreshold(high).decide("n", one, near(other, similarity))
    assert lax.serve or not strict.serve


@given(TEXT, TEXT, st.floats(0, 1))
def test_guards_only_ever_take_away(one, other, similarity):
    served = [
        FixedThreshold(0.5, guards=guards).decide("n", one, near(other, similarity)).serve
        for guards in ("none", "default", "strict")
    ]
    assert served == sorted(served, reverse=True)


def test_a_threshold_on_the_similarity_looks_at_nothing_else():
    policy = FixedThreshold(0.9, on="similarity", guards="none")
    assert policy.decide("n", "refund for order 1", near("refund for order 2", 0.95)).serve
    assert not policy.decide("n", "refund for order 1", near("refund for order 1", 0.85)).serve


def test_nothing_near_is_said_to_be_so():
    decision = FixedThreshold().decide("n", "hello", [])
    assert (decision.serve, decision.reason, decision.neighbour) == (False, "nothing_near", None)


def test_a_guard_is_named():
    decision = FixedThreshold().decide("n", "refund for order 1123", near("refund for order 1124"))
    assert (decision.serve, decision.reason, decision.guard) == (False, "guard", "number")


def test_counts_come_back_after_a_restart():
    policy = FixedThreshold()
    decision = policy.decide("n", "where is my parcel", near("Where is my parcel?"))
    policy.learn("n", decision, {"g": False})
    policy.count_exact("n")
    other = FixedThreshold()
    assert other.restore("n", policy.state("n"))
    assert other.report("n") == policy.report("n")
    assert (other.report("n").requests, other.report("n").labels, other.report("n").wrong) == (2, 1, 1)


@pytest.mark.parametrize("state", [b"", b"{}", b"\xff", b"[]", b'{"policy": "other"}', b"null"])
def test_a_damaged_state_changes_nothing(state):
    policy = FixedThreshold()
    policy.count_exact("n")
    assert not policy.restore("n", state)
    assert policy.report("n").requests == 1


@pytest.mark.parametrize("threshold", [-0.1, 1.5, float("nan")])
def test_a_threshold_outside_zero_to_one_is_refused(threshold):
    with pytest.raises(ConfigurationError, match="threshold must be in"):
        FixedThreshold(threshold)


def test_an_unknown_scale_is_refused():
    with pytest.raises(ConfigurationError, match="on must be"):
        FixedThreshold(0.5, on="distance")
