"""Answers of any provider: the text, the tool calls, and why they ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tokenomics_core.traffic._read_content import messages_of_one, text_of_parts, tool_call_of
from tokenomics_core.traffic._read_values import Row, json_of

__all__ = ["NOTHING_SAID", "Answer", "answer_of", "merged_chunks"]


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: the first choice's text and tool calls, and why it ended."""

    text: str | None = None
    tool_calls: tuple[Row, ...] = ()
    finish_reason: str | None = None


NOTHING_SAID = Answer()


def answer_of(response: Any) -> Answer:  # noqa: PLR0911 - a table of cases
    """Return what any provider's answer says, or a bare message, text, or list of chunks."""
    response = json_of(response)
    if isinstance(response, str):
        return Answer(response)
    if isinstance(response, list):
        return answer_of(merged_chunks(response)) if _are_chunks(response) else _answer_of_messages(response)
    if not isinstance(response, Mapping):
        return NOTHING_SAID
    choices = response.get("choices")
    if isinstance(choices, list):
        return _answer_of_choice(choices[0]) if choices and isinstance(choices[0], Mapping) else NOTHING_SAID
    if isinstance(response.get("output"), list):
        return _answer_of_responses(response)
    if isinstance(response.get("candidates"), list):
        return _answer_of_gemini(response["candidates"])
    reason = _reason_of(response)
    message = response.get("message")
    if isinstance(message, Mapping):  # Ollama, or a message in an envelope
        told = answer_of(message)
        return Answer(told.text, told.tool_calls, told.finish_reason or reason)
    if isinstance(response.get("output"), Mapping):  # Bedrock's Converse
        told = answer_of(response["output"])
        return Answer(told.text, told.tool_calls, told.finish_reason or reason)
    if any(name in response for name in ("content", "tool_calls", "parts", "kwargs", "data")):
        told = _answer_of_messages([response])
        return Answer(told.text, told.tool_calls, told.finish_reason or reason)
    for name in ("completion", "text", "response", "answer", "output", "generated_text", "output_text"):
        if isinstance(response.get(name), str):
            return Answer(response[name], (), reason)
    return Answer(finish_reason=reason)


def _answer_of_choice(choice: Row) -> Answer:
    reason = choice.get("finish_reason")
    message = choice.get("message")
    if message is None:
        text = choice.get("text")
        return Answer(text if isinstance(text, str) else None, (), reason)
    content = message.get("content")
    if content is not None and type(content) is not str:
        content = text_of_parts(content)
    calls = message.get("tool_calls")
    if calls:
        return Answer(content, tuple(tool_call_of(call) for call in calls), reason)
    function = message.get("function_call")
    return Answer(content, (tool_call_of(function),) if isinstance(function, Mapping) else (), reason)


def _answer_of_messages(messages: Sequence[Any]) -> Answer:
    told = [one for item in messages for one in messages_of_one(item) if one.get("role") != "tool"]
    texts = [
        text_of_parts(_without_thoughts(one.get("content"))) for one in told if one.get("content") is not None
    ]
    calls = [tool_call_of(call) for one in told for call in one.get("tool_calls") or ()]
    reasons = [_reason_of(item) for item in messages if isinstance(item, Mapping)]
    return Answer("\n".join(texts) if texts else None, tuple(calls), next(filter(None, reasons), None))


def _without_thoughts(content: Any) -> Any:
    if not isinstance(content, list):
        return content
    hidden = {"thinking", "redacted_thinking", "reasoning"}
    return [part for part in content if not (isinstance(part, Mapping) and part.get("type") in hidden)]


def _answer_of_responses(response: Row) -> Answer:
    texts: list[str] = []
    calls: list[Row] = []
    for item in response["output"]:
        if not isinstance(item, Mapping):
            continue
        if item.get("type") == "function_call":
            calls.append(tool_call_of(item))
        elif item.get("type") in {"message", None} and item.get("content") is not None:
            texts.append(text_of_parts(item["content"]))
    details = response.get("incomplete_details")
    reason = details.get("reason") if isinstance(details, Mapping) else None
    if reason == "max_output_tokens":
        reason = "length"
    if reason is None and response.get("status") == "completed":
        reason = "tool_calls" if calls else "stop"
    return Answer("\n".join(texts) if texts else None, tuple(calls), reason)


def _answer_of_gemini(candidates: Sequence[Any]) -> Answer:
    first = candidates[0] if candidates and isinstance(candidates[0], Mapping) else {}
    content = first.get("content")
    told = _answer_of_messages([content]) if isinstance(content, Mapping) else NOTHING_SAID
    return Answer(told.text, told.tool_calls, first.get("finishReason") or first.get("finish_reason"))


def _reason_of(source: Row) -> str | None:
    for name in ("finish_reason", "stop_reason", "stopReason", "finishReason", "done_reason"):
        if isinstance(source.get(name), str):
            return str(source[name])
    inner = source.get("response_metadata")
    return _reason_of(inner) if isinstance(inner, Mapping) else None


# Streams


def _are_chunks(items: Sequence[Any]) -> bool:
    return bool(items) and all(
        isinstance(item, Mapping)
        and (item.get("object") == "chat.completion.chunk" or "delta" in str(item.get("choices", "")))
        for item in items[:2]
    )


def merged_chunks(chunks: Sequence[Row]) -> Row:
    """Put the chunks of a chat completion's stream together again."""
    merged: dict[str, Any] = {}
    texts: list[str] = []
    calls: dict[int, dict[str, Any]] = {}
    reason = None
    for chunk in chunks:
        merged |= {name: value for name, value in chunk.items() if name != "choices" and value is not None}
        for choice in chunk.get("choices") or ():
            if choice.get("index"):
                continue
            reason = choice.get("finish_reason") or reason
            delta = choice.get("delta") or {}
            if isinstance(delta.get("content"), str):
                texts.append(delta["content"])
            for call in delta.get("tool_calls") or ():
                _add_to_call(calls.setdefault(call.get("index", 0), {}), call)
    message: dict[str, Any] = {"role": "assistant", "content": "".join(texts) if texts else None}
    if calls:
        message["tool_calls"] = [calls[number] for number in sorted(calls)]
    merged["object"] = "chat.completion"
    merged["choices"] = [{"index": 0, "message": message, "finish_reason": reason}]
    return merged


def _add_to_call(call: dict[str, Any], piece: Row) -> None:
    told = piece.get("function") or {}
    call["id"] = call.get("id") or piece.get("id") or ""
    call["type"] = "function"
    function = call.setdefault("function", {"name": "", "arguments": ""})
    function["name"] += told.get("name") or ""
    function["arguments"] += told.get("arguments") or ""
