"""Draw why a question is answered as it is."""

from __future__ import annotations

from typing import Any

from tokenomics_core.cache._explain import Candidate, Explanation
from tokenomics_core.rendering import (
    Cell,
    Column,
    Figure,
    Group,
    Level,
    Notice,
    Row,
    Table,
    shorten,
    to_html,
    to_rich,
    to_text,
)

__all__ = ["explanation_html", "explanation_rich", "explanation_table", "explanation_text"]

_WIDTH = 60
_GOOD = frozenset({"exact", "semantic", "stale"})


def explanation_table(explanation: Explanation) -> Table:
    """Return a table with one row per near question."""
    level: Level = "good" if explanation.outcome in _GOOD else "warning"
    notices = [Notice(f"{explanation.why[:1].upper()}{explanation.why[1:]}.", level)]
    if explanation.exact is not None:
        notices.append(Notice(f"The same text: {shorten(explanation.exact, _WIDTH)}"))
    notices.append(Notice(f"Content guards: {', '.join(explanation.guards) or 'none'}."))
    threshold = explanation.threshold
    return Table(
        title="Why",
        subtitle=shorten(explanation.question, _WIDTH),
        figures=(
            Figure("outcome", Cell(explanation.outcome, level)),
            Figure(
                "needs", Cell("nothing is served by meaning" if threshold is None else f"{threshold:.3f}")
            ),
        ),
        columns=(
            Column(title="near question", strong=True),
            Column(title="cosine", align="right"),
            Column(title="probability", align="right"),
            Column(title="guard"),
            Column(title="group", priority=5),
        ),
        groups=(Group("", tuple(_row(candidate, threshold) for candidate in explanation.candidates)),),
        notices=tuple(notices),
    )


def explanation_text(explanation: Explanation) -> str:
    """Return the table as plain text."""
    return to_text(explanation_table(explanation))


def explanation_html(explanation: Explanation) -> str:
    """Return the table for a notebook."""
    return to_html(explanation_table(explanation))


def explanation_rich(explanation: Explanation) -> Any:  # rich is optional
    """Return the table for a terminal."""
    return to_rich(explanation_table(explanation))


def _row(candidate: Candidate, threshold: float | None) -> Row:
    probability = candidate.probability
    enough = probability is not None and threshold is not None and probability >= threshold
    return Row(
        (
            Cell(shorten(candidate.question, _WIDTH)),
            Cell(f"{candidate.similarity:.3f}"),
            Cell("" if probability is None else f"{probability:.3f}", "good" if enough else "normal"),
            Cell(candidate.guard or "", "warning"),
            Cell(candidate.group[:10], "muted"),
        )
    )
