"""Each call is recorded once, with what it cost, however it ended."""

import asyncio
import gc
import logging
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from tokenomics_core import Attribution, Cost, UnknownModelError, Usage
from tokenomics_core.observability import CallEnd, CallStart, CallTracker

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)


class OneDollarPerToken:
    """Price every token of `known` at a dollar, and nothing else."""

    def __init__(self, *known):
        self.known = known

    def cost(self, usage, model, provider=None, at=None):
        if model not in self.known:
            return Cost(total_usd=None, source="unknown model")
        return Cost(total_usd=Decimal(usage.total_tokens or 0), source="test")


def make(*known, sink=None, prices=None):
    records = []
    timer = iter(range(1, 10**6))
    tracker = CallTracker(
        sink or records.append,
        prices=prices or OneDollarPerToken(*(known or ("m",))),
        clock=lambda: NOW,
        timer=lambda: next(timer),
    )
    return tracker, records


def test_a_finished_call_is_one_record_with_everything_that_is_known():
    tracker, records = make()
    who = Attribution(user="ada")
    tracker.start(CallStart(key="1", model="m", provider="p", attribution=who))
    tracker.finish("1", CallEnd(usage=Usage(input_tokens=3, output_tokens=4)))
    tracker.finish("1", CallEnd(usage=Usage(input_tokens=3, output_tokens=4)))
    (record,) = records
    assert record.cost_usd == 7
    assert (record.id, record.model, record.provider, record.at) == ("1", "m", "p", NOW)
    assert record.attribution == who
    assert record.latency_s == 1
    assert not record.estimated


def test_an_end_without_a_beginning_is_ignored_unless_it_describes_itself():
    tracker, records = make()
    tracker.finish("unseen", CallEnd(usage=Usage(input_tokens=1, output_tokens=1)))
    assert records == []
    tracker.finish(
        "seen",
        CallEnd(usage=Usage(input_tokens=1, output_tokens=1)),
        fallback=CallStart(key="seen", model="m"),
    )
    assert [record.id for record in records] == ["seen"]


def test_the_model_that_answered_is_priced_before_the_one_that_was_asked():
    tracker, records = make("asked", "answered")
    tracker.start(CallStart(key="1", model="asked"))
    tracker.finish("1", CallEnd(usage=Usage(input_tokens=1, output_tokens=0), model="answered"))
    tracker.start(CallStart(key="2", model="asked"))
    tracker.finish("2", CallEnd(usage=Usage(input_tokens=1, output_tokens=0), model="deployment-7"))
    assert [(record.model, record.cost_usd) for record in records] == [("answered", 1), ("deployment-7", 1)]


def test_an_unknown_model_costs_none_and_an_answer_from_a_cache_costs_nothing():
    tracker, records = make()
    tracker.start(CallStart(key="1", model="unheard-of"))
    tracker.finish("1", CallEnd(usage=Usage(input_tokens=5, output_tokens=5)))
    tracker.start(CallStart(key="2", model="m"))
    tracker.finish("2", CallEnd(usage=Usage(input_tokens=5, output_tokens=5), from_cache=True))
    unknown, hit = records
    assert unknown.cost_usd is None
    assert unknown.price_source == "unknown model"
    assert (hit.cost_usd, hit.avoided_usd, hit.avoided_by, hit.source) == (0, 10, "cache", "cache")


def test_the_providers_own_figure_wins_and_says_so():
    tracker, records = make()
    tracker.start(CallStart(key="1", model="m"))
    tracker.finish("1", CallEnd(usage=Usage(input_tokens=5, output_tokens=5), reported_usd=Decimal("0.3")))
    assert records[0].cost_usd == Decimal("0.3")
    assert "provider" in records[0].price_source


def test_what_was_not_reported_is_counted_and_marked():
    tracker, records = make()
    tracker.start(CallStart(key="1", model="m", prompt="one two three four"))
    tracker.finish("1", CallEnd(output="five six"))
    tracker.start(CallStart(key="2", model="m", prompt="one two three four"))
    tracker.finish("2", CallEnd(usage=Usage(input_tokens=2), output="five six"))
    nothing, half = records
    assert nothing.estimated
    assert nothing.usage.input_tokens >= 4
    assert nothing.usage.output_tokens >= 2
    assert half.estimated
    assert half.usage.input_tokens == 2


def test_a_cut_stream_is_billed_for_what_arrived_and_a_refusal_for_nothing():
    tracker, records = make()
    tracker.start(CallStart(key="cut", model="m", prompt="one two three"))
    first_event = Usage(input_tokens=40, output_tokens=1)
    tracker.fail("cut", GeneratorExit(), end=CallEnd(usage=first_event, output="four five six seven"))
    tracker.start(CallStart(key="refused", model="m", prompt="one two three"))
    tracker.fail("refused", ValueError("no"), end=CallEnd(output=""))
    tracker.start(CallStart(key="timed out", model="m", prompt="one two three"))
    tracker.fail("timed out", TimeoutError())
    cut, late = records
    assert (cut.outcome, cut.estimated, cut.usage.input_tokens) == ("aborted", True, 40)
    assert cut.usage.output_tokens >= 4
    assert (late.outcome, late.usage.output_tokens) == ("error", 0)
    assert late.usage.input_tokens >= 3


async def test_a_call_of_a_task_that_was_cancelled_is_recorded_when_the_task_ends():
    tracker, records = make()

    async def call():
        tracker.start(CallStart(key="1", model="m", prompt="one two three"))
        await asyncio.Event().wait()

    task = asyncio.create_task(call())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.sleep(0)
    assert [(record.outcome, record.estimated) for record in records] == [("cancelled", True)]


async def test_a_call_that_timed_out_inside_its_task_is_recorded_on_close():
    tracker, records = make()
    tracker.start(CallStart(key="silent", model="m", prompt="one"))
    tracker.start(CallStart(key="stream", model="m", prompt="one"))
    tracker.stream("stream")
    tracker.close()
    assert [record.id for record in records] == ["silent"]
    tracker.finish("stream", CallEnd(usage=Usage(input_tokens=1, output_tokens=2)))
    assert records[-1].cost_usd == 3


def test_close_leaves_a_call_alone_that_still_runs_in_a_thread():
    tracker, records = make()
    tracker.start(CallStart(key="1", model="m"))
    tracker.close()
    assert records == []
    tracker.finish("1", CallEnd(usage=Usage(input_tokens=1, output_tokens=1)))
    assert len(records) == 1


async def test_a_cancelled_run_takes_its_calls_with_it_and_no_others():
    tracker, records = make()
    tracker.start(CallStart(key="a", model="m", prompt="x", group="run-1"))
    tracker.start(CallStart(key="b", model="m", prompt="x", group="run-2"))
    tracker.cancel("run-1")
    assert [record.id for record in records] == ["a"]


async def test_a_long_task_gathers_no_callbacks():
    tracker, _ = make()
    for number in range(500):
        tracker.start(CallStart(key=str(number), model="m"))
        tracker.finish(str(number), CallEnd(usage=Usage(input_tokens=1, output_tokens=1)))
    assert len(asyncio.current_task()._callbacks) < 10


def test_calls_from_many_threads_are_each_recorded_once():
    records, lock = [], threading.Lock()

    def sink(record):
        with lock:
            records.append(record)

    tracker, _ = make(sink=sink)

    def call(number):
        tracker.start(CallStart(key=str(number), model="m"))
        tracker.finish(str(number), CallEnd(usage=Usage(input_tokens=number, output_tokens=0)))

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(call, range(1000)))
    assert sorted(record.usage.input_tokens for record in records) == list(range(1000))


def test_a_sink_that_fails_is_counted_and_logged_once_and_breaks_nothing(caplog):
    def broken(record):
        raise RuntimeError("disk on fire")

    tracker, _ = make(sink=broken)
    with caplog.at_level(logging.ERROR, logger="tokenomics"):
        for key in "abc":
            tracker.start(CallStart(key=key, model="m"))
            tracker.finish(key, CallEnd(usage=Usage(input_tokens=1, output_tokens=1)))
    assert tracker.failures == 3
    assert len(caplog.records) == 1


def test_a_strict_price_book_does_not_lose_a_paid_call():
    class Strict:
        def cost(self, usage, model, provider=None, at=None):
            raise UnknownModelError(model)

    tracker, records = make(prices=Strict())
    tracker.start(CallStart(key="1", model="m"))
    tracker.finish("1", CallEnd(usage=Usage(input_tokens=1, output_tokens=1)))
    assert records[0].cost_usd is None
    assert "no price is known" in records[0].notes[0]


def test_finished_calls_are_forgotten():
    class Prompt(str):
        __slots__ = ("__weakref__",)

    tracker, _ = make()
    prompt = Prompt("hello")
    gone = weakref.ref(prompt)
    tracker.start(CallStart(key="1", model="m", prompt=prompt))
    del prompt
    tracker.finish("1", CallEnd(usage=Usage(input_tokens=1, output_tokens=1)))
    gc.collect()
    assert gone() is None


def test_a_call_whose_answer_began_to_arrive_was_sent_whatever_ended_it():
    tracker, records = make()
    for key, arrived in (("watched", False), ("begun", True)):
        tracker.start(CallStart(key=key, model="m", prompt="one two three"))
        tracker.stream(key, arrived=arrived)
        tracker.fail(key, ValueError("somebody objected"))
    (record,) = records
    assert (record.id, record.outcome, record.estimated) == ("begun", "error", True)
    assert record.usage.input_tokens >= 3


def test_a_prompt_that_cannot_be_counted_does_not_lose_the_call():
    tracker, records = make()
    tracker.start(CallStart(key="1", model="m", prompt=object()))
    tracker.finish("1", CallEnd(output="four"))
    (record,) = records
    assert record.usage == Usage()
    assert tracker.failures == 1


def test_a_call_may_have_a_name_of_its_own_and_carries_the_notes_of_its_usage():
    tracker, records = make()
    tracker.start(CallStart(key="1", id="1-again", model="m"))
    tracker.finish("1", CallEnd(usage=Usage(input_tokens=1, output_tokens=1, notes=("mended",))))
    assert [(record.id, record.notes) for record in records] == [("1-again", ("mended",))]
