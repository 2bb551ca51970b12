"""Draw what stands on a budget as a table."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from tokenomics_core.budgets._status import BudgetLine, BudgetStatus
from tokenomics_core.rendering import (
    Bar,
    BarPart,
    Cell,
    Column,
    Figure,
    Group,
    Level,
    Notice,
    Row,
    Table,
    format_count,
    format_usd,
    to_html,
    to_rich,
    to_text,
)

__all__ = ["status_html", "status_rich", "status_table", "status_text"]


def status_table(status: BudgetStatus) -> Table:
    """Return a table with one row per limit."""
    return Table(
        title=f"Budget of {status.scope} {status.key}".rstrip(),
        subtitle=f"{status.at:%Y-%m-%d %H:%M} UTC",
        figures=_figures(status),
        columns=(
            Column(title="window"),
            Column(title="limit", align="right"),
            Column(title="spent", align="right", strong=True),
            Column(title="held", align="right", priority=2),
            Column(title="unconfirmed", align="right", priority=3),
            Column(title="left", align="right"),
            Column(title="used", kind="bar", priority=4),
            Column(title="per hour", align="right", priority=5),
            Column(title="used up", priority=6),
            Column(title="resets", priority=7),
        ),
        groups=(Group("", tuple(_row(line) for line in status.lines)),),
        notices=_notices(status),
    )


def status_text(status: BudgetStatus) -> str:
    """Return the table as plain text."""
    return to_text(status_table(status))


def status_html(status: BudgetStatus) -> str:
    """Return the table for a notebook."""
    return to_html(status_table(status))


def status_rich(status: BudgetStatus) -> Any:  # rich is optional
    """Return the table for a terminal."""
    return to_rich(status_table(status))


def _figures(status: BudgetStatus) -> tuple[Figure, ...]:
    figures = [Figure("spent", Cell(status.spent_usd), "money")]
    if status.left_usd is not None:
        level: Level = "error" if status.left_usd <= 0 else "normal"
        figures.append(Figure("left", Cell(status.left_usd, level), "money"))
    figures.append(Figure("calls", Cell(status.spent_calls), "count"))
    return tuple(figures)


def _notices(status: BudgetStatus) -> tuple[Notice, ...]:
    notices = []
    if any(line.unconfirmed for line in status.lines):
        notices.append(
            Notice(
                "Unconfirmed calls were sent and never settled; they count at their worst case.", "warning"
            )
        )
    if any(line.left < 0 and line.downgrade_to is None for line in status.lines):
        notices.append(Notice("A call took more than was reserved for it; all of it is booked.", "error"))
    if not status.lines:
        notices.append(Notice("No limit matches these tags."))
    return tuple(notices)


def _row(line: BudgetLine) -> Row:
    kind = f"{line.window}, soft: {line.downgrade_to}" if line.downgrade_to else line.window
    return Row(
        (
            Cell(kind),
            _amount(line, line.limit),
            _amount(line, line.spent),
            _amount(line, line.held),
            _amount(line, line.unconfirmed, "warning" if line.unconfirmed else "normal"),
            _amount(line, line.left, "error" if line.left <= 0 else "normal"),
            Cell(_bar(line)),
            Cell("") if line.burn_per_hour is None else _amount(line, line.burn_per_hour),
            Cell(_time(line.exhausted_at), "warning"),
            Cell(_time(line.resets_at)),
        )
    )


def _amount(line: BudgetLine, amount: Decimal | int, level: Level = "normal") -> Cell:
    if line.unit == "usd":
        return Cell(format_usd(Decimal(amount)), level)
    return Cell(f"{format_count(round(amount), compact=True)} {line.unit}", level)


def _bar(line: BudgetLine) -> Bar:
    if not line.limit:
        return Bar((BarPart(1.0, "no allowance", "error"),))
    room, parts = 1.0, []
    full: Level = "error" if line.left <= 0 else "good"
    for amount, label, level, hatched in (
        (line.spent, "spent", full, False),
        (line.unconfirmed, "unconfirmed", "warning", False),
        (line.held, "held", full, True),
    ):
        share = min(room, float(amount) / float(line.limit))
        room -= share
        if share > 0:
            parts.append(BarPart(share, label, level, hatched))
    return Bar(tuple(parts), f"{float(line.spent) / float(line.limit):.0%} spent")


def _time(at: datetime | None) -> str:
    return "" if at is None else f"{at:%Y-%m-%d %H:%M}"
