"""Lists of calls that answer what they cost, by whom, for what and when."""

from tokenomics_core.ledger._base import BaseLedger
from tokenomics_core.ledger._calendar import Bucket, start_of_day, zone_named
from tokenomics_core.ledger._memory import MemoryLedger
from tokenomics_core.ledger._sqlite import SQLiteLedger
from tokenomics_core.protocols import Ledger

__all__ = ["BaseLedger", "Bucket", "Ledger", "MemoryLedger", "SQLiteLedger", "start_of_day", "zone_named"]
