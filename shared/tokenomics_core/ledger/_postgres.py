"""A ledger in PostgreSQL, for a fleet."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from itertools import islice
from typing import Final

from tokenomics_core.errors import ConfigurationError, StoreError
from tokenomics_core.ledger._base import BaseLedger, Group, utc_now
from tokenomics_core.ledger._calendar import Calendar
from tokenomics_core.ledger._entry import admit
from tokenomics_core.ledger._postgres_queries import CHUNK_US, Queries, to_cost, to_group
from tokenomics_core.ledger._postgres_schema import prepared
from tokenomics_core.ledger._query import Query
from tokenomics_core.ledger._rows import Row, to_record, to_row
from tokenomics_core.postgres_link import Ask, Link, Work, checked_schema, database_of
from tokenomics_core.types import SpendRecord, Totals

__all__ = ["PostgresLedger"]

_log = logging.getLogger("tokenomics_core.ledger")
_PAGE: Final = 1_000
_SETTINGS: Final = "SET statement_timeout = {timeout_ms}"
_ONE_MOMENT: Final = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"


class PostgresLedger(BaseLedger):
    """Keep records in PostgreSQL, for any number of machines.

    A record is committed when `record` returns. A lost connection is a `StoreError`; the next call opens a
    new one. `arecord` uses connections of its own per event loop and never blocks it (on Windows psycopg asks
    for a `SelectorEventLoop`). A forked child opens its own.
    """

    def __init__(
        self,
        dsn: str,
        *,
        schema: str = "tokenomics_ledger",
        keep_content: bool = False,
        max_connections: int = 10,
        timeout_s: float = 10.0,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        """Connect to a database, and make the tables or bring them to the present schema.

        Args:
            dsn: As libpq reads it, such as `postgresql://user@host/database`. The user may create a schema,
                or an empty one is there.
            schema: Ledgers in different schemas do not see each other.
            keep_content: Whether to store the prompts and answers that a record may carry.
            max_connections: Most connections of all threads together, and of each event loop.
            timeout_s: How long to wait for a connection or an answer before a `StoreError`.
            clock: Tells the time by which `prune` measures ages.

        Raises:
            ConfigurationError: An argument is wrong, or the schema holds something else.
            StoreError: The database cannot be reached, or holds a ledger of a newer release.
            MissingExtraError: The extra `postgres` is not installed.
        """
        if isinstance(max_connections, bool) or not isinstance(max_connections, int) or max_connections < 1:
            raise ConfigurationError(
                f"max_connections must be 1 or more, not {max_connections!r}; nothing was opened"
            )
        if not math.isfinite(timeout_s) or timeout_s <= 0:
            raise ConfigurationError(f"timeout_s must be above 0, not {timeout_s!r}; nothing was opened")
        self._name = f"PostgresLedger({database_of(dsn)!r}, schema={schema!r})"
        self._queries = Queries(checked_schema(schema))
        self._keep_content = keep_content
        self._clock = clock
        self._link = Link(
            dsn,
            self._name,
            settings=_SETTINGS.format(timeout_ms=max(1, round(timeout_s * 1000))),
            prepare=lambda: prepared(schema, self._name),
            max_connections=max_connections,
            timeout_s=timeout_s,
        )
        self._ask(self._queries.last_seq(), "nothing was opened")

    def __repr__(self) -> str:
        return self._name

    def record(self, record: SpendRecord) -> None:
        """Append one record; the same id a second time changes nothing.

        Raises:
            StoreError: It could not be written; the message names the database and the reason.
            ConfigurationError: An amount or count of the record cannot be summed exactly.
        """
        ask = self._queries.insert([to_row(admit(record, keep_content=self._keep_content))])
        self._ask(ask, f"record {record.id!r} was not written")

    async def arecord(self, record: SpendRecord) -> None:
        """Append one record over a connection of this event loop, without blocking it; see `record`."""
        ask = self._queries.insert([to_row(admit(record, keep_content=self._keep_content))])

        def work() -> Work[None]:
            yield ask

        await self._link.run_async(work, f"record {record.id!r} was not written")

    def records(
        self, *, since: datetime | None = None, until: datetime | None = None, **where: str | None
    ) -> Iterator[SpendRecord]:
        """Go through the records in the order of their time; what is recorded meanwhile is left out.

        They are read a page at a time, so that a long export holds up nobody.
        """
        query = Query.of(since, until, where)
        last_seq = int(self._ask(self._queries.last_seq(), "nothing was read")[0][0][0])
        return self._pages(query, last_seq)

    def close(self) -> None:
        """Close the connections; a second time changes nothing."""
        self._link.close()

    async def aclose(self) -> None:
        """Close the connections, those of this event loop without blocking it."""
        await self._link.aclose()

    def _record_all(self, records: Iterable[SpendRecord]) -> int:
        rows = (to_row(admit(record, keep_content=self._keep_content)) for record in records)
        n_new = 0
        while page := list(islice(rows, _PAGE)):  # a transaction each, so that others get their turn
            n_new += self._ask(self._queries.insert(page), "nothing more was written")[1]
        return n_new

    def _sums(
        self, query: Query, dimensions: tuple[str, ...], calendar: Calendar | None
    ) -> dict[Group, Totals]:
        def work() -> Work[dict[Group, Totals]]:
            starts = None
            if calendar is not None:
                yield Ask(_ONE_MOMENT, None)  # or a record could come between the two questions
                chunks = (yield self._queries.chunks(query)).rows
                starts = _starts(calendar, [int(number) for (number,) in chunks])
            rows = (yield self._queries.sums(query, dimensions, starts)).rows
            return dict(to_group(row, starts, len(dimensions)) for row in rows)

        return self._link.run(work, "nothing was read", atomic=calendar is not None)

    def _costs(self, query: Query, dimensions: tuple[str, ...]) -> dict[Group, Decimal]:
        rows, _ = self._ask(self._queries.costs(query, dimensions), "nothing was read")
        return dict(to_cost(row) for row in rows)

    def _forget(self, user: str, *, delete: bool) -> int:
        n_changed = self._ask(self._queries.forget(user, delete=delete), "nothing was forgotten")[1]
        if n_changed:
            try:
                self._ask(self._queries.vacuum(), "the server does it later")
            except StoreError as error:
                _log.warning("what was forgotten was not yet overwritten: %s", error)
        return n_changed

    def _prune(self, before_us: int) -> int:
        return self._ask(self._queries.prune(before_us), "nothing was deleted")[1]

    def _now(self) -> datetime:
        return self._clock()

    def _ask(self, ask: Ask, not_done: str) -> tuple[list[Row], int]:
        def work() -> Work[tuple[list[Row], int]]:
            reply = yield ask
            return reply.rows, reply.touched

        return self._link.run(work, not_done)

    def _pages(self, query: Query, last_seq: int) -> Iterator[SpendRecord]:
        after = None
        while True:
            ask = self._queries.page(query, after=after, last_seq=last_seq, limit=_PAGE)
            rows, _ = self._ask(ask, "nothing was read")
            yield from map(to_record, rows)
            if len(rows) < _PAGE:
                return
            after = (rows[-1][2], rows[-1][0])


def _starts(calendar: Calendar, chunks: Sequence[int]) -> list[int]:
    """Return the starts of all buckets that records in these quarters of an hour may lie in."""
    starts = {
        start for number in chunks for start in calendar.starts_in(number * CHUNK_US, (number + 1) * CHUNK_US)
    }
    return sorted(starts)
