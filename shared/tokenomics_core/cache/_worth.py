"""Which entries are least worth keeping, without sorting them all."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass

from tokenomics_core.cache._protocols import Eviction

__all__ = ["Use", "Worth"]


@dataclass(slots=True)
class Use:
    """What eviction goes by.

    Attributes:
        last_s: When the entry was stored or last used, in seconds since 1970.
        turn: Counts stores and uses, to tell those of one moment apart.
        saved: How often it was used.
        cost: What a use saves, in nano-dollars; 0 where unknown.
        bytes: What it takes.
    """

    last_s: float
    turn: int
    saved: int
    cost: int
    bytes: int

    def worth(self, by: Eviction) -> tuple[float, float, int]:
        """Return a value that is lower for what goes sooner."""
        per_byte = self.saved * self.cost / max(self.bytes, 1) if by == "saving" else 0.0
        return per_byte, self.last_s, self.turn


class Worth:
    """A heap of entries by worth; a worth that has risen since is found out when its turn comes."""

    def __init__(self) -> None:
        self.uses: dict[str, Use] = {}
        self._heap: list[tuple[tuple[float, float, int], str]] = []
        self._by: Eviction = "lru"
        self._turn = 0

    def add(self, entry_id: str, now: float, cost: int | None, n_bytes: int) -> None:
        """Note a new entry."""
        self._turn += 1
        use = self.uses[entry_id] = Use(now, self._turn, 0, cost or 0, n_bytes)
        heapq.heappush(self._heap, (use.worth(self._by), entry_id))

    def use(self, entry_id: str, count: int, now: float) -> None:
        """Note uses of an entry."""
        use = self.uses.get(entry_id)
        if use is not None:
            self._turn += 1
            use.last_s, use.turn, use.saved = max(use.last_s, now), self._turn, use.saved + count

    def remove(self, entry_id: str) -> None:
        """Forget an entry."""
        self.uses.pop(entry_id, None)

    def least(self, by: Eviction) -> Iterator[str]:
        """Yield entries, the least worth keeping first; remove each before asking for the next."""
        if by != self._by or len(self._heap) > 2 * len(self.uses) + 64:
            self._by = by
            self._heap = [(use.worth(by), entry_id) for entry_id, use in self.uses.items()]
            heapq.heapify(self._heap)
        while self._heap:
            worth, entry_id = heapq.heappop(self._heap)
            use = self.uses.get(entry_id)
            if use is None:
                continue
            now_worth = use.worth(by)
            if now_worth != worth:
                heapq.heappush(self._heap, (now_worth, entry_id))
            else:
                yield entry_id
