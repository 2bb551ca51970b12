"""Read our own lines, which `write_traffic` writes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from tokenomics_core.traffic._read_answers import NOTHING_SAID, Answer
from tokenomics_core.traffic._read_values import Row
from tokenomics_core.traffic._record import TrafficRecord
from tokenomics_core.types import Attribution, Usage

__all__ = ["OWN_MARK", "read_own"]

OWN_MARK = "tokenomics"
"""The field that tells a line of ours, whose value is the version of its shape."""

_NO_USAGE = Usage()


def read_own(row: Row, where: str) -> TrafficRecord:
    """Return the call of a line.

    Raises:
        ValueError: It is of a version that is not known here, or a field holds what it cannot.
    """
    if row[OWN_MARK] != 1:
        raise ValueError(f"its shape has version {row[OWN_MARK]!r:.20}; this release knows version 1")
    request = row["request"]
    messages, tools = request.get("messages"), request.get("tools")
    settings = row.get("settings")
    if settings is None:
        settings = {key: value for key, value in request.items() if key not in _OWN_REQUEST}
    answer = _own_answer(row.get("response"))
    cost = row.get("cost_usd")
    get = row.get
    return TrafficRecord(
        at=datetime.fromisoformat(row["at"]),
        model=request["model"],
        usage=_usage_of(row["usage"]) if "usage" in row else _NO_USAGE,
        messages=None if messages is None else tuple(messages),
        answer=answer.text,
        tool_calls=answer.tool_calls,
        tools=() if tools is None else tuple(tools),
        settings=settings,
        cost_usd=None if cost is None else Decimal(cost),
        provider=get("provider"),
        attribution=Attribution(**row["attribution"]) if "attribution" in row else _NOBODY,
        operation=get("operation", "chat"),
        source=get("source", "model"),
        outcome=get("outcome", "ok"),
        finish_reason=answer.finish_reason,
        error=get("error"),
        latency_s=get("latency_s"),
        score=get("score"),
        id=get("id", ""),
        parent=get("parent"),
        where=where,
    )


_OWN_REQUEST = frozenset({"model", "messages", "tools"})
_NOBODY = Attribution()


def _own_answer(response: Row | None) -> Answer:
    if response is None:
        return NOTHING_SAID
    choice = response["choices"][0]
    message = choice["message"]
    return Answer(message.get("content"), tuple(message.get("tool_calls", ())), choice.get("finish_reason"))


def _usage_of(told: Mapping[str, Any]) -> Usage:
    """Rebuild a usage out of JSON; a billed unit in quotes was a Decimal."""
    values = dict(told)
    if "extras" in values:
        values["extras"] = {
            name: Decimal(value) if isinstance(value, str) else value
            for name, value in values["extras"].items()
        }
    if "notes" in values:
        values["notes"] = tuple(values["notes"])
    return Usage(**values)
