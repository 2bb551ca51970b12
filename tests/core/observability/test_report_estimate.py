"""An estimate is what the call will cost if the answer is as long as said, and says why that long."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.observability.records import hit, spend
from tokenomics_core import Cost, UnknownModelError
from tokenomics_core.observability import CostReport
from tokenomics_core.tokens import count_tokens

IN_USD, OUT_USD = Decimal("0.000003"), Decimal("0.000015")
MESSAGES = [
    {"role": "system", "content": "Answer in one sentence."},
    {"role": "user", "content": "Why is the sky blue?"},
]


class PerToken:
    """Price two models per token, under a dated and a plain name each."""

    def cost(self, usage, model, provider=None, at=None):
        name = model.removesuffix("-2026-01-01").removeprefix("openai/")
        if name not in {"big", "big-mini"}:
            return Cost(total_usd=None, source="unknown model")
        total = (usage.input_tokens or 0) * IN_USD + (usage.output_tokens or 0) * OUT_USD
        return Cost(total_usd=total, model=name, source="test prices of 2026-11-14", notes=("a note",))


class Strict(PerToken):
    def cost(self, usage, model, provider=None, at=None):
        cost = super().cost(usage, model, provider, at)
        if cost.total_usd is None:
            raise UnknownModelError(model, provider)
        return cost


def report_of(*calls, prices=None):
    report = CostReport(prices=prices or PerToken())
    for record in calls:
        report.add(record)
    return report


def answered(model="big", *lengths, **more):
    return [spend(model, tokens=(10, length), **more) for length in lengths]


@settings(deadline=None)
@given(st.lists(st.integers(min_value=1, max_value=5000), min_size=1, max_size=9))
def test_the_answer_is_taken_to_be_as_long_as_the_median_of_earlier_ones(lengths):
    estimate = report_of(*answered("big", *lengths)).estimate(MESSAGES, "big")
    median = sorted(lengths)[(len(lengths) - 1) // 2]
    tokens_in = int(count_tokens(MESSAGES, "big"))
    assert (estimate.output_tokens, estimate.low_output_tokens, estimate.high_output_tokens) == (
        median,
        min(lengths),
        max(lengths),
    )
    assert estimate.cost_usd == tokens_in * IN_USD + median * OUT_USD
    assert estimate.low_usd == tokens_in * IN_USD + min(lengths) * OUT_USD
    assert estimate.high_usd == tokens_in * IN_USD + max(lengths) * OUT_USD


@settings(deadline=None)
@given(
    st.lists(st.integers(min_value=1, max_value=5000), max_size=9), st.integers(min_value=0, max_value=6000)
)
def test_an_estimate_lies_between_its_bounds_and_within_the_cap(lengths, cap):
    estimate = report_of(*answered("big", *lengths)).estimate("hello", "big", max_output_tokens=cap)
    assert estimate.low_usd <= estimate.cost_usd <= estimate.high_usd
    assert estimate.high_output_tokens == cap
    assert estimate.output_tokens <= cap


def test_earlier_calls_count_only_if_they_were_paid_for_finished_and_of_that_model():
    report = report_of(
        *answered("big", 100),
        *answered("big-mini", 1),
        *answered("big", 2, outcome="aborted"),
        *answered("big", None),
        hit("big", tokens=(10, 3)),
        *answered("unpriced", 4),
    )
    estimate = report.estimate("hello", "big")
    assert estimate.output_tokens == 100
    assert estimate.output_basis == "the median of 1 earlier call of this model"


@pytest.mark.parametrize("name", ["big-2026-01-01", "openai/big"])
def test_other_spellings_of_the_model_count_too(name):
    assert report_of(*answered(name, 7)).estimate("hello", "big").output_tokens == 7
    assert report_of(*answered("big", 7)).estimate("hello", name).output_tokens == 7


def test_without_earlier_calls_the_cap_is_the_assumption():
    estimate = CostReport(prices=PerToken()).estimate("hello", "big", max_output_tokens=500)
    tokens_in = int(count_tokens("hello", "big"))
    assert (estimate.output_tokens, estimate.low_usd) == (500, tokens_in * IN_USD)
    assert estimate.cost_usd == estimate.high_usd == tokens_in * IN_USD + 500 * OUT_USD
    assert estimate.output_basis.startswith("max_output_tokens")


def test_with_neither_only_the_input_is_priced_and_it_says_so():
    estimate = CostReport(prices=PerToken()).estimate("hello", "big")
    assert (estimate.output_tokens, estimate.cost_usd, estimate.high_usd) == (None, None, None)
    assert estimate.input_usd == estimate.low_usd == int(count_tokens("hello", "big")) * IN_USD
    assert "unknown: pass max_output_tokens" in estimate.output_basis
    assert "Cost of the input" in str(estimate)


def test_a_model_without_a_price_has_an_unknown_cost():
    estimate = CostReport(prices=PerToken()).estimate("hello", "acme", max_output_tokens=5)
    assert (estimate.cost_usd, estimate.low_usd, estimate.high_usd, estimate.input_usd) == (None,) * 4
    assert estimate.input_tokens > 0
    assert "unpriced" in str(estimate)


def test_a_strict_price_book_refuses_and_earlier_unknown_models_do_not_matter():
    report = report_of(*answered("acme", 4), *answered("big", 8), prices=Strict())
    assert report.estimate("hello", "big").output_tokens == 8
    with pytest.raises(UnknownModelError):
        report.estimate("hello", "acme", max_output_tokens=5)


def test_an_estimated_count_is_marked():
    estimate = CostReport(prices=PerToken()).estimate("hello", "big", max_output_tokens=5)
    assert estimate.estimated is count_tokens("hello", "big").estimated


def test_without_prices_of_its_own_a_report_asks_the_shared_price_book():
    from tokenomics_core import Usage
    from tokenomics_core.pricing import PriceBook

    estimate = CostReport().estimate("hello", "gpt-4o", max_output_tokens=1000)
    usage = Usage(input_tokens=estimate.input_tokens, output_tokens=1000)
    assert estimate.cost_usd == PriceBook().cost(usage, "gpt-4o").total_usd
    assert estimate.cost_usd is not None


@pytest.mark.parametrize("cap", [-1, 1.5, "100", True])
def test_a_cap_that_is_no_count_is_refused(cap):
    with pytest.raises(ValueError, match="max_output_tokens must be a whole number"):
        CostReport(prices=PerToken()).estimate("hello", "big", max_output_tokens=cap)


def test_an_estimate_shows_itself():
    estimate = report_of(*answered("big", 10, 20, 90)).estimate(MESSAGES, "big")
    lines = str(estimate).splitlines()
    assert lines[0] == "Estimate for big"
    assert [line.split("  ")[0] for line in lines if line.startswith(("at ", "expected"))] == [
        "at least",
        "expected",
        "at most",
    ]
    assert "Length of the answer: the median of 3 earlier calls of this model." in str(estimate)
    assert "Prices: test prices of 2026-11-14" in str(estimate)
    assert "a note" in str(estimate)
    assert "<table>" in estimate._repr_html_()
    assert estimate.__rich__() is not None
