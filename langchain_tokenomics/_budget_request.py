"""Read and change what an agent is about to ask its model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from langchain.agents.middleware.types import ModelRequest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import BaseMessage, HumanMessage, SystemMessage
from langchain_core.utils.function_calling import convert_to_openai_tool

from langchain_tokenomics._budget_shape import (
    BOUNDS,
    answers_of,
    bound_of,
    has_audio,
    input_tokens_of,
    thinking_tokens_of,
)
from langchain_tokenomics._messages import model_of, provider_of
from tokenomics_core.budgets import CallShape
from tokenomics_core.observability import CallStart

__all__ = ["OutputRule", "shape_of", "switched", "with_bound", "with_hint"]

_BOUND_NAMES = {
    "chat-google-generative-ai": "max_output_tokens",
    "vertexai": "max_output_tokens",
    "chat-ollama": "num_predict",
}
_CACHE_MARKS = frozenset({"cache_control", "prompt_cache_key"})


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputRule:
    """How long answers may be.

    Attributes:
        most_tokens: The longest one to pay for where nobody bounded it.
        least_tokens: A shorter one is of no use.
        fits: Whether a bound is made tighter where little is left.
    """

    most_tokens: int
    least_tokens: int
    fits: bool


def shape_of(request: ModelRequest[Any], rule: OutputRule) -> CallShape:
    """Count a request and find the bound on its answer.

    A bound as long as the model's longest answer is one that its client sets by itself, as the one for
    Anthropic does, and counts as none. What the model is told to think comes on top of the rule.
    """
    params, known = _params(request)
    messages = [request.system_message] if request.system_message is not None else []
    tools = [convert_to_openai_tool(tool) for tool in request.tools] + _schema(request)
    call = CallStart(
        key="",
        model=model_of(params, known),
        provider=provider_of(known),
        prompt=[*messages, *request.messages],
    )
    thinking_tokens = thinking_tokens_of(params)
    longest = _profile(request.model).get("max_output_tokens")
    own = bound_of(params)
    most = rule.most_tokens + thinking_tokens if own is None or own == longest else own
    most = min(most, longest or most)
    return CallShape(
        model=call.model or "unknown",
        provider=call.provider,
        input_tokens=input_tokens_of(call, {**params, "tools": tools}),
        max_output_tokens=None if rule.fits else most,
        model_max_output_tokens=most,
        min_output_tokens=min(rule.least_tokens + thinking_tokens, most),
        answers=answers_of(params),
        audio=has_audio(call.prompt, params),
        service_tier=_tier(params),
    )


def with_bound(request: ModelRequest[Any], max_output_tokens: int) -> ModelRequest[Any]:
    """Return the request with this bound on its answer and no other."""
    name = _BOUND_NAMES.get(str(getattr(request.model, "_llm_type", "")), "max_tokens")
    kept = {key: value for key, value in request.model_settings.items() if key not in BOUNDS}
    return request.override(model_settings={**kept, name: max_output_tokens})


def with_hint(request: ModelRequest[Any], text: str, after: str | None) -> ModelRequest[Any]:
    """Return the request with a word to the model behind the message of this id, or at the end.

    The place stays the same from call to call, so that what a provider has cached of the conversation holds.
    Where the model takes no system message in the middle of a conversation, the word is the user's.
    """
    places = [index for index, message in enumerate(request.messages, 1) if after and message.id == after]
    place = places[0] if places else len(request.messages)
    takes_system = _profile(request.model).get("mid_conversation_system_messages")
    # Marked like the messages of LangChain's own middleware, so that nobody takes it for what the user asks.
    hint = (
        SystemMessage(text) if takes_system else HumanMessage(text, additional_kwargs={"lc_source": "budget"})
    )
    messages = [*request.messages[:place], hint, *request.messages[place:]]
    return request.override(messages=messages)


def switched(request: ModelRequest[Any], model: BaseChatModel) -> ModelRequest[Any]:
    """Return the request for another model, without what only the first one's provider understands."""
    if type(model) is type(request.model):
        return request.override(model=model)
    system = request.system_message
    return request.override(
        model=model,
        model_settings={k: v for k, v in request.model_settings.items() if k not in _CACHE_MARKS},
        messages=[_without_marks(message) for message in request.messages],
        system_message=None if system is None else _without_marks(system),
    )


def _without_marks(message: Any) -> Any:
    content = message.content if isinstance(message, BaseMessage) else None
    if not isinstance(content, list):
        return message
    plain = [
        {k: v for k, v in block.items() if k not in _CACHE_MARKS} if isinstance(block, Mapping) else block
        for block in content
    ]
    return message if plain == content else message.model_copy(update={"content": plain})


def _params(request: ModelRequest[Any]) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Return what LangChain tells callbacks of the call: its parameters, and what it knows of the model."""
    model, settings = request.model, request.model_settings
    params: dict[str, Any] = {**settings}
    known: dict[str, Any] = {}
    if isinstance(model, BaseChatModel):
        params = model._get_invocation_params(**settings)  # noqa: SLF001 - the one place that knows them
        known = dict(model._get_ls_params(**settings))  # noqa: SLF001 - likewise
    return params, known


def _profile(model: object) -> Mapping[str, Any]:
    """Return what LangChain knows of a model's abilities, in beta and only for some."""
    profile = getattr(model, "profile", None)
    return profile if isinstance(profile, Mapping) else {}


def _schema(request: ModelRequest[Any]) -> list[Any]:
    """Return the schema of a structured answer, which is sent and billed like a tool's."""
    wanted = request.response_format
    schema = getattr(wanted, "schema", wanted)
    return [] if schema is None else [schema]


def _tier(params: Mapping[str, Any]) -> str | None:
    tier = params.get("service_tier")
    return tier if tier in {"flex", "priority", "fast"} else None
