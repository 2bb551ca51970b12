"""Send less context and keep the answer: documents, tool results and history."""

from tokenomics_core.compression._tool_output import (
    CompressedOutput,
    OutputKind,
    compress_tool_output,
    restore_json,
)

__all__ = ["CompressedOutput", "OutputKind", "compress_tool_output", "restore_json"]
