"""Requests to any provider in the shape of OpenAI's chat."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from tokenomics_core.traffic._read_values import Row, json_of

__all__ = [
    "messages_of",
    "messages_of_one",
    "messages_of_request",
    "settings_of",
    "text_of_parts",
    "tool_call_of",
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
    return ({"role": "system", "content": text_of_parts(system)}, *(messages or ()))


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
            return tuple(messages_of_one(value))
        return ({"role": "user", "content": json.dumps(value, ensure_ascii=False)},)
    if isinstance(value, str):
        return ({"role": "user", "content": value},)
    if not isinstance(value, Sequence):
        return ({"role": "user", "content": str(value)},)
    if len(value) == 1 and isinstance(value[0], list):  # LangChain's batches
        return messages_of(value[0])
    for message in value:
        if not isinstance(message, Mapping) or not _is_openai(message):
            return tuple(one for item in value for one in messages_of_one(item))
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


def messages_of_one(item: Any) -> list[Row]:  # noqa: PLR0911 - a table of cases
    """Return one message of Anthropic, Responses, Gemini, LangChain or OpenTelemetry as OpenAI's."""
    if isinstance(item, str):
        return [{"role": "user", "content": item}]
    if isinstance(item, list):
        if len(item) == 2 and isinstance(item[0], str):  # LangChain's pairs of role and text
            return [{"role": _role_of(item[0]), "content": item[1]}]
        return [one for inner in item for one in messages_of_one(inner)]
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
        message["tool_calls"] = [tool_call_of(call) for call in calls if isinstance(call, Mapping)]
    for name in ("tool_call_id", "name"):
        if told.get(name):
            message[name] = told[name]
    return message


def _responses_item(item: Row) -> Row:
    if item["type"] == "function_call":
        return {"role": "assistant", "content": None, "tool_calls": [tool_call_of(item)]}
    return {"role": "tool", "tool_call_id": item.get("call_id"), "content": item.get("output")}


def _message_of_blocks(item: Row) -> list[Row]:
    """Split a message of blocks: calls belong to it, results become messages of their own."""
    results: list[Row] = []
    calls: list[Row] = []
    rest: list[Any] = []
    for block in item["content"]:
        kind = block.get("type") if isinstance(block, Mapping) else None
        if kind == "tool_use":
            calls.append(tool_call_of(block))
        elif kind == "tool_result":
            results.append(
                {
                    "role": "tool",
                    "tool_call_id": block.get("tool_use_id"),
                    "content": text_of_parts(block.get("content")),
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
    told["content"] = (text_of_parts(rest) if only_text else rest) if rest else None
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
            calls.append(tool_call_of(call if isinstance(call, Mapping) else part))
        elif isinstance(result, Mapping) or kind == "tool_call_response":
            told = result if isinstance(result, Mapping) else part
            content = next((told[name] for name in ("response", "result", "content") if name in told), None)
            results.append(
                {
                    "role": "tool",
                    "tool_call_id": told.get("id") or told.get("name"),
                    "content": text_of_parts(content),
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


def tool_call_of(call: Row) -> Row:
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


def text_of_parts(value: Any) -> str:
    """Return the text of a string, a block, or a list of either."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "\n".join(filter(None, map(text_of_parts, value)))
    if isinstance(value, Mapping):
        if isinstance(value.get("parts"), list):
            return text_of_parts(value["parts"])
        for name in ("text", "content"):
            if isinstance(value.get(name), str):
                return str(value[name])
        return json.dumps(value, ensure_ascii=False)
    return "" if value is None else str(value)
