"""A comparison of two periods as a table."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import TYPE_CHECKING

from tokenomics_core.rendering import Cell, Column, Figure, Group, Notice, Row, Table, format_usd, shorten

if TYPE_CHECKING:
    from tokenomics_core.observability._trend import Trend, TrendLine, UnitCost

__all__ = ["DRIVER_WORDS", "trend_table"]

DRIVER_WORDS = {
    "volume": "number of calls",
    "cache_hits": "answers from the cache",
    "model_mix": "choice of models",
    "tokens": "length of calls",
    "prompt_cache": "provider's cache",
    "price": "price",
}
_NAME_WIDTH = 60
_SMALL = Decimal("0.005")


def trend_table(trend: Trend, max_rows: int) -> Table:
    """Lay out the units, then a section per dimension, then what drove the whole."""
    groups = [Group("What one costs", tuple(_unit_row(one) for one in trend.units if one.count))]
    for dimension, lines in trend.lines.items():
        if any(line.name for line in lines):
            rows = tuple(_row(line) for line in lines[:max_rows])
            groups.append(Group(dimension.replace("_", " ").capitalize(), rows))
    now, before = trend.now.cost_usd, trend.before.cost_usd
    return Table(
        title="Trend",
        subtitle=f"{trend.since:%Y-%m-%d %H:%M} to {trend.until:%Y-%m-%d %H:%M %Z}, and as long before",
        figures=(
            Figure("Cost", Cell(now, note=_times(now, before)), "money"),
            Figure("Before", Cell(before), "money"),
            Figure("Calls", Cell(trend.now.calls), "count"),
        ),
        columns=(
            Column(title=""),
            Column(title="Count", kind="count", priority=2),
            Column(title="Now", kind="money", strong=True),
            Column(title="Before", kind="money"),
            Column(title="Change", priority=1),
            Column(title="Driven by", priority=3),
        ),
        groups=tuple(group for group in groups if group.rows),
        notices=tuple(_notices(trend)),
    )


def _unit_row(one: UnitCost) -> Row:
    change = _times(one.mean_usd, one.before_usd) if one.mean_usd is not None else ""
    hint = "" if one.median_usd is None else f"median {format_usd(one.median_usd)}"
    before = Cell(one.before_usd, level="muted") if one.before_usd is not None else Cell("")
    return Row(
        (Cell(one.unit), Cell(one.count), Cell(one.mean_usd, hint=hint), before, Cell(change), Cell(""))
    )


def _row(line: TrendLine) -> Row:
    name = shorten(line.name, _NAME_WIDTH) if line.name else f"no {line.dimension.replace('_', ' ')}"
    driver = line.change.main_driver
    now, before = line.now.cost_usd, line.before.cost_usd
    return Row(
        (
            Cell(name, level="normal" if line.name else "muted"),
            Cell(line.now.calls),
            Cell(now),
            Cell(before, level="muted"),
            Cell(_times(now, before)),
            Cell("" if driver is None else DRIVER_WORDS[driver], level="muted"),
        )
    )


def _times(now: Decimal, before: Decimal | None) -> str:
    """Return a change in words: per cent up to twice as much, beyond that how many times."""
    if not before:
        return "new" if now else ""
    ratio = now / before
    if abs(ratio - 1) < _SMALL:
        return "as before"
    return f"{ratio - 1:+.0%}" if ratio < 2 else f"{ratio:.1f}x"


def _notices(trend: Trend) -> Iterable[Notice]:
    change = trend.change
    parts = [
        f"{DRIVER_WORDS[name]} {'+' if usd > 0 else '-'}{format_usd(abs(usd))}"
        for name, usd in sorted(change.parts.items(), key=lambda item: -abs(item[1]))
        if usd
    ]
    if parts:
        yield Notice(f"What drove the change of {format_usd(change.change_usd)}: {', '.join(parts)}.")
    for when, totals in (("this period", trend.now), ("the last one", trend.before)):
        if totals.unpriced_calls:
            yield Notice(f"{totals.unpriced_calls:,} calls of {when} have no known cost", "error")
