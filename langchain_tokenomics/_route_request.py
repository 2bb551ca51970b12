"""Read from what LangChain is about to send what a router needs to know of it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage, convert_to_messages
from langchain_core.prompt_values import PromptValue

from langchain_tokenomics._budget_shape import bound_of
from langchain_tokenomics._messages import attribution_of
from langchain_tokenomics._route_schemas import schema_text
from tokenomics_core.message_content import NEEDED_BY_PART
from tokenomics_core.routing import RouteRequest
from tokenomics_core.routing._harness import without_harness

__all__ = ["KEYS", "Defaults", "messages_of", "read_request", "tool_names"]

KEYS: Final = ("task", "max_cost_usd", "quality_floor", "language", "downgrade_to", "route_question")
"""What a config may say to the router, as metadata or under `configurable`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Defaults:
    """What holds where a config says nothing else; see `RouteRequest`."""

    task: str | None = None
    max_cost_usd: Any = None
    quality_floor: float | None = None
    tools: tuple[str, ...] = ()
    needs: frozenset[str] = frozenset()
    schemas: str = ""


def messages_of(value: Any) -> list[BaseMessage]:
    """Return what a chat model is asked as messages."""
    if isinstance(value, PromptValue):
        return value.to_messages()
    if isinstance(value, str):
        return [HumanMessage(value)]
    return convert_to_messages(value)


def read_request(
    messages: Sequence[BaseMessage],
    config: Mapping[str, Any],
    kwargs: Mapping[str, Any],
    defaults: Defaults,
    *,
    downgrade_to: str | None = None,
) -> RouteRequest:
    """Describe a call to a router.

    The question is the last ask of a human: not a tool's result, not a summary or a word that a middleware
    put there, not the blocks that a harness wraps around it. A prompt that holds passages besides the
    question may name the question itself as `route_question`.

    Raises:
        ConfigurationError: A setting in the config is none; nothing was sent.
    """
    metadata = config.get("metadata") or {}
    said = {**metadata, **(config.get("configurable") or {})}
    place, question = _ask(messages)
    own = said.get("route_question")
    names = (*defaults.tools, *tool_names(kwargs.get("tools")))
    who = attribution_of({**metadata, **said}, "")
    turn, begins_turn = _turn(messages, place, bool(names), who.user)
    return RouteRequest(
        question=own if isinstance(own, str) else question,
        history=tuple(
            (message.type, text)
            for number, message in enumerate(messages)
            if (number != place or isinstance(own, str)) and (text := _text(message))
        ),
        tools=tuple(dict.fromkeys(names)),
        needs=defaults.needs | frozenset(_needs(messages)) | _format_needs(kwargs),
        language=said.get("language"),
        max_output_tokens=bound_of(kwargs),
        task=said.get("task", defaults.task),
        max_cost_usd=said.get("max_cost_usd", defaults.max_cost_usd),
        quality_floor=said.get("quality_floor", defaults.quality_floor),
        conversation=who.conversation,
        turn=turn,
        begins_turn=begins_turn,
        around="\n".join(_around(messages, place, question, [defaults.schemas, schema_text(kwargs)])),
        downgrade_to=said.get("downgrade_to", downgrade_to),
    )


def tool_names(tools: Any) -> Iterator[str]:
    """Yield the names of tools, however they are given."""
    for tool in tools or ():
        if isinstance(tool, Mapping):
            inner = tool.get("function")
            name = (inner if isinstance(inner, Mapping) else tool).get("name") or tool.get("type")
        else:
            name = getattr(tool, "name", None) or getattr(tool, "__name__", None)
        if isinstance(name, str):
            yield name


def _ask(messages: Sequence[BaseMessage]) -> tuple[int | None, str]:
    """Return where the last ask of a human stands, and its text."""
    for place in range(len(messages) - 1, -1, -1):
        message = messages[place]
        if not isinstance(message, HumanMessage) or message.additional_kwargs.get("lc_source"):
            continue
        text = without_harness(_text(message))
        if text:
            return place, text
    return None, ""


def _text(message: BaseMessage) -> str:
    """Return the words of a message; a tool's result inside a human's message is not the human's."""
    content = message.content
    if isinstance(content, str):
        return content
    parts = [
        block if isinstance(block, str) else block.get("text")
        for block in content
        if isinstance(block, str) or block.get("type") in ("text", "input_text")
    ]
    return "\n".join(part for part in parts if isinstance(part, str))


def _around(
    messages: Sequence[BaseMessage], place: int | None, question: str, schemas: list[str]
) -> Iterator[str]:
    """Yield what is sent besides the words of question and history."""
    if place is not None and len(whole := _text(messages[place])) > len(question):
        yield whole[len(question) :]
    for message in messages:
        if isinstance(message, AIMessage):
            yield from (str(call.get("args")) for call in message.tool_calls)
    yield from filter(None, schemas)


def _turn(
    messages: Sequence[BaseMessage], place: int | None, may_loop: bool, user: str | None
) -> tuple[str | None, bool]:
    """Name the ask, and say whether this is its first call.

    Its message's id names it, with its words, as ids may be no more than numbers; where it has none and calls
    of tools may follow, all that leads up to it. The latter may be asked again, and is another ask then.
    """
    if place is None:
        return None, False
    ask = messages[place]
    loops = may_loop or any(isinstance(message, ToolMessage) for message in messages[place:])
    if not ask.id and not loops:
        return None, False
    digest = hashlib.sha256(f"{user}\x00{ask.id}\x00".encode(errors="surrogatepass"))
    for message in messages[place : place + 1] if ask.id else messages[: place + 1]:
        digest.update(f"{message.type}\x00{_text(message)}\x00".encode(errors="surrogatepass"))
        if isinstance(message, AIMessage):
            digest.update("\x00".join(str(call.get("id")) for call in message.tool_calls).encode())
    return digest.hexdigest()[:32], not ask.id and place == len(messages) - 1


def _needs(messages: Sequence[BaseMessage]) -> Iterator[str]:
    for message in messages:
        if isinstance(message.content, list):
            for block in message.content:
                need = NEEDED_BY_PART.get(str(block.get("type"))) if isinstance(block, Mapping) else None
                if need is not None:
                    yield need


def _format_needs(kwargs: Mapping[str, Any]) -> frozenset[str]:
    return frozenset({"json_schema"}) if kwargs.get("response_format") is not None else frozenset()
