"""A change of cost is divided among its drivers without a remainder."""

from __future__ import annotations

import itertools
import random
from dataclasses import replace
from decimal import Context, Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.observability.records import hit, records, spend
from tokenomics_core import Usage
from tokenomics_core.observability.watching import DRIVERS, CallSums, explain_change
from tokenomics_core.pricing import PriceBook

PRICES = PriceBook()
usd = st.decimals(min_value=0, max_value=100, places=12)


def exact_sum(amounts):
    with localcontext(Context(prec=200)):
        return sum(amounts, Decimal(0))


def priced(input_tokens, output_tokens, *, model="gpt-4o", read=None, count=1):
    usage = Usage(input_tokens=input_tokens, output_tokens=output_tokens, cache_read_tokens=read)
    cost = PRICES.cost(usage, model).total_usd
    return [replace(spend(model), usage=usage, cost_usd=cost) for _ in range(count)]


def parts_of(before, now, **settings):
    change = explain_change(CallSums.of(before), CallSums.of(now), prices=PRICES, **settings)
    return {name: part for name, part in change.parts.items() if part}


@given(before=records, now=records, share=usd, per_call=st.booleans())
def test_the_parts_add_up_exactly(before, now, share, per_call):
    change = explain_change(
        CallSums.of(before), CallSums.of(now), prices=PRICES, before_share=share, per_call=per_call
    )
    assert tuple(change.parts) == DRIVERS
    assert exact_sum(change.parts.values()) == change.change_usd


@given(before=records, now=records)
def test_totals_are_those_of_the_records(before, now):
    change = explain_change(CallSums.of(before), CallSums.of(now))
    paid = [[one for one in some if one.source != "cache" or one.cost_usd] for some in (before, now)]
    totals = [exact_sum(one.cost_usd for one in some if one.cost_usd is not None) for some in paid]
    assert [change.before_usd, change.now_usd] == totals


@given(before=records, now=records, data=st.data())
def test_the_order_of_records_is_irrelevant(before, now, data):
    shuffled = data.draw(st.permutations(before)), data.draw(st.permutations(now))
    one = explain_change(CallSums.of(before), CallSums.of(now), prices=PRICES)
    other = explain_change(*(CallSums.of(some) for some in shuffled), prices=PRICES)
    for name in DRIVERS:
        assert abs(one.parts[name] - other.parts[name]) <= Decimal("1e-11")


@given(before=records, now=records)
def test_the_way_back_has_the_parts_with_the_other_sign(before, now):
    there = explain_change(CallSums.of(before), CallSums.of(now))
    back = explain_change(CallSums.of(now), CallSums.of(before))
    for name in DRIVERS:
        assert abs(there.parts[name] + back.parts[name]) <= Decimal("1e-11")


def test_more_calls_alone_are_volume():
    parts = parts_of(priced(1000, 100, count=10), priced(1000, 100, count=15))
    assert parts == {"volume": Decimal("0.0175")}


def test_longer_calls_alone_are_tokens():
    parts = parts_of(priced(1000, 100, count=10), priced(3000, 100, count=10))
    assert parts == {"tokens": Decimal("0.05")}


def test_another_model_alone_is_mix():
    before, now = priced(1000, 100, count=10), priced(1000, 100, model="gpt-4o-mini", count=10)
    assert set(parts_of(before, now)) == {"model_mix"}


def test_what_is_no_longer_read_from_the_providers_cache_is_prompt_cache():
    parts = parts_of(priced(1000, 100, read=800, count=10), priced(1000, 100, count=10))
    assert parts == {"prompt_cache": Decimal("0.01")}


def test_the_same_tokens_for_another_price_are_price():
    before = priced(1000, 100, count=10)
    now = [replace(one, cost_usd=one.cost_usd * 2) for one in before]
    assert parts_of(before, now) == {"price": Decimal("0.035")}


def test_fewer_answers_from_the_cache_are_cache_hits():
    before = [*priced(1000, 100, count=5), *(hit() for _ in range(5))]
    assert parts_of(before, priced(1000, 100, count=10)) == {"cache_hits": Decimal("0.0175")}


@pytest.mark.parametrize("seed", range(5))
def test_several_causes_get_the_average_over_all_orders_of_what_they_add(seed):
    rng = random.Random(seed)
    factors = {name: Decimal(rng.randint(2, 5)) for name in ("volume", "tokens", "price")}
    now = priced(
        1000 * int(factors["tokens"]), 100 * int(factors["tokens"]), count=4 * int(factors["volume"])
    )
    now = [replace(one, cost_usd=one.cost_usd * factors["price"]) for one in now]
    before = priced(1000, 100, count=4)
    expected = dict.fromkeys(factors, Decimal(0))
    orders = list(itertools.permutations(factors))
    for order in orders:
        usd_so_far = sum(one.cost_usd for one in before)
        for name in order:
            expected[name] += usd_so_far * (factors[name] - 1) / len(orders)
            usd_so_far *= factors[name]
    assert parts_of(before, now) == {
        name: pytest.approx(usd, abs=Decimal("1e-11")) for name, usd in expected.items()
    }


def test_without_list_prices_all_tokens_weigh_the_same():
    before, now = [spend("local", "0.01", tokens=(100, 0))], [spend("local", "0.03", tokens=(300, 0))]
    assert parts_of(before, now) == {"tokens": Decimal("0.02")}


def test_prices_that_refuse_an_unknown_model_are_done_without():
    sums = CallSums.of([spend("local", "0.01")]), CallSums.of([spend("local", "0.03")])
    change = explain_change(*sums, prices=PriceBook(unknown="raise"))
    assert change.main_driver == "price"


def test_the_cost_of_a_call_has_no_volume():
    parts = parts_of(priced(1000, 100, count=10), priced(2000, 100, count=1), per_call=True)
    assert parts == {"tokens": Decimal("0.0025")}


def test_nothing_before_is_all_volume():
    assert set(parts_of([], priced(1000, 100))) == {"volume"}


def test_no_change_has_no_driver():
    sums = CallSums.of([spend()])
    assert explain_change(sums, sums).main_driver is None


def test_models_beyond_the_most_are_added_up_under_one_name():
    sums = CallSums.of([spend(f"model-{number}") for number in range(40)], most_models=4)
    assert len(sums.models) == 5
    assert sums.cost_usd == Decimal("0.40")


def test_half_the_weight_keeps_the_mean():
    sums = CallSums.of([spend(cost="0.02") for _ in range(10)])
    sums.halve()
    assert (sums.paid_calls, sums.cost_usd) == (5, Decimal("0.1"))


@pytest.mark.parametrize("source", ["cache", "model"])
def test_a_hit_that_cost_something_is_a_paid_call(source):
    assert CallSums.of([spend(source=source)]).paid_calls == 1
