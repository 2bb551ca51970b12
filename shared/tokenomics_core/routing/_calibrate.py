"""A share, a quality or a cost to be met, turned into the setting of a policy, with how far it may be off."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tokenomics_core.errors import ConfigurationError
from tokenomics_core.routing._bootstrap import Estimate, check_bootstrap, estimates
from tokenomics_core.routing._contender import Rates, contender
from tokenomics_core.routing._curve import expected_calibration_error
from tokenomics_core.routing._difficulty import DifficultyClassifier
from tokenomics_core.routing._features import Context
from tokenomics_core.routing._folds import hold_out
from tokenomics_core.routing._log import OutcomeTable, outcome_table
from tokenomics_core.routing._outcomes import OutcomeRecord
from tokenomics_core.routing._policies import TargetShare, Threshold
from tokenomics_core.routing._solvers import ByQuality, ByShare, ByValue, Target
from tokenomics_core.routing._targets import TargetCost, TargetQuality

if TYPE_CHECKING:
    from tokenomics_core.rendering import Table

__all__ = ["Calibration", "calibrate"]

_ENOUGH = 200
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """A policy that meets a target on records it was not fitted to, and how sure that is.

    Attributes:
        policy: For a `Router`; it keeps to its target while questions change.
        classifier: Fitted on all records, for the same `Router`; as it was given where it had learned before.
        target: What was asked for, in words.
        settings: What was solved: by name a threshold of the gain or the value of a good answer in USD.
        shares: By tier the share of questions that it gets on the records.
        quality: Mean quality there.
        kept: Quality as a share of the best single tier's.
        usd_per_1000: Cost of 1,000 questions; None where the records do not say.
        saving: Share of the best single tier's cost that is saved.
        best_single: The tier with the best mean quality.
        calibration_errors: By tier the expected calibration error of its chances, in [0, 1]; empty for
            scores.
        questions: How many questions it was solved on.
        left_out: Records that lack a tier's outcome.
        confidence: Of every interval.
        cautions: What a reader should know before trusting it.
    """

    policy: Threshold | TargetShare | TargetQuality | TargetCost
    classifier: Any
    target: str
    settings: Mapping[str, Estimate]
    shares: Mapping[str, Estimate]
    quality: Estimate
    kept: Estimate
    usd_per_1000: Estimate | None
    saving: Estimate | None
    best_single: str
    calibration_errors: Mapping[str, float]
    questions: int
    left_out: int
    confidence: float
    cautions: tuple[str, ...]

    def table(self) -> Table:
        """Return the table that the other forms draw."""
        from tokenomics_core.routing._calibrate_table import calibration_table  # noqa: PLC0415 - rare

        return calibration_table(self)

    def to_dict(self) -> dict[str, Any]:
        """Return every number as plain values, for a file."""
        from tokenomics_core.routing._calibrate_table import calibration_dict  # noqa: PLC0415 - likewise

        return calibration_dict(self)

    def __str__(self) -> str:
        from tokenomics_core.rendering import to_text  # noqa: PLC0415 - likewise

        return to_text(self.table())

    def _repr_html_(self) -> str:
        from tokenomics_core.rendering import to_html  # noqa: PLC0415 - likewise

        return to_html(self.table())

    def __rich__(self) -> Any:
        from tokenomics_core.rendering import to_rich  # noqa: PLC0415 - likewise

        return to_rich(self.table())


def calibrate(
    classifier: Rates | None,
    records: Iterable[OutcomeRecord | Mapping[str, Any]],
    *,
    share: float | Mapping[str, float] | None = None,
    target_quality: float | None = None,
    target_cost_usd: float | None = None,
    tiers: Sequence[str] | None = None,
    folds: int = 5,
    resamples: int = 500,
    seed: int = 0,
    confidence: float = 0.95,
) -> Calibration:
    """Solve a policy for one target on records.

    Args:
        classifier: A `DifficultyClassifier` that has learned nothing, or None for one with default settings,
            is fitted on the records, and its chances are taken out of fold. One that has learned is used as
            it is; the records must then be new to it. So are other classifiers, functions of the questions,
            and scores or chances as numbers (see `evaluate_router`).
        records: Outcomes by tier, and what they cost.
        share: Share of questions for the strongest tier; or by tier, the rest going to the weakest.
        target_quality: Share of the best single tier's quality to keep, at the least cost.
        target_cost_usd: What 1,000 questions may cost, for the most quality.
        tiers: Which tiers, the weakest first; None: all, by mean cost, or by mean quality without costs.
        folds: Parts for chances out of fold.
        resamples: Bootstrap draws; the target is solved anew on each.
        seed: Of folds and draws.
        confidence: Of the intervals.

    Raises:
        ConfigurationError: Not exactly one target, a target out of its range or beyond what the records
            allow, or records that cannot be used; nothing was solved.
    """
    check_bootstrap(resamples, confidence)
    table = outcome_table(records, tiers)
    target = _target(table, share, target_quality, target_cost_usd)
    found = _scored(classifier, table, folds, seed)
    solver: ByShare | ByValue = (
        ByShare(table, found.scores, target) if share is not None else _by_value(table, found, target)
    )
    names = list(solver.names)
    best = int(np.argmax(table.quality.mean(axis=0)))

    solved = solver.solve(np.ones(len(table)))
    chosen = solver.chosen(solved)

    def statistic(weights: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.array([*solver.solve(weights), *_figures(table, chosen, weights, best)])

    measured = estimates(statistic, len(table), resamples=resamples, seed=seed, confidence=confidence)
    settings, figures = measured[: len(names)], measured[len(names) :]
    width = len(table.tiers)
    errors = {}
    if found.stated is not None:
        errors = {
            tier: expected_calibration_error(found.stated[:, at], table.quality[:, at])
            for at, tier in enumerate(table.tiers)
        }
    kept = _known(figures[width + 1])
    return Calibration(
        policy=solver.policy(solved),
        classifier=found.classifier,
        target=target.words,
        settings={name: _known(item) for name, item in zip(names, settings, strict=True)},
        shares={tier: _known(figures[at]) for at, tier in enumerate(table.tiers)},
        quality=_known(figures[width]),
        kept=kept,
        usd_per_1000=figures[width + 2],
        saving=figures[width + 3],
        best_single=table.tiers[best],
        calibration_errors=errors,
        questions=len(table),
        left_out=table.left_out,
        confidence=confidence,
        cautions=tuple(_cautions(table, target, kept, errors)),
    )


def _target(
    table: OutcomeTable,
    share: float | Mapping[str, float] | None,
    quality: float | None,
    usd: float | None,
) -> Target:
    if sum(item is not None for item in (share, quality, usd)) != 1:
        raise ConfigurationError(
            "exactly one of share, target_quality and target_cost_usd is needed; nothing was solved"
        )
    if share is not None:
        return _share_target(table, share)
    if quality is not None:
        if not 0 < quality <= 1:
            raise ConfigurationError(
                f"target_quality must be above 0 and at most 1, not {quality!r}; nothing was solved"
            )
        return Target(f"{quality:.1%} of the best single tier's quality", quality=float(quality))
    if table.cost_usd is None:
        raise ConfigurationError(
            "target_cost_usd needs records that say what every answer cost; nothing was solved"
        )
    prices = 1000 * table.cost_usd.mean(axis=0)
    if usd is None or not prices.min() * (1 - _ROUNDING) <= float(usd) < math.inf:
        raise ConfigurationError(
            f"target_cost_usd must be at least what the cheapest tier costs, ${prices.min():.6g} for 1,000 "
            f"questions, not {usd!r}; nothing was solved"
        )
    return Target(f"${float(usd):.6g} for 1,000 questions", usd_per_1000=float(usd))


def _share_target(table: OutcomeTable, share: float | Mapping[str, float]) -> Target:
    shares = share if isinstance(share, Mapping) else {table.tiers[-1]: share}
    unknown = sorted(set(shares) - set(table.tiers[1:]))
    if unknown:
        raise ConfigurationError(
            f"a share may be set for {', '.join(table.tiers[1:])}, not for {', '.join(unknown)}; "
            "nothing was solved"
        )
    if not shares or any(not 0 <= value <= 1 for value in shares.values()) or sum(shares.values()) > 1 + 1e-9:
        raise ConfigurationError(
            f"shares must lie in [0, 1] and sum to at most 1, not {share!r}; nothing was solved"
        )
    words = ", ".join(f"{value:.1%} of questions to {tier}" for tier, value in shares.items())
    return Target(words, shares={tier: float(value) for tier, value in shares.items()})


class _InContext:
    """Gives every question its history and tools; where one text came with several, those of the last."""

    def __init__(self, inner: DifficultyClassifier, contexts: Mapping[str, Context]) -> None:
        self.inner, self._contexts = inner, contexts

    def fit_outcomes(self, texts: Sequence[str], outcomes: Mapping[str, ArrayLike]) -> _InContext:
        self.inner.fit_outcomes(texts, outcomes, contexts=[self._contexts[text] for text in texts])
        return self

    def predict_proba(self, texts: Sequence[str]) -> NDArray[np.float64]:
        rows = [self.inner.chances(text, context=self._contexts[text])[0] for text in texts]
        return np.array([list(row.values()) for row in rows], dtype=np.float64)


@dataclass(frozen=True, slots=True)
class _Scores:
    """What the classifier to use says of questions it has not seen, and its chances where there are any."""

    classifier: Any
    scores: NDArray[np.float64]
    chances: NDArray[np.float64] | None
    stated: NDArray[np.float64] | None


def _scored(classifier: Rates | None, table: OutcomeTable, folds: int, seed: int) -> _Scores:
    fresh = DifficultyClassifier() if classifier is None else classifier
    if isinstance(fresh, DifficultyClassifier) and fresh.weights_ is None:
        outcomes = {tier: table.quality[:, at] for at, tier in enumerate(table.tiers)}
        contexts = {request.question: (request.history, request.tools) for request in table.requests}
        held = hold_out(
            lambda: _InContext(copy.copy(fresh), contexts), table.texts, outcomes, folds=folds, seed=seed
        )
        return _Scores(held.classifier.inner, held.scaled_gains, held.scaled_chances, held.chances)
    found = contender(fresh, table)
    return _Scores(fresh, found.scores, found.chances, found.chances)


def _by_value(table: OutcomeTable, found: _Scores, target: Target) -> ByShare | ByValue:
    if found.chances is not None and table.cost_usd is not None:
        return ByValue(table, found.chances, target)
    if target.quality is not None and len(table.tiers) == 2:
        return ByQuality(table, found.scores, target)
    raise ConfigurationError(
        "this target needs a chance for every tier and records that say what every answer cost; "
        "nothing was solved"
    )


def _figures(
    table: OutcomeTable, chosen: NDArray[np.intp], weights: NDArray[np.float64], best: int
) -> list[float]:
    """Return each tier's share, the quality, the quality kept, the cost of 1,000 and the saving."""
    total, rows = float(weights.sum()), np.arange(len(table))
    shares = np.bincount(chosen, weights, minlength=len(table.tiers)) / total
    quality = float(weights @ table.quality[rows, chosen]) / total
    top = float(weights @ table.quality[:, best]) / total
    kept = quality / top if top > 0 else math.nan
    if table.cost_usd is None:
        return [*shares, quality, kept, math.nan, math.nan]
    paid = float(weights @ table.cost_usd[rows, chosen]) / total
    dearest = float(weights @ table.cost_usd[:, best]) / total
    return [*shares, quality, kept, 1000 * paid, 1 - paid / dearest if dearest > 0 else math.nan]


def _known(estimate: Estimate | None) -> Estimate:
    return Estimate(math.nan) if estimate is None else estimate


def _cautions(
    table: OutcomeTable, target: Target, kept: Estimate, errors: Mapping[str, float]
) -> Iterable[str]:
    if len(table) < _ENOUGH:
        yield f"{len(table)} questions are few: below {_ENOUGH} the intervals are wide and the order is noisy"
    if target.quality is not None and kept.value < target.quality - 1e-9:
        yield f"the target is not reached: at most {kept.value:.1%} of the best single tier's quality is kept"
    elif target.quality is not None and kept.low is not None and kept.low < target.quality:
        yield (
            f"on other questions of the same kind as little as {kept.low:.1%} may be kept; ask for more than "
            f"{target.quality:.1%} to be sure of it"
        )
    for tier, error in errors.items():
        if error > 0.05:
            yield f"the chances of {tier} are off by {error:.3f} on average; fit them on these questions"
    if table.left_out:
        yield f"{table.left_out} records lack a tier's outcome and were left out"
