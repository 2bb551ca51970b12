"""What is sent of a document: its kept units, word for word, and a mark where something is missing."""

from __future__ import annotations

from collections.abc import Sequence

from tokenomics_core.compression._json_units import without_records
from tokenomics_core.compression._units import Layout, Unit

__all__ = ["kept_spans", "rendered"]

_PROSE = ("sentence", "lead", "title", "heading")
_TABLE = ("table", "row")


def rendered(text: str, layout: Layout, kept: Sequence[int], marker: str) -> str:
    """Return a text without the units that are not kept.

    Units that follow each other stay as they stood. Where units are missing between two kept ones the marker
    stands, on a line of its own beside anything but prose, and as a row in a table; in JSON none can stand.

    Args:
        text: The whole text.
        layout: Its units.
        kept: Places of the units to keep, in order.
        marker: What stands where something is missing; may be empty.
    """
    if not kept:
        return ""
    units = layout.units
    if layout.shape == "json":
        chosen = set(kept)
        spans = [(unit.start, unit.end) for unit in units]
        return without_records(text, spans, [place in chosen for place in range(len(units))])
    parts: list[str] = []
    before: int | None = None
    for place in kept:
        unit = units[place]
        if before is None:
            parts.append(_indent(text, unit))
        elif place == before + 1:
            parts.append(text[units[before].end : unit.start])
        else:
            parts.append(_gap(text, units[before], unit, marker))
        parts.append(text[unit.start : unit.end])
        before = place
    return "".join(parts)


def kept_spans(layout: Layout, kept: Sequence[int]) -> list[tuple[int, int]]:
    """Return the stretches of the text that are sent, with units that follow each other as one."""
    spans: list[tuple[int, int]] = []
    before = -2
    for place in kept:
        unit = layout.units[place]
        if place == before + 1:
            spans[-1] = spans[-1][0], unit.end
        else:
            spans.append((unit.start, unit.end))
        before = place
    return spans


def _indent(text: str, unit: Unit) -> str:
    """Return the white space in front of a unit on its first line; it matters in code and lists."""
    line_start = text.rfind("\n", 0, unit.start) + 1
    lead = text[line_start : unit.start]
    return "" if unit.kind in _PROSE or lead.strip() else lead


def _gap(text: str, before: Unit, unit: Unit, marker: str) -> str:
    if before.kind in _TABLE and unit.kind == "row":
        return f"\n|{marker}|\n" if marker.strip() else "\n"
    if before.kind in {"title", "heading"} or unit.kind in {"title", "heading"}:
        own_line = unit.kind not in {"sentence", "lead"}
    else:
        own_line = before.kind not in _PROSE or unit.kind not in _PROSE
    if not own_line:
        lead = "\n" if before.kind in {"title", "heading"} else ""
        return lead + (marker or ("" if lead else " "))
    if before.kind in {"title", "heading"}:
        return "\n" + _indent(text, unit)
    return (f"\n{marker}\n" if marker.strip() else "\n") + _indent(text, unit)
