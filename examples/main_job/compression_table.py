"""The table of the pass with compressed context: what was not sent, what that saved, what changed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

from examples.main_job.arms import ArmResult
from tokenomics_core.compression.stats import CompressionStats
from tokenomics_core.rendering import Cell, Column, Figure, Group, Notice, Row, Table
from tokenomics_core.types import SpendRecord, Totals

__all__ = ["CompressionLine", "build_compression_lines", "build_compression_table"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CompressionLine:
    """Questions of one framework, with the whole context and with a part of it.

    Attributes:
        name: The framework.
        questions: How many.
        right_plain: How many were answered right with the whole context.
        right: How many with a part of it.
        lost: How many were right with the whole context and wrong with a part of it.
        gained: How many the other way round.
        same: How many answers are the same, letter by letter.
        plain: What they consumed with the whole context.
        totals: What they consumed with a part of it.
        context: What the compressor made of what was retrieved.
        credited: What the bill says that compression avoided; None where nothing was credited.
    """

    name: str
    questions: int
    right_plain: int
    right: int
    lost: int
    gained: int
    same: int
    plain: Totals
    totals: Totals
    context: CompressionStats
    credited: Decimal | None


def build_compression_lines(plain: ArmResult, compressed: ArmResult) -> list[CompressionLine]:
    """Compare two passes over the same questions by framework; the last line is the sum."""
    names = sorted({outcome.app for outcome in compressed.outcomes})
    return [_line(name, {name}, plain, compressed) for name in names] + [
        _line("Total", set(names), plain, compressed)
    ]


def build_compression_table(
    lines: Sequence[CompressionLine], *, seconds: float, share: float, ledger: Totals
) -> Table:
    """Lay out what was not sent and what that saved.

    Args:
        lines: By framework, and in all.
        seconds: How long the pass took.
        share: How much of what was retrieved was to be sent.
        ledger: What the ledger says of the pass.
    """
    whole = lines[-1]
    saved = whole.plain.cost_usd - whole.totals.cost_usd
    avoided = whole.plain.input_tokens - whole.totals.input_tokens
    return Table(
        title=f"The same questions with {share:.0%} of what was retrieved",
        subtitle=f"{whole.questions:,} questions in {seconds:.1f} s",
        figures=(
            Figure("input tokens not sent", Cell(avoided), "count"),
            Figure("saved", Cell(saved), "money"),
            Figure(
                "of the cost",
                Cell(float(saved / whole.plain.cost_usd) if whole.plain.cost_usd else None),
                "percent",
            ),
            Figure("answers unchanged", Cell(whole.same / whole.questions), "percent"),
        ),
        columns=(
            Column(title="Framework"),
            Column(title="Asked", kind="count"),
            Column(title="right, plain", kind="percent"),
            Column(title="right", kind="percent", strong=True),
            Column(title="lost", kind="count"),
            Column(title="gained", kind="count"),
            Column(title="unchanged", kind="percent", priority=1),
            Column(title="Context, found", kind="count", priority=2),
            Column(title="Context, sent", kind="count", priority=2),
            Column(title="Tokens in, plain", kind="count", priority=1),
            Column(title="Tokens in", kind="count"),
            Column(title="Cost, plain", kind="money"),
            Column(title="Cost", kind="money", strong=True),
        ),
        groups=(Group("", tuple(map(_row, lines[:-1]))),),
        footer=_row(whole),
        notices=tuple(_notices(whole, ledger)),
    )


def _line(name: str, apps: set[str], plain: ArmResult, compressed: ArmResult) -> CompressionLine:
    before = {outcome.question.id: outcome for outcome in plain.outcomes}
    outcomes = [outcome for outcome in compressed.outcomes if outcome.app in apps]
    records = _records(compressed, apps)
    credited = [record.avoided_usd for record in records if record.avoided_by == "compress"]
    return CompressionLine(
        name=name,
        questions=len(outcomes),
        right_plain=sum(before[outcome.question.id].right for outcome in outcomes),
        right=sum(outcome.right for outcome in outcomes),
        lost=sum(before[outcome.question.id].right and not outcome.right for outcome in outcomes),
        gained=sum(outcome.right and not before[outcome.question.id].right for outcome in outcomes),
        same=sum(before[outcome.question.id].answer == outcome.answer for outcome in outcomes),
        plain=Totals.of(_records(plain, apps)),
        totals=Totals.of(records),
        context=_context(compressed, apps),
        credited=sum(filter(None, credited), Decimal(0)) if credited else None,
    )


def _records(result: ArmResult, apps: set[str]) -> list[SpendRecord]:
    return [record for record in result.report.calls if record.attribution.tags.get("framework") in apps]


def _context(result: ArmResult, apps: set[str]) -> CompressionStats:
    counted = [app.compressed() for app in result.arm.apps if app.name in apps]
    return CompressionStats(
        runs=sum(stats.runs for stats in counted),
        tokens_before=sum(stats.tokens_before for stats in counted),
        tokens_after=sum(stats.tokens_after for stats in counted),
    )


def _row(line: CompressionLine) -> Row:
    lost = line.right < line.right_plain
    return Row(
        (
            Cell(line.name),
            Cell(line.questions),
            Cell(line.right_plain / line.questions),
            Cell(line.right / line.questions, level="warning" if lost else "good"),
            Cell(line.lost, level="warning" if line.lost else "muted"),
            Cell(line.gained),
            Cell(line.same / line.questions),
            Cell(line.context.tokens_before),
            Cell(line.context.tokens_after),
            Cell(line.plain.input_tokens),
            Cell(line.totals.input_tokens),
            Cell(line.plain.cost_usd),
            Cell(line.totals.cost_usd),
        )
    )


def _notices(whole: CompressionLine, ledger: Totals) -> Iterator[Notice]:
    if whole.credited is None:
        yield Notice("The bill credited compression with nothing.", "warning")
    else:
        yield Notice(
            f"The bill credited compression with {whole.credited.normalize():f} USD of input not sent, each "
            "call against itself; the two passes also differ in what the provider's own cache held."
        )
    cost, credited = whole.totals.cost_usd, whole.credited or Decimal(0)
    if (ledger.cost_usd, ledger.avoided_usd) == (cost, credited):
        said = f"{cost.normalize():f} USD spent, {credited.normalize():f} USD avoided"
        yield Notice(f"The ledger says the same: {said}.", "good")
    else:
        said = f"{ledger.cost_usd:f} USD spent and {ledger.avoided_usd:f} USD avoided"
        yield Notice(
            f"The ledger says {said}, the report {cost:f} USD and {credited:f} USD.",
            "error",
        )
