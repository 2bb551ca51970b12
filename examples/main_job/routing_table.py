"""The table of the pass with a cascade: what it cost beside each model alone, and who was asked again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal

from examples.main_job.arms import ArmResult
from tokenomics_core.rendering import Cell, Column, Figure, Group, Notice, Row, Table, format_usd
from tokenomics_core.routing import RouterStats
from tokenomics_core.types import Totals

__all__ = ["build_routing_table"]


def build_routing_table(
    passes: Sequence[tuple[str, ArmResult]], stats: RouterStats, *, seconds: float, ledger_usd: Decimal
) -> Table:
    """Lay out the passes, the strong model's first and the routed one last.

    Args:
        passes: What each is called, and what it brought.
        stats: What the router did in the last.
        seconds: How long all took.
        ledger_usd: What the ledger says that the last one cost.
    """
    strong, routed = passes[0][1], passes[-1][1]
    saved = strong.report.total_usd - routed.report.total_usd
    return Table(
        title="The same questions, the weak model first and the strong one where its answer will not do",
        subtitle=f"{len(routed.outcomes):,} questions in {seconds:.1f} s",
        figures=(
            Figure("saved against the strong model", Cell(saved), "money"),
            Figure("of its cost", Cell(_share(saved, strong.report.total_usd)), "percent"),
            Figure("of its right answers kept", Cell(_kept(strong, routed)), "percent"),
            Figure("asked again", Cell(stats.escalation_rate), "percent"),
        ),
        columns=(
            Column(title=""),
            Column(title="right", kind="percent"),
            Column(title="Calls", kind="count", priority=1),
            Column(title="drafts rejected", kind="count", priority=2),
            Column(title="Cost", kind="money", strong=True),
            Column(title="per right answer", kind="money", priority=1),
        ),
        groups=(
            Group(
                "",
                tuple(_row(name, result, None) for name, result in passes[:-1]),
            ),
        ),
        footer=_row(passes[-1][0], routed, stats.escalations),
        notices=tuple(_notices(routed, stats, ledger_usd)),
    )


def _row(name: str, result: ArmResult, rejected: int | None) -> Row:
    totals = Totals.of(result.report.calls)
    right = sum(outcome.right for outcome in result.outcomes)
    return Row(
        (
            Cell(name),
            Cell(right / len(result.outcomes)),
            Cell(totals.calls),
            Cell(rejected),
            Cell(totals.cost_usd),
            Cell(totals.cost_usd / right if right else None),
        )
    )


def _share(part: Decimal, whole: Decimal) -> float | None:
    return float(part / whole) if whole else None


def _kept(strong: ArmResult, routed: ArmResult) -> float | None:
    reached = sum(outcome.right for outcome in strong.outcomes)
    return sum(outcome.right for outcome in routed.outcomes) / reached if reached else None


def _notices(routed: ArmResult, stats: RouterStats, ledger_usd: Decimal) -> Iterator[Notice]:
    net = stats.net_saving_usd
    yield Notice(
        f"Net saving by the router's own account: {format_usd(net)}, after {format_usd(stats.drafts_usd)} "
        f"for {stats.escalations:,} rejected drafts. Which answers will do was learned on the other half of "
        "the questions.",
        "good" if net > 0 else "warning",
    )
    if stats.wants_retraining:
        yield Notice("More than 30% of the drafts were rejected: the start is too low for these questions.")
    cost, avoided = routed.report.total_usd, routed.report.avoided_usd
    if abs(cost + avoided - stats.counterfactual_usd) < Decimal("1e-6"):
        yield Notice(
            f"The bill adds up: {format_usd(cost)} paid and {format_usd(avoided)} avoided are what the "
            "router takes the strong model to have cost.",
            "good",
        )
    else:
        yield Notice(
            f"The bill does not add up: {format_usd(cost)} paid and {format_usd(avoided)} avoided are not "
            f"the {format_usd(stats.counterfactual_usd)} that the router takes the strong model to cost.",
            "warning",
        )
    if ledger_usd == cost:
        yield Notice(f"The ledger says the same: {ledger_usd.normalize():f} USD.", "good")
    else:
        yield Notice(f"The ledger says {ledger_usd:f} USD, the report {cost:f} USD.", "error")
