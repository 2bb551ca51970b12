"""Requests and answers of every provider in the shape of OpenAI's chat."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tokenomics_core.traffic._read_values import Row, json_of

__all__ = [
    "NOTHING_SAID",
    "Answer",
    "answer_of",
    "merged_chunks",
    "messages_of",
    "messages_of_request",
    "settings_of",
    "tools_of",
]

_NO_SETTINGS = frozenset(
    {
        *("model", "messages", "tools", "functions", "input", "prompt", "system", "instructions", "contents"),
        *("systemInstruction", "system_instruction", "user", "metadata", "safety_identifier", "store"),
        *("stream", "stream_options", "api_key", "api_base", "base_url", "headers", "extra_headers"),
        *("organization", "timeout", "generationConfig", "generation_config", "inferenceConfig", "options"),
        *("litellm_metadata", "modelId"),
    }
)
_BY_OPENAI_NAME = {
    "max_completion_tokens": "max_tokens",
    "max_output_tokens": "max_tokens",
    "maxOutputTokens": "max_tokens",
    "maxTokens": "max_tokens",
    "max_tokens_to_sample": "max_tokens",
    "num_predict": "max_tokens",
    "topP": "top_p",
    "topK": "top_k",
    "stop_sequences": "stop",
    "stopSequences": "stop",
    "candidateCount": "n",
    "responseMimeType": "response_mime_type",
}
_NESTED_SETTINGS = ("generationConfig", "generation_config", "inferenceConfig", "options")
_ROLE_OF = {
    "human": "user",
    "ai": "assistant",
    "model": "assistant",
    "function": "tool",
    "humanmessage": "user",
    "humanmessagechunk": "user",
    "aimessage": "assistant",
    "aimessagechunk": "assistant",
    "systemmessage": "system",
    "toolmessage": "tool",
    "functionmessage": "tool",
    "chatmessage": "user",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: the first choice's text and tool calls, and why it ended."""

    text: str | None = None
    tool_calls: tuple[Row, ...] = ()
    finish_reason: str | None = None


NOTHING_SAID = Answer()


# Requests


def settings_of(request: Row) -> dict[str, Any]:
    """Return a request's parameters by OpenAI's names, without content, keys, user, and ways of delivery."""
    settings = {
        name: value for name, value in request.items() if name not in _NO_SETTINGS and value is not None
    }
    for name in _NESTED_SETTINGS:
        inner = request.get(name)
        if isinstance(inner, Mapping):
            settings |= {key: value for key, value in inner.items() if value is not None}
    for name in settings.keys() & _BY_OPENAI_NAME.keys():
        settings.setdefault(_BY_OPENAI_NAME[name], settings.pop(name))
    return settings


def messages_of_request(request: Row) -> tuple[Row, ...] | None:
    """Return the messages of a request to any chat, completion, Responses, Messages or Gemini endpoint."""
    told = request.get("messages")
    if told is None:
        told = next((request[name] for name in ("input", "contents", "prompt") if name in request), None)
    messages = messages_of(told)
    system = next(
        (
            request[name]
            for name in ("system", "instructions", "systemInstruction", "system_instruction")
            if request.get(name)
        ),
        None,
    )
    if system is None:
        return messages
    return ({"role": "system", "content": _text_of_parts(system)}, *(messages or ()))


def messages_of(value: Any) -> tuple[Row, ...] | None:  # noqa: PLR0911 - a table of cases
    """Return messages in OpenAI's shape out of what a log keeps as input; None where it keeps none."""
    value = json_of(value)
    if value is None:
        return None
    if isinstance(value, Mapping):
        inner = value.get("messages")
        if inner is not None:
            return messages_of_request(value)
        if "role" in value or "type" in value or "kwargs" in value:
            return tuple(_messages_of_one(value))
        return ({"role": "user", "content": json.dumps(value, ensure_ascii=False)},)
    if isinstance(value, str):
        return ({"role": "user", "content": value},)
    if not isinstance(value, Sequence):
        return ({"role": "user", "content": str(value)},)
    if len(value) == 1 and isinstance(value[0], list):  # LangChain's batches
        return messages_of(value[0])
    for message in value:
        if not isinstance(message, Mapping) or not _is_openai(message):
            return tuple(one for item in value for one in _messages_of_one(item))
    return tuple(value)


def tools_of(request: Row) -> tuple[Row, ...]:
    """Return the tools that a request offers, in OpenAI's shape."""
    tools = json_of(request.get("tools"))
    if not tools:
        functions = request.get("functions")
        if not isinstance(functions, list):
            return ()
        return tuple({"type": "function", "function": item} for item in functions)
    if not isinstance(tools, list):
        return ()
    return tuple(_tool_of(tool) for tool in tools if isinstance(tool, Mapping))


def _tool_of(tool: Row) -> Row:
    if "function" in tool or "name" not in tool:
        return tool
    if "input_schema" in tool:  # Anthropic
        rest = {"parameters": tool["input_schema"]}
    elif tool.get("type") == "function":  # Responses
        rest = {name: tool[name] for name in ("parameters", "strict") if name in tool}
    else:
        return tool
    told = {name: tool[name] for name in ("name", "description") if name in tool}
    return {"type": "function", "function": told | rest}


def _is_openai(message: Row) -> bool:
    if "role" not in message or message["role"] in _ROLE_OF or "parts" in message:
        return False
    content = message.get("content")
    if type(content) is not list:
        return True
    return not any(
        isinstance(part, Mapping)
        and part.get("type") in {"tool_use", "tool_result", "input_text", "output_text"}
        for part in content
    )


def _messages_of_one(item: Any) -> list[Row]:  # noqa: PLR0911 - a table of cases
    """Return one message of Anthropic, Responses, Gemini, LangChain or OpenTelemetry as OpenAI's."""
    if isinstance(item, str):
        return [{"role": "user", "content": item}]
    if isinstance(item, list):
        if len(item) == 2 and isinstance(item[0], str):  # LangChain's pairs of role and text
            return [{"role": _role_of(item[0]), "content": item[1]}]
        return [one for inner in item for one in _messages_of_one(inner)]
    if not isinstance(item, Mapping):
        return [{"role": "user", "content": str(item)}]
    if isinstance(item.get("kwargs"), Mapping) and isinstance(item.get("id"), list):  # LangChain's own JSON
        return [_langchain_message({"type": str(item["id"][-1]), **item["kwargs"]})]
    if isinstance(item.get("data"), Mapping) and "type" in item:  # LangChain's message_to_dict
        return [_langchain_message({**item["data"], "type": item["type"]})]
    kind = item.get("type")
    if kind in {"function_call", "function_call_output"} and "role" not in item:
        return [_responses_item(item)]
    if "role" not in item and isinstance(kind, str) and kind.lower() in {*_ROLE_OF, "system", "tool"}:
        return [_langchain_message(item)]
    if isinstance(item.get("parts"), list):
        return _message_of_parts(item)
    if isinstance(item.get("content"), list):
        return _message_of_blocks(item)
    return [{**item, "role": _role_of(item.get("role"))}]


def _role_of(name: Any) -> str:
    text = str(name or "user")
    return _ROLE_OF.get(text.lower(), text)


def _langchain_message(told: Row) -> Row:
    message: dict[str, Any] = {
        "role": _role_of(told.get("role") or told.get("type")),
        "content": told.get("content"),
    }
    calls = told.get("tool_calls")
    if isinstance(calls, list) and calls:
        message["tool_calls"] = [_tool_call(call) for call in calls if isinstance(call, Mapping)]
    for name in ("tool_call_id", "name"):
        if told.get(name):
            message[name] = told[name]
    return message


def _responses_item(item: Row) -> Row:
    if item["type"] == "function_call":
        return {"role": "assistant", "content": None, "tool_calls": [_tool_call(item)]}
    return {"role": "tool", "tool_call_id": item.get("call_id"), "content": item.get("output")}


def _message_of_blocks(item: Row) -> list[Row]:
    """Split a message of blocks: calls belong to it, results become messages of their own."""
    results: list[Row] = []
    calls: list[Row] = []
    rest: list[Any] = []
    for block in item["content"]:
        kind = block.get("type") if isinstance(block, Mapping) else None
        if kind == "tool_use":
            calls.append(_tool_call(block))
        elif kind == "tool_result":
            results.append(
                {
                    "role": "tool",
                    "tool_call_id": block.get("tool_use_id"),
                    "content": _text_of_parts(block.get("content")),
                }
            )
        elif kind in {"input_text", "output_text"}:
            rest.append({"type": "text", "text": block.get("text", "")})
        else:
            rest.append(block)
    told: dict[str, Any] = {"role": _role_of(item.get("role"))}
    only_text = all(
        isinstance(part, Mapping) and set(part) <= {"type", "text", "annotations"} for part in rest
    )
    told["content"] = (_text_of_parts(rest) if only_text else rest) if rest else None
    if calls:
        told["tool_calls"] = calls
    return [*results, told] if rest or calls else results


def _message_of_parts(item: Row) -> list[Row]:
    """Read a message of Gemini, or of OpenTelemetry's `gen_ai.input.messages`."""
    texts: list[str] = []
    calls: list[Row] = []
    results: list[Row] = []
    others: list[Row] = []
    for part in item["parts"]:
        if not isinstance(part, Mapping):
            texts.append(str(part))
            continue
        kind = part.get("type")
        result = part.get("functionResponse") or part.get("function_response")
        call = part.get("functionCall") or part.get("function_call")
        if isinstance(call, Mapping) or kind == "tool_call":
            calls.append(_tool_call(call if isinstance(call, Mapping) else part))
        elif isinstance(result, Mapping) or kind == "tool_call_response":
            told = result if isinstance(result, Mapping) else part
            content = next((told[name] for name in ("response", "result", "content") if name in told), None)
            results.append(
                {
                    "role": "tool",
                    "tool_call_id": told.get("id") or told.get("name"),
                    "content": _text_of_parts(content),
                }
            )
        elif kind in {"reasoning", "thinking"} or part.get("thought"):
            continue
        elif "text" in part or kind == "text":
            texts.append(str(part.get("text") if "text" in part else part.get("content") or ""))
        else:
            others.append(part)
    message: dict[str, Any] = {"role": _role_of(item.get("role"))}
    text = "\n".join(texts)
    message["content"] = [{"type": "text", "text": text}, *others] if others else (text if texts else None)
    if calls:
        message["tool_calls"] = calls
    return [*results, message] if texts or calls or others or not results else results


def _tool_call(call: Row) -> Row:
    """Return a call of any provider in OpenAI's shape."""
    if isinstance(call.get("function"), Mapping):
        return call
    arguments: Any = next(
        (call[name] for name in ("arguments", "args", "input") if call.get(name) is not None), {}
    )
    return {
        "id": call.get("call_id") or call.get("id") or "",
        "type": "function",
        "function": {
            "name": call.get("name") or "",
            "arguments": arguments
            if isinstance(arguments, str)
            else json.dumps(arguments, ensure_ascii=False),
        },
    }


def _text_of_parts(value: Any) -> str:
    """Return the text of a string, a block, or a list of either."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "\n".join(filter(None, map(_text_of_parts, value)))
    if isinstance(value, Mapping):
        if isinstance(value.get("parts"), list):
            return _text_of_parts(value["parts"])
        for name in ("text", "content"):
            if isinstance(value.get(name), str):
                return str(value[name])
        return json.dumps(value, ensure_ascii=False)
    return "" if value is None else str(value)


# Answers


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
        content = _text_of_parts(content)
    calls = message.get("tool_calls")
    if calls:
        return Answer(content, tuple(_tool_call(call) for call in calls), reason)
    function = message.get("function_call")
    return Answer(content, (_tool_call(function),) if isinstance(function, Mapping) else (), reason)


def _answer_of_messages(messages: Sequence[Any]) -> Answer:
    told = [one for item in messages for one in _messages_of_one(item) if one.get("role") != "tool"]
    texts = [
        _text_of_parts(_without_thoughts(one.get("content")))
        for one in told
        if one.get("content") is not None
    ]
    calls = [_tool_call(call) for one in told for call in one.get("tool_calls") or ()]
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
            calls.append(_tool_call(item))
        elif item.get("type") in {"message", None} and item.get("content") is not None:
            texts.append(_text_of_parts(item["content"]))
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
