"""Logistic regression on sparse and dense columns, without a learning library at run time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from tokenomics_core.routing._words import SparseRows

__all__ = ["fit_logistic", "sigmoid"]

_MEMORY = 10
_STEPS = 300
_GRADIENT = 1e-4
_ARMIJO = 1e-4


def fit_logistic(
    words: SparseRows | None, dense: NDArray[np.float64], target: NDArray[np.float64], *, strength: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """Find the weights that minimise `|w|^2 / 2 + strength * sum of log losses`; the intercept is free.

    Args:
        words: Sparse columns of n rows, or None.
        dense: Dense columns, shape (n, d).
        target: Chances to be met, shape (n,), each in [0, 1].
        strength: The C of scikit-learn: higher fits closer.

    Returns:
        Weights of the sparse columns, of the dense ones, and the intercept.

    Source:
        Liu and Nocedal, "On the limited memory BFGS method for large scale optimization", 1989.
    """
    n_words = words.width if words is not None else 0
    n_dense = dense.shape[1]
    rows = words.row_ids() if words is not None else None

    def loss(point: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        logits = dense @ point[n_words:-1] + point[-1]
        if words is not None and rows is not None:
            logits = logits + np.bincount(rows, words.values * point[words.columns], minlength=len(dense))
        # log(1 + e^z) - y z, without overflow
        value = np.maximum(logits, 0) + np.log1p(np.exp(-np.abs(logits))) - target * logits
        error = sigmoid(logits) - target
        gradient = np.empty_like(point)
        if words is not None and rows is not None:
            gradient[:n_words] = np.bincount(words.columns, words.values * error[rows], minlength=n_words)
        gradient[n_words:-1] = dense.T @ error
        gradient[-1] = error.sum()
        gradient *= strength
        gradient[:-1] += point[:-1]
        return float(strength * value.sum() + point[:-1] @ point[:-1] / 2), gradient

    point = _minimise(loss, np.zeros(n_words + n_dense + 1))
    return point[:n_words], point[n_words:-1], float(point[-1])


def sigmoid(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Turn log odds into chances, without overflow."""
    small = np.exp(-np.abs(logits))
    chances: NDArray[np.float64] = np.where(logits >= 0, 1 / (1 + small), small / (1 + small))
    return chances


def _minimise(
    loss: Callable[[NDArray[np.float64]], tuple[float, NDArray[np.float64]]], point: NDArray[np.float64]
) -> NDArray[np.float64]:
    value, gradient = loss(point)
    history: deque[tuple[NDArray[np.float64], NDArray[np.float64], float]] = deque(maxlen=_MEMORY)
    for _ in range(_STEPS):
        if np.abs(gradient).max() < _GRADIENT:
            break
        direction = -_two_loops(gradient, history)
        slope = float(gradient @ direction)
        if slope >= 0:  # pragma: no cover - only rounding gets here
            history.clear()
            direction, slope = -gradient, -float(gradient @ gradient)
        step = 1.0 if history else min(1.0, 1 / float(np.linalg.norm(gradient)))
        while True:
            new_point = point + step * direction
            new_value, new_gradient = loss(new_point)
            if new_value <= value + _ARMIJO * step * slope:
                break
            step /= 2
            if step < 1e-12:
                return point
        moved, turned = new_point - point, new_gradient - gradient
        curvature = float(moved @ turned)
        if curvature > 1e-12:
            history.append((moved, turned, 1 / curvature))
        point, value, gradient = new_point, new_value, new_gradient
    return point


def _two_loops(
    gradient: NDArray[np.float64], history: deque[tuple[NDArray[np.float64], NDArray[np.float64], float]]
) -> NDArray[np.float64]:
    direction = gradient.copy()
    factors: list[float] = []
    for moved, turned, inverse in reversed(history):
        factor = inverse * float(moved @ direction)
        direction -= factor * turned
        factors.append(factor)
    if history:
        moved, turned, _ = history[-1]
        direction *= float(moved @ turned) / float(turned @ turned)
    for (moved, turned, inverse), factor in zip(history, reversed(factors), strict=True):
        direction += (factor - inverse * float(turned @ direction)) * moved
    return direction
