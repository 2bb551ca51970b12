"""Read from LangChain's objects what a bill needs: usage, model, cost, text."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import lru_cache, partial
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, get_buffer_string
from langchain_core.outputs import ChatGeneration, Generation, LLMResult

from langchain_tokenomics._cache_mark import MARK, avoided_usage
from tokenomics_core.observability import CallEnd, CallStart
from tokenomics_core.pricing import is_known_provider
from tokenomics_core.types import Attribution, current_attribution
from tokenomics_core.usage import (
    is_langchain_cache_hit,
    reported_cost_usd,
    usage_from_langchain,
    usage_from_raw,
)

__all__ = [
    "attribution_of",
    "call_end",
    "lifetimes_of",
    "model_of",
    "provider_of",
    "shares_a_bill",
    "stopped_at_a_token",
    "text_of",
    "usage_of_error",
]

_USER = ("user_id", "user")
_CONVERSATION = ("conversation_id", "conversation", "thread_id", "session_id")
_TAGS = ("user_tier",)
_KNOWN = frozenset({*_USER, "feature", "project", *_CONVERSATION, "run", *_TAGS})
_MAY_HOLD_A_COST = frozenset({"_hidden_params", "cost", "headers", "response_cost", "token_usage", "usage"})
_NOTHING: Mapping[str, Any] = {}
_is_known = lru_cache(maxsize=256)(is_known_provider)


def attribution_of(metadata: Mapping[str, Any], run: str) -> Attribution:
    """Read who a call is for: the attribution in force, and over it what a config's metadata says.

    Known keys: `user_id` or `user`, `feature`, `project`, `conversation_id` (or `thread_id`, `session_id`),
    `run`, and the tag `user_tier`. Where nobody names the run it is `run`.
    """
    who = current_attribution()
    if not _KNOWN.isdisjoint(metadata):
        who = who.merge(
            Attribution(
                user=_first(metadata, _USER),
                feature=_first(metadata, ("feature",)),
                project=_first(metadata, ("project",)),
                conversation=_first(metadata, _CONVERSATION),
                run=_first(metadata, ("run",)),
                tags={key: str(metadata[key]) for key in _TAGS if metadata.get(key) is not None},
            )
        )
    return who.within(run)


def model_of(params: Mapping[str, Any], metadata: Mapping[str, Any]) -> str | None:
    """Name the model that is asked for."""
    for name in (params.get("model"), params.get("model_name"), metadata.get("ls_model_name")):
        if isinstance(name, str) and name:
            return name
    return None


def provider_of(metadata: Mapping[str, Any]) -> str | None:
    """Name the provider, where LangChain knows it and has not made the name up from a class."""
    name = metadata.get("ls_provider")
    return name if isinstance(name, str) and _is_known(name) else None


def call_end(response: LLMResult) -> CallEnd:
    """Read the end of a call; of several answers the first carries the usage of all."""
    generation = _first_generation(response)
    message = generation.message if isinstance(generation, ChatGeneration) else None
    llm_output = response.llm_output or _NOTHING
    reported = message.usage_metadata if isinstance(message, AIMessage) else None
    told: Mapping[str, Any] = message.response_metadata if message is not None else _NOTHING
    avoided = avoided_usage(told) if MARK in told else None
    return CallEnd(
        usage=avoided
        or usage_from_langchain(
            reported,
            response_metadata=told,
            llm_output=llm_output,
            content=message.content if message is not None else None,
        ),
        model=_answering_model(told, llm_output),
        provider=_name(told.get("model_provider")),
        output=_output_of(generation),
        from_cache=avoided is not None or is_langchain_cache_hit(reported, response.llm_output),
        reported_usd=_reported_usd(told, llm_output),
    )


def shares_a_bill(response: LLMResult) -> bool:
    """Whether this is one of several prompts of a text model whose usage stands with the first."""
    return response.llm_output is not None and response.llm_output.get("token_usage") == {}


def usage_of_error(error: BaseException) -> CallEnd | None:
    """Read the usage of an answer that was paid for and then refused, as for a length limit."""
    completion = getattr(error, "completion", None)
    usage = usage_from_raw(completion) if completion is not None else None
    return (
        CallEnd(usage=usage, model=_name(getattr(completion, "model", None))) if usage is not None else None
    )


def stopped_at_a_token(error: BaseException) -> bool:
    """Whether a handler raised it on being told a token, of which those after it then do not hear."""
    step = error.__traceback__
    while step is not None:
        if step.tb_frame.f_code.co_name == "on_llm_new_token":
            return True
        step = step.tb_next
    return False


def lifetimes_of(call: CallStart) -> set[str]:
    """Read for how long a request asks Anthropic to cache parts of it: `5m`, `1h`, both or neither."""
    contents = [message.content for message in call.prompt] if _is_messages(call.prompt) else []
    parts = [part for content in contents if isinstance(content, list) for part in content]
    parts += call.tools or ()
    marks = [part.get("cache_control") for part in parts if isinstance(part, dict)]
    marks.append(call.cache_control)
    return {"1h" if mark.get("ttl") == "1h" else "5m" for mark in marks if isinstance(mark, Mapping)}


def text_of(prompt: Any, output: Any) -> str:
    """Return prompt and answer as text, for owners who ask to keep them."""
    asked = get_buffer_string(prompt) if _is_messages(prompt) else str(prompt)
    return f"{asked}\nAI: {output() if callable(output) else output or ''}"


def _output_of(generation: Generation | None) -> str | Callable[[], str] | None:
    if not isinstance(generation, ChatGeneration):
        return generation.text if generation is not None else None
    message = generation.message
    if message.content or getattr(message, "tool_calls", None):
        return partial(_answer_text, message)
    return None


def _answer_text(message: BaseMessage) -> str:
    calls = getattr(message, "tool_calls", ())
    return "".join([message.text, *(f"{call['name']}{json.dumps(call['args'])}" for call in calls)])


def _reported_usd(*sources: Mapping[str, Any]) -> Decimal | None:
    held = [source for source in sources if not _MAY_HOLD_A_COST.isdisjoint(source)]
    return reported_cost_usd(*held) if held else None


def _is_messages(prompt: Any) -> bool:
    return isinstance(prompt, list) and all(isinstance(item, BaseMessage) for item in prompt)


def _first_generation(response: LLMResult) -> Generation | None:
    for answers in response.generations:
        for generation in answers:
            return generation
    return None


def _answering_model(told: Mapping[str, Any], llm_output: Mapping[str, Any]) -> str | None:
    for source in (told, llm_output):
        for key in ("model_name", "model", "model_id"):
            name = source.get(key)
            if isinstance(name, str) and name:
                return name
    return None


def _name(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _first(metadata: Mapping[str, Any], keys: tuple[str, ...]) -> str | None:
    for key in keys:
        value = metadata.get(key)
        if value is not None:
            return str(value)
    return None
