"""Read logs of requests and answers as OpenAI-style clients send and get them, and our own canonical lines.

A line holds a request and its answer side by side, in any of the shapes that people log: `request` and
`response`, either of them with a `body`; a line of a batch's output; or everything flat in one object.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from tokenomics_core.traffic._read_answers import NOTHING_SAID, answer_of, merged_chunks
from tokenomics_core.traffic._read_attributes import tags_of
from tokenomics_core.traffic._read_content import messages_of_request, settings_of, tools_of
from tokenomics_core.traffic._read_own import OWN_MARK, read_own
from tokenomics_core.traffic._read_values import (
    Row,
    amount_of,
    attribution_of,
    first_of,
    json_of,
    named_time_of,
    number_of,
    ratio_of,
    seconds_between,
    text_of,
    time_of,
)
from tokenomics_core.traffic._record import TrafficRecord
from tokenomics_core.types import Attribution, Usage
from tokenomics_core.usage import model_from_raw, reported_cost_usd, usage_from_raw

__all__ = ["looks_like_openai", "read_openai"]

_STARTS = (
    *(
        "at",
        "timestamp",
        "created_at",
        "start_time",
        "startTime",
        "started_at",
        "request_time",
        "requested_at",
    ),
    *("time", "datetime", "date", "ts", "created"),
)
_ENDS = ("end_time", "endTime", "ended_at", "completed_at", "response_time")
_REQUESTS = ("request", "body", "kwargs", "params", "request_body", "input_body")
_RESPONSES = ("response", "result", "completion", "response_body", "output_body")
_FLAT = ("messages", "prompt", "choices", "contents")
_WHO = {
    "user": ("user", "user_id", "end_user", "safety_identifier"),
    "feature": ("feature", "feature_name", "use_case"),
    "project": ("project", "project_name", "application", "app"),
    "conversation": ("conversation", "conversation_id", "session_id", "thread_id", "session", "thread"),
    "run": ("run", "run_id", "trace_id"),
}
_WHO_NAMES = frozenset(name for names in _WHO.values() for name in names)
_COSTS = ("cost_usd", "total_cost", "total_cost_usd", "cost", "response_cost", "price_usd")
_DURATIONS = (
    *(("latency_s", 1.0), ("duration_s", 1.0), ("latency_ms", 1e-3), ("duration_ms", 1e-3)),
    *(("response_time_ms", 1e-3), ("response_ms", 1e-3)),
)
_OUTCOMES = {
    **dict.fromkeys(("error", "failure", "failed", "fail"), "error"),
    **dict.fromkeys(("cancelled", "canceled"), "cancelled"),
    **dict.fromkeys(("aborted", "interrupted"), "aborted"),
}


def looks_like_openai(row: Row) -> bool:
    """Tell whether a row is a request with its answer, or one of ours."""
    if OWN_MARK in row:
        return True
    if any(
        isinstance(json_of(row.get(name)), Mapping)
        for name in ("request", "response", "body", "request_body")
    ):
        return True
    return any(name in row for name in _FLAT) or ("model" in row and "usage" in row)


def read_openai(row: Row, where: str) -> TrafficRecord:
    """Return the call that a line tells of.

    Raises:
        ValueError: It names no time or no model, or a field holds what it cannot.
    """
    if OWN_MARK in row:
        return read_own(row, where)
    request, response, status = _parts_of(row)
    envelope = response if isinstance(response, Mapping) else {}
    at = named_time_of(row, *_STARTS) or named_time_of(request, *_STARTS)
    latency_s = _latency_of(row, at)
    if at is None:
        at = named_time_of(envelope, "created", "created_at")
    if at is None and (ended := named_time_of(row, *_ENDS)) is not None:
        at = ended - timedelta(seconds=latency_s or 0)
    if at is None:
        raise ValueError(f"it tells no time: none of {', '.join(_STARTS)}")
    model = model_from_raw(envelope) or text_of(request.get("model")) or model_from_raw(row)
    if model is None:
        raise ValueError("it names no model")
    answer = answer_of(response) if response is not None else NOTHING_SAID
    error = _error_of(row, envelope, status)
    return TrafficRecord(
        at=at,
        model=model,
        usage=_usage_of(row, envelope),
        messages=messages_of_request(request),
        answer=answer.text,
        tool_calls=answer.tool_calls,
        tools=tools_of(request),
        settings=settings_of(request) if request is not row else _flat_settings(row),
        cost_usd=_cost_of(row, envelope),
        provider=text_of(first_of(row, "provider", "custom_llm_provider", "vendor")),
        attribution=_attribution_of(row, request),
        operation=_operation_of(row, request, envelope),
        source=_source_of(row),
        outcome=_outcome_of(row, error),
        finish_reason=answer.finish_reason,
        error=error,
        latency_s=latency_s,
        score=ratio_of(first_of(row, "score", "feedback", "rating")),
        id=text_of(first_of(row, "id", "request_id", "call_id", "custom_id") or envelope.get("id")) or "",
        parent=text_of(first_of(row, "parent", "parent_id", "trace_id")),
        where=where,
    )


def _parts_of(row: Row) -> tuple[Row, Any, Any]:
    """Return request, answer and HTTP status."""
    request: Any = row
    for name in _REQUESTS:
        value = row.get(name)
        if value is not None:
            value = json_of(value)
            if isinstance(value, Mapping):
                inner = json_of(value.get("body"))
                request = inner if isinstance(inner, Mapping) else value
                break
    response: Any = None
    for name in _RESPONSES:
        if row.get(name) is not None:
            response = json_of(row[name])
            break
    status = row.get("status_code")
    if isinstance(response, Mapping):
        if "body" in response:
            status = response.get("status_code", response.get("status", status))
            response = json_of(response["body"])
    elif isinstance(response, list) and any(
        isinstance(item, Mapping) and "choices" in item for item in response[:1]
    ):
        response = merged_chunks(response)
    elif response is None and any(
        name in row for name in ("choices", "output", "answer", "candidates", "content")
    ):
        response = row
    return request, response, status


def _flat_settings(row: Row) -> dict[str, Any]:
    """Return the request parameters of a flat line, where they stand among everything else."""
    return settings_of({name: row[name] for name in _PARAMETERS & row.keys()})


_PARAMETERS = frozenset(
    {
        *(
            "temperature",
            "top_p",
            "top_k",
            "n",
            "max_tokens",
            "max_completion_tokens",
            "max_output_tokens",
            "stop",
        ),
        *(
            "seed",
            "response_format",
            "tool_choice",
            "parallel_tool_calls",
            "frequency_penalty",
            "presence_penalty",
        ),
        *("logit_bias", "logprobs", "top_logprobs", "reasoning_effort", "reasoning", "verbosity", "thinking"),
        *("stop_sequences", "service_tier", "prediction", "modalities", "generationConfig"),
    }
)


def _usage_of(row: Row, envelope: Row) -> Usage:
    hint = "anthropic" if envelope.get("type") == "message" else text_of(row.get("provider"))
    usage = usage_from_raw(envelope, provider_hint=hint) if envelope else None
    if usage is None and envelope is not row:
        usage = usage_from_raw(row, provider_hint=hint)
    if usage is None:
        return _NO_USAGE
    if row.get("custom_id") is not None or row.get("source") == "batch":
        return Usage.from_dict(usage.to_dict() | {"batch": True})
    return usage


_NO_USAGE = Usage()


def _cost_of(row: Row, envelope: Row) -> Decimal | None:
    for name in _COSTS:
        if name in row and (amount := amount_of(row[name])) is not None:
            return amount
    usage = envelope.get("usage")
    if isinstance(usage, Mapping) and ("cost" in usage or "cost_in_usd_ticks" in usage):
        return reported_cost_usd(envelope)
    return (
        reported_cost_usd(envelope) if "_hidden_params" in envelope or "response_cost" in envelope else None
    )


def _attribution_of(row: Row, request: Row) -> Attribution:
    known: dict[str, str | None] = {}
    for role, names in _WHO.items() if not _WHO_NAMES.isdisjoint(row) else ():
        for name in names:
            if (value := text_of(row.get(name))) is not None:
                known[role] = value
                break
    if "user" not in known:
        known["user"] = text_of(first_of(request, "safety_identifier", "user"))
    sources = [
        source
        for source in (row.get("attribution"), row.get("metadata"), request.get("metadata"))
        if isinstance(source, Mapping)
    ]
    if "tags" in row:
        sources.append(tags_of(row["tags"]))
    return attribution_of(sources, **known)


def _operation_of(row: Row, request: Row, envelope: Row) -> str:
    if told := text_of(row.get("operation")):
        return told
    kind = envelope.get("object")
    if kind == "text_completion":
        return "completion"
    if kind == "list" and "input" in request:
        return "embedding"
    url = text_of(first_of(row, "url", "path", "endpoint"))
    return "embedding" if url is not None and url.rstrip("/").endswith("embeddings") else "chat"


def _source_of(row: Row) -> str:
    told = row.get("source")
    if told in {"model", "cache", "batch"}:
        return str(told)
    if row.get("custom_id") is not None:
        return "batch"
    return "cache" if row.get("cached") is True or row.get("cache_hit") is True else "model"


def _error_of(row: Row, envelope: Row, status: Any) -> str | None:
    for source in (row, envelope):
        told = source.get("error")
        if isinstance(told, Mapping):
            return text_of(first_of(told, "message", "code", "type")) or str(dict(told))
        if told:
            return str(told)
    code = number_of(status)
    return f"HTTP status {code:.0f}" if code is not None and code >= 400 else None


def _outcome_of(row: Row, error: str | None) -> str:
    told = first_of(row, "outcome", "status")
    if isinstance(told, str):
        word = told.lower()
        if word in {"ok", "aborted", "cancelled", "error"}:
            return word
        if word in _OUTCOMES:
            return _OUTCOMES[word]
    return "ok" if error is None else "error"


def _latency_of(row: Row, at: datetime | None) -> float | None:
    for name, scale in _DURATIONS:
        if name in row and (number := number_of(row[name])) is not None and number >= 0:
            return number * scale
    for name in _ENDS:
        value = row.get(name)
        if value is not None and value != "":
            try:
                return seconds_between(at, time_of(value))
            except ValueError:  # `response_time` may be a duration of a unit that nobody tells
                return None
    return None
