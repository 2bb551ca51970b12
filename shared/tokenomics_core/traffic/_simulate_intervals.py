"""How sure a figure of a replay is: intervals by drawing conversations anew, and of shares."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Interval", "chances_interval", "share_interval", "sum_interval"]

_Z = 1.959963984540054
"""The normal distribution's 97.5th percentile."""

_RESAMPLES = 2_000
_MOST_DRAWN = 20_000_000
"""Above so many draws in all the sum is as good as normal, and drawing it would take minutes."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure and the two ends within which it lies in 95 of 100 logs like this one."""

    value: float
    low: float
    high: float

    def to_list(self) -> list[float]:
        """Return value, low and high."""
        return [self.value, self.low, self.high]


def sum_interval(parts: Sequence[float], *, seed: int = 0, resamples: int = _RESAMPLES) -> Interval:
    """Bound a sum over conversations, as if another log drew as many of the same kind.

    Args:
        parts: One sum per conversation, shape (n,); calls within one depend on each other, conversations do
            not.
        seed: Of the draws.
        resamples: How many.

    Returns:
        The sum and the 2.5th and 97.5th percentile of its bootstrap; of the normal distribution where there
        are very many parts; both ends are the sum where there is but one part.

    Source:
        Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13.
    """
    import numpy as np  # noqa: PLC0415 - loaded by those who replay

    values = np.asarray(parts, dtype=np.float64)
    total, n = math.fsum(parts), len(values)
    if n < 2:
        return Interval(total, total, total)
    if n * resamples > _MOST_DRAWN:
        spread = _Z * math.sqrt(n) * float(values.std(ddof=1))
        return Interval(total, total - spread, total + spread)
    rng = np.random.default_rng(seed)
    sums = [float(values[rng.integers(0, n, n)].sum()) for _ in range(resamples)]
    low, high = np.percentile(sums, [2.5, 97.5])
    return Interval(total, float(low), float(high))


def chances_interval(chances: Sequence[float]) -> Interval:
    """Bound how many of independent events happen, each with a chance of its own.

    Args:
        chances: Shape (n,), each in [0, 1].

    Returns:
        The expected number and its normal 95% interval, within what can happen.
    """
    expected = math.fsum(chances)
    spread = _Z * math.sqrt(math.fsum(chance * (1 - chance) for chance in chances))
    return Interval(expected, max(expected - spread, 0.0), min(expected + spread, float(len(chances))))


def share_interval(count: int, of: int) -> Interval | None:
    """Bound a share of independent outcomes; None where there are none.

    Source:
        Wilson, "Probable Inference, the Law of Succession, and Statistical Inference", JASA 1927.
    """
    if of == 0:
        return None
    share, z2 = count / of, _Z * _Z
    middle = (share + z2 / (2 * of)) / (1 + z2 / of)
    spread = _Z / (1 + z2 / of) * math.sqrt(share * (1 - share) / of + z2 / (4 * of * of))
    return Interval(share, max(middle - spread, 0.0), min(middle + spread, 1.0))
