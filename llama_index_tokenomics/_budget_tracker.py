"""Replace what calls hold by what they took, as soon as they end."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from decimal import Decimal
from functools import partial
from typing import Any

from llama_index_tokenomics._budget_loops import LoopWatch
from tokenomics_core.budgets import Budgets, MemoryBudgetStore, Reservation
from tokenomics_core.budgets._offer import Offer
from tokenomics_core.observability import CallEnd, CallStart, CallTracker, in_event_loop
from tokenomics_core.protocols import Pricer
from tokenomics_core.types import SpendRecord

__all__ = ["SettlingTracker"]

_log = logging.getLogger("tokenomics")


class SettlingTracker(CallTracker):
    """Settle each call by its record, and release what a call held that leaves none.

    Inside an event loop a store that touches a disk or a network is written by one worker thread; `flush`
    and `aflush` wait for it. What the worker has to do never waits for anything but the store.

    Attributes:
        holds: What open calls hold, by the key of the call.
        offers: What of it another framework may settle, likewise.
        unguarded_calls: How many calls ended that had not been asked for.
    """

    def __init__(self, budgets: Budgets, *, prices: Pricer, watch: LoopWatch | None = None) -> None:
        super().__init__(self._pay, prices=prices)
        self.holds: dict[str, Reservation] = {}
        self.offers: dict[str, Offer] = {}
        self.unguarded_calls = 0
        self._budgets, self._watch = budgets, watch
        self._works_at_once = isinstance(budgets.store, MemoryBudgetStore)
        self._worker: ThreadPoolExecutor | None = None
        self._pending: set[Future[None]] = set()
        self._owed: deque[Reservation] = deque()

    def finish(self, key: str, end: CallEnd, *, fallback: CallStart | None = None) -> None:
        """Settle a call that has ended; where its record could not be made, at its worst case."""
        super().finish(key, end, fallback=fallback)
        self._let_go(key, is_paid=True)

    def fail(self, key: str, error: BaseException, *, end: CallEnd | None = None) -> None:
        """Settle a call that raised, as far as it is paid for; release the rest."""
        failures = self.failures
        super().fail(key, error, end=end)
        self._let_go(key, is_paid=self.failures != failures)

    def discard(self, key: str) -> None:
        """Release what was set aside for a call that turned out not to be one."""
        super().discard(key)
        self._let_go(key, is_paid=False)

    def flush(self) -> None:
        """Wait for what the worker has still to write, and try again what could not be written."""
        if self._owed:
            self._do(self._book_owed)
        if self._pending:
            wait(list(self._pending))

    async def aflush(self) -> None:
        """Do the same without blocking the event loop."""
        if self._owed:
            self._do(self._book_owed)
        if self._pending:
            await asyncio.gather(*(asyncio.wrap_future(item) for item in list(self._pending)))

    def miss(self, name: str) -> None:
        """Count a call that was made without asking, and warn of the first one."""
        with self._lock:
            self.unguarded_calls += 1
            first = self.unguarded_calls == 1
        if first:
            _log.warning("%s was called without asking the budget guard; its cost is not held back", name)

    def _pay(self, record: SpendRecord) -> None:
        reservation = self._taken_out(record.id)
        if reservation is None:
            self.miss(record.model)
            return
        self._do(partial(self._book, reservation, record.cost_usd, record.usage.total_tokens))
        if self._watch is not None:
            self._watch.paid(record)

    def _book(self, reservation: Reservation, usd: Decimal | None = None, tokens: int | None = None) -> None:
        """Settle by what a call took; where that cannot be booked, by its worst case, now or later."""
        try:
            self._budgets.settle(reservation, usd, tokens)
        except BaseException as error:
            self._owed.append(reservation)
            if not isinstance(error, Exception):
                raise
            self.count_failure()
            self._book_owed()

    def _book_owed(self) -> None:
        """Settle at their worst case what could not be settled before."""
        while True:
            try:
                reservation = self._owed.popleft()
            except IndexError:
                return
            try:
                self._budgets.settle(reservation)
            except BaseException as error:
                self._owed.appendleft(reservation)
                if not isinstance(error, Exception):
                    raise
                return  # counted when it failed first; it is tried again

    def _let_go(self, key: str, *, is_paid: bool) -> None:
        if self._watch is not None:
            self._watch.forget(key)
        reservation = self._taken_out(key)
        if reservation is not None:
            self._do(partial(self._book if is_paid else self._budgets.release, reservation))

    def _taken_out(self, key: str) -> Reservation | None:
        if (offered := self.offers.pop(key, None)) is not None:
            offered.close()
        return self.holds.pop(key, None)

    def _do(self, step: Callable[[], Any]) -> None:
        if self._works_at_once or not in_event_loop():
            step()
            return
        with self._lock:
            if self._worker is None:
                self._worker = ThreadPoolExecutor(1, thread_name_prefix="tokenomics-budget")
        done = self._worker.submit(self._try, step)
        self._pending.add(done)
        done.add_done_callback(self._pending.discard)

    def _try(self, step: Callable[[], Any]) -> None:
        try:
            step()
        except Exception:  # noqa: BLE001 - nobody waits for the result
            self.count_failure()
