"""What one call cost, and where its price came from."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

__all__ = ["Cost"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """The price of one usage.

    Attributes:
        total_usd: The sum in USD, exact; None where no price is known. Never 0 for unknown.
        input_usd: The part for input units.
        output_usd: The part for output units.
        model: The model that the price belongs to, as the price data names it; None if unknown.
        provider: The provider that the price belongs to, as the price data names it.
        source: Where the price came from, in words: data set and version, an override, the provider's bill.
        price_date: The day the price took effect, where the data tells.
        estimated: Whether the usage, and so the cost, is an estimate.
        notes: What a reader of the bill should know, such as a service tier without a price of its own.
    """

    total_usd: Decimal | None
    input_usd: Decimal | None = None
    output_usd: Decimal | None = None
    model: str | None = None
    provider: str | None = None
    source: str
    price_date: date | None = None
    estimated: bool = False
    notes: tuple[str, ...] = ()

    @property
    def is_known(self) -> bool:
        """Whether a price was found."""
        return self.total_usd is not None
