"""What came of a comparison, in sum and as a table."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import reduce
from typing import Literal

from tokenomics_core.economics._rows import EXACT, ReconciliationRow, Tolerance, Verdict, amount_text
from tokenomics_core.rendering import (
    Cell,
    Column,
    Figure,
    Group,
    Level,
    Notice,
    Row,
    Table,
    format_percent,
    format_usd,
    to_html,
    to_text,
)

__all__ = ["Reconciliation", "Unpriced", "counted"]

_LEVELS: dict[str, Level] = {"match": "good", "unpriced": "warning"}


@dataclass(frozen=True, slots=True)
class Unpriced:
    """Calls of a day and model, as the ledger names it, whose cost is unknown."""

    day: date
    model: str
    calls: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciliation:
    """A ledger beside a bill.

    Attributes:
        rows: One per day and model that stands on either side, in that order.
        unpriced: What the ledger recorded without a cost.
        first_day: The first day compared.
        last_day: The last day compared.
        timezone: The zone whose days are meant.
        has_costs: Whether the bill holds amounts, or usage only; tokens are compared then.
        source: Where the bill came from.
        tolerance: How far two amounts may lie apart.
        notes: What was left out, and why.
    """

    rows: tuple[ReconciliationRow, ...]
    unpriced: tuple[Unpriced, ...]
    first_day: date
    last_day: date
    timezone: str
    has_costs: bool
    source: str
    tolerance: Tolerance
    notes: tuple[str, ...] = ()

    @property
    def agrees(self) -> bool:
        """Whether every row matches and the totals do too."""
        totals_agree = not self.has_costs or self.tolerance.allows(self.ledger_usd, self.billed_usd)
        return totals_agree and all(row.verdict == "match" for row in self.rows)

    @property
    def ledger_usd(self) -> Decimal:
        """Sum of the known costs recorded."""
        return _sum(row.ledger_usd for row in self.rows)

    @property
    def billed_usd(self) -> Decimal:
        """Sum of the charges."""
        return _sum(row.billed_usd for row in self.rows)

    @property
    def difference_usd(self) -> Decimal:
        """What the bill has more than the ledger, in sum."""
        return EXACT.subtract(self.billed_usd, self.ledger_usd)

    @property
    def days_not_billed(self) -> tuple[date, ...]:
        """Days on which the ledger recorded calls and the bill has nothing at all."""
        return self._days(on_ledger=True)

    @property
    def days_not_recorded(self) -> tuple[date, ...]:
        """Days on which the bill charges and the ledger has nothing at all."""
        return self._days(on_ledger=False)

    def to_dict(self) -> dict[str, object]:
        """Return everything as plain JSON types; amounts are strings."""
        return {
            "agrees": self.agrees,
            "source": self.source,
            "first_day": self.first_day.isoformat(),
            "last_day": self.last_day.isoformat(),
            "timezone": self.timezone,
            "ledger_usd": amount_text(self.ledger_usd),
            "billed_usd": amount_text(self.billed_usd) if self.has_costs else None,
            "difference_usd": amount_text(self.difference_usd) if self.has_costs else None,
            "rows": [row.to_dict() for row in self.rows],
            "unpriced": [
                {"day": item.day.isoformat(), "model": item.model, "calls": item.calls}
                for item in self.unpriced
            ],
            "notes": list(self.notes),
        }

    def table(self) -> Table:
        """Return the comparison as a table."""
        return _table(self)

    def __str__(self) -> str:
        return to_text(_table(self))

    def _repr_html_(self) -> str:
        return to_html(_table(self))

    def _days(self, *, on_ledger: bool) -> tuple[date, ...]:
        recorded = {row.day for row in self.rows if row.ledger_tokens is not None}
        billed = {row.day for row in self.rows if row.billed_tokens is not None}
        return tuple(sorted(recorded - billed if on_ledger else billed - recorded))


def counted(n_calls: int) -> str:
    """Write a number of calls in words."""
    return "1 call" if n_calls == 1 else f"{n_calls} calls"


def _sum(amounts: Iterable[Decimal | None]) -> Decimal:
    return reduce(EXACT.add, (amount for amount in amounts if amount is not None), Decimal(0))


def _table(result: Reconciliation) -> Table:
    period = f"{result.first_day} to {result.last_day}, days of {result.timezone}"
    kind: Literal["money", "count"] = "money" if result.has_costs else "count"
    units = ("",) if result.has_costs else (" in", " out")
    amounts = [
        Column(title=f"{side}{unit}", kind=kind)
        for unit in units
        for side in ("Ledger", "Bill", "Difference")
    ]
    return Table(
        title="Ledger and bill" + (" agree" if result.agrees else " differ"),
        subtitle=f"{result.source}; {period}",
        figures=_figures(result) if result.has_costs else (),
        columns=(Column(title="Day"), Column(title="Model"), *amounts, Column(title="Verdict", strong=True)),
        groups=(Group("", tuple(_row(row, has_costs=result.has_costs) for row in result.rows)),),
        footer=_footer(result) if result.has_costs and result.rows else None,
        notices=tuple(_notices(result)),
    )


def _figures(result: Reconciliation) -> tuple[Figure, ...]:
    return (
        Figure("Ledger", Cell(result.ledger_usd), "money"),
        Figure("Bill", Cell(result.billed_usd), "money"),
        Figure("Difference", Cell(result.difference_usd), "money"),
    )


def _row(row: ReconciliationRow, *, has_costs: bool) -> Row:
    amounts: tuple[Cell, ...]
    if has_costs:
        amounts = (_side(row.ledger_usd), _side(row.billed_usd), Cell(row.difference_usd))
    else:
        ours, theirs = row.ledger_tokens or (None, None), row.billed_tokens or (None, None)
        amounts = tuple(
            Cell(value)
            for mine, yours in zip(ours, theirs, strict=True)
            for value in (mine, yours, (yours or 0) - (mine or 0))
        )
    verdict = Cell(row.verdict, level=_LEVELS.get(row.verdict, "error"))
    return Row((Cell(row.day.isoformat()), Cell(row.model or "all models"), *amounts, verdict))


def _side(amount: Decimal | None) -> Cell:
    return Cell("–", level="muted") if amount is None else Cell(amount)  # noqa: RUF001 - as in any table


def _footer(result: Reconciliation) -> Row:
    within = result.tolerance.allows(result.ledger_usd, result.billed_usd)
    verdict: Verdict = "match" if within else "differs"
    return Row(
        (
            Cell("Total"),
            Cell(),
            Cell(result.ledger_usd),
            Cell(result.billed_usd),
            Cell(result.difference_usd),
            Cell(verdict, level=_LEVELS.get(verdict, "error")),
        )
    )


def _notices(result: Reconciliation) -> Iterable[Notice]:
    if not result.rows:
        yield Notice("neither side has anything on these days", "warning")
    for item in result.unpriced:
        yield Notice(
            f"{item.day}: {counted(item.calls)} of {item.model} without a known price, not in the sums",
            "warning",
        )
    for days, what in (
        (result.days_not_billed, "the bill has nothing on"),
        (result.days_not_recorded, "the ledger has nothing on"),
    ):
        if days:
            yield Notice(f"{what} {', '.join(day.isoformat() for day in days)}", "warning")
    for note in result.notes:
        yield Notice(note)
    share = format_percent(float(result.tolerance.share))
    slack = (
        f"{format_usd(result.tolerance.usd)} or {share} of the bill"
        if result.has_costs
        else f"{share} of its tokens"
    )
    yield Notice(f"rows match within {slack}")
