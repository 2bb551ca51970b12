"""Whether the bill is right: a ledger beside what a provider charged."""

from tokenomics_core.economics._bill import Bill, BillLine
from tokenomics_core.economics._exports import BillFormat, read_bill
from tokenomics_core.economics._names import plain_name
from tokenomics_core.economics._reconcile import reconcile
from tokenomics_core.economics._reconciliation import Reconciliation, Unpriced
from tokenomics_core.economics._rows import ReconciliationRow, Tolerance, Verdict

__all__ = [
    "Bill",
    "BillFormat",
    "BillLine",
    "Reconciliation",
    "ReconciliationRow",
    "Tolerance",
    "Unpriced",
    "Verdict",
    "plain_name",
    "read_bill",
    "reconcile",
]
