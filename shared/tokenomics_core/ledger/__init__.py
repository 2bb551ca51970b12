"""Lists of calls that answer what they cost, by whom, for what and when."""

from typing import TYPE_CHECKING, Any

from tokenomics_core.ledger._base import BaseLedger
from tokenomics_core.ledger._calendar import Bucket, start_of_day, zone_named
from tokenomics_core.ledger._memory import MemoryLedger
from tokenomics_core.ledger._opening import open_ledger
from tokenomics_core.ledger._sqlite import SQLiteLedger
from tokenomics_core.protocols import Ledger

if TYPE_CHECKING:
    from tokenomics_core.ledger._postgres import PostgresLedger

__all__ = [
    "BaseLedger",
    "Bucket",
    "Ledger",
    "MemoryLedger",
    "PostgresLedger",
    "SQLiteLedger",
    "open_ledger",
    "start_of_day",
    "zone_named",
]


def __getattr__(name: str) -> Any:  # the names of a module
    if name == "PostgresLedger":
        from tokenomics_core.ledger._postgres import PostgresLedger  # noqa: PLC0415 - needs an extra

        return PostgresLedger
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
