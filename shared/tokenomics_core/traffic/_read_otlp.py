"""Read OpenTelemetry spans: OTLP in JSON, and the spans that SDKs print, of GenAI or OpenInference."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tokenomics_core.traffic._read_attributes import nested, unwrapped, value_of
from tokenomics_core.traffic._read_genai import read_genai, read_genai_event
from tokenomics_core.traffic._read_langfuse import read_langfuse_span
from tokenomics_core.traffic._read_openinference import read_openinference
from tokenomics_core.traffic._read_span_facts import SpanFacts, attribution_of_span
from tokenomics_core.traffic._read_spans import Span
from tokenomics_core.traffic._read_values import Row, first_of, named_time_of, text_of

__all__ = ["looks_like_otlp", "spans_of_otlp"]

_BATCHES = ("resourceSpans", "resource_spans")
_SCOPES = ("scopeSpans", "scope_spans", "instrumentationLibrarySpans")
_LOG_BATCHES = ("resourceLogs", "resource_logs")
_LOG_SCOPES = ("scopeLogs", "scope_logs")
_LOG_RECORDS = ("logRecords", "log_records")
_FAILED = (2, "2", "STATUS_CODE_ERROR", "ERROR", "Error")
_TOOL_KINDS = frozenset({"TOOL", "execute_tool", "tool"})


def looks_like_otlp(row: Row) -> bool:
    """Tell whether a row is a batch of spans or of the logs that belong to them, or one span."""
    if any(name in row for name in (*_BATCHES, *_SCOPES, *_LOG_BATCHES, *_LOG_SCOPES)):
        return True
    is_wire = ("spanId" in row or "span_id" in row) and isinstance(row.get("attributes"), list)
    is_printed = isinstance(row.get("context"), Mapping) and "span_id" in row["context"] and "kind" in row
    return is_wire or is_printed


def spans_of_otlp(row: Row, where: str) -> Iterator[Span]:
    """Yield the spans that a row holds, and what its logs say of spans.

    Raises:
        ValueError: A span names no id or tells no time.
    """
    batches = next((row[name] for name in _BATCHES if name in row), None)
    if batches is not None:
        for batch in batches:
            yield from _spans_of_batch(batch, where)
    elif any(name in row for name in _SCOPES):
        yield from _spans_of_batch(row, where)
    elif any(name in row for name in (*_LOG_BATCHES, *_LOG_SCOPES)):
        yield from _spans_of_logs(row, where)
    else:
        resource = row.get("resource")
        attributes = resource.get("attributes") if isinstance(resource, Mapping) else None
        yield _span_of(row, unwrapped(attributes), where)


def _spans_of_batch(batch: Row, where: str) -> Iterator[Span]:
    resource = unwrapped((batch.get("resource") or {}).get("attributes"))
    for name in _SCOPES:
        for scope in batch.get(name) or ():
            for told in scope.get("spans") or ():
                yield _span_of(told, resource, where)


def _spans_of_logs(row: Row, where: str) -> Iterator[Span]:
    batches = next((row[name] for name in _LOG_BATCHES if name in row), [row])
    scopes = [scope for batch in batches for name in _LOG_SCOPES for scope in batch.get(name) or ()]
    told = [record for scope in scopes for name in _LOG_RECORDS for record in scope.get(name) or ()]
    for number, record in enumerate(told):
        span_id = text_of(first_of(record, "spanId", "span_id"))
        attributes = unwrapped(record.get("attributes"))
        name = text_of(first_of(record, "eventName", "event_name") or attributes.get("event.name"))
        if span_id is None or name is None or not name.startswith("gen_ai."):
            continue
        body = value_of(record.get("body"))
        values = nested(attributes) | ({"body": body} if body else {})
        trace = text_of(first_of(record, "traceId", "trace_id")) or span_id
        facts = SpanFacts(
            trace=trace,
            id=span_id,
            parent=None,
            name=None,
            start=None,
            end=None,
            attributes={},
            events=((name, values),),
        )
        asked, answer = read_genai_event(facts)
        yield Span(trace=trace, id=f"{span_id} {where} {number}", parent=span_id, asked=asked, answer=answer)


def _span_of(told: Row, resource: Row, where: str) -> Span:
    context = told["context"] if isinstance(told.get("context"), Mapping) else told
    span_id = text_of(first_of(context, "spanId", "span_id"))
    if span_id is None:
        raise ValueError("a span has no id")
    status = told.get("status")
    status = status if isinstance(status, Mapping) else {"code": status}
    facts = SpanFacts(
        trace=text_of(first_of(context, "traceId", "trace_id")) or span_id,
        id=span_id,
        parent=text_of(first_of(told, "parentSpanId", "parent_span_id", "parent_id")),
        name=text_of(told.get("name")),
        start=named_time_of(told, "startTimeUnixNano", "start_time_unix_nano", "start_time", "startTime"),
        end=named_time_of(told, "endTimeUnixNano", "end_time_unix_nano", "end_time", "endTime"),
        attributes=nested(unwrapped(told.get("attributes"))),
        events=tuple(_event_of(event) for event in told.get("events") or () if isinstance(event, Mapping)),
        has_failed=status.get("code", status.get("status_code")) in _FAILED,
        message=text_of(first_of(status, "message", "description")),
        project=text_of(resource.get("service.name")),
        where=where,
    )
    return span_of_facts(facts)


def span_of_facts(facts: SpanFacts) -> Span:
    """Return a span with the call that it tells of, in whichever convention."""
    kind = facts.get("openinference.span.kind")
    operation = facts.get("gen_ai.operation.name")
    if kind is not None:
        record = read_openinference(facts)
    elif facts.get("langfuse.observation.type") is not None:
        record = read_langfuse_span(facts)
    else:
        record = read_genai(facts)
    return Span(
        trace=facts.trace,
        id=facts.id,
        parent=facts.parent,
        name=facts.name,
        record=record,
        is_tool=not _TOOL_KINDS.isdisjoint({kind, operation, facts.get("langfuse.observation.type")}),
        attribution=attribution_of_span(facts),
    )


def _event_of(event: Row) -> tuple[str, Mapping[str, Any]]:
    return str(event.get("name", "")), nested(unwrapped(event.get("attributes")))
