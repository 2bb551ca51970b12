"""Where the records of a JSON text lie, so that some can be left out and the rest is JSON still."""

from __future__ import annotations

import json
import re

__all__ = ["json_layout", "without_records"]

_SPACE = re.compile(r"[ \t\n\r]*")
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_SCALAR = re.compile(r"[^\s,\]}]+")
_SHARE_OF_ONE = 0.6


def json_layout(text: str) -> list[tuple[int, int]] | None:
    """Return the spans of a JSON text's records, or None where it is no JSON array or object of any size.

    The records are the elements of the outermost array, or the members of the outermost object; where one of
    them makes up most of the text and is an array or object itself, those of that one.
    """
    first, last = text.lstrip()[:1], text.rstrip()[-1:]
    if (first, last) not in {("[", "]"), ("{", "}")}:
        return None
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return None
    start = len(text) - len(text.lstrip())
    records = _members(text, start)
    while len(records) > 0:
        largest = max(records, key=lambda span: span[1] - span[0])
        inner = _value_start(text, largest)
        if largest[1] - largest[0] < _SHARE_OF_ONE * (len(text) - start) or text[inner] not in "[{":
            break
        deeper = _members(text, inner)
        if len(deeper) < 2 and len(records) > 1:
            break
        if not deeper:
            break
        records = deeper
    return records or None


def without_records(text: str, records: list[tuple[int, int]], kept: list[bool]) -> str:
    """Cut records out together with their commas; the rest is as it was, to the letter."""
    first_start, last_end = records[0][0], records[-1][1]
    parts = [text[:first_start]]
    is_first = True
    for place, (start, end) in enumerate(records):
        if not kept[place]:
            continue
        if not is_first:
            parts.append(text[records[place - 1][1] : start])
        parts.append(text[start:end])
        is_first = False
    parts.append(text[last_end:])
    return "".join(parts)


def _members(text: str, start: int) -> list[tuple[int, int]]:
    """Return the spans of the elements or members of the container that begins at `start`."""
    spans: list[tuple[int, int]] = []
    at = _skip(text, start + 1)
    while text[at] not in "]}":
        begin = at
        at = _end_of_value(text, at)
        follows = _skip(text, at)
        if text[follows] == ":":
            at = _end_of_value(text, _skip(text, follows + 1))
        spans.append((begin, at))
        at = _skip(text, at)
        if text[at] == ",":
            at = _skip(text, at + 1)
    return spans


def _value_start(text: str, span: tuple[int, int]) -> int:
    """Return where a record's value begins: itself, or what stands after its name."""
    start = span[0]
    if text[start] != '"':
        return start
    end = _end_of_value(text, start)
    if end >= span[1]:
        return start
    return _skip(text, _skip(text, end) + 1)


def _end_of_value(text: str, start: int) -> int:
    mark = text[start]
    if mark == '"':
        match = _STRING.match(text, start)
    elif mark in "[{":
        return _end_of_container(text, start)
    else:
        match = _SCALAR.match(text, start)
    return match.end() if match else len(text)


_BRACKETS = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)


def _end_of_container(text: str, start: int) -> int:
    depth = 0
    for match in _BRACKETS.finditer(text, start):
        mark = match.group()
        if mark in {"[", "{"}:
            depth += 1
        elif mark in {"]", "}"}:
            depth -= 1
            if depth == 0:
                return match.end()
    return len(text)


def _skip(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at
