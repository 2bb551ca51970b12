"""What calls cost, drawn."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from tokenomics_core.errors import ConfigurationError, MissingExtraError
from tokenomics_core.observability._report_lines import tally_by
from tokenomics_core.rendering import format_usd, shorten
from tokenomics_core.types import SpendRecord, Totals

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_records"]

_COST = "#3f74b5"
_AVOIDED = "#58a67e"
_UNPRICED = "#c0282d"
_MAX_BARS = 20
_NAME_WIDTH = 36
_FAINT = 0.25


def plot_records(
    records: Sequence[SpendRecord], *, by: str, kind: str, title: str | None, ax: Axes | None
) -> Axes:
    """Draw horizontal bars by a dimension, or the cost as it grew over time.

    Raises:
        ConfigurationError: `kind` is neither `bar` nor `time`; nothing was drawn.
        MissingExtraError: matplotlib is not installed.
    """
    if kind not in ("bar", "time"):
        raise ConfigurationError(f"kind must be 'bar' or 'time', not {kind!r}; nothing was drawn")
    if kind == "time":
        ax = _axes(ax, height=3.2)
        _draw_time(ax, records)
    else:
        bars = _bars(records, by)
        ax = _axes(ax, height=max(1.6, 0.9 + 0.36 * len(bars)))
        _draw_bars(ax, bars, by)
    if title is not None:
        ax.set_title(title, loc="left", fontsize="medium", fontweight="bold")
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    return ax


def _axes(ax: Axes | None, *, height: float) -> Axes:
    try:
        from matplotlib import pyplot as plt  # noqa: PLC0415 - an extra, needed only here
    except ImportError as error:
        raise MissingExtraError("matplotlib", "plots") from error
    if ax is not None:
        return ax
    _, made = plt.subplots(figsize=(7.2, height), layout="constrained")
    return made


def _bars(records: Sequence[SpendRecord], by: str) -> list[tuple[str, Totals]]:
    sums = {name: tally.totals() for name, tally in tally_by(records, by).items()}
    bars = sorted(sums.items(), key=lambda item: (-item[1].cost_usd, -item[1].avoided_usd, item[0]))
    if len(bars) <= _MAX_BARS:
        return bars
    rest = sum((totals for _, totals in bars[_MAX_BARS - 1 :]), start=Totals())
    return [*bars[: _MAX_BARS - 1], (f"{len(bars) - _MAX_BARS + 1:,} more", rest)]


def _draw_bars(ax: Axes, bars: Sequence[tuple[str, Totals]], by: str) -> None:
    ink = ax.xaxis.label.get_color()
    places = range(len(bars))
    costs = [float(totals.cost_usd) for _, totals in bars]
    avoided = [float(totals.avoided_usd) for _, totals in bars]
    ax.barh(places, costs, height=0.62, color=_COST, label="cost")
    if any(avoided):
        ax.barh(
            places,
            avoided,
            left=costs,
            height=0.62,
            facecolor="none",
            edgecolor=_AVOIDED,
            hatch="////",
            linewidth=0.8,
            label="avoided",
        )
        ax.legend(frameon=False, fontsize="small", loc="lower right")
    for place, (_, totals) in zip(places, bars, strict=True):
        text, unpriced = _amount(totals)
        end = float(totals.cost_usd + max(totals.avoided_usd, Decimal(0)))
        ax.annotate(
            text,
            (end, place),
            xytext=(5, 0),
            textcoords="offset points",
            va="center",
            fontsize="small",
            color=_UNPRICED if unpriced else ink,
        )
    ax.set_yticks(list(places), [shorten(_plain(name) or f"no {by}", _NAME_WIDTH) for name, _ in bars])
    ax.tick_params(axis="y", length=0)
    ax.invert_yaxis()
    ax.margins(x=0.16)
    ax.set_xlim(left=0)
    ax.set_axisbelow(True)
    ax.grid(axis="x", alpha=_FAINT, linewidth=0.6)
    ax.spines["left"].set_visible(False)
    ax.xaxis.set_major_formatter(_dollars)


def _plain(name: str) -> str:
    """Keep matplotlib from reading a pair of dollar signs as a formula."""
    return name.replace("$", r"\$")


def _amount(totals: Totals) -> tuple[str, bool]:
    mark = "~" if totals.estimated_calls and totals.cost_usd else ""
    if totals.unpriced_calls and totals.unpriced_calls == totals.calls:
        return "unpriced", True
    text = _plain(f"{mark}{format_usd(totals.cost_usd)}")
    return (f"{text} + {totals.unpriced_calls:,} unpriced", True) if totals.unpriced_calls else (text, False)


def _draw_time(ax: Axes, records: Sequence[SpendRecord]) -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter  # noqa: PLC0415 - an extra

    ordered = sorted(records, key=lambda record: record.at)
    times: Any = [record.at for record in ordered]  # matplotlib takes datetimes and does not say so
    costs = list(accumulate(float(record.cost_usd or 0) for record in ordered))
    avoided = list(accumulate(float(record.avoided_usd or 0) for record in ordered))
    if ordered:
        without = [cost + more for cost, more in zip(costs, avoided, strict=True)]
        ax.step(times, costs, where="post", color=_COST, linewidth=1.8, label="cost")
        ax.fill_between(times, costs, step="post", color=_COST, alpha=0.12, linewidth=0)
        if any(avoided):
            ax.step(
                times,
                without,
                where="post",
                color=_AVOIDED,
                linewidth=1.3,
                linestyle="--",
                label="without what was avoided",
            )
            ax.legend(frameon=False, fontsize="small", loc="upper left")
        locator = AutoDateLocator()  # type: ignore[no-untyped-call]  # matplotlib's
        ax.xaxis.set_major_locator(locator)
        formatter = ConciseDateFormatter(locator)  # type: ignore[no-untyped-call]  # matplotlib's
        ax.xaxis.set_major_formatter(formatter)
    ax.set_ylim(bottom=0)
    ax.set_axisbelow(True)
    ax.grid(axis="y", alpha=_FAINT, linewidth=0.6)
    ax.yaxis.set_major_formatter(_dollars)


def _dollars(amount: float, _position: float) -> str:
    return _plain(format_usd(round(amount, 12)))
