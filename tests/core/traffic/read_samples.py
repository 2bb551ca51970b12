"""Calls, lines and strategies for the tests of readers."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from tests.core.ledger.samples import names, usages
from tokenomics_core import Attribution
from tokenomics_core.traffic import TrafficRecord

NOON = datetime(2026, 11, 3, 12, tzinfo=UTC)

zones = st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=30)), timezone(timedelta(hours=-8))])
instants = st.datetimes(datetime(2025, 1, 1), datetime(2027, 1, 1), timezones=zones)
words = st.text(max_size=20)
roles = st.sampled_from(["system", "user", "assistant", "tool"])
calls = st.fixed_dictionaries(
    {
        "id": words,
        "type": st.just("function"),
        "function": st.fixed_dictionaries({"name": words, "arguments": words}),
    }
)
messages = st.fixed_dictionaries(
    {
        "role": roles,
        "content": st.none() | words | st.lists(st.fixed_dictionaries({"text": words}), max_size=2),
    },
    optional={"tool_calls": st.lists(calls, max_size=2), "tool_call_id": words, "name": words},
)
values = (
    st.none()
    | st.booleans()
    | st.integers(-10, 10**9)
    | st.floats(-5, 5)
    | words
    | st.lists(words, max_size=2)
)
settings = st.dictionaries(
    st.sampled_from(
        ["temperature", "max_tokens", "stop", "response_format", "model", "messages", "tools", "ü"]
    ),
    values,
    max_size=4,
)


@st.composite
def traffic(draw) -> TrafficRecord:
    return TrafficRecord(
        at=draw(instants),
        model=draw(st.text(min_size=1, max_size=10)),
        usage=draw(usages()),
        messages=draw(st.none() | st.lists(messages, max_size=3).map(tuple)),
        answer=draw(st.none() | words),
        tool_calls=draw(st.lists(calls, max_size=2).map(tuple)),
        tools=draw(st.lists(st.fixed_dictionaries({"type": words}), max_size=2).map(tuple)),
        settings=draw(settings),
        cost_usd=draw(st.none() | st.decimals(0, 1000, places=15) | st.sampled_from([Decimal("1E-9")])),
        provider=draw(names),
        attribution=Attribution(
            user=draw(names),
            feature=draw(names),
            project=draw(names),
            conversation=draw(names),
            run=draw(names),
            tags=draw(st.dictionaries(words, words, max_size=2)),
        ),
        operation=draw(st.sampled_from(["chat", "embedding", ""])),
        source=draw(st.sampled_from(["model", "cache", "batch"])),
        outcome=draw(st.sampled_from(["ok", "aborted", "cancelled", "error"])),
        finish_reason=draw(st.none() | st.sampled_from(["stop", "length", ""])),
        error=draw(st.none() | words),
        latency_s=draw(st.none() | st.floats(0, 1000)),
        score=draw(st.none() | st.floats(0, 1)),
        id=draw(words),
        parent=draw(st.none() | words),
    )


def call(number: int = 0, **changes: Any) -> TrafficRecord:
    """Return a call of a chat; each number gives another."""
    asked = {"role": "user", "content": f"question {number}"}
    told = TrafficRecord(
        at=NOON + timedelta(seconds=number),
        model="small",
        messages=(asked,),
        answer=f"answer {number}",
        finish_reason="stop",
        id=f"call-{number}",
    )
    return replace(told, **changes)


def placeless(records: Any) -> list[TrafficRecord]:
    """Return records without the place that they were read from."""
    return [replace(record, where="") for record in records]


def lines(*rows: Any) -> bytes:
    """Return rows as JSON lines."""
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


CHAT = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1793707200,
    "model": "gpt-4.1-nano-2025-04-14",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Paris."}, "finish_reason": "stop"}],
    "usage": {
        "prompt_tokens": 120,
        "completion_tokens": 8,
        "total_tokens": 128,
        "prompt_tokens_details": {"cached_tokens": 64},
    },
}
ASKED = {
    "model": "gpt-4.1-nano",
    "messages": [{"role": "user", "content": "Capital of France?"}],
    "temperature": 0,
}
