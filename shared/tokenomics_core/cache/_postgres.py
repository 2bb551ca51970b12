"""A cache in PostgreSQL, for a fleet."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

import numpy as np

from tokenomics_core.cache._codec import row_of, storable_entry
from tokenomics_core.cache._entry import CacheEntry, Neighbour, Selector, StoreSize
from tokenomics_core.cache._postgres_queries import Queries, entry_of_row, row_for, selected
from tokenomics_core.cache._postgres_schema import (
    MOST_DIMENSIONS,
    SETTINGS,
    bucket_of,
    index_vectors,
    prepared,
)
from tokenomics_core.cache._protocols import LONGEST_LEASE_S, Eviction
from tokenomics_core.cache._select import dies_at, living, size_of
from tokenomics_core.cache._text import normalised, storable, storable_name
from tokenomics_core.errors import ConfigurationError, MissingExtraError
from tokenomics_core.postgres_link import Ask, Link, UniqueViolation, Work, checked_schema, database_of

try:
    from pgvector import HalfVector
    from pgvector.psycopg.halfvec import register_halfvec_info
    from psycopg.types import TypeInfo
except ImportError as error:  # pragma: no cover - needs an environment without the extra
    raise MissingExtraError("pgvector", "postgres") from error

if TYPE_CHECKING:
    from tokenomics_core.cache._protocols import Vector

__all__ = ["PostgresCacheStore"]

_T = TypeVar("_T")
_COUNTED_MOST: Final = 20_000
_COUNT_AGAIN_S: Final = 30.0
_PARTITIONS_KNOWN: Final = 10_000
_ROW_US: Final = 0.6
_STEP_US: Final = 12.0
_BEAM: Final = 40
"""What it takes to compare with a row of a partition and to come to a next one in the graph, and how many a
walk comes to at least; from `benchmarks/cache_postgres.py`."""


class _Share(NamedTuple):
    """How large a partition is, and the graph that it is in as far as the server has counted it."""

    rows: int
    in_graph: float
    counted_at: float

    def suits_graph(self, k: int) -> bool:
        """Whether walking the graph past others' vectors takes less than comparing with all of this one's."""
        if self.rows >= _COUNTED_MOST:
            return True
        steps = max(_BEAM, k * self.in_graph / max(self.rows, 1))
        return self.rows * _ROW_US > steps * _STEP_US


class PostgresCacheStore:
    """Keep answers in PostgreSQL with pgvector, for any number of machines.

    A partition is always part of the condition: a small one is compared vector by vector over an index on
    the partition, exactly; in a large one pgvector's graph is walked until enough of the partition is found.
    Putting is one transaction, reads write nothing, and what one process invalidates no other finds
    afterwards.

    A lost connection is a `StoreError`; the next call opens a new one. The async methods use connections of
    their own per event loop and never block it (on Windows psycopg asks for a `SelectorEventLoop`). A forked
    child opens its own.
    """

    def __init__(
        self,
        dsn: str,
        *,
        schema: str = "tokenomics_cache",
        max_connections: int = 10,
        timeout_s: float = 10.0,
    ) -> None:
        """Name the database; it is connected to when the store is first used.

        Args:
            dsn: As libpq reads it, such as `postgresql://user@host/database`. The user may create a schema,
                and pgvector 0.8 or newer is there or may be created.
            schema: Caches in different schemas do not see each other.
            max_connections: Most connections of all threads together, and of each event loop.
            timeout_s: How long to wait for a connection or an answer before a `StoreError`.

        Raises:
            ConfigurationError: An argument is wrong.
            MissingExtraError: The extra `postgres` is not installed.
        """
        if isinstance(max_connections, bool) or not isinstance(max_connections, int) or max_connections < 1:
            raise ConfigurationError(
                f"max_connections must be 1 or more, not {max_connections!r}; nothing was opened"
            )
        if not math.isfinite(timeout_s) or timeout_s <= 0:
            raise ConfigurationError(f"timeout_s must be above 0, not {timeout_s!r}; nothing was opened")
        self._schema = checked_schema(schema)
        self._name = f"PostgresCacheStore({database_of(dsn)!r}, schema={schema!r})"
        self._queries = Queries(schema, "public")
        self._bound: str | None = None
        self._shares: OrderedDict[str, _Share] = OrderedDict()
        self._link = Link(
            dsn,
            self._name,
            settings=SETTINGS.format(timeout_ms=max(1, round(timeout_s * 1000))),
            prepare=self._prepared,
            greet=_know_vectors,
            max_connections=max_connections,
            timeout_s=timeout_s,
        )

    def __repr__(self) -> str:
        return self._name

    def bind(self, embedder: str, dimension: int) -> None:
        """Remember whose vectors are kept; a `ConfigurationError` where another's are there already."""
        self._link.run(lambda: self._binding(embedder, dimension), "nothing was bound", atomic=True)
        self._bound = _bound(embedder, dimension)

    async def abind(self, embedder: str, dimension: int) -> None:
        """Do what `bind` does."""
        await self._link.run_async(
            lambda: self._binding(embedder, dimension), "nothing was bound", atomic=True
        )
        self._bound = _bound(embedder, dimension)

    def find(self, partition: str, key: str, now: float) -> CacheEntry | None:
        """Return the live entry of exactly this key."""
        return self._read(lambda: self._finding(partition, key, now))

    async def afind(self, partition: str, key: str, now: float) -> CacheEntry | None:
        """Do what `find` does."""
        return await self._aread(lambda: self._finding(partition, key, now))

    def search(self, partition: str, vector: Vector, k: int, now: float) -> list[Neighbour]:
        """Return at most `k` live entries of the partition, the nearest first."""
        return self._read(lambda: self._searching(storable_name(partition), vector, k, now))

    async def asearch(self, partition: str, vector: Vector, k: int, now: float) -> list[Neighbour]:
        """Do what `search` does."""
        return await self._aread(lambda: self._searching(storable_name(partition), vector, k, now))

    def read(self, entry_id: str, now: float) -> CacheEntry | None:
        """Return one live entry."""
        return self._read(lambda: self._reading(entry_id, now))

    async def aread(self, entry_id: str, now: float) -> CacheEntry | None:
        """Do what `read` does."""
        return await self._aread(lambda: self._reading(entry_id, now))

    def put(self, entry: CacheEntry, vector: Vector | None) -> None:
        """Store an entry in place of its key's; without a vector it is found exactly only."""
        self._link.run(lambda: self._putting(storable_entry(entry), vector), _NOT_KEPT)

    async def aput(self, entry: CacheEntry, vector: Vector | None) -> None:
        """Do what `put` does."""
        await self._link.run_async(lambda: self._putting(storable_entry(entry), vector), _NOT_KEPT)

    def regroup(self, entry_id: str, group: str) -> None:
        """Say that an entry's answer is the same as that of another group."""
        self._link.run(lambda: self._regrouping(entry_id, group), "the entry's group was not changed")

    async def aregroup(self, entry_id: str, group: str) -> None:
        """Do what `regroup` does."""
        await self._link.run_async(
            lambda: self._regrouping(entry_id, group), "the entry's group was not changed"
        )

    def invalidate(self, selector: Selector) -> int:
        """Drop what the selector names, at once for every reader; return how many live entries it was."""
        return self._link.run(lambda: self._invalidating(selector), "nothing was invalidated")

    async def ainvalidate(self, selector: Selector) -> int:
        """Do what `invalidate` does."""
        return await self._link.run_async(lambda: self._invalidating(selector), "nothing was invalidated")

    def touch(self, uses: Mapping[str, int], now: float) -> None:
        """Count uses of entries, many at once; it is what eviction goes by."""
        self._link.run(lambda: self._touching(uses, now), "uses were not counted")

    async def atouch(self, uses: Mapping[str, int], now: float) -> None:
        """Do what `touch` does."""
        await self._link.run_async(lambda: self._touching(uses, now), "uses were not counted")

    def trim(self, max_entries: int | None, max_bytes: int | None, by: Eviction, now: float) -> int:
        """Drop expired entries, then the least worth keeping until both bounds hold; return how many."""
        return self._link.run(
            lambda: self._trimming(max_entries, max_bytes, by, now), "nothing was dropped", atomic=True
        )

    async def atrim(self, max_entries: int | None, max_bytes: int | None, by: Eviction, now: float) -> int:
        """Do what `trim` does."""
        return await self._link.run_async(
            lambda: self._trimming(max_entries, max_bytes, by, now), "nothing was dropped", atomic=True
        )

    def size(self, now: float) -> StoreSize:
        """Say how much is held."""
        return self._read(lambda: self._sizing(now))

    async def asize(self, now: float) -> StoreSize:
        """Do what `size` does."""
        return await self._aread(lambda: self._sizing(now))

    def entries(self, partition: str | None = None, *, limit: int, now: float) -> list[CacheEntry]:
        """List live entries, the newest first."""
        return self._read(lambda: self._listing(partition, limit, now))

    async def aentries(self, partition: str | None = None, *, limit: int, now: float) -> list[CacheEntry]:
        """Do what `entries` does."""
        return await self._aread(lambda: self._listing(partition, limit, now))

    def claim(self, name: str, owner: str, lease_s: float, now: float) -> bool:
        """Take or extend a named lock; False while somebody else holds it."""
        return self._link.run(lambda: self._claiming(name, owner, lease_s, now), "no lock was taken")

    async def aclaim(self, name: str, owner: str, lease_s: float, now: float) -> bool:
        """Do what `claim` does."""
        return await self._link.run_async(
            lambda: self._claiming(name, owner, lease_s, now), "no lock was taken"
        )

    def release(self, name: str, owner: str) -> None:
        """Give the lock back; nothing happens where it is not held by `owner`."""
        self._link.run(lambda: self._releasing(name, owner), "the lock was not given back")

    async def arelease(self, name: str, owner: str) -> None:
        """Do what `release` does."""
        await self._link.run_async(lambda: self._releasing(name, owner), "the lock was not given back")

    def load_state(self, name: str) -> bytes | None:
        """Return what was saved under a name."""
        return self._read(lambda: self._loading_state(name))

    async def aload_state(self, name: str) -> bytes | None:
        """Do what `load_state` does."""
        return await self._aread(lambda: self._loading_state(name))

    def save_state(self, name: str, data: bytes) -> None:
        """Keep a few kilobytes under a name, such as what a policy has learned."""
        self._link.run(lambda: self._saving_state(name, data), "the state was not kept")

    async def asave_state(self, name: str, data: bytes) -> None:
        """Do what `save_state` does."""
        await self._link.run_async(lambda: self._saving_state(name, data), "the state was not kept")

    def close(self) -> None:
        """Close the connections; the store cannot be used afterwards."""
        self._link.close()

    async def aclose(self) -> None:
        """Do what `close` does."""
        await self._link.aclose()

    # What is asked, for both

    def _read(self, work: Callable[[], Work[_T]]) -> _T:
        return self._link.run(work, "nothing was read")

    async def _aread(self, work: Callable[[], Work[_T]]) -> _T:
        return await self._link.run_async(work, "nothing was read")

    def _prepared(self) -> Work[tuple[int, int]]:
        number, array, vectors = yield from prepared(self._schema, self._name)
        self._queries = Queries(self._schema, vectors)
        return number, array

    def _binding(self, embedder: str, dimension: int) -> Work[None]:
        queries, wanted = self._queries, _bound(embedder, dimension)
        if (kept := (yield Ask(queries.embedder)).rows) and kept[0][0] == wanted:
            return
        yield Ask(queries.lock)  # waits for those who are writing, and holds them off
        kept = (yield Ask(queries.embedder)).rows
        if kept and kept[0][0] == wanted:
            return
        if kept and (yield Ask(queries.any_vector)).rows[0][0]:
            length, _, name = kept[0][0].partition(" ")
            raise ConfigurationError(
                f"{self._name} holds vectors of {name!r} with {length} dimensions, not of {embedder!r} with "
                f"{dimension}; nothing was changed"
            )
        yield from index_vectors(self._schema, queries.vectors, dimension)
        yield Ask(queries.bind, (wanted,))

    def _finding(self, partition: str, key: str, now: float) -> Work[CacheEntry | None]:
        found = yield Ask(self._queries.by_key, (storable_name(partition), storable_name(key), float(now)))
        return living(entry_of_row(found.rows[0]), now) if found.rows else None

    def _reading(self, entry_id: str, now: float) -> Work[CacheEntry | None]:
        found = yield Ask(self._queries.by_id, (storable_name(entry_id), float(now)))
        return living(entry_of_row(found.rows[0]), now) if found.rows else None

    def _searching(self, partition: str, vector: Vector, k: int, now: float) -> Work[list[Neighbour]]:
        if k < 1:
            return []
        dimension, asked = len(vector), HalfVector(np.ascontiguousarray(vector, np.float32))
        share = yield from self._share(partition, now)
        if dimension <= MOST_DIMENSIONS and share.suits_graph(k):
            query = self._queries.near.format(dimension=dimension, bucket=bucket_of(partition))
            found = yield Ask(query, (asked, partition, float(now), asked, k))
            if len(found.rows) == k:
                return _neighbours(found.rows)
        found = yield Ask(self._queries.nearest, (asked, partition, float(now), dimension, k))
        return _neighbours(found.rows)

    def _share(self, partition: str, now: float) -> Work[_Share]:
        share = self._shares.get(partition)
        if share is None or abs(now - share.counted_at) > _COUNT_AGAIN_S:
            counted = yield Ask(self._queries.shares, (partition, _COUNTED_MOST, str(bucket_of(partition))))
            rows, in_graph = counted.rows[0]
            share = self._shares[partition] = _Share(rows, in_graph or 0, now)
            while len(self._shares) > _PARTITIONS_KNOWN:
                self._shares.popitem(last=False)
        return share

    def _putting(self, entry: CacheEntry, vector: Vector | None) -> Work[None]:
        queries, bound = self._queries, None if vector is None else self._bound
        dimension = 0 if vector is None else len(vector)
        values = (
            *row_for(entry, row_of(entry)),
            normalised(entry.question),
            dies_at(entry),
            bucket_of(entry.partition),
            None if vector is None else HalfVector(np.ascontiguousarray(vector, np.float32)),
            bound,
            bound,
            float(entry.created_at),
            size_of(entry, dimension),
            entry.cost_nano_usd,
        )
        try:
            put = yield Ask(queries.put, values)
        except UniqueViolation:  # the id is there under another key
            yield Ask("BEGIN", None)
            try:
                yield Ask(queries.remove, (entry.id,))
                put = yield Ask(queries.put, values)
            except BaseException:
                yield Ask("ROLLBACK", None)
                raise
            yield Ask("COMMIT", None)
        if not put.touched:
            raise ConfigurationError(
                f"{self._name} was bound to another embedder than {self._bound!r}; the answer was not kept"
            )

    def _regrouping(self, entry_id: str, group: str) -> Work[None]:
        yield Ask(self._queries.regroup, (storable(group), storable_name(entry_id)))

    def _invalidating(self, selector: Selector) -> Work[int]:
        where, values = selected(selector)
        return (yield Ask(self._queries.invalidate.format(where=where), values)).touched

    def _touching(self, uses: Mapping[str, int], now: float) -> Work[None]:
        if uses:
            ids = list(map(storable_name, uses))
            yield Ask(self._queries.touch, (float(now), ids, list(uses.values())))

    def _trimming(
        self, max_entries: int | None, max_bytes: int | None, by: Eviction, now: float
    ) -> Work[int]:
        queries = self._queries
        yield Ask(queries.forget_claims, (float(now),))
        dropped = (yield Ask(queries.expire, (float(now),))).touched
        if max_entries is not None or max_bytes is not None:
            values = (max_entries, max_bytes) if by == "lru" else (float(now), max_entries, max_bytes)
            dropped += (yield Ask(queries.trim[by], values)).touched
        return dropped

    def _sizing(self, now: float) -> Work[StoreSize]:
        return StoreSize(*(yield Ask(self._queries.size, (float(now),))).rows[0])

    def _listing(self, partition: str | None, limit: int, now: float) -> Work[list[CacheEntry]]:
        where, values = (
            ("", ()) if partition is None else ("AND partition = %s ", (storable_name(partition),))
        )
        found = yield Ask(self._queries.newest.format(where=where), (float(now), *values, limit))
        return [entry for row in found.rows if (entry := living(entry_of_row(row), now)) is not None]

    def _claiming(self, name: str, owner: str, lease_s: float, now: float) -> Work[bool]:
        whose = storable_name(name), storable_name(owner)
        values = (*whose, float(now + lease_s), float(now), float(now + LONGEST_LEASE_S))
        return (yield Ask(self._queries.claim, values)).touched == 1

    def _releasing(self, name: str, owner: str) -> Work[None]:
        yield Ask(self._queries.release, (storable_name(name), storable_name(owner)))

    def _loading_state(self, name: str) -> Work[bytes | None]:
        found = (yield Ask(self._queries.load_state, (storable_name(name),))).rows
        return bytes(found[0][0]) if found else None

    def _saving_state(self, name: str, data: bytes) -> Work[None]:
        yield Ask(self._queries.save_state, (storable_name(name), bytes(data)))


_NOT_KEPT: Final = "the answer was not kept"


def _know_vectors(connection: Any, types: tuple[int, int]) -> None:  # sync or async
    register_halfvec_info(connection, TypeInfo("halfvec", *types))


def _bound(embedder: str, dimension: int) -> str:
    return f"{dimension} {storable_name(embedder)}"


def _neighbours(rows: list[tuple[Any, ...]]) -> list[Neighbour]:
    return [
        Neighbour(name, min(1.0, max(-1.0, near)), *seen) for name, near, *seen in rows if math.isfinite(near)
    ]
