"""Records as rows of SQL, and questions as its text."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields
from decimal import Decimal
from typing import Any

from tokenomics_core.ledger._base import Group
from tokenomics_core.ledger._calendar import from_us
from tokenomics_core.ledger._entry import COUNTS, Entry
from tokenomics_core.ledger._money import from_pico
from tokenomics_core.ledger._query import Query
from tokenomics_core.ledger._sums import to_totals
from tokenomics_core.types import DIMENSIONS, Attribution, SpendRecord, Totals, Usage

__all__ = [
    "COLUMNS",
    "INSERT",
    "Row",
    "select_costs",
    "select_records",
    "select_sums",
    "to_cost",
    "to_group",
    "to_record",
    "to_row",
]

Row = tuple[Any, ...]

COLUMNS = (
    "id",
    "at_us",
    "model",
    "provider",
    "user",
    "feature",
    "project",
    "conversation",
    "run",
    "tags",
    "source",
    "operation",
    "outcome",
    "cost_pico",
    "price_source",
    "avoided_pico",
    "avoided_by",
    *COUNTS,
    "usage_rest",
    "estimated",
    "latency_s",
    "notes",
    "content",
)
_USAGE_REST = tuple(item.name for item in fields(Usage) if item.name not in {*COUNTS, "notes"})
_HALF = 1_000_000
"""Amounts are summed in two parts, so that no sum of 64-bit numbers leaves 64 bits."""

INSERT = (
    f"INSERT INTO records ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))}) "  # noqa: S608 - constants only
    "ON CONFLICT (id) DO NOTHING"
)

_SPLIT = "sum({name} / 1000000), sum({name} % 1000000)"
_COSTS = _SPLIT.format(name="cost_pico")
_SUMS = ", ".join(
    (
        _COSTS,
        _SPLIT.format(name="avoided_pico"),
        "count(*), sum(source = 'cache'), sum(cost_pico IS NULL), sum(estimated)",
        *(f"sum(CASE WHEN source <> 'cache' THEN {name} END)" for name in COUNTS),
    )
)


def to_row(entry: Entry) -> Row:
    """Return an entry's values in the order that `INSERT` takes."""
    record, usage, who = entry.record, entry.record.usage, entry.record.attribution
    return (
        record.id,
        entry.at_us,
        record.model,
        record.provider,
        who.user,
        who.feature,
        who.project,
        who.conversation,
        who.run,
        _json(who.tags),
        record.source,
        record.operation,
        record.outcome,
        entry.cost_pico,
        record.price_source,
        entry.avoided_pico,
        record.avoided_by,
        usage.input_tokens,
        usage.cache_read_tokens,
        usage.cache_write_tokens,
        usage.output_tokens,
        usage.reasoning_tokens,
        _json(_rest_of(usage)),
        record.estimated,
        record.latency_s,
        _json(record.notes),
        record.content,
    )


def to_record(row: Row) -> SpendRecord:
    """Return the record that a row of `select_records` holds, leaving out its leading `seq`."""
    values = dict(zip(COLUMNS, row[1:], strict=True))
    who = {name: values.pop(name) for name in ("user", "feature", "project", "conversation", "run")}
    usage = {name: values.pop(name) for name in COUNTS} | _usage_rest(values.pop("usage_rest"))
    cost, avoided = values.pop("cost_pico"), values.pop("avoided_pico")
    return SpendRecord(
        at=from_us(values.pop("at_us")),
        usage=Usage(**usage),
        cost_usd=None if cost is None else from_pico(cost),
        avoided_usd=None if avoided is None else from_pico(avoided),
        attribution=Attribution(**who, tags=json.loads(values.pop("tags") or "{}")),
        estimated=bool(values.pop("estimated")),
        notes=tuple(json.loads(values.pop("notes") or "[]")),
        **values,
    )


def select_records(
    query: Query, *, after: tuple[int, int] | None, last_seq: int, limit: int
) -> tuple[str, Row]:
    """Return SQL and parameters for one page of records, in the order of time and then of recording."""
    conditions, parameters = _conditions(query)
    conditions.append("seq <= ?")
    parameters.append(last_seq)
    if after is not None:
        conditions.append("(at_us, seq) > (?, ?)")
        parameters.extend(after)
    sql = f"SELECT seq, {', '.join(COLUMNS)} FROM records{_where(conditions)} ORDER BY at_us, seq LIMIT ?"  # noqa: S608 - no values in the text
    return sql, (*parameters, limit)


def select_sums(query: Query, dimensions: Sequence[str], *, has_bucket: bool) -> tuple[str, Row]:
    """Return SQL and parameters for sums; with a bucket the connection must know `bucket_start`."""
    return _select("bucket_start(at_us)" if has_bucket else "0", query, dimensions, _SUMS)


def select_costs(query: Query, dimensions: Sequence[str]) -> tuple[str, Row]:
    """Return SQL and parameters for sums of known costs alone."""
    return _select("0", query, dimensions, _COSTS)


def _select(start: str, query: Query, dimensions: Sequence[str], sums: str) -> tuple[str, Row]:
    keys: list[str] = [start]
    parameters: list[Any] = []
    for name in dimensions:
        expression, its_parameters = _value_of(name)
        keys.append(expression)
        parameters.extend(its_parameters)
    conditions, its_parameters = _conditions(query)
    parameters.extend(its_parameters)
    positions = ", ".join(str(number) for number in range(1, len(keys) + 1))
    sql = f"SELECT {', '.join(keys)}, {sums} FROM records{_where(conditions)} GROUP BY {positions}"  # noqa: S608 - no values in the text
    return sql, tuple(parameters)


def to_cost(row: Row) -> tuple[Group, Decimal]:
    """Return the key and sum that a row of `select_costs` holds."""
    *key, quotients, remainders = row
    return (key[0], tuple(key[1:])), from_pico((quotients or 0) * _HALF + (remainders or 0))


def to_group(row: Row, n_dimensions: int) -> tuple[Group, Totals]:
    """Return the key and sums that a row of `select_sums` holds."""
    key, sums = row[: 1 + n_dimensions], [value or 0 for value in row[1 + n_dimensions :]]
    cost_pico, avoided_pico = sums[0] * _HALF + sums[1], sums[2] * _HALF + sums[3]
    return (key[0], key[1:]), to_totals(cost_pico, avoided_pico, sums[4:])


def _json(value: Mapping[str, object] | Sequence[object]) -> str | None:
    return json.dumps(value, ensure_ascii=False, default=str) if value else None


def _rest_of(usage: Usage) -> dict[str, object]:
    known = ((name, getattr(usage, name)) for name in _USAGE_REST)
    return {name: value for name, value in known if value or (value == 0 and value is not False)}


def _usage_rest(text: str | None) -> dict[str, Any]:
    rest: dict[str, Any] = json.loads(text) if text else {}
    if "extras" in rest:  # a number in quotes was a Decimal
        rest["extras"] = {
            name: Decimal(value) if isinstance(value, str) else value
            for name, value in rest["extras"].items()
        }
    return rest


def _value_of(name: str) -> tuple[str, list[str]]:
    if name in DIMENSIONS:
        return f"coalesce({name}, '')", []
    # Not json_extract: its paths cannot name every key before SQLite 3.45.
    return "coalesce((SELECT value FROM json_each(records.tags) WHERE key = ?), '')", [name]


def _conditions(query: Query) -> tuple[list[str], list[Any]]:
    conditions: list[str] = []
    parameters: list[Any] = []
    for text, instant in (("at_us >= ?", query.since_us), ("at_us < ?", query.until_us)):
        if instant is not None:
            conditions.append(text)
            parameters.append(instant)
    for name, value in query.where:
        if name in DIMENSIONS and value:
            conditions.append(f"{name} = ?")  # bare, so that an index can serve
            parameters.append(value)
        else:
            expression, its_parameters = _value_of(name)
            conditions.append(f"{expression} = ?")
            parameters.extend((*its_parameters, value))
    return conditions, parameters


def _where(conditions: Sequence[str]) -> str:
    return f" WHERE {' AND '.join(conditions)}" if conditions else ""
