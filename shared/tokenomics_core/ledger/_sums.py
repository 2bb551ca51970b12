"""Adding up entries in whole numbers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tokenomics_core.ledger._entry import COUNTS, Entry
from tokenomics_core.ledger._money import from_pico
from tokenomics_core.types import Totals

__all__ = ["Sums", "to_totals"]

_TALLIES = ("calls", "cached_calls", "unpriced_calls", "estimated_calls")


class Sums:
    """Running sums over the entries of one group."""

    __slots__ = ("_avoided_pico", "_cost_pico", "_counts", "_tallies")

    def __init__(self) -> None:
        self._cost_pico = self._avoided_pico = 0
        self._tallies = [0, 0, 0, 0]
        self._counts = [0] * len(COUNTS)

    def add(self, entry: Entry) -> None:
        """Add one entry."""
        record = entry.record
        self._cost_pico += entry.cost_pico or 0
        self._avoided_pico += entry.avoided_pico or 0
        flags = (True, record.source == "cache", entry.cost_pico is None, record.estimated)
        for index, flag in enumerate(flags):
            self._tallies[index] += flag
        if record.source != "cache":
            for index, name in enumerate(COUNTS):
                self._counts[index] += getattr(record.usage, name) or 0

    def totals(self) -> Totals:
        """Return the sums so far."""
        return to_totals(self._cost_pico, self._avoided_pico, (*self._tallies, *self._counts))


def to_totals(cost_pico: int, avoided_pico: int, tallies_and_counts: Sequence[int] | Iterable[int]) -> Totals:
    """Return whole-number sums as `Totals`; tallies first, then counts in the order of `COUNTS`."""
    numbers = dict(zip((*_TALLIES, *COUNTS), tallies_and_counts, strict=True))
    return Totals(cost_usd=from_pico(cost_pico), avoided_usd=from_pico(avoided_pico), **numbers)
