"""What the cache asks of PostgreSQL, statement by statement."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from tokenomics_core.cache._codec import entry_of
from tokenomics_core.cache._entry import CacheEntry, Selector
from tokenomics_core.cache._postgres_schema import COLUMNS
from tokenomics_core.cache._protocols import Eviction
from tokenomics_core.cache._text import normalised, storable, storable_name

__all__ = ["Queries", "entry_of_row", "row_for", "selected"]

_SOURCES: Final = 13
"""Where the documents stand in a row; the tags follow."""


class Queries:
    """The statements for one schema.

    A search has two forms. `nearest` compares every vector of a partition, found over the partition's index,
    and is exact. `near` walks the graph over all partitions and keeps what is of the one: it writes the
    partition so that no other index fits, and the vector as the graph was built on it.

    Args:
        schema: A checked name.
        vectors: Where pgvector lives, quoted where needed.
    """

    def __init__(self, schema: str, vectors: str) -> None:
        entries, uses = f"{schema}.entries", f"{schema}.uses"
        self.schema, self.vectors = schema, vectors
        product = f"OPERATOR({vectors}.<#>)"
        # S608: everything that is written into these statements is a constant or a checked name.
        one = f"SELECT {COLUMNS} FROM {entries} WHERE"  # noqa: S608
        self.by_key = f"{one} partition = %s AND key = %s AND dies_at > %s"
        self.by_id = f"{one} id = %s AND dies_at > %s"
        # The texts are fetched for those that were found only.
        found = (
            f"SELECT id, -distance, question, grp FROM ({{found}}) AS found "  # noqa: S608
            f"JOIN {entries} USING (seq) ORDER BY distance"
        )
        self.nearest = found.format(
            found=f"SELECT seq, vector {product} %s AS distance FROM {entries} WHERE partition = %s "  # noqa: S608
            f"AND dies_at > %s AND {vectors}.vector_dims(vector) = %s ORDER BY distance LIMIT %s"
        )
        typed = f"vector::{vectors}.halfvec({{dimension}})"
        self.near = (
            f"SELECT id, -({typed} {product} %s), question, grp FROM {entries} "  # noqa: S608
            f"WHERE bucket = {{bucket}} AND partition || '' = %s AND dies_at > %s "
            f"ORDER BY {typed} {product} %s LIMIT %s"
        )
        self.shares = (
            "SELECT (SELECT count(*) FROM "  # noqa: S608
            f"(SELECT 1 FROM {entries} WHERE partition = %s LIMIT %s) AS part), "
            f"(SELECT reltuples FROM pg_class WHERE oid = to_regclass('{entries}_vectors_' || %s))"
        )
        names = [*COLUMNS.split(", "), "normal", "dies_at", "bucket", "vector"]
        renewed = [f"{name} = excluded.{name}" for name in names if name not in {"partition", "key"}]
        self.put = (
            f"WITH kept AS (INSERT INTO {entries} ({', '.join(names)}) "  # noqa: S608
            f"SELECT {', '.join(['%s'] * len(names))} "
            f"WHERE %s::text IS NULL OR %s = (SELECT value FROM {schema}.meta WHERE name = 'embedder') "
            f"ON CONFLICT (partition, key) DO UPDATE SET {', '.join(renewed)} RETURNING seq) "
            f"INSERT INTO {uses} (seq, uses, used_at, bytes, cost) SELECT seq, 0, %s, %s, %s FROM kept "
            "ON CONFLICT (seq) DO UPDATE SET uses = 0, used_at = excluded.used_at, bytes = excluded.bytes, "
            "cost = excluded.cost"
        )
        self.remove = f"DELETE FROM {entries} WHERE id = %s"  # noqa: S608
        self.regroup = f"UPDATE {entries} SET grp = %s WHERE id = %s"  # noqa: S608
        self.invalidate = f"DELETE FROM {entries} WHERE {{where}}"  # noqa: S608
        self.touch = (
            f"UPDATE {uses} SET uses = {uses}.uses + told.uses, used_at = greatest(used_at, %s) "  # noqa: S608
            f"FROM (SELECT seq, named.uses FROM unnest(%s::text[], %s::bigint[]) AS named (id, uses) "
            f"JOIN {entries} USING (id) ORDER BY seq) AS told WHERE {uses}.seq = told.seq"
        )
        self.expire = f"DELETE FROM {entries} WHERE dies_at <= %s"  # noqa: S608
        self.forget_claims = f"DELETE FROM {schema}.claims WHERE until <= %s"  # noqa: S608
        self.trim = {by: _trim(entries, uses, by) for by in ("lru", "saving")}
        self.size = (
            f"SELECT a.n - d.n, (a.b - d.b)::bigint FROM "  # noqa: S608
            f"(SELECT count(*) AS n, coalesce(sum(bytes), 0) AS b FROM {uses}) AS a, "
            f"(SELECT count(*) AS n, coalesce(sum(bytes), 0) AS b FROM {uses} JOIN {entries} USING (seq) "
            f"WHERE dies_at <= %s AND dies_at < 'infinity') AS d"
        )
        self.newest = (
            f"SELECT {COLUMNS} FROM {entries} WHERE dies_at > %s {{where}}"  # noqa: S608
            "ORDER BY created_at DESC, id DESC LIMIT %s"
        )
        self.claim = (
            f"INSERT INTO {schema}.claims AS held (name, owner, until) VALUES (%s, %s, %s) "  # noqa: S608
            "ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, until = excluded.until "
            "WHERE held.owner = excluded.owner OR held.until <= %s OR held.until > %s"
        )
        self.release = f"DELETE FROM {schema}.claims WHERE name = %s AND owner = %s"  # noqa: S608
        self.load_state = f"SELECT data FROM {schema}.states WHERE name = %s"  # noqa: S608
        self.save_state = (
            f"INSERT INTO {schema}.states VALUES (%s, %s) "  # noqa: S608
            "ON CONFLICT (name) DO UPDATE SET data = excluded.data"
        )
        self.lock = f"LOCK TABLE {entries} IN SHARE ROW EXCLUSIVE MODE"
        self.embedder = f"SELECT value FROM {schema}.meta WHERE name = 'embedder'"  # noqa: S608
        self.any_vector = f"SELECT EXISTS (SELECT 1 FROM {entries} WHERE vector IS NOT NULL)"  # noqa: S608
        self.bind = (
            f"INSERT INTO {schema}.meta VALUES ('embedder', %s) "  # noqa: S608
            "ON CONFLICT (name) DO UPDATE SET value = excluded.value"
        )


def _trim(entries: str, uses: str, by: Eviction) -> str:
    """Return the statement that drops the least worth keeping, until both bounds hold."""
    # As `Use.worth` has it, step by step, so that all stores agree to the last bit.
    usual = f"(SELECT sum(cost)::float8 / count(cost) FROM {uses})"  # noqa: S608 - as above
    worth = (
        f"(uses + 1)::float8 * coalesce(cost, {usual}, 1) / greatest(bytes, 1) "
        "/ greatest(%s::float8 - used_at, 1)"
        if by == "saving"
        else "0::float8"
    )
    return (
        f"DELETE FROM {entries} USING (SELECT seq, row_number() OVER least AS place, "  # noqa: S608 - as above
        "sum(bytes) OVER least - bytes AS freed, count(*) OVER () AS n, sum(bytes) OVER () AS total "
        f"FROM {uses} WINDOW least AS (ORDER BY {worth}, used_at, seq ROWS UNBOUNDED PRECEDING)) AS kept "
        f"WHERE {entries}.seq = kept.seq AND (place <= n - %s::bigint OR freed < total - %s::bigint)"
    )


def row_for(entry: CacheEntry, row: Sequence[Any]) -> tuple[Any, ...]:
    """Return a row of the codec with its lists as lists, which an index finds."""
    lists = [list(entry.sources) or None, list(entry.tags) or None]
    return (*row[:_SOURCES], *lists, *row[_SOURCES + 2 :])


def entry_of_row(row: Sequence[Any]) -> CacheEntry | None:
    """Read a row back; None where it is not what was written."""
    lists = [None if names is None else json.dumps(names) for names in row[_SOURCES : _SOURCES + 2]]
    return entry_of((*row[:_SOURCES], *lists, *row[_SOURCES + 2 :]))


def selected(selector: Selector) -> tuple[str, tuple[Any, ...]]:
    """Return a selector as a condition and its values."""
    conditions: list[str] = []
    values: list[Any] = []
    for column in ("id", "partition", "tenant", "model", "version"):
        value = getattr(selector, column)
        if value is not None:
            conditions.append(f"{column} = %s")
            values.append((storable_name if column in {"id", "partition"} else storable)(value))
    for column in ("source", "tag"):
        value = getattr(selector, column)
        if value is not None:
            conditions.append(f"{column}s @> %s::text[]")
            values.append([storable(value)])
    if selector.prefix is not None:
        conditions.append("starts_with(normal, %s)")
        values.append(normalised(storable(selector.prefix)))
    if selector.created_before is not None:
        conditions.append("created_at < %s")
        values.append(float(selector.created_before))
    return " AND ".join(conditions) or "true", tuple(values)
