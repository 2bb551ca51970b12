"""A ledger in one file, for all processes of a machine."""

from __future__ import annotations

import asyncio
import os
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from itertools import islice

from tokenomics_core.errors import ConfigurationError
from tokenomics_core.ledger._base import BaseLedger, Group, utc_now
from tokenomics_core.ledger._batch import BatchWriter
from tokenomics_core.ledger._calendar import Calendar
from tokenomics_core.ledger._entry import admit
from tokenomics_core.ledger._query import Query
from tokenomics_core.ledger._rows import (
    INSERT,
    Row,
    select_costs,
    select_records,
    select_sums,
    to_cost,
    to_group,
    to_record,
    to_row,
)
from tokenomics_core.ledger._schema import prepare
from tokenomics_core.sqlite_file import Database, Synchronous
from tokenomics_core.types import SpendRecord, Totals

__all__ = ["SQLiteLedger"]

_PAGE = 1000
_FORGET_USER = (
    "UPDATE records SET user = NULL, conversation = NULL, run = NULL, tags = NULL, content = NULL "
    "WHERE user = ?"
)
_DELETE_USER = "DELETE FROM records WHERE user = ?"


class SQLiteLedger(BaseLedger):
    """Keep records in a SQLite file that any number of threads and processes of one machine share.

    A record is committed when `record` returns: `kill -9` at any moment loses at most the one in flight.
    A power cut may take the last moments too, never the file, unless `synchronous="full"`.

    Args:
        path: The file; it is made if absent, and brought to the present schema if older.
        keep_content: Whether to store the prompts and answers that a record may carry.
        busy_timeout_s: Seconds to wait for another process's write before giving up.
        flush_every_s: Write that many seconds later and many at a time, so that `record` waits for no disk;
            `kill -9` then loses that much. None writes each record before `record` returns.
        synchronous: `normal` hands each commit to the operating system, `full` waits for the disk.
        clock: Tells the time by which `prune` measures ages.

    Raises:
        StoreError: The file cannot be opened, is damaged, no ledger, or of a newer schema; it is unchanged.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        keep_content: bool = False,
        busy_timeout_s: float = 5.0,
        flush_every_s: float | None = None,
        synchronous: Synchronous = "normal",
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        name = os.fspath(path)
        if not isinstance(name, str) or not name or name.startswith((":memory:", "file:")):
            raise ConfigurationError(
                f"path must name a file, not {path!r}; a ledger in memory is a MemoryLedger"
            )
        if busy_timeout_s < 0:
            raise ConfigurationError(f"busy_timeout_s must be 0 or more, not {busy_timeout_s!r}")
        if flush_every_s is not None and flush_every_s <= 0:
            raise ConfigurationError(f"flush_every_s must be more than 0, or None, not {flush_every_s!r}")
        if synchronous not in {"normal", "full"}:
            raise ConfigurationError(f"synchronous must be 'normal' or 'full', not {synchronous!r}")
        self.path = os.path.abspath(name)  # noqa: PTH100 - Path.resolve would follow links
        self._keep_content = keep_content
        self._clock = clock
        self._database = Database(self.path, prepare, busy_timeout_s=busy_timeout_s, synchronous=synchronous)
        self._batch: BatchWriter | None = None
        if flush_every_s is not None:
            self._batch = BatchWriter(self.path, _Writer(self._database), every_s=flush_every_s)
            self._database.on_child = self._batch.start_anew
        self._finalizer = weakref.finalize(self, _close, self._database, self._batch)
        with self._database.writing("nothing was written"):
            """Opening shows at once whether the file can be used."""

    def record(self, record: SpendRecord) -> None:
        """Append one record; the same id a second time changes nothing.

        Raises:
            StoreError: It could not be written; the message names the file and the reason.
            ConfigurationError: An amount or count of the record cannot be summed exactly.
        """
        row = to_row(admit(record, keep_content=self._keep_content))
        if self._batch is not None:
            self._batch.put(row)
            return
        with self._database.writing(f"record {record.id!r} was not written") as connection:
            connection.execute(INSERT, row)

    async def arecord(self, record: SpendRecord) -> None:
        """Append one record from a thread of the event loop's pool, so that the loop never waits.

        With `flush_every_s` a thread is needed only when more waits than is good.
        """
        if self._batch is not None and not self._batch.is_full:
            self.record(record)
        else:
            await asyncio.to_thread(self.record, record)

    def records(
        self, *, since: datetime | None = None, until: datetime | None = None, **where: str | None
    ) -> Iterator[SpendRecord]:
        """Go through the records in the order of their time; what is recorded meanwhile is left out.

        They are read a page at a time, so that a long export holds up nobody.
        """
        query = Query.of(since, until, where)
        self.flush()
        with self._database.reading() as connection:
            (last_seq,) = connection.execute("SELECT coalesce(max(seq), 0) FROM records").fetchone()
        return self._pages(query, last_seq)

    def flush(self) -> None:
        """Write what `flush_every_s` still holds back.

        Raises:
            StoreError: It could not be written; it is kept and tried again.
        """
        if self._batch is not None:
            self._batch.flush()

    def close(self) -> None:
        """Write what is held back and close the file; a second time changes nothing."""
        if self._finalizer.detach():
            _close(self._database, self._batch)

    def _record_all(self, records: Iterable[SpendRecord]) -> int:
        self.flush()
        rows = (to_row(admit(record, keep_content=self._keep_content)) for record in records)
        write = _Writer(self._database)
        n_new = 0
        while page := list(islice(rows, _PAGE)):  # a transaction each, so that others get their turn
            n_new += write(page)
        return n_new

    def _sums(
        self, query: Query, dimensions: tuple[str, ...], calendar: Calendar | None
    ) -> dict[Group, Totals]:
        self.flush()
        sql, parameters = select_sums(query, dimensions, has_bucket=calendar is not None)
        with self._database.reading() as connection:
            if calendar is not None:
                connection.create_function("bucket_start", 1, calendar.start_us, deterministic=True)
            rows = connection.execute(sql, parameters).fetchall()
        return dict(to_group(row, len(dimensions)) for row in rows)

    def _costs(self, query: Query, dimensions: tuple[str, ...]) -> dict[Group, Decimal]:
        self.flush()
        sql, parameters = select_costs(query, dimensions)
        with self._database.reading() as connection:
            rows = connection.execute(sql, parameters).fetchall()
        return dict(to_cost(row) for row in rows)

    def _forget(self, user: str, *, delete: bool) -> int:
        # Deleted and overwritten bytes are zeroed (secure_delete), and the log is emptied afterwards.
        return self._change(_DELETE_USER if delete else _FORGET_USER, user, "nothing was forgotten")

    def _prune(self, before_us: int) -> int:
        return self._change("DELETE FROM records WHERE at_us < ?", before_us, "nothing was deleted")

    def _now(self) -> datetime:
        return self._clock()

    def _change(self, sql: str, parameter: str | int, not_done: str) -> int:
        self.flush()
        with self._database.writing(not_done) as connection:
            n_changed = connection.execute(sql, (parameter,)).rowcount
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return n_changed

    def _pages(self, query: Query, last_seq: int) -> Iterator[SpendRecord]:
        after = None
        while True:
            sql, parameters = select_records(query, after=after, last_seq=last_seq, limit=_PAGE)
            with self._database.reading() as connection:
                rows = connection.execute(sql, parameters).fetchall()
            yield from map(to_record, rows)
            if len(rows) < _PAGE:
                return
            after = (rows[-1][2], rows[-1][0])


class _Writer:
    """Writes rows in one transaction; refers to no ledger, so that an unused one can be collected."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def __call__(self, rows: Sequence[Row]) -> int:
        with self._database.changing("nothing was written") as connection:
            before = connection.total_changes
            connection.executemany(INSERT, rows)
            return connection.total_changes - before


def _close(database: Database, batch: BatchWriter | None) -> None:
    try:
        if batch is not None:
            batch.close()
    finally:
        database.close()
