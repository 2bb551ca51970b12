"""Take messages of any framework apart into what costs tokens."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tokenomics_core.errors import ConfigurationError

__all__ = ["Parts", "take_apart", "tool_text"]

_ROLES = {"human": "user", "ai": "assistant", "AIMessageChunk": "assistant", "chatbot": "assistant"}
_MEDIA = ("image", "audio", "video", "document", "file", "input_image", "input_audio", "input_file")
_TEXTS = ("text", "thinking", "reasoning", "refusal", "input_text", "output_text")
_CALLS = frozenset({"tool_use", "tool_call", "function_call"})
_SILENT = frozenset({"type", "block_type", "id", "index", "cache_control", "signature", "annotations"})


@dataclass(slots=True)
class Parts:
    """What one request holds.

    Attributes:
        texts: Everything that is tokenized, each piece on its own.
        messages: Number of messages.
        names: Number of messages that name their speaker.
        media: Images and other files, by the detail asked for (`low`, or anything else).
        structured: Whether there are tool calls, whose framing providers do not document.
    """

    texts: list[str] = field(default_factory=list)
    messages: int = 0
    names: int = 0
    media: list[str] = field(default_factory=list)
    structured: bool = False


def take_apart(messages: Any) -> Parts:
    """Take apart a message or several: OpenAI or Anthropic mappings, LangChain's, LlamaIndex's, pairs.

    Raises:
        ConfigurationError: Something in the list is no message; nothing was counted.
    """
    if hasattr(messages, "to_messages"):  # LangChain's prompt values
        messages = messages.to_messages()
    if isinstance(messages, Mapping) or not isinstance(messages, Iterable) or _is_pydantic(messages):
        messages = [messages]
    parts = Parts()
    for message in messages:
        _take_message(message, parts)
    return parts


def tool_text(tool: Any) -> str:
    """Return the JSON of a tool's schema as OpenAI receives it."""
    if isinstance(tool, str):
        return tool
    if not isinstance(tool, Mapping):
        tool = _tool_schema(tool)
    return json.dumps(tool, ensure_ascii=False, default=str, separators=(",", ":"))


def _take_message(message: Any, parts: Parts) -> None:
    parts.messages += 1
    if isinstance(message, str):
        message = ("user", message)
    if isinstance(message, Sequence) and len(message) == 2 and isinstance(message[0], str):
        parts.texts.append(_ROLES.get(message[0], message[0]))
        _take_content(message[1], parts)
        return
    role, kind = _get(message, "role"), _get(message, "type")
    if role is None and kind is None:
        raise ConfigurationError(
            f"a message needs a role or a type; {message!r:.80} has none, nothing was counted"
        )
    content = _first(message, "blocks", "content", "parts")
    if role is None and content is None:  # an item of OpenAI's Responses, such as a function_call
        _take_block(message, parts)
        return
    role = str(getattr(role, "value", role) or kind)
    parts.texts.append(_ROLES.get(role, role))
    name = _get(message, "name")
    if isinstance(name, str) and name:
        parts.texts.append(name)
        parts.names += 1
    calls = _calls(message, content)
    _take_content(content, parts, without_calls=bool(calls))
    for call in calls:
        _take_call(call, parts)
    extra = _get(message, "additional_kwargs")
    if call_id := _get(message, "tool_call_id") or _get(extra, "tool_call_id"):
        parts.structured = True
        parts.texts.append(str(call_id))


def _calls(message: Any, content: Any) -> Sequence[Any]:
    """Return the tool calls beside a message's content; LlamaIndex has them in its blocks, too."""
    if isinstance(content, list) and any(_get(block, "tool_name") for block in content):
        return ()
    calls = _get(message, "tool_calls") or _get(_get(message, "additional_kwargs"), "tool_calls")
    return calls if isinstance(calls, (list, tuple)) else ()


def _take_call(call: Any, parts: Parts) -> None:
    function = _get(call, "function") or call
    parts.structured = True
    parts.texts += [
        str(_get(function, "name") or ""),
        _text(_first(function, "arguments", "args")),
        str(_get(call, "id") or ""),
    ]


def _take_content(content: Any, parts: Parts, *, without_calls: bool = False) -> None:
    if content is None:
        return
    if isinstance(content, str):
        parts.texts.append(content)
    elif isinstance(content, Iterable) and not isinstance(content, Mapping) and not _is_pydantic(content):
        for block in content:
            if not (without_calls and _get(block, "type") in _CALLS):
                _take_content(block, parts)
    else:
        _take_block(content, parts)


def _take_block(block: Any, parts: Parts) -> None:
    kind = str(_first(block, "type", "block_type") or "")
    source = _get(block, "source")
    if kind.startswith(_MEDIA) and _get(source, "type") != "text":
        parts.media.append(str(_get(_get(block, "image_url"), "detail") or _get(block, "detail") or "auto"))
        return
    text = next((text for name in _TEXTS if isinstance(text := _get(block, name), str)), None)
    if text is None and kind == "thinking":  # LlamaIndex
        text = _get(block, "content") or ""
    if text is not None:
        parts.texts.append(text)
        return
    parts.structured = True
    if name := _get(block, "tool_name"):  # LlamaIndex
        parts.texts += [str(name), _text(_get(block, "tool_kwargs"))]
    elif kind == "tool_result":  # Anthropic
        parts.texts.append(str(_get(block, "tool_use_id") or ""))
        _take_content(_get(block, "content"), parts)
    elif isinstance(block, Mapping):
        told = {name: value for name, value in block.items() if name not in _SILENT}
        parts.texts.append(_text(_get(source, "data") if kind.startswith(_MEDIA) else told))


def _tool_schema(tool: Any) -> Any:
    metadata = _get(tool, "metadata")
    if hasattr(metadata, "to_openai_tool"):  # LlamaIndex
        return metadata.to_openai_tool()
    if isinstance(tool, type) and hasattr(tool, "model_json_schema"):
        schema = tool.model_json_schema()
        return {"name": schema.get("title"), "description": schema.get("description"), "parameters": schema}
    arguments = _get(tool, "args")  # LangChain
    if arguments is None and callable(tool):
        arguments = {name: {"type": "string"} for name in inspect.signature(tool).parameters}
    return {
        "name": _first(tool, "name", "__name__"),
        "description": _first(tool, "description", "__doc__"),
        "parameters": {"type": "object", "properties": arguments},
    }


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, default=str, separators=(",", ":"))


def _get(source: Any, name: str) -> Any:
    return source.get(name) if isinstance(source, Mapping) else getattr(source, name, None)


def _first(source: Any, *names: str) -> Any:
    return next((value for name in names if (value := _get(source, name)) is not None), None)


def _is_pydantic(value: Any) -> bool:
    return hasattr(value, "model_fields_set")  # models iterate over their fields
