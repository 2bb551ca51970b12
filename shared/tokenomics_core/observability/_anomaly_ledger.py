"""A ledger whose records are watched as they come."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any

from tokenomics_core.protocols import Ledger
from tokenomics_core.types import SpendRecord, Totals

__all__ = ["WatchedLedger", "watched"]

_log = logging.getLogger("tokenomics")


class WatchedLedger:
    """Records to a ledger, and shows every record to a watch; whatever else is asked, the ledger answers."""

    def __init__(self, ledger: Ledger, watch: Callable[[SpendRecord], object]) -> None:
        self.ledger = ledger
        self._watch = watch
        self.failures = 0

    def record(self, record: SpendRecord) -> None:
        """Append one record and show it to the watch."""
        self.ledger.record(record)
        self._show(record)

    async def arecord(self, record: SpendRecord) -> None:
        """Append one record without blocking the event loop, and show it to the watch."""
        await self.ledger.arecord(record)
        self._show(record)

    def total(
        self, *, since: datetime | None = None, until: datetime | None = None, **where: str | None
    ) -> Decimal:
        """Sum the known costs, in USD."""
        return self.ledger.total(since=since, until=until, **where)

    def totals(
        self, *, since: datetime | None = None, until: datetime | None = None, **where: str | None
    ) -> Totals:
        """Sum everything there is to sum."""
        return self.ledger.totals(since=since, until=until, **where)

    def by(
        self,
        dimension: str,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        **where: str | None,
    ) -> Any:
        """Sum the known costs by a dimension or tag."""
        return self.ledger.by(dimension, since=since, until=until, **where)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.ledger, name)

    def _show(self, record: SpendRecord) -> None:
        try:
            self._watch(record)
        except Exception:  # noqa: BLE001 - an observer may not break the call it watches
            self.failures += 1
            if self.failures == 1:
                _log.exception("a watch over a ledger failed; the record is kept and the call not affected")


def watched(ledger: Ledger, watch: Callable[[SpendRecord], object]) -> WatchedLedger:
    """Return a ledger that shows every record to a watch, such as `AnomalyWatch().add`."""
    return WatchedLedger(ledger, watch)
