"""Write what goes into a chain and what comes out of it as plain data."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from langchain_core.documents import Document
from langchain_core.messages import BaseMessage
from langchain_core.prompt_values import PromptValue

__all__ = ["NotPlainError", "plain_input", "read_output", "write_output"]

_DOCUMENT: Final = "__document__"
_DEEPEST: Final = 40


class NotPlainError(Exception):
    """A value has no plain form."""


def plain_input(value: Any, depth: int = 0) -> Any:
    """Return an input as JSON types; messages and documents by what they say, without ids and usage.

    Raises:
        NotPlainError: A part of it cannot be read.
    """
    if depth > _DEEPEST:
        raise NotPlainError("it is nested too deep")
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    if isinstance(value, BaseMessage):
        calls = [
            {"name": call["name"], "args": plain_input(call["args"], depth + 1)}
            for call in getattr(value, "tool_calls", ())
        ]
        return {"role": value.type, "content": plain_input(value.content, depth + 1), "tools": calls}
    if isinstance(value, Document):
        return {"document": value.page_content, "metadata": plain_input(value.metadata, depth + 1)}
    if isinstance(value, PromptValue):
        return [plain_input(message, depth + 1) for message in value.to_messages()]
    if isinstance(value, Mapping):
        return {str(key): plain_input(item, depth + 1) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain_input(item, depth + 1) for item in value]
    raise NotPlainError(f"it holds a {type(value).__name__}")


def write_output(value: Any) -> str:
    """Write an output as JSON: text, numbers, lists, mappings with text keys, documents.

    Raises:
        NotPlainError: A part of it cannot be written so that it comes back the same.
    """
    return json.dumps(_writable(value, 0), ensure_ascii=False, allow_nan=False)


def read_output(payload: bytes | str) -> Any:
    """Read back what `write_output` wrote.

    Raises:
        NotPlainError: It is something else.
    """
    try:
        return _read(json.loads(payload))
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise NotPlainError("it is no output of a chain") from error


def _writable(value: Any, depth: int) -> Any:
    if depth > _DEEPEST:
        raise NotPlainError("it is nested too deep")
    if isinstance(value, str):  # LangChain's parsers return subclasses that are text with a method more
        return str(value)
    if value is None or type(value) in {bool, int, float}:
        return value
    if type(value) is Document:
        return {
            _DOCUMENT: {
                "id": value.id,
                "page_content": value.page_content,
                "metadata": _writable(value.metadata, depth + 1),
            }
        }
    if type(value) is dict and all(type(key) is str for key in value) and _DOCUMENT not in value:
        return {key: _writable(item, depth + 1) for key, item in value.items()}
    if type(value) is list:
        return [_writable(item, depth + 1) for item in value]
    raise NotPlainError(f"it holds a {type(value).__name__}")


def _read(value: Any) -> Any:
    if isinstance(value, list):
        return [_read(item) for item in value]
    if isinstance(value, dict):
        if set(value) == {_DOCUMENT}:
            kept = value[_DOCUMENT]
            return Document(
                id=kept["id"], page_content=kept["page_content"], metadata=_read(kept["metadata"])
            )
        return {key: _read(item) for key, item in value.items()}
    return value
