"""From daily totals to what the days to come may cost: weekdays, level, drift, and what chance adds."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from operator import mul
from statistics import fmean, median

__all__ = ["UNSEEN_WEEKEND", "Day", "DayModel", "sum_paths"]

_WEEK = 7
_WEEKDAYS_FROM = 14
_DRIFT_FROM = 28
_UNKNOWN_DRIFT = 0.03
_HALF_LIFE_DAYS = 10.0
_MAD_TO_SIGMA = 1.4826
_SMALLEST = 1e-12
UNSEEN_WEEKEND = (0.1, 1.3)
"""What a day at the weekend may cost beside a working day, where none is known yet."""


@dataclass(frozen=True, slots=True)
class Day:
    """A day and what it cost, or the share of it that is yet to come."""

    day: date
    amount: float


@dataclass(frozen=True, slots=True)
class DayModel:
    """What a history of days says of a usual day.

    Attributes:
        level: What a day costs now, weekdays evened out.
        weekdays: By weekday from Monday, what such a day costs beside an average one.
        ratios: What days cost beside what was usual around them, in the order of time.
        wild: What wild days add to the level on average, as a factor.
        first_weekday: The weekday of the first ratio.
        growth: Mean change of the level's logarithm from day to day, as far as it is beyond chance.
        drift: Standard deviation of that change.
        level_error: Standard error of the level's logarithm.
        weekday_error: Standard error of a weekday's.
        days: Days known.
        unseen_weekend: Days of the weekend of which none is known.
    """

    level: float
    weekdays: tuple[float, ...]
    ratios: tuple[float, ...]
    wild: float
    first_weekday: int
    growth: float
    drift: float
    level_error: float
    weekday_error: float
    days: int
    unseen_weekend: tuple[int, ...]

    @property
    def knows_weekdays(self) -> bool:
        """Whether there were two weeks to tell weekdays apart by."""
        return self.days >= _WEEKDAYS_FROM

    @property
    def knows_drift(self) -> bool:
        """Whether there were four weeks to tell by how much the level wanders."""
        return self.days >= _DRIFT_FROM

    @classmethod
    def of(cls, history: Sequence[Day]) -> DayModel:
        """Learn from complete days that follow one another, at least one of which cost something."""
        weekdays = _weekday_factors(history)
        shares = [weekdays[one.day.weekday()] for one in history]
        evened = [one.amount / share for one, share in zip(history, shares, strict=True)]
        around = [_around(evened, at) for at in range(len(evened))]
        ratios = [value / max(usual, _SMALLEST) for value, usual in zip(evened, around, strict=True)]
        spread = _spread(ratios)
        growth, drift = _movement(evened, spread)
        tamed = [min(ratio, 1 + 4 * spread) for ratio in ratios]
        # Ratios are to medians; beside the level, which is a mean, they must be 1 on average. Means are of
        # amounts, not of what is left of them by weekday: factors that are drawn towards 1 then do no harm.
        whole = sum(shares)
        mean = sum(map(mul, tamed, shares)) / whole or 1.0
        ages = range(len(history) - 1, -1, -1)
        weights = [0.5 ** (age / _HALF_LIFE_DAYS) for age in ages]
        amounts = [
            weight * ratio * usual * share * math.exp(growth * age)
            for weight, ratio, usual, share, age in zip(weights, tamed, around, shares, ages, strict=True)
        ]
        level = sum(amounts) / sum(map(mul, weights, shares))
        # The level is a mean, so that days which a robust spread leaves out make it less sure all the same.
        noise = max(spread, math.sqrt(fmean((one / mean - 1) ** 2 for one in tamed)))
        known = sum(weights) ** 2 / sum(weight * weight for weight in weights)
        return cls(
            level=level,
            weekdays=weekdays,
            ratios=tuple(one / mean for one in ratios),
            wild=sum(min(one / mean, 4.0) * part for one, part in zip(ratios, shares, strict=True)) / whole,
            first_weekday=history[0].day.weekday(),
            growth=growth,
            drift=drift,
            level_error=noise / math.sqrt(known),
            weekday_error=spread / math.sqrt(max(1, len(history) // _WEEK)),
            days=len(history),
            unseen_weekend=_unseen_weekend(history),
        )

    def expected(self, ahead: Sequence[Day]) -> float:
        """Return what days to come, or shares of them, are expected to cost."""
        usual = self.level * self.wild
        return sum(
            usual * math.exp(self.growth * (1 + at)) * self.weekdays[one.day.weekday()] * one.amount
            for at, one in enumerate(ahead)
        )

    def draw_start(self, weekday: int, rng: random.Random) -> int:
        """Draw a day of the past, of the same weekday where there are several of each."""
        if not self.knows_weekdays:
            return rng.randrange(self.days)
        first = (weekday - self.first_weekday) % _WEEK
        return rng.randrange(first, self.days, _WEEK)


def sum_paths(model: DayModel, ahead: Sequence[Day], rng: random.Random, paths: int) -> list[float]:
    """Return sums of days to come as they may turn out, in rising order.

    The level is drawn about its estimate and wanders; days are drawn in blocks of up to a week from the
    ratios that were seen, so that what follows one another keeps doing so. With few days known, deviations
    are stretched as Student's distribution is beside the normal one.

    Source:
        Kunsch, "The jackknife and the bootstrap for general stationary observations", Annals of Statistics
        17, 1989, for blocks.
    """
    block = min(_WEEK, max(1, len(model.ratios) // 4))
    sums = []
    for _ in range(paths):
        log_level = math.log(max(model.level, _SMALLEST)) + rng.gauss(0, model.level_error)
        weekdays = [one * math.exp(rng.gauss(0, model.weekday_error)) for one in model.weekdays]
        for weekday in model.unseen_weekend:
            weekdays[weekday] = rng.uniform(*UNSEEN_WEEKEND)
        total, at, left = 0.0, 0, 0
        for one in ahead:
            if left == 0:
                at = model.draw_start(one.day.weekday(), rng)
                left = min(block, len(model.ratios) - at)
            log_level += rng.gauss(model.growth, model.drift)
            ratio = model.ratios[at]
            total += math.exp(min(log_level, 700)) * weekdays[one.day.weekday()] * one.amount * ratio
            at, left = at + 1, left - 1
        sums.append(total)
    sums.sort()
    middle, stretch = sums[len(sums) // 2], _stretch(model.days)
    if middle <= 0:
        return sums
    return [middle * math.exp(stretch * math.log(max(one, _SMALLEST) / middle)) for one in sums]


def _stretch(days: int) -> float:
    """Return Student's 95% quantile of so many values over the normal one, by Fisher's expansion."""
    z, free = 1.6449, max(1, days - 1)
    quantile = z + (z**3 + z) / (4 * free) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * free**2)
    return quantile / z * math.sqrt(1 + 1 / days)


def _unseen_weekend(history: Sequence[Day]) -> tuple[int, ...]:
    seen = {one.day.weekday() for one in history}
    return tuple(day for day in (5, 6) if day not in seen)


def _weekday_factors(history: Sequence[Day]) -> tuple[float, ...]:
    """Compare each day with the week it ends in, drawn towards 1 the fewer weeks there are."""
    weeks = len(history) // _WEEK
    if weeks * _WEEK < _WEEKDAYS_FROM:
        unseen = _unseen_weekend(history)
        return tuple(fmean(UNSEEN_WEEKEND) if day in unseen else 1.0 for day in range(_WEEK))
    found: list[list[float]] = [[] for _ in range(_WEEK)]
    for number in range(weeks):
        end = len(history) - number * _WEEK
        week = history[end - _WEEK : end]
        mean = median(one.amount for one in week) or fmean(one.amount for one in week)
        for one in week:
            if mean > 0:
                found[one.day.weekday()].append(one.amount / mean)
    raw = [median(ratios) if ratios else 1.0 for ratios in found]
    mean = fmean(raw) or 1.0
    drawn = [1 + (one / mean - 1) * weeks / (weeks + 0.5) for one in raw]
    return tuple(max(0.02, one) for one in drawn)


def _around(values: Sequence[float], at: int) -> float:
    near = values[max(0, at - _WEEK) : at + _WEEK + 1]
    return median(near) or fmean(near)


def _spread(ratios: Sequence[float]) -> float:
    """Return a standard deviation that a few wild days do not decide, at least a twentieth."""
    robust = _MAD_TO_SIGMA * median(abs(one - 1) for one in ratios)
    return max(0.05, robust)


def _movement(evened: Sequence[float], spread: float) -> tuple[float, float]:
    """Return by how much the level grows a day, and by how much it wanders, from medians of weeks.

    Of the growth, what its own error may explain is left out, as James and Stein shrink a mean; of the
    wandering, what the noise of the weeks explains.
    """
    ends = range(len(evened) % _WEEK + _WEEK, len(evened) + 1, _WEEK)
    weeks = [median(evened[end - _WEEK : end]) for end in ends]
    steps = [math.log(later / earlier) for earlier, later in pairwise(weeks) if later > 0 and earlier > 0]
    if len(evened) < _DRIFT_FROM or not steps:
        return 0.0, _UNKNOWN_DRIFT
    middle = fmean(steps)
    noise = 2 * (1.25 * spread) ** 2 / _WEEK
    wander = max(0.0, fmean((step - middle) ** 2 for step in steps) * len(steps) / (len(steps) - 1) - noise)
    # A few steps say little of how far a level wanders: what is allowed for without any counts as three more.
    wander = (wander * len(steps) + _UNKNOWN_DRIFT**2 * _WEEK * 3) / (len(steps) + 3)
    # The weeks' noise cancels in the mean of their steps but for the first and the last.
    error = wander / len(steps) + noise / len(steps) ** 2
    kept = max(0.0, 1 - error / (middle * middle)) if middle else 0.0
    return middle * kept / _WEEK, math.sqrt((wander + error) / _WEEK)
