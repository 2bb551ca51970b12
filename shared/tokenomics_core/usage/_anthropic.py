"""Usage as Anthropic's Messages API reports it: input leaves the cache out.

Sources: the types of the anthropic package,
https://platform.claude.com/docs/en/build-with-claude/prompt-caching ("Tracking cache performance") and
https://platform.claude.com/docs/en/build-with-claude/compaction ("Understanding usage").
"""

from __future__ import annotations

from typing import Any

from tokenomics_core.types import Usage
from tokenomics_core.usage._build import build_usage
from tokenomics_core.usage._fields import count_of, field_of, items_of, sum_known, text_of

__all__ = ["ANTHROPIC_FIELDS", "from_anthropic_usage", "request_facts"]

ANTHROPIC_FIELDS = (
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
    "cache_creation",
    "server_tool_use",
    "inference_geo",
)


def from_anthropic_usage(usage: Any, envelope: Any = None) -> Usage | None:
    """Convert a Messages usage, or the cumulative one of a stream's last event, to inclusive input."""
    # A compaction runs as an iteration of its own, which the counts at the top leave out.
    parts = [
        usage,
        *(item for item in items_of(usage, "iterations") if text_of(item, "type") == "compaction"),
    ]
    read = sum_known(*(count_of(part, "cache_read_input_tokens") for part in parts))
    five = sum_known(*(_lifetime(part, "5m") for part in parts))
    hour = sum_known(*(_lifetime(part, "1h") for part in parts))
    written = sum_known(*(_written(part) for part in parts))
    fresh = sum_known(*(count_of(part, "input_tokens") for part in parts))
    tier, searches, context = request_facts(usage)
    return build_usage(
        input_tokens=None if fresh is None else fresh + (read or 0) + (written or 0),
        output_tokens=sum_known(*(count_of(part, "output_tokens") for part in parts)),
        cache_read=read,
        cache_write=written,
        cache_write_5m=five,
        cache_write_1h=hour,
        reasoning=count_of(field_of(usage, "output_tokens_details"), "thinking_tokens"),
        service_tier=tier or text_of(envelope, "service_tier"),
        extras={"web_searches": searches},
        context=context,
    )


def request_facts(usage: Any) -> tuple[str | None, int, dict[str, str]]:
    """Return service tier, billed web searches and what else changes the price."""
    searches = count_of(field_of(usage, "server_tool_use"), "web_search_requests") or 0
    context = {"speed": "fast"} if text_of(usage, "speed") == "fast" else {}
    return text_of(usage, "service_tier"), searches, context


def _lifetime(usage: Any, lifetime: str) -> int | None:
    return count_of(field_of(usage, "cache_creation"), f"ephemeral_{lifetime}_input_tokens")


def _written(usage: Any) -> int | None:
    by_lifetime = sum_known(_lifetime(usage, "5m"), _lifetime(usage, "1h"))
    told = count_of(usage, "cache_creation_input_tokens")
    return told if by_lifetime is None else max(told or 0, by_lifetime)
