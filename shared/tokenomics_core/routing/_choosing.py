"""From chances and costs to one tier: arms, floors, the policy, warm caches, exploration, shadow."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import cast

from tokenomics_core.errors import ConfigurationError
from tokenomics_core.routing._costs import Costs
from tokenomics_core.routing._feedback import Feedback
from tokenomics_core.routing._planning import Plan
from tokenomics_core.routing._policies import CheapestGoodEnough, fall_back
from tokenomics_core.routing._protocols import Assessment, Candidate, LearningPolicy, Policy, PolicyState
from tokenomics_core.routing._shadow import ABTest
from tokenomics_core.routing._sticky import Stickiness, stay_reason

__all__ = ["Choice", "Chooser"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What was chosen, and how.

    Attributes:
        candidate: The tier that serves.
        probabilities: By tier, after feedback.
        reasons: Why.
        assessment: What the classifier said.
        policy: What chose.
        propensity: Chance of this choice given the request.
        arm: Of an A/B test.
        shadow: The candidate that would have been chosen; None outside shadow mode.
        notes: What to count: `explored`, `holdout`, `kept_warm`, `failed_open`.
    """

    candidate: Candidate
    probabilities: Mapping[str, float] = field(default_factory=dict)
    reasons: tuple[str, ...] = ()
    assessment: Assessment
    policy: str
    propensity: float = 1.0
    arm: str = "treatment"
    shadow: Candidate | None = None
    notes: tuple[str, ...] = ()


class Chooser:
    """Applies a policy, and what may stand above it."""

    def __init__(
        self,
        policy: Policy,
        test: ABTest,
        feedback: Feedback,
        costs: Costs,
        stickiness: Stickiness,
        explore: float,
        shadow: str | None,
        safe_out_of_domain: bool,
        rng: random.Random,
    ) -> None:
        self._policy, self._test, self._feedback, self._costs = policy, test, feedback, costs
        self._payback_calls, self._explore, self._shadow = stickiness.payback_calls, explore, shadow
        self._safe_out_of_domain, self._rng = safe_out_of_domain, rng
        self._is_testing = test.is_on
        # Once: asking a protocol of every decision would take longer than the decision.
        self._learning = {
            id(item) for item in (policy, *test.policies.values()) if isinstance(item, LearningPolicy)
        }

    def choose(self, plan: Plan, assessment: Assessment) -> Choice:
        """Choose one of the candidates; the policy learns from it."""
        if assessment.score is not None and not math.isfinite(assessment.score):
            raise ConfigurationError(f"{assessment.name} gave a score of {assessment.score!r}")
        chances = {item.tier.name: self._chance(item, assessment) for item in plan.allowed}
        candidates = [
            Candidate(item.tier, item.cost_usd, chances[item.tier.name]) for item in plan.candidates
        ]
        known = {name: chance for name, chance in chances.items() if chance is not None}
        state = PolicyState(assessment.score, assessment.out_of_domain, plan.safe)
        arm = self._test.arm(plan.request) if self._is_testing else "treatment"
        policy = self._policy_for(arm, plan)
        notes: list[str] = []
        if arm == "holdout":
            index, reasons = fall_back(candidates, state, "held out of routing")
            notes.append("holdout")
        elif assessment.out_of_domain and self._safe_out_of_domain:
            index, reasons = fall_back(candidates, state, "unlike anything learned from")
        else:
            index, reasons = policy.choose(assessment, candidates, plan.request, state)
            if not 0 <= index < len(candidates):
                raise ConfigurationError(f"policy {policy.name} chose candidate {index} of {len(candidates)}")
            index, reasons = self._stay_warm(plan, candidates, index, reasons, notes)
        propensity = 1.0
        if self._shadow is None and arm != "holdout" and self._explore and len(candidates) > 1:
            index, propensity, reasons = self._maybe_explore(plan, candidates, index, reasons, notes)
        if arm != "holdout" and id(policy) in self._learning:
            cast("LearningPolicy", policy).observe(index, candidates, state)
        served = self._shadowed(plan, candidates)
        return Choice(
            candidate=served if served is not None else candidates[index],
            probabilities=known,
            reasons=(*plan.reasons, *assessment.reasons, *reasons),
            assessment=assessment,
            policy=policy.name if arm != "holdout" else "none",
            propensity=propensity,
            arm=arm,
            shadow=candidates[index] if served is not None else None,
            notes=tuple(notes),
        )

    def fail_open(self, plan: Plan, why: str, cost_usd: Decimal | None = Decimal(0)) -> Choice:
        """Choose the safe tier after a failure, with what was paid until then."""
        index, reasons = fall_back(plan.candidates, PolicyState(safe=plan.safe), why)
        return Choice(
            candidate=plan.candidates[index],
            reasons=(*plan.reasons, *reasons),
            assessment=Assessment(name="failed", cost_usd=cost_usd),
            policy="fail_open",
            notes=("failed_open",),
        )

    def _chance(self, item: Candidate, assessment: Assessment) -> float | None:
        chance = assessment.probabilities.get(item.tier.name)
        if chance is None:
            chance = item.tier.quality
        if chance is None:
            return None
        if not 0 <= chance <= 1:
            raise ConfigurationError(f"{assessment.name} gave {item.tier.name} a chance of {chance!r}")
        return self._feedback.adjust(item.tier.name, chance)

    def _policy_for(self, arm: str, plan: Plan) -> Policy:
        if plan.request.quality_floor is not None:
            return CheapestGoodEnough(plan.request.quality_floor)
        return self._test.policies.get(arm, self._policy)

    def _stay_warm(
        self,
        plan: Plan,
        candidates: Sequence[Candidate],
        index: int,
        reasons: tuple[str, ...],
        notes: list[str],
    ) -> tuple[int, tuple[str, ...]]:
        """Go back to the tier with the warm cache where leaving it for a weaker one does not pay."""
        if plan.current is None or not plan.cached_tokens:
            return index, reasons
        names = [item.tier.name for item in candidates]
        if plan.current not in names[index + 1 :]:
            return index, reasons
        current = names.index(plan.current)
        chosen = candidates[index]
        warm = self._costs.expected_usd(
            chosen.tier, plan.input_tokens, plan.request.max_output_tokens, plan.cached_tokens
        )
        why = stay_reason(candidates[current], chosen, warm, self._payback_calls)
        if why is None:
            return index, reasons
        notes.append("kept_warm")
        return current, (*reasons, f"stays with {plan.current}: {why}")

    def _maybe_explore(
        self,
        plan: Plan,
        candidates: Sequence[Candidate],
        index: int,
        reasons: tuple[str, ...],
        notes: list[str],
    ) -> tuple[int, float, tuple[str, ...]]:
        floor = plan.request.quality_floor
        among = [
            place
            for place, item in enumerate(candidates)
            if place == index or floor is None or (item.probability is not None and item.probability >= floor)
        ]
        share = self._explore / len(among)
        if self._rng.random() >= self._explore:
            return index, 1 - self._explore + share, reasons
        notes.append("explored")
        drawn = among[self._rng.randrange(len(among))]
        if drawn == index:
            return index, 1 - self._explore + share, (*reasons, "drawn at random as well")
        return drawn, share, (f"drawn at random instead of {candidates[index].tier.name}",)

    def _shadowed(self, plan: Plan, candidates: Sequence[Candidate]) -> Candidate | None:
        """Return what serves in shadow mode: the named tier, or the strongest that can."""
        if self._shadow is None:
            return None
        for item in candidates:
            if item.tier.name == self._shadow:
                return item
        by_name = {item.tier.name: item for item in plan.allowed}
        return by_name.get(self._shadow, candidates[-1])


def cold_usd(costs: Costs, plan: Plan, chosen: Candidate) -> Decimal | None:
    """Return what leaving a warm prompt cache adds to the next call; 0 where none is left."""
    if plan.current is None or not plan.cached_tokens or chosen.tier.name == plan.current:
        return Decimal(0)
    if chosen.cost_usd is None:
        return None
    warm = costs.expected_usd(
        chosen.tier, plan.input_tokens, plan.request.max_output_tokens, plan.cached_tokens
    )
    return None if warm is None else max(Decimal(0), chosen.cost_usd - warm)
