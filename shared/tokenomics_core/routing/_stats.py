"""What routing saved after everything it cost itself; the sum may be negative and is shown so."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal

from tokenomics_core.routing._route import Route

__all__ = ["CallKind", "Counts", "RouterStats", "TierStats"]

CallKind = Literal["answer", "draft", "judge", "router"]
_ZERO = Decimal(0)
_WATCHED_ESCALATIONS = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class TierStats:
    """One tier's part.

    Attributes:
        decisions: How often it was chosen.
        answers: Calls whose answer was used.
        drafts: Calls whose answer was rejected.
        errors: Calls that failed.
        cost_usd: What its calls cost, where known.
        labels: Feedback on its answers.
        quality: Mean of that feedback; None without any.
    """

    decisions: int = 0
    answers: int = 0
    drafts: int = 0
    errors: int = 0
    cost_usd: Decimal = _ZERO
    labels: int = 0
    quality: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RouterStats:
    """What a router did since it was made; it draws itself in notebooks and terminals.

    Attributes:
        tiers: By tier, in the router's order.
        decisions: Asks that were decided, repeats within one ask left out.
        sticky: Decisions repeated because they belong to the same ask.
        kept_warm: Switches not made because a warm prompt cache was worth more.
        explored: Decisions made at random to learn from.
        holdout: Asks held out of routing.
        out_of_domain: Asks unlike anything learned from.
        failed_open: Decisions that went to the safe tier because the router itself failed.
        escalations: Drafts rejected and asked again.
        cascades: Asks that began with a draft.
        counterfactual_usd: What the answered asks would have cost in the dearest tier that could serve each,
            with its prompt cache kept warm.
        routed_usd: What the answers cost, without what cold caches added.
        router_usd: What the decisions cost.
        drafts_usd: What rejected drafts cost.
        judges_usd: What judging cost.
        cold_caches_usd: What leaving warm prompt caches added.
        unpriced_calls: Calls left out of the sums because a price is unknown.
        shadow_usd: In shadow mode, what the chosen tiers were expected to cost; None outside it.
        shadow_differs: In shadow mode, how often another tier would have been chosen.
    """

    tiers: Mapping[str, TierStats] = field(default_factory=dict)
    decisions: int = 0
    sticky: int = 0
    kept_warm: int = 0
    explored: int = 0
    holdout: int = 0
    out_of_domain: int = 0
    failed_open: int = 0
    escalations: int = 0
    cascades: int = 0
    counterfactual_usd: Decimal = _ZERO
    routed_usd: Decimal = _ZERO
    router_usd: Decimal = _ZERO
    drafts_usd: Decimal = _ZERO
    judges_usd: Decimal = _ZERO
    cold_caches_usd: Decimal = _ZERO
    unpriced_calls: int = 0
    shadow_usd: Decimal | None = None
    shadow_differs: int = 0

    @property
    def net_saving_usd(self) -> Decimal:
        """Counterfactual minus everything that was paid; below 0 where routing lost money."""
        own = self.router_usd + self.drafts_usd + self.judges_usd + self.cold_caches_usd
        return self.counterfactual_usd - self.routed_usd - own

    @property
    def net_saving_share(self) -> float | None:
        """Net saving over the counterfactual; None where that is 0."""
        if not self.counterfactual_usd:
            return None
        return float(self.net_saving_usd / self.counterfactual_usd)

    @property
    def escalation_rate(self) -> float | None:
        """Share of asks begun with a draft whose draft was rejected; None before the first."""
        return self.escalations / self.cascades if self.cascades else None

    @property
    def wants_retraining(self) -> bool:
        """Whether more than 30% of at least 30 drafts were rejected: the classifier starts too low."""
        rate = self.escalation_rate
        return rate is not None and rate > 0.3 and self.cascades >= _WATCHED_ESCALATIONS

    def __str__(self) -> str:
        from tokenomics_core.routing._stats_table import stats_text  # noqa: PLC0415 - drawing is rare

        return stats_text(self)

    def _repr_html_(self) -> str:
        from tokenomics_core.routing._stats_table import stats_html  # noqa: PLC0415 - likewise

        return stats_html(self)

    def __rich__(self) -> Any:
        from tokenomics_core.routing._stats_table import stats_rich  # noqa: PLC0415 - likewise

        return stats_rich(self)


class Counts:
    """Adds up what happens, from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._numbers: Counter[str] = Counter()
        self._tiers: dict[str, Counter[str]] = {}
        self._tier_usd: dict[str, Decimal] = {}
        self._labels: dict[str, float] = {}
        self._usd = dict.fromkeys(("counterfactual", "answer", "router", "draft", "judge", "cold"), _ZERO)
        self._shadow_usd: Decimal | None = None

    def decided(self, route: Route, *notes: str) -> None:
        """Count a fresh decision, with words such as `explored` for what was special about it."""
        with self._lock:
            self._numbers["decisions"] += 1
            self._tier(route.tier.name)["decisions"] += 1
            self._numbers["out_of_domain"] += route.out_of_domain
            for note in notes:
                self._numbers[note] += 1
            if route.router_usd is None:
                self._numbers["unpriced"] += 1
            elif route.router_usd:
                self._usd["router"] += route.router_usd

    def shadowed(self, differs: bool, cost_usd: Decimal | None) -> None:
        """Count a decision that was only noted."""
        with self._lock:
            self._numbers["shadow_differs"] += differs
            self._shadow_usd = (self._shadow_usd or _ZERO) + (cost_usd or _ZERO)

    def note(self, what: str) -> None:
        """Count something that is no decision of its own."""
        with self._lock:
            self._numbers[what] += 1

    def called(
        self,
        tier: str,
        kind: CallKind,
        cost_usd: Decimal | None,
        counterfactual_usd: Decimal | None,
        cold_usd: Decimal | None,
    ) -> None:
        """Count a call that was paid; what cannot be compared stays out of every sum."""
        with self._lock:
            counts = self._tier(tier)
            counts["drafts" if kind == "draft" else "answers"] += kind in ("draft", "answer")
            if cost_usd is None or (kind == "answer" and counterfactual_usd is None):
                self._numbers["unpriced"] += 1
                return
            if kind in ("draft", "answer"):
                self._tier_usd[tier] = self._tier_usd.get(tier, _ZERO) + cost_usd
            cold = min(cold_usd or _ZERO, cost_usd)
            self._usd[kind] += cost_usd - cold
            self._usd["cold"] += cold
            if kind == "answer" and counterfactual_usd is not None:
                self._usd["counterfactual"] += counterfactual_usd

    def charged(self, kind: CallKind, cost_usd: Decimal | None) -> None:
        """Count a cost without a tier."""
        with self._lock:
            if cost_usd is None:
                self._numbers["unpriced"] += 1
            else:
                self._usd[kind] += cost_usd

    def failed(self, tier: str) -> None:
        """Count a call that failed."""
        with self._lock:
            self._tier(tier)["errors"] += 1

    def labelled(self, tier: str, ok: float) -> None:
        """Count feedback."""
        with self._lock:
            self._tier(tier)["labels"] += 1
            self._labels[tier] = self._labels.get(tier, 0.0) + ok

    def stats(self, tiers: tuple[str, ...]) -> RouterStats:
        """Return the sums so far."""
        with self._lock:
            numbers, usd = self._numbers, self._usd
            return RouterStats(
                tiers={name: self._tier_stats(name) for name in (*tiers, *(set(self._tiers) - set(tiers)))},
                **{
                    name: numbers[name]
                    for name in (
                        *("decisions", "sticky", "kept_warm", "explored", "holdout", "out_of_domain"),
                        *("failed_open", "escalations", "cascades", "shadow_differs"),
                    )
                },
                counterfactual_usd=usd["counterfactual"],
                routed_usd=usd["answer"],
                router_usd=usd["router"],
                drafts_usd=usd["draft"],
                judges_usd=usd["judge"],
                cold_caches_usd=usd["cold"],
                unpriced_calls=numbers["unpriced"],
                shadow_usd=self._shadow_usd,
            )

    def _tier(self, name: str) -> Counter[str]:
        counts = self._tiers.get(name)
        if counts is None:
            counts = self._tiers[name] = Counter()
        return counts

    def _tier_stats(self, name: str) -> TierStats:
        counts = self._tiers.get(name, Counter())
        labels = counts["labels"]
        return TierStats(
            decisions=counts["decisions"],
            answers=counts["answers"],
            drafts=counts["drafts"],
            errors=counts["errors"],
            cost_usd=self._tier_usd.get(name, _ZERO),
            labels=labels,
            quality=self._labels[name] / labels if labels else None,
        )
