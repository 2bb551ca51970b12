"""Read from a call that is about to be made how dear it can become."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tokenomics_core.budgets import CallShape
from tokenomics_core.observability import CallStart
from tokenomics_core.tokens import count_tokens

__all__ = [
    "BOUNDS",
    "answers_of",
    "bound_of",
    "has_audio",
    "input_tokens_of",
    "read_shape",
    "thinking_tokens_of",
]

BOUNDS = (
    "max_tokens",
    "max_completion_tokens",
    "max_output_tokens",
    "max_new_tokens",
    "max_tokens_to_sample",
    "num_predict",
)
"""What LangChain's clients call the bound on the answer."""

_SENT_ALONG = ("tools", "functions", "response_format", "text_format", "output_format", "output_config")


def read_shape(call: CallStart, params: Mapping[str, Any], *, unbounded_tokens: int | None) -> CallShape:
    """Count the input, tools and schemas included, and find the bound on the output.

    Args:
        call: The call.
        params: Its `invocation_params`.
        unbounded_tokens: What an answer that nobody bounded is taken to have at most; None refuses it.
    """
    bound = bound_of(params)
    return CallShape(
        model=call.model or "unknown",
        provider=call.provider,
        input_tokens=input_tokens_of(call, params),
        max_output_tokens=unbounded_tokens if bound is None else bound,
        answers=answers_of(params),
        fit_output=False,
        audio=has_audio(call.prompt, params),
        service_tier=call.service_tier,
        batch=call.source == "batch",
    )


def bound_of(params: Mapping[str, Any]) -> int | None:
    """Return the bound on one answer; the loosest where several stand in one request."""
    if "openai" in str(params.get("_type")) and (later := _whole(params.get("max_tokens"))):
        return later  # given for this call, it takes the place of `max_completion_tokens`
    return max((value for name in BOUNDS if (value := _whole(params.get(name)))), default=None)


def answers_of(params: Mapping[str, Any]) -> int:
    """Return how many answers are asked for at once."""
    return max(_whole(params.get(name)) or 1 for name in ("n", "best_of", "candidate_count"))


def thinking_tokens_of(params: Mapping[str, Any]) -> int:
    """Return how much of the bound Anthropic's models are told to think, which the bound has to exceed."""
    thinking = params.get("thinking")
    return (_whole(thinking.get("budget_tokens")) or 0) if isinstance(thinking, Mapping) else 0


def has_audio(prompt: Any, params: Mapping[str, Any]) -> bool:
    """Whether input or output may be audio, whose tokens are dearer."""
    modalities = params.get("modalities")
    if isinstance(modalities, (list, tuple)) and "audio" in modalities:
        return True
    return any("audio" in str(block.get("type")) for block in _blocks(prompt))


def input_tokens_of(call: CallStart, params: Mapping[str, Any]) -> int:
    """Count everything that is sent."""
    prompt = "" if call.prompt is None else call.prompt
    return int(count_tokens(prompt, call.model, provider=call.provider, tools=list(_schemas(params))))


def _schemas(params: Mapping[str, Any]) -> Iterator[Any]:
    for name in _SENT_ALONG:
        value = params.get(name)
        if isinstance(value, (list, tuple)):
            yield from value
        elif value is not None:
            yield value


def _blocks(prompt: Any) -> Iterator[Mapping[str, Any]]:
    for message in prompt if isinstance(prompt, list) else ():
        content = getattr(message, "content", None)
        if isinstance(content, list):
            yield from (block for block in content if isinstance(block, Mapping))


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None
