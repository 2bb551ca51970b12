"""Draw what the cache saved as a table."""

from __future__ import annotations

from typing import Any

from tokenomics_core.cache._stats import CacheStats
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

__all__ = ["stats_html", "stats_rich", "stats_table", "stats_text"]


def stats_table(stats: CacheStats) -> Table:
    """Return a table of hits and misses, with what was saved above it."""
    return Table(
        title="Response cache",
        subtitle=f"{format_count(stats.requests)} requests",
        figures=_figures(stats),
        columns=(
            Column(title=""),
            Column(title="requests", kind="count", strong=True),
            Column(title="share", kind="percent"),
        ),
        groups=(
            Group("answered", _hit_rows(stats)),
            Group("asked", _rows(stats, stats.misses)),
        ),
        notices=_notices(stats),
    )


def stats_text(stats: CacheStats) -> str:
    """Return the table as plain text."""
    return to_text(stats_table(stats))


def stats_html(stats: CacheStats) -> str:
    """Return the table for a notebook."""
    return to_html(stats_table(stats))


def stats_rich(stats: CacheStats) -> Any:  # rich is optional
    """Return the table for a terminal."""
    return to_rich(stats_table(stats))


def _figures(stats: CacheStats) -> tuple[Figure, ...]:
    error, upper = stats.policy.error, stats.policy.error_upper
    told = "–" if error is None else format_percent(error)  # noqa: RUF001 - an en dash stands for nothing known
    if upper is not None:
        told = f"{told} (at most {format_percent(upper)})"
    tokens = stats.avoided_input_tokens + stats.avoided_output_tokens
    return (
        Figure("answered", Cell(stats.hit_rate), "percent"),
        Figure("avoided", Cell(stats.avoided_usd, "good"), "money"),
        Figure("tokens avoided", Cell(tokens), "count"),
        Figure("wrong, estimated", Cell(told, _error_level(stats))),
        Figure("entries", Cell(stats.entries), "count"),
    )


def _error_level(stats: CacheStats) -> Level:
    upper, bound = stats.policy.error_upper, stats.policy.max_error
    return "warning" if upper is not None and bound is not None and upper > bound else "normal"


def _hit_rows(stats: CacheStats) -> tuple[Row, ...]:
    kinds = {
        "same text": stats.hits_exact,
        "same meaning": stats.hits_semantic,
        "call in flight": stats.hits_shared,
    }
    return _rows(stats, kinds)


def _rows(stats: CacheStats, counts: Any) -> tuple[Row, ...]:
    total = stats.requests
    return tuple(
        Row((Cell(name.replace("_", " ")), Cell(count), Cell(count / total if total else None)))
        for name, count in sorted(counts.items(), key=lambda item: -item[1])
        if count
    )


def _notices(stats: CacheStats) -> tuple[Notice, ...]:
    notices = []
    if stats.guards:
        told = ", ".join(f"{name} {count}" for name, count in sorted(stats.guards.items()))
        notices.append(Notice(f"Guards objected: {told}."))
    if stats.refused:
        told = ", ".join(f"{name} {count}" for name, count in sorted(stats.refused.items()))
        notices.append(Notice(f"Answers not kept: {told}."))
    if stats.unpriced_hits:
        notices.append(
            Notice(f"What {stats.unpriced_hits} answers cost is not known; they count as nothing.")
        )
    if stats.wrong_reported:
        notices.append(Notice(f"Readers called {stats.wrong_reported} answers wrong.", "warning"))
    if stats.failures:
        told = ", ".join(f"{part} {count}" for part, count in sorted(stats.failures.items()))
        notices.append(Notice(f"Failures that no caller saw: {told}.", "error"))
    return tuple(notices)
