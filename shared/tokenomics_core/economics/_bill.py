"""A provider's bill: what it charged, by day and model."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from tokenomics_core.errors import ConfigurationError

__all__ = ["Bill", "BillLine"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BillLine:
    """One position of a bill.

    Attributes:
        day: The day it was charged for.
        model: The model as the bill names it; empty where the position belongs to none.
        item: What it was for where that is no model, such as a tool; empty where the bill does not say.
        cost_usd: The charge, a credit below 0; None where the export holds usage only.
        input_tokens: All input, cached included; None where the export does not say.
        output_tokens: All output; likewise.
    """

    day: date
    model: str = ""
    item: str = ""
    cost_usd: Decimal | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """All positions of an export, and the days that it covers.

    Attributes:
        lines: The positions.
        first_day: The first day covered, whether or not anything was charged.
        last_day: The last day covered.
        source: Where it came from, in words.
        provider: Who sent it, as a ledger names it; None where the export does not tell.
        timezone: The zone whose days are meant.
        notes: What a reader should know, such as pages that are missing.
    """

    lines: tuple[BillLine, ...]
    first_day: date
    last_day: date
    source: str
    provider: str | None = None
    timezone: str = "UTC"
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.first_day > self.last_day:
            raise ConfigurationError(f"a bill cannot run from {self.first_day} to {self.last_day}")
        for line in self.lines:
            if not self.first_day <= line.day <= self.last_day:
                raise ConfigurationError(
                    f"a bill from {self.first_day} to {self.last_day} cannot charge for {line.day}"
                )
