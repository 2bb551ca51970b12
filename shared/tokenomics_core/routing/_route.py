"""Which tier was chosen, why, and what it and the dearest tier would cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from tokenomics_core.routing._tier import Tier

__all__ = ["Route", "last_hope"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One decision.

    Attributes:
        tier: The tier to call.
        probabilities: By tier the chance that its answer is good enough.
        reasons: Why this tier, in plain words.
        score: Gain of the strongest over the weakest tier, as the classifier sees it; None if it gave none.
        cost_usd: What the call is expected to cost; None where its price is unknown.
        counterfactual_usd: What it would be expected to cost in the dearest tier that could have served it.
        dearest: The name of that tier.
        router_usd: What the decision itself cost, such as a call of a small model.
        classifier: What assessed the request.
        out_of_domain: Whether the request is unlike anything that was learned from.
        policy: What chose.
        propensity: Chance with which this tier was chosen, given the request; below 1 where exploring.
        arm: `treatment`, or `holdout` for the share of an A/B test that is not routed.
        shadow: In shadow mode the tier that would have been chosen; else None.
        fallbacks: Where to go on errors, in order.
        conversation: As the request gave it.
        turn: As the request gave it.
        cold_cache_usd: What leaving the warm prompt cache costs; 0 where none is left.
        id: For `feedback` and the ledger.
    """

    tier: Tier
    probabilities: Mapping[str, float] = field(default_factory=dict, hash=False)
    reasons: tuple[str, ...] = ()
    score: float | None = None
    cost_usd: Decimal | None = None
    counterfactual_usd: Decimal | None = None
    dearest: str | None = None
    router_usd: Decimal | None = Decimal(0)
    classifier: str = "none"
    out_of_domain: bool = False
    policy: str = "none"
    propensity: float = 1.0
    arm: str = "treatment"
    shadow: str | None = None
    fallbacks: tuple[Tier, ...] = ()
    conversation: str | None = None
    turn: str | None = None
    cold_cache_usd: Decimal | None = Decimal(0)
    id: str = ""

    @property
    def probability(self) -> float | None:
        """The chance that the chosen tier's answer is good enough; None if nobody said."""
        return self.probabilities.get(self.tier.name)

    def line(self) -> str:
        """Return the decision as one line for a log."""
        parts = [f"route {self.id or '-'} -> {self.tier.name} ({self.tier.model})"]
        if (chance := self.probability) is not None:
            parts.append(f"p={chance:.3f}")
        if self.score is not None:
            parts.append(f"gain={self.score:+.3f}")
        parts.append(f"cost={_usd(self.cost_usd)} of {_usd(self.counterfactual_usd)}")
        parts.append(f"by {self.classifier}/{self.policy}")
        if self.out_of_domain:
            parts.append("out of domain")
        if self.arm != "treatment":
            parts.append(self.arm)
        if self.shadow is not None:
            parts.append(f"shadow={self.shadow}")
        if self.propensity < 1:
            parts.append(f"propensity={self.propensity:.3f}")
        why = "; ".join(self.reasons)
        return " ".join(" ".join(parts).split()) + (f": {' '.join(why.split())}" if why else "")

    def as_metadata(self) -> dict[str, str | float | bool | None]:
        """Return the decision as plain values for the metadata of a run or the tags of a record."""
        return {
            "route_id": self.id,
            "route_tier": self.tier.name,
            "route_model": self.tier.model,
            "route_probability": self.probability,
            "route_score": self.score,
            "route_cost_usd": _plain(self.cost_usd),
            "route_counterfactual_usd": _plain(self.counterfactual_usd),
            "route_classifier": self.classifier,
            "route_policy": self.policy,
            "route_out_of_domain": self.out_of_domain,
            "route_propensity": self.propensity,
            "route_arm": self.arm,
            "route_shadow": self.shadow,
            "route_reasons": "; ".join(self.reasons),
        }


def last_hope(route: Route) -> str:
    """Say of an error of the last tier that was asked that others had been asked before it."""
    return f"no tier gave an answer; {route.tier.name} was asked last: {'; '.join(route.reasons)}"


def _usd(amount: Decimal | None) -> str:
    return "unknown" if amount is None else f"${amount:.6f}"


def _plain(amount: Decimal | None) -> str | None:
    return None if amount is None else format(amount, "f")
