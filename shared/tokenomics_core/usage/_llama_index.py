"""Usage as LlamaIndex hands it over: the provider's own payload, at one of four places."""

from __future__ import annotations

from typing import Any

from tokenomics_core.types import Usage
from tokenomics_core.usage._fields import field_of, has_field
from tokenomics_core.usage._openai import from_chat_usage
from tokenomics_core.usage._raw import usage_from_raw

__all__ = ["usage_from_llama_index"]


def usage_from_llama_index(response: Any) -> Usage | None:
    """Convert the usage of a LlamaIndex chat or completion response, or of the last chunk of a stream.

    `raw` comes first, since it alone has cache, reasoning and tier; then the response's
    `additional_kwargs`, then its message's. None where none of them has counts, as for OpenAI streams
    without `stream_options={"include_usage": True}` and for LangChain models inside LlamaIndex.
    """
    if not has_field(response, "raw", "additional_kwargs"):
        return usage_from_raw(response)
    kwargs = field_of(response, "additional_kwargs")
    of_message = field_of(field_of(response, "message"), "additional_kwargs")
    return (
        usage_from_raw(field_of(response, "raw"))
        or usage_from_raw(field_of(kwargs, "usage"))
        or _from_kwargs(kwargs)
        or usage_from_raw(field_of(of_message, "usage"))
        or _from_kwargs(of_message)
    )


def _from_kwargs(kwargs: Any) -> Usage | None:
    if not has_field(kwargs, "prompt_tokens", "completion_tokens"):
        return None
    # Only the Bedrock integration puts cache counts here, and its prompt_tokens are Converse's inputTokens.
    bedrock = has_field(kwargs, "cache_read_input_tokens", "cache_creation_input_tokens")
    return from_chat_usage(kwargs, cache_outside=bedrock)
