"""What the cache tells who listens, and what a content system tells the cache."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from tokenomics_core.cache._entry import CacheEntry, Selector
from tokenomics_core.cache._text import normalised

__all__ = ["CacheEvent", "Changes", "Listeners", "SeenVersions"]

EventKind = Literal["hit", "miss", "stored", "refused", "invalidated", "evicted"]
_MOST_CHANGES = 256
_MOST_SOURCES = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheEvent:
    """Something that happened in the cache.

    Attributes:
        kind: What.
        at: Seconds since 1970.
        partition: Where, as the caller named it; None where it concerns more than one.
        reason: `exact`, `semantic` or `stale` for a hit; why it is a miss; which guard refused.
        entry_id: Of the entry it concerns, where it is one.
        entries: How many were dropped.
        selector: What they had in common.
    """

    kind: EventKind
    at: float
    partition: str | None = None
    reason: str | None = None
    entry_id: str | None = None
    entries: int = 0
    selector: Selector | None = None


class Listeners:
    """Functions that are told of events; one that fails harms nobody."""

    def __init__(self, on_failure: Callable[[Exception], None]) -> None:
        self._on_failure = on_failure
        self._listeners: tuple[Callable[[CacheEvent], None], ...] = ()
        self._lock = threading.Lock()

    def __bool__(self) -> bool:
        return bool(self._listeners)

    def add(self, listener: Callable[[CacheEvent], None]) -> Callable[[], None]:
        """Tell a function from now on; returns what ends it."""
        with self._lock:
            self._listeners = (*self._listeners, listener)

        def remove() -> None:
            with self._lock:
                self._listeners = tuple(item for item in self._listeners if item is not listener)

        return remove

    def tell(self, event: CacheEvent) -> None:
        """Tell all."""
        for listener in self._listeners:
            try:
                listener(event)
            except Exception as error:  # noqa: BLE001 - a listener may not break the call it watches
                self._on_failure(error)


class Changes:
    """Remembers recent invalidations, so that an answer computed before one is not stored after it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._recent: list[tuple[int, Selector]] = []
        self._serial = 0
        self._forgotten = 0

    @property
    def serial(self) -> int:
        """How many there have been."""
        return self._serial

    def add(self, selector: Selector) -> None:
        """Note an invalidation."""
        with self._lock:
            self._serial += 1
            self._recent.append((self._serial, selector))
            if len(self._recent) > _MOST_CHANGES:
                self._forgotten = self._recent.pop(0)[0]

    def outdate(self, entry: CacheEntry, since: int) -> bool:
        """Whether an entry whose look-up took place at a serial was invalidated before it could be stored."""
        if since == self._serial:
            return False
        with self._lock:
            if since < self._forgotten:
                return True
            later = [selector for serial, selector in self._recent if serial > since]
        return any(_selects(selector, entry) for selector in later)


def _selects(selector: Selector, entry: CacheEntry) -> bool:
    """Whether an entry whose call began before it would have been dropped; its age counts as old enough."""
    tests = (
        (selector.id, lambda wanted: entry.id == wanted),
        (selector.partition, lambda wanted: entry.partition == wanted),
        (selector.tenant, lambda wanted: entry.tenant == wanted),
        (selector.source, lambda wanted: wanted in entry.sources),
        (selector.tag, lambda wanted: wanted in entry.tags),
        (selector.model, lambda wanted: entry.model == wanted),
        (selector.version, lambda wanted: entry.version == wanted),
        (selector.prefix, lambda wanted: normalised(entry.question).startswith(normalised(wanted))),
    )
    return all(test(wanted) for wanted, test in tests if wanted is not None)


class SeenVersions:
    """Remembers the version of documents, as content systems may tell of one change more than once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: OrderedDict[str, str] = OrderedDict()

    def is_news(self, source: str, version: str | None) -> bool:
        """Whether this version was not the last one told; a change without a version always is news."""
        with self._lock:
            if version is not None and self._seen.get(source) == version:
                return False
            if version is None:
                self._seen.pop(source, None)
            else:
                self._seen[source] = version
                self._seen.move_to_end(source)
                if len(self._seen) > _MOST_SOURCES:
                    self._seen.popitem(last=False)
            return True
