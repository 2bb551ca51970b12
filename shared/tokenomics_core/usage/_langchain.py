"""Usage as LangChain hands it over, with the traps of its integrations undone.

Sources: the converters of langchain-openai 1.7.3, langchain-anthropic 1.7.7, langchain-aws 1.9.1,
langchain-google-genai 4.4.2, langchain-groq 1.1.3, langchain-mistralai 1.1.6, langchain-openrouter 0.2.9.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from tokenomics_core.errors import ConfigurationError
from tokenomics_core.types import Usage
from tokenomics_core.usage._anthropic import request_facts
from tokenomics_core.usage._build import build_usage, outside
from tokenomics_core.usage._fields import count_of, field_of, has_field, sum_known, text_of
from tokenomics_core.usage._google import grounded_searches
from tokenomics_core.usage._openai import tool_fees
from tokenomics_core.usage._raw import usage_from_raw

__all__ = ["is_langchain_cache_hit", "usage_from_langchain"]

_TIERS = ("flex", "priority")
_PLAIN_INPUT = frozenset({"audio", "cache_creation", "cache_read"})
_PLAIN_OUTPUT = frozenset({"audio", "reasoning"})
_FACT_FIELDS = ("server_tool_use", "service_tier", "speed")
_NO_DETAILS: dict[str, Any] = {}
_Around = tuple[Mapping[str, Any] | None, ...]
_Facts = tuple[str | None, Mapping[str, int], Mapping[str, str]]
_NO_FACTS: _Facts = (None, {}, {})


def usage_from_langchain(
    usage_metadata: Any,
    *,
    response_metadata: Mapping[str, Any] | None = None,
    llm_output: Mapping[str, Any] | None = None,
    content: Any = None,
) -> Usage | None:
    """Convert the usage of one LangChain generation.

    The counts come from the message; what it leaves out (service tier, searches, speed, cache details
    that an integration drops) comes from the metadata around it. Where the message has no counts, as for
    text models and older integrations, those in the metadata are converted.

    Args:
        usage_metadata: `AIMessage.usage_metadata`, whose input includes the cache.
        response_metadata: `AIMessage.response_metadata`.
        llm_output: `LLMResult.llm_output` of a result for one prompt.
        content: `AIMessage.content`; calls of OpenAI's own tools are counted in it.

    Returns:
        None where nothing was reported; all zeros count as that.
    """
    around = (response_metadata, llm_output)
    usage = None
    if usage_metadata and (type(usage_metadata) is dict or isinstance(usage_metadata, Mapping)):
        bare = not (response_metadata or llm_output or type(content) is list)
        facts = _NO_FACTS if bare else _facts(around, content)
        usage = _plain(usage_metadata, facts) or _mended(usage_metadata, facts)
        if usage is not None and not usage_metadata.get("input_token_details"):
            usage = _with_details(usage, around)
    return _from_metadata(around, content) if usage is None else usage


def is_langchain_cache_hit(usage_metadata: Any, llm_output: Mapping[str, Any] | None = None) -> bool:
    """Tell whether LangChain's own cache served a generation, whose token counts it replays.

    It marks a hit by `total_cost: 0` in the message's usage and gives such a result no `llm_output`.
    """
    return field_of(usage_metadata, "total_cost") == 0 and not llm_output


def _plain(metadata: Mapping[str, Any], facts: _Facts) -> Usage | None:
    """Convert in one step what most calls report; None where anything is unusual."""
    before = metadata.get("input_token_details", _NO_DETAILS)
    after = metadata.get("output_token_details", _NO_DETAILS)
    try:
        if not (_PLAIN_INPUT.issuperset(before) and _PLAIN_OUTPUT.issuperset(after)):
            return None
        told, said = metadata["input_tokens"], metadata["output_tokens"]
        read, written, audio = before.get("cache_read"), before.get("cache_creation"), before.get("audio")
        reasoning, audio_out = after.get("reasoning"), after.get("audio")
        tier, extras, context = facts
        if tier == "batch" or not (
            (read or 0) + (written or 0) <= told > 0
            and (audio or 0) <= told
            and (reasoning or 0) <= said
            and (audio_out or 0) <= said
            and (metadata.get("total_tokens") or told + said) == told + said
        ):
            return None
        return Usage(
            input_tokens=told,
            output_tokens=said,
            cache_read_tokens=read,
            cache_write_tokens=written,
            reasoning_tokens=reasoning,
            input_audio_tokens=audio,
            output_audio_tokens=audio_out,
            service_tier=tier,
            extras=extras,
            context=context,
        )
    except (AttributeError, KeyError, TypeError, ConfigurationError):
        return None  # counts that are no counts; mending takes them one by one


def _mended(metadata: Mapping[str, Any], facts: _Facts) -> Usage | None:
    before, after = metadata.get("input_token_details"), metadata.get("output_token_details")
    marked, extras, context = facts
    # langchain-openai puts the tier before the name of a detail; the tier alone is the rest of the count.
    tier = next((tier for tier in _TIERS if _mentions(before, tier) or _mentions(after, tier)), marked)
    # Both parts of the writes are given again by langchain-anthropic and -aws, which zero their sum.
    read, written = _part(before, "cache_read"), _part(before, "cache_creation")
    output_tokens, reasoning = count_of(metadata, "output_tokens"), _part(after, "reasoning")
    input_tokens, total = count_of(metadata, "input_tokens"), count_of(metadata, "total_tokens")
    if outside(output_tokens, reasoning, input_tokens, total):
        output_tokens = sum_known(output_tokens, reasoning)
    if input_tokens == 0 and output_tokens and not (read or written):
        input_tokens = None  # nothing is answered from nothing: the stream named its output only
    return build_usage(
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        cache_read=read,
        cache_write=written,
        cache_write_5m=count_of(before, "ephemeral_5m_input_tokens"),
        cache_write_1h=count_of(before, "ephemeral_1h_input_tokens"),
        reasoning=reasoning,
        input_audio=_part(before, "audio"),
        output_audio=_part(after, "audio"),
        service_tier=tier,
        extras=extras,
        context=context,
    )


def _mentions(details: Any, tier: str) -> bool:
    return isinstance(details, Mapping) and any(str(key).split("_")[0] == tier for key in details)


def _part(details: Any, name: str) -> int | None:
    return sum_known(count_of(details, name), *(count_of(details, f"{tier}_{name}") for tier in _TIERS))


def _facts(around: _Around, content: Any) -> _Facts:
    """Collect what the counts do not tell: service tier, billed searches, speed."""
    tier: str | None = None
    extras: dict[str, int] = {}
    context: dict[str, str] = {}
    for source in around:
        if not source:
            continue
        tier = tier or source.get("service_tier")
        if (raw := source.get("usage") or source.get("token_usage")) and has_field(raw, *_FACT_FIELDS):
            told, searches, more = request_facts(raw)
            tier = tier or told
            context.update(more)
            if searches:
                extras["web_searches"] = searches
        if "serviceTier" in source:
            tier = tier or text_of(source["serviceTier"], "type")
        if "grounding_metadata" in source and (searches := grounded_searches(source)):
            extras["web_searches"] = searches
    if isinstance(content, list):
        extras = {**{name: calls for name, calls in tool_fees(content).items() if calls}, **extras}
    return tier if isinstance(tier, str) else None, extras, context


def _with_details(usage: Usage, around: _Around) -> Usage:
    """Add what an integration drops between the provider's counts and its own."""
    for source in around:
        told = usage_from_raw(source) if source else None
        if (
            told is None
            or told.input_tokens != usage.input_tokens
            or told.output_tokens != usage.output_tokens
        ):
            continue
        missing = {
            item.name: getattr(told, item.name)
            for item in fields(Usage)
            if getattr(usage, item.name) is None and getattr(told, item.name) is not None
        }
        if missing or told.extras:
            return replace(usage, **missing, extras={**told.extras, **usage.extras})
    return usage


def _from_metadata(around: _Around, content: Any) -> Usage | None:
    for source in reversed(around):
        if not source:
            continue
        usage = usage_from_raw(source, provider_hint=text_of(source, "model_provider"))
        if usage is not None:
            tier, extras, context = _facts(around, content)
            if usage.service_tier is None and not usage.batch:
                usage = replace(usage, service_tier=tier)
            return replace(usage, extras={**extras, **usage.extras}, context={**context, **usage.context})
    return None
