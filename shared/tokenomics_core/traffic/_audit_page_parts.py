"""Pieces of a page: text that can do no harm, tables that can be sorted and read aloud."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from html import escape
from typing import Literal

from tokenomics_core.rendering import format_count, format_percent, format_usd, shorten
from tokenomics_core.rendering._format import visible

__all__ = ["Columns", "Row", "Safe", "Value", "details", "figures", "table", "text"]

_LONGEST_NAME = 90
_LONGEST_HINT = 600


class Safe(str):
    """HTML that was put together here, every foreign part of it escaped."""

    __slots__ = ()


Value = Safe | str | int | float | Decimal | None
Kind = Literal["text", "count", "money", "percent"]
Columns = Sequence[tuple[str, Kind]]


@dataclass(frozen=True, slots=True)
class Row:
    """Cells under the columns of a table.

    Attributes:
        cells: The first one names the row.
        is_rest: Whether the row sums up others and stays last however the table is sorted.
    """

    cells: Sequence[Value]
    is_rest: bool = False


def text(value: str) -> str:
    """Escape text for an element or a quoted attribute, and show what would be invisible."""
    return escape(visible(value), quote=True)


def table(
    key: str,
    caption: str,
    columns: Columns,
    rows: Iterable[Row],
    *,
    total: Row | None = None,
    sorted_by: int | None = None,
) -> Safe:
    """Draw a table in a frame that scrolls by itself, by keyboard too.

    Args:
        key: An id that nothing else on the page has.
        caption: What is in it.
        columns: Titles and kinds; the first one names the rows.
        rows: The rows.
        total: A last row.
        sorted_by: The column whose largest value comes first.
    """
    heads = "".join(
        f'<th scope="col"{_kind(kind)}{_sorted(number, sorted_by)}>{text(title)}</th>'
        for number, (title, kind) in enumerate(columns)
    )
    kinds = [kind for _, kind in columns]
    body = "".join(_row(row, kinds) for row in rows)
    foot = f"<tfoot>{_row(total, kinds)}</tfoot>" if total is not None else ""
    return Safe(
        f'<div class="scroll" role="group" tabindex="0" aria-labelledby="{key}-caption">'
        f'<table data-sort id="{key}"><caption id="{key}-caption">{text(caption)}</caption>'
        f"<thead><tr>{heads}</tr></thead><tbody>{body}</tbody>{foot}</table></div>"
    )


def details(summary: str, inside: str, *, is_open: bool = False) -> Safe:
    """Fold something away that opens by keyboard and without a script."""
    attribute = " open" if is_open else ""
    return Safe(f"<details{attribute}><summary>{text(summary)}</summary>{inside}</details>")


def figures(values: Iterable[tuple[str, str, str]]) -> Safe:
    """List numbers with their names, each with a word on it."""
    inside = "".join(
        f"<div><dt>{text(name)}</dt><dd>{text(value)}{_small(note)}</dd></div>"
        for name, value, note in values
    )
    return Safe(f'<dl class="figures">{inside}</dl>')


def _small(note: str) -> str:
    return f" <small>{text(note)}</small>" if note else ""


def _row(row: Row, kinds: Sequence[Kind]) -> str:
    cells = "".join(
        _cell(value, kind, is_name=number == 0)
        for number, (value, kind) in enumerate(zip(row.cells, kinds, strict=True))
    )
    return f"<tr{' data-rest' if row.is_rest else ''}>{cells}</tr>"


def _cell(value: Value, kind: Kind, *, is_name: bool) -> str:
    inside, number = _shown(value, kind)
    data = "" if number is None else f' data-v="{number}"'
    if is_name:
        return f'<th scope="row"{_kind(kind)}{data}>{inside}</th>'
    return f"<td{_kind(kind)}{data}>{inside}</td>"


def _shown(value: Value, kind: Kind) -> tuple[str, str | None]:
    """Return a cell's HTML and the number to sort by."""
    if isinstance(value, Safe):
        return value, None
    if isinstance(value, str):
        short = shorten(value, _LONGEST_NAME)
        hint = f' title="{text(shorten(value, _LONGEST_HINT))}"' if short != value else ""
        return f"<bdi{hint}>{text(short)}</bdi>", None
    if value is None:
        return f'<span class="unknown">{"unpriced" if kind == "money" else "unknown"}</span>', "-1"
    return text(_written(value, kind)), format(Decimal(str(value)), "f")


def _written(value: float | Decimal, kind: Kind) -> str:
    if kind == "money":
        return format_usd(value)
    return format_percent(float(value)) if kind == "percent" else format_count(int(value))


def _kind(kind: Kind) -> str:
    return "" if kind == "text" else ' class="number"'


def _sorted(number: int, sorted_by: int | None) -> str:
    return ' aria-sort="descending"' if number == sorted_by else ""
