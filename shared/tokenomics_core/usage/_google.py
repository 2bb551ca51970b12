"""Usage as Gemini reports it: thoughts and tool prompts stand beside the counts they belong to.

Sources: https://ai.google.dev/api/generate-content#UsageMetadata,
https://ai.google.dev/gemini-api/docs/tokens (also for Interactions) and
https://ai.google.dev/gemini-api/docs/google-search ("Pricing").
"""

from __future__ import annotations

from typing import Any

from tokenomics_core.types import Usage
from tokenomics_core.usage._build import build_usage
from tokenomics_core.usage._fields import count_of, field_of, items_of, sum_known, text_of

__all__ = ["GEMINI_FIELDS", "from_gemini_usage", "grounded_searches"]

GEMINI_FIELDS = (
    "promptTokenCount",
    "prompt_token_count",
    "candidatesTokenCount",
    "candidates_token_count",
    "totalTokenCount",
    "total_token_count",
    "total_input_tokens",
)
_TIERS = {"on_demand_flex": "flex", "on_demand_priority": "priority", "flex": "flex", "priority": "priority"}
# genai-prices counts documents as images, as Google bills them.
_MODALITIES = {"AUDIO": "audio", "IMAGE": "image", "DOCUMENT": "image", "VIDEO": "video"}


def from_gemini_usage(usage: Any, envelope: Any = None) -> Usage | None:
    """Convert `usageMetadata`, in JSON's spelling or the SDK's, or the usage of an interaction."""
    prompt = count_of(usage, "promptTokenCount", "prompt_token_count", "total_input_tokens")
    tools = count_of(usage, "toolUsePromptTokenCount", "tool_use_prompt_token_count", "total_tool_use_tokens")
    answer = count_of(
        usage,
        "candidatesTokenCount",
        "candidates_token_count",
        "responseTokenCount",
        "response_token_count",
        "total_output_tokens",
    )
    thoughts = count_of(usage, "thoughtsTokenCount", "thoughts_token_count", "total_thought_tokens")
    read = count_of(usage, "cachedContentTokenCount", "cached_content_token_count", "total_cached_tokens")
    total = count_of(usage, "totalTokenCount", "total_token_count", "total_tokens")
    into = _by_modality(usage, "promptTokensDetails", "prompt_tokens_details")
    for kind, tokens in _by_modality(
        usage, "toolUsePromptTokensDetails", "tool_use_prompt_tokens_details"
    ).items():
        into[kind] = into.get(kind, 0) + tokens
    out = _by_modality(usage, "candidatesTokensDetails", "candidates_tokens_details")
    cached = _by_modality(usage, "cacheTokensDetails", "cache_tokens_details")
    input_tokens = sum_known(prompt, tools)
    thoughts_inside = answer is not None and total == (input_tokens or 0) + answer
    return build_usage(
        input_tokens=input_tokens,
        output_tokens=answer if thoughts_inside else sum_known(answer, thoughts),
        cache_read=read,
        reasoning=thoughts,
        input_audio=into.get("audio"),
        output_audio=out.get("audio"),
        cache_read_audio=cached.get("audio"),
        service_tier=_tier(usage) or _tier(envelope),
        extras={
            "input_image_tokens": into.get("image", 0),
            "input_video_tokens": into.get("video", 0),
            "output_image_tokens": out.get("image", 0),
            "output_video_tokens": out.get("video", 0),
            "cache_image_read_tokens": cached.get("image", 0),
            "cache_video_read_tokens": cached.get("video", 0),
            "web_searches": grounded_searches(envelope),
        },
    )


def grounded_searches(envelope: Any) -> int:
    """Count billed web searches: each different query from Gemini 3 on, one a grounded answer before it.

    Google bills empty queries no more than repeated ones.
    """
    queries: set[str] = set()
    for candidate in items_of(envelope, "candidates") or [envelope]:
        grounding = field_of(candidate, "groundingMetadata", "grounding_metadata")
        asked = items_of(grounding, "webSearchQueries", "web_search_queries")
        queries.update(query for query in asked if isinstance(query, str) and query)
    model = text_of(envelope, "modelVersion", "model_version", "model_name", "model") or ""
    name = model.removeprefix("models/")
    return min(len(queries), 1) if name.startswith(("gemini-1", "gemini-2")) else len(queries)


def _by_modality(usage: Any, *names: str) -> dict[str, int]:
    found: dict[str, int] = {}
    for item in items_of(usage, *names):
        kind = _MODALITIES.get((text_of(item, "modality") or "").upper().removeprefix("MODALITY_"))
        tokens = count_of(item, "tokenCount", "token_count")
        if kind is not None and tokens is not None:
            found[kind] = found.get(kind, 0) + tokens
    return found


def _tier(source: Any) -> str | None:
    named = text_of(source, "serviceTier", "service_tier", "trafficType", "traffic_type")
    return _TIERS.get(named.lower()) if named else None
