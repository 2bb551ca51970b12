"""Take LangChain's cache keys apart, as plain data: nothing in them is ever brought to life."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from tokenomics_core.cache import ChatRequest

__all__ = ["NEUTRAL", "Setup", "read_messages", "read_setup", "request_of"]

_ROLES = {"human": "user", "ai": "assistant", "AIMessageChunk": "assistant", "HumanMessageChunk": "user"}
_ESCAPED = "__lc_escaped__"
_OBJECT = re.compile(r"<\w[^<>]*( at 0x|>)|SecretStr\(")

# How a request is sent, metered or shown; not what is answered.
NEUTRAL = frozenset(
    {
        "async_client",
        "cache",
        "cache_control",
        "callbacks",
        "client",
        "custom_get_token_ids",
        "default_request_timeout",
        "disable_streaming",
        "http_async_client",
        "http_client",
        "http_socket_options",
        "ls_structured_output_format",
        "max_retries",
        "metadata",
        "name",
        "prompt_cache_key",
        "prompt_cache_options",
        "prompt_cache_retention",
        "rate_limiter",
        "request_timeout",
        "root_async_client",
        "root_client",
        "stream",
        "stream_options",
        "stream_usage",
        "streaming",
        "tags",
        "timeout",
        "verbose",
    }
)
_SECRET_TYPES = frozenset({"secret"})
_PART_MARKERS = frozenset({"cache_control", "signature", "index", "partial_json", "caller"})
_FREE_FORM = frozenset({"input", "args", "arguments", "parameters", "input_schema"})
_TOLD_APART_BY_PLACE = "tool_call_id"


@dataclass(frozen=True, slots=True)
class Setup:
    """Everything of a request but its messages.

    Attributes:
        model: Which model is asked.
        settings: What it is asked with; None where a part of it cannot be read.
        tools: As the model is told of them.
        schema: What the answer must look like.
        other: A key that LangChain did not make, as it is.
    """

    model: str | None = None
    settings: Mapping[str, Any] | None = None
    tools: tuple[Any, ...] | None = None
    schema: Any = None
    other: str | None = None


def request_of(prompt: str, llm_string: str, tenant: str | None) -> tuple[ChatRequest, bool]:
    """Return a request as plain data, and whether it is one of chat messages."""
    setup = read_setup(llm_string)
    messages = read_messages(prompt)
    is_chat = messages is not None
    told = messages if messages is not None else [{"role": "user", "content": prompt}]
    return (
        ChatRequest(
            messages=[] if told is UNREADABLE_MESSAGES else told,
            model=setup.model,
            settings=None if told is UNREADABLE_MESSAGES else setup.settings,
            tools=setup.tools,
            response_schema=setup.schema,
            tenant=tenant,
            extra={"langchain": "chat" if is_chat else "text", "other": setup.other},
        ),
        is_chat,
    )


UNREADABLE_MESSAGES: list[dict[str, Any]] = []
"""Stands for messages that hold what was not written down, told apart by identity."""


def read_messages(prompt: str) -> list[dict[str, Any]] | None:
    """Return what a model is told, without ids, usage and markers; None where this is no list of messages.

    Ids of tool calls become their place in the conversation: a cached turn has new ids each time.
    """
    if not prompt.startswith("["):
        return None
    try:
        raw = json.loads(prompt)
    except (ValueError, RecursionError):
        return None
    if not isinstance(raw, list) or not raw or not all(_is_message(item) for item in raw):
        return None
    try:
        messages = [_message(_unescaped(item["kwargs"])) for item in raw]
    except UnreadableError:
        return UNREADABLE_MESSAGES
    places = _places(messages)
    return [_with_places(message, places) for message in messages] if places else messages


@lru_cache(maxsize=128)
def read_setup(llm_string: str) -> Setup:
    """Return which model is asked and how."""
    configured: Any = None
    rest = llm_string
    if llm_string.startswith("{"):
        try:
            configured, end = json.JSONDecoder().raw_decode(llm_string)
            rest = llm_string[end:].removeprefix("---")
        except (ValueError, RecursionError):
            configured = None
    try:
        called = dict(ast.literal_eval(rest)) if rest else {}
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        is_made_by_langchain = configured is not None or rest.startswith("[(")
        if is_made_by_langchain or _OBJECT.search(llm_string):
            return Setup()
        return Setup(settings={}, other=llm_string)
    try:
        return _setup(configured, called)
    except UnreadableError:
        return Setup()


class UnreadableError(Exception):
    """A part has a name or an address instead of a content."""


def _setup(configured: Any, called: dict[Any, Any]) -> Setup:
    is_known = isinstance(configured, dict) and isinstance(configured.get("kwargs"), dict)
    settings = {"class": configured.get("id")} if is_known else {}
    given = {**(configured["kwargs"] if is_known else {}), **called}
    for name, value in given.items():
        if name not in NEUTRAL and not _is_secret(value):
            settings[str(name)] = _readable(_unescaped(value))
    model = settings.pop("model", None) or settings.get("model_name")
    settings.pop("model_name", None)
    tools = settings.pop("tools", None)
    return Setup(
        model=model if isinstance(model, str) else None,
        settings=settings if model is None or isinstance(model, str) else {**settings, "model": model},
        tools=tuple(_without_markers(tool) for tool in tools) if isinstance(tools, list | tuple) else tools,
        schema=settings.pop("response_format", None),
    )


def _is_secret(value: Any) -> bool:
    return isinstance(value, dict) and value.get("lc") == 1 and value.get("type") in _SECRET_TYPES


def _readable(value: Any) -> Any:
    """Return a value; an `UnreadableError` where something in it was not written down."""
    if isinstance(value, dict):
        if value.get("lc") == 1 and value.get("type") == "not_implemented":
            raise UnreadableError
        return {key: _readable(item) for key, item in value.items()}
    return [_readable(item) for item in value] if isinstance(value, list | tuple) else value


def _unescaped(value: Any) -> Any:
    """Undo what keeps a user's own `lc` keys from being taken for LangChain's."""
    if isinstance(value, dict):
        if set(value) == {_ESCAPED}:
            return value[_ESCAPED]
        return {key: _unescaped(item) for key, item in value.items()}
    return [_unescaped(item) for item in value] if isinstance(value, list) else value


def _is_message(item: Any) -> bool:
    if (
        not isinstance(item, dict)
        or item.get("type") != "constructor"
        or not isinstance(item.get("id"), list)
    ):
        return False
    name = str((item["id"] or [""])[-1])
    return name.endswith(("Message", "MessageChunk")) and isinstance(item.get("kwargs"), dict)


def _message(told: dict[str, Any]) -> dict[str, Any]:
    """Keep of a message what a model sees of it."""
    kind = str(told.get("type", ""))
    extra = told.get("additional_kwargs")
    extra = extra if isinstance(extra, dict) else {}
    role = extra.get("__openai_role__") or told.get("role") or _ROLES.get(kind, kind)
    message: dict[str, Any] = {"role": role, "content": _content(told.get("content"))}
    for name in ("name", "status", _TOLD_APART_BY_PLACE):
        if told.get(name) not in {None, "success"}:
            message[name] = told[name]
    for name in ("tool_calls", "invalid_tool_calls"):
        if calls := told.get(name):
            message[name] = [
                {key: call.get(key) for key in ("name", "args", "id")}
                for call in calls
                if isinstance(call, dict)
            ]
    for name in ("function_call", "refusal"):
        if extra.get(name):
            message[name] = extra[name]
    return {name: _readable(value) for name, value in message.items()}


def _content(content: Any) -> Any:
    """Return content without markers; one part of text is the text."""
    plain = _without_markers(content)
    if isinstance(plain, list) and len(plain) == 1:
        only = plain[0]
        if isinstance(only, str):
            return only
        if isinstance(only, dict) and set(only) == {"type", "text"} and only["type"] == "text":
            return only["text"]
    return plain


def _without_markers(value: Any, *, is_block: bool = True) -> Any:
    """Drop what providers add to parts: markers of their prompt caches, signatures, places in a stream."""
    if isinstance(value, list | tuple):
        return [_without_markers(item, is_block=is_block) for item in value]
    if not isinstance(value, dict) or not is_block:
        return value
    dropped = _PART_MARKERS if "type" in value else {"cache_control"}
    return {
        key: _without_markers(item, is_block=key not in _FREE_FORM)
        for key, item in value.items()
        if key not in dropped
    }


def _places(messages: list[dict[str, Any]]) -> dict[str, str]:
    """Number the ids of tool calls in the order in which they come."""
    places: dict[str, str] = {}
    for message in messages:
        calls = [*message.get("tool_calls", ()), *message.get("invalid_tool_calls", ())]
        for name in (*(call["id"] for call in calls), message.get(_TOLD_APART_BY_PLACE)):
            if isinstance(name, str) and name:
                places.setdefault(name, f"call-{len(places)}")
    return places


def _with_places(value: Any, places: dict[str, str]) -> Any:
    """Replace ids wherever a part names a tool call by its id; never inside its arguments."""
    if isinstance(value, dict):
        return {
            key: places.get(item, item)
            if key in {"id", _TOLD_APART_BY_PLACE, "tool_use_id", "call_id"} and isinstance(item, str)
            else item
            if key in {"args", "input", "arguments"}
            else _with_places(item, places)
            for key, item in value.items()
        }
    return [_with_places(item, places) for item in value] if isinstance(value, list) else value
