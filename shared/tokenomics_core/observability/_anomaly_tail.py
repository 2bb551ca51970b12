"""Tell an amount that stands out from a heavy tail, with a stated rate of false alarms."""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections import deque

__all__ = ["TailWatch"]

_TAIL_SHARE = 0.1
_PLAIN_FROM = 20
_TAIL_FROM = 100
_EVERY = 16
_Z_90 = 1.2816


class TailWatch:
    """What is usual among the latest amounts, and above what one of them is no longer chance.

    The tail of the logarithms is taken to be exponential, as for amounts with the tail of a power; that of
    lighter tails is overstated, which only makes alarms rarer. Nothing stands out among the first 20 amounts;
    until 100 are known, what does is a fixed multiple of the median at least.

    Args:
        odds: One amount in how many may stand out by chance.
        least_factor: What never stands out: amounts up to this multiple of the median.
        plain_factor: The multiple that counts while little is known.
        window: The latest amounts that are known.

    Source:
        Siffer et al., "Anomaly detection in streams with extreme value theory", KDD 2017; the mean excess
        as the tail's estimate is Hill's, Annals of Statistics 3, 1975.
    """

    __slots__ = (
        "_age",
        "_latest",
        "_least",
        "_odds",
        "_plain",
        "_sorted",
        "_threshold",
        "_window",
    )

    def __init__(self, *, odds: float, least_factor: float, plain_factor: float, window: int = 512) -> None:
        self._odds = odds
        self._least, self._plain = math.log(least_factor), math.log(plain_factor)
        self._window = window
        self._latest: deque[float] = deque()
        self._sorted: list[float] = []
        self._threshold = math.inf
        self._age = 0

    @property
    def known(self) -> int:
        """How many amounts are known."""
        return len(self._sorted)

    @property
    def median(self) -> float:
        """The usual amount, as a logarithm; not a number where none is known."""
        return self._sorted[len(self._sorted) // 2] if self._sorted else math.nan

    @property
    def threshold(self) -> float:
        """The logarithm above which an amount stands out; infinite while too little is known."""
        if self._age <= 0:
            self._threshold = self._find_threshold()
            self._age = _EVERY if len(self._sorted) >= _TAIL_FROM else 1
        return self._threshold

    def stands_out(self, log_amount: float) -> bool:
        """Say whether an amount is no longer chance; nothing is taken in."""
        return log_amount > self.threshold

    def learn(self, log_amount: float) -> None:
        """Take in an amount; one that stands out counts as if it just did not."""
        log_amount = min(log_amount, self.threshold)
        self._age -= 1
        self._latest.append(log_amount)
        insort(self._sorted, log_amount)
        if len(self._latest) > self._window:
            oldest = self._latest.popleft()
            del self._sorted[bisect_left(self._sorted, oldest)]

    def _find_threshold(self) -> float:
        count = len(self._sorted)
        if count < _PLAIN_FROM:
            return math.inf
        tail = max(_PLAIN_FROM // 2, int(count * _TAIL_SHARE))
        start = self._sorted[count - tail - 1]
        excess = sum(self._sorted[count - tail :]) / tail - start
        # The upper 90% bound of a mean of `tail` exponential amounts.
        excess *= 1 + _Z_90 / math.sqrt(tail)
        least = self._plain if count < _TAIL_FROM else self._least
        return max(self.median + least, start + excess * math.log(tail / count * self._odds))
