"""Tell an amount that stands out from a heavy tail, with a stated rate of false alarms."""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections import deque

__all__ = ["TailWatch"]

_TAIL_SHARE = 0.05
_PLAIN_FROM = 20
_TAIL_FROM = 100
_EVERY = 16
_Z_95 = 1.6449
_MOST_BENT = -0.25
_CAUTION = 2.0  # the threshold is set for half the stated rate, as a tail's estimate errs


class TailWatch:
    """What is usual among the latest amounts, and above what one of them is no longer chance.

    The tail of the logarithms is taken for one of Pareto's generalised kind, exponential at the most (amounts
    with the tail of a power), and by half as light as its moments say where they say lighter, since such an
    estimate errs towards alarms. Nothing stands out among the first 20 amounts;
    until 100 are known, what does is a fixed multiple of the median at least.

    Args:
        odds: One amount in how many may stand out by chance.
        least_factor: What never stands out: amounts up to this multiple of the median.
        plain_factor: The multiple that counts while little is known.
        window: The latest amounts that are known.

    Source:
        Siffer et al., "Anomaly detection in streams with extreme value theory", KDD 2017; Hosking and Wallis,
        "Parameter and quantile estimation for the generalized Pareto distribution", Technometrics 29, 1987,
        for the moments.
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

    def __init__(self, *, odds: float, least_factor: float, plain_factor: float, window: int = 1_024) -> None:
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
        excesses = [one - start for one in self._sorted[count - tail :]]
        mean = sum(excesses) / tail
        square = sum((one - mean) ** 2 for one in excesses) / tail
        bend = max(_MOST_BENT, min(0.0, (1 - mean * mean / square) / 4)) if square > 0 else 0.0
        # The upper 95% bound of a mean of `tail` exponential amounts.
        scale = mean * (1 - bend) * (1 + _Z_95 / math.sqrt(tail))
        odds = tail / count * self._odds * _CAUTION
        beyond = scale * math.log(odds) if bend == 0 else scale / bend * (odds**bend - 1)
        least = self._plain if count < _TAIL_FROM else self._least
        return max(self.median + least, start + beyond)
