"""Settings that meet a target on given questions, and the policies that hold them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tokenomics_core.errors import ConfigurationError
from tokenomics_core.routing._log import OutcomeTable
from tokenomics_core.routing._policies import TargetShare, Threshold
from tokenomics_core.routing._targets import TargetCost, TargetQuality
from tokenomics_core.routing._valued import choose_by_value, solve_value

__all__ = ["ByQuality", "ByShare", "ByValue", "Target"]

_ETA = 0.2
"""Step of the controller in standard deviations of the scores.

It holds shares of 10 to 70% within a point after a shift from MMLU to GSM8K (benchmarks/routing.py), where
0.1 is 1.2 off at 10%; in domain the questions sent up are as well chosen, and from 0.3 on they are not.
"""
_HAIR = 1e-9


@dataclass(frozen=True, slots=True)
class Target:
    """What is asked for: shares by tier, a share of the best tier's quality, or a cost of 1,000 calls."""

    words: str
    shares: Mapping[str, float] | None = None
    quality: float | None = None
    usd_per_1000: float | None = None


class ByShare:
    """Questions with the highest scores go to the strongest tier, the next to the one below, and so on."""

    def __init__(self, table: OutcomeTable, scores: NDArray[np.float64], target: Target) -> None:
        self._table, self._scores, self._target = table, scores, target
        shares = target.shares or {}
        self._places = [at for at in range(len(table.tiers) - 1, 0, -1) if table.tiers[at] in shares]
        self._above = np.cumsum([shares[table.tiers[at]] for at in self._places])
        self.names = [f"least gain for {table.tiers[at]}" for at in self._places]
        self._order = np.argsort(scores, kind="stable")

    def solve(self, weights: NDArray[np.float64]) -> list[float]:
        ordered = self._scores[self._order]
        return [_level_for(ordered, weights[self._order], above) for above in self._above]

    def chosen(self, solved: Sequence[float]) -> NDArray[np.intp]:
        chosen = np.zeros(len(self._scores), dtype=np.intp)
        for place, level in reversed(list(zip(self._places, solved, strict=True))):
            chosen[self._scores >= level] = place
        return chosen

    def policy(self, solved: Sequence[float]) -> Threshold | TargetShare:
        tiers = self._table.tiers
        if self._places == [len(tiers) - 1]:
            eta = _ETA * float(self._scores.std())
            return TargetShare(float(self._above[0]), at=solved[0], eta=eta)
        return Threshold({tiers[at]: _level(level) for at, level in zip(self._places, solved, strict=True)})


class ByValue:
    """Each question goes where its chance of a good answer, at one value, leaves most after its cost."""

    def __init__(self, table: OutcomeTable, chances: NDArray[np.float64], target: Target) -> None:
        if table.cost_usd is None:
            raise ConfigurationError(
                "weighing chances against costs needs records that say what every answer cost; "
                "nothing was solved"
            )
        self._table, self._chances, self._target = table, chances, target
        self._expected = table.cost_usd.mean(axis=0)
        if not np.ptp(self._expected) > 0:
            raise ConfigurationError("all tiers cost the same: take the best one; nothing was solved")
        self.names = ["value of a good answer (USD)"]

    def solve(self, weights: NDArray[np.float64]) -> list[float]:
        quality, cost = self._table.quality, self._table.cost_usd
        target = self._target
        if target.quality is not None:
            wanted = target.quality * float((weights @ quality).max() / weights.sum())
            value = solve_value(self._chances, self._expected, quality, wanted, weights, least=True)
        else:
            assert cost is not None  # noqa: S101 - refused above
            wanted = (target.usd_per_1000 or 0.0) / 1000
            value = solve_value(self._chances, self._expected, cost, wanted, weights, least=False)
        return [value]

    def chosen(self, solved: Sequence[float]) -> NDArray[np.intp]:
        return choose_by_value(self._chances, self._expected, solved[0])

    def policy(self, solved: Sequence[float]) -> TargetQuality | TargetCost:
        if self._target.quality is not None:
            return TargetQuality(self._target.quality, value_usd=solved[0])
        return TargetCost(self._target.usd_per_1000 or 0.0, value_usd=solved[0])


class ByQuality(ByShare):
    """Two tiers without costs: the smallest share of strong calls that keeps the quality."""

    def __init__(self, table: OutcomeTable, scores: NDArray[np.float64], target: Target) -> None:
        super().__init__(table, scores, Target(target.words, shares={table.tiers[-1]: 1.0}))
        self._kept = target.quality or 0.0

    def solve(self, weights: NDArray[np.float64]) -> list[float]:
        order = self._order[::-1]
        counts, quality = weights[order], self._table.quality[order]
        gains = np.cumsum(counts * (quality[:, -1] - quality[:, 0]))
        total = counts.sum()
        wanted = self._kept * float((counts @ quality).max()) / total
        start = float(counts @ quality[:, 0]) / total
        if start >= wanted:
            return [1.0]
        last_of_tie = np.append(np.diff(self._scores[order]) != 0, True)
        reached = np.flatnonzero(last_of_tie & (start + gains / total >= wanted - 1e-12))
        return [float(self._scores[order[reached[0] if len(reached) else -1]])]

    def policy(self, solved: Sequence[float]) -> Threshold | TargetShare:
        return Threshold(_level(solved[0]))


def _level_for(ordered: NDArray[np.float64], weights: NDArray[np.float64], share: float) -> float:
    """Return the threshold at and above which the weight comes closest to a share; ties go together.

    Args:
        ordered: Scores, rising.
        weights: How often each counts.
        share: Of the weight, in [0, 1].
    """
    levels, first = np.unique(ordered, return_index=True)
    above = np.append(np.cumsum(weights[::-1])[::-1][first], 0.0)
    at = int(np.argmin(np.abs(above - share * above[0])))
    return float(levels[at]) if at < len(levels) else float(np.nextafter(levels[-1], math.inf))


def _level(score: float) -> float:
    """Return a threshold of the gain; a share of nothing lies a hair above the highest score."""
    if not -1 - _HAIR <= score <= 1 + _HAIR:
        raise ConfigurationError(
            f"thresholds are gains in [-1, 1], and the scores reach {score!r}; nothing was solved"
        )
    return min(max(score, -1.0), 1.0)
