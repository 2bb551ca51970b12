"""Questions to a ledger as PostgreSQL's text."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final

from tokenomics_core.ledger._base import Group
from tokenomics_core.ledger._entry import COUNTS
from tokenomics_core.ledger._money import from_pico
from tokenomics_core.ledger._query import Query
from tokenomics_core.ledger._rows import COLUMNS, Row
from tokenomics_core.ledger._sums import to_totals
from tokenomics_core.postgres_link import Ask
from tokenomics_core.types import DIMENSIONS, Totals

__all__ = ["CHUNK_US", "Queries", "to_cost", "to_group"]

CHUNK_US: Final = 900_000_000
"""Buckets are told from the quarters of an hour that have records, so that few instants are looked up."""

_QUOTED: Final = ", ".join('"user"' if name == "user" else name for name in COLUMNS)
_READ: Final = _QUOTED.replace("tags", "tags::text")
_PLACES: Final = ", ".join("%s::json" if name == "tags" else "%s" for name in COLUMNS)
_COSTS: Final = "coalesce(sum(cost_pico), 0)"
_TALLIES: Final = (
    "count(*), count(*) FILTER (WHERE source = 'cache'), count(*) FILTER (WHERE cost_pico IS NULL), "
    "count(*) FILTER (WHERE estimated)"
)
_COUNTS: Final = ", ".join(f"coalesce(sum({name}) FILTER (WHERE source <> 'cache'), 0)" for name in COUNTS)
_SUMS: Final = f"{_COSTS}, coalesce(sum(avoided_pico), 0), {_TALLIES}, {_COUNTS}"


class Queries:
    """The statements for one schema, each with its values.

    Args:
        schema: A checked name.
    """

    def __init__(self, schema: str) -> None:
        self._records = f"{schema}.records"

    def insert(self, rows: Sequence[Row]) -> Ask:
        """Append rows; those whose id is there already change nothing."""
        return Ask(
            f"INSERT INTO {self._records} ({_QUOTED}) VALUES "  # noqa: S608 - no values in the text
            f"{', '.join([f'({_PLACES})'] * len(rows))} ON CONFLICT (id) DO NOTHING",
            tuple(value for row in rows for value in row),
        )

    def last_seq(self) -> Ask:
        """Ask for the number of the latest record."""
        return Ask(f"SELECT coalesce(max(seq), 0) FROM {self._records}")  # noqa: S608 - likewise

    def page(self, query: Query, *, after: tuple[int, int] | None, last_seq: int, limit: int) -> Ask:
        """Ask for one page of records, in the order of time and then of recording."""
        conditions, values = _conditions(query)
        conditions.append("seq <= %s")
        values.append(last_seq)
        if after is not None:
            conditions.append("(at_us, seq) > (%s, %s)")
            values.extend(after)
        return Ask(
            f"SELECT seq, {_READ} FROM {self._records}{_where(conditions)} "  # noqa: S608 - likewise
            "ORDER BY at_us, seq LIMIT %s",
            (*values, limit),
        )

    def chunks(self, query: Query) -> Ask:
        """Ask for the numbers of the quarters of an hour that have records."""
        conditions, values = _conditions(query)
        return Ask(
            f"SELECT DISTINCT floor(at_us::numeric / {CHUNK_US})::bigint "  # noqa: S608 - likewise
            f"FROM {self._records}{_where(conditions)} ORDER BY 1",
            tuple(values),
        )

    def sums(self, query: Query, dimensions: Sequence[str], starts: Sequence[int] | None) -> Ask:
        """Ask for sums by the number of the bucket, from 1, and by dimensions."""
        return self._grouped(query, dimensions, starts, _SUMS)

    def costs(self, query: Query, dimensions: Sequence[str]) -> Ask:
        """Ask for sums of known costs alone."""
        return self._grouped(query, dimensions, None, _COSTS)

    def forget(self, user: str, *, delete: bool) -> Ask:
        """Make a user's records anonymous, or delete them."""
        if delete:
            return Ask(f'DELETE FROM {self._records} WHERE "user" = %s', (user,))  # noqa: S608 - likewise
        return Ask(
            f'UPDATE {self._records} SET "user" = NULL, conversation = NULL, run = NULL, tags = NULL, '  # noqa: S608
            'content = NULL WHERE "user" = %s',
            (user,),
        )

    def prune(self, before_us: int) -> Ask:
        """Delete what is older than an instant."""
        return Ask(f"DELETE FROM {self._records} WHERE at_us < %s", (before_us,))  # noqa: S608 - likewise

    def vacuum(self) -> Ask:
        """Give back the room of rows that are gone, so that what was in them is gone too."""
        return Ask(f"VACUUM {self._records}", None)

    def _grouped(
        self, query: Query, dimensions: Sequence[str], starts: Sequence[int] | None, sums: str
    ) -> Ask:
        keys, values = ["0::bigint"], []
        if starts is not None:
            keys, values = ["width_bucket(at_us, %s::bigint[])::bigint"], [list(starts)]
        for name in dimensions:
            expression, its_values = _value_of(name)
            keys.append(expression)
            values.extend(its_values)
        conditions, its_values = _conditions(query)
        values.extend(its_values)
        positions = ", ".join(str(number) for number in range(1, len(keys) + 1))
        return Ask(
            f"SELECT {', '.join(keys)}, {sums} FROM {self._records}{_where(conditions)} "  # noqa: S608 - likewise
            f"GROUP BY {positions}",
            tuple(values),
        )


def to_cost(row: Row) -> tuple[Group, Decimal]:
    """Return the key and sum that a row of `Queries.costs` holds."""
    *key, cost_pico = row
    return (int(key[0]), tuple(key[1:])), from_pico(int(cost_pico))


def to_group(row: Row, starts: Sequence[int] | None, n_dimensions: int) -> tuple[Group, Totals]:
    """Return the key and sums that a row of `Queries.sums` holds."""
    number, values = int(row[0]), tuple(row[1 : 1 + n_dimensions])
    cost_pico, avoided_pico, *others = map(int, row[1 + n_dimensions :])
    start_us = 0 if starts is None else starts[number - 1]
    return (start_us, values), to_totals(cost_pico, avoided_pico, others)


def _value_of(name: str) -> tuple[str, list[Any]]:
    if name in DIMENSIONS:
        return f"coalesce(\"{name}\", '')", []
    return "coalesce(tags ->> %s::text, '')", [name]


def _conditions(query: Query) -> tuple[list[str], list[Any]]:
    conditions: list[str] = []
    values: list[Any] = []
    for text, instant in (("at_us >= %s", query.since_us), ("at_us < %s", query.until_us)):
        if instant is not None:
            conditions.append(text)
            values.append(instant)
    for name, value in query.where:
        if name in DIMENSIONS and value:
            conditions.append(f'"{name}" = %s')  # bare, so that an index can serve
            values.append(value)
        else:
            expression, its_values = _value_of(name)
            conditions.append(f"{expression} = %s")
            values.extend((*its_values, value))
    return conditions, values


def _where(conditions: Sequence[str]) -> str:
    return f" WHERE {' AND '.join(conditions)}" if conditions else ""
