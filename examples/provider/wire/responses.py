"""OpenAI Responses, as its clients read it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any

from examples.provider.exchange import (
    ProviderAnswer,
    ProviderError,
    ProviderRequest,
    ProviderUsage,
    ToolCall,
    Turn,
)
from examples.provider.wire._common import (
    Event,
    Stamp,
    Wire,
    as_list,
    as_text,
    cut_json,
    pieces_of,
    read_tool,
    render_logprobs,
    require,
    whole_number,
)

__all__ = ["RESPONSES"]


def _parse(body: Mapping[str, Any], headers: Mapping[str, str]) -> ProviderRequest:
    shape = (body.get("text") or {}).get("format") or {}
    given = require(body, "input")
    turns = [Turn(role="user", text=given)] if isinstance(given, str) else [_turn(item) for item in given]
    if instructions := body.get("instructions"):
        turns.insert(0, Turn(role="system", text=as_text(instructions)))
    return ProviderRequest(
        api="responses",
        model=str(require(body, "model")),
        turns=tuple(turns),
        tools=tuple(read_tool(tool) for tool in as_list(body.get("tools")) if tool.get("type") == "function"),
        tool_choice=_tool_choice(body.get("tool_choice")),
        json_schema=shape.get("schema"),
        json_mode=shape.get("type") in {"json_object", "json_schema"},
        max_output_tokens=whole_number(body, "max_output_tokens"),
        stream=bool(body.get("stream")),
        logprobs="message.output_text.logprobs" in as_list(body.get("include")),
        top_logprobs=int(body.get("top_logprobs") or 0),
        service_tier=body.get("service_tier"),
        body=body,
        headers=headers,
    )


def _turn(item: Mapping[str, Any]) -> Turn:
    if item.get("type") == "function_call":
        call = ToolCall(
            name=item["name"], arguments=item.get("arguments") or "{}", id=item.get("call_id", "")
        )
        return Turn(role="assistant", tool_calls=(call,))
    if item.get("type") == "function_call_output":
        return Turn(role="tool", text=as_text(item.get("output")), tool_call_id=item.get("call_id"))
    role = str(item.get("role", "user"))
    return Turn(
        role="system" if role == "developer" else role,  # type: ignore[arg-type]  # from the wire
        text=as_text(item.get("content")),
    )


def _tool_choice(choice: Any) -> str:
    if isinstance(choice, Mapping):
        return str(choice.get("name", "required"))
    return str(choice or "auto")


def _render(request: ProviderRequest, answer: ProviderAnswer, stamp: Stamp) -> dict[str, Any]:
    status, details = "completed", None
    if answer.why_finished in {"length", "content_filter"}:
        reason = "max_output_tokens" if answer.why_finished == "length" else "content_filter"
        status, details = "incomplete", {"reason": reason}
    tier = answer.usage.service_tier if answer.usage else None
    return {
        **_head(request, answer, stamp),
        "status": status,
        "incomplete_details": details,
        "output": _items(request, answer, stamp, status),
        "service_tier": tier or _served(request.service_tier),
        "usage": None if answer.usage is None else _usage(answer.usage),
    }


def _stream(request: ProviderRequest, answer: ProviderAnswer, stamp: Stamp) -> Iterator[Event]:
    for number, event in enumerate(_events(request, answer, stamp)):
        assert isinstance(event.data, Mapping)
        yield Event(event.name, {**event.data, "sequence_number": number})


def _events(request: ProviderRequest, answer: ProviderAnswer, stamp: Stamp) -> Iterator[Event]:
    whole = _render(request, answer, stamp)
    opened = {**whole, "status": "in_progress", "incomplete_details": None, "output": [], "usage": None}
    yield _event("response.created", response=opened)
    yield _event("response.in_progress", response=opened)
    kinds: dict[str, Callable[..., Iterator[Event]]] = {
        "message": _message_events,
        "function_call": _call_events,
        "web_search_call": _search_events,
    }
    for index, item in enumerate(whole["output"]):
        yield from kinds[item["type"]](request, answer, index, item)
        yield _event("response.output_item.done", output_index=index, item=item)
    yield _event(f"response.{whole['status']}", response=whole)


def _message_events(
    request: ProviderRequest, answer: ProviderAnswer, index: int, item: dict[str, Any]
) -> Iterator[Event]:
    at = {"item_id": item["id"], "output_index": index, "content_index": 0}
    part = item["content"][0]
    opened = {**item, "status": "in_progress", "content": []}
    yield _event("response.output_item.added", output_index=index, item=opened)
    yield _event(
        "response.content_part.added",
        **at,
        part={"type": "output_text", "text": "", "annotations": [], "logprobs": []},
    )
    logprobs = iter(part["logprobs"])
    pieces = list(pieces_of(answer, part["text"], with_logprobs=request.logprobs))
    for number, piece in enumerate(pieces):
        due = None if number == len(pieces) - 1 else 1
        yield _event("response.output_text.delta", **at, delta=piece, logprobs=list(islice(logprobs, due)))
    yield _event("response.output_text.done", **at, text=part["text"], logprobs=part["logprobs"])
    yield _event("response.content_part.done", **at, part=part)


def _call_events(
    request: ProviderRequest,  # noqa: ARG001  # every kind of item has the same signature
    answer: ProviderAnswer,  # noqa: ARG001  # as above
    index: int,
    item: dict[str, Any],
) -> Iterator[Event]:
    at = {"item_id": item["id"], "output_index": index}
    opened = {**item, "status": "in_progress", "arguments": ""}
    yield _event("response.output_item.added", output_index=index, item=opened)
    for piece in cut_json(item["arguments"]):
        yield _event("response.function_call_arguments.delta", **at, delta=piece)
    yield _event(
        "response.function_call_arguments.done", **at, name=item["name"], arguments=item["arguments"]
    )


def _search_events(
    request: ProviderRequest,  # noqa: ARG001  # every kind of item has the same signature
    answer: ProviderAnswer,  # noqa: ARG001  # as above
    index: int,
    item: dict[str, Any],
) -> Iterator[Event]:
    at = {"item_id": item["id"], "output_index": index}
    opened = {**item, "status": "in_progress"}
    yield _event("response.output_item.added", output_index=index, item=opened)
    for state in ("in_progress", "searching", "completed"):
        yield _event(f"response.web_search_call.{state}", **at)


def _event(kind: str, **data: Any) -> Event:
    return Event(kind, {"type": kind, **data})


def _head(request: ProviderRequest, answer: ProviderAnswer, stamp: Stamp) -> dict[str, Any]:
    body = request.body
    return {
        "id": f"resp_{stamp.uid}",
        "object": "response",
        "created_at": stamp.created,
        "model": answer.model or request.model,
        "error": None,
        "instructions": body.get("instructions"),
        "metadata": body.get("metadata") or {},
        "parallel_tool_calls": body.get("parallel_tool_calls", True),
        "temperature": body.get("temperature", 1.0),
        "tool_choice": body.get("tool_choice", "auto"),
        "tools": body.get("tools") or [],
        "top_p": body.get("top_p", 1.0),
        "max_output_tokens": body.get("max_output_tokens"),
        "previous_response_id": body.get("previous_response_id"),
        "reasoning": body.get("reasoning") or {"effort": None, "summary": None},
        "text": body.get("text") or {"format": {"type": "text"}},
        "truncation": body.get("truncation", "disabled"),
        "user": body.get("user"),
    }


def _served(asked: str | None) -> str:
    return "default" if asked in {None, "auto"} else str(asked)


def _items(
    request: ProviderRequest, answer: ProviderAnswer, stamp: Stamp, status: str
) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = [
        {
            "type": "web_search_call",
            "id": f"ws_{stamp.uid}{number}",
            "status": "completed",
            "action": {"type": "search", "query": "", "queries": []},
        }
        for number in range(answer.usage.web_searches if answer.usage else 0)
    ]
    if answer.text or not answer.tool_calls:
        logprobs = render_logprobs(answer.logprobs, request.top_logprobs) if request.logprobs else []
        part = {"type": "output_text", "text": answer.text, "annotations": [], "logprobs": logprobs}
        items.append(
            {
                "type": "message",
                "id": f"msg_{stamp.uid}",
                "status": status,
                "role": "assistant",
                "content": [part],
            }
        )
    for number, call in enumerate(answer.tool_calls):
        items.append(
            {
                "type": "function_call",
                "id": f"fc_{stamp.uid}{number}",
                "call_id": call.id or f"call_{stamp.uid}{number}",
                "name": call.name,
                "arguments": call.arguments_json,
                "status": "completed",
            }
        )
    return items


def _usage(usage: ProviderUsage) -> dict[str, Any]:
    out: dict[str, Any] = {
        "input_tokens": usage.input_tokens,
        "input_tokens_details": {
            "cached_tokens": usage.cache_read_tokens,
            "cache_write_tokens": usage.cache_write_tokens,
        },
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": usage.input_tokens + usage.output_tokens,
    }
    if usage.cost_usd is not None:
        out["cost"] = float(usage.cost_usd)
    return out


def _error(error: ProviderError) -> dict[str, Any]:
    return {"error": {"message": error.message, "type": error.kind, "param": None, "code": error.code}}


def _error_event(error: ProviderError) -> Event:
    data = {"type": "error", "code": error.code or error.kind, "message": error.message, "param": None}
    return Event("error", data)


RESPONSES = Wire(parse=_parse, render=_render, stream=_stream, error=_error, error_event=_error_event)
"""`POST /v1/responses`. Source: https://platform.openai.com/docs/api-reference/responses-streaming.

Held conversations (`previous_response_id`, `background`) are not served: send the whole input.
"""
