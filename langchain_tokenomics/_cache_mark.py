"""How a message says that it comes from a cache, and what it would have cost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from langchain_core.messages.ai import UsageMetadata

from tokenomics_core.cache import Hit
from tokenomics_core.types import Usage

__all__ = ["HIT_EVENT", "MARK", "NO_USAGE", "avoided_usage", "mark_of"]

MARK: Final = "tokenomics_cache"
"""The key in `response_metadata`; the message's own usage is zero, so that every tracker is right."""

HIT_EVENT: Final = "tokenomics_cache_hit"
"""The custom event that a chain served from the cache dispatches; its data is what `mark_of` says."""

NO_USAGE: Final = UsageMetadata(input_tokens=0, output_tokens=0, total_tokens=0)


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


def avoided_usage(told: Mapping[str, Any]) -> Usage | None:
    """Return what a message from the cache avoided; empty where unknown, None for other messages."""
    mark = told.get(MARK)
    if not isinstance(mark, dict):
        return None
    usage = mark.get("usage")
    return Usage.from_dict(usage) if isinstance(usage, dict) else Usage()
