"""Read what is recorded of a call from its last response."""

from __future__ import annotations

from dataclasses import replace

from llama_index_tokenomics._calls import OpenCall
from llama_index_tokenomics._responses import Response, has_usage, text_of
from tokenomics_core.observability import CallEnd
from tokenomics_core.types import Usage
from tokenomics_core.usage import model_from_raw, reported_cost_usd, split_writes, usage_from_llama_index

__all__ = ["read_end"]


def read_end(call: OpenCall, response: Response | None) -> CallEnd:
    """Read usage, model and text; the usage of a stream may stand in an earlier piece than the last."""
    if response is None:
        return CallEnd()
    teller = call.reported if call.reported is not None and not has_usage(response) else response
    usage = usage_from_llama_index(teller)
    if usage is not None and call.lifetimes:
        usage = _with_prompt_cache(call, usage)
    return CallEnd(
        usage=usage,
        model=model_from_raw(teller.raw),
        output=lambda: text_of(response),
        reported_usd=reported_cost_usd(teller.raw),
    )


def _with_prompt_cache(call: OpenCall, usage: Usage) -> Usage:
    """Complete what a stream of Anthropic's tells of the prompt cache by what was asked of it.

    The client passes on a stream's last event only. That one has no writes by lifetime, and in streams of
    some gateways nothing of the cache at all, so that the input it names is the part that was not cached.
    """
    if usage.cache_write_tokens is None and usage.cache_read_tokens is None:
        return replace(usage, input_tokens=None)
    return split_writes(usage, call.lifetimes)
