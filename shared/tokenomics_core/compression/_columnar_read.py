"""Read the columnar form back into the JSON that it was written from."""

from __future__ import annotations

import json
import re

from tokenomics_core.compression._columnar import BY_KEY, RESERVED, ROWS, WORDS, Column, Shape, width
from tokenomics_core.compression._json_text import Json, NotExactJsonError, Number, is_number

__all__ = ["read_columnar"]

_TABLE = re.compile(rf"([0-9]+)(?:({ROWS})|({BY_KEY}))")
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_BARE_KEY = re.compile(r"[\w$][\w$.\-]*")
_BARE = re.compile(r"[^,;{}\[\]\"\\\n]+")


def read_columnar(text: str) -> Json:
    """Read a text in the columnar form.

    Raises:
        NotExactJsonError: It is not in that form; the message says where.
    """
    reader = _Reader(text)
    value = reader.value()
    if reader.at != len(text):
        raise reader.wrong("the end")
    return value


class _Reader:
    def __init__(self, text: str) -> None:
        self.text, self.at = text, 0

    def wrong(self, expected: str) -> NotExactJsonError:
        return NotExactJsonError(
            f"expected {expected} at {self.at}, not {self.text[self.at : self.at + 30]!r}"
        )

    def value(self) -> Json:
        if self._next_is("{"):
            return self._object()
        if self._next_is("["):
            return self._list()
        return self._scalar()

    def _object(self) -> Json:
        self.at += 1
        table = self._match(_TABLE)
        if table:
            return self._table_by_key(int(table[1]))
        found: dict[str, Json] = {}
        while not self._took("}"):
            if found:
                self._take(",")
            name = self._name()
            self._take(":")
            found[name] = self.value()
        return found

    def _list(self) -> Json:
        self.at += 1
        table = self._match(_TABLE)
        if table:
            return self._table(int(table[1]))
        items: list[Json] = []
        while not self._took("]"):
            if items:
                self._take(",")
            items.append(self.value())
        return items

    def _table(self, rows: int) -> Json:
        shape = self._header("\n]")
        wide = any(map(width, shape))
        records: list[Json] = []
        for _ in range(rows):
            if wide:
                self._take("\n")
            records.append(self._row(shape, None, first=True))
        self._take("]")
        return records

    def _table_by_key(self, rows: int) -> Json:
        shape = self._header("\n")
        records: dict[str, Json] = {}
        for _ in range(rows):
            self._take("\n")
            key = self._text()
            records[key] = self._row(shape, key, first=False)
        self._take("}")
        return records

    def _header(self, ends: str) -> Shape:
        columns: list[Column] = []
        while self.at < len(self.text) and self.text[self.at] not in ends:
            if columns:
                self._take(",")
            name = self._name()
            optional = self._took("?")
            if self._took("="):
                if self._took("@key"):
                    columns.append(Column(name, "key"))
                else:
                    columns.append(Column(name, "constant", constant=self.value()))
            elif self._took("{"):
                columns.append(Column(name, "object", optional, inner=self._header("}")))
                self._take("}")
            elif self._took("["):
                columns.append(Column(name, "rows", optional, inner=self._header("]")))
                self._take("]")
            else:
                columns.append(Column(name, "text" if self._took(":text") else "cell", optional))
        return tuple(columns)

    def _row(self, shape: Shape, key: str | None, *, first: bool) -> dict[str, Json]:
        record, _ = self._cells(shape, key, first)
        return record

    def _cells(self, shape: Shape, key: str | None, first: bool) -> tuple[dict[str, Json], bool]:
        """Read one record's cells; say too whether any of them held something."""
        record: dict[str, Json] = {}
        anything = False
        for column in shape:
            if column.kind == "constant":
                record[column.name] = column.constant
            elif column.kind == "key":
                record[column.name] = key
            elif column.kind == "object":
                inner, held = self._cells(column.inner, key, first)
                first = first and not width(column)
                anything = anything or held
                if held or not column.optional:
                    record[column.name] = inner
            else:
                if not first:
                    self._take(",")
                first = False
                if self.at < len(self.text) and self.text[self.at] not in ",;]}\n":
                    anything = True
                    record[column.name] = self._cell(column)
        return record, anything

    def _cell(self, column: Column) -> Json:
        if column.kind == "rows":
            return self._records(column.inner)
        return self._text() if column.kind == "text" else self.value()

    def _records(self, shape: Shape) -> list[Json]:
        self._take("[")
        records: list[Json] = []
        while not self._took("]"):
            if records:
                self._take(";")
            records.append(self._row(shape, None, first=True))
        return records

    def _name(self) -> str:
        if self._next_is('"'):
            return self._quoted()
        found = self._match(_BARE_KEY)
        if not found:
            raise self.wrong("a name")
        return found[0]

    def _scalar(self) -> Json:
        if self._next_is('"'):
            return self._quoted()
        found = self._match(_BARE)
        if not found:
            raise self.wrong("a value")
        text = found[0]
        if RESERVED.match(text):
            raise NotExactJsonError(f"parts were left out: {text[:60]!r}")
        if text in WORDS:
            return WORDS[text]
        return Number(text) if is_number(text) else text

    def _text(self) -> str:
        if self._next_is('"'):
            return self._quoted()
        found = self._match(_BARE)
        if not found:
            raise self.wrong("a string")
        return found[0]

    def _quoted(self) -> str:
        found = self._match(_STRING)
        if not found:
            raise self.wrong("a quoted string")
        return str(json.loads(found[0]))

    def _match(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        found = pattern.match(self.text, self.at)
        if found:
            self.at = found.end()
        return found

    def _next_is(self, text: str) -> bool:
        return self.text.startswith(text, self.at)

    def _took(self, text: str) -> bool:
        took = self._next_is(text)
        self.at += len(text) * took
        return took

    def _take(self, text: str) -> None:
        if not self._took(text):
            raise self.wrong(repr(text))
