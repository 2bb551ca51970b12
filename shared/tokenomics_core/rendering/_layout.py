"""Where every character of a table stands in a terminal of a given width."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from tokenomics_core.rendering._format import (
    decimals_of,
    display_width,
    format_cell,
    shorten,
    take_columns,
    visible,
)
from tokenomics_core.rendering._table import Bar, BarPart, Cell, Column, Level, Row, Table

__all__ = ["Line", "Span", "Style", "lay_out"]

Style = Literal["plain", "title", "strong", "head", "muted", "good", "warning", "error", "bar", "bar_good"]

_GAP = "  "
_MAX_NAME = 44
_MIN_NAME = 24
_LEAST_NAME = 6
_LOOK_AHEAD = 4
_STYLE_OF: dict[Level, Style] = {
    "normal": "plain",
    "muted": "muted",
    "good": "good",
    "warning": "warning",
    "error": "error",
}
_BAR_STYLE_OF: dict[Level, Style] = {**_STYLE_OF, "normal": "bar", "good": "bar_good"}
_MARK_OF: dict[Level, str] = {"normal": "·", "muted": "·", "good": "·", "warning": "!", "error": "!"}


@dataclass(frozen=True, slots=True)
class Span:
    """Characters of one style."""

    text: str
    style: Style = "plain"


Line = list[Span]


def lay_out(table: Table, width: int | None = None) -> list[Line]:
    """Break a table into lines, none of them wider than `width` columns where one is given.

    Where room is short, in this order: names are cut in the middle, bars shrink, large counts are
    abbreviated, and columns go by their priority.
    """
    lines = [*_heading(table, width)]
    if table.groups or table.footer:
        lines += [[], *_body(table, width)]
    if table.notices:
        lines.append([])
    for notice in table.notices:
        mark, style = _MARK_OF[notice.level], _STYLE_OF[notice.level]
        for index, part in enumerate(_wrap(visible(notice.text), None if width is None else width - 2)):
            lines.append([Span(f"{mark if index == 0 else ' '} {part}", style)])
    return lines if width is None else [_clip(line, width) for line in lines]


def _heading(table: Table, width: int | None) -> Iterator[Line]:
    title: Line = [Span(visible(table.title), "title")]
    if table.subtitle:
        title.append(Span(f"{_GAP}{visible(table.subtitle)}", "muted"))
    if width is not None and _line_width(title) > width:
        yield title[:1]
        title = [Span(title[1].text.strip(), "muted")] if len(title) > 1 else []
    if title:
        yield title
    line: Line = []
    for figure in table.figures:
        spans = [
            Span(f"{visible(figure.label)} ", "muted"),
            Span(format_cell(figure.cell, figure.kind), "strong"),
        ]
        if figure.cell.level != "normal":
            spans[1] = Span(spans[1].text, _STYLE_OF[figure.cell.level])
        if figure.cell.note:
            spans.append(Span(f" ({visible(figure.cell.note)})", _STYLE_OF[figure.cell.note_level]))
        if line and width is not None and _line_width(line) + 3 + _line_width(spans) > width:
            yield line
            line = []
        line += [Span("   "), *spans] if line else spans
    if line:
        yield line


# -- the body ----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Fit:
    """One way of making a table narrower."""

    compact: bool
    bar_width: int
    dropped: int = 0


def _body(table: Table, width: int | None) -> list[Line]:
    priorities = sorted((column.priority for column in table.columns if column.priority), reverse=True)
    fits = [_Fit(compact=False, bar_width=16), _Fit(compact=False, bar_width=10)]
    fits += [_Fit(compact=True, bar_width=10, dropped=dropped) for dropped in range(len(priorities) + 1)]
    for fit in fits:
        grid = _Grid(table, fit, priorities)
        if width is None or grid.fixed_width + min(grid.name_width, _MIN_NAME) <= width:
            break
    return grid.lines(width)


class _Grid:
    """The cells of a table as text, and the width that every column needs."""

    def __init__(self, table: Table, fit: _Fit, priorities: Sequence[int]) -> None:
        self._table, self._fit = table, fit
        self._kept = _kept_columns(table, fit, priorities)
        self._pieces = {
            index: _Pieces(column, [row.cells[index] for row in table.rows], fit)
            for index, column in self._kept
        }
        names = [self._name(row.cells[0]) for row in table.rows]
        names += [visible(group.title) for group in table.groups] + [visible(table.columns[0].title)]
        self.name_width = min(_MAX_NAME, max(map(display_width, names), default=0))
        self.fixed_width = sum(len(_GAP) + piece.width for piece in self._pieces.values())

    def lines(self, width: int | None) -> list[Line]:
        room = self.name_width if width is None else min(self.name_width, width - self.fixed_width)
        room = max(room, min(_LEAST_NAME, self.name_width))
        return list(self._lines(room))

    def _lines(self, room: int) -> Iterator[Line]:
        table = self._table
        rule = [Span("─" * (room + self.fixed_width), "muted")]
        own_head = bool(table.columns[0].title) or not table.groups
        head = table.columns[0].title if own_head else table.groups[0].title
        if self._pieces or head:
            yield self._head(head, room)
            yield rule
        for index, group in enumerate(table.groups):
            if index or (own_head and group.title):
                if index:
                    yield []
                yield [Span(shorten(visible(group.title), room + self.fixed_width), "head")]
            for row in group.rows:
                yield self._line(row, room)
        if table.footer is not None:
            yield rule
            yield self._line(table.footer, room, total=True)

    def _head(self, name: str, room: int) -> Line:
        line = [Span(_pad(shorten(visible(name), room), room, "left"), "head")]
        for index, column in self._kept:
            title = "" if column.kind == "bar" else visible(column.title)
            style: Style = "muted" if column.part else "head"
            line.append(Span(_GAP + self._pieces[index].heading(title), style))
        return line

    def _line(self, row: Row, room: int, *, total: bool = False) -> Line:
        first = row.cells[0]
        style = "strong" if total and first.level == "normal" else _STYLE_OF[first.level]
        line = [Span(_pad(shorten(self._name(first), room), room, self._table.columns[0].side), style)]
        for index, column in self._kept:
            line += [Span(_GAP), *self._pieces[index].spans(row.cells[index], column, total=total)]
        return line

    def _name(self, cell: Cell) -> str:
        return format_cell(cell, self._table.columns[0].kind)


def _kept_columns(table: Table, fit: _Fit, priorities: Sequence[int]) -> list[tuple[int, Column]]:
    gone = list(priorities[: fit.dropped])
    kept: list[tuple[int, Column]] = []
    for index, column in enumerate(table.columns[1:], start=1):
        if column.priority in gone:
            gone.remove(column.priority)
            continue
        kept.append((index, column))
    return kept


class _Pieces:
    """One column: how wide its whole numbers, its decimals and its notes are."""

    def __init__(self, column: Column, cells: Sequence[Cell], fit: _Fit) -> None:
        self._column, self._fit = column, fit
        self._decimals = max((len(decimals_of(cell, column.kind)) for cell in cells), default=0)
        texts = [self._text(cell) for cell in cells]
        notes = [display_width(visible(cell.note)) for cell in cells if cell.note]
        self._note_width = max(notes) + 1 if notes and column.kind != "bar" else 0
        title = 0 if column.kind == "bar" else display_width(visible(column.title))
        self._main_width = max(
            title, fit.bar_width if column.kind == "bar" else 0, *map(display_width, texts)
        )
        self.width = self._main_width + self._note_width

    def heading(self, title: str) -> str:
        return _pad(title, self._main_width, self._column.side) + " " * self._note_width

    def spans(self, cell: Cell, column: Column, *, total: bool) -> Line:
        if isinstance(cell.value, Bar):
            return _bar(cell.value, self._main_width)
        text = self._text(cell)
        style = _STYLE_OF[cell.level]
        if style == "plain" and (total or column.strong) and cell.value != 0:
            style = "strong"
        elif style == "plain" and (column.part or cell.value == 0):
            style = "muted"
        spans = [Span(_pad(text, self._main_width, column.side), style)]
        if self._note_width:
            note = f" {visible(cell.note)}" if cell.note else ""
            spans.append(Span(_pad(note, self._note_width, "left"), _STYLE_OF[cell.note_level]))
        return spans

    def _text(self, cell: Cell) -> str:
        """Return the cell's value, filled up behind so that the points of a column stand in one line."""
        text = format_cell(cell, self._column.kind, compact=self._fit.compact)
        if self._column.kind != "money" or cell.value is None or isinstance(cell.value, str | Bar):
            return text
        return text + " " * (self._decimals - len(decimals_of(cell, "money")))


# -- bars and lines ----------------------------------------------------------


def _bar(bar: Bar, width: int) -> Line:
    """Draw stretches to half a column; whatever is not nothing shows at least as half of one."""
    line: Line = []
    used = 0
    for index, part in enumerate(bar.parts):
        end = sum(item.share for item in bar.parts[: index + 1]) * width
        room = width - used - sum(item.share > 0 for item in bar.parts[index + 1 :])
        text = _stretch(part, end - used)[:room]
        used += len(text)
        if text:
            line.append(Span(text, _BAR_STYLE_OF[part.level]))
    return [*line, Span(" " * (width - used))]


def _stretch(part: BarPart, columns: float) -> str:
    halves = max(round(columns * 2), 1 if part.share else 0)
    if part.hatched:
        return "┅" * ((halves + 1) // 2)
    return "━" * (halves // 2) + "╸" * (halves % 2)


def _pad(text: str, width: int, side: str) -> str:
    free = max(0, width - display_width(text))
    if side == "right":
        return " " * free + text
    left = free // 2 if side == "center" else 0
    return " " * left + text + " " * (free - left)


def _line_width(line: Sequence[Span]) -> int:
    return sum(display_width(span.text) for span in line)


def _clip(line: Line, width: int) -> Line:
    if _line_width(line) <= width:
        return line
    kept: Line = []
    room = width
    for span in line:
        text = span.text if display_width(span.text) <= room else _cut(span.text, room)
        kept.append(Span(text, span.style))
        room -= display_width(text)
        if text != span.text or room <= 0:
            break
    return kept


def _cut(text: str, room: int) -> str:
    return f"{take_columns(text, room - 1)}…" if room > 0 else ""


def _wrap(text: str, width: int | None) -> Iterator[str]:
    if width is None:
        yield text
        return
    line = ""
    for word in text.split(" "):
        if display_width(word) > width:  # a word longer than a line continues on the next
            if line:
                yield line
            *heads, line = _pieces(word, width)
            yield from heads
        elif line and display_width(line) + 1 + display_width(word) > width:
            yield line
            line = word
        else:
            line = f"{line} {word}" if line else word
    yield line


def _pieces(word: str, width: int) -> Iterator[str]:
    start = 0
    while start < len(word):
        # No more characters than columns are looked at, besides those that take none.
        piece = take_columns(word[start : start + _LOOK_AHEAD * width], width) or word[start]
        start += len(piece)
        yield piece
