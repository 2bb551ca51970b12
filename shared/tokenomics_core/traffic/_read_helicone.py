"""Read requests as Helicone exports them, with or without their bodies, JSON or CSV.

Source: https://docs.helicone.ai/tools/export and the request type of Helicone's repository. Where the
answer's body is there its own usage counts; otherwise `prompt_tokens`, which leaves out what the cache read
or wrote where those have columns of their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from tokenomics_core.traffic._read_answers import NOTHING_SAID, answer_of
from tokenomics_core.traffic._read_content import messages_of_request, settings_of, tools_of
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

__all__ = ["looks_like_helicone", "read_helicone"]

_MARKS = ("request_created_at", "request_properties", "request_user_id", "response_status", "helicone_user")
_NO_REFERENCE = {None, "", "00000000-0000-0000-0000-000000000000"}
_ROLES = {
    "helicone-session-id": "conversation",
    "helicone-session-name": "feature",
    "helicone-session-path": "session_path",
    "helicone-user-id": "user",
    "helicone-prompt-id": "prompt_id",
}
_FREE = Decimal(0)


def looks_like_helicone(row: Row) -> bool:
    """Tell whether a row is a request of Helicone."""
    return sum(name in row for name in _MARKS) >= 2


def read_helicone(row: Row, where: str) -> TrafficRecord:
    """Return the call of a row.

    Raises:
        ValueError: It tells no time or names no model.
    """
    request, response = mapping_of(_json_of(row.get("request_body"))), _json_of(row.get("response_body"))
    body = response if isinstance(response, Mapping) else {}
    at = named_time_of(row, "request_created_at")
    if at is None:
        raise ValueError("it tells no request_created_at")
    model = text_of(
        first_of(row, "response_model", "model", "request_model", "model_override")
        or body.get("model")
        or request.get("model")
    )
    if model is None:
        raise ValueError("it names no model")
    status = number_of(row.get("response_status"))
    error = _error_of(body, status)
    is_hit = row.get("cache_reference_id") not in _NO_REFERENCE
    answer = answer_of(response) if response is not None and response != "" else NOTHING_SAID
    return TrafficRecord(
        at=at,
        model=model,
        usage=_usage_of(row, body),
        messages=messages_of_request(request) if request else None,
        answer=answer.text,
        tool_calls=answer.tool_calls,
        tools=tools_of(request),
        settings=settings_of(request),
        cost_usd=_FREE if is_hit else _cost_of(row),
        provider=_provider_of(row),
        attribution=_attribution_of(row, request),
        operation=_operation_of(row),
        source="cache" if is_hit else "model",
        outcome="cancelled" if status == -3 else "ok" if error is None else "error",
        finish_reason=answer.finish_reason,
        error=error,
        latency_s=_latency_of(row, at),
        score=_score_of(row),
        id=text_of(first_of(row, "request_id", "response_id")) or "",
        where=where,
    )


def _json_of(cell: Any) -> Any:
    """Read a cell, whose quotes the export tool doubles twice in CSV."""
    if isinstance(cell, str) and cell.startswith(('{""', '[{""')):
        cell = cell.replace('""', '"')
    return json_of(cell)


def _usage_of(row: Row, body: Row) -> Usage:
    hint = "anthropic" if body.get("type") == "message" else _provider_of(row)
    usage = usage_from_raw(body, provider_hint=hint) if body else None
    if usage is not None:
        return usage
    read, written = row.get("prompt_cache_read_tokens"), row.get("prompt_cache_write_tokens")
    return usage_of_counts(
        uncached_input_tokens=first_of(row, "prompt_tokens"),
        output_tokens=first_of(row, "completion_tokens"),
        cache_read_tokens=None if read == "" else read,
        cache_write_tokens=None if written == "" else written,
    )


def _cost_of(row: Row) -> Decimal | None:
    told = amount_of(first_of(row, "costUSD", "cost_usd", "cost"))
    return told or None  # it writes 0 for a model without a price


def _provider_of(row: Row) -> str | None:
    told = text_of(row.get("provider"))
    return None if told is None or told.upper() == "CUSTOM" else told.lower()


def _error_of(body: Row, status: float | None) -> str | None:
    told = body.get("error")
    if isinstance(told, Mapping):
        return text_of(first_of(told, "message", "type", "code")) or "error"
    if told:
        return str(told)
    if status is None or 0 <= status < 400 or status == -3:
        return None
    return f"HTTP status {status:.0f}"


def _latency_of(row: Row, at: Any) -> float | None:
    delay = number_of(first_of(row, "delay_ms", "latency"))
    return (
        delay / 1000 if delay is not None else seconds_between(at, named_time_of(row, "response_created_at"))
    )


def _operation_of(row: Row) -> str:
    path = str(first_of(row, "request_path", "target_url") or "").rstrip("/")
    if path.endswith("embeddings"):
        return "embedding"
    return (
        "completion" if path.endswith("/completions") and not path.endswith("/chat/completions") else "chat"
    )


def _score_of(row: Row) -> float | None:
    rating = row.get("feedback_rating")
    if isinstance(rating, str) and rating:
        return {"true": 1.0, "false": 0.0}.get(rating.lower())
    if rating not in {None, ""}:
        return ratio_of(rating)
    return next(
        (ratio for value in mapping_of(row.get("scores")).values() if (ratio := ratio_of(value)) is not None),
        None,
    )


def _attribution_of(row: Row, request: Row) -> Attribution:
    sources = []
    for name in ("properties", "request_properties"):
        told = mapping_of(_json_of(row.get(name)))
        sources.append({_ROLES.get(key.lower(), key): value for key, value in told.items()})
    user = text_of(first_of(row, "request_user_id", "helicone_user")) or text_of(request.get("user"))
    return attribution_of(sources, user=user)
