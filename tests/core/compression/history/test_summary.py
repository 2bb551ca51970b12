"""A summary is written once for each block, carried on, metered, and not written where it does not pay."""

import threading
from decimal import Decimal

import pytest

from tokenomics_core import Usage
from tokenomics_core.compression import PrefixPrices, RollingSummary, acompress_history, compress_history
from tokenomics_core.compression.history import SummaryText
from tokenomics_core.errors import ConfigurationError
from tokenomics_core.pricing import PriceBook

USAGE = Usage(input_tokens=700, output_tokens=12)


class Writer:
    """Stands for a cheap model: counts its prompts and answers with their number."""

    def __init__(self):
        self.prompts = []

    def __call__(self, prompt):
        self.prompts.append(prompt)
        return SummaryText(f"They talked, part {len(self.prompts)}.", USAGE)


def talk(turns, start=0):
    """Talk about the weather, turn by turn."""
    return [
        {"role": ("user", "assistant")[index % 2], "content": f"On day {index} it rained for an hour or two."}
        for index in range(start, turns)
    ]


def short(messages, summary, **more):
    """Compress to 300 tokens."""
    return compress_history(messages, "Well?", max_tokens=300, by_meaning=False, summarize=summary, **more)


def test_each_block_is_written_once_and_carried_on():
    writer, told = Writer(), []
    summary = RollingSummary(writer, block_tokens=400, on_usage=told.append)
    first = short(talk(60), summary)
    assert first.report.summary.blocks_written == len(writer.prompts) == 2
    assert "Summary: They talked, part 2." in first.report.note
    assert first.report.summary.usages == (USAGE, USAGE) == tuple(told)
    assert "On day 0 " in writer.prompts[0]
    assert "They talked, part 1." in writer.prompts[1]
    assert "On day 0 " not in writer.prompts[1]
    again = short(talk(61), summary)
    assert again.report.summary.blocks_written == 0
    assert again.report.summary.blocks_reused == 2
    later = short(talk(90), summary)
    assert later.report.summary.blocks_reused == 2
    assert later.report.summary.blocks_written == len(writer.prompts) - 2 > 0
    other = short([{"role": "user", "content": "Hello!"}, *talk(60)], summary)
    assert other.report.summary.blocks_reused == 0
    assert other.tokens_after <= 300


def test_it_is_not_written_where_it_costs_more_than_it_saves():
    writer = Writer()
    cheap = PrefixPrices(Decimal("0.001"), Decimal("0.001"))
    dear = PriceBook().price("gpt-4o")
    summary = RollingSummary(writer, block_tokens=400, prices=cheap, writer=dear, expected_calls=2)
    report = short(talk(60), summary).report
    assert not writer.prompts
    assert not report.summary.decision.pays
    assert "more than it saves" in report.summary.remark
    assert "Summary" not in report.note
    summary = RollingSummary(
        writer, block_tokens=400, max_tokens=50, prices=PrefixPrices.of(dear), expected_calls=90
    )
    report = short(talk(60), summary).report
    assert report.summary.decision.pays
    assert len(writer.prompts) == 2


def test_a_model_that_fails_costs_the_summary_only():
    def write(prompt):
        raise ConnectionError("no route")

    done = short(talk(60), RollingSummary(write, block_tokens=400))
    assert done.report.summary.remark == "not written: ConnectionError: no route"
    assert done.report.note.startswith("[")
    assert short(talk(60), RollingSummary(lambda _: " ", block_tokens=400)).report.summary.remark


def test_a_summary_that_is_too_long_is_cut_to_its_length():
    done = short(talk(60), RollingSummary(lambda _: "word " * 900, block_tokens=400, max_tokens=40))
    assert done.tokens_after <= 300
    assert 20 <= done.report.note.count("word") <= 40


async def test_a_coroutine_function_is_awaited_by_the_async_twin_only():
    async def write(prompt):
        return "They talked."

    summary = RollingSummary(write, block_tokens=400)
    with pytest.raises(ConfigurationError, match="needs acompress_history"):
        short(talk(60), summary)
    done = await acompress_history(talk(60), "Well?", max_tokens=300, by_meaning=False, summarize=summary)
    assert "Summary: They talked." in done.report.note


@pytest.mark.parametrize("name", ["max_tokens", "block_tokens", "max_entries"])
def test_what_cannot_be_is_refused(name):
    with pytest.raises(ConfigurationError, match=f"{name} must be 1 or more"):
        RollingSummary(Writer(), **{name: 0})
    with pytest.raises(ConfigurationError, match="must return a text"):
        short(talk(60), RollingSummary(lambda _: 3, block_tokens=400))


async def test_a_plain_function_does_not_hold_up_the_event_loop():
    threads = []

    def write(prompt):
        threads.append(threading.current_thread())
        return "Ada moves house."

    summary = RollingSummary(write, block_tokens=50)
    report = await summary.arefresh(talk(40), 100)
    assert report.blocks_written == len(threads) > 0
    assert threading.main_thread() not in threads
