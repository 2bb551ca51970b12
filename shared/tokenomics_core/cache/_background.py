"""How near farther neighbours are in a namespace: what near means with its embedder and in its field."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from tokenomics_core.cache._features import background_of

if TYPE_CHECKING:
    from tokenomics_core.cache._entry import Neighbour

__all__ = ["Background"]

_TRUSTED_AFTER: Final = 30.0
_WINDOW: Final = 1_000.0


class Background:
    """A running mean of the farther neighbours' similarity, over about the last 1,000 requests."""

    def __init__(self, mean: float = 0.0, weight: float = 0.0) -> None:
        if not (math.isfinite(mean) and 0 <= weight <= _WINDOW):
            raise ValueError("not a running mean")
        self._mean, self._weight = mean, weight

    def take(self, neighbours: Sequence[Neighbour]) -> float | None:
        """Take a request's neighbours into account; return the mean before it, None while it saw too few."""
        before = self._mean if self._weight >= _TRUSTED_AFTER else None
        tail = background_of(neighbours)
        if tail is not None:
            self._weight = min(self._weight + 1.0, _WINDOW)
            self._mean += (tail - self._mean) / self._weight
        return before

    def values(self) -> list[float]:
        """Return what `Background(...)` takes up again."""
        return [self._mean, self._weight]
