"""A block counts each call once, in every block around it, and leaves nothing behind."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from decimal import Decimal

import pytest

from tokenomics_core import ConfigurationError, Cost, SpendRecord, UnknownModelError, Usage
from tokenomics_core.ledger import MemoryLedger
from tokenomics_core.observability import CallEnd, CallStart, LedgerWriter, current_scope, track_cost
from tokenomics_core.pricing import PriceBook


class Flat:
    def cost(self, usage, model, provider=None, at=None):
        return Cost(total_usd=Decimal(usage.total_tokens or 0), source="test")


def call(key, tokens=1):
    tracker = current_scope().tracker
    tracker.start(CallStart(key=key, model="m"))
    tracker.finish(key, CallEnd(usage=Usage(input_tokens=tokens, output_tokens=0)))


def test_nested_blocks_each_count_a_call_once():
    ledger = MemoryLedger()
    with track_cost(prices=Flat(), ledger=ledger) as outer:
        call("a", 1)
        with track_cost(prices=Flat(), ledger=ledger) as inner:
            call("b", 2)
            current_scope().parent.accept(inner.calls[0])
        call("c", 4)
    assert (inner.total_usd, outer.total_usd, ledger.total()) == (2, 7, 7)
    assert current_scope() is None


def test_a_block_ends_when_an_error_leaves_it():
    with pytest.raises(RuntimeError), track_cost(prices=Flat()):
        raise RuntimeError
    assert current_scope() is None


async def test_tasks_have_their_own_blocks():
    async def work(number):
        async with track_cost(prices=Flat()) as report:
            await asyncio.sleep(0)
            call(f"task-{number}", number)
            await asyncio.sleep(0)
        return report.total_usd

    assert await asyncio.gather(*map(work, range(20))) == list(range(20))


def test_a_block_that_ends_cannot_end_twice():
    block = track_cost(prices=Flat())
    with block:
        pass
    with pytest.raises(RuntimeError, match="without its beginning"):
        block.__exit__(None, None, None)


def test_a_strict_price_book_ends_the_block_with_an_error_after_everything_is_recorded():
    block = track_cost(prices=PriceBook(unknown="raise"))
    report = block.__enter__()
    current_scope().tracker.start(CallStart(key="1", model="no-such-model"))
    current_scope().tracker.finish("1", CallEnd(usage=Usage(input_tokens=1, output_tokens=1)))
    with pytest.raises(UnknownModelError, match="no-such-model"):
        block.__exit__(None, None, None)
    assert report.unpriced_calls == 1


class SlowLedger(MemoryLedger):
    """Wait for a signal before every write, as a disk might."""

    def __init__(self):
        super().__init__()
        self.go = threading.Event()
        self.threads = set()

    def record(self, record: SpendRecord) -> None:
        self.go.wait(10)
        self.threads.add(threading.get_ident())
        super().record(record)


class Disk:
    """A ledger that is not known to live in memory."""

    def __init__(self):
        self.inner = SlowLedger()

    def record(self, record):
        self.inner.record(record)


async def test_inside_an_event_loop_a_disk_is_written_by_another_thread():
    disk = Disk()
    async with track_cost(prices=Flat(), ledger=disk) as report:
        call("a")
        assert report.total_usd == 1
        assert disk.inner.total() == 0
        disk.inner.go.set()
    assert disk.inner.total() == 1
    assert threading.get_ident() not in disk.inner.threads


def test_a_ledger_that_fails_is_counted_and_breaks_nothing():
    class Broken:
        def record(self, record):
            raise OSError("no space left")

    writer = LedgerWriter(Broken())
    with track_cost(prices=Flat(), ledger=Broken()) as report:
        call("a")
        writer.write(report.calls[0])
    assert report.total_usd == 1
    assert writer.failures == 1


def test_a_hundred_blocks_leave_no_trace():
    for number in range(100):
        with track_cost(prices=Flat()):
            call(str(number))
    assert current_scope() is None


class Interrupting(str):
    """An id that brings another record along in the middle of being stored, as a collected stream does."""

    __slots__ = ()
    meanwhile = None

    def __hash__(self):
        meanwhile, Interrupting.meanwhile = Interrupting.meanwhile, None
        if meanwhile is not None:
            meanwhile()
        return super().__hash__()


def test_a_call_that_ends_while_another_is_being_stored_waits_for_nobody():
    with track_cost(prices=Flat()) as report:
        call("a", 1)
        again = replace(report.calls[0], id=Interrupting("b"))
        Interrupting.meanwhile = lambda: report.add(replace(report.calls[0], id="c"))
        report.add(again)
    assert report.total_usd == 3


def test_a_block_that_is_open_is_not_opened_again():
    block = track_cost(prices=Flat())
    with block:
        with pytest.raises(ConfigurationError, match="open already"):
            block.__enter__()
        call("a")
    assert current_scope() is None
    with block as again:
        call("b")
    assert [record.id for record in again.calls] == ["b"]


async def test_the_end_of_a_block_does_not_wait_for_the_loops_own_threads():
    loop, held = asyncio.get_running_loop(), threading.Event()
    loop.set_default_executor(ThreadPoolExecutor(1))
    ledger = Disk()
    ledger.inner.go.set()
    waiting = loop.run_in_executor(None, held.wait)
    with track_cost(prices=Flat(), ledger=ledger):
        call("a")
    assert ledger.inner.total() == 1
    held.set()
    await waiting


def test_what_could_not_be_recorded_is_counted_and_shown():
    class Broken:
        def cost(self, usage, model, provider=None, at=None):
            raise RuntimeError("out of paper")

        def record(self, record):
            raise OSError("no space left")

    with track_cost(prices=Broken()) as unpriced:
        call("a")
    assert unpriced.unpriced_calls == unpriced.failures == 1
    assert "out of paper" in unpriced.calls[0].notes[0]
    with track_cost(prices=Flat(), ledger=Broken()) as unwritten:
        call("b")
    assert (unwritten.total_usd, unwritten.failures) == (1, 1)
    assert "1 call could not be priced, recorded or written" in str(unwritten)
