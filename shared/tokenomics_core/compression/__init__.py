"""Send less context and keep the answer: documents, tool results and history."""

from tokenomics_core.compression._compress import acompress, compress
from tokenomics_core.compression._context_guard import ContextGuard
from tokenomics_core.compression._document import Document
from tokenomics_core.compression._editor import HistoryEditor
from tokenomics_core.compression._history import acompress_history, compress_history
from tokenomics_core.compression._history_report import CompressedHistory
from tokenomics_core.compression._original_store import (
    MemoryOriginalStore,
    OriginalStore,
    SQLiteOriginalStore,
    restore_original,
    restore_tool,
)
from tokenomics_core.compression._prefix_money import PrefixPrices, edit_pays
from tokenomics_core.compression._report import Compressed, CompressionReport, DroppedUnit, KeptSpan
from tokenomics_core.compression._score import Scorer
from tokenomics_core.compression._summary import RollingSummary
from tokenomics_core.compression._tool_output import (
    CompressedOutput,
    OutputKind,
    compress_tool_output,
    restore_json,
)

__all__ = [
    "Compressed",
    "CompressedHistory",
    "CompressedOutput",
    "CompressionReport",
    "ContextGuard",
    "Document",
    "DroppedUnit",
    "HistoryEditor",
    "KeptSpan",
    "MemoryOriginalStore",
    "OriginalStore",
    "OutputKind",
    "PrefixPrices",
    "RollingSummary",
    "SQLiteOriginalStore",
    "Scorer",
    "acompress",
    "acompress_history",
    "compress",
    "compress_history",
    "compress_tool_output",
    "edit_pays",
    "restore_json",
    "restore_original",
    "restore_tool",
]
