"""vCache's policy, written for the benchmark from its paper (Schroeder et al., arXiv 2502.03771), not from
its code.

Every entry keeps observations (similarity of a later question, whether its answer would have been right)
and a logistic curve fitted to them by maximum likelihood. A request whose nearest entry has fewer than
six observations, the two seeds (0, wrong) and (1, right) counted, is explored. Otherwise the probability
of exploring is the least over 50 confidence levels of 1 - max_error / (1 - alpha), with alpha the
confidence times the curve shifted by so many standard deviations of its threshold (delta method). Where
the observations are perfectly separable the likelihood has no optimum and the paper's variance no value:
there the curve is the steepest that is tried and the threshold's variance that of a uniform law over the
gap between the classes.
"""

from __future__ import annotations

import math
import random
from statistics import NormalDist

import numpy as np

EPSILONS = np.linspace(0.01, 0.99, 50)
Z = np.array([NormalDist().inv_cdf(1 - float(e)) for e in EPSILONS])
STEEPEST = 60.0
FEWEST = 6


class Entry:
    def __init__(self) -> None:
        self.similarity, self.right = [0.0, 1.0], [0.0, 1.0]
        self.fitted: tuple[float, float, float] | None = None

    def observe(self, similarity: float, right: bool) -> None:
        self.similarity.append(similarity)
        self.right.append(float(right))
        self.fitted = None

    def fit(self) -> tuple[float, float, float]:
        """Return slope, threshold and the threshold's standard deviation."""
        if self.fitted is None:
            self.fitted = _fit(np.array(self.similarity), np.array(self.right))
        return self.fitted


class VCache:
    """One decision per request, learned per entry."""

    def __init__(self, max_error: float, seed: int) -> None:
        self.max_error, self.entries, self._rng = max_error, {}, random.Random(seed)

    def serves(self, entry: int, similarity: float) -> bool:
        known = self.entries.setdefault(entry, Entry())
        if len(known.right) < FEWEST:
            return False
        slope, threshold, deviation = known.fit()
        shifted = np.clip(slope * (similarity - threshold - Z * deviation), -40, 40)
        alpha = (1 - EPSILONS) / (1 + np.exp(-shifted))
        explore = np.min(1 - self.max_error / np.maximum(1 - alpha, 1e-12))
        return self._rng.random() > explore

    def learn(self, entry: int, similarity: float, right: bool) -> None:
        self.entries.setdefault(entry, Entry()).observe(similarity, right)


def _fit(s: np.ndarray, right: np.ndarray) -> tuple[float, float, float]:
    low, high = float(s[right == 1].min()), float(s[right == 0].max())
    if high < low:
        return STEEPEST, (low + high) / 2, (low - high) / math.sqrt(12)
    x = np.stack([np.ones_like(s), s], axis=1)
    beta = np.array([-0.5, 1.0])
    for _ in range(50):
        p = 1 / (1 + np.exp(-np.clip(x @ beta, -30, 30)))
        hessian = (x * (p * (1 - p))[:, None]).T @ x + 1e-6 * np.eye(2)
        step = np.linalg.solve(hessian, x.T @ (right - p))
        beta = beta + np.clip(step, -5, 5)
        if np.abs(step).max() < 1e-6:
            break
    p = 1 / (1 + np.exp(-np.clip(x @ beta, -30, 30)))
    covariance = np.linalg.inv((x * (p * (1 - p))[:, None]).T @ x + 1e-6 * np.eye(2))
    slope = float(beta[1]) if abs(float(beta[1])) > 1e-6 else 1e-6
    threshold = min(max(-float(beta[0]) / slope, 0.0), 1.0)
    gradient = np.array([-1 / slope, float(beta[0]) / slope**2])
    return slope, threshold, math.sqrt(max(float(gradient @ covariance @ gradient), 0.0))
