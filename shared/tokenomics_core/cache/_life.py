"""How long an entry lives, when room is made, and how uses are counted without a write per read."""

from __future__ import annotations

import math
import random
import threading
from collections.abc import Mapping

from tokenomics_core.cache._entry import StoreSize
from tokenomics_core.errors import ConfigurationError

__all__ = ["Lifetimes", "Room", "Uses", "checked_seconds"]

_SLACK = 64
_MEASURE_EVERY = 1_000
_ENTRY_BYTES = 256
_MOST_USES = 100_000


def checked_seconds(name: str, value: float | None) -> float | None:
    """Return a duration, or None for none; `ConfigurationError` unless it is finite and above 0."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ConfigurationError(f"{name} must be a number of seconds, not {value!r}")
    if not math.isfinite(value) or value <= 0:
        raise ConfigurationError(f"{name} must be finite and above 0, not {value!r}")
    return float(value)


class Lifetimes:
    """Says until when an answer is fresh, and until when it may be served while it is fetched anew.

    Args:
        ttl_s: Seconds that an answer stays fresh; None for ever.
        tag_ttl_s: The same by tag; the shortest of an entry's tags counts.
        jitter: Share of it that is taken away at most, at random, so that what was stored together does not
            expire together.
        stale_s: Seconds after it in which the old answer is served while a new one is fetched; None for none.
        rng: Where the randomness comes from.
    """

    def __init__(
        self,
        ttl_s: float | None,
        tag_ttl_s: Mapping[str, float] | None,
        jitter: float,
        stale_s: float | None,
        rng: random.Random,
    ) -> None:
        if not 0 <= jitter < 1:
            raise ConfigurationError(f"ttl_jitter must be in [0, 1), not {jitter!r}")
        self._ttl_s = checked_seconds("ttl_s", ttl_s)
        self._by_tag = {
            tag: checked_seconds(f"tag_ttl_s[{tag!r}]", value) for tag, value in (tag_ttl_s or {}).items()
        }
        self._jitter, self._rng = jitter, rng
        self._stale_s = checked_seconds("stale_s", stale_s)

    def times(
        self, now: float, ttl_s: float | None, tags: tuple[str, ...]
    ) -> tuple[float | None, float | None]:
        """Return when an entry of now stops being fresh and until when it may be served; None for never.

        The entry's own time to live counts before its tags', and these before the cache's.
        """
        by_tag = [seconds for tag in tags if (seconds := self._by_tag.get(tag)) is not None]
        lasts = ttl_s if ttl_s is not None else min(by_tag, default=self._ttl_s)
        if lasts is None:
            return None, None
        expires_at = now + lasts * (1 - self._jitter * self._rng.random())
        return expires_at, None if self._stale_s is None else expires_at + self._stale_s


class Room:
    """Says when entries have to go, so that both bounds hold after every put and few puts pay for it.

    When a bound is passed, a sixty-fourth of it is freed; between such times sizes are estimated from above.
    """

    def __init__(self, max_entries: int | None, max_bytes: int | None) -> None:
        for name, value in (("max_entries", max_entries), ("max_bytes", max_bytes)):
            if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
                raise ConfigurationError(
                    f"{name} must be a whole number of 1 or more, or None, not {value!r}"
                )
        self._max_entries, self._max_bytes = max_entries, max_bytes
        self._lock = threading.Lock()
        self._entries = self._bytes = 0
        self._unmeasured: int | None = None

    @property
    def bounds(self) -> tuple[int | None, int | None]:
        """Most entries, most bytes."""
        return self._max_entries, self._max_bytes

    def fits(self, n_bytes: int) -> bool:
        """Whether an entry of this size may be kept at all."""
        return self._max_bytes is None or n_bytes <= self._max_bytes

    def grew(self, n_bytes: int) -> bool:
        """Note a put; tell whether the store has to be measured, for a bound may be passed."""
        with self._lock:
            if self._unmeasured is None or self._unmeasured >= _MEASURE_EVERY:
                return True
            self._unmeasured += 1
            self._entries += 1
            self._bytes += n_bytes
            return self._is_over(self._entries, self._bytes)

    def measured(self, size: StoreSize) -> tuple[int | None, int | None] | None:
        """Note the true size; return down to what to trim, None where there is room."""
        with self._lock:
            self._unmeasured, self._entries, self._bytes = 0, size.entries, size.bytes
            if not self._is_over(size.entries, size.bytes):
                return None
            return _below(self._max_entries), _below(self._max_bytes)

    def _is_over(self, entries: int, n_bytes: int) -> bool:
        over_entries = self._max_entries is not None and entries > self._max_entries
        return over_entries or (self._max_bytes is not None and n_bytes > self._max_bytes)

    @staticmethod
    def bytes_of(payload: bytes, question: str, dimension: int) -> int:
        """Estimate what an entry takes, from above."""
        return len(payload) + 4 * len(question) + 4 * dimension + _ENTRY_BYTES


def _below(bound: int | None) -> int | None:
    return None if bound is None else bound - bound // _SLACK


class Uses:
    """Counts which entries were served until somebody writes anyway."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[str, int] = {}

    def add(self, entry_id: str) -> None:
        """Count one use; beyond 100,000 entries only those known already are counted."""
        with self._lock:
            if entry_id in self._counts or len(self._counts) < _MOST_USES:
                self._counts[entry_id] = self._counts.get(entry_id, 0) + 1

    def take(self) -> dict[str, int]:
        """Return the counts and begin anew."""
        with self._lock:
            counts, self._counts = self._counts, {}
            return counts
