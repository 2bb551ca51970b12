"""The formats that are known, and which of them a row is written in."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

from tokenomics_core.traffic._read_ledger import looks_like_ledger, read_ledger
from tokenomics_core.traffic._read_openai import looks_like_openai, read_openai
from tokenomics_core.traffic._read_values import Row
from tokenomics_core.traffic._record import TrafficRecord

__all__ = ["FORMATS", "FORMAT_NAMES", "RowFormat", "detect", "detect_line"]


@dataclass(frozen=True, slots=True)
class RowFormat:
    """One way to write a call down as a row.

    Attributes:
        name: As `read_traffic` takes it.
        fits: Tells whether a row is of this format.
        read: Returns the call of a row, or None where the row is none.
        has_spans: Whether several rows may tell of one call, as the spans of a trace do.
    """

    name: str
    fits: Callable[[Row], bool]
    read: Callable[[Row, str], TrafficRecord | None]
    has_spans: bool = False


_IN_ORDER = (
    RowFormat("ledger", looks_like_ledger, read_ledger),
    RowFormat("openai", looks_like_openai, read_openai),
)
FORMATS = {item.name: item for item in _IN_ORDER}
FORMAT_NAMES = ("auto", *sorted({*FORMATS, "csv", "parquet"}))


def detect(row: Row) -> RowFormat | None:
    """Return the format of a row; the most particular one that fits."""
    return next((item for item in _IN_ORDER if item.fits(row)), None)


def detect_line(line: bytes) -> RowFormat | None:
    """Return the format of a line of JSON, where it is one."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return detect(row) if isinstance(row, dict) else None
