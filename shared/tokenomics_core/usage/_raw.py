"""Recognise a provider's answer by its fields and convert what it consumed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tokenomics_core.types import Usage
from tokenomics_core.usage._anthropic import ANTHROPIC_FIELDS, from_anthropic_usage
from tokenomics_core.usage._fields import field_of, has_field, items_of, text_of
from tokenomics_core.usage._google import GEMINI_FIELDS, from_gemini_usage
from tokenomics_core.usage._openai import from_chat_usage, from_responses_usage
from tokenomics_core.usage._others import (
    BEDROCK_FIELDS,
    OLLAMA_FIELDS,
    from_bedrock_usage,
    from_cohere_usage,
    from_ollama_usage,
)

__all__ = [
    "convert_usage",
    "finish_reason_from_raw",
    "model_from_raw",
    "usage_from_anthropic",
    "usage_from_bedrock",
    "usage_from_cohere",
    "usage_from_gemini",
    "usage_from_ollama",
    "usage_from_openai",
    "usage_from_openai_responses",
    "usage_from_raw",
]

_Converter = Callable[[Any, Any], Usage | None]

# Where an answer or the last event of a stream keeps its usage; the way leads through the envelope
# that also holds model and service tier.
_PLACES: tuple[tuple[tuple[str, ...], str], ...] = (
    ((), "usage"),
    ((), "usage_metadata"),
    ((), "usageMetadata"),
    ((), "token_usage"),
    ((), "tokenUsage"),
    ((), "token_count"),
    ((), "meta"),
    ((), "amazon-bedrock-invocationMetrics"),
    (("response",), "usage"),  # OpenAI Responses: response.completed
    (("response",), "meta"),  # Cohere: stream-end
    (("message",), "usage"),  # Anthropic: message_start
    (("metadata",), "usage"),  # Bedrock: metadata
    (("delta",), "usage"),  # Cohere: message-end
    (("data",), "usage"),  # Mistral: completion event
    (("x_groq",), "usage"),
    (("result",), "usage"),  # Cloudflare
)
_ENVELOPES = ((), ("response",), ("message",), ("metadata",), ("data",), ("result",))

# By the field that only one of them has; the first match decides.
_SHAPES: tuple[tuple[tuple[str, ...], _Converter], ...] = (
    (("prompt_tokens", "completion_tokens"), from_chat_usage),
    (GEMINI_FIELDS, from_gemini_usage),
    (BEDROCK_FIELDS, from_bedrock_usage),
    (OLLAMA_FIELDS, from_ollama_usage),
    (("billed_units", "tokens"), from_cohere_usage),
    (ANTHROPIC_FIELDS, from_anthropic_usage),
    (("input_tokens", "output_tokens", "seconds"), from_responses_usage),
    (("total_tokens",), from_chat_usage),
)


def usage_from_raw(raw: Any, *, provider_hint: str | None = None) -> Usage | None:
    """Convert any provider's answer, or just its usage, given as mappings or SDK objects.

    Args:
        raw: A response, the last event of a stream, or the usage object inside either.
        provider_hint: The provider where it is known; it settles what two providers write alike:
            `anthropic` and `bedrock` count input without the cache.

    Returns:
        Counts with inclusive input and output, or None where nothing was reported.
    """
    usage, envelope = _locate(raw)
    if usage is None:
        return None
    return convert_usage(usage, envelope, provider_hint=provider_hint)


def convert_usage(usage: Any, envelope: Any, *, provider_hint: str | None = None) -> Usage | None:
    """Convert a usage object by its shape; `envelope` is the answer around it, if there is one."""
    hint = (provider_hint or "").lower()
    for names, convert in _SHAPES:
        if not has_field(usage, *names):
            continue
        if convert is from_responses_usage and "anthropic" in hint:
            return from_anthropic_usage(usage, envelope)
        if convert is from_chat_usage and ("bedrock" in hint or hint == "aws"):
            return from_chat_usage(usage, envelope, cache_outside=True)
        return convert(usage, envelope)
    return None


def usage_from_openai(raw: Any) -> Usage | None:
    """Convert a chat completion, completion or embedding of OpenAI or of a server that follows it."""
    return from_chat_usage(*_locate(raw))


def usage_from_openai_responses(raw: Any) -> Usage | None:
    """Convert an answer of OpenAI's Responses API, or its `response.completed` event."""
    return from_responses_usage(*_locate(raw))


def usage_from_anthropic(raw: Any) -> Usage | None:
    """Convert a message of Anthropic's Messages API, or an event of its stream."""
    return from_anthropic_usage(*_locate(raw))


def usage_from_gemini(raw: Any) -> Usage | None:
    """Convert an answer of Gemini, from the API or the SDK."""
    return from_gemini_usage(*_locate(raw))


def usage_from_bedrock(raw: Any) -> Usage | None:
    """Convert an answer of Bedrock's Converse, or the metadata event of its stream."""
    return from_bedrock_usage(*_locate(raw))


def usage_from_cohere(raw: Any) -> Usage | None:
    """Convert a chat, embedding or rerank answer of Cohere."""
    return from_cohere_usage(*_locate(raw))


def usage_from_ollama(raw: Any) -> Usage | None:
    """Convert the last chunk of Ollama's chat or generate."""
    return from_ollama_usage(raw, raw)


def model_from_raw(raw: Any) -> str | None:
    """Return the model that an answer, an event, or LangChain's metadata names."""
    inner = field_of(raw, "raw")
    for source in (raw, inner) if inner is not None else (raw,):
        for path in _ENVELOPES:
            name = text_of(
                _walk(source, path),
                "model_name",
                "model",
                "modelVersion",
                "model_version",
                "model_id",
                "modelId",
            )
            if name is not None:
                return name
    return None


def finish_reason_from_raw(raw: Any) -> str | None:
    """Return why the answer ended, in the provider's own word."""
    for path in (*_ENVELOPES, ("delta",), ("messageStop",)):
        source = _walk(raw, path)
        choice = next(iter(items_of(source, "choices", "candidates")), None)
        reason = text_of(choice, "finish_reason", "finishReason")
        reason = reason or text_of(source, "finish_reason", "finishReason", "stop_reason", "stopReason")
        reason = reason or text_of(source, "done_reason")
        reason = reason or text_of(field_of(source, "incomplete_details"), "reason")
        if reason is not None:
            return reason
    return None


def _locate(raw: Any) -> tuple[Any, Any]:
    for path, name in _PLACES:
        envelope = _walk(raw, path)
        usage = field_of(envelope, name)
        if usage is not None and (isinstance(usage, Mapping) or hasattr(usage, "__dict__")):
            return usage, envelope
    return raw, raw


def _walk(source: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        source = field_of(source, name)
    return source
