"""Which price data stands behind a report, and whether it is old."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from tokenomics_core.protocols import Pricer

__all__ = ["PriceData"]


@dataclass(frozen=True, slots=True)
class PriceData:
    """What a pricer says of its data; a pricer need not say anything."""

    version: str | None = None
    date: date | None = None
    is_stale: bool = False

    @classmethod
    def of(cls, prices: Pricer | None) -> PriceData:
        """Ask for `data_version`, `data_date` and `is_stale`, as `PriceBook` has them."""
        version = getattr(prices, "data_version", None)
        day = getattr(prices, "data_date", None)
        return cls(
            version if isinstance(version, str) else None,
            day if isinstance(day, date) else None,
            getattr(prices, "is_stale", False) is True,
        )

    def describe(self) -> str | None:
        """Return version and date in words, None where the pricer tells nothing."""
        parts = [self.version, f"data of {self.date}" if self.date is not None else None]
        return ", ".join(part for part in parts if part is not None) or None
