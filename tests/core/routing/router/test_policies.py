"""A policy keeps its target on average, whatever comes, and picks what a plain search would."""

from __future__ import annotations

import random
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenomics_core.errors import ConfigurationError
from tokenomics_core.routing import Assessment, RouteRequest, TargetCost, TargetQuality, Threshold, Tier
from tokenomics_core.routing.policies import (
    AnswerValue,
    Candidate,
    CheapestGoodEnough,
    Controller,
    LearningPolicy,
    Policy,
    PolicyState,
    TargetShare,
)

ASKED = RouteRequest(question="q")
NOTHING = Assessment(name="none")
TIERS = [Tier(name=f"t{number}", model="m", effort=str(number)) for number in range(5)]
chances = st.floats(0, 1)
costs = st.decimals(min_value=0, max_value=1, places=6)
candidates = st.lists(st.tuples(costs, chances), min_size=1, max_size=5).map(
    lambda rows: [Candidate(tier, cost, chance) for tier, (cost, chance) in zip(TIERS, rows, strict=False)]
)


def choose(policy, rows, score=None, safe=None):
    return policy.choose(NOTHING, rows, ASKED, PolicyState(score=score, safe=safe))[0]


@given(rows=candidates, value=st.floats(1e-6, 1e3))
def test_a_value_per_answer_takes_the_tier_with_the_most_left(rows, value):
    index = choose(AnswerValue(value), rows)
    worth = [row.probability * value - float(row.cost_usd) for row in rows]
    assert worth[index] == pytest.approx(max(worth), rel=1e-9, abs=1e-12)


@given(rows=candidates, floor=chances)
def test_the_cheapest_good_enough_tier_is_that(rows, floor):
    chosen = rows[choose(CheapestGoodEnough(floor), rows)]
    able = [row for row in rows if row.probability >= floor]
    if able:
        assert chosen.probability >= floor
        assert chosen.cost_usd == min(row.cost_usd for row in able)
    else:
        assert chosen.probability == max(row.probability for row in rows)


@given(rows=candidates, score=st.floats(-1, 1), at=st.floats(-1, 1))
def test_one_threshold_parts_first_from_last(rows, score, at):
    assert choose(Threshold(at), rows, score) == (len(rows) - 1 if score >= at else 0)


@given(score=st.floats(-1, 1), missing=st.integers(0, 2))
def test_named_thresholds_rise_through_the_tiers_and_skip_those_that_are_gone(score, missing):
    at = {"t1": 0.0, "t2": 0.5}
    wanted = 2 if score >= 0.5 else 1 if score >= 0 else 0
    rows = [Candidate(tier, None, None) for place, tier in enumerate(TIERS[:3]) if place != missing]
    chosen = int(rows[choose(Threshold(at), rows, score)].tier.name[1])
    remaining = [place for place in range(3) if place != missing]
    assert chosen == (
        wanted if wanted in remaining else min((p for p in remaining if p > wanted), default=remaining[-1])
    )


def stream(count, seed, shift=0.0):
    rng = random.Random(seed)
    for _ in range(count):
        weak = min(1.0, max(0.0, rng.gauss(0.6 - shift, 0.2)))
        strong = min(1.0, max(weak, rng.gauss(0.85, 0.1)))
        scale = Decimal(str(round(rng.uniform(0.5, 1.5), 3)))
        rows = [Candidate(TIERS[0], scale / 10_000, weak), Candidate(TIERS[1], scale / 1_000, strong)]
        yield rows, PolicyState(score=strong - weak, safe=1)


def run(policy, rows):
    made = []
    for row, state in rows:
        index, _ = policy.choose(NOTHING, row, ASKED, state)
        policy.observe(index, row, state)
        made.append((row, index))
    return made


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.9])
def test_a_share_is_kept_when_the_questions_change(share):
    policy = TargetShare(share)
    run(policy, stream(1500, 1))
    after = run(policy, stream(1500, 2, shift=0.3))
    assert sum(index for _, index in after) / 1500 == pytest.approx(share, abs=0.02)


@pytest.mark.parametrize("quality", [0.8, 0.9, 0.97])
def test_a_share_of_the_best_quality_is_kept_when_the_questions_change(quality):
    policy = TargetQuality(quality)
    run(policy, stream(500, 1))
    after = run(policy, stream(3000, 2, shift=0.2))
    kept = sum(row[index].probability for row, index in after)
    best = sum(max(item.probability for item in row) for row, _ in after)
    assert kept / best == pytest.approx(quality, abs=0.01)
    assert any(index == 0 for _, index in after)


@pytest.mark.parametrize("usd_per_1000", ["0.3", "0.6", "0.9"])
def test_a_mean_cost_is_kept_when_the_questions_change(usd_per_1000):
    policy = TargetCost(usd_per_1000)
    run(policy, stream(500, 1))
    after = run(policy, stream(3000, 2, shift=0.3))
    paid = sum(float(row[index].cost_usd) for row, index in after) / 3
    assert paid == pytest.approx(float(usd_per_1000), rel=0.03)


def test_a_target_buys_quality_where_it_is_cheapest():
    policy = TargetCost("0.6")
    run(policy, stream(500, 1))
    after = run(policy, stream(2000, 2))
    gains = {index: [] for index in (0, 1)}
    for row, index in after:
        gains[index].append((row[1].probability - row[0].probability) / float(row[1].cost_usd))
    assert sum(gains[1]) / len(gains[1]) > 2 * sum(gains[0]) / len(gains[0])


@given(errors=st.lists(st.floats(-1, 1), min_size=1, max_size=200), eta=st.floats(0.001, 0.1))
def test_a_controllers_mean_error_is_what_its_level_moved(errors, eta):
    controller = Controller(0.0, eta)
    for error in errors:
        controller.move(error)
    assert controller.mean_error == pytest.approx(controller.level / eta / len(errors), abs=1e-6)


def test_a_controller_held_still_stays_and_ignores_what_is_no_number():
    controller = Controller(0.25, 0.0)
    controller.move(1.0)
    controller.move(float("nan"))
    assert (controller.level, controller.decisions) == (0.25, 1)


@pytest.mark.parametrize(
    "policy", [Threshold(0.1), TargetShare(0.5), TargetQuality(), TargetCost(1), CheapestGoodEnough(0.5)]
)
def test_without_anything_to_go_by_every_policy_takes_the_safe_tier(policy):
    rows = [Candidate(tier, None, None) for tier in TIERS[:3]]
    assert choose(policy, rows, safe=1) == 1
    assert choose(policy, rows) == 2
    assert isinstance(policy, Policy)


def test_policies_that_learn_say_so():
    assert isinstance(TargetShare(0.5), LearningPolicy)
    assert isinstance(TargetQuality(), LearningPolicy)
    assert not isinstance(Threshold(0.5), LearningPolicy)


def test_an_unsolved_target_states_no_value_and_a_solved_one_its_own():
    assert TargetQuality(0.9).value_usd is None
    assert TargetQuality(0.9, value_usd="0.02").value_usd == pytest.approx(0.02)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Threshold(2.0),
        lambda: Threshold({"a": -3}),
        lambda: TargetShare(1.1),
        lambda: TargetQuality(0),
        lambda: TargetQuality(0.9, value_usd=0),
        lambda: TargetQuality(0.9, eta=-1),
        lambda: TargetCost("nothing"),
        lambda: AnswerValue(float("inf")),
        lambda: CheapestGoodEnough(-0.1),
        lambda: Controller(float("nan"), 0.1),
    ],
)
def test_numbers_out_of_range_are_refused(make):
    with pytest.raises(ConfigurationError):
        make()
