"""Sixty-four bits that stand for a request or a part of it: equal for equal ones, and cheap to keep."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b
from typing import Any, Final

__all__ = ["NOTHING", "as_bytes", "digest", "message_bytes", "settings_bytes"]

NOTHING: Final = 0
"""Stands for what the log does not tell; equal to nothing, not even to itself."""
_ENCODER: Final = json.JSONEncoder(sort_keys=True, ensure_ascii=False, separators=(",", ":"), default=str)
_BESIDE: Final = frozenset({"role", "content"})


def digest(*parts: bytes) -> int:
    """Digest parts into a signed number of 64 bits that is not `NOTHING`.

    Among a hundred million different requests two share a number with a chance of one in four thousand.
    """
    text = b"".join([piece for part in parts for piece in (b"%d:" % len(part), part)])
    return int.from_bytes(blake2b(text, digest_size=8).digest(), "little", signed=True) or 1


def as_bytes(value: object) -> bytes:
    """Write a value so that equal ones are written alike, whatever the order of their keys."""
    if isinstance(value, str):
        return b"s" + value.encode("utf-8", "surrogatepass")
    return b"j" + _ENCODER.encode(value).encode("utf-8", "surrogatepass")


def message_bytes(message: Mapping[str, Any]) -> bytes:
    """Write a message; keys that hold nothing do not count."""
    content = as_bytes(message.get("content") or "")
    role = str(message.get("role", "")).encode("utf-8", "surrogatepass")
    beside = {key: value for key, value in message.items() if key not in _BESIDE and value}
    head = b"%s\x00%d\x00" % (role, len(content))
    return head + content + (as_bytes(beside) if beside else b"")


def settings_bytes(settings: Mapping[str, Any], neutral: Iterable[str]) -> bytes:
    """Write the settings that change an answer; one that is None was not set."""
    telling = {key: value for key, value in settings.items() if value is not None}
    for name in neutral:
        telling.pop(name, None)
    return as_bytes(_whole(telling)) if telling else b""


def _whole(value: object) -> object:
    """Write 1.0 as 1, so that the same request is the same in logs of different tools."""
    if isinstance(value, float):
        return int(value) if value.is_integer() else value
    if isinstance(value, Mapping):
        return {str(key): _whole(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        return [_whole(item) for item in value]
    return value
