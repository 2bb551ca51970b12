"""OpenAI Chat Completions, as its clients read it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
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

__all__ = ["CHAT"]

_ROLES = {"developer": "system", "function": "tool"}


def _parse(body: Mapping[str, Any], headers: Mapping[str, str]) -> ProviderRequest:
    shape = body.get("response_format") or {}
    return ProviderRequest(
        api="chat",
        model=str(require(body, "model")),
        turns=tuple(_turn(message) for message in require(body, "messages")),
        tools=tuple(read_tool(tool["function"]) for tool in as_list(body.get("tools")) if "function" in tool),
        tool_choice=_tool_choice(body.get("tool_choice")),
        json_schema=(shape.get("json_schema") or {}).get("schema"),
        json_mode=shape.get("type") in {"json_object", "json_schema"},
        n=whole_number(body, "n") or 1,
        max_output_tokens=whole_number(body, "max_completion_tokens", "max_tokens"),
        stop=tuple(as_list(body.get("stop"))),
        stream=bool(body.get("stream")),
        include_usage=bool((body.get("stream_options") or {}).get("include_usage")),
        logprobs=bool(body.get("logprobs")),
        top_logprobs=int(body.get("top_logprobs") or 0),
        service_tier=body.get("service_tier"),
        body=body,
        headers=headers,
    )


def _turn(message: Mapping[str, Any]) -> Turn:
    role = str(message.get("role", "user"))
    calls = tuple(
        ToolCall(
            name=call["function"]["name"],
            arguments=call["function"].get("arguments") or "{}",
            id=call.get("id", ""),
        )
        for call in as_list(message.get("tool_calls"))
        if "function" in call
    )
    return Turn(
        role=_ROLES.get(role, role),  # type: ignore[arg-type]  # roles come from the wire
        text=as_text(message.get("content")),
        tool_calls=calls,
        tool_call_id=message.get("tool_call_id"),
    )


def _tool_choice(choice: Any) -> str:
    if isinstance(choice, Mapping):
        return str((choice.get("function") or {}).get("name", "required"))
    return str(choice or "auto")


def _render(request: ProviderRequest, answer: ProviderAnswer, stamp: Stamp) -> dict[str, Any]:
    choices = []
    for index, text in enumerate(_texts(request, answer)):
        calls = answer.tool_calls if index == 0 else ()
        message: dict[str, Any] = {"role": "assistant", "content": text or None, "refusal": None}
        if calls:
            message["tool_calls"] = [_call(call, stamp, at) for at, call in enumerate(calls)]
        elif not text:
            message["content"] = ""
        logprobs = _logprobs(request, answer) if index == 0 else None
        choices.append(
            {
                "index": index,
                "message": message,
                "logprobs": logprobs,
                "finish_reason": answer.why_finished,
            }
        )
    out = {**_head(request, answer, stamp, "chat.completion"), "choices": choices}
    if answer.usage is not None:
        out["usage"] = _usage(answer.usage)
    return out


def _stream(request: ProviderRequest, answer: ProviderAnswer, stamp: Stamp) -> Iterator[Event]:
    head = _head(request, answer, stamp, "chat.completion.chunk")
    if request.include_usage:
        head["usage"] = None

    def chunk(index: int, delta: dict[str, Any], finish: str | None = None, logprobs: Any = None) -> Event:
        choice = {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": finish}
        return Event(None, {**head, "choices": [choice]})

    for index, text in enumerate(_texts(request, answer)):
        yield chunk(index, {"role": "assistant", "content": "", "refusal": None})
        logprobs = iter(answer.logprobs if request.logprobs and index == 0 else ())
        pieces = list(pieces_of(answer, text, with_logprobs=request.logprobs))
        for at, piece in enumerate(pieces):
            due = None if at == len(pieces) - 1 else 1
            sent = render_logprobs(islice(logprobs, due), request.top_logprobs)
            yield chunk(index, {"content": piece}, logprobs={"content": sent} if sent else None)
        for at, call in enumerate(answer.tool_calls if index == 0 else ()):
            opened = _call(call, stamp, at)
            opened["function"]["arguments"] = ""
            yield chunk(index, {"tool_calls": [{"index": at, **opened}]})
            for piece in cut_json(call.arguments_json):
                yield chunk(index, {"tool_calls": [{"index": at, "function": {"arguments": piece}}]})
        yield chunk(index, {}, finish=answer.why_finished)
    if request.include_usage and answer.usage is not None:
        yield Event(None, {**head, "choices": [], "usage": _usage(answer.usage)})
    yield Event(None, "[DONE]")


def _texts(request: ProviderRequest, answer: ProviderAnswer) -> list[str]:
    texts = [answer.text, *answer.alternatives][: request.n]
    return texts + [answer.text] * (request.n - len(texts))


def _head(request: ProviderRequest, answer: ProviderAnswer, stamp: Stamp, kind: str) -> dict[str, Any]:
    tier = answer.usage.service_tier if answer.usage else None
    head: dict[str, Any] = {
        "id": f"chatcmpl-{stamp.uid}",
        "object": kind,
        "created": stamp.created,
        "model": answer.model or request.model,
        "system_fingerprint": None,
    }
    if tier or request.service_tier:
        head["service_tier"] = tier or _served(request.service_tier)
    return head


def _served(asked: str | None) -> str | None:
    return "default" if asked == "auto" else asked


def _call(call: ToolCall, stamp: Stamp, at: int) -> dict[str, Any]:
    return {
        "id": call.id or f"call_{stamp.uid}{at}",
        "type": "function",
        "function": {"name": call.name, "arguments": call.arguments_json},
    }


def _logprobs(request: ProviderRequest, answer: ProviderAnswer) -> dict[str, Any] | None:
    if not request.logprobs:
        return None
    return {"content": render_logprobs(answer.logprobs, request.top_logprobs), "refusal": None}


def _usage(usage: ProviderUsage) -> dict[str, Any]:
    out: dict[str, Any] = {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
        "prompt_tokens_details": {
            "cached_tokens": usage.cache_read_tokens,
            "audio_tokens": usage.input_audio_tokens,
        },
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning_tokens,
            "audio_tokens": usage.output_audio_tokens,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }
    if usage.cache_write_tokens:
        out["prompt_tokens_details"]["cache_write_tokens"] = usage.cache_write_tokens
    if usage.cost_usd is not None:
        out["cost"] = float(usage.cost_usd)
    return out


def _error(error: ProviderError) -> dict[str, Any]:
    return {"error": {"message": error.message, "type": error.kind, "param": None, "code": error.code}}


def _error_event(error: ProviderError) -> Event:
    return Event(None, _error(error))


CHAT = Wire(parse=_parse, render=_render, stream=_stream, error=_error, error_event=_error_event)
"""`POST /v1/chat/completions`. Source: https://platform.openai.com/docs/api-reference/chat."""
