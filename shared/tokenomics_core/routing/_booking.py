"""Keeps decisions until their calls are reported, and books what they really cost."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal

from tokenomics_core.routing._choosing import Choice, cold_usd
from tokenomics_core.routing._costs import Costs
from tokenomics_core.routing._planning import Plan
from tokenomics_core.routing._route import Route
from tokenomics_core.routing._stats import CallKind, Counts
from tokenomics_core.routing._sticky import Recent, WarmCache
from tokenomics_core.routing._tier import Tier
from tokenomics_core.types import Usage

__all__ = ["Booking"]


class Booking:
    """Turns choices into routes and reports into sums."""

    def __init__(
        self, tiers: Sequence[Tier], costs: Costs, counts: Counts, warm: WarmCache, entries: int
    ) -> None:
        self._tiers = {tier.name: tier for tier in tiers}
        self._costs, self._counts, self._warm = costs, counts, warm
        self._open: Recent[_Open] = Recent(entries)
        self._lock = threading.Lock()

    def open(self, plan: Plan, choice: Choice, route_id: str, fallbacks: tuple[Tier, ...]) -> Route:
        """Make the route of a choice and remember it."""
        chosen, request = choice.candidate, plan.request
        route = Route(
            tier=chosen.tier,
            probabilities=choice.probabilities,
            reasons=choice.reasons,
            score=choice.assessment.score,
            cost_usd=chosen.cost_usd,
            counterfactual_usd=plan.counterfactual_usd,
            dearest=plan.dearest,
            router_usd=choice.assessment.cost_usd,
            classifier=choice.assessment.name,
            out_of_domain=choice.assessment.out_of_domain,
            policy=choice.policy,
            propensity=choice.propensity,
            arm=choice.arm,
            shadow=None if choice.shadow is None else choice.shadow.tier.name,
            fallbacks=fallbacks,
            conversation=request.conversation,
            turn=request.turn,
            cold_cache_usd=cold_usd(self._costs, plan, chosen),
            id=route_id,
        )
        self._open.put(route_id, _opened(route, plan))
        self._counts.decided(route, *choice.notes)
        if choice.shadow is not None:
            self._counts.shadowed(choice.shadow.tier is not chosen.tier, choice.shadow.cost_usd)
        return route

    def keep(self, route: Route, plan: Plan) -> Route:
        """Remember a further call of a decision."""
        self._open.put(route.id, _opened(route, plan))
        return route

    def follow(self, route: Route, tier: Tier, why: str) -> Route:
        """Make the route to one of the fallbacks."""
        known = self._open.get(route.id)
        following = replace(
            route,
            tier=tier,
            reasons=(why,),
            cost_usd=None if known is None else known.costs_usd.get(tier.name),
            router_usd=Decimal(0),
            fallbacks=tuple(other for other in route.fallbacks if other is not tier),
            propensity=1.0,
            shadow=None,
        )
        if known is None:
            known = _Open(following, 0, {}, failed={route.tier.name})
        self._open.put(route.id, replace(known, route=following))
        return following

    def route(self, route_id: str) -> Route | None:
        """Return a decision by its id; None if it is no longer known."""
        known = self._open.get(route_id)
        return None if known is None else known.route

    def affords(self, route: Route, tiers: Iterable[str]) -> bool:
        """Whether calls of all these tiers stay within the limit of the request, as far as that is known."""
        known = self._open.get(route.id)
        if known is None or known.limit_usd is None:
            return True
        costs = [known.worst_usd.get(tier) for tier in tiers]
        return sum((cost for cost in costs if cost is not None), Decimal(0)) <= known.limit_usd

    def fails_first(self, route: Route) -> bool:
        """Whether this failure of a decision's tier was not told before."""
        known = self._open.get(route.id)
        if known is None:
            return True
        with self._lock:
            if route.tier.name in known.failed:
                return False
            known.failed.add(route.tier.name)
            return True

    def book(
        self,
        route: Route,
        usage: Usage | None,
        cost_usd: Decimal | None,
        kind: CallKind,
        *,
        is_whole: bool = True,
    ) -> Decimal | None:
        """Book a call and return what it saved; None where that cannot be told."""
        tier = route.tier
        if cost_usd is None and usage is not None and kind in ("answer", "draft"):
            cost_usd = self._costs.usd(tier, usage)
        if usage is not None and is_whole and kind in ("answer", "draft"):
            self._costs.learn(tier, usage)
            if route.conversation is not None:
                self._warm.reported(route.conversation, tier.name, usage)
        counterfactual = self.counterfactual(route, usage, cost_usd) if kind == "answer" else None
        self._counts.called(tier.name, kind, cost_usd, counterfactual, route.cold_cache_usd)
        if cost_usd is None:
            return None
        if kind != "answer":
            return -cost_usd
        return None if counterfactual is None else counterfactual - cost_usd

    def counterfactual(self, route: Route, usage: Usage | None, cost_usd: Decimal | None) -> Decimal | None:
        """Price the call as it was in the dearest tier, whose cache would have stayed warm."""
        if route.dearest == route.tier.name:
            if cost_usd is None and usage is not None:
                cost_usd = self._costs.usd(route.tier, usage)
            return None if cost_usd is None else cost_usd - min(route.cold_cache_usd or Decimal(0), cost_usd)
        dearest = self._tiers.get(route.dearest or "")
        if dearest is None or usage is None or usage.input_tokens is None:
            return route.counterfactual_usd
        known = self._open.get(route.id)
        size = int(usage.input_tokens / route.tier.input_factor * dearest.input_factor + 0.5)
        warm = max(usage.cache_read_tokens or 0, known.cached_tokens if known is not None else 0)
        output = usage.output_tokens
        if output is not None:
            output = int(output / route.tier.output_factor * dearest.output_factor + 0.5)
        same = Usage(
            input_tokens=size, output_tokens=output, cache_read_tokens=min(warm, size) if warm else None
        )
        return self._costs.usd(dearest, same)


@dataclass(slots=True)
class _Open:
    """A decision whose calls may still be reported.

    Attributes:
        route: The decision.
        cached_tokens: What the warm cache held.
        costs_usd: Expected costs by tier.
        limit_usd: What the request may cost; None without a limit.
        worst_usd: Where there is a limit, what each tier may cost at most.
        failed: Tiers whose failure was told.
    """

    route: Route
    cached_tokens: int
    costs_usd: Mapping[str, Decimal | None]
    limit_usd: Decimal | None = None
    worst_usd: Mapping[str, Decimal | None] = field(default_factory=dict)
    failed: set[str] = field(default_factory=set)


def _opened(route: Route, plan: Plan) -> _Open:
    costs = {item.tier.name: item.cost_usd for item in plan.allowed}
    return _Open(route, plan.cached_tokens, costs, plan.request.max_cost_usd, plan.worst_usd)
