"""Track the cost of everything that runs inside a block, whatever framework runs it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextvars import ContextVar, Token
from types import TracebackType
from typing import Any, TypeVar

from tokenomics_core.errors import ConfigurationError, UnknownModelError
from tokenomics_core.ledger import MemoryLedger
from tokenomics_core.observability._live import LiveDisplay
from tokenomics_core.observability._report import CostReport
from tokenomics_core.observability._tracker import CallTracker, in_event_loop
from tokenomics_core.pricing import PriceBook, default_price_book
from tokenomics_core.protocols import Ledger, Pricer
from tokenomics_core.types import SpendRecord

__all__ = ["CostScope", "LedgerWriter", "announce_meter", "current_scope", "is_metered", "track_cost"]

_log = logging.getLogger("tokenomics")
_T = TypeVar("_T")
_active: ContextVar[CostScope | None] = ContextVar("tokenomics_scope", default=None)
_meters: dict[str, Callable[[], None] | None] = {}


def announce_meter(framework: str, attach: Callable[[], None] | None = None) -> None:
    """Tell that calls of a framework are metered in every block from now on.

    Args:
        framework: Its name.
        attach: Called as a block opens, to begin listening; it must bear being called again.
    """
    _meters[framework] = attach


def is_metered(framework: str) -> bool:
    """Whether calls of a framework are metered in every block, so that a wrapper around it need not."""
    return framework in _meters


def current_scope() -> CostScope | None:
    """Return the innermost `track_cost` block that is open here."""
    return _active.get()


class LedgerWriter:
    """Write records to a ledger without ever failing or stalling the call they describe.

    Outside an event loop a record is written before the call returns. Inside one, a ledger that touches a
    disk or a network is written by a thread of its own, in order; `flush` waits for it. A write that fails is
    logged once and counted.
    """

    def __init__(self, ledger: Ledger, *, on_failure: Callable[[], None] | None = None) -> None:
        self._on_failure = on_failure
        self._worker: ThreadPoolExecutor | None = None
        self.ledger = ledger
        self._blocks = not isinstance(ledger, MemoryLedger)
        self._pending: set[Future[None]] = set()
        self.failures = 0

    def write(self, record: SpendRecord) -> None:
        """Append one record, now or from a worker thread."""
        if not self._blocks or not in_event_loop():
            self._write(record)
            return
        if self._worker is None:
            # Not the loop's own pool: its threads may be held by work that waits for the loop.
            self._worker = ThreadPoolExecutor(1, thread_name_prefix="tokenomics-ledger")
        done = self._worker.submit(self._write, record)
        self._pending.add(done)
        done.add_done_callback(self._pending.discard)

    def flush(self) -> None:
        """Wait for records that a worker thread is still writing."""
        wait(list(self._pending))

    async def aflush(self) -> None:
        """Wait for the same without blocking the event loop."""
        if self._pending:
            await asyncio.gather(*(asyncio.wrap_future(item) for item in list(self._pending)))

    def _write(self, record: SpendRecord) -> None:
        try:
            self.ledger.record(record)
        except Exception:  # noqa: BLE001 - an observer may not break the call it watches
            self.failures += 1
            if self.failures == 1:
                _log.exception("a record could not be written to the ledger; the call itself is not affected")
            if self._on_failure is not None:
                self._on_failure()


class CostScope:
    """One open `track_cost` block: its report, its ledger and the block around it."""

    def __init__(
        self, report: CostReport, *, prices: Pricer, ledger: Ledger | None, keep_content: bool = False
    ) -> None:
        self.report = report
        self.keep_content = keep_content
        self.prices = prices
        self.writer = LedgerWriter(ledger, on_failure=report.count_failure) if ledger is not None else None
        self.parent = _active.get()
        self.tracker = CallTracker(self.accept, prices=prices, on_failure=report.count_failure, bills=True)
        self._listeners: dict[str, Any] = {}

    def accept(self, record: SpendRecord) -> None:
        """Take a record into the report, the ledger and every block around this one; each call once."""
        if self.report.add(record) and self.writer is not None:
            self.writer.write(record)
        if self.parent is not None:
            self.parent.accept(record)

    def listener(self, name: str, make: Callable[[CostScope], _T]) -> _T:
        """Return the adapter's listener for this block, made on first use."""
        found = self._listeners.get(name)
        if found is None:
            found = self._listeners.setdefault(name, make(self))
        return found  # type: ignore[no-any-return]  # an adapter asks for what it stored

    @property
    def is_strict(self) -> bool:
        """Whether an unknown model is an error here."""
        return isinstance(self.prices, PriceBook) and self.prices.unknown == "raise"


class track_cost:  # noqa: N801 - reads as a function: `with track_cost() as cost:`
    """Measure what the calls inside a block cost.

    Works as `with` and as `async with`; blocks nest, and a call counts once in each. The report stays usable
    after the block, and a stream that is read to its end later is still added to it.

    Args:
        title: A heading for the report.
        ledger: Where records are kept besides the report. Inside an event loop a ledger that touches a disk
            is written from a worker thread; the end of a plain `with` waits for it, `async with` waits
            without blocking.
        prices: What calls cost; the shared price book where none is given. With
            `PriceBook(unknown="raise")` the block ends with `UnknownModelError` if a call could not be
            priced.
        live: Whether to show the report while the block runs, in a notebook or a terminal.
        keep_content: Whether prompts and answers are kept in the records.

    Raises:
        UnknownModelError: At the end of the block, for a strict price book.
    """

    def __init__(
        self,
        *,
        title: str | None = None,
        ledger: Ledger | None = None,
        prices: Pricer | None = None,
        live: bool = False,
        keep_content: bool = False,
    ) -> None:
        for name, value, method in (("ledger", ledger, "record"), ("prices", prices, "cost")):
            if value is not None and not hasattr(value, method):
                raise ConfigurationError(f"{name} needs a method {method}, which {value!r:.80} lacks")
        self._title, self._ledger, self._prices = title, ledger, prices
        self._live, self._keep_content = live, keep_content
        self._scope: CostScope | None = None
        self._token: Token[CostScope | None] | None = None
        self._display: LiveDisplay | None = None

    def __enter__(self) -> CostReport:
        if self._scope is not None:
            raise ConfigurationError("this track_cost block is open already; make another one inside it")
        prices = self._prices if self._prices is not None else default_price_book()
        if isinstance(prices, PriceBook):
            prices.load()
        report = CostReport(title=self._title, prices=prices)
        self._scope = CostScope(report, prices=prices, ledger=self._ledger, keep_content=self._keep_content)
        if self._live:
            self._display = LiveDisplay(report)
            self._display.start()
        for attach in list(_meters.values()):
            if attach is not None:
                attach()
        self._token = _active.set(self._scope)
        return report

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        scope = self._leave()
        if scope.writer is not None:
            scope.writer.flush()
        self._finish(scope, error)

    async def __aenter__(self) -> CostReport:
        return self.__enter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        scope = self._leave()
        if scope.writer is not None:
            await scope.writer.aflush()
        self._finish(scope, error)

    def _leave(self) -> CostScope:
        scope, token = self._scope, self._token
        if scope is None or token is None:
            raise RuntimeError("the end of a track_cost block was reached without its beginning")
        self._scope = self._token = None
        try:
            _active.reset(token)
        except ValueError:  # closed in another context than it was opened in
            _active.set(scope.parent)
        scope.tracker.close()
        return scope

    def _finish(self, scope: CostScope, error: BaseException | None) -> None:
        if self._display is not None:
            self._display.close()
        if error is None and scope.is_strict:
            for record in scope.report.calls:
                if record.cost_usd is None:
                    raise UnknownModelError(record.model, record.provider)
