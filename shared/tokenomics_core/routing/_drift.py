"""Whether today's questions and outcomes are still those that the router was set up on."""

from __future__ import annotations

import math
import threading
from bisect import bisect_right
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tokenomics_core.errors import ConfigurationError

__all__ = ["Drift", "DriftWatch", "kolmogorov_smirnov"]

_SERIES = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """What the test says.

    Attributes:
        score_distance: Greatest gap between the distributions of scores then and now, in [0, 1]; None while
            there are too few.
        score_p: Chance of such a gap if nothing had changed.
        outcome_gap: Observed quality minus the quality that was predicted, over recent labels; None without
            any.
        outcome_p: Chance of such a gap if the predictions were right.
        scores: How many recent scores were compared.
        labels: How many recent labels were compared.
        has_drifted: Whether either chance is below the level of the test.
    """

    score_distance: float | None
    score_p: float | None
    outcome_gap: float | None
    outcome_p: float | None
    scores: int
    labels: int
    has_drifted: bool

    def __str__(self) -> str:
        scores = (
            "too few scores"
            if self.score_p is None
            else f"scores D={self.score_distance:.3f} p={self.score_p:.2g}"
        )
        outcomes = (
            "no labels"
            if self.outcome_p is None
            else f"outcomes {self.outcome_gap:+.3f} p={self.outcome_p:.2g}"
        )
        return f"{'drifted' if self.has_drifted else 'no drift seen'}: {scores}; {outcomes}"


class DriftWatch:
    """Compares recent scores with those it was set up on, and recent labels with what was predicted.

    Scores by a two-sample Kolmogorov-Smirnov test over the last `window`; labels by a z test of their mean
    against the predicted chances. Asked once, a test errs with chance `alpha`; asked all day, more often.

    Args:
        reference: Scores of the questions that the router was fitted on; the first `window` seen if None.
        window: How many recent scores and labels are compared.
        alpha: Level of the test.

    Raises:
        ConfigurationError: The window is below 20 or alpha not in (0, 1).
    """

    def __init__(
        self, reference: Iterable[float] | None = None, *, window: int = 500, alpha: float = 0.001
    ) -> None:
        if window < 20:
            raise ConfigurationError(f"window must be 20 or more, not {window!r}")
        if not 0 < alpha < 1:
            raise ConfigurationError(f"alpha must be in (0, 1), not {alpha!r}")
        self._alpha, self._window = alpha, window
        self._lock = threading.Lock()
        self._reference = [] if reference is None else sorted(map(float, reference))
        self._is_collecting = reference is None
        self._recent: deque[float] = deque(maxlen=window)
        self._labels: deque[tuple[float, float]] = deque(maxlen=window)

    def saw(self, score: float) -> None:
        """Take in the score of a question."""
        with self._lock:
            if self._is_collecting:
                self._reference.append(score)
                if len(self._reference) >= self._window:
                    self._reference.sort()
                    self._is_collecting = False
            else:
                self._recent.append(score)

    def labelled(self, chance: float, ok: float) -> None:
        """Take in a label and the chance that had been predicted."""
        with self._lock:
            self._labels.append((chance, ok))

    def test(self) -> Drift:
        """Compare now."""
        with self._lock:
            reference = [] if self._is_collecting else self._reference
            recent, labels = sorted(self._recent), list(self._labels)
        distance = p = None
        if len(reference) >= 20 and len(recent) >= 20:
            distance, p = kolmogorov_smirnov(reference, recent)
        gap, gap_p = _outcomes(labels)
        return Drift(
            score_distance=distance,
            score_p=p,
            outcome_gap=gap,
            outcome_p=gap_p,
            scores=len(recent),
            labels=len(labels),
            has_drifted=any(value is not None and value < self._alpha for value in (p, gap_p)),
        )


def kolmogorov_smirnov(first: Sequence[float], second: Sequence[float]) -> tuple[float, float]:
    """Compare two sorted samples.

    Returns:
        The greatest gap between their distributions, and the chance of one as great if both come from the
        same, for large samples and from above where values repeat.

    Source:
        Press et al., "Numerical Recipes", 3rd ed., section 14.3.
    """
    n, m = len(first), len(second)
    distance = max(abs(bisect_right(first, x) / n - bisect_right(second, x) / m) for x in (*first, *second))
    root = math.sqrt(n * m / (n + m))
    scaled = (root + 0.12 + 0.11 / root) * distance
    if scaled < 0.2:
        return distance, 1.0
    terms = (2 * (-1) ** (k - 1) * math.exp(-2 * (k * scaled) ** 2) for k in range(1, _SERIES))
    return distance, min(1.0, max(0.0, sum(terms)))


def _outcomes(labels: list[tuple[float, float]]) -> tuple[float | None, float | None]:
    if not labels:
        return None, None
    gap = sum(ok - chance for chance, ok in labels) / len(labels)
    if len(labels) < 20:
        return gap, None
    deviation = math.sqrt(sum(chance * (1 - chance) for chance, _ in labels)) / len(labels)
    if deviation == 0:
        return gap, 1.0 if gap == 0 else 0.0
    return gap, math.erfc(abs(gap) / deviation / math.sqrt(2))
