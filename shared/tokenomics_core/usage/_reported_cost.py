"""What a provider itself says a call cost.

Sources: https://openrouter.ai/docs/use-cases/usage-accounting (`cost`, in credits of one USD; with an own
key the upstream provider's bill comes on top), https://docs.x.ai/developers/cost-tracking (ticks),
https://docs.perplexity.ai (`cost.total_cost`), https://docs.litellm.ai/docs/completion/token_usage.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from tokenomics_core.usage._fields import field_of, note_problem

__all__ = ["reported_cost_usd"]

_TICKS_PER_USD = 10**10
_GATEWAY_HEADERS = ("x-litellm-response-cost", "llm_provider-x-litellm-response-cost")


def reported_cost_usd(*sources: Any) -> Decimal | None:
    """Return the cost in USD that a provider or gateway reported with its answer.

    Args:
        sources: Anything it may stand in: a raw answer or its usage, LangChain's `response_metadata` and
            `llm_output`, a LlamaIndex response. The first that has a cost decides.

    Returns:
        The amount charged, exact as written; None where none is reported. LiteLLM computes its figure
        and writes 0 for models without a price, so its 0 counts as not reported.
    """
    for source in sources:
        for node in _nodes(source):
            cost = _billed(node)
            if cost is not None:
                return cost
        for node in _nodes(source):
            cost = _computed_by_gateway(node)
            if cost:
                return cost
    return None


def _nodes(source: Any) -> Iterator[Any]:
    """Yield the places that may hold a cost, the innermost last."""
    if source is None:
        return
    yield source
    for name in ("usage", "token_usage"):
        if (usage := field_of(source, name)) is not None:
            yield usage
    for name in ("raw", "response", "data"):
        inner = field_of(source, name)
        if inner is not None and not isinstance(inner, str):
            yield inner
            if (usage := field_of(inner, "usage")) is not None:
                yield usage


def _billed(node: Any) -> Decimal | None:
    cost = field_of(node, "cost")
    if isinstance(cost, Mapping) or hasattr(cost, "total_cost"):
        return _amount(field_of(cost, "total_cost"))
    amount = _amount(cost)
    if amount is None:
        ticks = _amount(field_of(node, "cost_in_usd_ticks"))
        return None if ticks is None else ticks / _TICKS_PER_USD
    if field_of(node, "is_byok") is True:
        amount += _amount(field_of(field_of(node, "cost_details"), "upstream_inference_cost")) or 0
    return amount


def _computed_by_gateway(node: Any) -> Decimal | None:
    hidden = field_of(node, "_hidden_params")
    headers = field_of(node, "headers"), field_of(hidden, "additional_headers")
    return (
        _amount(field_of(node, "response_cost"))
        or _amount(field_of(hidden, "response_cost"))
        or _amount(field_of(headers[0], *_GATEWAY_HEADERS))
        or _amount(field_of(headers[1], *_GATEWAY_HEADERS))
    )


def _amount(value: Any) -> Decimal | None:
    if value is None or isinstance(value, bool) or not isinstance(value, (int, float, str, Decimal)):
        return None
    try:
        amount = Decimal(str(value))
    except InvalidOperation:
        amount = Decimal("NaN")
    if amount.is_finite() and amount >= 0:
        return amount
    note_problem("cost", f"{value!r:.60} is no cost; treated as not reported")
    return None
