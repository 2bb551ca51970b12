"""Which entries are least worth keeping, without sorting them all."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass

from tokenomics_core.cache._protocols import Eviction

__all__ = ["Use", "Worth"]

_UNTOLD_COST = 1.0
"""What a use saves where no entry's cost is known: all the same."""


@dataclass(slots=True)
class Use:
    """What eviction goes by.

    Attributes:
        last_s: When the entry was stored or last used, in seconds since 1970.
        turn: Counts stores and uses, to tell those of one moment apart.
        uses: How often it was used.
        cost: What a use saves, in nano-dollars; None where unknown.
        bytes: What it takes.
    """

    last_s: float
    turn: int
    uses: int
    cost: int | None
    bytes: int

    def worth(self, now: float, usual_cost: float) -> tuple[float, float, int]:
        """Return a value that is lower for what goes sooner: saved per byte, fading since its last use.

        An entry that is new counts as used once, when it was stored: it has had no time to be used.
        """
        cost = usual_cost if self.cost is None else self.cost
        saved = float(self.uses + 1) * cost / max(self.bytes, 1) / max(now - self.last_s, 1.0)
        return saved, self.last_s, self.turn


class Worth:
    """A heap of entries by their last use; one that was used since is found out when its turn comes."""

    def __init__(self) -> None:
        self.uses: dict[str, Use] = {}
        self._heap: list[tuple[float, int, str]] = []
        self._turn = 0

    def add(self, entry_id: str, now: float, cost: int | None, n_bytes: int) -> None:
        """Note a new entry."""
        self._turn += 1
        use = self.uses[entry_id] = Use(now, self._turn, 0, cost, n_bytes)
        heapq.heappush(self._heap, (use.last_s, use.turn, entry_id))

    def use(self, entry_id: str, count: int, now: float) -> None:
        """Note uses of an entry."""
        use = self.uses.get(entry_id)
        if use is not None:
            self._turn += 1
            use.last_s, use.turn, use.uses = max(use.last_s, now), self._turn, use.uses + count

    def remove(self, entry_id: str) -> None:
        """Forget an entry."""
        self.uses.pop(entry_id, None)

    def least(self, by: Eviction, now: float) -> Iterator[str]:
        """Yield entries, the least worth keeping first; remove each before asking for the next."""
        if len(self._heap) > 2 * len(self.uses) + 64:
            self._heap = [(use.last_s, use.turn, entry_id) for entry_id, use in self.uses.items()]
            heapq.heapify(self._heap)
        return self._longest_unused() if by == "lru" else self._least_saving(now)

    def _longest_unused(self) -> Iterator[str]:
        while self._heap:
            last_s, turn, entry_id = heapq.heappop(self._heap)
            use = self.uses.get(entry_id)
            if use is None:
                continue
            if (use.last_s, use.turn) != (last_s, turn):
                heapq.heappush(self._heap, (use.last_s, use.turn, entry_id))
            else:
                yield entry_id

    def _least_saving(self, now: float) -> Iterator[str]:
        known = [use.cost for use in self.uses.values() if use.cost is not None]
        usual = float(sum(known)) / len(known) if known else _UNTOLD_COST
        heap = [(use.worth(now, usual), entry_id) for entry_id, use in self.uses.items()]
        heapq.heapify(heap)
        while heap:
            yield heapq.heappop(heap)[1]
