"""One text for equal values, and never one for values that differ."""

from __future__ import annotations

import datetime
import json
import math
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import fields, is_dataclass
from decimal import Decimal
from enum import Enum
from typing import Any, get_type_hints

from tokenomics_core.errors import ConfigurationError

__all__ = ["canonical", "schema_of", "tool_of"]

_DEEPEST = 64
_EXACT_FLOATS = 2**53


def canonical(value: Any) -> str:
    """Write a value as JSON that depends on nothing but the value, in every process.

    Every container carries its kind and keys keep their type, so no two values that differ are written alike.
    Numbers of equal value are the same number (0 and 0.0); `True` is none. Order counts in lists, and not in
    mappings and sets.

    Raises:
        ConfigurationError: The value, or a part of it, has no content that can be read.
    """
    return json.dumps(_plain(value, 0), ensure_ascii=True, separators=(",", ":"), allow_nan=False)


def schema_of(value: Any) -> Any:
    """Return what a response schema says, whatever its class is called; None for none.

    Takes a JSON schema, a class that knows its own (as pydantic's do), a dataclass, or a typed dictionary.
    """
    if isinstance(value, type):
        described = getattr(value, "model_json_schema", None)
        if callable(described):
            value = described()
        elif annotations := _annotations(value):
            return _fields(value, annotations)
    if isinstance(value, Mapping):
        return {key: item for key, item in value.items() if key != "title"}
    return value


def tool_of(value: Any) -> Any:
    """Return what a model is told of a tool: its name counts, as the model calls it by that."""
    if isinstance(value, type):
        return {"name": value.__name__, "description": value.__doc__, "schema": schema_of(value)}
    return value


def _fields(kind: type, annotations: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return {name: _type_of(type_) for name, type_ in annotations.items()}
    except RecursionError as error:
        raise ConfigurationError(
            f"the fields of {kind.__qualname__} contain themselves; no partition was made"
        ) from error


def _annotations(kind: type) -> dict[str, Any]:
    """Return the fields of a class with their types, those of nested classes by their content."""
    try:
        return get_type_hints(kind, include_extras=True)
    except (NameError, TypeError) as error:
        raise ConfigurationError(
            f"the fields of {kind.__qualname__} cannot be read: {error}; no partition was made"
        ) from error


def _type_of(kind: Any) -> Any:
    """Write the type of a field; a nested class by its content."""
    if isinstance(kind, type) and kind.__module__ != "builtins" and not hasattr(kind, "__args__"):
        described = schema_of(kind)
        return described if isinstance(described, Mapping) else f"{kind.__module__}.{kind.__qualname__}"
    return [
        str(getattr(kind, "__origin__", kind)),
        [_type_of(part) for part in getattr(kind, "__args__", ())],
    ]


def _plain(value: Any, depth: int) -> Any:  # noqa: PLR0911 - one line per kind of value
    if depth > _DEEPEST:
        raise ConfigurationError(f"a request is nested deeper than {_DEEPEST} levels; no partition was made")
    if value is None or value is True or value is False:
        return value
    if isinstance(value, Enum):
        return _plain(value.value, depth + 1)
    if isinstance(value, str):
        return str(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, Mapping):
        return _mapping(value, depth)
    if isinstance(value, list | tuple):
        return ["l", *(_plain(item, depth + 1) for item in value)]
    return _other(value, depth)


def _number(value: float) -> Any:
    if not math.isfinite(value):
        return ["f", repr(float(value))]
    return int(value) if value.is_integer() and abs(value) <= _EXACT_FLOATS else float(value)


def _mapping(value: Mapping[Any, Any], depth: int) -> Any:
    pairs = [(_plain(key, depth + 1), _plain(item, depth + 1)) for key, item in value.items()]
    return ["m", *([key, item] for key, item in sorted(pairs, key=lambda pair: json.dumps(pair[0])))]


def _other(value: Any, depth: int) -> Any:
    if isinstance(value, AbstractSet):
        return ["s", *sorted((_plain(item, depth + 1) for item in value), key=json.dumps)]
    if isinstance(value, bytes | bytearray | memoryview):
        return ["b", bytes(value).hex()]
    if isinstance(value, Decimal):
        return ["d", str(value)]
    if isinstance(value, datetime.datetime | datetime.date | datetime.time):
        return ["t", value.isoformat()]
    if is_dataclass(value) and not isinstance(value, type):
        return _mapping({item.name: getattr(value, item.name) for item in fields(value)}, depth)
    dump = getattr(value, "model_dump", None)
    if callable(dump) and not isinstance(value, type):
        return _plain(dump(mode="json"), depth + 1)
    raise ConfigurationError(
        f"a {type(value).__qualname__} has no content to tell requests apart by; no partition was made"
    )
