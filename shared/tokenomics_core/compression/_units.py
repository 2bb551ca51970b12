"""What a text is made of: the pieces that stay or go as a whole, and what each cannot stand without."""

# ruff: noqa: RUF001 - marks of other scripts are meant

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Literal

from tokenomics_core.compression._document import title_end
from tokenomics_core.compression._json_units import json_layout
from tokenomics_core.compression._split import cut_long, sentence_spans

__all__ = ["Layout", "Unit", "UnitKind", "layout_of", "with_short_units"]

UnitKind = Literal["title", "heading", "sentence", "item", "lead", "table", "row", "code", "line", "record"]
Shape = Literal["text", "json"]


@dataclass(frozen=True, slots=True)
class Unit:
    """A piece of a text that is kept whole or not at all.

    Attributes:
        start: Where it begins in the text, in characters.
        end: Where it ends.
        kind: What it is.
        heads: Places among the text's units of what must be sent with it: title, headings, a table's header,
            the line that leads a list in.
        leans: Whether it speaks of the unit before it ("It ...", "This ...").
    """

    start: int
    end: int
    kind: UnitKind
    heads: tuple[int, ...] = ()
    leans: bool = False


@dataclass(frozen=True, slots=True)
class Layout:
    """The units of a text in their order; what lies between two is white space, or commas in JSON."""

    units: tuple[Unit, ...]
    shape: Shape = "text"


_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_HEADING = re.compile(r" {0,3}(#{1,6})[ \t]+\S")
_UNDERLINE = re.compile(r" {0,3}(=+|-{3,})[ \t]*$")
_ITEM = re.compile(r"[ \t]*(?:[-*+•‣▪·]|\(?\d{1,3}[.)]|\(?[a-zA-Z][)])[ \t]+\S")
_TABLE_RULE = re.compile(r"[ \t]*\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*$")
_LOG_LINE = re.compile(
    r"\[?(?:\d{4}-\d\d-\d\d|\d\d/\d\d/\d\d|\d\d:\d\d:\d\d"
    r"|[A-Z][a-z]{2} [ \d]\d \d\d:|\d{8}-\d|\d\d-\d\d \d\d:|\d{10}\b)"
    r"|\S+ ?\[?(?:DEBUG|INFO|WARN|WARNING|ERROR|FATAL|CRITICAL|TRACE|NOTICE)\b"
)
_CODE_LINE = re.compile(
    r"[ \t]*(?:(?:def|class|import|from|return|if|for|while|elif|else|try|except|func|fn|let|const|var|"
    r"public|private|static|void|int|struct|impl|package|using|namespace|export|function|async)\b.*[:;{()}]?$|[}\])];?,?$|"
    r"@\w+|//|#include|.*[;{]$)"
)
_LEANING = re.compile(
    r"[\"'“(]*(?:It|Its|This|These|That|Those|They|Their|He|His|She|Her|Such|Both|However|Therefore|Thus|Hence|"
    r"Er|Sie|Es|Dies(?:e[rsmn]?)?|Ihr[e]?|Sein[e]?|Daher|Dadurch|Il|Elle|Ils|Elles|Ce(?:s|tte|la)?|"
    r"Esto|Este|Esta|Ellos|Ella|Él|Questo|Questa|Essi|Он|Она|Они|Это|Эт[иао]т?)\b"
    r"|[这此它他她其该]",
)
_LONG_ITEM = 600
_LONG_SENTENCE = 300
_SHARE_OF_LOG_LINES = 0.6
_SHARE_OF_CODE_LINES = 0.5
_MIN_LINES = 6
_MAX_LOG_TAIL = 40


def layout_of(text: str) -> Layout:
    """Cut a text into units by what it is: JSON, a log, code, or prose with Markdown."""
    records = json_layout(text)
    if records is not None:
        return Layout(tuple(Unit(start, end, "record") for start, end in records), "json")
    if "\n" not in text:
        return Layout(_Reader(text).prose_only())
    lines = _lines(text)
    filled = [text[start:end] for start, end in lines if text[start:end].strip()]
    if len(filled) >= _MIN_LINES:
        if sum(1 for line in filled if _LOG_LINE.match(line)) >= _SHARE_OF_LOG_LINES * len(filled):
            return Layout(_log_units(text, lines))
        if _is_code(text, filled):
            return Layout(_code_units(text, lines))
    return Layout(_Reader(text).read(lines))


def with_short_units(layout: Layout, text: str, longest: int) -> Layout:
    """Cut prose, items of lists and lines of logs that no sentence is as long as, into short units."""
    units: list[Unit] = []
    place: dict[int, int] = {}
    for at, unit in enumerate(layout.units):
        place[at] = len(units)
        heads = tuple(place[head] for head in unit.heads)
        is_cuttable = unit.kind in {"sentence", "item", "line"} and unit.end - unit.start > _LONG_SENTENCE
        spans = cut_long(text, unit.start, unit.end, longest) if is_cuttable else [(unit.start, unit.end)]
        for number, (start, end) in enumerate(spans):
            leans = unit.leans and not number
            units.append(replace(unit, start=start, end=end, heads=heads, leans=leans))
    return replace(layout, units=tuple(units))


def _lines(text: str) -> list[tuple[int, int]]:
    """Return where each line begins and ends, without its line break."""
    spans: list[tuple[int, int]] = []
    start = 0
    while start <= len(text):
        end = text.find("\n", start)
        end = len(text) if end < 0 else end
        spans.append((start, end))
        start = end + 1
    return spans


class _Reader:
    """Reads prose with Markdown, line by line."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._units: list[Unit] = []
        self._title: tuple[int, ...] = ()
        self._headings: list[tuple[int, int]] = []
        self._prose: tuple[int, int] | None = None

    def prose_only(self) -> tuple[Unit, ...]:
        """Read a text of one line."""
        self._sentences(0, len(self._text), ())
        return tuple(self._units)

    def read(self, lines: list[tuple[int, int]]) -> tuple[Unit, ...]:
        """Read a text of several lines."""
        at = 0
        end_of_title = title_end(self._text)
        if end_of_title:
            start = len(self._text) - len(self._text.lstrip())
            self._title = (self._add(start, end_of_title, "title"),)
            while lines[at][1] < end_of_title:
                at += 1
            at += 1
        while at < len(lines):
            at = self._block(lines, at)
        self._close_prose()
        return tuple(self._units)

    def _block(self, lines: list[tuple[int, int]], at: int) -> int:  # noqa: PLR0911 - one per kind of block
        """Read what begins at a line, and return the line after it."""
        start, end = lines[at]
        line = self._text[start:end]
        if not line.strip():
            return at + 1
        fence = _FENCE.match(line)
        if fence:
            self._close_prose()
            return self._fence(lines, at, fence.group(1))
        heading = _HEADING.match(line)
        if heading:
            self._close_prose()
            self._heading(start, end, len(heading.group(1)))
            return at + 1
        following = self._text[slice(*lines[at + 1])] if at + 1 < len(lines) else ""
        if _UNDERLINE.match(following) and "|" not in line and self._prose_is_closed(start):
            self._close_prose()
            self._heading(start, lines[at + 1][1], 1 if "=" in following else 2)
            return at + 2
        if "|" in line and "|" in following and _TABLE_RULE.match(following):
            self._close_prose()
            return self._table(lines, at)
        if _ITEM.match(line):
            return self._list(lines, at)
        self._prose = (self._prose[0] if self._prose else start, end)
        return at + 1

    def _prose_is_closed(self, start: int) -> bool:
        return self._prose is None or "\n\n" in self._text[self._prose[1] : start + 1].replace("\r", "")

    def _heads(self) -> tuple[int, ...]:
        return self._title + tuple(place for _, place in self._headings)

    def _add(
        self, start: int, end: int, kind: UnitKind, heads: tuple[int, ...] = (), *, leans: bool = False
    ) -> int:
        self._units.append(Unit(start, end, kind, heads, leans))
        return len(self._units) - 1

    def _close_prose(self) -> None:
        if self._prose:
            self._sentences(*self._prose, self._heads())
            self._prose = None

    def _sentences(self, start: int, end: int, heads: tuple[int, ...]) -> None:
        for first, (one, other) in enumerate(sentence_spans(self._text, start, end)):
            leans = bool(first or self._units) and bool(_LEANING.match(self._text, one, other))
            self._add(one, other, "sentence", heads, leans=leans)

    def _fence(self, lines: list[tuple[int, int]], at: int, marks: str) -> int:
        """Keep a fenced block whole; one that is never closed goes on to the end."""
        closing = re.compile(rf" {{0,3}}{re.escape(marks[0])}{{{len(marks)},}}[ \t\r]*$")
        last = at + 1
        while last < len(lines) and not closing.match(self._text[slice(*lines[last])]):
            last += 1
        last = min(last, len(lines) - 1)
        self._add(lines[at][0], lines[last][1], "code", self._heads() + self._lead_in())
        return last + 1

    def _heading(self, start: int, end: int, level: int) -> None:
        self._headings = [kept for kept in self._headings if kept[0] < level]
        place = self._add(start, end, "heading", self._heads())
        self._headings.append((level, place))

    def _table(self, lines: list[tuple[int, int]], at: int) -> int:
        heads = self._heads() + self._lead_in()
        heads = (*heads, self._add(lines[at][0], lines[at + 1][1], "table", heads))
        at += 2
        while at < len(lines) and "|" in self._text[slice(*lines[at])]:
            self._add(*lines[at], "row", heads)
            at += 1
        return at

    def _list(self, lines: list[tuple[int, int]], at: int) -> int:
        self._close_prose()
        heads = self._heads() + self._lead_in()
        while at < len(lines):
            start, end = lines[at]
            if not _ITEM.match(self._text[start:end]):
                break
            at += 1
            while at < len(lines) and self._continues(lines[at]):
                end = lines[at][1]
                at += 1
            if end - start > _LONG_ITEM:
                for one, other in sentence_spans(self._text, start, end):
                    self._add(one, other, "item", heads, leans=bool(_LEANING.match(self._text, one, other)))
            else:
                self._add(start, end, "item", heads)
        return at

    def _lead_in(self) -> tuple[int, ...]:
        """Turn a last sentence that ends in a colon into a head of what it announces."""
        if not self._units or self._units[-1].kind != "sentence":
            return ()
        last = self._units[-1]
        if not self._text[last.start : last.end].endswith((":", "：")):
            return ()
        self._units[-1] = replace(last, kind="lead", leans=False)
        return (len(self._units) - 1,)

    def _continues(self, line: tuple[int, int]) -> bool:
        """A line goes on with an item where it is indented and begins no other block."""
        text = self._text[slice(*line)]
        return (
            (text[:2] in {"  ", " \t"} or text[:1] == "\t")
            and bool(text.strip())
            and not _ITEM.match(text)
            and not _FENCE.match(text.lstrip())
        )


def _log_units(text: str, lines: list[tuple[int, int]]) -> tuple[Unit, ...]:
    """One unit per entry: a line with its stamp, and the lines without one that follow it."""
    units: list[Unit] = []
    followers = 0
    for start, end in lines:
        line = text[start:end]
        if not line.strip():
            continue
        if units and not _LOG_LINE.match(line) and followers < _MAX_LOG_TAIL:
            units[-1] = Unit(units[-1].start, end, "line")
            followers += 1
        else:
            units.append(Unit(start, end, "line"))
            followers = 0
    return tuple(units)


def _is_code(text: str, filled: list[str]) -> bool:
    if "```" in text or "~~~" in text or any(_HEADING.match(line) for line in filled):
        return False
    return sum(1 for line in filled if _CODE_LINE.match(line)) >= _SHARE_OF_CODE_LINES * len(filled)


def _code_units(text: str, lines: list[tuple[int, int]]) -> tuple[Unit, ...]:
    """One unit per stretch of code that begins at the margin after a blank line."""
    units: list[Unit] = []
    after_blank = True
    for start, end in lines:
        line = text[start:end]
        if not line.strip():
            after_blank = True
            continue
        at_margin = line[0] not in " \t)}]"
        if not units or (after_blank and at_margin):
            units.append(Unit(start, end, "code"))
        else:
            units[-1] = Unit(units[-1].start, end, "code")
        after_blank = False
    return tuple(units)
