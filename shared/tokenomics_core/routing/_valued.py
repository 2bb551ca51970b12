"""The choice that weighs chances against costs, for many questions at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["choose_by_value", "solve_value"]

_LOWEST, _HIGHEST = 1e-3, 1e6
_STEPS = 60


def choose_by_value(
    chances: NDArray[np.float64], costs_usd: NDArray[np.float64], value_usd: float
) -> NDArray[np.intp]:
    """Choose for many questions as `AnswerValue` does for one.

    Args:
        chances: Of a good answer, shape (n, tiers).
        costs_usd: Of a call, shape (n, tiers) or (tiers,).
        value_usd: What one good answer is worth.

    Returns:
        The index of the chosen tier, shape (n,).
    """
    chosen: NDArray[np.intp] = np.argmax(chances * value_usd - costs_usd, axis=1)
    return chosen


def solve_value(
    chances: NDArray[np.float64],
    costs_usd: NDArray[np.float64],
    per_choice: NDArray[np.float64],
    wanted: float,
    weights: NDArray[np.float64],
    *,
    least: bool,
) -> float:
    """Find the value of a good answer at which the mean of something over the choices meets what is wanted.

    Args:
        chances: Of a good answer, shape (n, tiers).
        costs_usd: Expected cost of a call in each tier, shape (tiers,).
        per_choice: What each choice would give, shape (n, tiers): quality or money, which on average grow
            with the value.
        wanted: The mean to meet.
        weights: How often each question counts.
        least: Whether to return the least value that reaches `wanted`, or else the greatest that does not
            pass it.
    """
    spread = float(costs_usd.max() - costs_usd.min())
    rows = np.arange(len(chances))
    total = float(weights.sum())

    def mean_at(log_value: float) -> float:
        picks = choose_by_value(chances, costs_usd, float(np.exp(log_value)))
        return float(weights @ per_choice[rows, picks]) / total

    low, high = float(np.log(spread * _LOWEST)), float(np.log(spread * _HIGHEST))
    for _ in range(_STEPS):
        middle = (low + high) / 2
        reached = mean_at(middle) >= wanted if least else mean_at(middle) > wanted
        low, high = (low, middle) if reached else (middle, high)
    return float(np.exp(high if least else low))
