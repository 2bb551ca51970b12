"""One day and model on both sides, and whether they agree."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from datetime import date
from decimal import Context, Decimal, InvalidOperation
from typing import Any, Literal

from tokenomics_core.errors import ConfigurationError

__all__ = ["EXACT", "Amounts", "ReconciliationRow", "Tolerance", "Verdict", "amount_text"]

EXACT = Context(prec=100)
"""Not the ambient context: a caller may have set a low precision, and a bill does not depend on that."""

Verdict = Literal["match", "differs", "not billed", "not recorded", "unpriced"]


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How far two amounts may lie apart and still agree: the larger of a sum and a share of the bill."""

    usd: Decimal
    share: Decimal

    @classmethod
    def of(cls, usd: Decimal | str, share: Decimal | str) -> Tolerance:
        """Check both."""
        values = []
        for name, value in (("tolerance_usd", usd), ("tolerance_share", share)):
            try:
                number = Decimal(value)
            except (InvalidOperation, TypeError, ValueError) as error:
                raise ConfigurationError(f"{name} must be a number, not {value!r}") from error
            if not number.is_finite() or number < 0 or (name == "tolerance_share" and number > 1):
                raise ConfigurationError(f"{name} must be 0 or more (a share at most 1), not {value!r}")
            values.append(number)
        return cls(*values)

    def allows(self, ledger_usd: Decimal, billed_usd: Decimal) -> bool:
        """Tell whether two amounts agree."""
        allowed = max(self.usd, EXACT.multiply(self.share, abs(billed_usd)))
        return abs(EXACT.subtract(billed_usd, ledger_usd)) <= allowed

    def allows_tokens(self, ledger: int, billed: int) -> bool:
        """Tell whether two counts agree, by the share alone."""
        return abs(billed - ledger) <= self.share * billed


@dataclass(frozen=True, slots=True, kw_only=True)
class Amounts:
    """One side's sums for a day and model; None where that side does not say."""

    cost_usd: Decimal | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    unpriced_calls: int = 0

    @classmethod
    def sum(cls, parts: Iterable[Amounts]) -> Amounts:
        """Add up what is known; what no part knows stays unknown."""
        sums: dict[str, Any] = {}
        for part in parts:
            for item in fields(cls):
                value = getattr(part, item.name)
                if isinstance(value, Decimal):
                    sums[item.name] = EXACT.add(value, sums.get(item.name, 0))
                elif value is not None:
                    sums[item.name] = value + sums.get(item.name, 0)
        return cls(**sums)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconciliationRow:
    """A day and model on both sides.

    Attributes:
        day: The day.
        model: The model as both sides share it, or the item that was charged; empty for all models.
        ledger_usd: Sum of the known costs recorded; None where nothing was recorded.
        billed_usd: Sum of the charges; None where nothing was charged, or the export holds usage only.
        ledger_tokens: Input and output recorded; None where nothing was.
        billed_tokens: Input and output on the bill; None where it does not say.
        unpriced_calls: Calls recorded without a known cost.
        verdict: `match`; `differs`; `not billed`; `not recorded`; or `unpriced`, where the ledger has
            calls without a price that may explain why it is lower.
    """

    day: date
    model: str
    ledger_usd: Decimal | None
    billed_usd: Decimal | None
    ledger_tokens: tuple[int | None, int | None] | None
    billed_tokens: tuple[int | None, int | None] | None
    unpriced_calls: int
    verdict: Verdict

    @classmethod
    def of(
        cls,
        key: tuple[date, str],
        ledger: Amounts | None,
        billed: Amounts | None,
        tolerance: Tolerance,
        *,
        has_costs: bool,
    ) -> ReconciliationRow:
        """Compare two sides, of which one may be missing, by their costs or else by their tokens."""
        judge = _verdict_on_costs if has_costs else _verdict_on_tokens
        return cls(
            day=key[0],
            model=key[1],
            ledger_usd=None if ledger is None else ledger.cost_usd,
            billed_usd=None if billed is None else billed.cost_usd,
            ledger_tokens=None if ledger is None else (ledger.input_tokens, ledger.output_tokens),
            billed_tokens=None if billed is None else (billed.input_tokens, billed.output_tokens),
            unpriced_calls=0 if ledger is None else ledger.unpriced_calls,
            verdict=judge(ledger, billed, tolerance),
        )

    @property
    def difference_usd(self) -> Decimal:
        """What the bill has more than the ledger."""
        return EXACT.subtract(self.billed_usd or 0, self.ledger_usd or 0)

    def to_dict(self) -> dict[str, object]:
        """Return the row as plain JSON types; amounts are strings."""
        ledger_tokens, billed_tokens = self.ledger_tokens or (None, None), self.billed_tokens or (None, None)
        return {
            "day": self.day.isoformat(),
            "model": self.model,
            "ledger_usd": amount_text(self.ledger_usd),
            "billed_usd": amount_text(self.billed_usd),
            "difference_usd": amount_text(self.difference_usd),
            "ledger_input_tokens": ledger_tokens[0],
            "ledger_output_tokens": ledger_tokens[1],
            "billed_input_tokens": billed_tokens[0],
            "billed_output_tokens": billed_tokens[1],
            "unpriced_calls": self.unpriced_calls,
            "verdict": self.verdict,
        }


def _verdict_on_costs(ledger: Amounts | None, billed: Amounts | None, tolerance: Tolerance) -> Verdict:
    ledger_usd = (ledger.cost_usd if ledger is not None else None) or Decimal(0)
    billed_usd = (billed.cost_usd if billed is not None else None) or Decimal(0)
    n_unpriced = 0 if ledger is None else ledger.unpriced_calls
    if tolerance.allows(ledger_usd, billed_usd) and not (billed is None and n_unpriced):
        return "match"
    if ledger is None:
        return "not recorded"
    if n_unpriced and ledger_usd <= billed_usd:
        return "unpriced"
    return "not billed" if billed is None else "differs"


def _verdict_on_tokens(ledger: Amounts | None, billed: Amounts | None, tolerance: Tolerance) -> Verdict:
    ours, theirs = ledger or Amounts(), billed or Amounts(input_tokens=0, output_tokens=0)
    pairs = ((ours.input_tokens, theirs.input_tokens), (ours.output_tokens, theirs.output_tokens))
    if all(charged is None or tolerance.allows_tokens(counted or 0, charged) for counted, charged in pairs):
        return "match"
    if billed is None:
        return "not billed"
    return "not recorded" if ledger is None else "differs"


def amount_text(amount: Decimal | None) -> str | None:
    """Write an amount with all its digits."""
    return None if amount is None else format(amount, "f")
