"""What was saved and by what, so that the parts add up, and what a hold-out says of it."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Context, Decimal
from typing import Any

from tokenomics_core.errors import BudgetExceededError, ConfigurationError
from tokenomics_core.ledger import BaseLedger
from tokenomics_core.observability._anomaly_sums import CORRECTION
from tokenomics_core.observability._savings_call import parts_of_record
from tokenomics_core.observability._savings_measured import Measured, MeasuredArms
from tokenomics_core.rendering import (
    Cell,
    Column,
    Figure,
    Group,
    Notice,
    Row,
    Table,
    format_usd,
    to_html,
    to_rich,
    to_text,
)
from tokenomics_core.types import HoldOut, SpendRecord

__all__ = ["Refused", "Savings", "savings"]

_EXACT = Context(prec=200)
_ZERO = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """Calls that a budget refused. What they would have cost is not money saved: nobody got an answer.

    Attributes:
        calls: How many.
        worst_case_usd: What they could have cost at most, as far as a limit in USD refused them.
        unpriced_calls: Of these, calls that a limit in tokens or calls refused.
    """

    calls: int = 0
    worst_case_usd: Decimal = _ZERO
    unpriced_calls: int = 0

    @classmethod
    def of(cls, errors: Iterable[BudgetExceededError]) -> Refused:
        """Add up refusals as they were raised."""
        calls = unpriced = 0
        usd = _ZERO
        for error in errors:
            calls += 1
            if error.unit == "usd":
                usd = _EXACT.add(usd, Decimal(error.requested))
            else:
                unpriced += 1
        return cls(calls=calls, worst_case_usd=usd, unpriced_calls=unpriced)


@dataclass(frozen=True, slots=True, kw_only=True)
class Savings:
    """A bill, and what it would have been without what avoided a part of it.

    Attributes:
        spent_usd: What was paid, as far as known.
        parts: What was avoided by what: `cache`, `route`, `compress`, `prompt_cache`, `batch`; `budget` for
            routes that a limit lowered; several names joined by `+` where their parts are not known. Below 0
            where it cost more than it saved.
        calls_by_part: Calls on which each avoided something or cost more.
        calls: All calls.
        unpriced_calls: Of these, calls whose cost is unknown.
        unknown_calls: Calls on which something was avoided and nobody knows how much.
        refused: What budgets refused; in none of the sums.
        measured: What the hold-out says; None without one.
    """

    spent_usd: Decimal
    parts: Mapping[str, Decimal] = field(hash=False)
    calls_by_part: Mapping[str, int] = field(hash=False)
    calls: int
    unpriced_calls: int
    unknown_calls: int
    refused: Refused = Refused()
    measured: Measured | None = None

    @property
    def avoided_usd(self) -> Decimal:
        """The sum of the parts."""
        total = _ZERO
        for usd in self.parts.values():
            total = _EXACT.add(total, usd)
        return total

    @property
    def counterfactual_usd(self) -> Decimal:
        """What would have been paid: the sum of what was paid and of all parts, exactly."""
        return _EXACT.add(self.spent_usd, self.avoided_usd)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain JSON types, amounts as text with all their digits."""
        measured = self.measured
        return {
            "spent_usd": format(self.spent_usd, "f"),
            "avoided_usd": format(self.avoided_usd, "f"),
            "counterfactual_usd": format(self.counterfactual_usd, "f"),
            "parts": {
                name: {"usd": format(usd, "f"), "calls": self.calls_by_part[name]}
                for name, usd in self.parts.items()
            },
            "calls": self.calls,
            "unpriced_calls": self.unpriced_calls,
            "unknown_calls": self.unknown_calls,
            "refused": {
                "calls": self.refused.calls,
                "worst_case_usd": format(self.refused.worst_case_usd, "f"),
                "unpriced_calls": self.refused.unpriced_calls,
            },
            "measured": None if measured is None else _measured_dict(measured),
        }

    def to_table(self) -> Table:
        """Return the parts as a table between what was paid and what would have been."""
        whole = self.counterfactual_usd
        rows = [
            Row((Cell(name), Cell(self.calls_by_part[name]), _amount(usd), _share(usd, whole)))
            for name, usd in self.parts.items()
        ]
        return Table(
            title="Savings",
            figures=(
                Figure("Spent", Cell(self.spent_usd), "money"),
                Figure("Avoided", _amount(self.avoided_usd), "money"),
                Figure("Without", Cell(whole), "money"),
            ),
            columns=(
                Column(title="Avoided by"),
                Column(title="Calls", kind="count", priority=1),
                Column(title="USD", kind="money", strong=True),
                Column(title="of what it would be", kind="percent", priority=2),
            ),
            groups=(Group("", tuple(rows)),) if rows else (),
            footer=Row(
                (Cell("Total"), Cell(self.calls), _amount(self.avoided_usd), _share(self.avoided_usd, whole))
            ),
            notices=tuple(self._notices()),
        )

    def _notices(self) -> Iterable[Notice]:
        if self.unpriced_calls:
            yield Notice(f"{self.unpriced_calls:,} calls have no known cost and are in no sum", "error")
        if self.unknown_calls:
            yield Notice(f"{self.unknown_calls:,} calls avoided something that has no known price")
        if self.refused.calls:
            worst = format_usd(self.refused.worst_case_usd)
            calls = f"{self.refused.calls:,} calls"
            yield Notice(f"budgets refused {calls}, of {worst} at most: no saving, as nobody got an answer")
        if self.measured is not None:
            yield Notice(str(self.measured), "warning" if self.measured.agrees is False else "muted")
            if self.measured.touched_calls:
                yield Notice(
                    f"{self.measured.touched_calls:,} calls that were to be left alone were not: "
                    "give the same hold-out to every part",
                    "error",
                )

    def _repr_html_(self) -> str:
        return to_html(self.to_table())

    def __rich__(self) -> Any:
        return to_rich(self.to_table())

    def __str__(self) -> str:
        return to_text(self.to_table(), max(40, shutil.get_terminal_size((100, 24)).columns))


def savings(
    ledger: BaseLedger | Iterable[SpendRecord],
    *,
    hold_out: HoldOut | None = None,
    refused: Iterable[BudgetExceededError] = (),
    confidence: float = 0.95,
    since: datetime | None = None,
    until: datetime | None = None,
    **where: str | None,
) -> Savings:
    """Add up what was saved, by what, and compare it with what a hold-out shows.

    What is booked on a record is computed: what the same call would have cost otherwise. What a hold-out
    shows is measured: what calls cost that were really left alone. Where the two differ beyond chance, the
    computation has missed something, such as longer answers of a cheaper model or questions asked again.

    Args:
        ledger: Where the calls are, or the records themselves.
        hold_out: Who was left alone, as the parts were told; None for no comparison.
        refused: Refusals as they were raised.
        confidence: The chance that the measured interval is to hold the truth.
        since: The first instant, included.
        until: The last instant, not included.
        where: Values that dimensions or tags must have.

    Raises:
        ConfigurationError: The confidence is no chance, or records are given with filters.
    """
    if not 0 < confidence < 1:
        raise ConfigurationError(
            f"confidence must be between 0 and 1, not {confidence!r}; nothing was summed"
        )
    if isinstance(ledger, Iterable) and not isinstance(ledger, BaseLedger):
        if since is not None or until is not None or where:
            raise ConfigurationError("records cannot be filtered here; nothing was summed")
        records: Iterable[SpendRecord] = ledger
    else:
        records = ledger.records(since=since, until=until, **where)
    arms = None if hold_out is None else MeasuredArms(hold_out)
    sums = _Sums()
    for record in records:
        sums.add(record)
        if arms is not None and record.cost_usd is not None:
            arms.add(record)
    ordered = sorted(sums.parts, key=lambda name: (-sums.parts[name], name))
    return Savings(
        spent_usd=sums.spent,
        parts={name: sums.parts[name] for name in ordered},
        calls_by_part={name: sums.calls_by_part[name] for name in ordered},
        calls=sums.calls,
        unpriced_calls=sums.unpriced,
        unknown_calls=sums.unknown,
        refused=Refused.of(refused),
        measured=None if arms is None else arms.measured(confidence),
    )


class _Sums:
    """What grows record by record."""

    def __init__(self) -> None:
        self.spent = _ZERO
        self.parts: dict[str, Decimal] = {}
        self.calls_by_part: dict[str, int] = {}
        self.calls = self.unpriced = self.unknown = 0

    def add(self, record: SpendRecord) -> None:
        is_call = record.operation != CORRECTION
        self.calls += is_call
        if record.cost_usd is None:
            self.unpriced += is_call
        else:
            self.spent = _EXACT.add(self.spent, record.cost_usd)
        if record.avoided_usd is None:
            self.unknown += record.avoided_by is not None
            return
        for name, usd in parts_of_record(record).items():
            self.parts[name] = _EXACT.add(self.parts.get(name, _ZERO), usd)
            self.calls_by_part[name] = self.calls_by_part.get(name, 0) + (is_call and usd != 0)


def _amount(usd: Decimal) -> Cell:
    return Cell(usd, level="good" if usd > 0 else "error" if usd < 0 else "normal")


def _share(usd: Decimal, whole: Decimal) -> Cell:
    return Cell(float(usd / whole)) if whole > 0 else Cell("")


def _measured_dict(measured: Measured) -> dict[str, Any]:
    amounts = ("per_call_usd", "low_usd", "high_usd", "booked_per_call_usd", "total_usd")
    counts = ("left_alone_calls", "treated_calls", "left_alone_units", "treated_units")
    return {
        **{name: None if (usd := getattr(measured, name)) is None else format(usd, "f") for name in amounts},
        **{
            name: getattr(measured, name)
            for name in (*counts, "touched_calls", "unkeyed_calls", "confidence")
        },
        "agrees": measured.agrees,
    }
