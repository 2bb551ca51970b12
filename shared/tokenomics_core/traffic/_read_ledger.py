"""Read what this package recorded itself: a ledger, or an export of one."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import fields
from datetime import timedelta
from decimal import Decimal
from typing import Any

from tokenomics_core.ledger import open_ledger
from tokenomics_core.traffic._read_values import Row
from tokenomics_core.traffic._record import TrafficRecord
from tokenomics_core.types import SpendRecord, Usage

__all__ = ["looks_like_ledger", "read_ledger", "records_of_ledger"]

_MARKS = frozenset({"at", "model", "cost_usd", "price_source"})
_WHO = ("user", "feature", "project", "conversation", "run")
_USAGE = {item.name for item in fields(Usage)} - {"notes"}
_ANSWERS = ("\nassistant: ", "\nAI: ")
_ROLES = {"Human": "user", "AI": "assistant", "System": "system", "Tool": "tool", "Function": "tool"}
_ROLE = re.compile(rf"^({'|'.join(_ROLES)}|user|assistant|system|developer|tool): ", re.MULTILINE)
"""How LangChain and LlamaIndex begin a message where they write several as one text."""


def looks_like_ledger(row: Row) -> bool:
    """Tell whether a row is one of a ledger's export, JSON lines or CSV."""
    return row.keys() >= _MARKS


def read_ledger(row: Row, where: str) -> TrafficRecord:
    """Return the call that a line of an export tells of."""
    told = row if isinstance(row.get("usage"), Mapping) else _unflattened(row)
    return _traffic_of(SpendRecord.from_dict(told), where)


def records_of_ledger(place: str) -> Iterator[TrafficRecord]:
    """Go through a ledger in the order of time: a SQLite file's path, or a PostgreSQL address."""
    ledger = open_ledger(place)
    name = place if "://" not in place else "ledger in PostgreSQL"  # an address may hold a password
    try:
        for number, record in enumerate(ledger.records(), 1):
            yield _traffic_of(record, f"{name} record {number}")
    finally:
        ledger.close()


def _traffic_of(record: SpendRecord, where: str) -> TrafficRecord:
    asked, answer = _parts_of(record.content)
    # A ledger notes when a call ended, a log of traffic when it began.
    at = record.at - timedelta(seconds=record.latency_s) if record.latency_s else record.at
    return TrafficRecord(
        at=at,
        model=record.model,
        usage=record.usage,
        messages=asked,
        answer=answer,
        cost_usd=record.cost_usd,
        provider=record.provider,
        attribution=record.attribution,
        operation=record.operation,
        source=record.source,
        outcome=record.outcome,
        latency_s=record.latency_s,
        id=record.id,
        where=where,
    )


def _parts_of(content: str | None) -> tuple[tuple[Row, ...] | None, str | None]:
    """Split what a ledger keeps for owners who ask for content: one text with roles at the start of lines."""
    if content is None:
        return None, None
    starts = list(_ROLE.finditer(content))
    if not starts or starts[0].start() != 0:
        asked, last = _last_answer(content)
        return ({"role": "user", "content": asked},), last
    ends = [start.start() - 1 for start in starts[1:]] + [len(content)]
    told = [
        {"role": _ROLES.get(start[1], start[1]), "content": content[start.end() : end]}
        for start, end in zip(starts, ends, strict=True)
    ]
    answer = told.pop()["content"] if told[-1]["role"] == "assistant" else None
    return tuple(told), answer


def _last_answer(content: str) -> tuple[str, str | None]:
    """Split a prompt that is one text, as completions have it, from its answer."""
    for mark in _ANSWERS:
        asked, found, answer = content.rpartition(mark)
        if found:
            return asked, answer
    return content, None


def _unflattened(row: Row) -> dict[str, Any]:
    """Return a row of the CSV export in the shape of the JSON export."""
    held = {name: value for name, value in row.items() if value not in {None, ""}}
    who = {name: held.pop(name) for name in _WHO if name in held}
    if "tags" in held:
        who["tags"] = json.loads(held.pop("tags"))
    usage = {name: _usage_value(name, held.pop(name)) for name in _USAGE & held.keys() - {"estimated"}}
    estimated = str(held.pop("estimated", "false")).lower() == "true"
    told: dict[str, Any] = {"cost_usd": None, **held, "attribution": who, "estimated": estimated}
    told["usage"] = usage | ({"estimated": True} if estimated else {})
    told["notes"] = json.loads(held["notes"]) if "notes" in held else ()
    if "latency_s" in held:
        told["latency_s"] = float(held["latency_s"])
    return told


def _usage_value(name: str, text: Any) -> Any:
    if not isinstance(text, str):
        return text
    if name.endswith("_tokens"):
        return int(text)
    if name == "batch":
        return text.lower() == "true"
    if name == "extras":
        return {key: Decimal(v) if isinstance(v, str) else v for key, v in json.loads(text).items()}
    return json.loads(text) if name == "context" else text
