"""Budgets of one machine, in an SQLite file that any number of processes share."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tokenomics_core.budgets._account_id import belongs_to
from tokenomics_core.budgets._memory import KEEP_ENDED_US, KEEP_IDLE_S, REMEMBER_S
from tokenomics_core.budgets._sqlite_tally import SQLiteTally, create_schema, delete_accounts, forget_ended
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
from tokenomics_core.budgets._tally import judge, open_hold
from tokenomics_core.budgets._turn import Turn
from tokenomics_core.errors import ConfigurationError, StoreError

__all__ = ["SQLiteBudgetStore"]

_TIDY_US = 60 * 1_000_000
_inherited: list[sqlite3.Connection] = []
"""Connections made before a fork: SQLite allows the child neither to use nor to close them."""


class SQLiteBudgetStore:
    """Keep budgets in a file, for any number of threads and processes of one machine.

    Every step is one transaction of a write-ahead log: a process may be killed at any moment. After a power
    failure the last steps may be missing. The async methods run in a worker thread: SQLite has no other way.
    The file must lie on a local disk.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        clock: Callable[[], float] = time.time,
        busy_timeout_s: float = 10.0,
        keep_idle_s: float | None = KEEP_IDLE_S,
        remember_s: float = REMEMBER_S,
    ) -> None:
        """Name the file; it is made or opened when the store is first used.

        Args:
            path: The file. Two more of the same name, `-wal` and `-shm`, lie beside it.
            clock: Seconds since 1970; all processes must agree on it.
            busy_timeout_s: How long to wait for other processes before a `StoreError`.
            keep_idle_s: Forget accounts without an end that nobody touched for so long; None keeps them.
            remember_s: How long to know that a hold was settled, so that settling it again books nothing.
        """
        if str(path) == ":memory:":
            raise ConfigurationError(
                "path must be a file, not ':memory:'; use MemoryBudgetStore; nothing was opened"
            )
        if not 0 <= busy_timeout_s < 86_400:
            raise ConfigurationError(f"busy_timeout_s must be from 0 to 86400, not {busy_timeout_s!r}")
        self.path = Path(path)
        self._clock = clock
        self._busy_timeout_s = busy_timeout_s
        self._keep_idle_us = None if keep_idle_s is None else int(keep_idle_s * 1e6)
        self._remember_us = int(remember_s * 1e6)
        self._turn = Turn(repr(self))
        self._pid = os.getpid()
        self._connection: sqlite3.Connection | None = None
        self._tidy_at_us = 0

    def __repr__(self) -> str:
        return f"SQLiteBudgetStore({str(self.path)!r})"

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        with self._turn:
            self._disconnect()

    def now_us(self) -> int:
        """Return the store's time."""
        return int(self._clock() * 1_000_000)

    def reserve(
        self, hold: Hold, checks: Sequence[Check], lease_us: int, sent: bool
    ) -> Granted | Refused | Stale:
        """Set a hold aside in all its accounts or in none; the same hold a second time changes nothing."""
        with self._transaction() as db:
            now = self.now_us()
            for account in hold.accounts:
                if account.end_us and not account.start_us <= now < account.end_us:
                    return Stale(now)
            tallies = [SQLiteTally(db, account, now) for account in hold.accounts]
            if there := tallies[0].find(hold.id):
                return Granted(now, there.expires_us)
            refusing, soft = judge(checks, tallies, hold.amounts)
            if refusing is not None:
                check = checks[refusing]
                tally = tallies[check.account]
                committed = tally.spent[check.unit] + tally.held[check.unit]
                return Refused(now, refusing, committed, tally.granted[check.unit])
            held = open_hold(hold, now + lease_us, sent)
            for tally in tallies:
                tally.add(held)
                self._save(tally, now)
            return Granted(now, held.expires_us, soft)

    def mark_sent(self, hold: Hold) -> HoldState:
        """Note that the call was sent."""
        return self._replace(hold, None)

    def renew(self, hold: Hold, lease_us: int) -> HoldState:
        """Let the lease run anew from now."""
        return self._replace(hold, lease_us)

    def _replace(self, hold: Hold, lease_us: int | None) -> HoldState:
        with self._transaction() as db:
            if _ending(db, hold.id):
                return "done"
            now = self.now_us()
            tallies = [SQLiteTally(db, account, now) for account in hold.accounts]
            found = [tally.find(hold.id) for tally in tallies]
            if None in found:
                return "lapsed"
            for tally, held in zip(tallies, found, strict=True):
                assert held is not None  # noqa: S101 - just tested; mypy does not follow
                if lease_us is None:
                    tally.replace(held._replace(sent=not hold.lapses))
                else:
                    tally.replace(held._replace(expires_us=now + lease_us))
                self._save(tally, now)
            return "ok"

    def settle(self, hold: Hold, spent: Amounts) -> Settled:
        """Replace a hold by what was spent, whether or not the hold still stands."""
        with self._transaction() as db:
            now = self.now_us()
            if _ending(db, hold.id) == "settled":
                return Settled(now, repeated=True, late=False)
            _end(db, hold.id, "settled", now)
            late, sums, grants = False, [], []
            for account in hold.accounts:
                tally = SQLiteTally(db, account, now)
                late |= not tally.drop(hold.id)
                tally.book(spent, now)
                self._save(tally, now)
                sums.append(Amounts(*tally.spent))
                grants.append(Amounts(*tally.granted))
            return Settled(now, False, late, tuple(sums), tuple(grants))

    def release(self, hold: Hold) -> HoldState:
        """Free a hold that cost nothing."""
        with self._transaction() as db:
            if _ending(db, hold.id):
                return "done"
            now = self.now_us()
            _end(db, hold.id, "released", now)
            found = []
            for account in hold.accounts:
                tally = SQLiteTally(db, account, now)
                found.append(tally.drop(hold.id))
                self._save(tally, now)
            return "ok" if all(found) else "lapsed"

    def grant(self, account: Account, amounts: Amounts) -> None:
        """Allow more on an account for as long as its window lasts."""
        with self._transaction() as db:
            now = self.now_us()
            tally = SQLiteTally(db, account, now)
            tally.granted = [have + more for have, more in zip(tally.granted, amounts, strict=True)]
            self._save(tally, now)

    def claim(self, account: Account, name: str) -> bool:
        """Return True to exactly one caller per account and name."""
        with self._transaction() as db:
            now = self.now_us()
            self._save(SQLiteTally(db, account, now), now)
            done = db.execute("INSERT OR IGNORE INTO claims VALUES (?, ?)", (account.id, name))
            return done.rowcount == 1

    def read(self, accounts: Sequence[Account]) -> tuple[int, tuple[AccountState, ...]]:
        """Return the store's time and what stands on each account."""
        with self._transaction() as db:
            now = self.now_us()
            return now, tuple(SQLiteTally(db, account, now).state(now) for account in accounts)

    def sums(self, accounts: Sequence[Account]) -> tuple[int, tuple[Sums, ...]]:
        """Return the store's time and the sums of each account."""
        with self._transaction() as db:
            now = self.now_us()
            return now, tuple(SQLiteTally(db, account, now).sums() for account in accounts)

    def forget(self, user: str) -> int:
        """Delete every account that counts what a user spends, and return how many there were.

        What stood in the file is overwritten and the log beside it is emptied, unless another process is just
        reading it: then its next checkpoint does that.
        """
        with self._transaction() as db:
            rows = db.execute("SELECT id FROM accounts").fetchall()
            found = [row for row in rows if belongs_to(row[0], "user", user)]
            delete_accounts(db, found)
        with self._turn:
            if self._connection is not None:
                self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return len(found)

    async def areserve(
        self, hold: Hold, checks: Sequence[Check], lease_us: int, sent: bool
    ) -> Granted | Refused | Stale:
        """Do what `reserve` does, in a worker thread."""
        return await asyncio.to_thread(self.reserve, hold, checks, lease_us, sent)

    async def amark_sent(self, hold: Hold) -> HoldState:
        """Do what `mark_sent` does, in a worker thread."""
        return await asyncio.to_thread(self.mark_sent, hold)

    async def arenew(self, hold: Hold, lease_us: int) -> HoldState:
        """Do what `renew` does, in a worker thread."""
        return await asyncio.to_thread(self.renew, hold, lease_us)

    async def asettle(self, hold: Hold, spent: Amounts) -> Settled:
        """Do what `settle` does, in a worker thread."""
        return await asyncio.to_thread(self.settle, hold, spent)

    async def arelease(self, hold: Hold) -> HoldState:
        """Do what `release` does, in a worker thread."""
        return await asyncio.to_thread(self.release, hold)

    async def agrant(self, account: Account, amounts: Amounts) -> None:
        """Do what `grant` does, in a worker thread."""
        await asyncio.to_thread(self.grant, account, amounts)

    async def aclaim(self, account: Account, name: str) -> bool:
        """Do what `claim` does, in a worker thread."""
        return await asyncio.to_thread(self.claim, account, name)

    async def aread(self, accounts: Sequence[Account]) -> tuple[int, tuple[AccountState, ...]]:
        """Do what `read` does, in a worker thread."""
        return await asyncio.to_thread(self.read, accounts)

    async def asums(self, accounts: Sequence[Account]) -> tuple[int, tuple[Sums, ...]]:
        """Do what `sums` does, in a worker thread."""
        return await asyncio.to_thread(self.sums, accounts)

    async def aforget(self, user: str) -> int:
        """Do what `forget` does, in a worker thread."""
        return await asyncio.to_thread(self.forget, user)

    def _save(self, tally: SQLiteTally, now_us: int) -> None:
        account = tally.account
        if account.end_us:
            tally.save(max(account.end_us, now_us) + KEEP_ENDED_US)
        elif account.length_us:
            tally.save(now_us + 2 * account.length_us + KEEP_ENDED_US)
        else:
            tally.save(None if self._keep_idle_us is None else now_us + self._keep_idle_us)

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        self._notice_fork()
        with self._turn:
            try:
                db = self._connect()
                db.execute("BEGIN IMMEDIATE")
                self._tidy(db)
                yield db
                db.execute("COMMIT")
            except sqlite3.Error as error:
                self._disconnect()
                raise StoreError(repr(self), f"{error}; the step was not taken") from error
            except BaseException:
                self._disconnect()
                raise

    def _connect(self) -> sqlite3.Connection:
        if self._connection is None:
            # One connection behind one lock: the threads of a process then never wait in SQLite's back-off.
            db = sqlite3.connect(
                self.path, timeout=self._busy_timeout_s, isolation_level=None, check_same_thread=False
            )
            self._connection = db
            create_schema(db, repr(self), self._busy_timeout_s)
        return self._connection

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()  # rolls back what was not committed
            self._connection = None

    def _notice_fork(self) -> None:
        if os.getpid() != self._pid:
            if self._connection is not None:
                _inherited.append(self._connection)
            self._pid, self._turn, self._connection = os.getpid(), Turn(repr(self)), None

    def _tidy(self, db: sqlite3.Connection) -> None:
        now = self.now_us()
        if now >= self._tidy_at_us or self._tidy_at_us > now + _TIDY_US:
            self._tidy_at_us = now + _TIDY_US
            forget_ended(db, now, now - self._remember_us)


def _ending(db: sqlite3.Connection, hold_id: str) -> str | None:
    row = db.execute("SELECT ending FROM endings WHERE hold = ?", (hold_id,)).fetchone()
    return None if row is None else str(row[0])


def _end(db: sqlite3.Connection, hold_id: str, ending: str, now_us: int) -> None:
    db.execute("INSERT OR REPLACE INTO endings VALUES (?, ?, ?)", (hold_id, ending, now_us))
