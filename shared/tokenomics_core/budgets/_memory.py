"""Budgets of one process, in memory."""

from __future__ import annotations

import heapq
import os
import time
from collections import deque
from collections.abc import Callable, Sequence

from tokenomics_core.budgets._account_id import belongs_to
from tokenomics_core.budgets._store import (
    Account,
    AccountState,
    Amounts,
    Check,
    Granted,
    Hold,
    HoldState,
    Refused,
    Settled,
    Stale,
    Sums,
)
from tokenomics_core.budgets._tally import Tally, judge, lapse_us, open_hold
from tokenomics_core.budgets._turn import Turn
from tokenomics_core.errors import ConfigurationError

__all__ = ["KEEP_ENDED_US", "KEEP_IDLE_S", "REMEMBER_S", "MemoryBudgetStore"]

KEEP_ENDED_US = 86_400 * 1_000_000
"""An account is kept for a day after its window, for who asks and for settlements that come late."""

KEEP_IDLE_S = 400 * 86_400
"""An account without an end is forgotten when nobody touched it for longer than a year."""

REMEMBER_S = 86_400.0
"""Settling a call again happens within a day: by a retry, a restart, a replayed queue."""

_REMEMBER_S = 3600.0
"""Within one process there are only retries."""


class MemoryBudgetStore:
    """Keep budgets in memory, for any number of threads and event loops of one process.

    What it keeps ends with the process. Use after a fork is refused: parent and child would each spend
    the whole budget. The async methods answer at once, in the loop.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.time,
        keep_idle_s: float | None = KEEP_IDLE_S,
        remember_s: float = _REMEMBER_S,
    ) -> None:
        """Start with nothing spent.

        Args:
            clock: Seconds since 1970.
            keep_idle_s: Forget accounts without an end that nobody touched for so long; None keeps them.
            remember_s: How long to know that a hold was settled, so that settling it again books nothing.
        """
        self._clock = clock
        self._keep_idle_us = None if keep_idle_s is None else int(keep_idle_s * 1e6)
        self._remember_us = int(remember_s * 1e6)
        self._turn = Turn("MemoryBudgetStore")
        self._pid = os.getpid()
        self._tallies: dict[str, Tally] = {}
        self._endings: list[tuple[int, str]] = []
        self._done: dict[str, bool] = {}
        self._done_order: deque[tuple[int, str]] = deque()
        self._claims: dict[str, set[str]] = {}

    def now_us(self) -> int:
        """Return the store's time."""
        return int(self._clock() * 1_000_000)

    def reserve(
        self, hold: Hold, checks: Sequence[Check], lease_us: int, sent: bool
    ) -> Granted | Refused | Stale:
        """Set a hold aside in all its accounts or in none; the same hold a second time changes nothing."""
        with self._locked():
            now = int(self._clock() * 1_000_000)
            for account in hold.accounts:
                if account.end_us and not account.start_us <= now < account.end_us:
                    return Stale(now)
            tallies = [self._tally(account, now) for account in hold.accounts]
            if there := tallies[0].holds.get(hold.id):
                return Granted(now, there.expires_us)
            refusing, soft = judge(checks, tallies, hold.amounts)
            if refusing is not None:
                return _refused(now, refusing, checks[refusing], tallies)
            held = open_hold(hold, now + lease_us, sent)
            for tally in tallies:
                tally.add(held, lapse_us(held, tally.account))
            return Granted(now, held.expires_us, soft)

    def mark_sent(self, hold: Hold) -> HoldState:
        """Note that the call was sent."""
        return self._replace(hold, None)

    def renew(self, hold: Hold, lease_us: int) -> HoldState:
        """Let the lease run anew from now."""
        return self._replace(hold, lease_us)

    def _replace(self, hold: Hold, lease_us: int | None) -> HoldState:
        with self._locked():
            if hold.id in self._done:
                return "done"
            now = self.now_us()
            tallies = [self._tally(account, now) for account in hold.accounts]
            if not all(hold.id in tally.holds for tally in tallies):
                return "lapsed"
            for tally in tallies:
                held = tally.holds[hold.id]
                if lease_us is None:
                    held = held._replace(sent=not hold.lapses)
                else:
                    held = held._replace(expires_us=now + lease_us)
                tally.holds[hold.id] = held
                tally.next_us = min(tally.next_us, lapse_us(held, tally.account))
            return "ok"

    def settle(self, hold: Hold, spent: Amounts) -> Settled:
        """Replace a hold by what was spent, whether or not the hold still stands."""
        with self._locked():
            now = int(self._clock() * 1_000_000)
            if self._done.get(hold.id):
                return Settled(now, repeated=True, late=False)
            self._remember(hold.id, now, settled=True)
            late, sums, grants = False, [], []
            for account in hold.accounts:
                tally = self._tally(account, now)
                late |= not tally.drop(hold.id)
                tally.book(spent, now)
                sums.append(Amounts(*tally.spent))
                grants.append(Amounts(*tally.granted))
            return Settled(now, False, late, tuple(sums), tuple(grants))

    def release(self, hold: Hold) -> HoldState:
        """Free a hold that cost nothing."""
        with self._locked():
            if hold.id in self._done:
                return "done"
            now = self.now_us()
            self._remember(hold.id, now, settled=False)
            found = [self._tally(account, now).drop(hold.id) for account in hold.accounts]
            return "ok" if all(found) else "lapsed"

    def grant(self, account: Account, amounts: Amounts) -> None:
        """Allow more on an account for as long as its window lasts."""
        with self._locked():
            tally = self._tally(account, self.now_us())
            tally.granted = [have + more for have, more in zip(tally.granted, amounts, strict=True)]

    def claim(self, account: Account, name: str) -> bool:
        """Return True to exactly one caller per account and name."""
        with self._locked():
            self._tally(account, self.now_us())
            names = self._claims.setdefault(account.id, set())
            if name in names:
                return False
            names.add(name)
            return True

    def read(self, accounts: Sequence[Account]) -> tuple[int, tuple[AccountState, ...]]:
        """Return the store's time and what stands on each account."""
        with self._locked():
            now = self.now_us()
            states = []
            for account in accounts:
                tally = self._tallies.get(account.id)
                if tally is not None and tally.next_us <= now:
                    tally.sweep(now)
                states.append(AccountState() if tally is None else tally.state(now))
            return now, tuple(states)

    def sums(self, accounts: Sequence[Account]) -> tuple[int, tuple[Sums, ...]]:
        """Return the store's time and the sums of each account."""
        with self._locked():
            now = self.now_us()
            found = []
            for account in accounts:
                tally = self._tallies.get(account.id)
                if tally is not None and tally.next_us <= now:
                    tally.sweep(now)
                found.append(Sums() if tally is None else tally.sums())
            return now, tuple(found)

    def forget(self, user: str) -> int:
        """Delete every account that counts what a user spends, and return how many there were."""
        with self._locked():
            found = [account for account in self._tallies if belongs_to(account, "user", user)]
            for account in found:
                del self._tallies[account]
                self._claims.pop(account, None)
            return len(found)

    async def areserve(
        self, hold: Hold, checks: Sequence[Check], lease_us: int, sent: bool
    ) -> Granted | Refused | Stale:
        """Do what `reserve` does."""
        return self.reserve(hold, checks, lease_us, sent)

    async def amark_sent(self, hold: Hold) -> HoldState:
        """Do what `mark_sent` does."""
        return self.mark_sent(hold)

    async def arenew(self, hold: Hold, lease_us: int) -> HoldState:
        """Do what `renew` does."""
        return self.renew(hold, lease_us)

    async def asettle(self, hold: Hold, spent: Amounts) -> Settled:
        """Do what `settle` does."""
        return self.settle(hold, spent)

    async def arelease(self, hold: Hold) -> HoldState:
        """Do what `release` does."""
        return self.release(hold)

    async def agrant(self, account: Account, amounts: Amounts) -> None:
        """Do what `grant` does."""
        self.grant(account, amounts)

    async def aclaim(self, account: Account, name: str) -> bool:
        """Do what `claim` does."""
        return self.claim(account, name)

    async def aread(self, accounts: Sequence[Account]) -> tuple[int, tuple[AccountState, ...]]:
        """Do what `read` does."""
        return self.read(accounts)

    async def asums(self, accounts: Sequence[Account]) -> tuple[int, tuple[Sums, ...]]:
        """Do what `sums` does."""
        return self.sums(accounts)

    async def aforget(self, user: str) -> int:
        """Do what `forget` does."""
        return self.forget(user)

    def _locked(self) -> Turn:
        if os.getpid() != self._pid:
            raise ConfigurationError(
                f"MemoryBudgetStore of process {self._pid} was used in process {os.getpid()}, which would "
                "spend the budget again; nothing was set aside (use SQLiteBudgetStore or RedisBudgetStore)"
            )
        return self._turn

    def _tally(self, account: Account, now_us: int) -> Tally:
        tally = self._tallies.get(account.id)
        if tally is None:
            tally = self._tallies[account.id] = Tally(account, now_us)
            self._forget_ended(now_us)
            if account.end_us:
                # A settlement may open an account again long after its window.
                heapq.heappush(self._endings, (max(account.end_us, now_us) + KEEP_ENDED_US, account.id))
            elif self._keep_idle_us is not None:
                heapq.heappush(self._endings, (now_us + self._keep_idle(account), account.id))
        elif tally.next_us <= now_us:
            tally.sweep(now_us)
        tally.touched_us = now_us
        return tally

    def _keep_idle(self, account: Account) -> int:
        idle = self._keep_idle_us or 0
        return 2 * account.length_us + KEEP_ENDED_US if account.length_us else idle

    def _forget_ended(self, now_us: int) -> None:
        while self._endings and self._endings[0][0] <= now_us:
            _, account_id = heapq.heappop(self._endings)
            tally = self._tallies.get(account_id)
            if tally is None:
                continue  # it was forgotten before its time
            if not tally.account.end_us:
                due_us = tally.touched_us + self._keep_idle(tally.account)
                if due_us > now_us:
                    heapq.heappush(self._endings, (due_us, account_id))
                    continue
            del self._tallies[account_id]
            self._claims.pop(account_id, None)

    def _remember(self, hold_id: str, now_us: int, *, settled: bool) -> None:
        order = self._done_order
        while order and order[0][0] <= now_us - self._remember_us:
            self._done.pop(order.popleft()[1], None)
        if hold_id not in self._done:
            order.append((now_us, hold_id))
        self._done[hold_id] = settled


def _refused(now_us: int, index: int, check: Check, tallies: Sequence[Tally]) -> Refused:
    tally = tallies[check.account]
    committed = tally.spent[check.unit] + tally.held[check.unit]
    return Refused(now_us, index, committed, tally.granted[check.unit])
