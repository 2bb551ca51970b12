"""Read spans as Phoenix exports them: the rows of its data frames, and the spans of its web interface."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from typing import Any

from tokenomics_core.traffic._read_attributes import nested
from tokenomics_core.traffic._read_otlp import span_of_facts
from tokenomics_core.traffic._read_span_facts import SpanFacts
from tokenomics_core.traffic._read_spans import Span
from tokenomics_core.traffic._read_values import Row, first_of, json_of, named_time_of, text_of

__all__ = ["looks_like_phoenix", "spans_of_phoenix"]

_PREFIX = "attributes."


def looks_like_phoenix(row: Row) -> bool:
    """Tell whether a row is a span with OpenInference attributes."""
    if "context.span_id" in row or "span_kind" in row:
        return "span_kind" in row or any(name.startswith(_PREFIX) for name in row)
    return any(name.startswith(("attributes.llm.", "attributes.openinference.")) for name in row)


def spans_of_phoenix(row: Row, where: str) -> Iterator[Span]:
    """Yield the span of a row.

    Raises:
        ValueError: It has no id.
    """
    context = json_of(row.get("context"))
    context = context if isinstance(context, Mapping) else {}
    span_id = text_of(first_of(row, "context.span_id", "span_id", "id") or context.get("span_id"))
    if span_id is None:
        raise ValueError("a span has no id")
    attributes = _attributes_of(row)
    kind = text_of(row.get("span_kind"))
    if kind is not None:
        attributes.setdefault("openinference", {"span": {"kind": kind}})
    yield span_of_facts(
        SpanFacts(
            trace=text_of(first_of(row, "context.trace_id", "trace_id") or context.get("trace_id"))
            or span_id,
            id=span_id,
            parent=text_of(row.get("parent_id")),
            name=text_of(row.get("name")),
            start=named_time_of(row, "start_time"),
            end=named_time_of(row, "end_time"),
            attributes=attributes,
            events=tuple(_events_of(json_of(row.get("events")))),
            has_failed=row.get("status_code") == "ERROR",
            message=text_of(row.get("status_message")),
            where=where,
        )
    )


def _attributes_of(row: Row) -> dict[str, Any]:
    whole = json_of(row.get("attributes"))
    flat = dict(whole) if isinstance(whole, Mapping) else {}
    for name, value in row.items():
        if name.startswith(_PREFIX) and value != "":
            flat[name.removeprefix(_PREFIX)] = _value_of(value)
    return nested(flat)


def _value_of(cell: Any) -> Any:
    """Read a cell; CSV of a data frame holds lists as Python writes them."""
    value = json_of(cell)
    if isinstance(value, str) and value[:2] in {"[{", "['", "{'"}:
        try:
            return ast.literal_eval(value)
        except (MemoryError, RecursionError, SyntaxError, ValueError):
            return value
    return value


def _events_of(events: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for event in events if isinstance(events, list) else ():
        if isinstance(event, Mapping):
            attributes = json_of(event.get("attributes"))
            yield str(event.get("name", "")), nested(attributes) if isinstance(attributes, Mapping) else {}
