"""A cache in memory, for one process."""

from __future__ import annotations

import heapq
import os
import threading
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from tokenomics_core.cache._entry import CacheEntry, Neighbour, Selector, StoreSize
from tokenomics_core.cache._index import VectorIndex
from tokenomics_core.cache._protocols import LONGEST_LEASE_S, Eviction
from tokenomics_core.cache._select import dies_at, meets, size_of
from tokenomics_core.cache._worth import Worth
from tokenomics_core.errors import ConfigurationError, StoreError

if TYPE_CHECKING:
    from tokenomics_core.cache._protocols import Vector

__all__ = ["MemoryCacheStore"]

_K = TypeVar("_K")
_NAMED = ("source", "tag", "model", "tenant", "version")


class MemoryCacheStore:
    """Keep answers in memory, for any number of threads and event loops of one process.

    What it keeps ends with the process; a forked child begins with a copy of what its parent had. The async
    methods answer at once, in the loop.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._pid = os.getpid()
        self._is_closed = False
        self._embedder: tuple[str, int] | None = None
        self._entries: dict[str, CacheEntry] = {}
        self._keys: dict[tuple[str, str], str] = {}
        self._indexes: dict[str, VectorIndex] = {}
        self._named: dict[tuple[str, str], set[str]] = {}
        self._members: dict[str, set[str]] = {}
        self._deaths: list[tuple[float, str]] = []
        self._worth = Worth()
        self._bytes = 0
        self._claims: dict[str, tuple[str, float]] = {}
        self._states: dict[str, bytes] = {}

    def bind(self, embedder: str, dimension: int) -> None:
        """Remember whose vectors are kept; a `ConfigurationError` where another's are there already."""
        with self._locked():
            if self._embedder is not None and self._embedder != (embedder, dimension) and self._indexes:
                kept, length = self._embedder
                raise ConfigurationError(
                    f"the store holds vectors of {kept!r} with {length} dimensions, not of {embedder!r} with "
                    f"{dimension}; nothing was changed"
                )
            self._embedder = embedder, dimension

    def find(self, partition: str, key: str, now: float) -> CacheEntry | None:
        """Return the live entry of exactly this key."""
        with self._locked():
            entry_id = self._keys.get((partition, key))
            return None if entry_id is None else self._live(entry_id, now)

    def search(self, partition: str, vector: Vector, k: int, now: float) -> list[Neighbour]:
        """Return at most `k` live entries of the partition, the nearest first."""
        with self._locked():
            index = self._indexes.get(partition)
            if index is None:
                return []
            entries = self._entries
            may_be_dead = bool(self._deaths) and now >= self._deaths[0][0]
            found = index.search(
                vector, k, (lambda entry_id: now < dies_at(entries[entry_id])) if may_be_dead else None
            )
            return [
                Neighbour(
                    entry_id, min(1.0, max(-1.0, near)), (entry := entries[entry_id]).question, entry.group
                )
                for entry_id, near in found
            ]

    def read(self, entry_id: str, now: float) -> CacheEntry | None:
        """Return one live entry."""
        with self._locked():
            return self._live(entry_id, now)

    def put(self, entry: CacheEntry, vector: Vector | None) -> None:
        """Store an entry in place of its key's; without a vector it is found exactly only."""
        with self._locked():
            for old in (self._keys.get((entry.partition, entry.key)), entry.id):
                if old is not None:
                    self._drop(old)
            self._entries[entry.id] = entry
            self._keys[entry.partition, entry.key] = entry.id
            self._members.setdefault(entry.partition, set()).add(entry.id)
            for name in _names_of(entry):
                self._named.setdefault(name, set()).add(entry.id)
            n_bytes = size_of(entry, 0 if vector is None else len(vector))
            self._bytes += n_bytes
            self._worth.add(entry.id, entry.created_at, entry.cost_nano_usd, n_bytes)
            dies = dies_at(entry)
            if dies < float("inf"):
                heapq.heappush(self._deaths, (dies, entry.id))
            if vector is not None:
                index = self._indexes.get(entry.partition)
                if index is None:
                    index = self._indexes[entry.partition] = VectorIndex(len(vector))
                index.add(entry.id, vector)

    def regroup(self, entry_id: str, group: str) -> None:
        """Say that an entry's answer is the same as that of another group."""
        with self._locked():
            entry = self._entries.get(entry_id)
            if entry is not None:
                self._entries[entry_id] = replace(entry, group=group)

    def invalidate(self, selector: Selector) -> int:
        """Drop what the selector names, at once for every reader; return how many live entries it was."""
        with self._locked():
            gone = [
                entry_id
                for entry_id in self._candidates(selector)
                if meets(selector, self._entries[entry_id])
            ]
            for entry_id in gone:
                self._drop(entry_id)
            return len(gone)

    def touch(self, uses: Mapping[str, int], now: float) -> None:
        """Count uses of entries, many at once; it is what eviction goes by."""
        with self._locked():
            for entry_id, count in uses.items():
                self._worth.use(entry_id, count, now)

    def trim(self, max_entries: int | None, max_bytes: int | None, by: Eviction, now: float) -> int:
        """Drop expired entries, then the least worth keeping until both bounds hold; return how many."""
        with self._locked():
            before = len(self._entries)
            self._bury(now)
            if self._is_over(max_entries, max_bytes):
                for entry_id in self._worth.least(by, now):
                    self._drop(entry_id)
                    if not self._is_over(max_entries, max_bytes):
                        break
            return before - len(self._entries)

    def size(self, now: float) -> StoreSize:
        """Say how much is held."""
        with self._locked():
            self._bury(now)
            return StoreSize(len(self._entries), self._bytes)

    def entries(self, partition: str | None = None, *, limit: int, now: float) -> list[CacheEntry]:
        """List live entries, the newest first."""
        with self._locked():
            ids = self._entries if partition is None else self._members.get(partition, ())
            live = (entry for entry_id in ids if (entry := self._live(entry_id, now)) is not None)
            return heapq.nlargest(limit, live, key=lambda entry: (entry.created_at, entry.id))

    def claim(self, name: str, owner: str, lease_s: float, now: float) -> bool:
        """Take or extend a named lock; False while somebody else holds it."""
        with self._locked():
            holder, until = self._claims.get(name, (owner, now))
            if holder != owner and now < until <= now + LONGEST_LEASE_S:
                return False
            if len(self._claims) > 10_000:
                self._claims = {key: held for key, held in self._claims.items() if now < held[1]}
            self._claims[name] = owner, now + lease_s
            return True

    def release(self, name: str, owner: str) -> None:
        """Give the lock back; nothing happens where it is not held by `owner`."""
        with self._locked():
            if self._claims.get(name, ("", 0.0))[0] == owner:
                del self._claims[name]

    def load_state(self, name: str) -> bytes | None:
        """Return what was saved under a name."""
        with self._locked():
            return self._states.get(name)

    def save_state(self, name: str, data: bytes) -> None:
        """Keep a few kilobytes under a name, such as what a policy has learned."""
        with self._locked():
            self._states[name] = bytes(data)

    def close(self) -> None:
        """Forget everything; the store cannot be used afterwards."""
        if self._is_closed:
            return
        with self._locked():
            self._is_closed = True
            for held in (self._entries, self._keys, self._indexes, self._named, self._members):
                held.clear()

    def _locked(self) -> threading.RLock:
        if self._pid != os.getpid():  # the lock may have been held by a thread that the child does not have
            self._lock, self._pid = threading.RLock(), os.getpid()
        if self._is_closed:
            raise StoreError("memory", "is closed; nothing was read or written")
        return self._lock

    def _live(self, entry_id: str, now: float) -> CacheEntry | None:
        entry = self._entries.get(entry_id)
        return entry if entry is not None and now < dies_at(entry) else None

    def _drop(self, entry_id: str) -> None:
        entry = self._entries.pop(entry_id, None)
        if entry is None:
            return
        del self._keys[entry.partition, entry.key]
        _discard(self._members, entry.partition, entry_id)
        for name in _names_of(entry):
            _discard(self._named, name, entry_id)
        self._bytes -= self._worth.uses[entry_id].bytes
        self._worth.remove(entry_id)
        index = self._indexes.get(entry.partition)
        if index is not None:
            index.remove(entry_id)
            if not len(index):
                del self._indexes[entry.partition]

    def _bury(self, now: float) -> None:
        while self._deaths and self._deaths[0][0] <= now:
            _, entry_id = heapq.heappop(self._deaths)
            if entry_id in self._entries and dies_at(self._entries[entry_id]) <= now:
                self._drop(entry_id)

    def _is_over(self, max_entries: int | None, max_bytes: int | None) -> bool:
        return (max_entries is not None and len(self._entries) > max_entries) or (
            max_bytes is not None and self._bytes > max_bytes
        )

    def _candidates(self, selector: Selector) -> list[str]:
        """Return the smallest set that holds everything a selector can name."""
        if selector.id is not None:
            return [selector.id] if selector.id in self._entries else []
        smallest: set[str] | None = None
        for name in _NAMED:
            value = getattr(selector, name)
            if value is not None:
                named = self._named.get((name, value), set())
                smallest = named if smallest is None or len(named) < len(smallest) else smallest
        if selector.partition is not None:
            members = self._members.get(selector.partition, set())
            smallest = members if smallest is None or len(members) < len(smallest) else smallest
        return list(self._entries if smallest is None else smallest)

    async def abind(self, embedder: str, dimension: int) -> None:
        """Remember whose vectors are kept."""
        self.bind(embedder, dimension)

    async def afind(self, partition: str, key: str, now: float) -> CacheEntry | None:
        """Return the live entry of exactly this key."""
        return self.find(partition, key, now)

    async def asearch(self, partition: str, vector: Vector, k: int, now: float) -> list[Neighbour]:
        """Return at most `k` live entries of the partition, the nearest first."""
        return self.search(partition, vector, k, now)

    async def aread(self, entry_id: str, now: float) -> CacheEntry | None:
        """Return one live entry."""
        return self.read(entry_id, now)

    async def aput(self, entry: CacheEntry, vector: Vector | None) -> None:
        """Store an entry in place of its key's."""
        self.put(entry, vector)

    async def aregroup(self, entry_id: str, group: str) -> None:
        """Say that an entry's answer is the same as that of another group."""
        self.regroup(entry_id, group)

    async def ainvalidate(self, selector: Selector) -> int:
        """Drop what the selector names."""
        return self.invalidate(selector)

    async def atouch(self, uses: Mapping[str, int], now: float) -> None:
        """Count uses of entries."""
        self.touch(uses, now)

    async def atrim(self, max_entries: int | None, max_bytes: int | None, by: Eviction, now: float) -> int:
        """Drop expired entries, then the least worth keeping."""
        return self.trim(max_entries, max_bytes, by, now)

    async def asize(self, now: float) -> StoreSize:
        """Say how much is held."""
        return self.size(now)

    async def aentries(self, partition: str | None = None, *, limit: int, now: float) -> list[CacheEntry]:
        """List live entries, the newest first."""
        return self.entries(partition, limit=limit, now=now)

    async def aclaim(self, name: str, owner: str, lease_s: float, now: float) -> bool:
        """Take or extend a named lock."""
        return self.claim(name, owner, lease_s, now)

    async def arelease(self, name: str, owner: str) -> None:
        """Give the lock back."""
        self.release(name, owner)

    async def aload_state(self, name: str) -> bytes | None:
        """Return what was saved under a name."""
        return self.load_state(name)

    async def asave_state(self, name: str, data: bytes) -> None:
        """Keep a few kilobytes under a name."""
        self.save_state(name, data)

    async def aclose(self) -> None:
        """Forget everything."""
        self.close()


def _discard(sets: dict[_K, set[str]], name: _K, entry_id: str) -> None:
    members = sets[name]
    members.discard(entry_id)
    if not members:
        del sets[name]


def _names_of(entry: CacheEntry) -> list[tuple[str, str]]:
    """Return under which names an entry can be invalidated."""
    single = [
        (name, value)
        for name in ("model", "tenant", "version")
        if (value := getattr(entry, name)) is not None
    ]
    return [
        *single,
        *{("source", source) for source in entry.sources},
        *{("tag", tag) for tag in entry.tags},
    ]
