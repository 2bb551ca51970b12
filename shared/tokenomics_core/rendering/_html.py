"""A table as one piece of HTML that needs nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from html import escape

from tokenomics_core.rendering._format import UNPRICED, decimals_of, format_cell, shorten, visible
from tokenomics_core.rendering._style import CLASS, STYLE
from tokenomics_core.rendering._table import (
    Bar,
    BarPart,
    Cell,
    Column,
    Figure,
    Group,
    Kind,
    Notice,
    Row,
    Table,
)

__all__ = ["to_html"]

_MAX_NAME = 40


def to_html(table: Table) -> str:
    """Draw a table as a fragment of HTML: a real table, styles of its own, no script, nothing to download.

    Light or dark follows the notebook's theme where there is one, else the reader's system. Text is escaped.
    """
    return "".join(_fragment(table))


def _fragment(table: Table) -> Iterator[str]:
    yield f'<div class="{CLASS}"><style>{STYLE}</style><div class="tk-card">'
    yield from _heading(table)
    if table.groups or table.footer:
        yield '<div class="tk-scroll"><table>'
        yield f"<caption>{_text(table.title)}</caption>"
        decimals = [_decimals_width(table, index) for index in range(len(table.columns))]
        yield from _head(table)
        for index, group in enumerate(table.groups):
            yield from _group(table, group, decimals, first=index == 0)
        if table.footer is not None:
            yield f"<tfoot>{_row(table.columns, table.footer, decimals)}</tfoot>"
        yield "</table></div>"
    yield from _notices(table.notices)
    yield "</div></div>"


def _heading(table: Table) -> Iterator[str]:
    subtitle = f'<bdi class="tk-subtitle">{_text(table.subtitle)}</bdi>' if table.subtitle else ""
    yield f'<div class="tk-title"><bdi>{_text(table.title)}</bdi>{subtitle}</div>'
    if table.figures:
        yield f'<dl class="tk-figures">{"".join(map(_figure, table.figures))}</dl>'


def _figure(figure: Figure) -> str:
    cell = figure.cell
    note = f'<small class="tk-{cell.note_level}">{_text(cell.note)}</small>' if cell.note else ""
    colour = "" if cell.level == "normal" else f' class="tk-{cell.level}"'
    value = _value(cell, figure.kind)
    return (
        f"<div><dt>{_text(figure.label)}</dt><dd{_hint(cell, figure.kind)}{colour}>{value}{note}</dd></div>"
    )


def _takes_first_title(table: Table) -> bool:
    return bool(table.groups) and not table.columns[0].title


def _head(table: Table) -> Iterator[str]:
    titles = [column.title for column in table.columns]
    if _takes_first_title(table):
        titles[0] = table.groups[0].title
    cells = (
        f'<th scope="col"{_classes(column)}>{_column_title(column, title)}</th>'
        for column, title in zip(table.columns, titles, strict=True)
    )
    yield f"<thead><tr>{''.join(cells)}</tr></thead>"


def _column_title(column: Column, title: str) -> str:
    """Return a heading; a bar needs none to be seen, only to be read aloud."""
    return f'<span class="tk-hidden">{_text(title)}</span>' if column.kind == "bar" else _text(title)


def _group(table: Table, group: Group, decimals: list[int], *, first: bool) -> Iterator[str]:
    yield "<tbody>"
    headed = bool(group.title) and not (first and _takes_first_title(table))
    if headed:
        span = len(table.columns)
        yield f'<tr><th class="tk-group" scope="rowgroup" colspan="{span}">{_text(group.title)}</th></tr>'
    for index, row in enumerate(group.rows):
        yield _row(table.columns, row, decimals, kind="tk-row tk-first" if index == 0 else "tk-row")
    yield "</tbody>"


def _row(columns: Iterable[Column], row: Row, decimals: list[int], *, kind: str = "") -> str:
    cells = [
        _cell(column, cell, decimals[index], name=index == 0)
        for index, (column, cell) in enumerate(zip(columns, row.cells, strict=True))
    ]
    attribute = f' class="{kind}"' if kind else ""
    return f"<tr{attribute}>{''.join(cells)}</tr>"


def _cell(column: Column, cell: Cell, decimals: int, *, name: bool) -> str:
    tag, scope = ("th", ' scope="row"') if name else ("td", "")
    note = f'<span class="tk-note tk-{cell.note_level}">{_text(cell.note)}</span>' if cell.note else ""
    value = _value(cell, column.kind, decimals)
    return f"<{tag}{scope}{_classes(column, cell)}{_hint(cell, column.kind)}>{value}{note}</{tag}>"


def _classes(column: Column, cell: Cell | None = None) -> str:
    names = [] if column.side == "right" else [f"tk-{column.side}"]
    if column.priority:
        names.append(f"tk-p{column.priority}")
    if column.part:
        names.append("tk-part")
    if column.strong and cell is not None:
        names.append("tk-strong")
    if cell is not None and cell.level != "normal":
        names.append(f"tk-{cell.level}")
    return f' class="{" ".join(names)}"' if names else ""


def _value(cell: Cell, kind: Kind, decimals: int = 0) -> str:
    if isinstance(cell.value, Bar):
        return _bar(cell.value)
    text = format_cell(cell, kind)
    if kind == "text":
        return f"<bdi>{escape(shorten(text, _MAX_NAME))}</bdi>" if text else ""
    if cell.value is None and kind == "money":
        return f'<span class="tk-pill tk-error">{UNPRICED}</span>'
    if isinstance(cell.value, str) or cell.value is None:
        return escape(text)
    tilde = '<span class="tk-tilde">~</span>' if cell.estimated else ""
    text = text.removeprefix("~")
    whole, dot, fraction = text.partition(".")
    number = escape(text)
    if kind == "money" and decimals:
        fraction = f'<span class="tk-decimals" style="width:{decimals}ch">{dot}{escape(fraction)}</span>'
        number = f"{escape(whole)}{fraction}"
    faint = kind in {"money", "count"} and not cell.value
    return f'<span class="tk-zero">{tilde}{number}</span>' if faint else f"{tilde}{number}"


def _decimals_width(table: Table, index: int) -> int:
    """Return the length of a column's longest fraction, so that all points stand in one line."""
    column = table.columns[index]
    if column.kind != "money":
        return 0
    return max((len(decimals_of(row.cells[index], "money")) for row in table.rows), default=0)


def _hint(cell: Cell, kind: Kind) -> str:
    hint = cell.hint
    if (
        not hint
        and kind == "text"
        and isinstance(cell.value, str)
        and shorten(cell.value, _MAX_NAME) != cell.value
    ):
        hint = cell.value
    if not hint and kind == "money" and not isinstance(cell.value, str | Bar) and cell.value:
        hint = f"{cell.value:f} USD"
    return f' title="{_text(hint)}"' if hint else ""


def _bar(bar: Bar) -> str:
    label = bar.label or ", ".join(part.label for part in bar.parts if part.label)
    parts = "".join(map(_bar_part, bar.parts))
    return f'<div class="tk-bar" role="img" aria-label="{_text(label)}" title="{_text(label)}">{parts}</div>'


def _bar_part(part: BarPart) -> str:
    if not part.share:
        return ""
    hatched = " tk-hatched" if part.hatched else ""
    return f'<i class="tk-{part.level}{hatched}" style="width:{min(part.share, 1) * 100:.2f}%"></i>'


def _notices(notices: Iterable[Notice]) -> Iterator[str]:
    items = "".join(f'<li class="tk-{notice.level}">{_text(notice.text)}</li>' for notice in notices)
    if items:
        yield f'<ul class="tk-notices">{items}</ul>'


def _text(text: str) -> str:
    return escape(visible(text))
