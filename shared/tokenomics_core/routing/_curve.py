"""What quality is reached for what share of strong calls and for what money, whatever the threshold."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tokenomics_core.errors import ConfigurationError

__all__ = ["Curve", "Ranking", "area_under_hull", "expected_calibration_error", "upper_hull"]

_ROUNDING = 1e-12


@dataclass(frozen=True, slots=True)
class Curve:
    """Quality and cost as more and more questions go to the strong tier, straight between the points.

    Attributes:
        share: Share of questions sent to strong, from 0 to 1, shape (g,).
        quality: Mean quality there.
        cost_usd: Mean cost of a question there; None where costs are unknown.
        all_strong_usd: Mean cost of sending everything straight to strong.
    """

    share: NDArray[np.float64]
    quality: NDArray[np.float64]
    cost_usd: NDArray[np.float64] | None = None
    all_strong_usd: float = math.nan

    @property
    def gap(self) -> float:
        """Quality of strong minus quality of weak."""
        return float(self.quality[-1] - self.quality[0])

    @property
    def apgr(self) -> float:
        """Area under the share of the gap recovered; chance is 0.5; NaN where strong is not better than weak.

        Source:
            Ong et al., "RouteLLM: Learning to Route LLMs with Preference Data", 2024, eq. 7, by the trapezoid
            rule over every share instead of ten bins.
        """
        if self.gap <= 0:
            return math.nan
        return float((self._area() - self.quality[0]) / self.gap)

    def _area(self) -> float:
        return float(np.sum(np.diff(self.share) * (self.quality[1:] + self.quality[:-1]) / 2))

    @property
    def mean_quality(self) -> float:
        """Mean quality over all shares."""
        return self._area()

    def recovered(self) -> NDArray[np.float64]:
        """Share of the quality gap that is recovered at each point; NaN without a gap."""
        if self.gap <= 0:
            return np.full(len(self.share), np.nan)
        found: NDArray[np.float64] = (self.quality - self.quality[0]) / self.gap
        return found

    def share_for(self, recovered: float) -> float:
        """Return the least share of strong calls that recovers so much of the gap (CPT); NaN without one."""
        return _first_reach(self.share, self.recovered(), recovered) if self.gap > 0 else math.nan

    def saving_at(self, kept: float) -> float:
        """Return what is saved against strong for everything while so much of strong's quality is kept.

        May be negative, where every question also pays the weak tier; NaN where costs are unknown.
        """
        if self.cost_usd is None or not self.all_strong_usd > 0 or np.isnan(self.cost_usd[0]):
            return math.nan
        cost = _first_reach(self.cost_usd, self.quality, kept * float(self.quality[-1]))
        return 1 - cost / self.all_strong_usd

    def quality_at(self, share: float) -> float:
        """Return the mean quality at a share of strong calls."""
        return float(np.interp(share, self.share, self.quality))


class Ranking:
    """Questions in the order in which a score sends them to the strong tier.

    Inside a tie every question counts with the mean of the tie, since nothing tells which would go first.

    Args:
        scores: Higher goes first, shape (n,).
        weak: Quality of the weak tier's answers, shape (n,).
        strong: Quality of the strong tier's answers.
        weak_usd: What the weak answers cost; None if unknown.
        strong_usd: What the strong answers cost.
        router_usd: What scoring one question costs, wherever it goes; NaN leaves every cost unknown.
        escalates: Whether a question sent to strong has paid for the weak answer as well, as in a cascade.

    Raises:
        ConfigurationError: The arrays are empty, not of one shape (n,), or not finite.
    """

    def __init__(
        self,
        scores: ArrayLike,
        weak: ArrayLike,
        strong: ArrayLike,
        *,
        weak_usd: ArrayLike | None = None,
        strong_usd: ArrayLike | None = None,
        router_usd: float = 0.0,
        escalates: bool = False,
    ) -> None:
        score = _column("scores", scores)
        n = len(score)
        low, high = _column("weak", weak, n), _column("strong", strong, n)
        order = np.argsort(-score, kind="stable")
        ordered = score[order]
        self._order = order
        self._starts = np.concatenate([[0], np.flatnonzero(np.diff(ordered)) + 1])
        self._weak, self._gain = low, (high - low)[order]
        self._weak_usd = self._strong_usd = None
        self._more_usd: NDArray[np.float64] | None = None
        self._router_usd = router_usd
        if weak_usd is not None and strong_usd is not None:
            self._weak_usd = _column("weak_usd", weak_usd, n)
            self._strong_usd = _column("strong_usd", strong_usd, n)
            self._more_usd = (self._strong_usd - (0 if escalates else self._weak_usd))[order]

    def __len__(self) -> int:
        return len(self._gain)

    def curve(self, weights: NDArray[np.float64] | None = None) -> Curve:
        """Return the curve, each question counted `weights` times."""
        count = np.ones(len(self)) if weights is None else weights
        total = float(count.sum())
        ordered = count[self._order]
        cost, strong_usd = None, math.nan
        if self._more_usd is not None and self._weak_usd is not None and self._strong_usd is not None:
            cost = (
                self._router_usd
                + float(count @ self._weak_usd) / total
                + self._steps(ordered * self._more_usd, total)
            )
            strong_usd = float(count @ self._strong_usd) / total
        return Curve(
            self._steps(ordered, total),
            float(count @ self._weak) / total + self._steps(ordered * self._gain, total),
            cost,
            strong_usd,
        )

    def _steps(self, ordered: NDArray[np.float64], total: float) -> NDArray[np.float64]:
        return np.concatenate([[0.0], np.cumsum(np.add.reduceat(ordered, self._starts)) / total])


def upper_hull(
    cost: NDArray[np.float64], quality: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the corners of the best quality that mixtures of the points reach, where money still buys some.

    Args:
        cost: Mean cost of each point, shape (k,).
        quality: Mean quality of each point.
    """
    corners: list[tuple[float, float]] = []
    for x, y in sorted(
        zip(cost.tolist(), quality.tolist(), strict=True), key=lambda point: (point[0], -point[1])
    ):
        if corners and y <= corners[-1][1]:
            continue
        while len(corners) > 1 and _is_below(corners[-2], corners[-1], (x, y)):
            corners.pop()
        corners.append((x, y))
    return np.array([x for x, _ in corners]), np.array([y for _, y in corners])


def area_under_hull(
    cost: NDArray[np.float64], quality: NDArray[np.float64], low_usd: float, high_usd: float
) -> float:
    """Return the mean height of the hull between two costs, flat beyond its ends (AIQ); NaN without a width.

    Source:
        Hu et al., "RouterBench: A Benchmark for Multi-LLM Routing System", 2024, section 3.
    """
    if not high_usd > low_usd:
        return math.nan
    xs, ys = upper_hull(cost, quality)
    places = np.unique(np.concatenate([[low_usd, high_usd], xs[(xs > low_usd) & (xs < high_usd)]]))
    heights = np.interp(places, xs, ys)
    return float(np.sum(np.diff(places) * (heights[1:] + heights[:-1]) / 2) / (high_usd - low_usd))


def expected_calibration_error(confidence: ArrayLike, correct: ArrayLike, *, n_bins: int = 10) -> float:
    """Measure how far stated chances lie from what came true.

    Args:
        confidence: Predicted chance of a good answer, shape (n,), each in [0, 1].
        correct: How good it was, shape (n,), each in [0, 1].
        n_bins: Number of equal-width bins; each is open below and closed above, the first on both sides.

    Returns:
        Average over answers of their bin's gap, in [0, 1]; 0 is perfect.

    Raises:
        ConfigurationError: The arrays are empty, not of one shape (n,), or leave [0, 1]; or there is no bin.

    Source:
        Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, eq. 3.
    """
    if not isinstance(n_bins, int) or n_bins < 1:
        raise ConfigurationError(f"n_bins must be 1 or more, not {n_bins!r}")
    stated = _column("confidence", confidence)
    found = _column("correct", correct, len(stated))
    for name, values in (("confidence", stated), ("correct", found)):
        if ((values < 0) | (values > 1)).any():
            raise ConfigurationError(f"{name} must lie in [0, 1]; nothing was measured")
    bins = np.maximum(np.ceil(stated * n_bins).astype(np.int64) - 1, 0)
    gaps = np.bincount(bins, stated - found, minlength=n_bins)
    return float(np.abs(gaps).sum() / len(stated))


def _first_reach(x: NDArray[np.float64], y: NDArray[np.float64], wanted: float) -> float:
    """Return the first x at which the line through the points reaches `wanted`; NaN if it never does."""
    reached = np.flatnonzero(y >= wanted - _ROUNDING)
    if not len(reached):
        return math.nan
    at = int(reached[0])
    if at == 0:
        return float(x[0])
    rise = y[at] - y[at - 1]
    part = min(1.0, (wanted - y[at - 1]) / rise) if rise > 0 else 1.0
    return float(x[at - 1] + part * (x[at] - x[at - 1]))


def _is_below(first: tuple[float, float], middle: tuple[float, float], last: tuple[float, float]) -> bool:
    return (middle[1] - first[1]) * (last[0] - first[0]) <= (last[1] - first[1]) * (middle[0] - first[0])


def _column(name: str, values: ArrayLike, n: int | None = None) -> NDArray[np.float64]:
    try:
        column = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ConfigurationError(f"{name} must be numbers ({error}); nothing was measured") from error
    if column.ndim != 1 or not len(column) or (n is not None and len(column) != n):
        wanted = "(n,) with n of 1 or more" if n is None else f"({n},)"
        raise ConfigurationError(f"{name} must have shape {wanted}, not {column.shape}; nothing was measured")
    if not np.isfinite(column).all():
        raise ConfigurationError(f"{name} must be finite; nothing was measured")
    return column
