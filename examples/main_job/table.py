"""The one table of the main job: what the stream cost, by whom and for what, and how much was right."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

from examples.main_job.arms import ArmResult, Outcome
from tokenomics_core.rendering import Cell, Column, Figure, Group, Notice, Row, Table
from tokenomics_core.types import SpendRecord, Totals

__all__ = ["Line", "build_lines", "build_table"]

_SECTIONS: dict[str, Callable[[Outcome], str]] = {
    "Model": lambda outcome: outcome.model,
    "Feature": lambda outcome: outcome.question.feature,
    "User": lambda outcome: outcome.question.user,
    "Framework": lambda outcome: outcome.app,
    "Question": lambda outcome: outcome.question.kind.replace("_", " "),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A group of questions: how many, how many were answered right, and what they consumed."""

    section: str
    name: str
    questions: int
    right: int
    totals: Totals

    @property
    def right_share(self) -> float | None:
        """The share of right answers, or None where nothing was asked."""
        return self.right / self.questions if self.questions else None


def build_lines(result: ArmResult) -> list[Line]:
    """Sum one pass by model, feature, user, framework and kind of question, the costliest first; then in all.

    A call belongs to the question that it was made for, so every section sums to the whole.
    """
    records: dict[str, list[SpendRecord]] = {}
    for record in result.report.calls:
        records.setdefault(record.attribution.tags.get("question", ""), []).append(record)
    lines = []
    for section, key in _SECTIONS.items():
        groups: dict[str, list[Outcome]] = {}
        for outcome in result.outcomes:
            groups.setdefault(key(outcome), []).append(outcome)
        in_section = [_line(section, name, group, records) for name, group in groups.items()]
        lines += sorted(in_section, key=lambda line: (-line.totals.cost_usd, line.name))
    return [*lines, _line("", "Total", result.outcomes, records)]


def _line(
    section: str, name: str, outcomes: Sequence[Outcome], records: dict[str, list[SpendRecord]]
) -> Line:
    return Line(
        section=section,
        name=name,
        questions=len(outcomes),
        right=sum(outcome.right for outcome in outcomes),
        totals=Totals.of(record for outcome in outcomes for record in records.get(outcome.question.id, ())),
    )


def build_table(result: ArmResult, *, stand_in: bool, ledger_usd: Decimal, seconds: float) -> Table:
    """Lay out what a pass cost.

    Args:
        result: The pass.
        stand_in: Whether the provider was the stand-in, which the table then says.
        ledger_usd: What the ledger says that the pass cost.
        seconds: How long it took.
    """
    lines = build_lines(result)
    whole = lines[-1]
    groups = tuple(
        Group(section, tuple(_row(line) for line in lines if line.section == section))
        for section in _SECTIONS
    )
    return Table(
        title=result.report.title or "",
        subtitle=f"{whole.questions:,} questions in {seconds:.1f} s",
        figures=_figures(whole),
        columns=(
            Column(title=""),
            Column(title="Questions", kind="count", priority=4),
            Column(title="right", kind="percent", part=True),
            Column(title="Calls", kind="count", priority=2),
            Column(title="Tokens in", kind="count", priority=1),
            Column(title="cached", kind="count", part=True, priority=3),
            Column(title="Tokens out", kind="count", priority=1),
            Column(title="Cost, plain", kind="money", strong=True),
            Column(title="estimated", kind="count", priority=5),
            Column(title="unpriced", kind="count", priority=5),
        ),
        groups=groups,
        footer=_row(whole),
        notices=tuple(_notices(whole, stand_in=stand_in, ledger_usd=ledger_usd)),
    )


def _row(line: Line) -> Row:
    totals = line.totals
    return Row(
        (
            Cell(line.name),
            Cell(line.questions),
            Cell(line.right_share),
            Cell(totals.calls),
            Cell(totals.input_tokens),
            Cell(totals.cache_read_tokens),
            Cell(totals.output_tokens),
            Cell(None if totals.calls and totals.unpriced_calls == totals.calls else totals.cost_usd),
            Cell(totals.estimated_calls, level="warning" if totals.estimated_calls else "muted"),
            Cell(totals.unpriced_calls, level="error" if totals.unpriced_calls else "muted"),
        )
    )


def _figures(whole: Line) -> tuple[Figure, ...]:
    cost = whole.totals.cost_usd
    return (
        Figure("Cost, plain", Cell(cost), "money"),
        Figure(
            "per 1,000 questions", Cell(cost * 1000 / whole.questions if whole.questions else None), "money"
        ),
        Figure("right answers", Cell(whole.right_share), "percent"),
        Figure("per right answer", Cell(cost / whole.right if whole.right else None), "money"),
    )


def _notices(whole: Line, *, stand_in: bool, ledger_usd: Decimal) -> Iterator[Notice]:
    totals = whole.totals
    if stand_in:
        yield Notice(
            "The provider was a stand-in on loopback, no model: it picks sentences from the context that it "
            "is given. Tokens are counted; prices are those of the models whose names it borrows."
        )
    if totals.estimated_calls:
        yield Notice(f"{totals.estimated_calls:,} calls reported no usage; theirs is estimated.", "warning")
    if totals.unpriced_calls:
        yield Notice(f"{totals.unpriced_calls:,} calls have no known price and are not in the cost.", "error")
    if ledger_usd == totals.cost_usd:
        yield Notice(f"The ledger says the same: {ledger_usd.normalize():f} USD.", "good")
    else:
        yield Notice(f"The ledger says {ledger_usd:f} USD, the report {totals.cost_usd:f} USD.", "error")
