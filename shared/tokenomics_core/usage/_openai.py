"""Usage as OpenAI reports it, and as the many servers do that speak its formats.

Chat completions, completions, embeddings and rerankers: OpenAI, Azure, DeepSeek, Groq, LiteLLM, Mistral,
Moonshot, OpenRouter, Perplexity, vLLM, Voyage, xAI. Responses, audio and images: OpenAI and its followers.
Input includes cached tokens and output includes reasoning, unless a server's own total says otherwise.

Sources: https://platform.openai.com/docs/api-reference/chat/object and .../responses/object, the types of
the openai package, https://api-docs.deepseek.com/api/create-chat-completion,
https://openrouter.ai/docs/use-cases/usage-accounting, https://docs.perplexity.ai and the extractors of
genai-prices.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from tokenomics_core.types import Usage
from tokenomics_core.usage._build import build_usage, outside
from tokenomics_core.usage._fields import count_of, field_of, items_of, sum_known, text_of

__all__ = ["from_chat_usage", "from_responses_usage", "tool_fees"]

_EXCLUSIVE_KEY = "cache_write_input_tokens"  # langchain-aws, whose prompt_tokens leave the cache out


def from_chat_usage(usage: Any, envelope: Any = None, *, cache_outside: bool = False) -> Usage | None:
    """Convert `prompt_tokens` and `completion_tokens`, with the details that servers hang on them."""
    before, after = field_of(usage, "prompt_tokens_details"), field_of(usage, "completion_tokens_details")
    input_tokens, output_tokens = count_of(usage, "prompt_tokens"), count_of(usage, "completion_tokens")
    total = count_of(usage, "total_tokens")
    if input_tokens is None and output_tokens is None:
        input_tokens = total  # embeddings and rerankers that report nothing else
    read = count_of(before, "cached_tokens")
    if read is None:
        read = count_of(
            usage,
            "prompt_cache_hit_tokens",
            "cache_read_input_tokens",
            "cached_tokens",
            "cached_prompt_text_tokens",
        )
    written = count_of(before, "cache_write_tokens", "cache_creation_tokens")
    if written is None:
        written = count_of(usage, "cache_creation_input_tokens", _EXCLUSIVE_KEY)
    lifetimes = field_of(before, "cache_creation_token_details")
    cached = sum_known(read, written)
    told_outside = cache_outside or field_of(usage, _EXCLUSIVE_KEY) is not None
    if told_outside or outside(input_tokens, cached, output_tokens, total):
        input_tokens = sum_known(input_tokens, cached)
    reasoning = count_of(after, "reasoning_tokens")
    if reasoning is None:
        reasoning = count_of(usage, "reasoning_tokens")
    if outside(output_tokens, reasoning, input_tokens, total):
        output_tokens = sum_known(output_tokens, reasoning)
    citations = count_of(usage, "citation_tokens")
    if citations:  # Perplexity bills them as output, beside completion_tokens
        output_tokens = sum_known(output_tokens, citations)
    return build_usage(
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        cache_read=read,
        cache_write=written,
        cache_write_5m=count_of(lifetimes, "ephemeral_5m_input_tokens"),
        cache_write_1h=count_of(lifetimes, "ephemeral_1h_input_tokens"),
        reasoning=reasoning,
        input_audio=count_of(before, "audio_tokens"),
        output_audio=count_of(after, "audio_tokens"),
        service_tier=text_of(envelope, "service_tier") or text_of(usage, "service_tier"),
        extras={
            **_modalities(before, after),
            "output_citation_tokens": citations or 0,
            "web_searches": _searches(usage, before),
            "input_audio_seconds": count_of(usage, "prompt_audio_seconds") or 0,
        },
    )


def from_responses_usage(usage: Any, envelope: Any = None) -> Usage | None:
    """Convert `input_tokens` and `output_tokens` of Responses, Realtime, transcriptions and images."""
    before = field_of(usage, "input_tokens_details", "input_token_details")
    after = field_of(usage, "output_tokens_details", "output_token_details")
    input_tokens, output_tokens = count_of(usage, "input_tokens"), count_of(usage, "output_tokens")
    reasoning = count_of(after, "reasoning_tokens", "reasoning")
    total = count_of(usage, "total_tokens")
    if outside(output_tokens, reasoning, input_tokens, total):
        output_tokens = sum_known(output_tokens, reasoning)
    fees = tool_fees(items_of(envelope, "output"))
    searches = count_of(field_of(field_of(usage, "tool_calls_details"), "search_web"), "invocation")
    return build_usage(
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        cache_read=count_of(before, "cached_tokens", "cache_read_input_tokens", "cache_read"),
        cache_write=count_of(before, "cache_write_tokens", "cache_creation"),
        reasoning=reasoning,
        input_audio=count_of(before, "audio_tokens", "audio"),
        output_audio=count_of(after, "audio_tokens", "audio"),
        cache_read_audio=count_of(field_of(before, "cached_tokens_details"), "audio_tokens"),
        service_tier=text_of(envelope, "service_tier") or text_of(usage, "service_tier"),
        extras={
            **_modalities(before, after),
            **fees,
            "web_searches": fees.get("web_searches", 0) or searches or 0,
            "audio_seconds": _seconds(usage),
        },
    )


def tool_fees(items: list[Any]) -> dict[str, int]:
    """Count the billed calls of OpenAI's own tools among a response's output items.

    Of a web search's actions only `search` is billed, opening and reading a found page is not
    (https://platform.openai.com/docs/guides/tools-web-search, "Output and citations").
    """
    searches = lookups = 0
    for item in items:
        kind = text_of(item, "type")
        if kind == "web_search_call":
            searches += text_of(field_of(item, "action"), "type") in {None, "search"}
        elif kind == "file_search_call":
            lookups += 1
    return {"web_searches": searches, "storage_searches": lookups}


def _modalities(before: Any, after: Any) -> dict[str, int]:
    return {
        "input_image_tokens": count_of(before, "image_tokens") or 0,
        "input_video_tokens": count_of(before, "video_tokens") or 0,
        "output_image_tokens": count_of(after, "image_tokens") or 0,
        "output_video_tokens": count_of(after, "video_tokens") or 0,
    }


def _searches(usage: Any, before: Any) -> int:
    server_tools = field_of(usage, "server_tool_use")
    return (
        count_of(usage, "num_search_queries")
        or count_of(server_tools, "web_search_requests")
        or count_of(before, "web_search_requests")
        or 0
    )


def _seconds(usage: Any) -> int | Decimal:
    seconds = field_of(usage, "seconds")
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 0 < seconds < 1e9:
        return 0
    return seconds if isinstance(seconds, int) else Decimal(str(seconds))
