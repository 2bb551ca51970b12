"""Draw what was solved for a target."""

from __future__ import annotations

from typing import Any

from tokenomics_core.rendering import (
    Cell,
    Column,
    Figure,
    Group,
    Notice,
    Row,
    Table,
    format_count,
    format_percent,
    format_usd,
)
from tokenomics_core.routing._bootstrap import Estimate
from tokenomics_core.routing._calibrate import Calibration
from tokenomics_core.routing._evaluate_table import interval_text

__all__ = ["calibration_dict", "calibration_table"]


def calibration_table(result: Calibration) -> Table:
    """Return a table of what is set and what that gives."""
    solved = tuple(
        Row((Cell(name), Cell(f"{item.value:.6g}"), Cell(_between(item))))
        for name, item in result.settings.items()
    )
    given = [_percent_row(f"share of {tier}", share) for tier, share in result.shares.items()]
    given.append(
        Row((Cell("quality"), Cell(f"{result.quality.value:.3f}"), Cell(_between(result.quality, ".3f"))))
    )
    given.append(_percent_row(f"quality kept of {result.best_single}", result.kept))
    if result.usd_per_1000 is not None:
        cost = result.usd_per_1000
        ends = "" if cost.low is None else f"{format_usd(cost.low)} to {format_usd(cost.high)}"
        given.append(Row((Cell("cost of 1,000 questions"), Cell(format_usd(cost.value)), Cell(ends))))
    if result.saving is not None:
        given.append(_percent_row(f"saved against {result.best_single}", result.saving))
    errors = tuple(
        Row((Cell(tier), Cell(f"{error:.3f}", level="warning" if error > 0.05 else "normal"), Cell("")))
        for tier, error in result.calibration_errors.items()
    )
    groups = [Group("set", solved), Group("reached", tuple(given))]
    if errors:
        groups.append(Group("calibration error", errors))
    return Table(
        title="Router calibration",
        subtitle=f"{format_count(result.questions)} questions",
        figures=(Figure("target", Cell(result.target)),),
        columns=(
            Column(title="", strong=True),
            Column(title="value", align="right"),
            Column(title=f"{format_percent(result.confidence)} interval", priority=1),
        ),
        groups=tuple(groups),
        notices=tuple(Notice(text, "warning") for text in result.cautions),
    )


def calibration_dict(result: Calibration) -> dict[str, Any]:
    """Return every number as plain values."""
    return {
        "target": result.target,
        "policy": result.policy.name,
        "settings": {name: _plain(item) for name, item in result.settings.items()},
        "shares": {tier: _plain(item) for tier, item in result.shares.items()},
        "quality": _plain(result.quality),
        "kept": _plain(result.kept),
        "usd_per_1000": _plain(result.usd_per_1000),
        "saving": _plain(result.saving),
        "best_single": result.best_single,
        "calibration_errors": dict(result.calibration_errors),
        "questions": result.questions,
        "left_out": result.left_out,
        "confidence": result.confidence,
        "cautions": list(result.cautions),
    }


def _percent_row(name: str, item: Estimate) -> Row:
    value, _, ends = interval_text(item, percent=True).partition(" [")
    return Row((Cell(name), Cell(value), Cell(ends.rstrip("]").replace(", ", " to "))))


def _between(item: Estimate, digits: str = ".6g") -> str:
    return "" if item.low is None or item.high is None else f"{item.low:{digits}} to {item.high:{digits}}"


def _plain(item: Estimate | None) -> dict[str, float | None] | None:
    return None if item is None else {"value": item.value, "low": item.low, "high": item.high}
