"""Read what LiteLLM logs: rows of its proxy's spend logs, and its standard logging payload.

Source: https://docs.litellm.ai/docs/proxy/logging_spec and the types of litellm 1.106. Prompt tokens include
the cache. It writes a cost of 0 for models without a price, which counts as unknown.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from tokenomics_core.traffic._read_answers import NOTHING_SAID, answer_of
from tokenomics_core.traffic._read_attributes import tags_of
from tokenomics_core.traffic._read_content import messages_of, messages_of_request, settings_of, tools_of
from tokenomics_core.traffic._read_values import (
    Row,
    amount_of,
    attribution_of,
    first_of,
    json_of,
    mapping_of,
    named_time_of,
    seconds_between,
    text_of,
    usage_of_counts,
)
from tokenomics_core.traffic._record import TrafficRecord
from tokenomics_core.types import Attribution, Usage
from tokenomics_core.usage import usage_from_raw

__all__ = ["looks_like_litellm", "read_litellm"]

_COSTS = ("spend", "response_cost")
_OPERATIONS = {
    **dict.fromkeys(("completion", "responses", "anthropic_messages", "generate_content", "chat"), "chat"),
    "text_completion": "completion",
    "embedding": "embedding",
}
_FREE = Decimal(0)


def looks_like_litellm(row: Row) -> bool:
    """Tell whether a row is one of LiteLLM's."""
    if isinstance(row.get("standard_logging_object"), Mapping):
        return True
    return "call_type" in row and any(name in row for name in _COSTS)


def read_litellm(row: Row, where: str) -> TrafficRecord:
    """Return the call of a row.

    Raises:
        ValueError: It tells no time or names no model.
    """
    if isinstance(row.get("standard_logging_object"), Mapping):
        row = row["standard_logging_object"]
    metadata = mapping_of(row.get("metadata"))
    response = json_of(row.get("response"))
    body = response if isinstance(response, Mapping) else {}
    at = named_time_of(row, "startTime", "start_time")
    if at is None:
        raise ValueError("it tells no startTime")
    model = text_of(row.get("model") or body.get("model") or row.get("model_group"))
    if model is None:
        raise ValueError("it names no model")
    request = _request_of(row)
    is_hit = str(row.get("cache_hit", "")).lower() == "true"
    error = _error_of(row, metadata)
    answer = answer_of(response) if response not in (None, "", {}) else NOTHING_SAID
    return TrafficRecord(
        at=at,
        model=model,
        usage=_usage_of(row, body, metadata),
        messages=_messages_of(row, request),
        answer=answer.text,
        tool_calls=answer.tool_calls,
        tools=tools_of(request),
        settings=settings_of(request),
        cost_usd=_FREE if is_hit else _cost_of(row),
        provider=text_of(row.get("custom_llm_provider")),
        attribution=_attribution_of(row, metadata),
        operation=_operation_of(row),
        source="cache" if is_hit else "model",
        outcome="ok" if error is None else "error",
        finish_reason=answer.finish_reason,
        error=error,
        latency_s=seconds_between(at, named_time_of(row, "endTime", "end_time")),
        id=text_of(first_of(row, "request_id", "id", "litellm_call_id")) or "",
        parent=text_of(row.get("trace_id")),
        where=where,
    )


def _request_of(row: Row) -> Row:
    asked = mapping_of(row.get("proxy_server_request"))
    body = mapping_of(asked.get("body")) or asked
    return {**body, **mapping_of(row.get("model_parameters"))}


def _messages_of(row: Row, request: Row) -> tuple[Row, ...] | None:
    told = json_of(row.get("messages"))
    if told in (None, "", {}, []):
        return messages_of_request(request) if request else None
    return messages_of(told)


def _usage_of(row: Row, body: Row, metadata: Row) -> Usage:
    for told in (body, {"usage": metadata.get("usage_object")}):
        usage = usage_from_raw(told) if told.get("usage") else None
        if usage is not None:
            return usage
    more = mapping_of(metadata.get("additional_usage_values"))
    before = mapping_of(more.get("prompt_tokens_details"))
    return usage_of_counts(
        input_tokens=first_of(row, "prompt_tokens"),
        output_tokens=first_of(row, "completion_tokens"),
        cache_read_tokens=first_of(more, "cache_read_input_tokens") or before.get("cached_tokens"),
        cache_write_tokens=first_of(more, "cache_creation_input_tokens"),
    )


def _cost_of(row: Row) -> Decimal | None:
    return amount_of(first_of(row, *_COSTS)) or None


def _error_of(row: Row, metadata: Row) -> str | None:
    told = mapping_of(first_of(row, "error_information") or metadata.get("error_information"))
    message = text_of(row.get("error_str")) or text_of(
        first_of(told, "error_message", "error_class", "error_code")
    )
    has_failed = "failure" in {row.get("status"), metadata.get("status")}
    return (message or "failure") if has_failed else None


def _operation_of(row: Row) -> str:
    kind = str(row.get("call_type") or "completion")
    for name in (kind, kind.removeprefix("a")):
        if name in _OPERATIONS:
            return _OPERATIONS[name]
    return kind


def _attribution_of(row: Row, metadata: Row) -> Attribution:
    own = [mapping_of(metadata.get(name)) for name in ("spend_logs_metadata", "requester_metadata")]
    labels = tags_of([tag for tag in _labels_of(row) if not tag.lower().startswith("user-agent:")])
    who: dict[str, Any] = {
        "user": first_of(row, "end_user")
        or first_of(metadata, "user_api_key_end_user_id")
        or first_of(row, "user")
        or first_of(metadata, "user_api_key_user_id"),
        "project": first_of(metadata, "user_api_key_project_alias", "user_api_key_team_alias", "team_alias")
        or first_of(row, "team_id")
        or first_of(metadata, "user_api_key_team_id"),
        "conversation": row.get("session_id"),
        "run": row.get("trace_id"),
    }
    key = text_of(first_of(metadata, "user_api_key_alias"))
    found = attribution_of([*own, labels], **{name: text_of(value) for name, value in who.items()})
    if key is None:
        return found
    return found.merge(Attribution(tags={"api_key_alias": key}))


def _labels_of(row: Row) -> list[str]:
    told = json_of(row.get("request_tags"))
    return [tag for tag in told if isinstance(tag, str)] if isinstance(told, list) else []
