"""All names about conversations; those most used stand in `tokenomics_core.compression`, too."""

from tokenomics_core.compression._context_guard import ContextGuard, ContextState
from tokenomics_core.compression._editor import HistoryEditor
from tokenomics_core.compression._history import acompress_history, compress_history
from tokenomics_core.compression._history_report import (
    CompressedHistory,
    DroppedTurn,
    HistoryReport,
    KeptMessage,
)
from tokenomics_core.compression._prefix_money import (
    EditDecision,
    EditPlan,
    PrefixPrices,
    edit_pays,
    plan_edits,
)
from tokenomics_core.compression._summary import RollingSummary, SummaryReport, SummaryText

__all__ = [
    "CompressedHistory",
    "ContextGuard",
    "ContextState",
    "DroppedTurn",
    "EditDecision",
    "EditPlan",
    "HistoryEditor",
    "HistoryReport",
    "KeptMessage",
    "PrefixPrices",
    "RollingSummary",
    "SummaryReport",
    "SummaryText",
    "acompress_history",
    "compress_history",
    "edit_pays",
    "plan_edits",
]
