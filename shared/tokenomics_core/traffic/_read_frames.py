"""Tell lines, documents and tables apart, and give their rows one at a time, however large the file."""

from __future__ import annotations

import codecs
import csv
import json
import re
import sys
from collections.abc import Iterator, Mapping
from functools import partial
from itertools import chain
from typing import Any, BinaryIO, Literal

from tokenomics_core.traffic._read_tally import Tally

__all__ = ["CONTAINERS", "Frame", "csv_rows", "document_rows", "frame_of", "line_rows"]

Frame = Literal["lines", "documents", "csv", "parquet", "sqlite"]

CONTAINERS = (
    *(
        "data",
        "resourceSpans",
        "resource_spans",
        "observations",
        "traces",
        "runs",
        "spans",
        "items",
        "results",
    ),
    *("logs", "requests", "records", "resourceLogs"),
)
"""Fields under which documents keep their rows."""

_MAX_VALUE_BYTES = 64 << 20
_CHUNK_BYTES = 1 << 18
_LOOKED_AT = 20
_LONGEST_OPENING = 200
_SPACE = re.compile(r"[\s]*")
_BETWEEN = re.compile(r"[\s,]*")
_CONTAINER = re.compile(r'\{\s*"(?:' + "|".join(CONTAINERS) + r')"\s*:\s*\[')
_loads = json.loads


def frame_of(head: bytes, *, is_whole: bool) -> Frame:  # noqa: PLR0911 - a table of cases
    """Tell what a file is made of by its beginning, which may be all of it."""
    if head.startswith(b"PAR1"):
        return "parquet"
    if head.startswith(b"SQLite format 3\0"):
        return "sqlite"
    lines = [line for line in head.splitlines() if line.strip()][: _LOOKED_AT + 1]
    if not lines:
        return "lines"
    first = lines[0].strip()
    if first.startswith(b"["):
        return "documents"
    if first.startswith(b"{"):
        if _is_object(first):
            return "lines"
        if len(lines) == 1:
            return "lines" if is_whole else "documents"
        return "lines" if lines[1].lstrip().startswith(b"{") and first != b"{" else "documents"
    return "lines" if any(map(_is_object, lines[1:])) else "csv"


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


# Lines


def line_rows(
    name: str, stream: BinaryIO, tally: Tally, *, stop: int | None = None, first_line: int = 1
) -> Iterator[tuple[str, Any]]:
    """Yield each line's place and value; blank lines are passed over.

    A part ends with the last line that begins before byte `stop`; the stream stands at line `first_line`.
    """
    number = first_line - 1
    at = stream.tell() if stop is not None else 0
    readline = stream.readline
    while stop is None or at < stop:
        line = readline(_MAX_VALUE_BYTES)
        if not line:
            return
        at += len(line)
        number += 1
        try:
            yield f"{name}:{number}", _loads(line)
        except (ValueError, RecursionError) as error:
            if not line.strip():
                continue
            if len(line) == _MAX_VALUE_BYTES and not line.endswith(b"\n"):
                at += _skip_line(stream)
                tally.refuse(f"{name}:{number}", "the line has more than 64 MB", line[:200])
            else:
                tally.refuse(f"{name}:{number}", f"no JSON ({_reason_of(error)})", line)


def _reason_of(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at character {error.pos + 1}"
    return "no UTF-8" if isinstance(error, UnicodeDecodeError) else type(error).__name__


def _skip_line(stream: BinaryIO) -> int:
    skipped = 0
    while piece := stream.readline(_CHUNK_BYTES):
        skipped += len(piece)
        if piece.endswith(b"\n"):
            break
    return skipped


# Documents


def document_rows(name: str, stream: BinaryIO, tally: Tally) -> Iterator[tuple[str, Any]]:
    """Yield the elements of JSON arrays, also inside a document such as `{"data": [...]}`, as they come.

    One element at a time is held in memory. Where the text is no JSON the rest of it is given up.
    """
    text = _Text(stream)
    number = 0
    try:
        for value in _values_of(text):
            number += 1
            yield f"{name}[{number}]", value
    except (ValueError, RecursionError) as error:
        reason = error.msg if isinstance(error, json.JSONDecodeError) else str(error) or type(error).__name__
        tally.refuse(
            f"{name}[{number + 1}]", f"no JSON ({reason}); the rest of the file was not read", text.rest(200)
        )


def _values_of(text: _Text) -> Iterator[Any]:
    while True:
        text.skip(_BETWEEN)
        char = text.char()
        if not char:
            return
        if char == "[":
            text.pos += 1
            yield from _elements_of(text)
        elif text.enters(_CONTAINER):
            yield from _elements_of(text)
            _skip_members(text)
        else:
            yield text.value()


def _elements_of(text: _Text) -> Iterator[Any]:
    while True:
        text.skip(_BETWEEN)
        char = text.char()
        if char == "]":
            text.pos += 1
            return
        if not char:
            raise ValueError("it ends in the middle of an array")
        yield text.value()


def _skip_members(text: _Text) -> None:
    while True:
        text.skip(_BETWEEN)
        char = text.char()
        if char == "}":
            text.pos += 1
            return
        if not char:
            raise ValueError("it ends in the middle of an object")
        text.value()
        text.skip(_SPACE)
        if text.char() != ":":
            raise ValueError("a member has no value")
        text.pos += 1
        text.skip(_SPACE)
        text.value()


class _Text:
    """The part of a document that is being looked at; what was read is let go."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._raw_decode = json.JSONDecoder().raw_decode
        self._buffer = ""
        self._at_end = False
        self.pos = 0

    def char(self) -> str:
        """Return the character at hand, or nothing at the end."""
        if self.pos >= len(self._buffer):
            self._fill(_CHUNK_BYTES)
        return self._buffer[self.pos : self.pos + 1]

    def skip(self, pattern: re.Pattern[str]) -> None:
        """Go past what matches."""
        while True:
            found = pattern.match(self._buffer, self.pos)
            self.pos = self.pos if found is None else found.end()
            if self.pos < len(self._buffer) or not self._fill(_CHUNK_BYTES):
                return

    def enters(self, pattern: re.Pattern[str]) -> bool:
        """Go past an opening if it is there."""
        while len(self._buffer) - self.pos < _LONGEST_OPENING and self._fill(_CHUNK_BYTES):
            pass
        found = pattern.match(self._buffer, self.pos)
        if found is None:
            return False
        self.pos = found.end()
        return True

    def value(self) -> Any:
        """Return the value at hand, whole."""
        wanted = _CHUNK_BYTES
        while True:
            try:
                value, end = self._raw_decode(self._buffer, self.pos)
            except json.JSONDecodeError:
                if len(self._buffer) - self.pos > _MAX_VALUE_BYTES:
                    raise ValueError("a value is damaged or has more than 64 MB") from None
                if not self._fill(wanted):
                    raise
                wanted = len(self._buffer)  # so that a large value is not parsed too often
                continue
            if end == len(self._buffer) and not self._at_end and self._fill(_CHUNK_BYTES):
                continue  # a number may go on
            self.pos = end
            return value

    def rest(self, size: int) -> str:
        """Return the next characters, for a message."""
        return self._buffer[self.pos : self.pos + size]

    def _fill(self, size: int) -> bool:
        if self._at_end:
            return False
        piece = self._stream.read(size)
        self._at_end = not piece
        self._buffer = self._buffer[self.pos :] + self._decode(piece, final=self._at_end)
        self.pos = 0
        return not self._at_end


# Tables


def csv_rows(name: str, stream: BinaryIO, tally: Tally) -> Iterator[tuple[str, Mapping[str, str]]]:
    """Yield the rows of a table with a header, whose delimiter is a comma, semicolon, tab or bar."""
    # Prompts are longer than the 128 KB that the module allows; the limit can only be set for all.
    csv.field_size_limit(max(csv.field_size_limit(), min(_MAX_VALUE_BYTES, sys.maxsize)))
    text = (line.decode("utf-8", "replace") for line in iter(partial(stream.readline, _MAX_VALUE_BYTES), b""))
    header = next(text, "")
    delimiter = max(",;\t|", key=header.count)
    reader = csv.reader(chain([header], text), delimiter=delimiter)
    names = [cell.strip() for cell in next(reader, [])]
    while True:
        where = f"{name}:{reader.line_num + 1}"
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            tally.refuse(where, f"no row ({error})")
            continue
        if len(cells) == len(names):
            yield where, dict(zip(names, cells, strict=True))
        elif cells:
            tally.refuse(where, f"{len(cells)} cells under {len(names)} names", delimiter.join(cells))
