"""The table of the pass with a cache: what was served, what that saved, and which answers changed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

from examples.main_job.arms import ArmResult, Outcome
from tokenomics_core.rendering import Cell, Column, Figure, Group, Notice, Row, Table
from tokenomics_core.types import SpendRecord, Totals

__all__ = ["KindLine", "build_cache_table", "build_kind_lines"]

_ORDER = ("easy", "plain", "hard", "follow_up", "repeat", "paraphrase", "near_miss")


@dataclass(frozen=True, slots=True, kw_only=True)
class KindLine:
    """Questions of one kind, without and with the cache.

    Attributes:
        name: The kind.
        questions: How many.
        served: How many were answered from the cache.
        right_plain: How many were answered right without it.
        right: How many with it.
        lost: How many were right without it and served wrong from it.
        plain: What they consumed without it.
        totals: What they consumed with it.
    """

    name: str
    questions: int
    served: int
    right_plain: int
    right: int
    lost: int
    plain: Totals
    totals: Totals


def build_kind_lines(plain: ArmResult, cached: ArmResult) -> list[KindLine]:
    """Compare two passes over the same questions kind by kind; the last line is the sum."""
    before = {outcome.question.id: outcome for outcome in plain.outcomes}
    plain_records, records = _by_question(plain), _by_question(cached)
    lines = []
    for kind in (*_ORDER, "Total"):
        outcomes = [outcome for outcome in cached.outcomes if kind in {outcome.question.kind, "Total"}]
        if outcomes:
            lines.append(_line(kind, outcomes, before, plain_records, records))
    return lines


def _line(
    kind: str,
    outcomes: Sequence[Outcome],
    before: dict[str, Outcome],
    plain_records: dict[str, list[SpendRecord]],
    records: dict[str, list[SpendRecord]],
) -> KindLine:
    ids = [outcome.question.id for outcome in outcomes]
    served = {name for name in ids if any(record.source == "cache" for record in records.get(name, ()))}
    return KindLine(
        name=kind.replace("_", " "),
        questions=len(outcomes),
        served=len(served),
        right_plain=sum(before[name].right for name in ids),
        right=sum(outcome.right for outcome in outcomes),
        lost=sum(
            outcome.question.id in served and before[outcome.question.id].right and not outcome.right
            for outcome in outcomes
        ),
        plain=Totals.of(record for name in ids for record in plain_records.get(name, ())),
        totals=Totals.of(record for name in ids for record in records.get(name, ())),
    )


def build_cache_table(lines: list[KindLine], *, seconds: float, ledger_usd: Decimal) -> Table:
    """Lay out what the cache served and saved."""
    whole = lines[-1]
    saved = whole.plain.cost_usd - whole.totals.cost_usd
    return Table(
        title="The same questions with a response cache",
        subtitle=f"{whole.questions:,} questions in {seconds:.1f} s",
        figures=(
            Figure("served", Cell(whole.served / whole.questions), "percent"),
            Figure("saved", Cell(saved), "money"),
            Figure("of the cost", Cell(_share(saved, whole.plain.cost_usd)), "percent"),
            Figure("right answers lost", Cell(whole.lost), "count"),
        ),
        columns=(
            Column(title="Question"),
            Column(title="Asked", kind="count"),
            Column(title="served", kind="count", strong=True),
            Column(title="right, plain", kind="percent", priority=1),
            Column(title="right", kind="percent"),
            Column(title="lost", kind="count"),
            Column(title="Cost, plain", kind="money"),
            Column(title="Cost", kind="money", strong=True),
        ),
        groups=(Group("", tuple(_row(line) for line in lines[:-1])),),
        footer=_row(whole),
        notices=tuple(_notices(lines, ledger_usd)),
    )


def _share(part: Decimal, whole: Decimal) -> float | None:
    return float(part / whole) if whole else None


def _row(line: KindLine) -> Row:
    return Row(
        (
            Cell(line.name),
            Cell(line.questions),
            Cell(line.served),
            Cell(line.right_plain / line.questions),
            Cell(line.right / line.questions),
            Cell(line.lost, level="error" if line.lost else "muted"),
            Cell(line.plain.cost_usd),
            Cell(line.totals.cost_usd),
        )
    )


def _notices(lines: list[KindLine], ledger_usd: Decimal) -> Iterator[Notice]:
    near_misses = next((line for line in lines if line.name == "near miss"), None)
    if near_misses is not None:
        text = (
            f"Of {near_misses.questions} near misses, which only look like an earlier question, "
            f"{near_misses.served} were served."
        )
        yield Notice(text, "error" if near_misses.served else "good")
    cost = lines[-1].totals.cost_usd
    if ledger_usd == cost:
        yield Notice(f"The ledger says the same: {ledger_usd.normalize():f} USD.", "good")
    else:
        yield Notice(f"The ledger says {ledger_usd:f} USD, the report {cost:f} USD.", "error")


def _by_question(result: ArmResult) -> dict[str, list[SpendRecord]]:
    found: dict[str, list[SpendRecord]] = {}
    for record in result.report.calls:
        found.setdefault(record.attribution.tags.get("question", ""), []).append(record)
    return found
