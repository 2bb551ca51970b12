"""Usage as Bedrock's Converse, Cohere and Ollama report it.

Sources: the Bedrock runtime model in botocore and the extractors of genai-prices (Converse leaves the cache
out of `inputTokens`); https://docs.cohere.com/reference/chat; https://github.com/ollama/ollama/blob/main/docs/api.md.
"""

from __future__ import annotations

from typing import Any

from tokenomics_core.types import Usage
from tokenomics_core.usage._build import build_usage
from tokenomics_core.usage._fields import count_of, field_of, items_of, sum_known, text_of

__all__ = ["BEDROCK_FIELDS", "OLLAMA_FIELDS", "from_bedrock_usage", "from_cohere_usage", "from_ollama_usage"]

BEDROCK_FIELDS = ("inputTokens", "outputTokens", "inputTokenCount", "outputTokenCount")
OLLAMA_FIELDS = ("prompt_eval_count", "eval_count")


def from_bedrock_usage(usage: Any, envelope: Any = None) -> Usage | None:
    """Convert the usage of Converse, or the invocation metrics of InvokeModel, to inclusive input."""
    fresh = count_of(usage, "inputTokens", "inputTokenCount")
    read = count_of(usage, "cacheReadInputTokens", "cacheReadInputTokenCount")
    written = count_of(usage, "cacheWriteInputTokens", "cacheWriteInputTokenCount")
    five, hour = _cache_writes(usage, "5m"), _cache_writes(usage, "1h")
    by_lifetime = sum_known(five, hour)
    if by_lifetime is not None:
        written = max(written or 0, by_lifetime)
    return build_usage(
        input_tokens=None if fresh is None else fresh + (read or 0) + (written or 0),
        output_tokens=count_of(usage, "outputTokens", "outputTokenCount"),
        cache_read=read,
        cache_write=written,
        cache_write_5m=five,
        cache_write_1h=hour,
        service_tier=text_of(field_of(envelope, "serviceTier", "service_tier"), "type"),
    )


def from_cohere_usage(usage: Any, envelope: Any = None) -> Usage | None:
    """Convert Cohere's units; billed ones come first, since prompts of its own are counted but free."""
    billed, counted = field_of(usage, "billed_units"), field_of(usage, "tokens")
    input_tokens = count_of(billed, "input_tokens")
    output_tokens = count_of(billed, "output_tokens")
    if not input_tokens and not output_tokens:
        input_tokens, output_tokens = count_of(counted, "input_tokens"), count_of(counted, "output_tokens")
    read = count_of(usage, "cached_tokens")
    if read is not None and input_tokens is not None:
        read = min(read, input_tokens)
    return build_usage(
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        cache_read=read,
        service_tier=text_of(envelope, "service_tier"),
        extras={"rerank_searches": count_of(billed, "search_units") or 0},
    )


def from_ollama_usage(usage: Any, envelope: Any = None) -> Usage | None:  # noqa: ARG001 - one signature for all
    """Convert `prompt_eval_count` and `eval_count`."""
    return build_usage(
        input_tokens=count_of(usage, "prompt_eval_count"), output_tokens=count_of(usage, "eval_count")
    )


def _cache_writes(usage: Any, lifetime: str) -> int | None:
    details = items_of(usage, "cacheDetails")
    return sum_known(*(count_of(item, "inputTokens") for item in details if text_of(item, "ttl") == lifetime))
