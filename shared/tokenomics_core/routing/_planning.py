"""What can serve a request and at what cost, before anyone judges how hard it is."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal

from tokenomics_core.routing._costs import Costs, input_tokens_of
from tokenomics_core.routing._eligibility import able_tiers, affordable, dominated_tiers, prefer
from tokenomics_core.routing._feedback import Feedback
from tokenomics_core.routing._health import Health
from tokenomics_core.routing._protocols import Candidate
from tokenomics_core.routing._request import RouteRequest
from tokenomics_core.routing._route import Route
from tokenomics_core.routing._sticky import WarmCache
from tokenomics_core.routing._tier import Tier

__all__ = ["Plan", "Planner"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The candidates for one request.

    Attributes:
        request: What is asked.
        allowed: All that can serve it within its own limit, the weakest first.
        reachable: Of these, what errors and escalations may lead to: none above a budget's tier.
        candidates: Of these, the ones to choose from, with their expected costs.
        worst_usd: Where the request has a limit, what each tier may cost at most.
        reasons: Why others were left out.
        input_tokens: Of the whole prompt.
        current: The tier whose prompt cache is warm; None if none is known.
        cached_tokens: What that cache holds.
        dearest: The dearest tier that nothing else makes pointless.
        counterfactual_usd: What it would cost there with a warm cache.
        safe: Index of the safe tier among the candidates; None if it is not one of them.
    """

    request: RouteRequest
    allowed: Sequence[Candidate]
    reachable: Sequence[Candidate]
    candidates: Sequence[Candidate]
    reasons: tuple[str, ...]
    input_tokens: int
    current: str | None
    cached_tokens: int
    dearest: str | None
    counterfactual_usd: Decimal | None
    safe: int | None
    worst_usd: Mapping[str, Decimal | None] = field(default_factory=dict)


class Planner:
    """Filters tiers and prices what is left."""

    def __init__(
        self,
        tiers: tuple[Tier, ...],
        costs: Costs,
        health: Health,
        feedback: Feedback,
        warm: WarmCache,
        safe_tier: str,
        usual_output_tokens: int,
    ) -> None:
        self._tiers, self._costs, self._health, self._feedback = tiers, costs, health, feedback
        self._warm, self._safe_tier, self._usual = warm, safe_tier, usual_output_tokens
        self._ranks = {tier.name: rank for rank, tier in enumerate(tiers)}
        self._smallest = min((tier.window for tier in tiers if tier.window is not None), default=None)
        self._lock = threading.Lock()
        self._dominated: dict[str, tuple[str, str]] | None = None

    def dominated(self) -> dict[str, tuple[str, str]]:
        """Return the tiers that are dearer and worse than another; see `dominated_tiers`."""
        if self._dominated is None:
            with self._lock:
                if self._dominated is None:
                    self._dominated = dominated_tiers(self._tiers, self._costs)
        return self._dominated

    def plan(self, request: RouteRequest) -> Plan:
        """Return what a request may be sent to.

        Raises:
            ConfigurationError: No tier can serve it.
            BudgetExceededError: None can within the request's own limit.
        """
        size = input_tokens_of(request, self._smallest)
        able = able_tiers(request, self._tiers, size, self._usual)
        current, cached = self._warm_cache(request, size)
        allowed = [
            Candidate(tier, self._cost(tier, request, size, cached if tier.name == current else 0), None)
            for tier in able
        ]
        worst: dict[str, Decimal | None] = {}
        if request.max_cost_usd is not None:
            worst = self._worst(allowed, request, size, current, cached)
            allowed = affordable(allowed, worst, request.max_cost_usd)
        reasons: list[str] = []
        reachable = allowed
        if request.downgrade_to is not None:
            reachable = self._downgraded(allowed, request.downgrade_to, reasons)
        candidates = self._preferred(reachable, reasons)
        dearest, counterfactual = self._counterfactual(allowed, request, size, current, cached)
        names = [candidate.tier.name for candidate in candidates]
        return Plan(
            request=request,
            allowed=allowed,
            reachable=reachable,
            candidates=candidates,
            reasons=tuple(reasons),
            input_tokens=size,
            current=current,
            cached_tokens=cached,
            dearest=dearest,
            counterfactual_usd=counterfactual,
            safe=names.index(self._safe_tier) if self._safe_tier in names else None,
            worst_usd=worst,
        )

    def again(self, made: Route, plan: Plan) -> Route | None:
        """Return the decision of the same ask for a further call, priced anew; None if it no longer holds."""
        name = made.tier.name
        candidate = next((item for item in plan.candidates if item.tier.name == name), None)
        if candidate is None:  # it cannot serve any more, rests, or a budget has run low meanwhile
            return None
        return replace(
            made,
            reasons=("same ask as before",),
            cost_usd=candidate.cost_usd,
            counterfactual_usd=plan.counterfactual_usd,
            dearest=plan.dearest,
            router_usd=Decimal(0),
            cold_cache_usd=Decimal(0),
            propensity=1.0,
            fallbacks=self.fallbacks(plan, made.tier),
        )

    def fallbacks(self, plan: Plan, tier: Tier) -> tuple[Tier, ...]:
        """Return where to go from a tier: upwards, downwards, and last what another makes pointless."""
        place = next((rank for rank, item in enumerate(plan.reachable) if item.tier is tier), 0)
        others = [*plan.reachable[place + 1 :], *reversed(plan.reachable[:place])]
        dominated, names = self.dominated(), {item.tier.name for item in plan.reachable}
        others.sort(key=lambda item: dominated.get(item.tier.name, ("", ""))[0] in names)
        return tuple(item.tier for item in others)

    def _warm_cache(self, request: RouteRequest, size: int) -> tuple[str | None, int]:
        current, cached = request.current_tier, request.cached_tokens
        if request.conversation is not None and (current is None or cached is None):
            known = self._warm.of(request.conversation)
            if known is not None and current in (None, known[0]):
                current = known[0]
                cached = known[1] if cached is None else cached
        return current, min(cached or 0, size)

    def _cost(
        self, tier: Tier, request: RouteRequest, size: int, cached: int, *, worst: bool = False
    ) -> Decimal | None:
        return self._costs.expected_usd(tier, size, request.max_output_tokens, cached, worst=worst)

    def _worst(
        self, allowed: list[Candidate], request: RouteRequest, size: int, current: str | None, cached: int
    ) -> dict[str, Decimal | None]:
        return {
            item.tier.name: self._cost(
                item.tier, request, size, cached if item.tier.name == current else 0, worst=True
            )
            for item in allowed
        }

    def _preferred(self, reachable: list[Candidate], reasons: list[str]) -> list[Candidate]:
        kept = reachable
        dominated = self._dominated if self._dominated is not None else self.dominated()
        if dominated:
            names = {item.tier.name for item in kept}
            kept = prefer(
                kept,
                lambda item: dominated.get(item.tier.name, ("", ""))[0] not in names,
                "dearer and worse than another",
                reasons,
            )
        kept = prefer(
            kept, lambda item: not self._health.rests(item.tier.name), "resting after errors", reasons
        )
        if self._feedback.floor is not None:
            kept = prefer(
                kept,
                lambda item: not self._feedback.is_below_floor(item.tier.name),
                f"below the quality floor of {self._feedback.floor:.2f} by feedback",
                reasons,
            )
        return kept

    def _downgraded(self, kept: list[Candidate], wanted: str, reasons: list[str]) -> list[Candidate]:
        """Keep the tiers up to the one a budget names; the weakest that can serve if that leaves none."""
        rank = self._ranks.get(wanted)
        if rank is None:
            rank = next((self._ranks[tier.name] for tier in self._tiers if tier.model == wanted), -1)
        below = [item for item in kept if self._ranks[item.tier.name] <= rank] or kept[:1]
        if len(below) < len(kept):
            reasons.append(f"the budget allows nothing above {below[-1].tier.name}")
        return below

    def _counterfactual(
        self, allowed: list[Candidate], request: RouteRequest, size: int, current: str | None, cached: int
    ) -> tuple[str | None, Decimal | None]:
        dominated = self.dominated()
        names = {item.tier.name for item in allowed}
        best: tuple[str | None, Decimal | None] = (None, None)
        for item in allowed:
            name = item.tier.name
            if dominated.get(name, ("", ""))[0] in names:
                continue
            warm = (
                item.cost_usd
                if not cached or name == current
                else self._cost(item.tier, request, size, cached)
            )
            if warm is not None and (best[1] is None or warm > best[1]):
                best = (name, warm)
        return best
