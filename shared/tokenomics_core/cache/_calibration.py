"""How often what is served is wrong, bounded without assuming any law for it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["Bound", "lowest_safe_bin", "upper_bound"]

_CELL: Final = 25.0
_STEPS: Final = 40


class Bound(NamedTuple):
    """What is known of the error of serving everything from a bin upwards.

    Attributes:
        bin: The lowest bin that may be served.
        error: Estimated share of wrong answers among all requests.
        upper: Upper confidence bound of it.
    """

    bin: int
    error: float
    upper: float


def upper_bound(wrong: float, labels: float, confidence: float) -> float:
    """Return the Clopper-Pearson upper bound of a share, for counts that need not be whole numbers.

    Args:
        wrong: How many of the labels were wrong.
        labels: How many there are; 0 gives 1.
        confidence: Of the one-sided bound, in (0, 1).

    Source:
        Clopper and Pearson, Biometrika 26, 1934; weighted counts as by Korn and Graubard, Survey
        Methodology 24, 1998.
    """
    if labels <= 0 or wrong >= labels:
        return 1.0
    low, high = wrong / labels, 1.0
    for _ in range(_STEPS):
        middle = (low + high) / 2
        if _beta_below(middle, wrong + 1, labels - wrong) < confidence:
            low = middle
        else:
            high = middle
    return high


def lowest_safe_bin(
    arrivals: Floats, labels: Floats, wrong: Floats, requests: float, *, max_error: float, confidence: float
) -> Bound | None:
    """Find the lowest bin from which everything upwards may be served; None where not even the top may.

    Cells of bins are taken in from the top in a fixed order and the walk ends at the first whose bound
    exceeds `max_error`, so that no correction for the number of cells is due (a fixed-sequence test).

    Args:
        arrivals: Requests by bin of their score, the highest score last.
        labels: Known outcomes by bin.
        wrong: Wrong ones among them by bin.
        requests: All requests, those that never reached the decision included.
        max_error: Greatest share of wrong answers among all requests.
        confidence: Of the bound, in (0, 1).
    """
    best: tuple[int, float, float, float] | None = None
    share = mean = spread = 0.0
    cell_arrivals = cell_labels = cell_wrong = 0.0
    for bin_ in range(len(arrivals) - 1, -1, -1):
        cell_arrivals += float(arrivals[bin_])
        cell_labels += float(labels[bin_])
        cell_wrong += float(wrong[bin_])
        if cell_labels < _CELL:
            continue
        weight = cell_arrivals / requests
        share += weight
        mean += weight * cell_wrong / cell_labels
        spread += weight * weight / cell_labels
        cell_arrivals = cell_labels = cell_wrong = 0.0
        if mean > max_error:
            break
        if share <= 0.0:
            continue
        effective = share * share / spread
        few = mean / share * effective
        if share > max_error and _beta_below(max_error / share, few + 1, effective - few) < confidence:
            break
        best = bin_, mean, share, effective
    if best is None:
        return None
    bin_, mean, share, effective = best
    upper = share * upper_bound(mean / share * effective, effective, confidence)
    return Bound(bin_, mean, min(upper, max_error))


def _beta_below(x: float, a: float, b: float) -> float:
    """Regularised incomplete beta function, by its continued fraction."""
    if x <= 0.0:
        return 0.0
    if x >= 1.0:
        return 1.0
    front = math.exp(
        math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    )
    if x < (a + 1) / (a + b + 2):
        return front * _fraction(x, a, b) / a
    return 1.0 - front * _fraction(1.0 - x, b, a) / b


def _fraction(x: float, a: float, b: float) -> float:
    """Lentz's algorithm for the continued fraction of the incomplete beta function."""
    tiny = 1e-300
    c, d = 1.0, 1.0 - (a + b) * x / (a + 1)
    d = 1.0 / (d if abs(d) > tiny else tiny)
    value = d
    for m in range(1, 200):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for term in (even, odd):
            d, c = 1.0 + term * d, 1.0 + term / c
            d = 1.0 / (d if abs(d) > tiny else tiny)
            c = c if abs(c) > tiny else tiny
            value *= c * d
        if abs(c * d - 1.0) < 1e-12:
            break
    return value
