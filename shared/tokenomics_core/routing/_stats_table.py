"""Draw what routing saved as a table."""

from __future__ import annotations

from typing import Any

from tokenomics_core.rendering import (
    Cell,
    Column,
    Figure,
    Group,
    Level,
    Notice,
    Row,
    Table,
    format_count,
    format_percent,
    to_html,
    to_rich,
    to_text,
)
from tokenomics_core.routing._stats import RouterStats

__all__ = ["stats_html", "stats_rich", "stats_table", "stats_text"]


def stats_table(stats: RouterStats) -> Table:
    """Return a table of tiers, with the net saving and all its parts above and below."""
    return Table(
        title="Router",
        subtitle=f"{format_count(stats.decisions)} decisions",
        figures=_figures(stats),
        columns=(
            Column(title="tier", strong=True),
            Column(title="chosen", kind="count"),
            Column(title="share", kind="percent"),
            Column(title="answers", kind="count"),
            Column(title="drafts", kind="count", priority=2),
            Column(title="errors", kind="count", priority=3),
            Column(title="quality", kind="percent", priority=1),
            Column(title="cost", kind="money"),
        ),
        groups=(Group("", _tier_rows(stats)), Group("net saving", _money_rows(stats))),
        notices=_notices(stats),
    )


def stats_text(stats: RouterStats) -> str:
    """Return the table as plain text."""
    return to_text(stats_table(stats))


def stats_html(stats: RouterStats) -> str:
    """Return the table for a notebook."""
    return to_html(stats_table(stats))


def stats_rich(stats: RouterStats) -> Any:  # rich is optional
    """Return the table for a terminal."""
    return to_rich(stats_table(stats))


def _figures(stats: RouterStats) -> tuple[Figure, ...]:
    net = stats.net_saving_usd
    level: Level = "good" if net > 0 else "error" if net < 0 else "normal"
    share = stats.net_saving_share
    figures = [
        Figure("net saving", Cell(net, level=level), "money"),
        Figure("of the dearest tier's cost", Cell(share, level=level), "percent"),
    ]
    if stats.escalation_rate is not None:
        figures.append(Figure("escalated", Cell(stats.escalation_rate), "percent"))
    return tuple(figures)


def _tier_rows(stats: RouterStats) -> tuple[Row, ...]:
    return tuple(
        Row(
            (
                Cell(name),
                Cell(tier.decisions),
                Cell(tier.decisions / stats.decisions if stats.decisions else None),
                Cell(tier.answers),
                Cell(tier.drafts),
                Cell(tier.errors, level="warning" if tier.errors else "normal"),
                Cell(tier.quality, note=f"of {tier.labels}" if tier.labels else ""),
                Cell(tier.cost_usd),
            )
        )
        for name, tier in stats.tiers.items()
    )


def _money_rows(stats: RouterStats) -> tuple[Row, ...]:
    parts = (
        ("always the dearest tier", stats.counterfactual_usd),
        ("- answers", stats.routed_usd),
        ("- router", stats.router_usd),
        ("- rejected drafts", stats.drafts_usd),
        ("- judges", stats.judges_usd),
        ("- cold caches", stats.cold_caches_usd),
        ("= net saving", stats.net_saving_usd),
    )
    blank = Cell("")
    return tuple(Row((Cell(words), *([blank] * 6), Cell(amount))) for words, amount in parts)


def _notices(stats: RouterStats) -> tuple[Notice, ...]:
    notices: list[Notice] = []
    if stats.net_saving_usd < 0:
        notices.append(
            Notice(
                "Routing cost more than it saved; the dearest tier alone would have been cheaper.", "error"
            )
        )
    if stats.wants_retraining:
        rate = format_percent(stats.escalation_rate or 0)
        notices.append(
            Notice(
                f"{rate} of the drafts were rejected, above 30%: fit the classifier anew on recent outcomes.",
                "warning",
            )
        )
    if stats.failed_open:
        notices.append(
            Notice(
                f"{format_count(stats.failed_open)} decisions failed and went to the safe tier; see the log.",
                "warning",
            )
        )
    if stats.unpriced_calls:
        notices.append(
            Notice(
                f"{format_count(stats.unpriced_calls)} calls have no known price and are in no sum.",
                "warning",
            )
        )
    if stats.shadow_usd is not None:
        differs = format_count(stats.shadow_differs)
        notices.append(
            Notice(
                f"Shadow mode: {differs} calls would have gone elsewhere, for about ${stats.shadow_usd:.6f}."
            )
        )
    for words, number in (
        ("repeated within one ask", stats.sticky),
        ("kept a warm cache", stats.kept_warm),
        ("at random to learn from", stats.explored),
        ("held out of routing", stats.holdout),
        ("out of domain", stats.out_of_domain),
    ):
        if number:
            notices.append(Notice(f"{format_count(number)} {words}."))
    return tuple(notices)
