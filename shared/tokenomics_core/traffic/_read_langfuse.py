"""Read observations as Langfuse exports them: its web interface, its buckets, its tables; JSON, CSV, Parquet.

Source: https://langfuse.com/docs/api-and-data-platform/features/blob-storage-export-fields and the types of
langfuse 5.0. Usage details are buckets that exclude each other: `input` leaves out what the cache read or
wrote, and every name with `input` in it adds to the input, unless the total only fits otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from tokenomics_core.traffic._read_answers import NOTHING_SAID, answer_of
from tokenomics_core.traffic._read_attributes import tags_of
from tokenomics_core.traffic._read_content import messages_of, messages_of_request, settings_of, tools_of
from tokenomics_core.traffic._read_span_facts import SpanFacts, attribution_of_span
from tokenomics_core.traffic._read_spans import Span
from tokenomics_core.traffic._read_values import (
    Row,
    amount_of,
    attribution_of,
    first_of,
    json_of,
    mapping_of,
    named_time_of,
    number_of,
    ratio_of,
    seconds_between,
    text_of,
    usage_of_counts,
)
from tokenomics_core.traffic._record import TrafficRecord
from tokenomics_core.types import Attribution, Usage
from tokenomics_core.usage import usage_from_raw

__all__ = ["looks_like_langfuse", "read_langfuse_span", "spans_of_langfuse"]

_CALLS = {"GENERATION": "chat", "EMBEDDING": "embedding"}
_TYPES = frozenset(
    {*_CALLS, "SPAN", "EVENT", "AGENT", "TOOL", "CHAIN", "RETRIEVER", "EVALUATOR", "GUARDRAIL"}
)
_RAW_USAGE = frozenset({"prompt_tokens", "completion_tokens", "promptTokenCount", "inputTokens"})
_NO_METADATA = frozenset({"resourceAttributes", "scope", "attributes"})


def looks_like_langfuse(row: Row) -> bool:
    """Tell whether a row is an observation, or a trace with its observations."""
    if isinstance(row.get("observations"), list) and (
        "sessionId" in row or "userId" in row or "timestamp" in row
    ):
        return True
    is_observation = str(row.get("type", "")).upper() in _TYPES
    return is_observation and any(name in row for name in ("traceId", "trace_id"))


def spans_of_langfuse(row: Row, where: str) -> Iterator[Span]:
    """Yield the span of an observation, or those of a trace.

    Raises:
        ValueError: An observation has no id, or one of a model tells no time.
    """
    observations = row.get("observations")
    if not isinstance(observations, list):
        yield _span_of(row, where, {})
        return
    for observation in observations:
        if isinstance(observation, Mapping):
            yield _span_of(observation, where, row)


def read_langfuse_span(facts: SpanFacts) -> TrafficRecord | None:
    """Return the call of a span that Langfuse's own libraries sent, or None where the span is none."""
    kind = str(facts.get("langfuse.observation.type")).upper()
    told = facts.get("langfuse.observation.model")
    model = text_of(told.get("name")) if isinstance(told, Mapping) else None
    if kind not in _CALLS or model is None:
        return None
    row = {
        "startTime": facts.start,
        "endTime": facts.end,
        "input": facts.get("langfuse.observation.input"),
        "output": facts.get("langfuse.observation.output"),
        "modelParameters": facts.get("langfuse.observation.model.parameters"),
        "usageDetails": facts.get("langfuse.observation.usage_details"),
        "costDetails": facts.get("langfuse.observation.cost_details"),
        "level": facts.get("langfuse.observation.level") or ("ERROR" if facts.has_failed else None),
        "statusMessage": facts.get("langfuse.observation.status_message") or facts.error,
        "parentObservationId": facts.parent,
    }
    return _record_of(row, facts.id, kind, model, attribution_of_span(facts), facts.where)


def _span_of(row: Row, where: str, trace: Row) -> Span:
    name = text_of(first_of(row, "id", "observation_id"))
    if name is None:
        raise ValueError("an observation has no id")
    kind = str(row.get("type", "")).upper()
    who = _attribution_of(row, trace)
    model = text_of(first_of(row, "model", "provided_model_name", "providedModelName"))
    return Span(
        trace=text_of(first_of(row, "traceId", "trace_id")) or text_of(trace.get("id")) or name,
        id=name,
        parent=text_of(first_of(row, "parentObservationId", "parent_observation_id")),
        name=text_of(first_of(row, "traceName", "trace_name") or trace.get("name") or row.get("name")),
        record=_record_of(row, name, kind, model, who, where)
        if kind in _CALLS and model is not None
        else None,
        is_tool=kind == "TOOL",
        attribution=who,
    )


def _record_of(row: Row, name: str, kind: str, model: str, who: Attribution, where: str) -> TrafficRecord:
    at = named_time_of(row, "startTime", "start_time")
    if at is None:
        raise ValueError("it tells no time")
    asked, output = json_of(row.get("input")), json_of(row.get("output"))
    request = asked if isinstance(asked, Mapping) else {}
    answer = NOTHING_SAID if output is None or output == "" else answer_of(output)
    has_failed = str(row.get("level", "")).upper() == "ERROR"
    return TrafficRecord(
        at=at,
        model=model,
        usage=_usage_of(row),
        messages=_messages_of(asked),
        answer=answer.text,
        tool_calls=answer.tool_calls,
        tools=tools_of(request),
        settings=_settings_of(row),
        cost_usd=_cost_of(row),
        attribution=who,
        operation=_CALLS[kind],
        outcome="error" if has_failed else "ok",
        finish_reason=answer.finish_reason,
        error=(text_of(first_of(row, "statusMessage", "status_message")) or "error") if has_failed else None,
        # Not its `latency`, which is in milliseconds in buckets set up before April 2026, else in seconds.
        latency_s=seconds_between(at, named_time_of(row, "endTime", "end_time")),
        score=_score_of(row),
        id=name,
        parent=text_of(first_of(row, "parentObservationId", "parent_observation_id")),
        where=where,
    )


def _messages_of(asked: Any) -> tuple[Row, ...] | None:
    if asked is None or asked == "":
        return None
    if isinstance(asked, Mapping) and any(
        name in asked for name in ("messages", "input", "prompt", "contents")
    ):
        return messages_of_request(asked)
    return messages_of(asked)


def _settings_of(row: Row) -> dict[str, Any]:
    parameters = mapping_of(first_of(row, "modelParameters", "model_parameters"))
    # Its OpenAI client writes this limit where the caller set none.
    return settings_of({name: value for name, value in parameters.items() if value != "Infinity"})


def _usage_of(row: Row) -> Usage:
    details = mapping_of(first_of(row, "usageDetails", "usage_details"))
    if not details:
        details = mapping_of(row.get("usage"))
    if _RAW_USAGE & details.keys():
        usage = usage_from_raw(dict(details))
        if usage is not None:
            return usage
    counts = {name: number for name, value in details.items() if (number := number_of(value)) is not None}
    if not counts:
        counts = _counts_of_columns(row)
    return _usage_of_buckets(counts)


def _counts_of_columns(row: Row) -> dict[str, float]:
    """Return the counts of older exports, which have a column each."""
    found = {
        "input": first_of(row, "promptTokens", "inputUsage", "inputTokens", "input_tokens"),
        "output": first_of(row, "completionTokens", "outputUsage", "outputTokens", "output_tokens"),
        "total": first_of(row, "totalTokens", "totalUsage", "total_tokens"),
    }
    return {name: number for name, value in found.items() if (number := number_of(value)) is not None}


def _usage_of_buckets(counts: Mapping[str, float]) -> Usage:
    buckets = {name: count for name, count in counts.items() if name not in {"total", "totalCost", "unit"}}
    buckets = {name: count for name, count in buckets.items() if not name.lower().endswith("cost")}
    plain_input = buckets.get("input", buckets.get("promptTokens"))
    plain_output = buckets.get("output", buckets.get("completionTokens"))
    inputs = {name: count for name, count in buckets.items() if _is_input(name)}
    outputs = {name: count for name, count in buckets.items() if not _is_input(name) and _is_output(name)}
    total = counts.get("total", counts.get("totalTokens"))
    if (
        total is not None
        and total != sum(buckets.values())
        and total == (plain_input or 0) + (plain_output or 0)
    ):
        into, out = plain_input, plain_output
    else:
        into = sum(inputs.values()) if inputs else None
        out = sum(outputs.values()) if outputs else None
    return usage_of_counts(
        input_tokens=into,
        output_tokens=out,
        cache_read_tokens=_sum_of(inputs, "cached", "cache_read"),
        cache_write_tokens=_sum_of(inputs, "cache_creation", "cache_write"),
        cache_write_5m_tokens=_sum_of(inputs, "5m"),
        cache_write_1h_tokens=_sum_of(inputs, "1h"),
        reasoning_tokens=_sum_of(outputs, "reasoning", "thinking"),
    )


def _is_input(name: str) -> bool:
    return "input" in name.lower() or "prompt" in name.lower() or "cache" in name.lower()


def _is_output(name: str) -> bool:
    return any(part in name.lower() for part in ("output", "completion", "reasoning"))


def _sum_of(buckets: Mapping[str, float], *parts: str) -> float | None:
    found = [count for name, count in buckets.items() if any(part in name.lower() for part in parts)]
    return sum(found) if found else None


def _cost_of(row: Row) -> Decimal | None:
    for name in ("totalCost", "total_cost", "calculatedTotalCost"):
        told = amount_of(row.get(name))
        if told:
            return told
    details = mapping_of(first_of(row, "costDetails", "cost_details"))
    told = amount_of(details.get("total"))
    return told or None  # it writes 0 for a model without a price


def _score_of(row: Row) -> float | None:
    for score in json_of(row.get("scores")) or ():
        value = score.get("value") if isinstance(score, Mapping) else None
        if (ratio := ratio_of(value)) is not None:
            return ratio
    return None


def _attribution_of(row: Row, trace: Row) -> Attribution:
    sources = []
    for source in (row, trace):
        metadata = mapping_of(source.get("metadata"))
        sources.append({name: value for name, value in metadata.items() if name not in _NO_METADATA})
        sources.append(tags_of(source.get("tags")))
    prompt = first_of(row, "promptName", "prompt_name")
    if prompt is not None:
        sources.append(
            {"prompt_name": prompt, "prompt_version": first_of(row, "promptVersion", "prompt_version")}
        )
    if (traced_as := first_of(row, "traceName", "trace_name")) is not None:
        sources.append({"feature": traced_as})
    return attribution_of(
        sources,
        user=text_of(first_of(row, "userId", "user_id") or trace.get("userId")),
        conversation=text_of(first_of(row, "sessionId", "session_id") or trace.get("sessionId")),
        project=text_of(first_of(row, "projectName", "project_name")),
    )
