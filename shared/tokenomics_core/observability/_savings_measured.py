"""What a share that was left alone says of a saving: a difference with an interval, not a computation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Context, Decimal

from tokenomics_core.observability._anomaly_sums import CORRECTION
from tokenomics_core.types import HoldOut, SpendRecord

__all__ = ["Measured", "MeasuredArms", "student_quantile"]

_EXACT = Context(prec=200)
_PICO = Decimal("1e-12")
_ZERO = Decimal(0)
_FEWEST_UNITS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What a call costs less where it is not left alone.

    Attributes:
        left_alone_calls: Calls that were left alone.
        treated_calls: Calls that were not.
        left_alone_units: Conversations, or whatever the hold-out is by, of the former.
        treated_units: The same of the latter.
        per_call_usd: How much more a call costs that is left alone; None where there is none of either kind.
        low_usd: The interval's lower end; None where there are fewer than 10 units of either kind.
        high_usd: Its upper end, likewise.
        confidence: The chance that the interval holds the truth.
        booked_per_call_usd: What the records of treated calls claim to have avoided, per call.
        touched_calls: Calls that should have been left alone and on which something was avoided all the same.
        unkeyed_calls: Calls that are in neither arm, as nobody knows whose they are.
    """

    left_alone_calls: int
    treated_calls: int
    left_alone_units: int
    treated_units: int
    per_call_usd: Decimal | None
    low_usd: Decimal | None
    high_usd: Decimal | None
    confidence: float
    booked_per_call_usd: Decimal
    touched_calls: int
    unkeyed_calls: int

    @property
    def total_usd(self) -> Decimal | None:
        """What was saved on all treated calls, as measured."""
        return None if self.per_call_usd is None else _EXACT.multiply(self.per_call_usd, self.treated_calls)

    @property
    def agrees(self) -> bool | None:
        """Whether what was booked lies in the interval; None where there is none."""
        if self.low_usd is None or self.high_usd is None:
            return None
        return self.low_usd <= self.booked_per_call_usd <= self.high_usd

    def __str__(self) -> str:
        if self.per_call_usd is None:
            return "nothing can be measured: one of the arms has no calls"
        words = f"measured {self.per_call_usd:.6f} USD a call"
        if self.low_usd is None:
            return f"{words}, with too few conversations left alone to say how surely"
        verdict = "agrees with" if self.agrees else "does not agree with"
        return (
            f"{words}, {self.low_usd:.6f} to {self.high_usd:.6f} with {self.confidence:.0%} confidence: "
            f"{verdict} the {self.booked_per_call_usd:.6f} that were booked"
        )


class MeasuredArms:
    """The calls of two arms, added up by unit.

    Args:
        hold_out: Who was left alone.
    """

    def __init__(self, hold_out: HoldOut) -> None:
        self._hold_out = hold_out
        self._units: dict[str, list[float]] = {}
        self._costs = [_ZERO, _ZERO]
        self._booked = _ZERO
        self._touched = self._unkeyed = 0

    def add(self, record: SpendRecord) -> None:
        """Add a record of a known cost."""
        key = self._hold_out.key_of(record.attribution)
        is_call = record.operation != CORRECTION
        if key is None:
            self._unkeyed += is_call
            return
        cost_usd = record.cost_usd or _ZERO
        unit = self._units.setdefault(key, [0.0, 0.0])
        unit[0] += float(cost_usd)
        unit[1] += is_call
        is_alone = self._hold_out.left_alone(key)
        self._costs[is_alone] = _EXACT.add(self._costs[is_alone], cost_usd)
        if not is_alone:
            self._booked = _EXACT.add(self._booked, record.avoided_usd or _ZERO)
        elif record.avoided_usd:
            self._touched += is_call

    def measured(self, confidence: float) -> Measured:
        """Compare the arms.

        The cost of a call is a ratio of sums over units, whose error is that of its linearisation; units are
        taken to be independent, calls within one are not. The difference has Welch's degrees of freedom, and
        the interval is made uneven as far as costs are skewed.

        Source:
            Cochran, "Sampling techniques", 1977, chapter 6, for the ratio; Welch, Biometrika 34, 1947; Hall,
            "On the removal of skewness by transformation", J. of the Royal Statistical Society B 54, 1992.
        """
        arms: tuple[list[list[float]], list[list[float]]] = ([], [])
        for key, unit in self._units.items():
            if unit[1]:
                arms[self._hold_out.left_alone(key)].append(unit)
        treated, alone = arms
        calls = [int(sum(unit[1] for unit in arm)) for arm in arms]
        difference = low = high = None
        if calls[0] and calls[1]:
            means = [self._costs[at] / calls[at] for at in (0, 1)]
            difference = (means[1] - means[0]).quantize(_PICO)
            if min(len(treated), len(alone)) >= _FEWEST_UNITS:
                below, above = _off_by(treated, alone, confidence)
                low = difference - Decimal(below).quantize(_PICO)
                high = difference + Decimal(above).quantize(_PICO)
        return Measured(
            left_alone_calls=calls[1],
            treated_calls=calls[0],
            left_alone_units=len(alone),
            treated_units=len(treated),
            per_call_usd=difference,
            low_usd=low,
            high_usd=high,
            confidence=confidence,
            booked_per_call_usd=(self._booked / calls[0]).quantize(_PICO) if calls[0] else _ZERO,
            touched_calls=self._touched,
            unkeyed_calls=self._unkeyed,
        )


Units = Sequence[Sequence[float]]


def _off_by(treated: Units, alone: Units, confidence: float) -> tuple[float, float]:
    """Return how far the truth may lie below and above the difference."""
    moments = [_ratio_moments(arm) for arm in (treated, alone)]
    total = sum(square for square, _ in moments)
    if not total:
        return 0.0, 0.0
    sizes = (len(treated), len(alone))
    free = total**2 / sum(square**2 / (size - 1) for (square, _), size in zip(moments, sizes, strict=True))
    error, most = math.sqrt(total), student_quantile((1 + confidence) / 2, free)
    skew = (moments[1][1] - moments[0][1]) / error**3
    return error * _unskewed(most, skew), -error * _unskewed(-most, skew)


def _ratio_moments(units: Units) -> tuple[float, float]:
    """Return variance and third moment of cost per call, from units as (cost, calls)."""
    calls = sum(unit[1] for unit in units)
    ratio = sum(unit[0] for unit in units) / calls
    off = [unit[0] - ratio * unit[1] for unit in units]
    # As if each unit were left out in turn: one that is a large part of the whole pulls the ratio to itself.
    squares = sum((one / (1 - unit[1] / calls)) ** 2 for one, unit in zip(off, units, strict=True))
    square = squares * len(units) / (len(units) - 1) / calls**2
    return square, sum(one**3 for one in off) / calls**3


def _unskewed(value: float, skew: float) -> float:
    """Invert Hall's transformation, which takes the skewness out of a studentised mean."""
    part = skew / 3
    if abs(part) < 1e-9:
        return value
    root = 1 + 3 * part * (value - part / 2)
    return (math.copysign(abs(root) ** (1 / 3), root) - 1) / part


def student_quantile(share: float, free: float) -> float:
    """Return a quantile of Student's distribution, for a share above one half, by bisection."""
    low, high = 0.0, 1.0
    while _student_above(high, free) > 1 - share and high < 1e9:
        high *= 2
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if _student_above(middle, free) > 1 - share else (low, middle)
    return (low + high) / 2


def _student_above(value: float, free: float) -> float:
    """Return the chance of more than a value of 0 or more: half a regularised incomplete beta function."""
    return 0.5 * _beta_share(free / (free + value * value), free / 2, 0.5)


def _beta_share(x: float, a: float, b: float) -> float:
    """Return the regularised incomplete beta function by Lentz's continued fraction."""
    if x <= 0 or x >= 1:
        return float(x >= 1)
    if x > (a + 1) / (a + b + 2):
        return 1 - _beta_share(1 - x, b, a)
    front = math.exp(
        a * math.log(x)
        + b * math.log1p(-x)
        - math.log(a)
        + math.lgamma(a + b)
        - math.lgamma(a)
        - math.lgamma(b)
    )
    tiny = 1e-300
    fraction, c, d = 1.0, 1.0, 0.0
    for step in range(400):
        half = step // 2
        if step == 0:
            numerator = 1.0
        elif step % 2 == 0:
            numerator = half * (b - half) * x / ((a + 2 * half - 1) * (a + 2 * half))
        else:
            numerator = -(a + half) * (a + b + half) * x / ((a + 2 * half) * (a + 2 * half + 1))
        d = 1 / (1 + numerator * d or tiny)
        c = 1 + numerator / c or tiny
        fraction *= c * d
        if abs(1 - c * d) < 1e-14:
            break
    return front * (fraction - 1)
