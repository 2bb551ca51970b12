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


def bill(tier, usage):
    into, out = PRICES[tier]
    return (Decimal(usage.input_tokens * into) + Decimal(usage.output_tokens * out)) / 1_000_000


@given(st.lists(usages, min_size=1, max_size=4), usages)
def test_costs_and_savings_add_up_to_the_dearest_tier_with_rejected_drafts_paid(drafts, last):
    router, paid, saved, credit = make(), Decimal(0), Decimal(0), Decimal(0)
    for number, usage in enumerate(drafts):
        call = RoutedCall(router, router.decide("What?"), withdrawn_usd=credit)
        cost = bill("cheap", usage)
        paid, saved = paid + cost, saved + call.saving_usd(f"draft {number}", usage, cost)
        call.consumed(usage)
        call.rejected()
        credit = call.credit_usd
    call = RoutedCall(router, router.decide("What?"), withdrawn_usd=credit)
    paid += bill("cheap", last)
    saved += call.saving_usd("answer", last, bill("cheap", last))
    call.consumed(last)
    call.answered()
    assert paid + saved == bill("dear", last)
    assert router.stats().net_saving_usd == saved
    assert router.stats().drafts_usd == sum(bill("cheap", usage) for usage in drafts)


def test_a_saving_is_the_same_however_many_ledgers_ask():
    router = make()
    call = RoutedCall(router, router.decide("What?"), withdrawn_usd=Decimal(1))
    usage = Usage(input_tokens=100, output_tokens=10)
    first = call.saving_usd("a", usage, Decimal(0))
    assert call.saving_usd("a", usage, Decimal(0)) == first
    assert call.saving_usd("b", usage, Decimal(0)) == first + 1


def test_a_failed_call_saved_nothing_and_cost_what_it_did():
    router = make()
    route = router.decide("What?")
    call = RoutedCall(router, route)
    usage = Usage(input_tokens=100, output_tokens=10)
    assert call.saving_usd("a", usage, Decimal(2), "error") == -2
    call.consumed(usage, outcome="error")
    call.failed(TimeoutError())
    stats = router.stats()
    assert call.credit_usd == 0
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
