"""Take a request apart: what must be equal to share an answer, and what may be said in other words."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import Any

from llama_index.core.base.llms.types import (
    CachePoint,
    ChatMessage,
    MessageRole,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
)
from llama_index.core.tools.types import BaseTool
from pydantic import BaseModel, SecretStr

from llama_index_tokenomics._models import kind_of
from tokenomics_core.cache._hit import How

__all__ = [
    "Asked",
    "Split",
    "account_of",
    "asked_in_chat",
    "asked_in_completion",
    "is_readable",
    "message_parts",
    "plain",
    "settings_of",
    "tool_parts",
]

_UNREADABLE = "\0unreadable"
_DEEPEST = 40
_SHORT_CHARS = 300
_COLLECTIONS = (Mapping, list, tuple, set, frozenset)
_LANGCHAIN_HARMLESS = frozenset(
    {"cache", "callbacks", "metadata", "name", "tags", "verbose", "custom_get_token_ids", "request_timeout"}
)
_HARMLESS = frozenset(
    {
        "api_key",
        "async_http_client",
        "aws_access_key_id",
        "aws_secret_access_key",
        "aws_session_token",
        "cache_idx",
        "callback_manager",
        "default_headers",
        "http_client",
        "max_retries",
        "num_workers",
        "output_parser",
        "rate_limiter",
        "retries",
        "reuse_client",
        "timeout",
        "tokenizer",
    }
)
"""Settings that do not change what a model says; secrets among them never reach a cache."""
_KEYS = ("api_key", "aws_access_key_id")
_SAID_BY_US = frozenset({"cache_control", "tool_call_id", "usage"})


@dataclass(frozen=True, slots=True)
class Split:
    """A prompt, and where in it the question stands.

    Attributes:
        question: What may be said in other words; None where the prompt names none.
        mark: What stands for it in the frame.
        messages: The prompt as messages with the mark in place of the question.
        prompt: The same as one text.
    """

    question: str | None = None
    mark: str = ""
    messages: tuple[ChatMessage, ...] | None = None
    prompt: str | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked, and what stands around it.

    Attributes:
        messages: As the core reads them: the last one is the question.
        around: What else must be equal.
        most: How it may be served at most.
        why: Why not by meaning; empty where it may be.
    """

    messages: list[dict[str, Any]]
    around: Any = None
    most: How = "semantic"
    why: str = ""


def asked_in_chat(messages: Sequence[ChatMessage], split: Split | None = None) -> Asked:
    """Take the last turn of the user as the question; in a prompt, the question that it was made for.

    A prompt without one is matched word for word: a template and what was put into it cannot be told apart.
    """
    parts = message_parts(messages)
    if split is None:
        return Asked(parts)
    frame = [] if split.messages is None else message_parts(split.messages)
    if (
        split.question is not None
        and frame
        and _filled(frame, split.mark, split.question) == parts
        and (all(isinstance(part["content"], str) for part in parts))
    ):
        return Asked([{"role": "user", "content": split.question}], {"frame": frame})
    return Asked(parts, most="exact", why="a prompt without a question of its own")


def asked_in_completion(prompt: str, *, formatted: bool, split: Split | None = None) -> Asked:
    """Take a short paragraph as the question; of a prompt, the question that it was made for."""
    around = {"formatted": formatted}
    if (
        split is not None
        and split.question is not None
        and split.prompt is not None
        and split.mark in split.prompt
        and split.prompt.replace(split.mark, split.question) == prompt
    ):
        return Asked([{"role": "user", "content": split.question}], {**around, "frame": split.prompt})
    is_short = split is None and len(prompt) <= _SHORT_CHARS and "\n" not in prompt.strip()
    return Asked(
        [{"role": "user", "content": prompt}],
        around,
        most="semantic" if is_short else "exact",
        why="" if is_short else "a prompt without a question of its own",
    )


def message_parts(messages: Sequence[ChatMessage]) -> list[dict[str, Any]]:
    """Return messages as plain data.

    What providers add to earlier answers (usage, thoughts, markers of their prompt caches) is left out, and
    ids of tool calls are replaced by the order in which they come: they differ from run to run.
    """
    ids: dict[str, int] = {}
    return [_message(message, ids) for message in messages]


def tool_parts(tools: Sequence[BaseTool]) -> list[Any]:
    """Return what a model is told of tools."""
    return [
        {
            "name": tool.metadata.name,
            "description": tool.metadata.description,
            "parameters": plain(tool.metadata.get_parameters_dict()),
        }
        for tool in tools
    ]


def settings_of(model: object) -> dict[str, Any]:
    """Return which model it is and how it is set, without secrets."""
    kind = type(model)
    settings: dict[str, Any] = {"class": f"{kind.__module__}.{kind.__qualname__}"}
    if kind_of(model).is_langchain:
        settings["llm"] = plain(getattr(model, "llm", None))
    if isinstance(model, BaseModel):
        settings |= _fields(model, 0)
    else:
        settings["metadata"] = plain(getattr(model, "metadata", None))
    return settings


def account_of(model: object) -> list[str]:
    """Return digests of the keys that a model is asked with."""
    if kind_of(model).is_langchain:
        model = getattr(model, "llm", None)
    found = []
    for name in getattr(type(model), "model_fields", _KEYS):
        value = getattr(model, name, None)
        secret = (
            value.get_secret_value() if isinstance(value, SecretStr) else value if name in _KEYS else None
        )
        if isinstance(secret, str) and secret:
            found.append(hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest())
    return found


def is_readable(value: Any) -> bool:
    """Whether `plain` could read all of a value."""
    if isinstance(value, Mapping):
        return all(map(is_readable, value.values()))
    if isinstance(value, list):
        return all(map(is_readable, value))
    return not (isinstance(value, str) and value == _UNREADABLE)


def plain(value: Any, depth: int = 0) -> Any:
    """Return a value as JSON types, the same for equal values; what is none of them is marked."""
    if depth > _DEEPEST:
        return _UNREADABLE
    if isinstance(value, Enum):
        return plain(value.value, depth + 1)
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else _UNREADABLE
    return _collection(value, depth + 1) if isinstance(value, _COLLECTIONS) else _object(value, depth + 1)


def _message(message: ChatMessage, ids: dict[str, int]) -> dict[str, Any]:
    texts: list[str] = []
    calls: list[Any] = []
    others: list[Any] = []
    for block in message.blocks:
        if isinstance(block, TextBlock):
            texts.append(block.text)
        elif isinstance(block, ToolCallBlock):
            number = _number(block.tool_call_id, ids)
            calls.append({"call": number, "tool": block.tool_name, "arguments": plain(block.tool_kwargs)})
        elif not isinstance(block, (CachePoint, ThinkingBlock)):
            others.append(plain(block.model_dump(mode="json")))
    content: Any = "".join(texts) if len(texts) <= 1 else "\n".join(texts)
    part: dict[str, Any] = {"role": message.role.value, "content": [content, *others] if others else content}
    if len(texts) > 1:
        part["blocks"] = len(texts)
    if calls:
        part["calls"] = calls
    told = message.additional_kwargs
    if (answered := told.get("tool_call_id")) is not None:
        part["answers"] = _number(answered, ids)
    if message.role in {MessageRole.ASSISTANT, MessageRole.CHATBOT, MessageRole.MODEL}:
        if not calls and told.get("tool_calls"):
            part["told"] = plain(told["tool_calls"])
    elif rest := {name: plain(value) for name, value in told.items() if name not in _SAID_BY_US}:
        part["told"] = rest
    return part


def _number(id_: object, ids: dict[str, int]) -> int | None:
    return None if id_ is None else ids.setdefault(str(id_), len(ids))


def _filled(frame: Any, mark: str, question: str) -> Any:
    """Put the question back where the mark stands."""
    if isinstance(frame, str):
        return frame.replace(mark, question)
    if isinstance(frame, list):
        return [_filled(item, mark, question) for item in frame]
    if isinstance(frame, dict):
        return {key: _filled(item, mark, question) for key, item in frame.items()}
    return frame


def _collection(value: Any, depth: int) -> Any:
    if isinstance(value, Mapping):
        return {str(key): plain(item, depth) for key, item in value.items()}
    items = [plain(item, depth) for item in value]
    return sorted(items, key=repr) if isinstance(value, (set, frozenset)) else items


def _object(value: Any, depth: int) -> Any:
    """Read a model by its fields, a schema by its content, and a named function or class by its name."""
    if isinstance(value, type) and issubclass(value, BaseModel):
        return {"schema": plain(value.model_json_schema(), depth)}
    if isinstance(value, BaseModel):
        kind = type(value)
        return {"class": f"{kind.__module__}.{kind.__qualname__}", **_fields(value, depth)}
    name = getattr(value, "__qualname__", None)
    if isinstance(name, str) and "<" not in name:
        return f"{getattr(value, '__module__', '')}.{name}"
    return _UNREADABLE


def _fields(model: BaseModel, depth: int) -> dict[str, Any]:
    found = {}
    for name in _telling_fields(type(model)):
        value = getattr(model, name, None)
        if not isinstance(value, SecretStr):
            found[name] = plain(value, depth + 1)
    return found


@lru_cache(maxsize=256)
def _telling_fields(kind: type[BaseModel]) -> tuple[str, ...]:
    langchain = kind.__module__.startswith("langchain")
    return tuple(
        sorted(
            name
            for name, field in kind.model_fields.items()
            if name not in _HARMLESS and not (langchain and (field.exclude or name in _LANGCHAIN_HARMLESS))
        )
    )
