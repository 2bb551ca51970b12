"""Which tiers can serve a request at all, before anything is scored."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal

from tokenomics_core.errors import BudgetExceededError, ConfigurationError
from tokenomics_core.routing._costs import Costs
from tokenomics_core.routing._protocols import Candidate
from tokenomics_core.routing._request import RouteRequest
from tokenomics_core.routing._tier import Tier

__all__ = ["able_tiers", "affordable", "check_tiers", "dominated_tiers", "prefer"]

_LONG, _SHORT = 100_000, 1


def check_tiers(tiers: Sequence[Tier]) -> tuple[Tier, ...]:
    """Return the tiers if they do not contradict each other.

    Raises:
        ConfigurationError: There is none, two share a name, one writes more than its window holds, or the
            same model at the same effort appears with two prices or qualities.
    """
    if not tiers:
        raise ConfigurationError("a router needs at least one tier")
    seen: dict[str, Tier] = {}
    models: dict[tuple[object, ...], Tier] = {}
    for tier in tiers:
        if not isinstance(tier, Tier):
            raise ConfigurationError(f"tiers must be Tier objects, not {tier!r:.80}")
        if tier.name in seen:
            raise ConfigurationError(f"two tiers are called {tier.name!r}; a name stands for one tier")
        seen[tier.name] = tier
        if tier.window is not None and tier.max_output is not None and tier.max_output > tier.window:
            raise ConfigurationError(
                f"tier {tier.name!r} says it writes {tier.max_output} tokens in a window of {tier.window}"
            )
        key = (tier.model, tier.provider, tier.effort, tier.input_factor, tier.output_factor)
        other = models.setdefault(key, tier)
        if other is not tier and (other.price_table(), other.quality) != (tier.price_table(), tier.quality):
            raise ConfigurationError(
                f"tiers {other.name!r} and {tier.name!r} are the same model, provider and effort "
                "but differ in price or quality"
            )
    return tuple(tiers)


def able_tiers(
    request: RouteRequest, tiers: Sequence[Tier], input_tokens: int, output_tokens: int
) -> list[Tier]:
    """Return the tiers that can do what is needed in the space that they have, in order.

    Args:
        request: What is asked.
        tiers: All tiers.
        input_tokens: Of the whole prompt.
        output_tokens: To leave room for where the request does not say.

    Raises:
        ConfigurationError: None can; the message says of each why not, and nothing is cut to fit.
    """
    needs = request.needs | {"tools"} if request.tools else request.needs
    room = request.max_output_tokens if request.max_output_tokens is not None else output_tokens
    able: list[Tier] = []
    lacks: list[str] = []
    for tier in tiers:
        why = tier.lacks(needs, request.language)
        if why is None and tier.window is not None and input_tokens + room > tier.window:
            why = f"has a window of {tier.window} tokens for {input_tokens} in and {room} out"
        if why is None and tier.max_output is not None and (request.max_output_tokens or 0) > tier.max_output:
            why = f"writes at most {tier.max_output} tokens"
        if why is None:
            able.append(tier)
        else:
            lacks.append(f"{tier.name} {why}")
    if not able:
        raise ConfigurationError(f"no tier can serve this request: {'; '.join(lacks)}; nothing was sent")
    return able


def affordable(
    candidates: Sequence[Candidate], worst_usd: Mapping[str, Decimal | None], limit_usd: Decimal
) -> list[Candidate]:
    """Return the candidates that stay within a request's own limit.

    Raises:
        BudgetExceededError: None does, or the prices of all that might are unknown.
    """
    kept = [
        candidate
        for candidate in candidates
        if (cost := worst_usd[candidate.tier.name]) is not None and cost <= limit_usd
    ]
    if not kept:
        known = [cost for cost in worst_usd.values() if cost is not None]
        raise BudgetExceededError(
            "request",
            "max_cost_usd",
            "call",
            "USD",
            limit_usd,
            Decimal(0),
            min(known, default=Decimal("NaN")),
            "max_cost_usd",
        )
    return kept


def prefer(
    candidates: list[Candidate], keep: Callable[[Candidate], bool], why: str, reasons: list[str]
) -> list[Candidate]:
    """Leave out candidates, unless none would be left; say so."""
    kept = [candidate for candidate in candidates if keep(candidate)]
    if not kept or len(kept) == len(candidates):
        return candidates
    left_out = ", ".join(candidate.tier.name for candidate in candidates if candidate not in kept)
    reasons.append(f"{left_out} {why}")
    return kept


def dominated_tiers(tiers: Sequence[Tier], costs: Costs) -> dict[str, tuple[str, str]]:
    """Find the tiers that are dearer and worse than another.

    Better is the higher stated quality; where either has none, the later place in the list. Dearer means so
    for long prompts and for long answers alike.

    Returns:
        By tier the name of the better one, and the sentence for people.
    """
    bills = {
        tier.name: (costs.expected_usd(tier, _LONG, _SHORT), costs.expected_usd(tier, _SHORT, None))
        for tier in tiers
    }
    found: dict[str, tuple[str, str]] = {}
    for place, tier in enumerate(tiers):
        for other_place, other in enumerate(tiers):
            if other is tier or other.name in found:
                continue
            if _is_dominated(tier, place, bills[tier.name], other, other_place, bills[other.name]):
                mine, theirs = bills[tier.name][0], bills[other.name][0]
                found[tier.name] = (other.name, _sentence(tier, mine, other, theirs))
                break
    return found


_Bill = tuple[Decimal | None, Decimal | None]


def _is_dominated(
    tier: Tier, place: int, bill: _Bill, other: Tier, other_place: int, other_bill: _Bill
) -> bool:
    pairs = list(zip(bill, other_bill, strict=True))
    if any(mine is None or theirs is None for mine, theirs in pairs):
        return False
    if any(mine < theirs for mine, theirs in pairs if mine is not None and theirs is not None):
        return False
    is_dearer = all(mine > theirs for mine, theirs in pairs if mine is not None and theirs is not None)
    if tier.quality is None or other.quality is None:
        return is_dearer and other_place > place
    return other.quality > tier.quality or (is_dearer and other.quality == tier.quality)


def _sentence(tier: Tier, mine: Decimal | None, other: Tier, theirs: Decimal | None) -> str:
    return (
        f"{tier.name} is dearer and worse than {other.name}: ${_per_mtok(mine)} against ${_per_mtok(theirs)} "
        f"per million tokens read; it is left out wherever {other.name} can serve"
    )


def _per_mtok(usd: Decimal | None) -> str:
    return f"{(usd or Decimal(0)) * 1_000_000 / _LONG:.3f}"
