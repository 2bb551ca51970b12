"""Read JSON without changing a digit of it, and write it back as short as JSON allows."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import NoReturn, TypeAlias, Union

__all__ = [
    "NOTE_KEY",
    "CutList",
    "CutObject",
    "Json",
    "NotExactJsonError",
    "Number",
    "cut_note",
    "exact_json",
    "is_number",
    "minified",
    "quoted",
    "without_blanks",
]

Json: TypeAlias = Union[dict[str, "Json"], list["Json"], str, bool, None]  # noqa: UP007 - refers to itself
"""A JSON value whose numbers are kept as they were spelled."""

NOTE_KEY = "…"
"""Under which an object says how many of its entries were left out."""

_DEEPEST = 100
_STRING_OR_BLANKS = re.compile(r'("(?:[^"\\]|\\.)*")|\s+')
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")


class NotExactJsonError(ValueError):
    """A text is no JSON, or JSON that could not be given back exactly, such as one with a key twice."""


class Number(str):
    """A number as it was spelled: `1.0`, `1.00` and `1e0` stay what they are."""

    __slots__ = ()


class CutList(list[Json]):
    """A list of which elements were left out."""

    def __init__(self, kept: Iterable[Json], total: int) -> None:
        super().__init__(kept)
        self.total = total


class CutObject(dict[str, Json]):
    """An object of which entries were left out."""

    def __init__(self, kept: Mapping[str, Json], total: int) -> None:
        super().__init__(kept)
        self.total = total


def cut_note(value: Json) -> str | None:
    """Say how much of a value was left out; None where nothing was."""
    if not isinstance(value, (CutList, CutObject)):
        return None
    return f"… {value.total - len(value)} of {value.total} left out"


def exact_json(text: str) -> Json:
    """Read a JSON text; every number comes back as it was spelled.

    Raises:
        NotExactJsonError: It is no JSON (`NaN` is none), names a key twice, or nests deeper than 100 levels.
    """
    try:
        value: Json = json.loads(
            text,
            parse_float=Number,
            parse_int=Number,
            parse_constant=_no_constant,
            object_pairs_hook=_once_each,
        )
    except (ValueError, RecursionError) as error:
        raise NotExactJsonError(f"not read as JSON: {str(error)[:200]}") from error
    if _depth(value) > _DEEPEST:
        raise NotExactJsonError(f"nested deeper than {_DEEPEST} levels")
    return value


def minified(value: Json) -> str:
    """Write a value as JSON without a blank between its parts."""
    parts: list[str] = []
    _write(value, parts)
    return "".join(parts)


def without_blanks(text: str) -> str | None:
    """Return a JSON text without the blanks between its parts, all else to the letter; None where it is none.

    So is shortened what `exact_json` refuses: an object that names a key twice keeps both values.
    """
    try:
        json.loads(text, parse_float=Number, parse_int=Number, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return None
    return _STRING_OR_BLANKS.sub(lambda match: match[1] or "", text)


def quoted(text: str) -> str:
    """Write a string as JSON does, in the script it is in."""
    return json.dumps(text, ensure_ascii=not text.isascii() and _has_surrogate(text))


def is_number(text: str) -> bool:
    """Say whether JSON would read a text as a number."""
    return _NUMBER.fullmatch(text) is not None


def _write(value: Json, parts: list[str]) -> None:
    if isinstance(value, Number):
        parts.append(value)
    elif isinstance(value, str):
        parts.append(quoted(value))
    elif isinstance(value, dict):
        parts.append("{")
        for index, (key, inner) in enumerate(value.items()):
            parts.append(f"{',' if index else ''}{quoted(key)}:")
            _write(inner, parts)
        if note := cut_note(value):
            parts.append(f"{',' if value else ''}{quoted(NOTE_KEY)}:{quoted(note)}")
        parts.append("}")
    elif isinstance(value, list):
        parts.append("[")
        for index, inner in enumerate(value):
            if index:
                parts.append(",")
            _write(inner, parts)
        if note := cut_note(value):
            parts.append(f"{',' if value else ''}{quoted(note)}")
        parts.append("]")
    else:
        parts.append("null" if value is None else "true" if value else "false")


def _depth(value: Json) -> int:
    deepest, open_values = 0, [(value, 1)]
    while open_values:
        inner, depth = open_values.pop()
        deepest = max(deepest, depth)
        if isinstance(inner, dict):
            open_values.extend((child, depth + 1) for child in inner.values())
        elif isinstance(inner, list):
            open_values.extend((child, depth + 1) for child in inner)
    return deepest


def _once_each(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key is named twice")
    return found


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _has_surrogate(text: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in text)
