"""Reserve before a model call and settle after it, each call once whoever sees it."""

from __future__ import annotations

import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.exceptions import ModelError

from tokenomics_core.budgets import Budgets, CallShape, Reservation, Settlement
from tokenomics_core.errors import BudgetExceededError as CoreBudgetExceededError
from tokenomics_core.errors import ConfigurationError
from tokenomics_core.observability import CallEnd, CallStart, CallTracker, withdraw_call
from tokenomics_core.pricing import PriceBook, default_price_book
from tokenomics_core.protocols import Pricer
from tokenomics_core.tokens import load_vocabulary
from tokenomics_core.types import Attribution, SpendRecord

__all__ = ["BudgetExceededError", "Cover", "Gate", "current_cover", "gate_of", "refusal_of"]

_MOST_REFUSED_BATCHES = 64


class BudgetExceededError(CoreBudgetExceededError, ModelError):
    """A call would pass a spending limit; it was not sent and nothing was set aside.

    It is one of LangChain's `ModelError`s that say that a retry cannot help, so LangChain's retry middleware
    raises it at once and does not turn it into an answer.
    """

    is_retryable = False


def refusal_of(error: CoreBudgetExceededError) -> BudgetExceededError:
    """Return LangChain's form of a refusal."""
    return error if isinstance(error, BudgetExceededError) else BudgetExceededError(*error.args)


@dataclass(slots=True)
class Spent:
    """What calls took."""

    usd: Decimal = field(default=Decimal(0))
    tokens: int = 0
    calls: int = 0


class Cover:
    """A stretch of an agent in which calls belong to a run, and may use what was reserved for the next one.

    Attributes:
        attribution: Who calls inside are for.
        model: Which model the next call was reserved for.
        max_output_tokens: The bound that the next call was reserved with; None where no limit needs one.
        listener: The handler that is told of every run inside.
        outer: The stretch around this one, as around a sub-agent.
        spent: What calls inside took, those of stretches within it included.
        downgrade_to: The tier that a soft limit asks for; None where none does.
        is_downgraded: Whether a cheaper model has taken over already.
    """

    def __init__(
        self,
        gate: Gate,
        attribution: Attribution,
        reservation: Reservation | None = None,
        model: str | None = None,
        max_output_tokens: int | None = None,
        listener: BaseCallbackHandler | None = None,
    ) -> None:
        self.gate = gate
        self.attribution = attribution
        self.model = model
        self.max_output_tokens = max_output_tokens
        self.listener = listener
        self.outer = _cover.get()
        self.spent = Spent()
        self.downgrade_to = None if reservation is None else reservation.downgrade_to
        self.is_downgraded = False
        self._waiting = reservation
        self._lock = threading.RLock()

    @property
    def is_open(self) -> bool:
        """Whether a call inside has not ended, or what was reserved was not taken."""
        return self._waiting is not None or self.gate.has_open(self)

    @contextmanager
    def spread(self) -> Iterator[None]:
        """Cover everything that runs inside the block."""
        token = _cover.set(self)
        try:
            yield
        finally:
            _cover.reset(token)

    def take(self) -> Reservation | None:
        """Return what was reserved for the next call, once."""
        with self._lock:
            waiting, self._waiting = self._waiting, None
        return waiting

    def add(self, usd: Decimal, tokens: int, calls: int) -> None:
        """Note what a call inside took, here and in every stretch around it on the same budgets."""
        cover: Cover | None = self
        while cover is not None:
            if cover.gate is self.gate:
                with cover._lock:  # noqa: SLF001 - one of its own kind
                    spent = cover.spent
                    spent.usd, spent.tokens, spent.calls = (
                        spent.usd + usd,
                        spent.tokens + tokens,
                        spent.calls + calls,
                    )
            cover = cover.outer


_cover: ContextVar[Cover | None] = ContextVar("tokenomics_budget_cover", default=None)


def current_cover(gate: Gate | None = None) -> Cover | None:
    """Return the innermost cover here, or the innermost on one gate."""
    cover = _cover.get()
    while gate is not None and cover is not None and cover.gate is not gate:
        cover = cover.outer
    return cover


@dataclass(frozen=True, slots=True)
class _Hold:
    """What an open call holds, on whose account, and with which calls it is sent or not sent."""

    reservation: Reservation
    cover: Cover | None
    batch: object | None


class Gate(CallTracker):
    """The one place where calls are admitted to a set of budgets and paid for.

    Every handler and middleware of the same budgets shares one gate, so that a call which several of them see
    is reserved and settled once.
    """

    def __init__(self, budgets: Budgets, prices: Pricer) -> None:
        super().__init__(self._pay, prices=prices)
        self.budgets = budgets
        self.prices = prices
        self._holds: dict[str, _Hold] = {}
        self._seen: set[str] = set()
        self._refused_batches: deque[object] = deque(maxlen=_MOST_REFUSED_BATCHES)

    def admit(
        self,
        call: CallStart,
        shape: Callable[[], CallShape],
        *,
        cover: Cover | None = None,
        reserved: Reservation | None = None,
        batch: object | None = None,
    ) -> None:
        """Reserve for a call and follow it to its end; one that is under way already is left alone.

        Args:
            call: The call.
            shape: Counts it; asked only where nothing is reserved for it.
            cover: Where what it takes is noted.
            reserved: What was reserved for it before.
            batch: What it shares with calls that are all announced before the first of them is sent.

        Raises:
            BudgetExceededError: It does not fit; it must not be sent, and neither may its batch.
        """
        with self._lock:
            if call.key in self._seen:
                return
            self._seen.add(call.key)
        try:
            reservation = reserved or self.budgets.reserve_call(shape(), call.attribution, sent=True)
        except BaseException as error:
            self._refuse(call.key, batch)
            if isinstance(error, CoreBudgetExceededError):
                raise refusal_of(error) from None
            raise
        self._holds[call.key] = _Hold(reservation, cover, batch)
        super().start(call)
        if batch is not None and any(item is batch for item in self._refused_batches):
            withdraw_call(call.key)

    def _refuse(self, key: str, batch: object | None) -> None:
        """Tell everybody who has seen the beginning of a call that there is none."""
        self._seen.discard(key)
        withdraw_call(key)
        if batch is None:
            return
        self._refused_batches.append(batch)
        for sibling, hold in list(self._holds.items()):
            if hold.batch is batch:
                withdraw_call(sibling)

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

    def abandon(self, cover: Cover) -> None:
        """End what a cover leaves open: a call that was cancelled is settled, what nobody took released."""
        for key, hold in list(self._holds.items()):
            if hold.cover is cover:
                self._drop(key)
        waiting = cover.take()
        if waiting is not None:
            self.budgets.release(waiting)

    def has_open(self, cover: Cover) -> bool:
        """Whether a call on the account of a cover has not ended."""
        return any(hold.cover is cover for hold in list(self._holds.values()))

    def _pay(self, record: SpendRecord) -> None:
        hold = self._holds.pop(record.id, None)
        if hold is None:
            return
        if record.source == "cache":
            self._settle_hold(hold, Decimal(0), 0, 0)
        else:
            self._settle_hold(hold, record.cost_usd, record.usage.total_tokens, hold.reservation.calls)

    def _let_go(self, key: str, *, is_paid: bool) -> None:
        hold = self._holds.pop(key, None)
        if hold is not None and is_paid:
            self._settle_hold(hold, None, None, hold.reservation.calls)
        elif hold is not None:
            self.budgets.release(hold.reservation)
        self._seen.discard(key)

    def _settle_hold(self, hold: _Hold, usd: Decimal | None, tokens: int | None, calls: int) -> None:
        try:
            booked: Settlement = self.budgets.settle(hold.reservation, usd, tokens, calls=calls)
        except ConfigurationError:  # the amount is none; the call was made all the same
            self.count_failure()
            booked = self.budgets.settle(hold.reservation, calls=calls)
        if hold.cover is not None:
            hold.cover.add(booked.usd, booked.tokens, calls)


_gates: weakref.WeakValueDictionary[int, Gate] = weakref.WeakValueDictionary()
_gates_lock = threading.RLock()


def gate_of(budgets: Budgets, prices: Pricer | None = None) -> Gate:
    """Return the gate of these budgets; budgets that know no prices get those given, or the shared book.

    Raises:
        ConfigurationError: The budgets are guarded with other prices already.
    """
    if not isinstance(budgets, Budgets):
        raise ConfigurationError(f"budgets must be a Budgets object, not {budgets!r:.80}")
    with _gates_lock:
        gate = _gates.get(id(budgets))  # a gate keeps its budgets alive, so their id is not given away
        if gate is not None:
            if prices is not None and prices is not gate.prices:
                raise ConfigurationError("these budgets are guarded already, with other prices")
            return gate
        gate = _gates[id(budgets)] = Gate(budgets, _prices_of(budgets, prices))
    load_vocabulary(download="background")
    return gate


def _prices_of(budgets: Budgets, prices: Pricer | None) -> Pricer:
    known: Any = budgets.prices
    if prices is None:
        prices = known if isinstance(known, Pricer) else default_price_book()
    if known is None:
        budgets.prices = prices if isinstance(prices, PriceBook) else default_price_book()
    if isinstance(prices, PriceBook):
        prices.load()
    return prices
