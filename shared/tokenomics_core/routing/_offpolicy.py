"""What another policy would have reached, from the log of the one that ran."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tokenomics_core.errors import ConfigurationError
from tokenomics_core.routing._bootstrap import Estimate, check_bootstrap, estimates
from tokenomics_core.routing._route import Route

if TYPE_CHECKING:
    from tokenomics_core.rendering import Table

__all__ = ["LoggedDecision", "PolicyValue", "Valuations", "value_policy"]

_ENOUGH_EFFECTIVE = 50.0
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedDecision:
    """One decision and how it turned out.

    Attributes:
        tier: The tier that was called.
        propensity: Chance with which it was called, given the request, in (0, 1].
        quality: How good the answer was, in [0, 1].
        chances: By tier the chance of a good answer as it was foretold, which the doubly robust estimate
            leans on; empty if nobody foretold one.
        cost_usd: What the call cost; None if unknown.
        question: What was asked, for policies that read it.
        score: Gain of the strongest over the weakest tier, for policies that go by it.
    """

    tier: str
    propensity: float
    quality: float
    chances: Mapping[str, float]
    cost_usd: float | None = None
    question: str = ""
    score: float | None = None

    @classmethod
    def of(
        cls, route: Route, quality: bool | float, *, cost_usd: float | None = None, question: str = ""
    ) -> LoggedDecision:
        """Take a route as it was logged, and how good its answer was."""
        return cls(
            tier=route.tier.name,
            propensity=route.propensity,
            quality=float(quality),
            chances=dict(route.probabilities),
            cost_usd=cost_usd,
            question=question,
            score=route.score,
        )


ChoiceOf = Callable[[LoggedDecision], str | Mapping[str, float]]
"""What a new policy would do with a logged request: a tier, or the chance of each tier."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Valuations:
    """One figure of a policy, estimated in three ways.

    Attributes:
        inverse_propensity: Unbiased where the logged chances are right, and noisy.
        self_normalised: The same divided by the mean weight; slightly biased, less noisy.
        doubly_robust: Foretold values, corrected by what was seen; right where either the logged or the
            foretold chances are. The one to read.
        logged: What the policy that ran reached.
        gain: Doubly robust minus logged, on the same resamples.
    """

    inverse_propensity: Estimate
    self_normalised: Estimate
    doubly_robust: Estimate
    logged: Estimate
    gain: Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyValue:
    """What a policy would have reached.

    Attributes:
        quality: Mean quality.
        usd_per_1000: Cost of 1,000 calls; None where a cost is unknown.
        decisions: How many logged decisions it rests on.
        effective_decisions: How many equally weighted ones would tell as much.
        agreement: Mean weight; near 1 where the log covers what the new policy does.
        confidence: Of every interval.
        cautions: Why not to trust it.
    """

    quality: Valuations
    usd_per_1000: Valuations | None
    decisions: int
    effective_decisions: float
    agreement: Estimate
    confidence: float
    cautions: tuple[str, ...]

    def table(self) -> Table:
        """Return the table that the other forms draw."""
        from tokenomics_core.routing._offpolicy_table import policy_value_table  # noqa: PLC0415 - rare

        return policy_value_table(self)

    def __str__(self) -> str:
        from tokenomics_core.rendering import to_text  # noqa: PLC0415 - likewise

        return to_text(self.table())

    def _repr_html_(self) -> str:
        from tokenomics_core.rendering import to_html  # noqa: PLC0415 - likewise

        return to_html(self.table())

    def __rich__(self) -> Any:
        from tokenomics_core.rendering import to_rich  # noqa: PLC0415 - likewise

        return to_rich(self.table())


def value_policy(
    log: Iterable[LoggedDecision],
    policy: ChoiceOf,
    *,
    most_weight: float | None = None,
    resamples: int = 1000,
    seed: int = 0,
    confidence: float = 0.95,
) -> PolicyValue:
    """Value a new policy from decisions of an old one that explored a little.

    Args:
        log: Decisions with their outcomes; those without an outcome must be missing at random.
        policy: What the new policy would do with each.
        most_weight: Weights are cut off here, which trades noise for bias; None leaves them as they are.
        resamples: Bootstrap draws over decisions.
        seed: Of the draws.
        confidence: Of the intervals.

    Raises:
        ConfigurationError: The log is empty, a number is out of its range, or the policy's answer is no tier
            and no chances that sum to 1; nothing was valued.

    Source:
        Dudik, Langford and Li, "Doubly Robust Policy Evaluation and Learning", ICML 2011, eq. 2; Swaminathan
        and Joachims, "The Self-Normalized Estimator for Counterfactual Learning", NeurIPS 2015.
    """
    check_bootstrap(resamples, confidence)
    if most_weight is not None and not most_weight >= 1:
        raise ConfigurationError(f"most_weight must be 1 or more, not {most_weight!r}; nothing was valued")
    rows = [_checked(number, row) for number, row in enumerate(log, start=1)]
    if not rows:
        raise ConfigurationError("the log has no decision; nothing was valued")
    chances = [_chances(policy(row)) for row in rows]
    weights = np.array(
        [new.get(row.tier, 0.0) / row.propensity for row, new in zip(rows, chances, strict=True)]
    )
    if most_weight is not None:
        weights = np.minimum(weights, most_weight)
    settings: dict[str, Any] = {"resamples": resamples, "seed": seed, "confidence": confidence}
    quality = _valued(
        rows, chances, weights, [row.quality for row in rows], _foretold_quality(rows), settings
    )
    costs = [row.cost_usd for row in rows]
    money = None
    if all(cost is not None for cost in costs):
        per_1000 = [1000 * (cost or 0.0) for cost in costs]
        money = _valued(rows, chances, weights, per_1000, _means_by_tier(rows, per_1000), settings)
    agreement = estimates(lambda w: np.array([w @ weights / w.sum()]), len(rows), **settings)[0]
    square = float(weights @ weights)
    effective = float(weights.sum()) ** 2 / square if square else 0.0
    return PolicyValue(
        quality=quality,
        usd_per_1000=money,
        decisions=len(rows),
        effective_decisions=effective,
        agreement=agreement or Estimate(math.nan),
        confidence=confidence,
        cautions=tuple(_cautions(rows, agreement, effective)),
    )


Foretold = Callable[[int, str], float]
"""What a tier is foretold to reach on the decision of a row."""


def _valued(
    rows: Sequence[LoggedDecision],
    chances: Sequence[Mapping[str, float]],
    weights: NDArray[np.float64],
    seen: Sequence[float],
    foretold: Foretold,
    settings: Mapping[str, Any],
) -> Valuations:
    reached = np.array(seen, dtype=np.float64)
    of_logged = np.array([foretold(at, row.tier) for at, row in enumerate(rows)])
    of_new = np.array(
        [sum(chance * foretold(at, tier) for tier, chance in new.items()) for at, new in enumerate(chances)]
    )
    robust = of_new + weights * (reached - of_logged)

    def statistic(count: NDArray[np.float64]) -> NDArray[np.float64]:
        total, weight = count.sum(), count @ weights
        plain, logged, doubly = count @ (weights * reached), count @ reached / total, count @ robust / total
        normalised = plain / weight if weight > 0 else math.nan
        return np.array([plain / total, normalised, doubly, logged, doubly - logged])

    found = [item or Estimate(math.nan) for item in estimates(statistic, len(rows), **settings)]
    return Valuations(
        inverse_propensity=found[0],
        self_normalised=found[1],
        doubly_robust=found[2],
        logged=found[3],
        gain=found[4],
    )


def _foretold_quality(rows: Sequence[LoggedDecision]) -> Foretold:
    """Return the chances that were logged; for tiers without one, what others of that tier reached."""
    means = _means_by_tier(rows, [row.quality for row in rows])

    def foretold(at: int, tier: str) -> float:
        chance = rows[at].chances.get(tier)
        return means(at, tier) if chance is None else chance

    return foretold


def _means_by_tier(rows: Sequence[LoggedDecision], seen: Sequence[float]) -> Foretold:
    """Return each tier's mean over the other decisions, so that no decision foretells itself."""
    sums: dict[str, tuple[float, int]] = {}
    for row, value in zip(rows, seen, strict=True):
        total, number = sums.get(row.tier, (0.0, 0))
        sums[row.tier] = (total + value, number + 1)
    overall = sum(seen) / len(seen)

    def foretold(at: int, tier: str) -> float:
        total, number = sums.get(tier, (0.0, 0))
        if rows[at].tier == tier:
            total, number = total - seen[at], number - 1
        return total / number if number else overall

    return foretold


def _checked(number: int, row: LoggedDecision) -> LoggedDecision:
    if not 0 < row.propensity <= 1:
        raise ConfigurationError(
            f"decision {number}: propensity must be above 0 and at most 1, not {row.propensity!r}; "
            "nothing was valued"
        )
    if not 0 <= row.quality <= 1 or any(not 0 <= chance <= 1 for chance in row.chances.values()):
        raise ConfigurationError(
            f"decision {number}: quality and chances must lie in [0, 1]; nothing was valued"
        )
    if row.cost_usd is not None and not 0 <= row.cost_usd < math.inf:
        raise ConfigurationError(
            f"decision {number}: cost_usd must be 0 or more, not {row.cost_usd!r}; nothing was valued"
        )
    return row


def _chances(choice: str | Mapping[str, float]) -> Mapping[str, float]:
    if isinstance(choice, str):
        return {choice: 1.0}
    if any(not 0 <= chance <= 1 for chance in choice.values()) or abs(sum(choice.values()) - 1) > 1e-6:
        raise ConfigurationError(
            f"a policy must name a tier or chances that sum to 1, not {choice!r}; nothing was valued"
        )
    return choice


def _cautions(rows: Sequence[LoggedDecision], agreement: Estimate | None, effective: float) -> Iterable[str]:
    if all(row.propensity == 1 for row in rows):
        yield (
            "the log never explored: where the new policy differs, only foretold values speak; "
            "log with explore above 0"
        )
    if agreement is not None and not _holds(agreement, 1.0):
        yield (
            f"the mean weight is {agreement}, not 1: the log does not cover what the new policy does, "
            "or its propensities are wrong"
        )
    if effective < _ENOUGH_EFFECTIVE:
        yield f"it rests on {effective:.0f} effective decisions: collect more, or explore more"


def _holds(estimate: Estimate, value: float) -> bool:
    low = estimate.value if estimate.low is None else estimate.low
    high = estimate.value if estimate.high is None else estimate.high
    return low - _ROUNDING <= value <= high + _ROUNDING
