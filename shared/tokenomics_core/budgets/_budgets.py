"""Spending limits that hold before a call is sent, whoever else is spending."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Literal

from tokenomics_core.budgets._alerts import AlertHandler
from tokenomics_core.budgets._bookings import forget, record, share_used
from tokenomics_core.budgets._call_flow import reserve_call
from tokenomics_core.budgets._flow import Flow, granted_amounts, lease_in_us
from tokenomics_core.budgets._limit import Limit
from tokenomics_core.budgets._memory import MemoryBudgetStore
from tokenomics_core.budgets._money import Money
from tokenomics_core.budgets._outage import BudgetCounters
from tokenomics_core.budgets._reservation import Reservation, Settlement
from tokenomics_core.budgets._status import BudgetStatus, Left
from tokenomics_core.budgets._steps import drive, drive_async
from tokenomics_core.budgets._store import BudgetStore
from tokenomics_core.budgets._touched import LimitSet
from tokenomics_core.budgets._worst_case import LEASE_S, CallShape, Ceiling
from tokenomics_core.errors import ConfigurationError
from tokenomics_core.types import Attribution

__all__ = ["Budgets"]

_Names = str | tuple[str, ...]


class Budgets:
    """Limits on what calls may spend, held by reserving the worst case before each call.

    `reserve` sets an amount aside in every limit that a call touches, in all of them or in none; `settle`
    replaces it by what the call took; `release` frees it. Two calls in flight cannot both spend the last
    dollar, and what was spent is always booked, above a limit too: the next call is then refused.

    A hold that was marked as sent and never settled counts at its worst case until it is settled, released
    or its window ends; a hold that was never sent is freed when its lease ends. Spend is booked in the window
    in which the call was reserved; in a rolling window at the time of settling.

    Each method has an async twin that makes the same decision and never blocks the event loop. A twin that is
    cancelled while it reserves leaves nothing set aside.
    """

    def __init__(
        self,
        limits: Iterable[Limit],
        store: BudgetStore | None = None,
        prices: Ceiling | None = None,
        on_alert: AlertHandler | None = None,
        on_store_failure: Literal["closed", "open"] = "closed",
        *,
        lease_s: float = LEASE_S,
        on_expiry: Literal["unconfirmed", "release"] = "unconfirmed",
        unknown: Literal["refuse", "allow"] = "refuse",
        unattributed: Literal["allow", "refuse"] = "allow",
        owner: str | None = None,
        new_id: Callable[[], str] | None = None,
    ) -> None:
        """Set the limits.

        Args:
            limits: What holds.
            store: Where it is kept; None keeps it in memory.
            prices: What knows the dearest price of a call, such as a `PriceBook`; `reserve_call` needs it.
            on_alert: Told once per threshold and window; may be async. A failure of it is logged and counted.
            on_store_failure: `closed` refuses calls with a `StoreError` while the store cannot be used,
                `open` lets them pass unguarded. Either way their cost is booked once the store is back.
            lease_s: How long a hold stands unless it is renewed.
            on_expiry: `unconfirmed` goes on counting what was sent and never settled, `release` frees it.
            unknown: Whether a call passes whose amount is unknown in a unit that its limits count.
            unattributed: Whether a call passes that does not name a scope that has limits.
            owner: Who holds, for people to read; None names host and process.
            new_id: Makes the ids of holds; None draws them at random.
        """
        _one_of("on_store_failure", on_store_failure, ("closed", "open"))
        _one_of("on_expiry", on_expiry, ("unconfirmed", "release"))
        _one_of("unknown", unknown, ("refuse", "allow"))
        _one_of("unattributed", unattributed, ("allow", "refuse"))
        self.store: BudgetStore = MemoryBudgetStore() if store is None else store
        self.prices = prices
        self._flow = Flow(
            LimitSet(limits),
            self.store,
            on_alert=on_alert,
            is_open=on_store_failure == "open",
            lease_us=lease_in_us(lease_s),
            lapses=on_expiry == "release",
            allow_unknown=unknown == "allow",
            allow_unattributed=unattributed == "allow",
            owner=owner,
            new_id=new_id or _random_id,
        )

    @property
    def limits(self) -> tuple[Limit, ...]:
        """What holds."""
        return self._flow.limits.limits

    @property
    def counters(self) -> BudgetCounters:
        """What went other than planned so far."""
        return self._flow.watch.counters

    @property
    def pending(self) -> int:
        """How many settlements and releases wait for the store to come back."""
        return len(self._flow.pending)

    def reserve(
        self,
        attribution: Attribution | None = None,
        usd: Money | None = None,
        tokens: int | None = None,
        *,
        calls: int = 1,
        lease_s: float | None = None,
        sent: bool = False,
    ) -> Reservation:
        """Set the most that a call may take aside in every limit that it touches.

        Args:
            attribution: Who the call is for; None takes the one in force here.
            usd: The most that it may cost; None where that is unknown.
            tokens: The most tokens, input and output together; likewise.
            calls: How many calls it counts as.
            lease_s: How long the hold stands; None takes the default.
            sent: Whether the call is sent right away, which saves `mark_sent`.

        Raises:
            BudgetExceededError: It does not fit; the error names the first limit that refuses.
            StoreError: The store cannot be used and the budgets are closed on failure.
            ConfigurationError: An amount is wrong, or unknown where a limit counts it.
        """
        lease_us = None if lease_s is None else lease_in_us(lease_s)
        steps = self._flow.reserve(attribution, usd, tokens, calls=calls, lease_us=lease_us, sent=sent)
        return drive(self.store, self._flow.watch.refusing(steps))

    async def areserve(
        self,
        attribution: Attribution | None = None,
        usd: Money | None = None,
        tokens: int | None = None,
        *,
        calls: int = 1,
        lease_s: float | None = None,
        sent: bool = False,
    ) -> Reservation:
        """Do what `reserve` does."""
        lease_us = None if lease_s is None else lease_in_us(lease_s)
        steps = self._flow.reserve(attribution, usd, tokens, calls=calls, lease_us=lease_us, sent=sent)
        return await drive_async(self.store, self._flow.watch.refusing(steps))

    def reserve_call(
        self,
        call: CallShape,
        attribution: Attribution | None = None,
        *,
        prices: Ceiling | None = None,
        lease_s: float | None = None,
        sent: bool = False,
    ) -> Reservation:
        """Set the worst case of a call aside; where the caller set no bound, fit its answer to what is left.

        Set `Reservation.max_output_tokens` on the request: only then is the amount a bound.

        Args:
            call: What is known of the call.
            attribution: Who it is for; None takes the one in force here.
            prices: What knows its dearest price; None takes the budgets' own.
            lease_s: How long the hold stands; None takes the default.
            sent: Whether the call is sent right away, which saves `mark_sent`.

        Raises:
            BudgetExceededError: Not even the least output fits.
            UnknownModelError: The model has no price and a limit that the call touches counts USD.
            ConfigurationError: Nothing bounds the answer.
        """
        lease_us = None if lease_s is None else lease_in_us(lease_s)
        known = self.prices if prices is None else prices
        steps = reserve_call(self._flow, known, call, attribution, lease_us, sent)
        return drive(self.store, self._flow.watch.refusing(steps))

    async def areserve_call(
        self,
        call: CallShape,
        attribution: Attribution | None = None,
        *,
        prices: Ceiling | None = None,
        lease_s: float | None = None,
        sent: bool = False,
    ) -> Reservation:
        """Do what `reserve_call` does."""
        lease_us = None if lease_s is None else lease_in_us(lease_s)
        known = self.prices if prices is None else prices
        steps = reserve_call(self._flow, known, call, attribution, lease_us, sent)
        return await drive_async(self.store, self._flow.watch.refusing(steps))

    def mark_sent(self, reservation: Reservation) -> None:
        """Note that the call goes out now, so that its hold outlives a crash.

        A hold whose lease has ended meanwhile is set aside again.

        Raises:
            BudgetExceededError: The lease had ended and the call no longer fits; it must not be sent.
            StoreError: The store cannot be used and the budgets are closed on failure.
            ConfigurationError: The reservation was settled or released before.
        """
        drive(self.store, self._flow.watch.refusing(self._flow.mark_sent(reservation)))

    async def amark_sent(self, reservation: Reservation) -> None:
        """Do what `mark_sent` does."""
        await drive_async(self.store, self._flow.watch.refusing(self._flow.mark_sent(reservation)))

    def settle(
        self,
        reservation: Reservation,
        usd: Money | None = None,
        tokens: int | None = None,
        *,
        calls: int | None = None,
    ) -> Settlement:
        """Book what a call took in place of what was set aside for it.

        Settling again changes nothing; settling after the lease or after a release books all the same. A
        store that cannot be used is no error here: the amount is kept and written before its next step.

        Args:
            reservation: What `reserve` returned.
            usd: What the call cost; None where that is unknown, which books the worst case.
            tokens: What it used; likewise.
            calls: How many calls it was; None as many as reserved, 0 for an answer from a cache.
        """
        return drive(self.store, self._flow.settle(reservation, usd, tokens, calls))

    async def asettle(
        self,
        reservation: Reservation,
        usd: Money | None = None,
        tokens: int | None = None,
        *,
        calls: int | None = None,
    ) -> Settlement:
        """Do what `settle` does."""
        return await drive_async(self.store, self._flow.settle(reservation, usd, tokens, calls))

    def release(self, reservation: Reservation) -> None:
        """Free what was set aside for a call that cost nothing; after settling it changes nothing."""
        drive(self.store, self._flow.release(reservation))

    async def arelease(self, reservation: Reservation) -> None:
        """Do what `release` does."""
        await drive_async(self.store, self._flow.release(reservation))

    def renew(self, reservation: Reservation, lease_s: float | None = None) -> bool:
        """Let the lease of a running call start anew; return whether its hold is known to stand."""
        return drive(
            self.store, self._flow.renew(reservation, None if lease_s is None else lease_in_us(lease_s))
        )

    async def arenew(self, reservation: Reservation, lease_s: float | None = None) -> bool:
        """Do what `renew` does."""
        lease_us = None if lease_s is None else lease_in_us(lease_s)
        return await drive_async(self.store, self._flow.renew(reservation, lease_us))

    def grant(
        self,
        scope: _Names,
        key: _Names = "",
        *,
        usd: Money | None = None,
        tokens: int | None = None,
        calls: int | None = None,
        window: str | None = None,
    ) -> None:
        """Allow more than the limit for the rest of the current window.

        Args:
            scope: As in the limit.
            key: Which user, feature ...; a tuple for several scopes together.
            usd: How much more money; likewise `tokens` and `calls`.
            tokens: How many more tokens.
            calls: How many more calls.
            window: The window by name, where the scope has limits over several.

        Raises:
            ConfigurationError: No limit has that scope and window, or nothing is granted.
            StoreError: The store cannot be used.
        """
        drive(self.store, self._flow.grant(scope, key, granted_amounts(usd, tokens, calls), window))

    async def agrant(
        self,
        scope: _Names,
        key: _Names = "",
        *,
        usd: Money | None = None,
        tokens: int | None = None,
        calls: int | None = None,
        window: str | None = None,
    ) -> None:
        """Do what `grant` does."""
        steps = self._flow.grant(scope, key, granted_amounts(usd, tokens, calls), window)
        await drive_async(self.store, steps)

    def status(
        self, scope: _Names, key: _Names = "", *, tags: Mapping[str, str] | None = None
    ) -> BudgetStatus:
        """Return what is spent, held and left on every limit of a scope.

        Args:
            scope: As in the limit.
            key: Which user, feature ...; a tuple for several scopes together.
            tags: What limits with a `match` are chosen by, such as `{"user_tier": "power"}`.

        Raises:
            ConfigurationError: No limit has that scope.
            StoreError: The store cannot be used.
        """
        return drive(self.store, self._flow.status(scope, key, tags or {}))

    async def astatus(
        self, scope: _Names, key: _Names = "", *, tags: Mapping[str, str] | None = None
    ) -> BudgetStatus:
        """Do what `status` does."""
        return await drive_async(self.store, self._flow.status(scope, key, tags or {}))

    def left(self, attribution: Attribution | None = None) -> Left:
        """Return the most that one more call may take, over all limits that it touches."""
        return drive(self.store, self._flow.left(attribution))

    async def aleft(self, attribution: Attribution | None = None) -> Left:
        """Do what `left` does."""
        return await drive_async(self.store, self._flow.left(attribution))

    def share_used(self, attribution: Attribution | None = None) -> float | None:
        """Return how much of the tightest limit that a call touches is spent or set aside, cheaply.

        0.8 is four fifths, more than 1 an overshoot, 0 no limit at all; limits that only downgrade do not
        count. None where the store cannot be used and the budgets are open on failure.
        """
        return drive(self.store, share_used(self._flow, attribution))

    async def ashare_used(self, attribution: Attribution | None = None) -> float | None:
        """Do what `share_used` does."""
        return await drive_async(self.store, share_used(self._flow, attribution))

    def record(
        self,
        attribution: Attribution | None = None,
        usd: Money | None = None,
        tokens: int | None = None,
        *,
        calls: int = 0,
        at: datetime | None = None,
        bill_id: str | None = None,
    ) -> Settlement:
        """Book spend that was never reserved, such as a bill that comes later or a tool's fee.

        It is booked above a limit too, and the next call is refused; a store that cannot be used is no error.

        Args:
            attribution: Who it was for; None takes the one in force here.
            usd: What it cost.
            tokens: What it used.
            calls: As how many calls it counts.
            at: When it was spent, which chooses the calendar window; None for now. A rolling window counts it
                from now.
            bill_id: The same bill a second time books nothing; None makes up an id.

        Raises:
            ConfigurationError: No amount is given or one is wrong.
        """
        return drive(self.store, record(self._flow, attribution, usd, tokens, calls, at, bill_id))

    async def arecord(
        self,
        attribution: Attribution | None = None,
        usd: Money | None = None,
        tokens: int | None = None,
        *,
        calls: int = 0,
        at: datetime | None = None,
        bill_id: str | None = None,
    ) -> Settlement:
        """Do what `record` does."""
        steps = record(self._flow, attribution, usd, tokens, calls, at, bill_id)
        return await drive_async(self.store, steps)

    def forget(self, *, user: str) -> int:
        """Delete what is kept under the name of a user, and return how many accounts that were.

        His limits start anew, and what was spent for him stays in those of his feature, project and of all. A
        call of his that is still running opens his account again when it settles.

        Raises:
            StoreError: The store cannot be used; not everything was deleted.
        """
        return drive(self.store, forget(self._flow, user))

    async def aforget(self, *, user: str) -> int:
        """Do what `forget` does."""
        return await drive_async(self.store, forget(self._flow, user))

    def flush(self) -> None:
        """Write what waits for the store.

        Raises:
            StoreError: It still cannot be used; nothing is lost.
        """
        drive(self.store, self._flow.flush())

    async def aflush(self) -> None:
        """Do what `flush` does."""
        await drive_async(self.store, self._flow.flush())


def _random_id() -> str:
    return os.urandom(12).hex()


def _one_of(name: str, value: object, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ConfigurationError(f"{name} must be {' or '.join(map(repr, allowed))}, not {value!r}")
