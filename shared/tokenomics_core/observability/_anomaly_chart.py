"""Tell a lasting shift from noise, with a stated mean time between false alarms."""

from __future__ import annotations

import math
from array import array
from dataclasses import dataclass
from statistics import median

__all__ = ["CLOCK_BINS", "ChartRules", "ShiftChart", "clock_bin_of", "solve_limit"]

CLOCK_BINS = 48
"""Hours of a working day, and of a day at the weekend."""

_MAD_TO_SIGMA = 1.4826
_BATCHES = (1, 4, 16, 64)
_FEWEST_BATCHES = 10
_BIN_PRIOR = 10.0
_Z_90 = 1.2816


@dataclass(frozen=True, slots=True, kw_only=True)
class ChartRules:
    """How a chart judges.

    Attributes:
        run_length: Observations between false alarms, on average.
        warm_up: Observations before the first judgement.
        memory: Observations that what is usual is learned from; older ones fade.
        clip: Scales beyond which an observation counts no more.
        least_scale: Scale below which nothing is told apart.
        known_from: Observations in an hour of the day before observations in it are judged.
    """

    run_length: float
    warm_up: int
    memory: int
    clip: float
    least_scale: float
    known_from: int


class ShiftChart:
    """A CUSUM for a rise of the mean, whose limit allows for autocorrelation, rhythm and what is not known.

    An observation is taken relative to what is usual at its hour, and clipped, so that no single one decides.
    The limit follows from the variance of means of batches, which contains all autocorrelation, at its upper
    90% confidence bound; the allowance grows by a standard error of the hour's own usual.

    Source:
        Kim, Alexopoulos, Tsui and Wilson, "A distribution-free tabular CUSUM chart for autocorrelated data",
        IIE Transactions 39, 2007, for the limit; Huber, "Robust estimation of a location parameter", Annals
        of Mathematical Statistics 35, 1964, for clipping.
    """

    __slots__ = (
        "_batch_counts",
        "_batch_fill",
        "_batch_squares",
        "_batch_sums",
        "_limit_key",
        "_means",
        "_rules",
        "_total",
        "_total_weight",
        "_weights",
        "_young",
        "_young_bins",
        "limit",
        "scale",
        "seen",
        "since_zero",
        "statistic",
        "variance",
    )

    def __init__(self, rules: ChartRules) -> None:
        self._rules = rules
        self._young: list[float] | None = []
        self._young_bins: list[int] = []
        self._means = array("d", bytes(8 * CLOCK_BINS))
        self._weights = array("d", bytes(8 * CLOCK_BINS))
        self._total = self._total_weight = 0.0
        self._batch_fill = [0] * len(_BATCHES)
        self._batch_sums = [0.0] * len(_BATCHES)
        self._batch_counts = [0.0] * len(_BATCHES)
        self._batch_squares = [0.0] * len(_BATCHES)
        self._limit_key = (0.0, 0.0)
        self.scale = rules.least_scale
        self.variance = rules.least_scale**2
        self.limit = math.inf
        self.seen = 0
        self.statistic = 0.0
        self.since_zero = 0

    @property
    def is_ready(self) -> bool:
        """Whether enough was seen to judge."""
        return self._young is None

    def usual(self, clock_bin: int) -> float:
        """Return what is usual at an hour of the day; its own past counts more the more there is of it."""
        weight = self._weights[clock_bin]
        overall = self._total / self._total_weight if self._total_weight else 0.0
        return overall + (self._means[clock_bin] - overall) * weight / (weight + _BIN_PRIOR)

    def judge(self, value: float, clock_bin: int, allowance: float, *, is_held: bool = False) -> bool:
        """Take in an observation and say whether the mean has risen.

        Args:
            value: The observation.
            clock_bin: Its hour, in [0, 48).
            allowance: What the mean may rise by without being told: half the least shift of interest.
            is_held: Whether to learn nothing from it, as in an episode.
        """
        self.seen += 1
        if self._young is not None:
            self._grow_up(value, clock_bin)
            return False
        residual = self.residual(value, clock_bin)
        is_known = self._weights[clock_bin] >= self._rules.known_from
        if is_known and self._batch_counts[1] >= _FEWEST_BATCHES:
            slack = allowance + math.sqrt(self.variance / self._weights[clock_bin])
            self.statistic = max(0.0, self.statistic + residual - slack)
            self.since_zero = self.since_zero + 1 if self.statistic else 0
            self._set_limit(allowance)
        if not is_held and (not is_known or self.statistic < self.limit / 2):
            self._learn(residual, clock_bin, is_known=is_known)
        return self.statistic > self.limit

    def would_alarm(self, value: float, clock_bin: int, allowance: float) -> bool:
        """Say whether an observation that can only grow is enough already; nothing is taken in."""
        weight = self._weights[clock_bin]
        if weight < self._rules.known_from or self._batch_counts[1] < _FEWEST_BATCHES:
            return False
        slack = allowance + math.sqrt(self.variance / weight)
        return self.statistic + self.residual(value, clock_bin) - slack > self.limit

    def residual(self, value: float, clock_bin: int) -> float:
        """Return how far a value is from what is usual at its hour, clipped."""
        most = self._rules.clip * self.scale
        return min(most, max(-most, value - self.usual(clock_bin)))

    def restart(self) -> None:
        """Forget the evidence for a shift, and keep what is usual."""
        self.statistic, self.since_zero = 0.0, 0

    # -- learning

    def _grow_up(self, value: float, clock_bin: int) -> None:
        assert self._young is not None  # noqa: S101 - for the type checker: the caller has looked
        self._young.append(value)
        self._young_bins.append(clock_bin)
        if len(self._young) < self._rules.warm_up:
            return
        values, bins = self._young, self._young_bins
        self._young, self._young_bins = None, []
        middle = median(values)
        spread = median(abs(one - middle) for one in values)
        self.scale = max(self._rules.least_scale, _MAD_TO_SIGMA * spread)
        most = self._rules.clip * self.scale
        for one, place in zip(values, bins, strict=True):
            kept = min(middle + most, max(middle - most, one))
            self._set_usual(place, self._weights[place] + 1, kept - self._means[place])
        self.variance = self.scale**2

    def _learn(self, residual: float, clock_bin: int, *, is_known: bool) -> None:
        rules = self._rules
        weight = min(self._weights[clock_bin] + 1, rules.memory / 8)
        if weight <= 1:  # the first of its hour says all that is known of it
            self._means[clock_bin] = self.usual(clock_bin)
        self._set_usual(clock_bin, weight, residual)
        # Follows the median of |residual|, whose multiple the scale is; a step is a share of itself.
        step = 2.0 / min(self.seen, rules.memory)
        above = abs(residual) * _MAD_TO_SIGMA > self.scale
        self.scale = max(rules.least_scale, self.scale * (1 + step if above else 1 - step))
        # What an hour is off by before it is known is no noise.
        if is_known:
            self._note(residual)
            if self._batch_fill[1] == 0:
                self.variance = self._upper_variance()

    def _note(self, residual: float) -> None:
        for at, size in enumerate(_BATCHES):
            self._batch_sums[at] += residual
            self._batch_fill[at] += 1
            if self._batch_fill[at] < size:
                continue
            self._batch_squares[at] += self._batch_sums[at] ** 2 / size
            self._batch_counts[at] += 1
            self._batch_sums[at], self._batch_fill[at] = 0.0, 0
            if self._batch_counts[at] * size > self._rules.memory:
                self._batch_counts[at] /= 2
                self._batch_squares[at] /= 2

    def _upper_variance(self) -> float:
        """Return the variance of a sum per observation, as batches of several sizes tell it; the largest."""
        found = self.scale**2
        for count, squares in zip(self._batch_counts, self._batch_squares, strict=True):
            if count >= _FEWEST_BATCHES:
                found = max(found, squares / _low_chi_square(count))
        return found

    def _set_usual(self, clock_bin: int, weight: float, off: float) -> None:
        """Move an hour's usual by its share of what it was off by, and the overall one with it."""
        old, self._weights[clock_bin] = self._weights[clock_bin], weight
        before = self._means[clock_bin]
        self._means[clock_bin] = before + off / weight
        self._total += weight * self._means[clock_bin] - old * before
        self._total_weight += weight - old

    def _set_limit(self, allowance: float) -> None:
        key = self.variance, allowance
        if key != self._limit_key:
            self._limit_key = key
            self.limit = solve_limit(self.variance, self.scale, allowance, self._rules.run_length)


def solve_limit(variance: float, scale: float, allowance: float, run_length: float) -> float:
    """Return the limit above which a CUSUM of one side raises a false alarm once per run length.

    Args:
        variance: Of a sum per observation, with all covariances.
        scale: Standard deviation of an observation.
        allowance: What is taken off every observation.
        run_length: Observations between false alarms.
    """
    target = 2 * allowance * allowance * run_length / variance
    exponent = math.sqrt(2 * target)
    for _ in range(50):  # e^a - 1 - a = target; converges from either side
        following = math.log(target + 1 + exponent)
        if abs(following - exponent) < 1e-9:
            break
        exponent = following
    return max(scale, exponent * variance / (2 * allowance) - 1.166 * scale)


def _low_chi_square(count: float) -> float:
    """Return the 10% quantile of chi-square by the formula of Wilson and Hilferty."""
    part = 2 / (9 * count)
    return count * max(0.05, 1 - part - _Z_90 * math.sqrt(part)) ** 3


def clock_bin_of(weekday: int, hour: int) -> int:
    """Return the bin of an hour on a day, Monday being 0."""
    return hour + (24 if weekday >= 5 else 0)
