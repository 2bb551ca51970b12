"""What a router remembers of tiers: failures, labels, scores that change, and sums that add up."""

from __future__ import annotations

import json
import random
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenomics_core.errors import ConfigurationError
from tokenomics_core.routing import Assessment, Router, RouterStats, Stickiness, Threshold, Tier
from tokenomics_core.routing._drift import kolmogorov_smirnov
from tokenomics_core.routing._feedback import Feedback, wilson_interval
from tokenomics_core.routing._health import kind_of_failure
from tokenomics_core.routing.policies import DriftWatch, Health
from tokenomics_core.types import Usage


class ApiError(Exception):
    def __init__(self, status_code, headers=None):
        super().__init__("api")
        self.status_code = status_code
        self.response = type("Response", (), {"status_code": status_code, "headers": headers or {}})()


@given(failures=st.integers(0, 12), patience=st.integers(1, 5))
def test_a_tier_rests_after_as_many_failures_as_are_borne_and_longer_each_time(failures, patience):
    now = [0.0]
    health = Health(patience=patience, rest_s=10, longest_rest_s=100, clock=lambda: now[0])
    for _ in range(failures):
        health.failed("a", RuntimeError("down"))
    over = failures - patience
    assert health.of("a").rests_s == (min(100, 10 * 2**over) if over >= 0 else 0)
    assert health.rests("a") == (over >= 0)
    health.succeeded("a", 1.5)
    assert not health.rests("a")
    assert health.of("a").mean_latency_s == 1.5


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ApiError(429), "rate_limit"),
        (ApiError(529), "rate_limit"),
        (ApiError(504), "timeout"),
        (ApiError(500), "error"),
        (ApiError(400), "request"),
        (ApiError(404), "error"),
        (TimeoutError(), "timeout"),
        ("Rate limit reached", "rate_limit"),
        ("deadline exceeded", "timeout"),
        ("Request timed out.", "timeout"),
        ("invalid_request_error: bad schema", "request"),
        (ValueError("?"), "error"),
    ],
)
def test_failures_are_told_apart(error, kind):
    assert kind_of_failure(error) == kind


def test_a_rate_limit_rests_at_once_for_as_long_as_the_provider_asks():
    health = Health(clock=lambda: 0.0)
    health.failed("a", ApiError(429, {"retry-after": "120"}))
    assert health.of("a").rests_s == 120
    health.failed("b", ApiError(429, {"retry-after": "soon"}))
    assert health.of("b").rests_s == 30


def test_a_bad_request_is_no_fault_of_the_tier():
    health = Health(clock=lambda: 0.0)
    for _ in range(10):
        health.failed("a", ApiError(400))
    assert not health.rests("a")


@given(share=st.floats(0, 1), n=st.integers(1, 500))
def test_an_interval_of_a_share_holds_the_share_and_narrows(share, n):
    low, high = wilson_interval(share, n)
    wider = wilson_interval(share, n)
    assert 0 <= low <= share + 1e-9
    assert share - 1e-9 <= high <= 1
    assert wilson_interval(share, 4 * n)[1] - wilson_interval(share, 4 * n)[0] <= wider[1] - wider[0] + 1e-9


def test_labels_age_and_then_no_longer_keep_a_tier_down():
    now = [0.0]
    feedback = Feedback(clock=lambda: now[0], floor=0.9, memory_s=100)
    for _ in range(19):
        feedback.add("a", 0.0, 0.9)
    assert not feedback.is_below_floor("a")
    feedback.add("a", 0.0, 0.9)
    assert feedback.is_below_floor("a")
    now[0] = 101.0
    assert not feedback.is_below_floor("a")
    assert feedback.of("a").labels == 0


def test_a_tier_that_may_still_reach_the_floor_is_not_put_to_rest():
    feedback = Feedback(clock=lambda: 0.0, floor=0.85)
    for number in range(20):
        feedback.add("a", float(number % 5 > 0), 0.9)
    found = feedback.of("a")
    assert found.quality == 0.8
    assert found.low < 0.85 < found.high
    assert not feedback.is_below_floor("a")


@given(
    first=st.lists(st.floats(-1, 1), min_size=1, max_size=30),
    second=st.lists(st.floats(-1, 1), min_size=1, max_size=30),
)
def test_the_distance_of_samples_is_the_greatest_gap_between_their_distributions(first, second):
    distance, p = kolmogorov_smirnov(sorted(first), sorted(second))
    points = [*first, *second]

    def share(sample, x):
        return sum(value <= x for value in sample) / len(sample)

    assert distance == pytest.approx(max(abs(share(first, x) - share(second, x)) for x in points))
    assert 0 <= p <= 1


def test_drift_of_scores_is_seen_and_its_absence_too():
    rng = random.Random(0)
    alarms = 0
    for _ in range(40):
        watch = DriftWatch(window=200, alpha=0.01)
        for _ in range(400):
            watch.saw(rng.gauss(0, 1))
        alarms += watch.test().has_drifted
    assert alarms <= 3
    watch = DriftWatch([rng.gauss(0, 1) for _ in range(500)], window=200)
    assert watch.test().score_p is None
    for _ in range(200):
        watch.saw(rng.gauss(0.8, 1))
    found = watch.test()
    assert found.has_drifted
    assert "drifted" in str(found)


def test_drift_of_outcomes_is_seen():
    watch = DriftWatch()
    for _ in range(100):
        watch.labelled(0.9, 1.0 if _ % 10 else 0.0)
    assert not watch.test().has_drifted
    for _ in range(60):
        watch.labelled(0.9, 0.0)
    assert watch.test().has_drifted
    assert watch.test().outcome_gap < 0


SMALL = Tier(name="small", model="s", price=("1", "1"), quality=0.6)
LARGE = Tier(name="large", model="l", price=("10", "10"), quality=0.9)
amounts = st.decimals(min_value=0, max_value=10, places=6)


class Paid:
    def __init__(self, cost_usd, score=-1.0):
        self.cost_usd, self.score = cost_usd, score

    def assess(self, request, tiers):
        return Assessment(name="paid", score=self.score, cost_usd=self.cost_usd)


@given(
    calls=st.lists(st.tuples(st.sampled_from(["answer", "draft", "judge", "router"]), amounts), max_size=20),
    fee=amounts,
)
def test_the_net_saving_is_the_counterfactual_minus_all_that_was_paid(calls, fee):
    made = Router([SMALL, LARGE], classifier=Paid(fee), policy=Threshold(0.5))
    paid = Decimal(0)
    counterfactual = Decimal(0)
    for kind, amount in calls:
        route = made.decide("q")
        made.report(route, cost_usd=amount, kind=kind)
        paid += amount + fee
        counterfactual += route.counterfactual_usd if kind == "answer" else 0
    stats = made.stats()
    assert stats.net_saving_usd == counterfactual - paid
    assert (stats.net_saving_usd < 0) == ("cost more than it saved" in str(stats))


def test_a_router_whose_own_cost_exceeds_its_saving_reports_a_loss():
    made = Router([SMALL, LARGE], classifier=Paid(Decimal("0.02")), policy=Threshold(0.5))
    for _ in range(10):
        made.report(made.decide("q"), usage=Usage(input_tokens=100, output_tokens=100))
    stats = made.stats()
    assert stats.counterfactual_usd == Decimal("0.02")
    assert stats.routed_usd == Decimal("0.002")
    assert stats.router_usd == Decimal("0.2")
    assert stats.net_saving_usd == Decimal("-0.182")
    assert stats.net_saving_share == pytest.approx(-9.1)
    assert "dearest tier alone would have been cheaper" in str(stats)
    assert "net saving" in stats._repr_html_()
    assert stats.__rich__() is not None


def test_the_counterfactual_is_the_call_as_it_was_in_the_dearest_tier():
    made = Router([SMALL, LARGE], classifier=Paid(Decimal(0)), policy=Threshold(0.5))
    assert made.report(made.decide("q"), usage=Usage(input_tokens=1000, output_tokens=200)) == Decimal(
        "0.0108"
    )
    dear = Router([SMALL, LARGE], classifier=Paid(Decimal(0), 0.9), policy=Threshold(0.5))
    assert dear.report(dear.decide("q"), usage=Usage(input_tokens=1000, output_tokens=200)) == 0


def test_a_decision_whose_price_is_unknown_is_counted_and_not_taken_for_free():
    made = Router([SMALL, LARGE], classifier=Paid(None), policy=Threshold(0.5))
    made.decide("q")
    assert made.stats().unpriced_calls == 1
    assert "no known price" in str(made.stats())


def test_empty_statistics_draw_themselves():
    assert RouterStats().net_saving_share is None
    assert RouterStats().escalation_rate is None
    assert "0 decisions" in str(RouterStats())
    json.dumps(RouterStats()._repr_html_())


def test_many_escalations_say_that_the_classifier_wants_retraining():
    many = RouterStats(cascades=100, escalations=31)
    assert many.wants_retraining
    assert "fit the classifier anew" in str(many)
    assert not RouterStats(cascades=100, escalations=30).wants_retraining
    assert not RouterStats(cascades=10, escalations=9).wants_retraining


@pytest.mark.parametrize(
    "make",
    [
        lambda: Health(rest_s=0),
        lambda: Health(patience=0),
        lambda: DriftWatch(window=5),
        lambda: DriftWatch(alpha=0),
        lambda: Feedback(clock=lambda: 0.0, rate=-1),
        lambda: Stickiness(payback_calls=0),
    ],
)
def test_settings_out_of_range_are_refused(make):
    with pytest.raises(ConfigurationError):
        make()
