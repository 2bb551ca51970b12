"""Send less context and keep the answer: documents, tool results and history."""

from tokenomics_core.compression._compress import acompress, compress
from tokenomics_core.compression._document import Document
from tokenomics_core.compression._original_store import (
    MemoryOriginalStore,
    OriginalStore,
    SQLiteOriginalStore,
    restore_original,
    restore_tool,
)
from tokenomics_core.compression._report import Compressed, CompressionReport, DroppedUnit, KeptSpan
from tokenomics_core.compression._score import Scorer
from tokenomics_core.compression._tool_output import (
    CompressedOutput,
    OutputKind,
    compress_tool_output,
    restore_json,
)

__all__ = [
    "Compressed",
    "CompressedOutput",
    "CompressionReport",
    "Document",
    "DroppedUnit",
    "KeptSpan",
    "MemoryOriginalStore",
    "OriginalStore",
    "OutputKind",
    "SQLiteOriginalStore",
    "Scorer",
    "acompress",
    "compress",
    "compress_tool_output",
    "restore_json",
    "restore_original",
    "restore_tool",
]
