"""Anthropic Messages, as its clients read it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
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
    require,
    whole_number,
)

__all__ = ["MESSAGES"]

_STOP_REASONS = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "content_filter": "refusal",
}
_ERROR_KINDS = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    529: "overloaded_error",
}
_TOOL_CHOICES = {"any": "required", "none": "none", "auto": "auto"}


def _parse(body: Mapping[str, Any], headers: Mapping[str, str]) -> ProviderRequest:
    turns = [turn for message in require(body, "messages") for turn in _turns(message)]
    if system := as_text(body.get("system")):
        turns.insert(0, Turn(role="system", text=system))
    shape = (body.get("output_config") or {}).get("format") or body.get("output_format") or {}
    return ProviderRequest(
        api="messages",
        model=str(require(body, "model")),
        turns=tuple(turns),
        tools=tuple(read_tool(tool) for tool in as_list(body.get("tools")) if "input_schema" in tool),
        tool_choice=_tool_choice(body.get("tool_choice")),
        json_schema=shape.get("schema"),
        json_mode=bool(shape),
        max_output_tokens=whole_number(body, "max_tokens") or require(body, "max_tokens"),
        stop=tuple(as_list(body.get("stop_sequences"))),
        stream=bool(body.get("stream")),
        service_tier=body.get("service_tier"),
        body=body,
        headers=headers,
    )


def _turns(message: Mapping[str, Any]) -> Iterator[Turn]:
    """Read one message; tool results become turns of their own, before the text beside them."""
    role, content = message.get("role", "user"), message.get("content")
    if isinstance(content, str):
        yield Turn(role=role, text=content)
        return
    blocks = [block for block in as_list(content) if isinstance(block, Mapping)]
    for block in blocks:
        if block.get("type") == "tool_result":
            yield Turn(role="tool", text=as_text(block.get("content")), tool_call_id=block.get("tool_use_id"))
    text = as_text([block for block in blocks if block.get("type") == "text"])
    calls = tuple(
        ToolCall(name=block["name"], arguments=block.get("input") or {}, id=block.get("id", ""))
        for block in blocks
        if block.get("type") == "tool_use"
    )
    if text or calls:
        yield Turn(role=role, text=text, tool_calls=calls)


def _tool_choice(choice: Any) -> str:
    if not isinstance(choice, Mapping):
        return "auto"
    if choice.get("type") == "tool":
        return str(choice.get("name"))
    return _TOOL_CHOICES.get(str(choice.get("type")), "auto")


def _render(request: ProviderRequest, answer: ProviderAnswer, stamp: Stamp) -> dict[str, Any]:
    return {
        **_head(request, answer, stamp),
        "content": _blocks(answer, stamp),
        "stop_reason": _STOP_REASONS[answer.why_finished],
        "usage": _usage(answer.usage or ProviderUsage()),
    }


def _stream(request: ProviderRequest, answer: ProviderAnswer, stamp: Stamp) -> Iterator[Event]:
    usage = answer.usage or ProviderUsage()
    started = _usage(usage)
    started["output_tokens"] = min(1, usage.output_tokens)
    started.pop("output_tokens_details", None)
    started.pop("server_tool_use", None)
    yield _event(
        "message_start",
        message={**_head(request, answer, stamp), "content": [], "stop_reason": None, "usage": started},
    )
    yield _event("ping")
    for index, block in enumerate(_blocks(answer, stamp)):
        yield from _block_events(index, block, answer)
    yield _event(
        "message_delta",
        delta={"stop_reason": _STOP_REASONS[answer.why_finished], "stop_sequence": None},
        usage=_final_usage(usage, answer.final_usage),
    )
    yield _event("message_stop")


def _block_events(index: int, block: dict[str, Any], answer: ProviderAnswer) -> Iterator[Event]:
    kind = block["type"]
    empty: dict[str, dict[str, Any]] = {
        "text": {"text": ""},
        "thinking": {"thinking": "", "signature": ""},
        "tool_use": {"input": {}},
    }
    yield _event("content_block_start", index=index, content_block={**block, **empty[kind]})
    if kind == "text":
        deltas = [{"type": "text_delta", "text": piece} for piece in pieces_of(answer, block["text"])]
    elif kind == "thinking":
        deltas = [
            {"type": "thinking_delta", "thinking": block["thinking"]},
            {"type": "signature_delta", "signature": block["signature"]},
        ]
    else:
        deltas = [
            {"type": "input_json_delta", "partial_json": piece}
            for piece in ["", *cut_json(json.dumps(block["input"]))]
        ]
    for delta in deltas:
        yield _event("content_block_delta", index=index, delta=delta)
    yield _event("content_block_stop", index=index)


def _event(kind: str, **data: Any) -> Event:
    return Event(kind, {"type": kind, **data})


def _head(request: ProviderRequest, answer: ProviderAnswer, stamp: Stamp) -> dict[str, Any]:
    return {
        "id": f"msg_{stamp.uid}",
        "type": "message",
        "role": "assistant",
        "model": answer.model or request.model,
        "stop_sequence": None,
    }


def _blocks(answer: ProviderAnswer, stamp: Stamp) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = []
    if answer.thinking is not None:
        blocks.append({"type": "thinking", "thinking": answer.thinking, "signature": f"sig_{stamp.uid}"})
    if answer.text or not answer.tool_calls:
        blocks.append({"type": "text", "text": answer.text})
    for at, call in enumerate(answer.tool_calls):
        blocks.append(
            {
                "type": "tool_use",
                "id": call.id or f"toolu_{stamp.uid}{at}",
                "name": call.name,
                "input": json.loads(call.arguments_json),
            }
        )
    return blocks


def _usage(usage: ProviderUsage) -> dict[str, Any]:
    return {
        **_totals(usage),
        "cache_creation": {
            "ephemeral_5m_input_tokens": usage.cache_write_5m_tokens,
            "ephemeral_1h_input_tokens": usage.cache_write_1h_tokens,
        },
        "service_tier": usage.service_tier or "standard",
    }


def _totals(usage: ProviderUsage) -> dict[str, Any]:
    out: dict[str, Any] = {
        "input_tokens": usage.uncached_input_tokens,
        "cache_creation_input_tokens": usage.cache_write_tokens,
        "cache_read_input_tokens": usage.cache_read_tokens,
        "output_tokens": usage.output_tokens,
    }
    if usage.reasoning_tokens:
        out["output_tokens_details"] = {"thinking_tokens": usage.reasoning_tokens}
    if usage.web_searches:
        out["server_tool_use"] = {"web_search_requests": usage.web_searches, "web_fetch_requests": 0}
    return out


def _final_usage(usage: ProviderUsage, repeats: str) -> dict[str, Any]:
    if repeats == "output_only":
        return {"output_tokens": usage.output_tokens}
    return _usage(usage) if repeats == "with_split" else _totals(usage)


def _error(error: ProviderError) -> dict[str, Any]:
    default = "invalid_request_error" if error.status < 500 else "api_error"
    kind = _ERROR_KINDS.get(error.status, default)
    return {"type": "error", "error": {"type": kind, "message": error.message}}


def _error_event(error: ProviderError) -> Event:
    return Event("error", _error(error))


MESSAGES = Wire(parse=_parse, render=_render, stream=_stream, error=_error, error_event=_error_event)
"""`POST /v1/messages`. Source: https://docs.anthropic.com/en/api/messages and /messages-streaming."""
