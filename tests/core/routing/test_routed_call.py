"""What is credited to a call, and taken back from the next, adds up to the dearest tier's cost."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenomics_core.routing import Assessment, RoutedCall, Router, Threshold, Tier
from tokenomics_core.types import Usage

CHEAP = Tier(name="cheap", model="small", price=("1", "2"))
DEAR = Tier(name="dear", model="large", price=("10", "20"))
PRICES = {"cheap": (1, 2), "dear": (10, 20)}

counts = st.integers(0, 5_000)
usages = st.builds(lambda i, o: Usage(input_tokens=i, output_tokens=o), counts, counts)


class Never:
    """Finds nothing hard."""

    name = "never"

    def assess(self, request, tiers):
        return Assessment(name=self.name, score=0.0)


def make():
    return Router([CHEAP, DEAR], classifier=Never(), policy=Threshold(0.5))


def rejected_draft(router, usage, ledger=None):
    """Return an attempt whose record a ledger has credited, and which was then rejected."""
    call = RoutedCall(router, router.decide("What?"))
    call.saving_usd("draft", usage, bill("cheap", usage))
    if ledger is not None:
        call.credited(ledger, ledger.append)
    call.consumed(usage)
    call.rejected()
    return call


class TakenBack(list):
    """A ledger, as far as corrections go."""

    __hash__ = object.__hash__


def bill(tier, usage):
    into, out = PRICES[tier]
    return (Decimal(usage.input_tokens * into) + Decimal(usage.output_tokens * out)) / 1_000_000


@given(st.lists(usages, min_size=1, max_size=4), usages)
def test_costs_and_savings_add_up_to_the_dearest_tier_with_rejected_drafts_paid(drafts, last):
    router, paid, saved, call = make(), Decimal(0), Decimal(0), None
    for number, usage in enumerate(drafts):
        call = RoutedCall(router, router.decide("What?"), after=call)
        cost = bill("cheap", usage)
        paid, saved = paid + cost, saved + call.saving_usd(f"draft {number}", usage, cost)
        call.consumed(usage)
        call.rejected()
    call = RoutedCall(router, router.decide("What?"), after=call)
    paid += bill("cheap", last)
    saved += call.saving_usd("answer", last, bill("cheap", last))
    call.consumed(last)
    call.answered()
    assert paid + saved == bill("dear", last)
    assert router.stats().net_saving_usd == saved
    assert router.stats().drafts_usd == sum(bill("cheap", usage) for usage in drafts)


def test_a_saving_is_the_same_however_many_ledgers_ask():
    router = make()
    usage = Usage(input_tokens=100, output_tokens=10)
    draft = rejected_draft(router, usage)
    call = RoutedCall(router, router.decide("What?"), after=draft)
    first = call.saving_usd("a", usage, Decimal(0))
    assert call.saving_usd("a", usage, Decimal(0)) == first
    assert call.saving_usd("b", usage, Decimal(0)) == first + bill("dear", usage)


def test_a_failed_call_saved_nothing_and_cost_what_it_did():
    router = make()
    route = router.decide("What?")
    call = RoutedCall(router, route)
    usage = Usage(input_tokens=100, output_tokens=10)
    assert call.saving_usd("a", usage, Decimal(2), "error") == -2
    call.consumed(usage, outcome="error")
    call.failed(TimeoutError())
    stats = router.stats()
    assert call.owed_usd == 0
    assert stats.tiers["cheap"].errors == 1
    assert stats.drafts_usd == bill("cheap", usage)


def test_an_answer_from_a_cache_is_not_reported():
    router = make()
    call = RoutedCall(router, router.decide("What?"))
    call.consumed(Usage(input_tokens=100, output_tokens=10), from_cache=True)
    assert call.answered() is None
    assert router.stats().routed_usd == router.stats().unpriced_calls == 0


def test_an_abandoned_call_blames_nobody_and_books_what_it_took():
    router = make()
    call = RoutedCall(router, router.decide("What?"))
    call.abandoned()
    assert router.stats().tiers["cheap"].answers == 0
    usage = Usage(input_tokens=100, output_tokens=10)
    call.consumed(usage, outcome="cancelled")
    call.abandoned()
    assert router.stats().routed_usd == bill("cheap", usage)


def test_several_calls_of_one_answer_are_one_answer():
    router = make()
    call = RoutedCall(router, router.decide("What?"))
    for usage in (Usage(input_tokens=100), Usage(input_tokens=50, output_tokens=10)):
        call.consumed(usage)
    call.answered()
    stats = router.stats()
    assert stats.tiers["cheap"].answers == 1
    assert stats.routed_usd == bill("cheap", Usage(input_tokens=150, output_tokens=10))


def test_what_is_unpriced_has_no_saving():
    router = make()
    call = RoutedCall(router, router.decide("What?"))
    assert call.saving_usd("a", Usage(input_tokens=1), None) is None


@pytest.mark.parametrize("kind", ["rejected", "answered"])
def test_a_call_that_reported_nothing_counts_as_unpriced(kind):
    router = make()
    getattr(RoutedCall(router, router.decide("What?")), kind)()
    assert router.stats().unpriced_calls == 1


@given(usages, st.lists(st.booleans(), max_size=3), st.sampled_from(["answered", "given_up", "abandoned"]))
def test_a_credit_is_taken_back_once_whoever_fails_after_it(usage, recorded, end):
    router, ledger = make(), TakenBack()
    call, saved = rejected_draft(router, usage, ledger), bill("dear", usage) - bill("cheap", usage)
    for number, is_recorded in enumerate(recorded):  # whether anything was paid for the failure
        call = RoutedCall(router, router.decide("What?"), after=call)
        if is_recorded:
            saved += call.saving_usd(f"failed {number}", Usage(input_tokens=0), Decimal(0), "error")
        call.failed(TimeoutError())
    last = RoutedCall(router, router.decide("What?"), after=call)
    if end == "given_up":
        last.failed(TimeoutError())
    getattr(last, end)()
    assert saved - sum(ledger) == -bill("cheap", usage)


def test_a_ledger_that_credited_two_calls_is_asked_once():
    router, ledger = make(), TakenBack()
    usage = Usage(input_tokens=100, output_tokens=10)
    call = RoutedCall(router, router.decide("What?"), after=rejected_draft(router, usage, ledger))
    call.saving_usd("first step", usage, bill("cheap", usage))
    call.credited(ledger, ledger.append)
    call.consumed(usage)
    call.failed(TimeoutError())
    call.given_up()
    assert ledger == [bill("dear", usage)]


def test_a_draft_from_a_cache_that_is_rejected_saved_nothing():
    router = make()
    usage = Usage(input_tokens=100, output_tokens=10)
    draft = RoutedCall(router, router.decide("What?"))
    draft.consumed(usage, from_cache=True)
    draft.rejected()
    call = RoutedCall(router, router.decide("What?"), after=draft)
    saved = bill("cheap", usage) + call.saving_usd("a", usage, bill("dear", usage))
    assert saved == 0


def test_what_is_taken_back_is_known_where_the_call_itself_has_no_price():
    router = make()
    usage = Usage(input_tokens=100, output_tokens=10)
    call = RoutedCall(router, router.decide("What?"), after=rejected_draft(router, usage))
    assert call.saving_usd("a", usage, None) == -bill("dear", usage)


def test_calls_that_failed_or_were_cut_short_teach_nothing_and_heal_nobody():
    router = make()
    expected = router.decide("What?").cost_usd
    for outcome in ("error", "cancelled", "aborted"):
        call = RoutedCall(router, router.decide("What?"))
        call.consumed(Usage(input_tokens=100, output_tokens=0, estimated=True), outcome=outcome)
        if outcome == "error":
            call.failed(TimeoutError())
        else:
            call.abandoned()
    assert router.decide("What?").cost_usd == expected
    health = router.health("cheap")
    assert (health.calls, health.in_a_row) == (1, 1)


def test_a_tier_that_keeps_timing_out_rests_though_its_input_was_paid_for():
    router = make()
    for _ in range(2):
        call = RoutedCall(router, router.decide("What?"))
        call.consumed(Usage(input_tokens=100, output_tokens=0, estimated=True), outcome="error")
        call.failed(TimeoutError())
    assert router.health("cheap").rests_s > 0
    assert router.decide("What?").tier is DEAR
