"""The ledger that a word on a command line or in a setting names."""

from __future__ import annotations

from tokenomics_core.ledger._base import BaseLedger
from tokenomics_core.ledger._sqlite import SQLiteLedger

__all__ = ["open_ledger"]


def open_ledger(place: str) -> BaseLedger:
    """Open the ledger of a PostgreSQL database (`postgres://...`, `postgresql://...`) or of a SQLite file.

    Raises:
        StoreError: It cannot be opened.
        MissingExtraError: It is in PostgreSQL, and the extra `postgres` is not installed.
    """
    if place.startswith(("postgres://", "postgresql://")):
        from tokenomics_core.ledger._postgres import PostgresLedger  # noqa: PLC0415 - needs an extra

        return PostgresLedger(place)
    return SQLiteLedger(place)
