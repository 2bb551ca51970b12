"""What users say of answers, turned into better chances and into a floor under quality."""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tokenomics_core.errors import ConfigurationError

__all__ = ["Feedback", "TierFeedback", "wilson_interval"]

_CLIP = 1e-3
_Z95 = 1.959964


@dataclass(frozen=True, slots=True)
class TierFeedback:
    """What feedback says of a tier.

    Attributes:
        labels: How many recent labels there are.
        quality: Their mean; None without labels.
        low: Lower end of its 95% Wilson interval; None without labels.
        high: Upper end.
        shift: What feedback adds to the log odds of the classifier's chances.
    """

    labels: int
    quality: float | None
    low: float | None
    high: float | None
    shift: float


class Feedback:
    """Learns from labels of answers that were given, tier by tier.

    Each label moves the tier's log odds by `rate * (label - chance)`, one step of online logistic
    regression on the intercept. A tier whose recent quality is below the floor beyond doubt (the upper end
    of its 95% Wilson interval over at least `least_labels`) rests until its labels have aged.

    Args:
        floor: Least quality of a tier; None for no floor.
        rate: Size of a step; 0 learns nothing.
        window: How many labels of a tier count.
        least_labels: Fewer than these never put a tier to rest.
        memory_s: How long a label counts; a day by default.
        clock: Seconds that only grow.

    Raises:
        ConfigurationError: A number is out of its range.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float],
        floor: float | None = None,
        rate: float = 0.05,
        window: int = 200,
        least_labels: int = 20,
        memory_s: float = 86_400.0,
    ) -> None:
        if floor is not None and not 0 <= floor <= 1:
            raise ConfigurationError(f"quality_floor must be in [0, 1], not {floor!r}")
        if rate < 0 or window < 1 or least_labels < 1 or memory_s <= 0:
            raise ConfigurationError("rate must be 0 or more, window, least_labels and memory_s above 0")
        self.floor = floor
        self._rate, self._window, self._least, self._memory_s = rate, window, least_labels, memory_s
        self._clock = clock
        self._lock = threading.Lock()
        self._shifts: dict[str, float] = {}
        self._labels: dict[str, deque[tuple[float, float]]] = {}

    def add(self, tier: str, ok: float, chance: float | None) -> None:
        """Take in one label.

        Args:
            tier: Whose answer it was.
            ok: How good it was, in [0, 1].
            chance: What had been expected; None if nothing was.
        """
        with self._lock:
            if chance is not None:
                self._shifts[tier] = self._shifts.get(tier, 0.0) + self._rate * (ok - chance)
            self._labels.setdefault(tier, deque(maxlen=self._window)).append((self._clock(), ok))

    @property
    def shifts(self) -> dict[str, float]:
        """By tier, what labels added to the log odds of its chances."""
        with self._lock:
            return dict(self._shifts)

    def restore(self, shifts: Mapping[str, float]) -> None:
        """Take shifts that were learned before; the labels themselves are not kept."""
        with self._lock:
            self._shifts.update({name: float(shift) for name, shift in shifts.items()})

    def adjust(self, tier: str, chance: float) -> float:
        """Return a chance as feedback corrects it."""
        shift = self._shifts.get(tier)
        if not shift:
            return chance
        held = min(max(chance, _CLIP), 1 - _CLIP)
        return 1 / (1 + math.exp(-(math.log(held / (1 - held)) + shift)))

    def is_below_floor(self, tier: str) -> bool:
        """Whether recent labels say beyond doubt that a tier is not good enough."""
        if self.floor is None or tier not in self._labels:
            return False
        found = self.of(tier)
        return found.labels >= self._least and found.high is not None and found.high < self.floor

    def of(self, tier: str) -> TierFeedback:
        """Say what feedback knows of a tier."""
        with self._lock:
            since = self._clock() - self._memory_s
            labels = [ok for at, ok in self._labels.get(tier, ()) if at >= since]
            shift = self._shifts.get(tier, 0.0)
        if not labels:
            return TierFeedback(0, None, None, None, shift)
        mean = sum(labels) / len(labels)
        low, high = wilson_interval(mean, len(labels))
        return TierFeedback(len(labels), mean, low, high, shift)


def wilson_interval(share: float, n: int, z: float = _Z95) -> tuple[float, float]:
    """Return an interval for a share seen in n trials.

    Source:
        Wilson, "Probable inference, the law of succession, and statistical inference", JASA 1927.
    """
    if n < 1:
        return 0.0, 1.0
    denominator = 1 + z * z / n
    middle = (share + z * z / (2 * n)) / denominator
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / denominator
    return max(0.0, middle - half), min(1.0, middle + half)
