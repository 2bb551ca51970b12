"""Cost against risk as one SVG: a point for each value of a setting, the better ones joined."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from tokenomics_core.rendering import format_percent, format_usd
from tokenomics_core.traffic._sweep import Sweep, SweepPoint

__all__ = ["chart_of"]

_WIDTH, _HEIGHT = 640, 360
_LEFT, _RIGHT, _TOP, _BOTTOM = 90, 30, 30, 56
_STYLE = (
    "svg.tk-sweep{max-width:100%;height:auto;font:13px system-ui,sans-serif;color:#1b1f24}"
    "@media (prefers-color-scheme:dark){svg.tk-sweep{color:#e6e9ec}}"
    ".tk-sweep text{fill:currentColor}.tk-sweep .axis{stroke:currentColor;stroke-opacity:.35}"
    ".tk-sweep .line{fill:none;stroke:#1f6feb;stroke-width:2}"
    ".tk-sweep circle{fill:#fff;stroke:#1f6feb;stroke-width:2}.tk-sweep circle.best{fill:#1f6feb}"
)


def chart_of(sweep: Sweep) -> str:
    """Draw a sweep; each point says its figures to who points at it, or has the picture read out."""
    return "".join(_parts(sweep))


def _parts(sweep: Sweep) -> Iterator[str]:
    x, y = _scale_of(_risks(sweep), _LEFT, _WIDTH - _RIGHT), _scale_of(_costs(sweep), _HEIGHT - _BOTTOM, _TOP)
    said = "; ".join(map(_said, sweep.points))
    name = escape(sweep.setting)
    yield (
        f'<svg class="tk-sweep" role="img" viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" '
        f'xmlns="http://www.w3.org/2000/svg"><style>{_STYLE}</style>'
        f"<title>{name}: cost against risk</title><desc>{escape(said)}</desc>"
    )
    yield from _axes(x, y)
    best = sorted(sweep.frontier, key=lambda point: point.simulation.worse_share)
    if len(best) > 1:
        line = " ".join(f"{x.at(_risk(point)):.1f},{y.at(_cost(point)):.1f}" for point in best)
        yield f'<polyline class="line" points="{line}"/>'
    for point in sweep.points:
        left, top = x.at(_risk(point)), y.at(_cost(point))
        kind = ' class="best"' if point in best else ""
        anchor, gap = ("end", -9) if left > _WIDTH * 0.8 else ("start", 9)
        yield (
            f'<circle cx="{left:.1f}" cy="{top:.1f}" r="5"{kind}>'
            f"<title>{escape(_said(point))}</title></circle>"
            f'<text x="{left + gap:.1f}" y="{top - 7:.1f}" text-anchor="{anchor}">'
            f"{escape(point.value)}</text>"
        )
    yield "</svg>"


class _Scale:
    """Places values between two ends of an axis."""

    def __init__(self, low: float, high: float, start: float, end: float) -> None:
        self.low, self.high, self._start, self._end = low, high, start, end

    def at(self, value: float) -> float:
        return self._start + (value - self.low) / (self.high - self.low) * (self._end - self._start)

    @property
    def ticks(self) -> list[float]:
        return [self.low + (self.high - self.low) * step / 4 for step in range(5)]


def _scale_of(values: Sequence[float], start: float, end: float) -> _Scale:
    low, high = min(values), max(values)
    room = (high - low) * 0.08 or abs(high) * 0.08 or 0.01
    return _Scale(max(low - room, 0.0), high + room, start, end)


def _axes(x: _Scale, y: _Scale) -> Iterator[str]:
    bottom, right = _HEIGHT - _BOTTOM, _WIDTH - _RIGHT
    yield f'<path class="axis" fill="none" d="M{_LEFT} {_TOP}V{bottom}H{right}"/>'
    for value in x.ticks:
        label = format_percent(value)
        yield f'<text x="{x.at(value):.1f}" y="{bottom + 18}" text-anchor="middle">{label}</text>'
    for value in y.ticks:
        label = format_usd(float(f"{value:.3g}"))
        yield f'<text x="{_LEFT - 8}" y="{y.at(value) + 4:.1f}" text-anchor="end">{label}</text>'
    middle = (_LEFT + right) / 2
    yield f'<text x="{middle:.0f}" y="{_HEIGHT - 12}" text-anchor="middle">requests served worse</text>'
    yield f'<text x="{_LEFT}" y="{_TOP - 12}" text-anchor="end">cost</text>'


def _said(point: SweepPoint) -> str:
    result = point.simulation
    return f"{point.value}: {format_usd(result.usd)}, {format_percent(result.worse_share)} served worse"


def _risk(point: SweepPoint) -> float:
    return point.simulation.worse_share


def _cost(point: SweepPoint) -> float:
    return float(point.simulation.usd)


def _risks(sweep: Sweep) -> list[float]:
    return list(map(_risk, sweep.points))


def _costs(sweep: Sweep) -> list[float]:
    return list(map(_cost, sweep.points))
