"""What one area may expect of another without importing it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Protocol, runtime_checkable

from tokenomics_core.types import Cost, SpendRecord, Totals, Usage

__all__ = ["Ledger", "Pricer"]


@runtime_checkable
class Pricer(Protocol):
    """Something that knows prices; `tokenomics_core.pricing.PriceBook` is one."""

    def cost(self, usage: Usage, model: str, provider: str | None = None, at: datetime | None = None) -> Cost:
        """Price one usage; an unknown model costs None."""


@runtime_checkable
class Ledger(Protocol):
    """An append-only list of records that can be summed.

    Wherever a `Ledger` takes filters, `since` is included, `until` is not, and every further keyword
    names a dimension (see `tokenomics_core.types.DIMENSIONS`) or a tag and the value it must have.
    """

    def record(self, record: SpendRecord) -> None:
        """Append one record; the same id a second time changes nothing."""

    async def arecord(self, record: SpendRecord) -> None:
        """Append one record without blocking the event loop."""

    def total(
        self, *, since: datetime | None = None, until: datetime | None = None, **where: str | None
    ) -> Decimal:
        """Sum the known costs, in USD."""

    def totals(
        self, *, since: datetime | None = None, until: datetime | None = None, **where: str | None
    ) -> Totals:
        """Sum everything there is to sum."""

    def by(
        self,
        dimension: str,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        **where: str | None,
    ) -> Mapping[str, Decimal]:
        """Sum the known costs by a dimension or tag; records without it stand under `""`."""
