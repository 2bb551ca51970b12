"""Bars as inline SVG: axes with labels, a name and a description for those who do not see them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

from tokenomics_core.rendering import format_usd, shorten
from tokenomics_core.traffic._audit_page_parts import text

__all__ = ["Bar", "Chart", "draw", "hatching"]

_WIDE, _NARROW = 760, 340
_LETTER = 6.6
"""About the width of a letter at the size that charts use, so that names are cut before they run out."""


class Bar(NamedTuple):
    """One bar.

    Attributes:
        name: What stands beside it.
        usd: Its length.
        avoidable_usd: The part at its end that is hatched.
    """

    name: str
    usd: Decimal
    avoidable_usd: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """What is drawn.

    Attributes:
        key: A name that no other chart of the page has.
        title: What the chart shows, read aloud.
        axis: What the length of a bar is, with its unit.
        names: What the bars stand for, as a title of their axis; only for columns.
        bars: The bars in their order.
        upright: Whether the bars stand, as those of hours and days do.
    """

    key: str
    title: str
    axis: str
    bars: Sequence[Bar]
    names: str = ""
    upright: bool = False


def draw(chart: Chart) -> str:
    """Draw a chart twice, for wide and for narrow screens; the page shows one of them."""
    make = _columns if chart.upright else _rows
    return "".join(
        _framed(chart, make, width, kind) for width, kind in ((_WIDE, "wide"), (_NARROW, "narrow"))
    )


def _framed(chart: Chart, make: Callable[[Chart, int, str], tuple[str, int]], width: int, kind: str) -> str:
    key = f"{chart.key}-{kind}"
    inside, height = make(chart, width, key)
    return (
        f'<svg class="chart {kind}" viewBox="0 0 {width} {height}" role="img" '
        f'aria-labelledby="{key}-title {key}-about"><title id="{key}-title">{text(chart.title)}</title>'
        f'<desc id="{key}-about">{text(_description(chart))}</desc>{hatching(key)}{inside}</svg>'
    )


def _description(chart: Chart) -> str:
    """Say the chart in a sentence; all figures are in the table that follows it."""
    highest = max(chart.bars, key=lambda bar: bar.usd)
    return (
        f"{len(chart.bars)} bars, {chart.axis}. The largest is {highest.name} with "
        f"{format_usd(highest.usd)}. All figures are in the table that follows."
    )


def hatching(key: str) -> str:
    """Define the pattern of what is avoidable, so that it is not told by its colour alone."""
    return (
        f'<defs><pattern id="{key}-hatch" width="6" height="6" patternUnits="userSpaceOnUse" '
        'patternTransform="rotate(45)"><rect class="ground" width="6" height="6"/>'
        '<rect class="stroke" width="2.4" height="6"/></pattern></defs>'
    )


def _rows(chart: Chart, width: int, key: str) -> tuple[str, int]:
    """Draw lying bars; beside their names where there is room, else below them."""
    beside = width >= _WIDE
    left, right = (288.0 if beside else 2.0), 84.0
    step, thick, top = (30.0, 16.0, 6.0) if beside else (42.0, 14.0, 4.0)
    ticks = _ticks(max(bar.usd for bar in chart.bars), 4 if beside else 3)
    scale = (width - left - right) / float(ticks[-1])
    floor = top + step * len(chart.bars)
    parts = [_grid_line(left + float(tick) * scale, top, floor, tick) for tick in ticks]
    for number, bar in enumerate(chart.bars):
        y = top + step * number + (step - thick if not beside else (step - thick) / 2)
        end = left + float(bar.usd) * scale
        name_at = (left - 10, y + thick - 4, "end") if beside else (left + 5, y - 6, "start")
        parts.append(_name(bar.name, *name_at, room=left - 14 if beside else width - 8.0))
        parts.append(_bar(bar, key, left, y, float(bar.usd) * scale, thick))
        parts.append(f'<text class="value" x="{end + 6:.1f}" y="{y + thick - 3:.1f}">{_usd(bar.usd)}</text>')
    parts.append(f'<line class="axis" x1="{left:.1f}" x2="{left:.1f}" y1="{top}" y2="{floor:.1f}"/>')
    parts.append(_axis_title(chart.axis, (left + width - right) / 2, floor + 34))
    return "".join(parts), math.ceil(floor + 42)


def _grid_line(x: float, top: float, floor: float, tick: Decimal) -> str:
    anchor = "start" if not tick else "middle"
    return (
        f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{top}" y2="{floor:.1f}"/>'
        f'<text class="tick" x="{x:.1f}" y="{floor + 16:.1f}" text-anchor="{anchor}">{_usd(tick)}</text>'
    )


def _bar(bar: Bar, key: str, x: float, y: float, length: float, thick: float) -> str:
    wasted = length * _share(bar)
    told = f"{bar.name}: {format_usd(bar.usd)}"
    if bar.avoidable_usd:
        told += f", of which {format_usd(bar.avoidable_usd)} avoidable"
    return (
        f'<g><title>{text(told)}</title><rect class="bar" x="{x:.1f}" y="{y:.1f}" '
        f'width="{max(length - wasted, 0):.1f}" height="{thick}"/>'
        f'<rect x="{x + length - wasted:.1f}" y="{y:.1f}" width="{wasted:.1f}" height="{thick}" '
        f'fill="url(#{key}-hatch)"/></g>'
    )


def _columns(chart: Chart, width: int, key: str) -> tuple[str, int]:
    """Draw standing bars in the order of time."""
    left, right, top, floor = 62.0, 6.0, 12.0, 190.0
    ticks = _ticks(max(bar.usd for bar in chart.bars), 4)
    scale = (floor - top) / float(ticks[-1])
    parts = list(_levels(ticks, left, width - right, floor, scale))
    step = (width - left - right) / len(chart.bars)
    every = max(1, math.ceil(len(chart.bars) / ((width - left) / _room_for_names(chart))))
    for number, bar in enumerate(chart.bars):
        x, high = left + step * number + step * 0.12, float(bar.usd) * scale
        wasted = high * _share(bar)
        parts.append(_column(bar, key, x, floor, step * 0.76, high, wasted))
        if number % every == 0:
            parts.append(_column_name(bar.name, x + step * 0.38, floor + 20, width))
    parts.append(f'<line class="axis" x1="{left}" x2="{width - right}" y1="{floor}" y2="{floor}"/>')
    parts.append(_axis_title(f"{chart.names}; {chart.axis}", (left + width - right) / 2, floor + 39))
    return "".join(parts), math.ceil(floor + 47)


def _column_name(name: str, x: float, y: float, width: int) -> str:
    inside = x + len(name) * _LETTER / 2 <= width
    at, anchor = (x, "middle") if inside else (width, "end")
    return f'<text class="tick" x="{at:.1f}" y="{y:.1f}" text-anchor="{anchor}">{text(name)}</text>'


def _room_for_names(chart: Chart) -> float:
    return max(len(bar.name) for bar in chart.bars) * _LETTER + 10


def _levels(ticks: Sequence[Decimal], left: float, end: float, floor: float, scale: float) -> Iterator[str]:
    for tick in ticks:
        y = floor - float(tick) * scale
        yield f'<line class="grid" x1="{left}" x2="{end}" y1="{y:.1f}" y2="{y:.1f}"/>'
        yield f'<text class="tick" x="{left - 6}" y="{y + 4:.1f}" text-anchor="end">{_usd(tick)}</text>'


def _column(bar: Bar, key: str, x: float, floor: float, thick: float, high: float, wasted: float) -> str:
    told = f"{bar.name}: {format_usd(bar.usd)}"
    if bar.avoidable_usd:
        told += f", of which {format_usd(bar.avoidable_usd)} avoidable"
    return (
        f'<g><title>{text(told)}</title><rect class="bar" x="{x:.1f}" y="{floor - high + wasted:.1f}" '
        f'width="{thick:.1f}" height="{max(high - wasted, 0):.1f}"/>'
        f'<rect x="{x:.1f}" y="{floor - high:.1f}" width="{thick:.1f}" height="{wasted:.1f}" '
        f'fill="url(#{key}-hatch)"/></g>'
    )


def _name(name: str, x: float, y: float, anchor: str, *, room: float) -> str:
    shown = shorten(name, max(8, int(room / _LETTER)))
    return f'<text class="name" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{text(shown)}</text>'


def _axis_title(title: str, x: float, y: float) -> str:
    return f'<text class="title" x="{x:.1f}" y="{y:.1f}" text-anchor="middle">{text(title)}</text>'


def _share(bar: Bar) -> float:
    return min(max(float(bar.avoidable_usd / bar.usd), 0.0), 1.0) if bar.usd > 0 else 0.0


def _usd(amount: Decimal) -> str:
    return text(format_usd(amount))


def _ticks(highest: Decimal, about: int) -> list[Decimal]:
    """Return round amounts from 0 to the first one that is not below the highest."""
    if highest <= 0:
        return [Decimal(0), Decimal(1)]
    raw = highest / about
    power = Decimal(1).scaleb(raw.adjusted())
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= raw)
    count = max(1, math.ceil(highest / step))
    return [step * number for number in range(count + 1)]
