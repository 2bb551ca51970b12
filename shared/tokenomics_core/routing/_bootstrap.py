"""How far a measured number may be off, from the questions it was measured on."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tokenomics_core.errors import ConfigurationError

__all__ = ["Estimate", "check_bootstrap", "estimates", "resample"]

Statistic = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""Takes how often each question counts, shape (n,), and returns k numbers; NaN where one is undefined."""

_LEAST_DEFINED = 0.95


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number and its bootstrap interval.

    Attributes:
        value: The number on the questions themselves.
        low: Lower end of the interval; None where too few resamples define the number.
        high: Upper end.
    """

    value: float
    low: float | None = None
    high: float | None = None

    def __str__(self) -> str:
        if self.low is None or self.high is None:
            return f"{self.value:.3f}"
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


def check_bootstrap(resamples: int, confidence: float) -> None:
    """Refuse settings that give no interval.

    Raises:
        ConfigurationError: Fewer than 2 resamples, or a confidence not between 0 and 1.
    """
    if not isinstance(resamples, int) or resamples < 2:
        raise ConfigurationError(f"resamples must be 2 or more, not {resamples!r}; nothing was measured")
    if not 0 < confidence < 1:
        raise ConfigurationError(
            f"confidence must be between 0 and 1, not {confidence!r}; nothing was measured"
        )


def resample(statistic: Statistic, n: int, *, resamples: int, seed: int) -> NDArray[np.float64]:
    """Draw n questions with replacement again and again, and compute the statistic on each draw.

    Numbers of one statistic are computed on the same draws, so that differences of them are paired.

    Returns:
        Shape (resamples, k).
    """
    rng = np.random.default_rng(seed)
    draws = (np.bincount(rng.integers(0, n, n), minlength=n).astype(np.float64) for _ in range(resamples))
    return np.array([statistic(weights) for weights in draws])


def estimates(
    statistic: Statistic, n: int, *, resamples: int, seed: int, confidence: float
) -> list[Estimate | None]:
    """Estimate k numbers by the percentile bootstrap; None where one is undefined on all questions."""
    values = statistic(np.ones(n))
    draws = resample(statistic, n, resamples=resamples, seed=seed)
    return [_estimate(float(value), draws[:, at], confidence) for at, value in enumerate(values)]


def _estimate(value: float, draws: NDArray[np.float64], confidence: float) -> Estimate | None:
    if math.isnan(value):
        return None
    defined = draws[~np.isnan(draws)]
    if len(defined) < _LEAST_DEFINED * len(draws):
        return Estimate(value)
    low, high = np.quantile(defined, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Estimate(value, float(low), float(high))
