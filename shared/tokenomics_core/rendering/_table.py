"""A table as a value: what is shown, and nothing about where."""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from tokenomics_core.errors import ConfigurationError

__all__ = [
    "MAX_PRIORITY",
    "Align",
    "Bar",
    "BarPart",
    "Cell",
    "CellValue",
    "Column",
    "Figure",
    "Group",
    "Kind",
    "Level",
    "Notice",
    "Row",
    "Table",
]

Align = Literal["left", "right", "center"]
Kind = Literal["text", "count", "money", "percent", "bar"]
Level = Literal["normal", "muted", "good", "warning", "error"]

MAX_PRIORITY = 9
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows in groups under common columns, with a few figures above and notices below.

    Attributes:
        title: What the table is about.
        subtitle: When or where it holds.
        figures: The few numbers a reader looks for first.
        columns: One per cell of a row.
        groups: Sections; where the first column has no title, a group's title stands in its place.
        footer: A last row, such as a total.
        notices: What a reader should know before trusting the numbers.
    """

    title: str
    columns: tuple[Column, ...]
    groups: tuple[Group, ...] = ()
    subtitle: str = ""
    figures: tuple[Figure, ...] = ()
    footer: Row | None = None
    notices: tuple[Notice, ...] = ()

    def __post_init__(self) -> None:
        if not self.columns:
            raise ConfigurationError("a table needs at least one column; nothing was drawn")
        for row in self.rows:
            if len(row.cells) != len(self.columns):
                raise ConfigurationError(
                    f"a row needs {len(self.columns)} cells, one per column, not {len(row.cells)}; "
                    "nothing was drawn"
                )

    @property
    def rows(self) -> list[Row]:
        """All rows in order, the footer last."""
        rows = [row for group in self.groups for row in group.rows]
        return rows if self.footer is None else [*rows, self.footer]


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """What the cells below one another have in common.

    Attributes:
        title: The heading.
        kind: How values are written; `money` in USD, `percent` a share of 1.
        align: Where cells stand; by default text to the left, numbers to the right.
        strong: Whether this is the column to look at.
        part: Whether the column shows a part of the one before it, which is written smaller.
        priority: Where room is short, columns of a higher number, up to 9, go first; 0 always stays.
    """

    title: str
    kind: Kind = "text"
    align: Align | None = None
    strong: bool = False
    part: bool = False
    priority: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.priority <= MAX_PRIORITY:
            raise ConfigurationError(
                f"priority must be from 0 to {MAX_PRIORITY}, not {self.priority}; nothing was drawn"
            )

    @property
    def side(self) -> Align:
        """Where cells stand."""
        if self.align is not None:
            return self.align
        return "left" if self.kind in {"text", "bar"} else "right"


@dataclass(frozen=True, slots=True)
class Group:
    """Rows under a common heading."""

    title: str
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """One cell per column."""

    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class BarPart:
    """One stretch of a bar.

    Attributes:
        share: Its length as a share of the full width, in [0, 1].
        label: What it stands for.
        level: Its colour.
        hatched: Whether it is drawn lightly: held but not spent, avoided but not paid.
    """

    share: float
    label: str = ""
    level: Level = "normal"
    hatched: bool = False

    def __post_init__(self) -> None:
        if not math.isfinite(self.share) or self.share < 0:
            raise ConfigurationError(f"share must be in [0, 1], not {self.share!r}; nothing was drawn")


@dataclass(frozen=True, slots=True)
class Bar:
    """Stretches one after another; what they leave free stays empty.

    Attributes:
        parts: At most the full width together.
        label: The bar in words, for who cannot see it.
    """

    parts: tuple[BarPart, ...]
    label: str = ""

    def __post_init__(self) -> None:
        width = sum(part.share for part in self.parts)
        if width > 1 + _ROUNDING:
            raise ConfigurationError(
                f"the shares of a bar must sum to at most 1, not {width}; nothing was drawn"
            )


CellValue = str | int | float | Decimal | Bar | None


@dataclass(frozen=True, slots=True)
class Cell:
    """One value and how to take it.

    Attributes:
        value: What is shown; None is unknown, never 0, and an empty string leaves the cell empty.
        level: Its colour.
        estimated: Whether a tilde marks it as an estimate.
        note: A few words beside it.
        note_level: Their colour.
        hint: More about it, shown where a pointer rests on it.
    """

    value: CellValue = ""
    level: Level = "normal"
    estimated: bool = False
    note: str = ""
    note_level: Level = "muted"
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Figure:
    """One number that stands above the table."""

    label: str
    cell: Cell
    kind: Kind = "text"


@dataclass(frozen=True, slots=True)
class Notice:
    """A sentence below the table."""

    text: str
    level: Level = "muted"
