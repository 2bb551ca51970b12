"""Cached history is edited where a plain sum over the calls to come says that it is cheaper."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenomics_core.compression import HistoryEditor, PrefixPrices, compress_tool_output, edit_pays
from tokenomics_core.compression.history import plan_edits
from tokenomics_core.errors import ConfigurationError
from tokenomics_core.pricing import PriceBook

RATES = st.tuples(st.integers(0, 100), st.integers(0, 100)).map(sorted)
SIZES = st.integers(0, 5_000)


def prices_of(rates):
    """Turn two whole numbers into prices of reading and writing."""
    return PrefixPrices(Decimal(rates[0]), Decimal(rates[1]))


def call_usd(sizes, cached, rates):
    """Add up what one call costs: the first `cached` messages are read, the others written."""
    return (sum(sizes[:cached]) * rates[0] + sum(sizes[cached:]) * rates[1]) / Decimal(1_000_000)


@given(SIZES, SIZES, SIZES, RATES, st.integers(1, 50), st.booleans())
def test_an_edit_is_weighed_as_the_calls_add_up(removed, added, behind, rates, calls, is_warm):
    left_alone = sum(call_usd([removed, behind], 2 if is_warm or call else 0, rates) for call in range(calls))
    edited = sum(call_usd([added, behind], 2 if call else 0, rates) for call in range(calls))
    decision = edit_pays(
        removed,
        behind,
        prices=prices_of(rates),
        expected_calls=calls,
        added_tokens=added,
        is_warm=is_warm,
    )
    assert decision.net_usd == left_alone - edited
    assert decision.pays == (edited < left_alone)
    if decision.break_even_calls is not None and added < removed:
        even = edit_pays(
            removed,
            behind,
            prices=prices_of(rates),
            expected_calls=decision.break_even_calls,
            added_tokens=added,
            is_warm=is_warm,
        )
        assert even.net_usd >= 0


@given(
    st.lists(st.tuples(SIZES, st.none() | st.integers(0, 100)), min_size=1, max_size=12),
    RATES,
    st.integers(1, 40),
    st.data(),
)
def test_the_best_batch_is_found(messages, rates, calls, data):
    sizes = [size for size, _ in messages]
    smaller = {at: min(size, short) for at, (size, short) in enumerate(messages) if short is not None}
    cached = data.draw(st.integers(0, len(sizes)))

    def total(chosen):
        after = [smaller[at] if at in chosen else size for at, size in enumerate(sizes)]
        first = min([cached, *chosen])
        return call_usd(after, first, rates) + (calls - 1) * call_usd(after, len(after), rates)

    options = [{at for at in smaller if at >= start} for start in range(len(sizes) + 1)]
    plan = plan_edits(sizes, smaller, prices=prices_of(rates), expected_calls=calls, cached_messages=cached)
    assert total(set(plan.places)) == min(map(total, options))
    assert plan.decision.net_usd == total(set()) - total(set(plan.places))
    assert plan.decision.pays == bool(plan.places)


def test_the_formula_of_the_guide_holds():
    # 1.25 to write and 0.1 to read, as Anthropic's five minutes: 11.5 * behind / removed.
    prices = PrefixPrices(Decimal("0.1"), Decimal("1.25"))
    assert edit_pays(1_000, 2_000, prices=prices, expected_calls=23).net_usd == 0
    assert edit_pays(1_000, 2_000, prices=prices, expected_calls=24).pays
    assert edit_pays(1_000, 2_000, prices=prices, expected_calls=24).break_even_calls == 23
    assert not edit_pays(1_000, 1_000_000, prices=prices, expected_calls=100).pays
    assert edit_pays(1_000, 1_000_000, prices=prices, expected_calls=1, is_warm=False).pays


def test_prices_come_from_the_price_book():
    price = PriceBook().price("claude-sonnet-4-5", provider="anthropic")
    prices = PrefixPrices.of(price)
    assert prices.read_usd_per_mtok == price.usd_per_mtok("cache_read") < prices.write_usd_per_mtok
    assert PrefixPrices.of(price, hour=True).write_usd_per_mtok > prices.write_usd_per_mtok


def words(messages):
    """Count words and four for each message; what counts tokens must not matter."""
    return 2 + sum(4 + len(repr(message).split()) for message in messages)


ROWS = st.lists(
    st.fixed_dictionaries({"id": st.integers(0, 99), "state": st.sampled_from(["open", "shut"])}), max_size=8
)
RESULTS = ROWS.map(lambda rows: str(rows).replace("'", '"')) | st.text("ab ", max_size=200)


@st.composite
def trajectories(draw):
    """Draw the requests of an agent, each its last one and a little more; sometimes history is rewritten."""
    messages = [{"role": "system", "content": "help " * draw(st.integers(0, 50))}]
    requests = []
    for number in range(draw(st.integers(1, 12))):
        call = {"id": f"c{number}", "function": {"name": "look", "arguments": "{}"}}
        messages = [
            *messages,
            {"role": "assistant", "content": "", "tool_calls": [call]},
            {"role": "tool", "tool_call_id": f"c{number}", "content": draw(RESULTS)},
        ]
        if draw(st.integers(0, 9)) == 0:
            messages = [*messages[:1], *messages[3:]]
        requests.append(messages)
    return requests


def series_usd(requests, rates):
    """Price requests one after the other, each reading what it has in common with the one before."""
    total, last = Decimal(0), []
    for request in requests:
        cached = 0
        while cached < min(len(request), len(last)) and request[cached] == last[cached]:
            cached += 1
        sizes = [words([one]) - 2 for one in request]
        total += call_usd(sizes, cached, rates)
        last = request
    return total


@given(trajectories(), RATES, st.integers(0, 3), st.none() | st.integers(1, 50))
def test_edited_calls_never_cost_more_than_calls_left_alone(requests, rates, keep, expected):
    editor = HistoryEditor(
        prices=prices_of(rates),
        keep_results=keep,
        expected_calls=expected,
        count=words,
        placeholder="cleared",
    )
    sent = []
    for request in requests:
        given_before = [dict(message) for message in request]
        sent.append(editor.edit(request))
        assert request == given_before
        assert [message["role"] for message in sent[-1]] == [message["role"] for message in request]
        assert series_usd(sent, rates) <= series_usd(requests[: len(sent)], rates)
    assert editor.saved_usd == series_usd(requests, rates) - series_usd(sent, rates)


def test_old_results_are_cleared_all_at_once_where_many_calls_follow():
    editor = HistoryEditor(
        prices=PrefixPrices(Decimal("0.1"), Decimal("1.25")), keep_results=1, expected_calls=500
    )
    messages, cleared = [{"role": "system", "content": "help"}], []
    for number in range(12):
        rows = ", ".join(f'{{"key": {index}, "name": "thing number {index}"}}' for index in range(30))
        messages.append({"role": "tool", "tool_call_id": f"c{number}", "content": f"[{rows}]"})
        sent = editor.edit(messages)
        cleared.append(sum("was cleared" in message["content"] for message in sent))
    assert cleared[-1] > 0
    assert cleared == sorted(cleared)
    assert "rows" in sent[-1]["content"]
    assert editor.saved_usd > 0


def test_a_result_keeps_its_form_once_it_was_sent():
    editor = HistoryEditor(prices=PrefixPrices(Decimal(1), Decimal(1)), clear=False)
    first = {"role": "tool", "tool_call_id": "c", "content": '[{"a": 1, "b": 2}, {"a": 3, "b": 4}]'}
    before = editor.edit([first])
    after = editor.edit([first, {"role": "user", "content": "and?"}])
    assert after[0] is before[0]
    assert after[0]["content"] == compress_tool_output(first["content"]).text != first["content"]


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: edit_pays(-1, 0, prices=prices_of((1, 2)), expected_calls=1),
        lambda: edit_pays(1, 0, prices=prices_of((1, 2)), expected_calls=0),
        lambda: plan_edits([1], {1: 0}, prices=prices_of((1, 2)), expected_calls=1),
        lambda: plan_edits([1], {0: 2}, prices=prices_of((1, 2)), expected_calls=1),
        lambda: plan_edits([1], {0: 0}, prices=prices_of((1, 2)), expected_calls=0.5),
        lambda: prices_of((2, 1)),
        lambda: PrefixPrices(0.1, 0.2),
        lambda: HistoryEditor(prices=prices_of((1, 2)), keep_results=-1),
        lambda: HistoryEditor(prices=prices_of((1, 2)), expected_calls=0),
    ],
)
def test_what_cannot_be_is_refused(wrong):
    with pytest.raises(ConfigurationError, match=r"must be|is above"):
        wrong()
