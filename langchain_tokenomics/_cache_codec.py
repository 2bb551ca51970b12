"""Write answers down as JSON and read them back, as named classes and without the first bill."""

from __future__ import annotations

import copy
import json
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, message_chunk_to_message
from langchain_core.messages.tool import invalid_tool_call, tool_call, tool_call_chunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, Generation, GenerationChunk
from pydantic import BaseModel

from langchain_tokenomics._cache_mark import MARK, NO_USAGE
from tokenomics_core.cache import Answer
from tokenomics_core.types import Usage
from tokenomics_core.usage import usage_from_langchain

__all__ = ["DONE", "Stored", "answer_of", "finish_reason_of", "read_answer", "write_arguments"]

_VERSION = 1
_OF_THE_FIRST_CALL = frozenset(
    {MARK, "token_usage", "usage", "usage_metadata", "service_tier", "request_id", "headers", "id"}
)
DONE = frozenset(
    {"stop", "end_turn", "stop_sequence", "tool_calls", "tool_use", "function_call", "completed"}
)


@dataclass(frozen=True, slots=True)
class Stored:
    """What is kept of an answer.

    Attributes:
        generations: All answers to the request.
        chunks: The pieces as they came; None where it was not streamed.
    """

    generations: list[Generation]
    chunks: list[ChatGenerationChunk] | None = None


def answer_of(
    generations: Sequence[Generation],
    *,
    chunks: Sequence[ChatGenerationChunk] | None = None,
    model: str | None = None,
    tenant: str | None = None,
) -> Answer | None:
    """Return what is to be stored; None where it holds what cannot be written down."""
    try:
        written = [_written(generation) for generation in generations]
        pieces = None if chunks is None else [_written_message(chunk.message) for chunk in chunks]
        payload = json.dumps(
            {"v": _VERSION, "generations": written, "chunks": pieces},
            ensure_ascii=False,
            allow_nan=False,
            separators=(",", ":"),
        )
    except (TypeError, ValueError, RecursionError):
        return None
    if not written:
        return None
    messages = [item.message for item in generations if isinstance(item, ChatGeneration)]
    return Answer(
        payload=payload,
        answer="\n\n".join(_said(item) for item in generations),
        usage=_usage_of(generations[0]),
        model=model,
        tenant=tenant,
        finish_reason=finish_reason_of(generations),
        has_tool_calls=any(_calls_tools(message) for message in messages),
    )


def read_answer(
    payload: str | bytes,
    mark: Mapping[str, Any],
    *,
    new_id: Callable[[], str] = lambda: uuid.uuid4().hex[:24],
) -> Stored | None:
    """Read what `answer_of` wrote; None where it is anything else.

    Messages have no id, tool calls have new ones, usage is zero, and `mark` stands in the metadata.
    """
    try:
        data = json.loads(payload)
        if not isinstance(data, dict) or data.get("v") != _VERSION or not data["generations"]:
            return None
        data = _renamed(data, _new_names(data["generations"], new_id))
        chunks = data["chunks"]
        return Stored(
            generations=[_read(item, mark, first=at == 0) for at, item in enumerate(data["generations"])],
            chunks=None if chunks is None else _read_chunks(chunks, mark),
        )
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


# -- writing


def _written(generation: Generation) -> dict[str, Any]:
    if isinstance(generation, ChatGeneration):
        message = generation.message
        if isinstance(message, AIMessageChunk):
            message = message_chunk_to_message(message)
        return {"message": _written_message(message), "info": _without_bill(generation.generation_info)}
    if type(generation) not in {Generation, GenerationChunk}:
        raise TypeError
    return {"text": generation.text, "info": generation.generation_info}


def _written_message(message: BaseMessage) -> dict[str, Any]:
    if type(message) not in {AIMessage, AIMessageChunk} or not isinstance(message, AIMessage):
        raise TypeError
    written = {
        "content": message.content,
        "additional": _plain(message.additional_kwargs),
        "metadata": _without_bill(message.response_metadata),
        "name": message.name,
    }
    if isinstance(message, AIMessageChunk):
        return {**written, "pieces": message.tool_call_chunks, "position": message.chunk_position}
    return {**written, "calls": message.tool_calls, "invalid": message.invalid_tool_calls}


def _plain(extra: Mapping[str, Any]) -> dict[str, Any]:
    """Write objects that a client has parsed as what they hold; it makes them anew from that."""
    return {
        key: value.model_dump(mode="json") if isinstance(value, BaseModel) else value
        for key, value in extra.items()
    }


def _without_bill(told: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return (
        None if told is None else {key: value for key, value in told.items() if key not in _OF_THE_FIRST_CALL}
    )


def _usage_of(generation: Generation) -> Usage | None:
    message = generation.message if isinstance(generation, ChatGeneration) else None
    if not isinstance(message, AIMessage):
        return None
    told = message.response_metadata
    return usage_from_langchain(message.usage_metadata, response_metadata=told, content=message.content)


def _said(generation: Generation) -> str:
    """Return what is said and which tools are called, for comparing answers."""
    calls = getattr(generation.message, "tool_calls", ()) if isinstance(generation, ChatGeneration) else ()
    asked = [json.dumps([call["name"], call["args"]], sort_keys=True, default=str) for call in calls]
    return "\n".join([*filter(None, [str(generation.text)]), *asked])


def _calls_tools(message: BaseMessage) -> bool:
    return bool(
        getattr(message, "tool_calls", None)
        or getattr(message, "invalid_tool_calls", None)
        or message.additional_kwargs.get("function_call")
    )


def finish_reason_of(generations: Iterable[Generation]) -> str | None:
    """Return why the model stopped; of several answers, of the one that is least complete."""
    reasons = [_reason(generation) for generation in generations]
    return next((reason for reason in reasons if reason and reason not in DONE), (*reasons, None)[0])


def _reason(generation: Generation) -> str | None:
    told: dict[str, Any] = dict(generation.generation_info or {})
    if isinstance(generation, ChatGeneration):
        if generation.message.additional_kwargs.get("refusal"):
            return "refusal"
        told |= generation.message.response_metadata
    details = told.get("incomplete_details")
    if isinstance(details, dict) and isinstance(details.get("reason"), str):
        return str(details["reason"]).lower()
    for name in ("finish_reason", "stop_reason", "done_reason", "status"):
        if isinstance(told.get(name), str):
            return str(told[name]).lower()
    return None


# -- reading


def _read(item: Mapping[str, Any], mark: Mapping[str, Any], *, first: bool) -> Generation:
    if "message" not in item:
        return Generation(text=item["text"], generation_info=item["info"])
    told = item["message"]
    own = mark if first else {key: value for key, value in mark.items() if key != "usage"}
    message = AIMessage(
        content=told["content"],
        additional_kwargs=told["additional"],
        response_metadata={**told["metadata"], MARK: copy.deepcopy(dict(own))},
        name=told["name"],
        tool_calls=[tool_call(**_only(call, "name", "args", "id")) for call in told["calls"]],
        invalid_tool_calls=[
            invalid_tool_call(**_only(call, "name", "args", "id", "error")) for call in told["invalid"]
        ],
        usage_metadata={**NO_USAGE},
    )
    return ChatGeneration(message=message, generation_info=item["info"])


def _read_chunks(chunks: Sequence[Mapping[str, Any]], mark: Mapping[str, Any]) -> list[ChatGenerationChunk]:
    read = []
    for at, told in enumerate(chunks):
        is_first = at == 0  # metadata and usage of chunks are added up by whoever merges them
        message = AIMessageChunk(
            content=told["content"],
            additional_kwargs=told["additional"],
            response_metadata={**told["metadata"], **({MARK: copy.deepcopy(dict(mark))} if is_first else {})},
            name=told["name"],
            tool_call_chunks=[
                tool_call_chunk(**_only(piece, "name", "args", "id", "index")) for piece in told["pieces"]
            ],
            usage_metadata={**NO_USAGE} if is_first else None,
            chunk_position=told["position"],
        )
        read.append(ChatGenerationChunk(message=message))
    return read


def _only(call: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: call.get(name) for name in names}


def _new_names(generations: Sequence[Mapping[str, Any]], new_id: Callable[[], str]) -> dict[str, str]:
    """Give every tool call a new id, which begins as its provider's do."""
    names: dict[str, str] = {}
    for item in generations:
        told = item.get("message") or {}
        for call in (*told.get("calls", ()), *told.get("invalid", ())):
            old = call.get("id")
            if isinstance(old, str) and old:
                begin = old.rpartition("_")[0] or "call"
                names.setdefault(old, f"{begin}_{new_id()}")
    return names


def _renamed(value: Any, names: Mapping[str, str]) -> Any:
    if not names:
        return value
    if isinstance(value, dict):
        return {key: value[key] if key in _ARGUMENTS else _renamed(value[key], names) for key in value}
    if isinstance(value, list):
        return [_renamed(item, names) for item in value]
    return names.get(value, value) if isinstance(value, str) else value


_ARGUMENTS = frozenset({"args", "input", "arguments"})


def write_arguments(arguments: Mapping[str, Any]) -> str:
    """Write a tool call's arguments as a stream carries them."""
    return json.dumps(arguments, ensure_ascii=False)
