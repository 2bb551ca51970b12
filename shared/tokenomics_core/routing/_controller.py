"""A number that steers decisions, moved after each so that a target is kept while questions change."""

from __future__ import annotations

import math
import threading

from tokenomics_core.errors import ConfigurationError

__all__ = ["Controller"]

_LOG_RANGE = 40.0


class Controller:
    """Moves a level by `eta` times how far each decision was off the target.

    Whatever the questions do, the mean error over n decisions is at most the distance that the level moved,
    divided by `eta * n`: a level that stays bounded keeps its target.

    Args:
        level: Where to start, as solved from records.
        eta: How far a decision moves it; 0 holds it still.

    Raises:
        ConfigurationError: A number is not finite, or eta is negative.

    Source:
        Gibbs and Candes, "Adaptive Conformal Inference Under Distribution Shift", NeurIPS 2021, eq. 2.
    """

    def __init__(self, level: float, eta: float) -> None:
        if not math.isfinite(level) or not math.isfinite(eta) or eta < 0:
            raise ConfigurationError(f"level must be finite and eta 0 or more, not {level!r} and {eta!r}")
        self._level, self._eta = level, eta
        self._lock = threading.Lock()
        self._n = 0
        self._off = 0.0

    @property
    def level(self) -> float:
        """Where it stands."""
        return self._level

    @property
    def decisions(self) -> int:
        """How many decisions it has seen."""
        return self._n

    @property
    def mean_error(self) -> float | None:
        """Mean of what was observed minus the target; None before the first decision."""
        return self._off / self._n if self._n else None

    def resume(self, level: float) -> None:
        """Go on from a level where it stood before."""
        if not math.isfinite(level):
            raise ConfigurationError(f"level must be finite, not {level!r}")
        with self._lock:
            self._level = level

    def move(self, off_target: float) -> None:
        """Take one decision into account.

        Args:
            off_target: What it was, minus the target; positive raises the level.
        """
        if not math.isfinite(off_target):
            return
        with self._lock:
            self._n += 1
            self._off += off_target
            self._level = min(max(self._level + self._eta * off_target, -_LOG_RANGE), _LOG_RANGE)
