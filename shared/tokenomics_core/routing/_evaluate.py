"""Whether a router is worth having: beside chance, prompt length, single models and hindsight."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tokenomics_core.routing._bootstrap import Estimate, check_bootstrap, estimates
from tokenomics_core.routing._contender import Contender, Rates, contender
from tokenomics_core.routing._curve import Ranking, area_under_hull, upper_hull
from tokenomics_core.routing._evaluation import DecidedResult, RankedResult, RouterEvaluation, TierResult
from tokenomics_core.routing._log import OutcomeTable, outcome_table
from tokenomics_core.routing._outcomes import OutcomeRecord
from tokenomics_core.routing._valued import choose_by_value

__all__ = ["evaluate_router"]

_LENGTH = "prompt length"
_KEPT = (0.9, 0.95, 0.98)
_RECOVERED = (0.5, 0.8)
_VALUES = 121


def evaluate_router(
    router: Rates,
    records: Iterable[OutcomeRecord | Mapping[str, Any]],
    *,
    baselines: Mapping[str, Rates] | None = None,
    tiers: Sequence[str] | None = None,
    escalates: bool = False,
    name: str = "router",
    resamples: int = 1000,
    seed: int = 0,
    confidence: float = 0.95,
) -> RouterEvaluation:
    """Measure a router on questions whose every tier was judged.

    Prompt length, every single tier, mixing them blindly and an oracle always stand beside it. The figures
    are only worth something on questions that the router has not learned from.

    Args:
        router: A `Router` (its decisions are measured, and move its controllers and counts), a classifier, a
            function of the questions, or numbers: one score a question, shape (n,), where higher goes to the
            strongest tier first, or the chance of each tier, shape (n, tiers).
        records: Outcomes by tier, and what they cost where that is known. Numbers in `router` belong to those
            with an outcome of every tier, in their order.
        baselines: Others to measure on the same questions, by name.
        tiers: Which tiers, the weakest first; None: all, by mean cost, or by mean quality without costs.
        escalates: Whether the strongest tier is asked after the weakest, which is then always paid for.
        name: What tables call the router.
        resamples: Bootstrap draws over questions.
        seed: Of the draws.
        confidence: Of the intervals.

    Raises:
        ConfigurationError: Records or settings cannot be used, or a router's answer does not fit the records.
    """
    check_bootstrap(resamples, confidence)
    table = outcome_table(records, tiers)
    measured = _Measured(table, escalates, resamples, seed, confidence)
    main = contender(router, table)
    others = {_LENGTH: contender([len(text) for text in table.texts], table)}
    others |= {other: contender(rates, table) for other, rates in (baselines or {}).items()}
    ranked = measured.ranked(main, name)
    return RouterEvaluation(
        router=ranked,
        baselines=tuple(measured.ranked(other, label, against=main) for label, other in others.items()),
        oracle=measured.ranked(Contender(measured.oracle_scores), "oracle"),
        tiers=measured.tiers(),
        decided=None if main.chosen is None else measured.decided(main),
        zero_aiq=measured.zero_aiq(),
        oracle_quality=float(table.quality.max(axis=1).mean()),
        questions=len(table),
        left_out=table.left_out,
        confidence=confidence,
        resamples=resamples,
        seed=seed,
        escalates=escalates,
    )


class _Measured:
    """One table of outcomes and how to resample it."""

    def __init__(
        self, table: OutcomeTable, escalates: bool, resamples: int, seed: int, confidence: float
    ) -> None:
        self._table, self._escalates = table, escalates
        self._settings: dict[str, Any] = {"resamples": resamples, "seed": seed, "confidence": confidence}
        self.oracle_scores = table.quality[:, -1] - table.quality[:, 0]
        self._oracle = self._ranking(self.oracle_scores)

    def ranked(self, found: Contender, name: str, against: Contender | None = None) -> RankedResult:
        ranking = self._ranking(found.scores, found.router_usd)
        mixes = self._mixes(found)
        main = None if against is None else self._ranking(against.scores)
        keys = len(_RECOVERED)

        def statistic(weights: NDArray[np.float64]) -> NDArray[np.float64]:
            curve = ranking.curve(weights)
            apgr = curve.apgr
            return np.array(
                [
                    apgr,
                    *(curve.share_for(share) for share in _RECOVERED),
                    self._oracle.curve(weights).mean_quality - curve.mean_quality,
                    *(curve.saving_at(kept) for kept in _KEPT),
                    self._aiq(mixes, weights),
                    math.nan if main is None else main.curve(weights).apgr - apgr,
                ]
            )

        apgr, *rest = self._estimates(statistic)
        shares, (regret, *rest) = rest[:keys], rest[keys:]
        savings, (aiq, behind) = rest[: len(_KEPT)], rest[len(_KEPT) :]
        return RankedResult(
            name=name,
            curve=ranking.curve(),
            apgr=apgr,
            share_for=dict(zip(_RECOVERED, shares, strict=True)),
            regret=regret,
            saving_at={} if self._table.cost_usd is None else dict(zip(_KEPT, savings, strict=True)),
            aiq=aiq,
            behind=behind,
        )

    def tiers(self) -> tuple[TierResult, ...]:
        quality, cost = self._table.quality, self._table.cost_usd
        found = self._estimates(lambda weights: weights @ quality / weights.sum())
        prices = None if cost is None else 1000 * cost.mean(axis=0)
        return tuple(
            TierResult(
                name=name,
                quality=found[at] or Estimate(math.nan),
                usd_per_1000=None if prices is None else float(prices[at]),
                dominated_by=self._dominator(at),
            )
            for at, name in enumerate(self._table.tiers)
        )

    def decided(self, found: Contender) -> DecidedResult:
        chosen = found.chosen
        assert chosen is not None  # noqa: S101 - only contenders that decided come here
        table, rows = self._table, np.arange(len(self._table))
        quality = table.quality[rows, chosen]
        share = np.bincount(chosen, minlength=len(table.tiers)) / len(chosen)
        cost = None if table.cost_usd is None else table.cost_usd[rows, chosen] + found.router_usd
        hindsight = table.quality.max(axis=1)
        if table.cost_usd is not None:
            within = table.cost_usd <= table.cost_usd[rows, chosen][:, None]
            hindsight = np.where(within, table.quality, -np.inf).max(axis=1)

        def statistic(weights: NDArray[np.float64]) -> NDArray[np.float64]:
            total = weights.sum()
            mean, means = weights @ quality / total, weights @ table.quality / total
            regret = weights @ hindsight / total - mean
            if cost is None or table.cost_usd is None:
                chances = np.bincount(chosen, weights, minlength=len(means)) / total
                return np.array([mean, math.nan, mean - chances @ means, math.nan, regret])
            paid, prices = weights @ cost / total, weights @ table.cost_usd / total
            return np.array(
                [mean, 1000 * paid, mean - _mixture(prices, means, paid), 1 - paid / prices.max(), regret]
            )

        figures = self._estimates(statistic)
        return DecidedResult(
            shares=dict(zip(table.tiers, share.tolist(), strict=True)),
            quality=figures[0],
            usd_per_1000=figures[1],
            above_mixture=figures[2],
            saving=figures[3],
            regret=figures[4],
        )

    def zero_aiq(self) -> Estimate | None:
        quality, cost = self._table.quality, self._table.cost_usd
        if cost is None:
            return None

        def statistic(weights: NDArray[np.float64]) -> NDArray[np.float64]:
            prices, means = weights @ cost / weights.sum(), weights @ quality / weights.sum()
            return np.array([area_under_hull(prices, means, prices.min(), prices.max())])

        return self._estimates(statistic)[0]

    def _ranking(self, scores: NDArray[np.float64], router_usd: float = 0.0) -> Ranking:
        quality, cost = self._table.quality, self._table.cost_usd
        return Ranking(
            scores,
            quality[:, 0],
            quality[:, -1],
            weak_usd=None if cost is None else cost[:, 0],
            strong_usd=None if cost is None else cost[:, -1],
            router_usd=router_usd,
            escalates=self._escalates,
        )

    def _mixes(self, found: Contender) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
        """Return quality and cost of every question at every value of a good answer, each (values, n)."""
        cost = self._table.cost_usd
        if found.chances is None or cost is None or self._escalates:
            return None
        expected = np.broadcast_to(cost.mean(axis=0), cost.shape)
        spread = float(expected[0].max() - expected[0].min())
        if spread <= 0:
            return None
        rows = np.arange(len(cost))
        values = spread * np.logspace(-1, 4, _VALUES - 1)
        picks = [choose_by_value(found.chances, expected, value) for value in values]
        picks.append(np.argmax(found.chances, axis=1))
        quality = np.array([self._table.quality[rows, pick] for pick in picks])
        return quality, np.array([cost[rows, pick] for pick in picks]) + found.router_usd

    def _aiq(
        self, mixes: tuple[NDArray[np.float64], NDArray[np.float64]] | None, weights: NDArray[np.float64]
    ) -> float:
        cost = self._table.cost_usd
        if mixes is None or cost is None:
            return math.nan
        total = weights.sum()
        prices, means = weights @ cost / total, weights @ self._table.quality / total
        quality, paid = mixes[0] @ weights / total, mixes[1] @ weights / total
        return area_under_hull(
            np.concatenate([paid, prices]), np.concatenate([quality, means]), prices.min(), prices.max()
        )

    def _dominator(self, at: int) -> str | None:
        if self._table.cost_usd is None:
            return None
        means, prices = self._table.quality.mean(axis=0), self._table.cost_usd.mean(axis=0)
        no_worse = (means >= means[at]) & (prices <= prices[at])
        better = np.flatnonzero(no_worse & ((means > means[at]) | (prices < prices[at])))
        return self._table.tiers[int(better[0])] if len(better) else None

    def _estimates(self, statistic: Any) -> list[Estimate | None]:  # a Statistic; mypy cannot infer lambdas
        return estimates(statistic, len(self._table), **self._settings)


def _mixture(prices: NDArray[np.float64], means: NDArray[np.float64], paid: float) -> float:
    """Return the quality of the best blind mixture of tiers at a cost."""
    xs, ys = upper_hull(prices, means)
    return float(np.interp(paid, xs, ys))
