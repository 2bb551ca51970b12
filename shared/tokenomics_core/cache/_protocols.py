"""What the cache asks of its store and of its policy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from tokenomics_core.cache._entry import CacheEntry, Neighbour, Selector, StoreSize

    Vector = NDArray[np.float32]

__all__ = [
    "LONGEST_LEASE_S",
    "CachePolicy",
    "CacheStore",
    "Decision",
    "Eviction",
    "PolicyReport",
    "Reason",
]

LONGEST_LEASE_S: Final = 300.0
"""No lock is taken for longer; one that says so is of a clock that was set back, and is free."""

Eviction = Literal["lru", "saving"]
Reason = Literal["verified", "unsure", "guard", "explore", "nothing_near"]


class CacheStore(Protocol):
    """Where entries live; partitions never see each other.

    Every `now` is seconds since 1970. Vectors are float32, of unit length, shape `(dimension,)`. An entry is
    *live* while `now < stale_until` (or `expires_at` where there is none) and it was neither removed nor
    invalidated; only live entries are ever returned. Reads write nothing. A store that cannot be used raises
    `StoreError`.
    Every method has an async twin whose name starts with `a`, and which does not block the event loop.
    """

    def bind(self, embedder: str, dimension: int) -> None:
        """Remember whose vectors are kept; a `ConfigurationError` where another's are there already."""

    def find(self, partition: str, key: str, now: float) -> CacheEntry | None:
        """Return the live entry of exactly this key."""

    def search(self, partition: str, vector: Vector, k: int, now: float) -> list[Neighbour]:
        """Return at most `k` live entries of the partition, the nearest first; cosines within [-1, 1]."""

    def read(self, entry_id: str, now: float) -> CacheEntry | None:
        """Return one live entry."""

    def put(self, entry: CacheEntry, vector: Vector | None) -> None:
        """Store an entry in place of its key's; without a vector it is found exactly only."""

    def regroup(self, entry_id: str, group: str) -> None:
        """Say that an entry's answer is the same as that of another group."""

    def invalidate(self, selector: Selector) -> int:
        """Drop what the selector names, at once for every reader; return how many live entries it was."""

    def touch(self, uses: Mapping[str, int], now: float) -> None:
        """Count uses of entries, many at once; it is what eviction goes by."""

    def trim(self, max_entries: int | None, max_bytes: int | None, by: Eviction, now: float) -> int:
        """Drop expired entries, then the least worth keeping until both bounds hold; return how many.

        `lru` drops the longest unused first. `saving` drops what saves least per byte, fading since its last
        use: `(uses + 1) * cost / bytes / max(now - used_at, 1)`. So a new entry has time to be used; an
        unknown cost counts as the mean of the known ones.
        """

    def size(self, now: float) -> StoreSize:
        """Say how much is held."""

    def entries(self, partition: str | None = None, *, limit: int, now: float) -> list[CacheEntry]:
        """List live entries, the newest first."""

    def claim(self, name: str, owner: str, lease_s: float, now: float) -> bool:
        """Take or extend a named lock among all who use the store; False while somebody else holds it."""

    def release(self, name: str, owner: str) -> None:
        """Give the lock back; nothing happens where it is not held by `owner`."""

    def load_state(self, name: str) -> bytes | None:
        """Return what was saved under a name."""

    def save_state(self, name: str, data: bytes) -> None:
        """Keep a few kilobytes under a name, such as what a policy has learned."""

    def close(self) -> None:
        """Give back files and connections; the store cannot be used afterwards."""

    async def abind(self, embedder: str, dimension: int) -> None:
        """See `bind`."""

    async def afind(self, partition: str, key: str, now: float) -> CacheEntry | None:
        """See `find`."""

    async def asearch(self, partition: str, vector: Vector, k: int, now: float) -> list[Neighbour]:
        """See `search`."""

    async def aread(self, entry_id: str, now: float) -> CacheEntry | None:
        """See `read`."""

    async def aput(self, entry: CacheEntry, vector: Vector | None) -> None:
        """See `put`."""

    async def aregroup(self, entry_id: str, group: str) -> None:
        """See `regroup`."""

    async def ainvalidate(self, selector: Selector) -> int:
        """See `invalidate`."""

    async def atouch(self, uses: Mapping[str, int], now: float) -> None:
        """See `touch`."""

    async def atrim(self, max_entries: int | None, max_bytes: int | None, by: Eviction, now: float) -> int:
        """See `trim`."""

    async def asize(self, now: float) -> StoreSize:
        """See `size`."""

    async def aentries(self, partition: str | None = None, *, limit: int, now: float) -> list[CacheEntry]:
        """See `entries`."""

    async def aclaim(self, name: str, owner: str, lease_s: float, now: float) -> bool:
        """See `claim`."""

    async def arelease(self, name: str, owner: str) -> None:
        """See `release`."""

    async def aload_state(self, name: str) -> bytes | None:
        """See `load_state`."""

    async def asave_state(self, name: str, data: bytes) -> None:
        """See `save_state`."""

    async def aclose(self) -> None:
        """See `close`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Whether a near question's answer is served, and why.

    Attributes:
        serve: Whether it is.
        reason: `verified` (served), `unsure` (too likely to be wrong), `guard` (a named guard objects),
            `explore` (it would have been served; the model is asked to learn from it), `nothing_near`.
        neighbour: The nearest one, whose answer is or would be served.
        probability: That the answer is right; None where there is no neighbour.
        threshold: What the probability has to reach; None while nothing may be served by meaning.
        guard: Which guard objects.
        compare: Groups with whose answers a fresh answer should be compared, the nearest first.
        evidence: The policy's own notes for `learn`.
    """

    serve: bool
    reason: Reason
    neighbour: Neighbour | None = None
    probability: float | None = None
    threshold: float | None = None
    guard: str | None = None
    compare: tuple[str, ...] = ()
    evidence: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyReport:
    """What a policy knows of its own error.

    Attributes:
        requests: Requests that reached it (exact hits counted by `count_exact`).
        served: How many it served.
        labels: How many outcomes it was told.
        wrong: How many of these were wrong.
        threshold: What a probability has to reach now; None while nothing is served by meaning.
        error: Estimated share of wrong answers among all requests; None before it can be told.
        error_upper: Upper confidence bound of it.
        confidence: Of the bound.
        max_error: What it must stay under; None for a policy without a bound.
    """

    requests: int = 0
    served: int = 0
    labels: int = 0
    wrong: int = 0
    threshold: float | None = None
    error: float | None = None
    error_upper: float | None = None
    confidence: float | None = None
    max_error: float | None = None


class CachePolicy(Protocol):
    """Decides from near questions whether one of their answers is served; pure but for what it has learned.

    Statistics are kept per namespace. Methods are safe from many threads and wait only for a short lock.
    """

    @property
    def name(self) -> str:
        """Name and version; learned state of another one is not restored."""

    def decide(self, namespace: str, question: str, neighbours: Sequence[Neighbour]) -> Decision:
        """Decide on the neighbours, the nearest first."""

    def count_exact(self, namespace: str) -> None:
        """Count a request that was answered exactly and did not reach the decision."""

    def learn(
        self, namespace: str, decision: Decision, same: Mapping[str, bool], *, given: bool = False
    ) -> None:
        """Learn which groups' answers were the same as the right one.

        Args:
            namespace: Where the decision was taken.
            decision: What was decided.
            same: Per group of `decision.compare` that could be compared, whether its answer was right.
            given: Whether a person or a judge said so, after the fact; otherwise a fresh answer was compared.
        """

    def report(self, namespace: str) -> PolicyReport:
        """Say what is known of the error."""

    def namespaces(self) -> list[str]:
        """Name what has statistics."""

    def state(self, namespace: str) -> bytes:
        """Return what was learned, as UTF-8 JSON."""

    def restore(self, namespace: str, state: bytes) -> bool:
        """Take up what was learned; False, and nothing changes, where it is damaged or another policy's."""
