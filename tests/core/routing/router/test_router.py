"""A router sends a request only where it can be served, and never fails for reasons of its own."""

from __future__ import annotations

import asyncio
import json
import math
import random
import threading
from collections import Counter
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tokenomics_core.errors import BudgetExceededError, ConfigurationError
from tokenomics_core.pricing import PriceBook
from tokenomics_core.routing import (
    ABTest,
    Assessment,
    Route,
    Router,
    RouteRequest,
    TargetQuality,
    Threshold,
    Tier,
    effort_tiers,
    last_ask,
)
from tokenomics_core.routing.policies import (
    AnswerValue,
    CheapestGoodEnough,
    TargetCost,
    TargetShare,
)
from tokenomics_core.types import Usage

SMALL = Tier(name="small", model="s", price=("0.5", "0.5"), quality=0.6)
LARGE = Tier(name="large", model="l", price=("10", "30"), quality=0.9)


class Fixed:
    """Says the same of every request."""

    def __init__(self, score=0.3, **chances):
        self.score, self.chances = score, chances
        self.asked = 0

    def assess(self, request, tiers):
        self.asked += 1
        return Assessment(name="fixed", score=self.score, probabilities=self.chances)


class Broken:
    def assess(self, request, tiers):
        raise RuntimeError("no weights")


def router(*tiers, **settings):
    settings.setdefault("rng", random.Random(7))
    settings.setdefault("clock", lambda: 0.0)
    return Router(tiers or (SMALL, LARGE), **settings)


names = st.sampled_from(["tools", "images", "json_schema"])
prices = st.decimals(min_value="0.01", max_value="100", places=2)
tier_values = st.builds(
    dict,
    price=st.one_of(st.none(), st.tuples(prices, prices)),
    window=st.one_of(st.none(), st.integers(100, 20_000)),
    capabilities=st.one_of(st.none(), st.frozensets(names)),
    quality=st.one_of(st.none(), st.floats(0, 1)),
)
policies = st.sampled_from(
    [
        lambda: Threshold(0.2),
        lambda: TargetQuality(0.9),
        lambda: AnswerValue("0.01"),
        lambda: CheapestGoodEnough(0.7),
    ]
)


@settings(max_examples=150)
@given(
    values=st.lists(tier_values, min_size=1, max_size=4),
    needs=st.frozensets(names),
    input_tokens=st.integers(0, 30_000),
    max_output_tokens=st.one_of(st.none(), st.integers(1, 5_000)),
    limit=st.one_of(st.none(), st.decimals(min_value=0, max_value="0.2", places=4)),
    make_policy=policies,
    score=st.one_of(st.none(), st.floats(-1, 1)),
    explore=st.sampled_from([0.0, 0.5, 1.0]),
    broken=st.booleans(),
)
def test_no_decision_lacks_a_capability_passes_a_window_or_a_limit(
    values, needs, input_tokens, max_output_tokens, limit, make_policy, score, explore, broken
):
    tiers = [Tier(name=f"t{number}", model=f"m{number}", **value) for number, value in enumerate(values)]
    book = PriceBook()
    classifier = Broken() if broken else Fixed(score)
    made = Router(
        tiers, classifier=classifier, policy=make_policy(), prices=book, explore=explore, rng=random.Random(1)
    )
    request = RouteRequest(
        question="q",
        needs=needs,
        input_tokens=input_tokens,
        max_output_tokens=max_output_tokens,
        max_cost_usd=limit,
    )
    room = 256 if max_output_tokens is None else max_output_tokens

    def can(tier):
        able = tier.capabilities is None or needs <= tier.capabilities
        return able and (tier.window is None or input_tokens + room <= tier.window)

    def cost(tier):
        if tier.price is None:
            return None
        return (Decimal(input_tokens) * tier.price[0] + Decimal(room) * tier.price[1]) / 1_000_000

    able = [tier for tier in tiers if can(tier)]
    within = [tier for tier in able if limit is None or (cost(tier) is not None and cost(tier) <= limit)]
    if not able:
        with pytest.raises(ConfigurationError, match="nothing was sent"):
            made.decide(request)
    elif not within:
        with pytest.raises(BudgetExceededError):
            made.decide(request)
    else:
        route = made.decide(request)
        assert route.tier in within
        assert set(route.fallbacks) <= set(within) - {route.tier}
        assert 0 < route.propensity <= 1
        assert "\n" not in route.line()


@given(seed=st.integers(0, 2**32), scores=st.lists(st.floats(-1, 1), min_size=1, max_size=20))
def test_decisions_repeat_with_the_same_source_of_randomness_and_clock(seed, scores):
    def run():
        made = router(rng=random.Random(seed), explore=0.3, policy=Threshold(0.1))
        lines = []
        for score in scores:
            made.classifier = Fixed(score, small=0.5, large=0.8)
            lines.append(made.decide("q").line())
        return lines

    assert run() == run()


async def test_the_async_decision_is_the_same_and_only_then_is_a_model_awaited():
    class Asking(Fixed):
        async def aassess(self, request, tiers):
            await asyncio.sleep(0)
            return self.assess(request, tiers)

    one, other = router(classifier=Asking(0.5)), router(classifier=Asking(0.5))
    assert one.decide("q") == await other.adecide("q")
    assert other.classifier.asked == 1
    plain = router(classifier=Fixed(0.5))
    assert (await plain.adecide("q")).tier == plain.decide("q").tier


def test_threads_share_a_router_and_every_decision_is_counted_once():
    made = router(classifier=Fixed(0.3, small=0.6, large=0.9), explore=0.5)
    ids, barrier = [], threading.Barrier(8)

    def work():
        barrier.wait()
        for _ in range(100):
            route = made.decide("q")
            made.report(route, usage=Usage(input_tokens=10, output_tokens=5))
            made.feedback(route, True)
            ids.append(route.id)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    stats = made.stats()
    assert len(set(ids)) == 800
    assert stats.decisions == 800
    assert sum(tier.answers for tier in stats.tiers.values()) == 800
    assert sum(tier.labels for tier in stats.tiers.values()) == 800


def test_a_failing_classifier_sends_to_the_safe_tier_and_says_so(caplog):
    made = router(classifier=Broken(), safe_tier="small")
    route = made.decide("q")
    assert route.tier is SMALL
    assert route.policy == "fail_open"
    assert "RuntimeError" in route.line()
    assert made.stats().failed_open == 1
    assert "failed open" in caplog.text


def test_a_failing_policy_or_one_that_points_nowhere_sends_to_the_safe_tier():
    class Nowhere:
        name = "nowhere"

        def choose(self, assessment, candidates, request, state):
            return 9, ()

    class Raising(Nowhere):
        def choose(self, assessment, candidates, request, state):
            raise KeyError("x")

    for policy in (Nowhere(), Raising()):
        assert router(policy=policy).decide("q").tier is LARGE


@pytest.mark.parametrize(
    "wrong",
    [
        {"score": math.nan},
        {"score": math.inf},
        {"score": 0.1, "probabilities": {"small": math.nan, "large": 0.9}},
        {"score": 0.1, "probabilities": {"small": 1.5, "large": 0.9}},
    ],
)
def test_a_classifier_that_says_what_is_no_chance_has_failed(wrong):
    class Broken:
        def assess(self, request, tiers):
            return Assessment(name="broken", **wrong)

    made = router(classifier=Broken(), policy=Threshold(0.5))
    route = made.decide("q")
    assert (route.tier, route.policy) == (LARGE, "fail_open")
    assert made.stats().failed_open == 1


def test_a_classifier_that_was_paid_is_booked_though_its_word_was_no_use():
    class Paid:
        def assess(self, request, tiers):
            return Assessment(name="paid", score=math.nan, cost_usd=Decimal("0.01"))

    made = router(classifier=Paid(), policy=Threshold(0.5))
    assert made.decide("q").router_usd == Decimal("0.01")
    assert made.stats().router_usd == Decimal("0.01")


def test_failing_prices_leave_a_decision_with_unknown_cost():
    class Down:
        def cost(self, usage, model, provider=None, at=None):
            raise OSError("price service")

    made = Router(
        [Tier(name="a", model="x"), Tier(name="b", model="y")],
        prices=Down(),
        classifier=Fixed(),
        policy=Threshold(0.1),
    )
    route = made.decide("q")
    assert route.tier.name == "b"
    assert route.cost_usd is None
    assert route.counterfactual_usd is None
    assert made.report(route, cost_usd=Decimal("0.1")) is None
    assert made.report(route, usage=Usage(input_tokens=1, output_tokens=1)) is None
    assert made.stats().unpriced_calls == 2


def test_a_prompt_too_long_for_the_small_tier_goes_up_whole():
    tight = Tier(name="small", model="s", window=1000, price=("0.5", "0.5"), quality=0.9)
    made = router(tight, LARGE)
    assert made.decide(RouteRequest(question="short")).tier is tight
    assert made.decide(RouteRequest(question="word " * 2000)).tier is LARGE
    assert made.decide(RouteRequest(question="字" * 1200)).tier is LARGE
    with pytest.raises(ConfigurationError, match="window of 1000 tokens"):
        router(tight).decide(RouteRequest(question="word " * 2000))


def test_what_goes_along_counts_for_the_size_and_for_nothing_else():
    seen = []

    class Watching(Fixed):
        def assess(self, request, tiers):
            seen.append((request.question, request.history))
            return super().assess(request, tiers)

    short = Tier(name="small", model="s", price=("1", "1"), window=2_000, quality=0.9)
    made = router(short, LARGE, policy=Threshold(0.5), classifier=Watching(0.0))
    assert made.decide(RouteRequest(question="q", around="word " * 100)).tier is short
    assert made.decide(RouteRequest(question="q", around="word " * 5_000)).tier is LARGE
    assert seen == [("q", ())] * 2


def test_offered_tools_need_a_tier_with_tools():
    plain = Tier(name="small", model="s", capabilities=frozenset(), quality=0.9, price=("1", "1"))
    assert router(plain, LARGE).decide(RouteRequest(question="q", tools=("search",))).tier is LARGE


def test_a_language_that_a_tier_does_not_understand_goes_past_it():
    english = Tier(name="small", model="s", languages=frozenset({"en"}), quality=0.9, price=("1", "1"))
    assert router(english, LARGE).decide(RouteRequest(question="q", language="de")).tier is LARGE
    assert router(english, LARGE).decide(RouteRequest(question="q", language="en")).tier is english


def test_a_tier_dearer_and_worse_is_named_and_left_out_where_the_other_can_serve():
    bad = Tier(name="bad", model="b", price=("20", "40"), quality=0.7)
    made = router(SMALL, bad, LARGE, policy=Threshold({"bad": 0.1, "large": 0.9}), classifier=Fixed(0.5))
    assert len(made.warnings) == 1
    assert "bad is dearer and worse than large: $20.000 against $10.000" in made.warnings[0]
    assert made.decide("q").tier is not bad
    only = Tier(name="bad", model="b", price=("20", "40"), quality=0.5, capabilities=frozenset({"images"}))
    blind = Tier(name="large", model="l", price=("10", "30"), quality=0.9, capabilities=frozenset())
    assert router(only, blind).decide(RouteRequest(question="q", needs=frozenset({"images"}))).tier is only


def test_tiers_of_one_price_are_not_called_worse_for_their_place():
    efforts = effort_tiers(Tier(name="m", model="m", price=("1", "4")), {"low": 100, "high": 2000})
    made = Router(efforts, classifier=Fixed(0.0), policy=Threshold(0.2))
    assert made.warnings == ()
    route = made.decide("q")
    assert (route.tier.name, route.tier.effort) == ("m/low", "low")
    assert route.counterfactual_usd > route.cost_usd


def test_a_budget_that_says_downgrade_lowers_the_tier_but_never_the_capability():
    middle = Tier(name="middle", model="m", price=("2", "4"), quality=0.8)
    made = router(
        SMALL, middle, LARGE, policy=Threshold({"middle": 0.1, "large": 0.2}), classifier=Fixed(0.9)
    )
    assert made.decide("q").tier is LARGE
    assert made.decide(RouteRequest(question="q", downgrade_to="middle")).tier is middle
    assert made.decide(RouteRequest(question="q", downgrade_to="m")).tier is middle
    assert made.decide(RouteRequest(question="q", downgrade_to="unheard of")).tier is SMALL
    plain = Tier(name="small", model="s", capabilities=frozenset(), price=("1", "1"))
    able = router(plain, LARGE, classifier=Fixed(0.9))
    assert (
        able.decide(RouteRequest(question="q", needs=frozenset({"tools"}), downgrade_to="small")).tier
        is LARGE
    )


def test_an_error_leads_to_no_tier_above_the_one_that_a_budget_allows():
    middle = Tier(name="middle", model="m", price=("2", "4"), quality=0.8)
    made = router(SMALL, middle, LARGE, policy=Threshold(0.2), classifier=Fixed(0.9))
    route = made.decide(RouteRequest(question="q", downgrade_to="middle"))
    assert [tier.name for tier in route.fallbacks] == ["small"]
    last = made.next_tier(route, "boom")
    assert last.tier is SMALL
    assert made.next_tier(last, "boom") is None


def test_after_an_error_a_tier_that_another_makes_pointless_comes_last():
    bad = Tier(name="bad", model="b", price=("20", "40"), quality=0.7)
    made = router(SMALL, bad, LARGE, policy=Threshold(0.5), classifier=Fixed(0.0))
    assert [tier.name for tier in made.decide("q").fallbacks] == ["large", "bad"]


def test_a_quality_floor_takes_the_cheapest_tier_that_reaches_it_within_the_limit():
    middle = Tier(name="middle", model="m", price=("2", "4"), quality=0.8)
    made = router(SMALL, middle, LARGE)
    assert made.decide(RouteRequest(question="q", quality_floor=0.5)).tier is SMALL
    assert made.decide(RouteRequest(question="q", quality_floor=0.7)).tier is middle
    assert made.decide(RouteRequest(question="q", quality_floor=0.95)).tier is LARGE
    limited = RouteRequest(question="q", quality_floor=0.95, max_cost_usd=Decimal("0.002"))
    assert made.decide(limited).tier is middle


def test_a_limit_counts_the_longest_answer_that_was_allowed():
    made = router(policy=Threshold(-1.0), classifier=Fixed(1.0))
    request = {"question": "q", "input_tokens": 0, "max_cost_usd": "0.01"}
    assert made.decide(RouteRequest(**request)).tier is LARGE
    assert made.decide(RouteRequest(**request, max_output_tokens=1000)).tier is SMALL


def test_one_ask_gets_one_decision_however_many_calls_it_takes():
    classifier = Fixed(0.0, small=0.5, large=0.6)
    made = router(classifier=classifier, policy=Threshold(0.2))
    first = made.decide(RouteRequest(question="q", conversation="c", turn="1"))
    classifier.score = 0.9
    again = made.decide(RouteRequest(question="tool says 42", conversation="c", turn="1", input_tokens=5000))
    assert again.tier is first.tier is SMALL
    assert again.id == first.id
    assert again.cost_usd > first.cost_usd
    assert classifier.asked == 1
    assert made.decide(RouteRequest(question="q", conversation="c", turn="2")).tier is LARGE
    assert made.decide(RouteRequest(question="q", conversation="other", turn="1")).tier is LARGE
    assert made.stats().sticky == 1
    assert made.stats().decisions == 3


def test_an_ask_that_begins_anew_is_decided_anew_whatever_became_of_an_earlier_one_of_its_name():
    made = router(policy=Threshold(0.5), classifier=Fixed(0.0))
    first = made.decide(RouteRequest(question="q", turn="t", begins_turn=True))
    made.redirect(first, LARGE, "its answer was rejected")
    assert made.decide(RouteRequest(question="q", turn="t")).tier is LARGE
    second = made.decide(RouteRequest(question="q", turn="t", begins_turn=True))
    assert second.tier is SMALL
    assert second.id != first.id
    assert made.decide(RouteRequest(question="q", turn="t")).id == second.id


def test_a_sticky_tier_gives_way_where_it_can_no_longer_serve():
    tight = Tier(name="small", model="s", window=1000, price=("0.5", "0.5"), quality=0.9)
    made = router(tight, LARGE)
    assert made.decide(RouteRequest(question="q", turn="1")).tier is tight
    assert made.decide(RouteRequest(question="q", turn="1", input_tokens=2000)).tier is LARGE


def test_a_budget_that_runs_low_within_an_ask_lowers_its_tier_all_the_same():
    made = router(classifier=Fixed(0.9), policy=Threshold(0.2))
    assert made.decide(RouteRequest(question="q", turn="1")).tier is LARGE
    assert made.decide(RouteRequest(question="q", turn="1", downgrade_to="small")).tier is SMALL


def test_a_switch_down_has_to_earn_back_the_warm_cache_it_leaves():
    dear = Tier(name="large", model="l", price=("10", "0.1", "30"), quality=0.9)
    small = Tier(name="small", model="s", price=("2", "2"), quality=0.6)
    made = router(small, dear, classifier=Fixed(0.0), policy=Threshold(0.5))
    warm = RouteRequest(question="q", input_tokens=50_000, current_tier="large", cached_tokens=50_000)
    kept = made.decide(warm)
    assert kept.tier is dear
    assert "warm cache" in kept.line()
    assert made.stats().kept_warm == 1
    cold = RouteRequest(question="q", input_tokens=50_000, current_tier="large", cached_tokens=0)
    assert made.decide(cold).tier is small
    little = RouteRequest(question="q", input_tokens=50_000, current_tier="large", cached_tokens=1_000)
    assert made.decide(little).tier is small


def test_leaving_a_warm_cache_is_booked_as_its_own_cost_and_never_as_a_saving():
    dear = Tier(name="large", model="l", price=("10", "1", "30"), quality=0.9)
    small = Tier(name="small", model="s", price=("5", "0.5", "5"), quality=0.6)
    made = router(small, dear, classifier=Fixed(0.9), policy=Threshold(0.5))
    request = RouteRequest(question="q", input_tokens=10_000, current_tier="small", cached_tokens=10_000)
    route = made.decide(request)
    assert route.tier is dear
    assert route.cold_cache_usd == Decimal("0.09")
    saved = made.report(route, usage=Usage(input_tokens=10_000, output_tokens=0))
    stats = made.stats()
    assert stats.cold_caches_usd == Decimal("0.09")
    assert stats.net_saving_usd == saved == Decimal("-0.09")


def test_what_is_saved_by_leaving_the_dearest_tier_is_measured_against_its_warm_cache():
    dear = Tier(name="large", model="l", price=("10", "1", "30"), quality=0.9)
    made = router(SMALL, dear, classifier=Fixed(0.0), policy=Threshold(0.5))
    request = RouteRequest(question="q", input_tokens=10_000, current_tier="large", cached_tokens=10_000)
    route = made.decide(request)
    assert route.tier is SMALL
    saved = made.report(route, usage=Usage(input_tokens=10_000, output_tokens=0))
    assert saved == Decimal("0.01") - Decimal("0.005")


def test_a_conversation_remembers_what_its_provider_reported_as_cached():
    now = [0.0]
    dear = Tier(name="large", model="l", price=("10", "0.1", "30"), quality=0.9)
    small = Tier(name="small", model="s", price=("2", "2"), quality=0.6)
    classifier = Fixed(0.9)
    made = Router([small, dear], classifier=classifier, policy=Threshold(0.5), clock=lambda: now[0])
    first = made.decide(RouteRequest(question="q", conversation="c", input_tokens=50_000))
    made.report(first, usage=Usage(input_tokens=50_000, output_tokens=10, cache_write_tokens=50_000))
    classifier.score = 0.0
    assert made.decide(RouteRequest(question="q", conversation="c", input_tokens=50_000)).tier is dear
    now[0] = 301.0
    assert made.decide(RouteRequest(question="q", conversation="c", input_tokens=50_000)).tier is small


def test_errors_lead_to_the_next_capable_tier_and_the_ask_stays_there():
    middle = Tier(name="middle", model="m", price=("2", "4"), quality=0.8)
    made = router(
        SMALL, middle, LARGE, classifier=Fixed(0.0), policy=Threshold({"middle": 0.1, "large": 0.2})
    )
    first = made.decide(RouteRequest(question="q", turn="1"))
    second = made.next_tier(first, TimeoutError("slow"))
    assert (first.tier, second.tier) == (SMALL, middle)
    assert second.id == first.id
    assert second.cost_usd == Decimal("0.001026")
    assert made.decide(RouteRequest(question="q", turn="1")).tier is middle
    third = made.next_tier(second, RuntimeError("down"))
    assert third.tier is LARGE
    assert made.next_tier(third, "down") is None
    assert made.stats().tiers["small"].errors == 1


def test_an_error_told_by_report_and_by_next_tier_counts_once():
    made = router()
    route = made.decide("q")
    made.report(route, error=RuntimeError("down"))
    made.next_tier(route, RuntimeError("down"))
    assert made.health(route.tier.name).failures == 1


def test_a_resting_tier_is_left_out_until_its_rest_is_over():
    now = [0.0]
    made = Router([SMALL, LARGE], policy=CheapestGoodEnough(0.5), clock=lambda: now[0])
    route = made.decide("q")
    assert route.tier is SMALL
    made.report(route, error="429 Too Many Requests")
    resting = made.decide("q")
    assert resting.tier is LARGE
    assert "resting" in resting.line()
    now[0] = 31.0
    assert made.decide("q").tier is SMALL


def test_a_tier_below_the_quality_floor_by_feedback_is_left_out():
    made = router(policy=CheapestGoodEnough(0.1), quality_floor=0.8)
    for _ in range(30):
        route = made.decide("q")
        if route.tier is SMALL:
            made.feedback(route.id, False)
    assert made.decide("q").tier is LARGE
    assert made.feedback_of("small").quality == 0.0
    assert made.feedback("unheard of", True) is False


def test_feedback_moves_the_chances_of_a_tier():
    made = router(policy=CheapestGoodEnough(0.0), learning_rate=0.5)
    before = made.decide("q").probability
    for _ in range(20):
        made.feedback(made.decide("q"), 0)
    assert made.decide("q").probability < before - 0.2
    still = router(policy=CheapestGoodEnough(0.0), learning_rate=0.0)
    for _ in range(20):
        still.feedback(still.decide("q"), 0)
    assert still.decide("q").probability == before


def test_exploration_logs_the_chance_with_which_each_tier_was_taken():
    made = router(classifier=Fixed(0.0, small=0.5, large=0.9), policy=Threshold(0.5), explore=0.4)
    seen = Counter()
    weights = Counter()
    for _ in range(4000):
        route = made.decide("q")
        seen[route.tier.name] += 1
        weights[route.tier.name] += 1 / route.propensity
        assert route.propensity == pytest.approx(0.8 if route.tier is SMALL else 0.2)
    assert seen["large"] / 4000 == pytest.approx(0.2, abs=0.03)
    assert weights["large"] / 4000 == pytest.approx(1.0, abs=0.12)
    assert made.stats().explored == pytest.approx(1600, abs=150)


def test_shadow_mode_serves_one_tier_and_notes_what_would_have_been():
    made = router(
        classifier=Fixed(0.0, small=0.5, large=0.9), policy=Threshold(0.5), shadow="large", explore=1.0
    )
    route = made.decide("q")
    assert (route.tier, route.shadow, route.propensity) == (LARGE, "small", 1.0)
    stats = made.stats()
    assert stats.shadow_differs == 1
    assert stats.shadow_usd < route.cost_usd
    assert "would have gone elsewhere" in str(stats)


@given(share=st.floats(0.05, 0.95), salt=st.text(max_size=5))
def test_a_split_by_hash_is_stable_and_about_as_large_as_asked(share, salt):
    test = ABTest(holdout=share, policies={"b": Threshold(0.0)}, salt=salt)
    arms = [test.arm(RouteRequest(question=f"q{number}")) for number in range(1000)]
    assert arms == [test.arm(RouteRequest(question=f"q{number}")) for number in range(1000)]
    assert Counter(arms)["holdout"] / 1000 == pytest.approx(share, abs=0.08)
    assert Counter(arms)["b"] / 1000 == pytest.approx((1 - share) / 2, abs=0.08)
    keys = {test.arm(RouteRequest(question=f"q{number}", conversation="c")) for number in range(20)}
    assert len(keys) == 1


def test_the_arms_of_a_test_get_their_policies_and_the_holdout_the_safe_tier():
    test = ABTest(holdout=0.3, policies={"all_small": Threshold(1.0)})
    made = router(classifier=Fixed(0.5), policy=Threshold(0.0), holdout=test, safe_tier="large")
    by_arm = {}
    for number in range(200):
        route = made.decide(f"q{number}")
        by_arm.setdefault(route.arm, set()).add((route.tier.name, route.policy))
    assert by_arm == {
        "holdout": {("large", "none")},
        "treatment": {("large", "threshold")},
        "all_small": {("small", "threshold")},
    }


def test_requests_unlike_anything_learned_from_go_to_the_safe_tier_if_so_set():
    class Lost(Fixed):
        def assess(self, request, tiers):
            return Assessment(name="lost", score=-0.5, out_of_domain=True)

    assert router(classifier=Lost(), policy=Threshold(0.0)).decide("q").tier is SMALL
    safe = router(classifier=Lost(), policy=Threshold(0.0), out_of_domain="safe")
    route = safe.decide("q")
    assert route.tier is LARGE
    assert route.out_of_domain
    assert safe.stats().out_of_domain == 1


@pytest.mark.parametrize("policy", [TargetShare, TargetQuality, TargetCost])
def test_what_a_router_learned_outlives_it(policy):
    made = router(policy=policy(0.5), classifier=Fixed(0.4))
    for _ in range(30):
        route = made.decide("q")
        made.report(route, usage=Usage(input_tokens=10, output_tokens=900))
        made.feedback(route, False)
    state = json.loads(json.dumps(made.state()))
    fresh = router(policy=policy(0.5), classifier=Fixed(0.4))
    assert fresh.state() != made.state()
    fresh.restore(state)
    assert fresh.state() == made.state()
    assert fresh.decide("q").cost_usd == made.decide("q").cost_usd
    assert fresh.decide("q").probabilities == made.decide("q").probabilities


@pytest.mark.parametrize(
    "damage",
    [
        {"version": 2},
        {"policies": {"treatment": {"policy": "threshold", "level": 0.1}}},
        {"policies": {"treatment": {"policy": "target_share", "level": math.nan}}},
        {"output_tokens": {"small": "many"}},
        {"shifts": None},
    ],
)
def test_a_state_that_is_none_is_refused_and_changes_nothing(damage):
    made = router(policy=TargetShare(0.3), classifier=Fixed(0.4))
    before = made.state()
    with pytest.raises(ConfigurationError):
        made.restore({**before, **damage})
    assert made.state() == before


def test_reports_teach_how_long_answers_are():
    made = router()
    before = made.decide("q").cost_usd
    for _ in range(60):
        made.report(made.decide("q"), usage=Usage(input_tokens=5, output_tokens=4000))
    assert made.decide("q").cost_usd > 5 * before


def test_without_a_classifier_the_shipped_one_judges_unless_every_quality_is_stated():
    plain = Router([Tier(name="a", model="x", price=("1", "1")), Tier(name="b", model="y", price=("9", "9"))])
    route = plain.decide("What is the capital of France?")
    assert route.classifier == "difficulty"
    assert set(route.probabilities) == {"a", "b"}
    assert router().decide("q").classifier == "none"


def test_a_decision_becomes_metadata_of_plain_values_and_one_log_line(caplog):
    caplog.set_level("INFO", logger="tokenomics_core.routing")
    route = router(classifier=Fixed(0.25, small=0.5, large=0.75)).decide("q")
    values = route.as_metadata()
    assert all(isinstance(value, (str, float, bool, type(None))) for value in values.values())
    assert values["route_tier"] == route.tier.name
    assert [record.message for record in caplog.records] == [route.line()]


@pytest.mark.parametrize(
    ("tiers", "words"),
    [
        ([], "at least one tier"),
        ([SMALL, SMALL], "two tiers are called 'small'"),
        ([Tier(name="a", model="m", window=100, max_output=200)], "writes 200 tokens in a window of 100"),
        ([Tier(name="a", model="m", quality=0.1), Tier(name="b", model="m", quality=0.2)], "the same model"),
        (["gpt"], "must be Tier objects"),
    ],
)
def test_tiers_that_contradict_each_other_are_refused(tiers, words):
    with pytest.raises(ConfigurationError, match=words):
        Router(tiers)


@pytest.mark.parametrize(
    "wrong",
    [
        {"safe_tier": "huge"},
        {"shadow": "huge"},
        {"explore": 1.5},
        {"holdout": -0.1},
        {"out_of_domain": "guess"},
        {"usual_output_tokens": 0},
        {"quality_floor": 2.0},
    ],
)
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(ConfigurationError):
        router(**wrong)


@pytest.mark.parametrize(
    "wrong",
    [
        {"question": None},
        {"question": "q", "max_cost_usd": "-1"},
        {"question": "q", "max_cost_usd": "much"},
        {"question": "q", "quality_floor": 1.2},
        {"question": "q", "input_tokens": -1},
        {"question": "q", "max_output_tokens": 2.5},
    ],
)
def test_requests_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ConfigurationError):
        RouteRequest(**wrong)


def test_what_is_neither_text_nor_a_request_is_refused():
    with pytest.raises(ConfigurationError, match="nothing was routed"):
        router().decide(["q"])


def test_a_label_out_of_range_is_refused():
    made = router()
    with pytest.raises(ConfigurationError, match="nothing was learned"):
        made.feedback(made.decide("q"), 3)


def test_a_redirect_to_a_tier_that_is_no_fallback_is_refused():
    made = router()
    with pytest.raises(ConfigurationError, match="no fallback"):
        made.redirect(made.decide("q"), Tier(name="x", model="x"), "why")


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": ""},
        {"model": " "},
        {"window": 0},
        {"quality": 1.5},
        {"price": ("1",)},
        {"price": "1,2"},
        {"input_factor": 0},
        {"capabilities": "tools"},
    ],
)
def test_a_tier_that_makes_no_sense_is_refused(wrong):
    with pytest.raises(ConfigurationError):
        Tier(**{"name": "a", "model": "m", **wrong})


def test_the_last_ask_is_the_humans_and_not_a_tools():
    messages = [("system", "s"), ("user", "why?"), ("assistant", "calls"), ("tool", "42")]
    assert last_ask(messages) == "why?"
    assert last_ask([("system", "s")]) == ""


def test_a_route_is_a_value_that_can_be_hashed_and_compared():
    made = router()
    route = made.decide("q")
    assert isinstance(route, Route)
    assert hash(route) == hash(route)
    assert route != made.decide("q")


def test_a_self_hosted_tier_is_priced_by_the_gpu_hour():
    own = Tier(name="own", model="o", price={"gpu_hour_usd": "3.60", "tokens_per_s": 1000}, quality=0.7)
    route = router(own, LARGE).decide(RouteRequest(question="q", input_tokens=744))
    assert {own.name, LARGE.name} == {route.tier.name, route.fallbacks[0].name}
    made = router(own)
    assert made.decide(RouteRequest(question="q", input_tokens=744)).cost_usd == Decimal("0.001")
