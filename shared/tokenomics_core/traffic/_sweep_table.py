"""A sweep as a table: cost and risk of each value."""

from __future__ import annotations

from tokenomics_core.rendering import Bar, BarPart, Cell, Column, Group, Notice, Row, Table
from tokenomics_core.traffic._sweep import Sweep, SweepPoint

__all__ = ["table_of"]

_ESTIMATED = (
    "a cost with ~ is an estimate: answers that the log does not hold are taken to be as long as those that "
    "it does, and how good they are is not known"
)


def table_of(sweep: Sweep) -> Table:
    """Return a sweep as a table; values on the frontier are marked."""
    first = sweep.points[0].simulation
    best = {point.value for point in sweep.frontier}
    dearest = max(first.log_usd, *(point.simulation.usd for point in sweep.points))
    return Table(
        title=f"{sweep.setting}: cost against risk",
        subtitle=f"{first.requests:,} requests, ${first.log_usd:.4f} in the log",
        columns=(
            Column(title=sweep.setting, strong=True),
            Column(title="cost", kind="money"),
            Column(title="saved", kind="percent"),
            Column(title="from cache", kind="percent", priority=2),
            Column(title="refused", kind="percent", priority=3),
            Column(title="served worse", kind="percent"),
            Column(title="cost", kind="bar", priority=4),
        ),
        groups=(
            Group("", tuple(_row(point, point.value in best, float(dearest)) for point in sweep.points)),
        ),
        notices=(
            Notice(
                "served worse: wrong answers of the cache, good answers lost to cheaper models, and refusals"
            ),
            Notice("a value marked with * costs or risks less than every other one"),
            *((Notice(_ESTIMATED),) if any(p.simulation.estimated_calls for p in sweep.points) else ()),
        ),
    )


def _row(point: SweepPoint, is_best: bool, dearest_usd: float) -> Row:
    result = point.simulation
    share = float(result.usd) / dearest_usd if dearest_usd else 0.0
    return Row(
        (
            Cell(f"{point.value} *" if is_best else point.value),
            Cell(result.usd, estimated=result.estimated_calls > 0),
            Cell(result.saved_share),
            Cell(result.share("exact") + result.share("semantic")),
            Cell(result.share("refused")),
            Cell(result.worse_share),
            Cell(Bar((BarPart(min(share, 1.0)),), label=f"{share:.0%} of the dearest")),
        )
    )
