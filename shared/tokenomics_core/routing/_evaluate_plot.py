"""What a router reaches, drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tokenomics_core.errors import ConfigurationError, MissingExtraError
from tokenomics_core.rendering import format_usd, shorten
from tokenomics_core.routing._curve import Curve
from tokenomics_core.routing._evaluation import RouterEvaluation

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_evaluation"]

_ROUTER = "#3f74b5"
_ORACLE = "#58a67e"
_OTHERS = ("#c98a2b", "#8a6fb0", "#a65b6b", "#5e8f96")
_FAINT = 0.25
_NAME_WIDTH = 30


def plot_evaluation(result: RouterEvaluation, *, by: str, title: str | None, ax: Axes | None) -> Axes:
    """Draw quality over the share of strong calls or over cost.

    Raises:
        ConfigurationError: `by` is neither `share` nor `cost`, or costs are unknown; nothing was drawn.
        MissingExtraError: matplotlib is not installed.
    """
    if by not in ("share", "cost"):
        raise ConfigurationError(f"by must be 'share' or 'cost', not {by!r}; nothing was drawn")
    if by == "cost" and result.router.curve.cost_usd is None:
        raise ConfigurationError("the records do not say what answers cost; nothing was drawn by 'cost'")
    ax = _axes(ax)
    ink: Any = ax.xaxis.label.get_color()  # matplotlib's union of ways to name a colour
    for at, other in enumerate(result.baselines):
        colour = _OTHERS[at % len(_OTHERS)]
        ax.plot(*_points(other.curve, by), color=colour, linewidth=1.1, label=_plain(other.name))
    oracle = result.oracle.curve
    ax.plot(*_points(oracle, by), color=_ORACLE, linewidth=1.1, linestyle="--", label="oracle")
    ends = [values[[0, -1]] for values in _points(oracle, by)]
    if result.escalates and by == "cost":
        ends[0] = _single_costs(result)
    ax.plot(*ends, color=ink, alpha=0.5, linewidth=1, linestyle=":", label="chance")
    ax.plot(*_points(result.router.curve, by), color=_ROUTER, linewidth=2, label=_plain(result.router.name))
    best = result.best_single
    ax.axhline(best.quality.value, color=ink, alpha=_FAINT, linewidth=0.8)
    if by == "cost":
        _mark_tiers(ax, result, ink)
    ax.set_xlabel(
        "USD per 1,000 questions" if by == "cost" else "share of questions sent to the strongest tier"
    )
    ax.set_ylabel("quality")
    if by == "share":
        ax.set_xlim(0, 1)
    else:
        ax.xaxis.set_major_formatter(_dollars)
    ax.legend(frameon=False, fontsize="small", loc="lower right")
    ax.set_axisbelow(True)
    ax.grid(alpha=_FAINT, linewidth=0.6)
    if title is not None:
        ax.set_title(title, loc="left", fontsize="medium", fontweight="bold")
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    return ax


def _axes(ax: Axes | None) -> Axes:
    try:
        from matplotlib import pyplot as plt  # noqa: PLC0415 - an extra, needed only here
    except ImportError as error:
        raise MissingExtraError("matplotlib", "plots") from error
    if ax is not None:
        return ax
    _, made = plt.subplots(figsize=(7.2, 4.2), layout="constrained")
    return made


def _points(curve: Curve, by: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    if by == "share" or curve.cost_usd is None:
        return curve.share, curve.quality
    return 1000 * curve.cost_usd, curve.quality


def _single_costs(result: RouterEvaluation) -> NDArray[np.float64]:
    return np.array([tier.usd_per_1000 or 0.0 for tier in (result.tiers[0], result.tiers[-1])])


def _mark_tiers(ax: Axes, result: RouterEvaluation, ink: Any) -> None:
    for tier in result.tiers:
        cost = tier.usd_per_1000 or 0.0
        ax.plot([cost], [tier.quality.value], marker="o", markersize=5, color=ink)
        ax.annotate(
            _plain(tier.name),
            (cost, tier.quality.value),
            xytext=(5, -11),
            textcoords="offset points",
            fontsize="small",
            color=ink,
        )


def _plain(name: str) -> str:
    """Keep matplotlib from reading a pair of dollar signs as a formula."""
    return shorten(name, _NAME_WIDTH).replace("$", r"\$")


def _dollars(amount: float, _position: float) -> str:
    return format_usd(round(amount, 12)).replace("$", r"\$")
