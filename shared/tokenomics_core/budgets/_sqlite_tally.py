"""One account as rows of an SQLite file."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence

from tokenomics_core.budgets._store import Account, AccountState, Amounts, OpenHold, Sums
from tokenomics_core.budgets._tally import NEVER_US, Tally, lapse_us, leaves_us
from tokenomics_core.errors import StoreError

__all__ = ["SQLiteTally", "create_schema", "delete_accounts", "forget_ended"]

_VERSION = 1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS accounts (
    id TEXT PRIMARY KEY,
    spent_nano_usd INTEGER NOT NULL, spent_tokens INTEGER NOT NULL, spent_calls INTEGER NOT NULL,
    held_nano_usd INTEGER NOT NULL, held_tokens INTEGER NOT NULL, held_calls INTEGER NOT NULL,
    granted_nano_usd INTEGER NOT NULL, granted_tokens INTEGER NOT NULL, granted_calls INTEGER NOT NULL,
    next_us INTEGER NOT NULL, created_us INTEGER NOT NULL, keep_until_us INTEGER
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS accounts_by_end ON accounts (keep_until_us);
CREATE TABLE IF NOT EXISTS holds (
    account TEXT NOT NULL, id TEXT NOT NULL, owner TEXT NOT NULL,
    nano_usd INTEGER NOT NULL, tokens INTEGER NOT NULL, calls INTEGER NOT NULL,
    expires_us INTEGER NOT NULL, sent INTEGER NOT NULL,
    PRIMARY KEY (account, id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS buckets (
    account TEXT NOT NULL, bucket INTEGER NOT NULL,
    nano_usd INTEGER NOT NULL, tokens INTEGER NOT NULL, calls INTEGER NOT NULL,
    PRIMARY KEY (account, bucket)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS claims (
    account TEXT NOT NULL, name TEXT NOT NULL, PRIMARY KEY (account, name)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS endings (
    hold TEXT PRIMARY KEY, ending TEXT NOT NULL, at_us INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS endings_by_time ON endings (at_us);
"""
_NEW = (0, 0, 0, 0, 0, 0, 0, 0, 0, NEVER_US)


class SQLiteTally:
    """Spend, holds and grants of one account, read at once and written with `save`.

    Holds and buckets are rows of their own and are written as they change, in the caller's transaction.
    """

    __slots__ = ("account", "created_us", "db", "granted", "held", "next_us", "spent")

    def __init__(self, db: sqlite3.Connection, account: Account, now_us: int) -> None:
        self.db, self.account = db, account
        row = db.execute(
            "SELECT spent_nano_usd, spent_tokens, spent_calls, held_nano_usd, held_tokens, held_calls,"
            " granted_nano_usd, granted_tokens, granted_calls, next_us, created_us"
            " FROM accounts WHERE id = ?",
            (account.id,),
        ).fetchone()
        row = row or (*_NEW, now_us)
        self.spent, self.held, self.granted = list(row[0:3]), list(row[3:6]), list(row[6:9])
        self.next_us, self.created_us = row[9], row[10]
        if self.next_us <= now_us:
            self._sweep(now_us)

    def find(self, hold_id: str) -> OpenHold | None:
        """Return a hold of this account."""
        row = self.db.execute(
            "SELECT id, owner, nano_usd, tokens, calls, expires_us, sent FROM holds"
            " WHERE account = ? AND id = ?",
            (self.account.id, hold_id),
        ).fetchone()
        return None if row is None else _hold(row)

    def add(self, hold: OpenHold) -> None:
        """Set a hold aside."""
        self.replace(hold)
        self.held = [have + more for have, more in zip(self.held, hold.amounts, strict=True)]

    def replace(self, hold: OpenHold) -> None:
        """Write a hold again with another lease or state."""
        self.db.execute(
            "INSERT OR REPLACE INTO holds VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (self.account.id, hold.id, hold.owner, *hold.amounts, hold.expires_us, hold.sent),
        )
        self.next_us = min(self.next_us, lapse_us(hold, self.account))

    def drop(self, hold_id: str) -> bool:
        """Take a hold away; return whether it was there."""
        hold = self.find(hold_id)
        if hold is None:
            return False
        self.db.execute("DELETE FROM holds WHERE account = ? AND id = ?", (self.account.id, hold_id))
        self.held = [have - less for have, less in zip(self.held, hold.amounts, strict=True)]
        return True

    def book(self, amounts: Amounts, now_us: int) -> None:
        """Add to what is spent."""
        self.spent = [have + more for have, more in zip(self.spent, amounts, strict=True)]
        if not self.account.length_us:
            return
        bucket = now_us // self.account.bucket_us
        self.db.execute(
            "INSERT INTO buckets VALUES (?, ?, ?, ?, ?) ON CONFLICT (account, bucket) DO UPDATE SET"
            " nano_usd = nano_usd + excluded.nano_usd, tokens = tokens + excluded.tokens,"
            " calls = calls + excluded.calls",
            (self.account.id, bucket, *amounts),
        )
        self.next_us = min(self.next_us, leaves_us(bucket, self.account))

    def sums(self) -> Sums:
        """Return the sums as a value."""
        return Sums(Amounts(*self.spent), Amounts(*self.held), Amounts(*self.granted))

    def state(self, now_us: int) -> AccountState:
        """Return everything as a value."""
        tally = self._whole()
        known = self.db.execute("SELECT 1 FROM accounts WHERE id = ?", (self.account.id,)).fetchone()
        return tally.state(now_us) if known else AccountState()

    def save(self, keep_until_us: int | None) -> None:
        """Write the sums."""
        self.db.execute(
            "INSERT OR REPLACE INTO accounts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                self.account.id,
                *self.spent,
                *self.held,
                *self.granted,
                self.next_us,
                self.created_us,
                keep_until_us,
            ),
        )

    def _sweep(self, now_us: int) -> None:
        before = self._whole()
        holds, buckets = set(before.holds), set(before.buckets)
        before.sweep(now_us)
        of = self.account.id
        self.db.executemany(
            "DELETE FROM holds WHERE account = ? AND id = ?",
            [(of, hold) for hold in holds - set(before.holds)],
        )
        self.db.executemany(
            "DELETE FROM buckets WHERE account = ? AND bucket = ?",
            [(of, bucket) for bucket in buckets - set(before.buckets)],
        )
        self.db.execute(
            "UPDATE accounts SET spent_nano_usd = ?, spent_tokens = ?, spent_calls = ?, held_nano_usd = ?,"
            " held_tokens = ?, held_calls = ?, next_us = ? WHERE id = ?",
            (*before.spent, *before.held, before.next_us, of),
        )
        self.spent, self.held, self.next_us = before.spent, before.held, before.next_us

    def _whole(self) -> Tally:
        tally = Tally(self.account, self.created_us)
        tally.spent, tally.held, tally.granted = list(self.spent), list(self.held), list(self.granted)
        of = (self.account.id,)
        rows = self.db.execute(
            "SELECT id, owner, nano_usd, tokens, calls, expires_us, sent FROM holds WHERE account = ?", of
        )
        tally.holds = {row[0]: _hold(row) for row in rows}
        if self.account.length_us:
            rows = self.db.execute(
                "SELECT bucket, nano_usd, tokens, calls FROM buckets WHERE account = ?", of
            )
            tally.buckets = {row[0]: list(row[1:]) for row in rows}
        return tally


def _hold(row: tuple[str, str, int, int, int, int, int]) -> OpenHold:
    return OpenHold(row[0], row[1], Amounts(*row[2:5]), row[5], bool(row[6]))


def create_schema(db: sqlite3.Connection, store: str, patience_s: float) -> None:
    """Make the tables where they are missing, waiting as long as told for others who do the same.

    Raises:
        StoreError: The file was written by a later version.
    """
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if version > _VERSION:
        raise StoreError(store, f"has schema version {version}, later than {_VERSION}; it was not opened")
    _log_ahead(db, patience_s)
    db.execute("PRAGMA synchronous = NORMAL")
    db.execute("PRAGMA secure_delete = ON")  # names of users are in these rows
    if version == _VERSION:
        return
    db.execute("BEGIN IMMEDIATE")
    for statement in _SCHEMA.split(";"):
        db.execute(statement)
    db.execute(f"PRAGMA user_version = {_VERSION}")
    db.execute("COMMIT")


def _log_ahead(db: sqlite3.Connection, patience_s: float) -> None:
    # SQLite does not wait by itself where two processes change the mode of a new file at once.
    deadline = time.monotonic() + patience_s
    while True:
        try:
            if db.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
                db.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() >= deadline:
                raise
            time.sleep(0.01)
        else:
            return


def forget_ended(db: sqlite3.Connection, now_us: int, settled_before_us: int) -> None:
    """Delete accounts that nobody asks for any more, and what belongs to them."""
    delete_accounts(db, db.execute("SELECT id FROM accounts WHERE keep_until_us <= ?", (now_us,)).fetchall())
    db.execute("DELETE FROM endings WHERE at_us <= ?", (settled_before_us,))


def delete_accounts(db: sqlite3.Connection, ids: Sequence[tuple[str]]) -> None:
    """Delete accounts, given as rows of their ids, and what belongs to them."""
    for table in ("holds", "buckets", "claims"):
        db.executemany(f"DELETE FROM {table} WHERE account = ?", ids)  # noqa: S608 - a literal above
    db.executemany("DELETE FROM accounts WHERE id = ?", ids)
