"""A log that explored a little tells what another policy would have reached."""

from __future__ import annotations

import numpy as np
import pytest

from tokenomics_core.errors import ConfigurationError
from tokenomics_core.routing import Route, Tier
from tokenomics_core.routing.evaluation import LoggedDecision, value_policy


def world(n=4000, seed=3, *, explore=0.2, foretell=True):
    """Questions with a known chance for each tier, and the log of a policy that sends the hard half up."""
    rng = np.random.default_rng(seed)
    hard = rng.random(n)
    chances = {"cheap": 1 - hard, "dear": 1 - 0.4 * hard}
    log = []
    for at in range(n):
        wanted = "dear" if hard[at] > 0.5 else "cheap"
        tier = wanted if rng.random() > explore else ("cheap", "dear")[int(rng.integers(0, 2))]
        propensity = 1 - explore / 2 if tier == wanted else explore / 2
        log.append(
            LoggedDecision(
                tier=tier,
                propensity=propensity,
                quality=float(rng.random() < chances[tier][at]),
                chances={name: float(values[at]) for name, values in chances.items()} if foretell else {},
                cost_usd=0.001 if tier == "cheap" else 0.02,
                score=float(hard[at]),
            )
        )
    return log, hard, chances


POLICIES = {
    "always dear": (lambda row: "dear", np.ones_like),
    "always cheap": (lambda row: "cheap", np.zeros_like),
    "hardest third": (
        lambda row: "dear" if row.score > 2 / 3 else "cheap",
        lambda hard: (hard > 2 / 3).astype(float),
    ),
    "half and half": (lambda row: {"cheap": 0.5, "dear": 0.5}, lambda hard: np.full_like(hard, 0.5)),
}


@pytest.mark.parametrize("name", POLICIES)
@pytest.mark.parametrize("foretell", [True, False])
def test_every_estimate_holds_the_true_value_of_a_policy_that_never_ran(name, foretell):
    policy, of = POLICIES[name]
    log, hard, chances = world(foretell=foretell)
    dear = of(hard)
    truth = float((dear * chances["dear"] + (1 - dear) * chances["cheap"]).mean())
    money = float(1000 * (0.001 + 0.019 * dear).mean())
    value = value_policy(log, policy, resamples=300, confidence=0.999)
    for found in (
        value.quality.inverse_propensity,
        value.quality.self_normalised,
        value.quality.doubly_robust,
    ):
        assert found.low <= truth <= found.high
    assert (
        value.usd_per_1000.doubly_robust.low - 1e-9 <= money <= value.usd_per_1000.doubly_robust.high + 1e-9
    )
    assert value.agreement.low <= 1 <= value.agreement.high
    assert value.cautions == ()


def test_estimates_are_their_textbook_sums():
    log, _, _ = world(50)
    policy = POLICIES["hardest third"][0]
    value = value_policy(log, policy, resamples=5)
    weights = [(policy(row) == row.tier) / row.propensity for row in log]
    plain = sum(w * row.quality for w, row in zip(weights, log, strict=True)) / 50
    doubly = (
        sum(
            row.chances[policy(row)] + w * (row.quality - row.chances[row.tier])
            for w, row in zip(weights, log, strict=True)
        )
        / 50
    )
    assert value.quality.inverse_propensity.value == pytest.approx(plain)
    assert value.quality.self_normalised.value == pytest.approx(plain * 50 / sum(weights))
    assert value.quality.doubly_robust.value == pytest.approx(doubly)
    assert value.effective_decisions == pytest.approx(sum(weights) ** 2 / sum(w * w for w in weights))


def test_without_foretold_chances_each_decision_is_foretold_by_the_others_of_its_tier():
    rows = [("cheap", 1.0), ("cheap", 0.0), ("cheap", 0.0), ("dear", 1.0), ("dear", 0.0)]
    log = [LoggedDecision(tier=tier, propensity=0.5, quality=good, chances={}) for tier, good in rows]
    # For a policy that always takes dear: what dear is foretold, and for dear decisions the correction.
    foretold = [0.5, 0.5, 0.5, 0.0, 1.0]
    corrections = [0, 0, 0, 2 * (1.0 - 0.0), 2 * (0.0 - 1.0)]
    expected = (sum(foretold) + sum(corrections)) / 5
    assert value_policy(log, lambda row: "dear", resamples=5).quality.doubly_robust.value == expected
    lone = value_policy(log[:4], lambda row: "dear", resamples=5).quality.doubly_robust.value
    # The only dear decision is foretold by all decisions, having no others of its tier.
    assert lone == pytest.approx((3 * 1.0 + 0.5 + 2 * (1.0 - 0.5)) / 4)


def test_foretold_chances_that_are_right_narrow_the_interval():
    log, _, _ = world()
    quality = value_policy(log, POLICIES["always dear"][0], resamples=200).quality
    robust, plain = quality.doubly_robust, quality.inverse_propensity
    assert robust.high - robust.low < 0.6 * (plain.high - plain.low)


def test_foretold_chances_that_are_wrong_are_put_right_by_what_was_seen():
    log, _, chances = world()
    wrong = [
        LoggedDecision(
            tier=row.tier,
            propensity=row.propensity,
            quality=row.quality,
            chances={"cheap": 0.9, "dear": 0.1},
            score=row.score,
        )
        for row in log
    ]
    found = value_policy(wrong, POLICIES["always dear"][0], resamples=200, confidence=0.999).quality
    assert found.doubly_robust.low <= chances["dear"].mean() <= found.doubly_robust.high


def test_the_policy_that_ran_is_valued_as_what_it_reached():
    log, _, _ = world(300)
    rerun = {
        id(row): {row.tier: row.propensity, ("dear" if row.tier == "cheap" else "cheap"): 1 - row.propensity}
        for row in log
    }
    value = value_policy(log, lambda row: rerun[id(row)], resamples=20)
    assert value.quality.inverse_propensity.value == pytest.approx(value.quality.logged.value)
    assert value.effective_decisions == pytest.approx(300)


def test_a_log_without_exploration_is_not_believed():
    log, _, _ = world(200, explore=0.0)
    value = value_policy(log, POLICIES["always dear"][0], resamples=50)
    text = " ".join(value.cautions)
    assert "never explored" in text
    assert "does not cover what the new policy does" in text
    assert "never explored" in str(value)


def test_few_effective_decisions_are_said_to_be_few():
    log, _, _ = world(60, explore=0.1)
    assert "effective decisions" in " ".join(
        value_policy(log, POLICIES["always dear"][0], resamples=20).cautions
    )


def test_weights_can_be_cut_off_which_narrows_and_biases():
    log, _, _ = world()
    policy = POLICIES["always dear"][0]
    whole, cut = (value_policy(log, policy, most_weight=most, resamples=50) for most in (None, 2.0))
    assert cut.agreement.value < whole.agreement.value
    assert cut.effective_decisions > whole.effective_decisions


def test_an_unknown_cost_leaves_the_cost_unknown():
    log, _, _ = world(60)
    log.append(LoggedDecision(tier="cheap", propensity=0.5, quality=1, chances={}))
    assert value_policy(log, POLICIES["always dear"][0], resamples=5).usd_per_1000 is None


def test_a_route_and_its_outcome_make_a_logged_decision():
    tier = Tier(name="cheap", model="small")
    route = Route(tier=tier, probabilities={"cheap": 0.7, "dear": 0.9}, propensity=0.25, score=0.2)
    row = LoggedDecision.of(route, ok := True, cost_usd=0.5, question="why?")
    assert (row.tier, row.propensity, row.quality, row.score) == ("cheap", 0.25, float(ok), 0.2)
    assert (row.chances, row.cost_usd, row.question) == ({"cheap": 0.7, "dear": 0.9}, 0.5, "why?")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"propensity": 0.0}, "propensity must be above 0"),
        ({"propensity": 1.5}, "propensity must be above 0"),
        ({"quality": 2.0}, "quality and chances must lie"),
        ({"chances": {"cheap": -1.0}}, "quality and chances must lie"),
        ({"cost_usd": -1.0}, "cost_usd must be 0 or more"),
    ],
)
def test_decisions_that_cannot_be_are_refused(change, message):
    row = {"tier": "cheap", "propensity": 0.5, "quality": 1.0, "chances": {}} | change
    with pytest.raises(ConfigurationError, match=message):
        value_policy([LoggedDecision(**row)], lambda row: "cheap")


def test_policies_and_settings_that_mean_nothing_are_refused():
    log, _, _ = world(10)
    with pytest.raises(ConfigurationError, match="the log has no decision"):
        value_policy([], lambda row: "cheap")
    with pytest.raises(ConfigurationError, match="chances that sum to 1"):
        value_policy(log, lambda row: {"cheap": 0.5})
    with pytest.raises(ConfigurationError, match=r"most_weight must be 1 or more, not 0\.5"):
        value_policy(log, lambda row: "cheap", most_weight=0.5)
