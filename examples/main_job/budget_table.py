"""The table of the pass with a budget: who asked, who was refused, who spent what."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from examples.main_job.arms import ArmResult
from tokenomics_core.budgets import Budgets
from tokenomics_core.rendering import Cell, Column, Figure, Group, Notice, Row, Table, format_usd

__all__ = ["UserLine", "agrees", "build_budget_table", "build_user_lines"]


@dataclass(frozen=True, slots=True, kw_only=True)
class UserLine:
    """One user under a limit.

    Attributes:
        name: Who.
        asked: How many questions; likewise `answered` and `refused`.
        frameworks: How many questions each framework refused.
        spent_usd: What the budget has booked.
        ledger_usd: What the records of the same calls sum to.
        limit_usd: What the user may spend.
    """

    name: str
    asked: int
    answered: int
    refused: int
    frameworks: Counter[str]
    spent_usd: Decimal
    ledger_usd: Decimal
    limit_usd: Decimal


def build_user_lines(result: ArmResult, budgets: Budgets, limit_usd: Decimal) -> list[UserLine]:
    """Sum a pass by user, whoever asked most first."""
    billed = result.report.by("user")
    asked = Counter(outcome.question.user for outcome in result.outcomes)
    refused: dict[str, Counter[str]] = {name: Counter() for name in asked}
    for outcome in result.outcomes:
        if outcome.refused:
            refused[outcome.question.user][outcome.app] += 1
    return [
        UserLine(
            name=name,
            asked=count,
            answered=count - refused[name].total(),
            refused=refused[name].total(),
            frameworks=refused[name],
            spent_usd=budgets.status("user", name).spent_usd,
            ledger_usd=billed.get(name, Decimal(0)),
            limit_usd=limit_usd,
        )
        for name, count in asked.most_common()
    ]


def build_budget_table(lines: list[UserLine], *, seconds: float) -> Table:
    """Lay out who was stopped and who went on."""
    limit_usd = lines[0].limit_usd
    return Table(
        title=f"The same questions with a limit of {format_usd(limit_usd)} per user, and one user more",
        subtitle=f"{sum(line.asked for line in lines):,} questions in {seconds:.1f} s",
        figures=(
            Figure("refused questions", Cell(sum(line.refused for line in lines)), "count"),
            Figure("users stopped", Cell(sum(line.refused > 0 for line in lines)), "count"),
        ),
        columns=(
            Column(title="User"),
            Column(title="Asked", kind="count"),
            Column(title="answered", kind="count"),
            Column(title="refused", kind="count"),
            Column(title="Spent", kind="money", strong=True),
            Column(title="Limit", kind="money"),
            Column(title="left", kind="money", priority=1),
        ),
        groups=(Group("", tuple(map(_row, lines))),),
        footer=_total(lines),
        notices=tuple(_notices(lines)),
    )


def _row(line: UserLine) -> Row:
    return Row(
        (
            Cell(line.name),
            Cell(line.asked),
            Cell(line.answered),
            Cell(line.refused, level="warning" if line.refused else "muted"),
            Cell(line.spent_usd),
            Cell(line.limit_usd),
            Cell(line.limit_usd - line.spent_usd),
        )
    )


def _total(lines: list[UserLine]) -> Row:
    return Row(
        (
            Cell("Total"),
            Cell(sum(line.asked for line in lines)),
            Cell(sum(line.answered for line in lines)),
            Cell(sum(line.refused for line in lines)),
            Cell(sum((line.spent_usd for line in lines), Decimal(0))),
            Cell(sum((line.limit_usd for line in lines), Decimal(0))),
            Cell(sum((line.limit_usd - line.spent_usd for line in lines), Decimal(0))),
        )
    )


def _notices(lines: list[UserLine]) -> Iterator[Notice]:
    for line in lines:
        if line.refused:
            where = ", ".join(f"{count:,} by {name}" for name, count in sorted(line.frameworks.items()))
            yield Notice(
                f"{line.name} was refused {line.refused:,} questions ({where}): what might pass the limit "
                "was not sent. Nobody has those answers; what they would have cost is not a saving.",
                "warning",
            )
    over = [line.name for line in lines if line.spent_usd > line.limit_usd]
    if over:
        yield Notice(f"Above the limit: {', '.join(over)}.", "error")
    else:
        yield Notice("Nobody spent more than the limit.", "good")
    if all(agrees(line) for line in lines):
        yield Notice("Budget and ledger agree on every user to the nano-dollar per call.", "good")
    else:
        yield Notice("Budget and ledger do not agree.", "error")


def agrees(line: UserLine) -> bool:
    """Tell whether the budget booked what was billed; it rounds each call to a nano-dollar."""
    calls = 2 * line.asked  # a chat engine asks twice for a follow-up
    return abs(line.spent_usd - line.ledger_usd) <= Decimal("0.5e-9") * calls
