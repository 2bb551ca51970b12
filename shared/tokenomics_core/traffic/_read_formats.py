"""The formats that are known, and which of them a row is written in."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from tokenomics_core.traffic._read_helicone import looks_like_helicone, read_helicone
from tokenomics_core.traffic._read_langfuse import looks_like_langfuse, spans_of_langfuse
from tokenomics_core.traffic._read_langsmith import looks_like_langsmith, spans_of_langsmith
from tokenomics_core.traffic._read_ledger import looks_like_ledger, read_ledger
from tokenomics_core.traffic._read_litellm import looks_like_litellm, read_litellm
from tokenomics_core.traffic._read_openai import looks_like_openai, read_openai
from tokenomics_core.traffic._read_otlp import looks_like_otlp, spans_of_otlp
from tokenomics_core.traffic._read_own import OWN_MARK
from tokenomics_core.traffic._read_phoenix import looks_like_phoenix, spans_of_phoenix
from tokenomics_core.traffic._read_spans import Span
from tokenomics_core.traffic._read_values import Row
from tokenomics_core.traffic._record import TrafficRecord

__all__ = ["FORMATS", "FORMAT_NAMES", "RowFormat", "detect", "detect_line"]


def _no_call(row: Row, where: str) -> TrafficRecord:
    raise ValueError(f"{where} tells of spans, not of a call: {row!r:.40}")


@dataclass(frozen=True, slots=True, kw_only=True)
class RowFormat:
    """One way to write calls down as rows, which tell of a call each, or of spans.

    Attributes:
        name: As `read_traffic` takes it.
        fits: Tells whether a row is of this format.
        read: Returns the call of a row; not for formats of spans.
        spans: Returns the spans of a row, several of which may tell of one call.
    """

    name: str
    fits: Callable[[Row], bool]
    read: Callable[[Row, str], TrafficRecord] = _no_call
    spans: Callable[[Row, str], Iterable[Span]] | None = None


_IN_ORDER = (
    RowFormat(name="ledger", fits=looks_like_ledger, read=read_ledger),
    RowFormat(name="otlp", fits=looks_like_otlp, spans=spans_of_otlp),
    RowFormat(name="phoenix", fits=looks_like_phoenix, spans=spans_of_phoenix),
    RowFormat(name="langsmith", fits=looks_like_langsmith, spans=spans_of_langsmith),
    RowFormat(name="langfuse", fits=looks_like_langfuse, spans=spans_of_langfuse),
    RowFormat(name="litellm", fits=looks_like_litellm, read=read_litellm),
    RowFormat(name="helicone", fits=looks_like_helicone, read=read_helicone),
    RowFormat(name="openai", fits=looks_like_openai, read=read_openai),
)
FORMATS = {item.name: item for item in _IN_ORDER}
FORMAT_NAMES = ("auto", *sorted({*FORMATS, "csv", "parquet"}))


def detect(row: Row) -> RowFormat | None:
    """Return the format of a row, the most particular one that fits."""
    if OWN_MARK in row:
        return FORMATS["openai"]
    return next((item for item in _IN_ORDER if item.fits(row)), None)


def detect_line(line: bytes) -> RowFormat | None:
    """Return the format of a line of JSON, where it is one."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return detect(row) if isinstance(row, dict) else None
