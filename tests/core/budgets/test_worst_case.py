"""What is reserved for a call is a bound on it, and an answer without a bound is fitted to what is left."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.budgets.conftest import Clock
from tokenomics_core import Attribution, BudgetExceededError, ConfigurationError, UnknownModelError, Usage
from tokenomics_core.budgets import (
    Budgets,
    CallShape,
    Limit,
    MemoryBudgetStore,
    fit_output,
    worst_case_usd,
)
from tokenomics_core.pricing import PriceBook

ADA = Attribution(user="ada", feature="chat")
SONNET = "claude-sonnet-4-5"


class TwoTiers:
    """$1 and $4 per million tokens, and double for the whole request above 1,000 tokens of input."""

    def ceiling(self, model, provider, at, *, input_tokens, max_output_tokens, n=1, **rest):
        if model == "unpriced":
            return None
        usd = Decimal(input_tokens + 4 * max_output_tokens * n) / 1_000_000
        return usd * 2 if input_tokens > 1000 else usd


def budgets(*limits, prices=None, **options) -> Budgets:
    return Budgets(limits, store=MemoryBudgetStore(clock=Clock()), prices=prices or TwoTiers(), **options)


def test_the_worst_case_counts_the_dearest_kind_of_input_and_all_output():
    call = CallShape(model=SONNET, provider="anthropic", input_tokens=100_000, max_output_tokens=64_000)
    # Written to the cache for an hour at $6 and answered at $15 per million tokens.
    assert worst_case_usd(PriceBook(), call) == Decimal("0.60") + Decimal("0.96")


@given(
    input_tokens=st.integers(0, 300_000),
    read=st.integers(0, 300_000),
    write_5m=st.integers(0, 300_000),
    write_1h=st.integers(0, 300_000),
    output=st.integers(0, 8000),
)
def test_no_usage_within_the_bounds_costs_more_than_the_worst_case(
    input_tokens, read, write_5m, write_1h, output
):
    read = min(read, input_tokens)
    write_5m = min(write_5m, input_tokens - read)
    write_1h = min(write_1h, input_tokens - read - write_5m)
    usage = Usage(
        input_tokens=input_tokens,
        output_tokens=output,
        cache_read_tokens=read,
        cache_write_5m_tokens=write_5m,
        cache_write_1h_tokens=write_1h,
    )
    book = PriceBook()
    call = CallShape(model=SONNET, provider="anthropic", input_tokens=input_tokens, max_output_tokens=8000)
    assert book.cost(usage, SONNET, "anthropic").total_usd <= worst_case_usd(book, call)


@given(
    input_tokens=st.integers(0, 3000),
    answers=st.integers(1, 4),
    nano=st.integers(0, 60_000_000),
    left_tokens=st.none() | st.integers(0, 20_000),
    model_max=st.none() | st.integers(1, 10_000),
)
def test_the_fitted_answer_is_the_longest_that_fits(input_tokens, answers, nano, left_tokens, model_max):
    left = Decimal(nano) / 10**9
    call = CallShape(
        model="m",
        input_tokens=input_tokens,
        answers=answers,
        min_output_tokens=1,
        model_max_output_tokens=model_max,
    )
    fitted = fit_output(TwoTiers(), call, left_usd=left, left_tokens=left_tokens)

    def fits(output: int) -> bool:
        return (
            worst_case_usd(TwoTiers(), call, output) <= left
            and (left_tokens is None or input_tokens + output * answers <= left_tokens)
            and (model_max is None or output <= model_max)
        )

    if fitted is None:
        assert not fits(1)
    else:
        assert fits(fitted)
        assert not fits(fitted + 1)


def test_fees_count_and_the_callers_own_bound_is_kept():
    call = CallShape(model="m", input_tokens=100, max_output_tokens=1000, extra_usd="0.01")
    assert worst_case_usd(TwoTiers(), call) == Decimal("0.0141")
    assert fit_output(TwoTiers(), call, left_usd=Decimal(1)) == 1000
    assert fit_output(TwoTiers(), call, left_usd=Decimal("0.0125")) == 600
    assert fit_output(TwoTiers(), call, left_usd=Decimal("0.0105")) is None


def test_a_call_without_a_bound_reserves_what_is_left_and_no_more():
    held = budgets(Limit("user", usd="0.01"), Limit("feature", tokens=1500))
    first = held.reserve_call(CallShape(model="m", input_tokens=500), ADA)
    assert (first.max_output_tokens, first.tokens, first.usd) == (1000, 1500, Decimal("0.0045"))
    held.settle(first, usd="0.0045", tokens=700)
    second = held.reserve_call(CallShape(model="m", input_tokens=500), ADA)
    assert second.max_output_tokens == 300
    with pytest.raises(BudgetExceededError) as refused:
        held.reserve_call(CallShape(model="m", input_tokens=500), ADA)
    assert refused.value.scope == "feature"


def test_a_limit_on_requests_fits_the_answer_too():
    held = budgets(Limit("request", tokens=2000))
    assert held.reserve_call(CallShape(model="m", input_tokens=500), ADA).max_output_tokens == 1500


def test_a_bound_that_the_caller_set_is_refused_not_cut():
    held = budgets(Limit("user", usd="0.01"))
    with pytest.raises(BudgetExceededError):
        held.reserve_call(CallShape(model="m", input_tokens=500, max_output_tokens=5000), ADA)
    made = held.reserve_call(CallShape(model="m", input_tokens=500, max_output_tokens=2000), ADA)
    assert (made.max_output_tokens, made.usd) == (2000, Decimal("0.0085"))


def test_without_fitting_the_models_longest_answer_is_reserved_or_the_call_refused():
    held = budgets(Limit("user", usd="0.01"))
    known = CallShape(model="m", input_tokens=0, model_max_output_tokens=1000, fit_output=False)
    assert held.reserve_call(known, ADA).max_output_tokens == 1000
    with pytest.raises(ConfigurationError, match="has no max_output_tokens, so its cost has no bound"):
        held.reserve_call(CallShape(model="m", input_tokens=0, fit_output=False), ADA)
    with pytest.raises(ConfigurationError, match="nothing bounds the answer of 'm'"):
        budgets().reserve_call(CallShape(model="m", input_tokens=0), ADA)


def test_threads_that_fit_at_once_never_pass_the_limit():
    held = budgets(Limit("user", usd="0.01"))

    def call(_) -> int:
        try:
            made = held.reserve_call(CallShape(model="m", input_tokens=10, model_max_output_tokens=400), ADA)
        except BudgetExceededError:
            return 0
        return made.max_output_tokens

    with ThreadPoolExecutor(16) as pool:
        outputs = [output for output in pool.map(call, range(32)) if output]
    assert held.status("user", "ada").held_usd <= Decimal("0.01")
    assert held.status("user", "ada").left_usd < Decimal(
        "0.001034"
    )  # not even the least answer fits any more
    assert min(outputs) >= 256


async def test_the_async_twin_fits_alike():
    held = budgets(Limit("user", usd="0.01"))
    made = await held.areserve_call(CallShape(model="m", input_tokens=500), ADA, sent=True)
    assert made.max_output_tokens == 2375
    left = await held.aleft(ADA)
    assert (left.usd, left.tokens) == (0, None)


def test_a_model_without_a_price_is_refused_where_dollars_count_and_only_there():
    call = CallShape(model="unpriced", input_tokens=500, max_output_tokens=100)
    with pytest.raises(UnknownModelError):
        budgets(Limit("user", usd=1)).reserve_call(call, ADA)
    assert budgets(Limit("user", tokens=1000)).reserve_call(call, ADA).tokens == 600
    assert budgets(Limit("user", usd=1), unknown="allow").reserve_call(call, ADA).usd == 0
    with pytest.raises(ConfigurationError, match=r"limits in USD need Budgets\(prices="):
        Budgets([Limit("user", usd=1)]).reserve_call(call, ADA)


@pytest.mark.parametrize(
    "wrong",
    [{"input_tokens": -1}, {"input_tokens": 1, "answers": 0}, {"input_tokens": 1, "min_output_tokens": 0}],
)
def test_shapes_of_no_call_are_refused(wrong):
    with pytest.raises(ConfigurationError):
        CallShape(model="m", **wrong)
