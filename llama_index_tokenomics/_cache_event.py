"""Tell whoever listens to LlamaIndex that an answer came from the cache."""

from __future__ import annotations

from typing import Any

from llama_index.core.instrumentation.events import BaseEvent
from llama_index_instrumentation import get_dispatcher

from tokenomics_core.cache import Hit

__all__ = ["MARK", "CacheHitEvent", "mark_of", "tell_of_hit"]

MARK = "tokenomics_cache"
"""The key in `additional_kwargs` of an answer, or `metadata` of a response, that describes a hit."""

_dispatcher = get_dispatcher(__name__)


class CacheHitEvent(BaseEvent):
    """An answer that was not asked of a model.

    Attributes:
        kind: `exact` or `semantic`.
        probability: That the answer is right, in [0, 1].
        age_s: Seconds since it was stored.
        entry_id: Which entry it comes from.
        operation: `chat`, `completion`, `structured` or `query`.
        model: Which model gave it; None where several did, or nobody said.
        provider: That model's provider.
        usage: What was consumed then, as `Usage.to_dict` writes it; None where unknown.
        avoided_usd: What it cost then, as a decimal number; None where unknown.
    """

    kind: str
    probability: float
    age_s: float
    entry_id: str
    operation: str
    model: str | None = None
    provider: str | None = None
    usage: dict[str, Any] | None = None
    avoided_usd: str | None = None

    @classmethod
    def class_name(cls) -> str:
        """Return the name under which LlamaIndex lists this event."""
        return "TokenomicsCacheHitEvent"


def mark_of(hit: Hit) -> dict[str, Any]:
    """Describe a hit as plain JSON: `kind`, `probability`, `age_s`, `entry_id`, `usage`, `avoided_usd`."""
    mark: dict[str, Any] = {
        "kind": hit.kind,
        "probability": hit.probability,
        "age_s": hit.age_s,
        "entry_id": hit.entry_id,
    }
    if hit.avoided_usage is not None:
        mark["usage"] = hit.avoided_usage.to_dict()
    if hit.avoided_usd is not None:
        mark["avoided_usd"] = str(hit.avoided_usd)
    return mark


def tell_of_hit(hit: Hit, *, operation: str, model: str | None, provider: str | None) -> None:
    """Dispatch the event of a hit."""
    event = CacheHitEvent(operation=operation, model=hit.model or model, provider=provider, **mark_of(hit))
    _dispatcher.event(event)
