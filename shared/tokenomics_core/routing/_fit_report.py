"""What a difficulty classifier learned from, what that is worth, and what it cannot know."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tokenomics_core.routing._curve import Ranking, expected_calibration_error

__all__ = ["ENOUGH_LABELS", "FitReport", "report_on"]

ENOUGH_LABELS = 200
"""Below this many questions the spread of the result is as large as its gain (benchmarks/routing.py)."""
_DRAWS = 200
_Z95 = 1.959964
_Interval = tuple[float, float]


@dataclass(frozen=True, slots=True)
class FitReport:
    """What a classifier learned from and what that is worth.

    Attributes:
        questions: How many questions it learned from.
        labels: By tier how many of them had an outcome.
        rates: By tier the share of good answers.
        calibration_errors: By tier the expected calibration error of held-out predictions, in [0, 1].
        apgr: Area of performance gap recovered between the first and last tier on held-out predictions, where
            0.5 is chance; None where it cannot be measured.
        apgr_interval: Its 95% interval.
        cautions: What cannot be known from so little, and what looks wrong.
        calibration_intervals: 95% intervals of the calibration errors, by tier.
    """

    questions: int
    labels: Mapping[str, int]
    rates: Mapping[str, float]
    calibration_errors: Mapping[str, float]
    apgr: float | None
    apgr_interval: _Interval | None
    cautions: tuple[str, ...] = field(default=())
    calibration_intervals: Mapping[str, _Interval] = field(default_factory=dict)

    def summary(self) -> str:
        """Return the report in a few lines of text."""
        lines = [f"learned from {self.questions} questions"]
        for tier in self.labels:
            line = f"  {tier}: {self.labels[tier]} outcomes, {self.rates[tier]:.1%} good, "
            line += f"calibration error {self.calibration_errors[tier]:.3f}"
            if (interval := self.calibration_intervals.get(tier)) is not None:
                line += f" (95%: {interval[0]:.3f} to {interval[1]:.3f})"
            lines.append(line)
        if self.apgr is not None and self.apgr_interval is not None:
            low, high = self.apgr_interval
            lines.append(f"  APGR held out: {self.apgr:.3f} (95%: {low:.3f} to {high:.3f}; chance 0.5)")
        return "\n".join([*lines, *(f"  caution: {caution}" for caution in self.cautions)])

    def __str__(self) -> str:
        return self.summary()


def report_on(
    targets: Mapping[str, NDArray[np.float64]],
    chances: Mapping[str, NDArray[np.float64]],
    rng: np.random.Generator,
) -> FitReport:
    """Measure held-out chances against outcomes (NaN where unknown), by tier, the weakest first."""
    labels, rates = {}, {}
    errors: dict[str, float] = {}
    intervals: dict[str, _Interval] = {}
    for tier, target in targets.items():
        known = ~np.isnan(target)
        labels[tier], rates[tier] = int(known.sum()), float(target[known].mean()) if known.any() else math.nan
        errors[tier] = (
            expected_calibration_error(chances[tier][known], target[known]) if known.any() else math.nan
        )
        intervals[tier] = _calibration_interval(chances[tier][known], target[known], rng)
    first, last = next(iter(targets)), list(targets)[-1]
    gain, weak, strong = chances[last] - chances[first], targets[first], targets[last]
    both = ~(np.isnan(weak) | np.isnan(strong))
    apgr, interval = (
        _apgr_with_interval(gain[both], weak[both], strong[both], rng) if first != last else (None, None)
    )
    cautions = [
        f"{tier} has {number} outcomes; below {ENOUGH_LABELS} the order of questions is mostly noise: choose "
        "by task or keep the shipped weights"
        for tier, number in labels.items()
        if number < ENOUGH_LABELS
    ]
    if apgr is not None and interval is not None and interval[0] <= 0.5:
        cautions.append("held out, it is not shown to be better than chance")
    if first != last and both.any() and strong[both].mean() <= weak[both].mean():
        cautions.append(f"{last} was not better than {first}: the cheaper of the two is the route")
    if {0.0, 1.0} & set(rates.values()):
        cautions.append(
            "a tier is always right or always wrong in these records; nothing can be learned of it"
        )
    return FitReport(len(gain), labels, rates, errors, apgr, interval, tuple(cautions), intervals)


def _calibration_interval(
    chances: NDArray[np.float64], target: NDArray[np.float64], rng: np.random.Generator
) -> _Interval:
    """Resample the questions; noise inside a bin can only add, so the lower bound is not to be leaned on."""
    if not len(chances):
        return math.nan, math.nan
    draws = []
    for _ in range(_DRAWS):
        chosen = rng.integers(0, len(chances), len(chances))
        draws.append(expected_calibration_error(chances[chosen], target[chosen]))
    low, high = np.quantile(draws, (0.025, 0.975))
    return float(low), float(high)


def _apgr_with_interval(
    gain: NDArray[np.float64],
    weak: NDArray[np.float64],
    strong: NDArray[np.float64],
    rng: np.random.Generator,
) -> tuple[float | None, _Interval | None]:
    if not len(gain):
        return None, None
    ranking = Ranking(gain, weak, strong)
    measured = ranking.curve().apgr
    if math.isnan(measured):
        return None, None
    draws = []
    for _ in range(_DRAWS):
        counts = np.bincount(rng.integers(0, len(gain), len(gain)), minlength=len(gain))
        value = ranking.curve(counts.astype(np.float64)).apgr
        if not math.isnan(value):
            draws.append(value)
    spread = float(np.std(draws)) if draws else math.inf
    return measured, (measured - _Z95 * spread, measured + _Z95 * spread)
