"""Count what compression spares, the same in every framework."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

__all__ = ["COST_TAG", "CompressionStats", "CompressionTally"]

COST_TAG: Final[Mapping[str, str]] = {"compress_role": "embedder"}
"""The tag under which the bill shows what compressing itself costs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CompressionStats:
    """What compression did so far.

    Attributes:
        runs: How often it was asked.
        tokens_before: Tokens of all that it was given.
        tokens_after: Tokens of what it returned.
    """

    runs: int = 0
    tokens_before: int = 0
    tokens_after: int = 0

    @property
    def tokens_avoided(self) -> int:
        """Tokens that need not be sent."""
        return self.tokens_before - self.tokens_after


class CompressionTally:
    """Adds up what was done, by any thread; a copy begins anew."""

    def __init__(self) -> None:
        self._stats = CompressionStats()
        self._lock = threading.Lock()

    def add(self, before: int, after: int) -> None:
        """Count one compression."""
        with self._lock:
            self._stats = CompressionStats(
                runs=self._stats.runs + 1,
                tokens_before=self._stats.tokens_before + before,
                tokens_after=self._stats.tokens_after + after,
            )

    def stats(self) -> CompressionStats:
        """Return the sums."""
        with self._lock:
            return self._stats

    def __deepcopy__(self, _: dict[int, Any]) -> Self:
        return type(self)()

    def __reduce__(self) -> tuple[type[Self], tuple[()]]:
        return type(self), ()
