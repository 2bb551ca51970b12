"""Read any table once its columns are named: which of them is the time, the model, the tokens, the cost."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from decimal import Decimal
from os import PathLike, fspath
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from tokenomics_core.errors import ConfigurationError
from tokenomics_core.traffic._read_answers import answer_of
from tokenomics_core.traffic._read_content import messages_of, tools_of
from tokenomics_core.traffic._read_values import (
    Row,
    amount_of,
    json_of,
    number_of,
    ratio_of,
    seconds_between,
    text_of,
    time_of,
    usage_of_counts,
)
from tokenomics_core.traffic._record import TrafficRecord
from tokenomics_core.types import Attribution, Usage

__all__ = ["ColumnMap", "MappingSource"]

MappingSource = Mapping[str, Any] | str | PathLike[str]

_COUNTS = (
    *("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "cache_write_5m_tokens"),
    *("cache_write_1h_tokens", "reasoning_tokens", "uncached_input_tokens"),
)
_WHO = ("user", "feature", "project", "conversation", "run")
_TEXTS = ("provider", "operation", "source", "finish_reason", "error", "id", "parent")
_OTHERS = (
    *(
        "at",
        "ended_at",
        "model",
        "cost_usd",
        "latency_s",
        "messages",
        "system",
        "prompt",
        "answer",
        "tool_calls",
    ),
    *("tools", "outcome", "score", "batch", "service_tier"),
)
_FIELDS = frozenset({*_COUNTS, *_WHO, *_TEXTS, *_OTHERS})
_PREFIXES = ("tags.", "settings.")
_UNITS = {
    "cost_usd": {"usd": Decimal(1), "cents": Decimal("0.01"), "micro_usd": Decimal("0.000001")},
    "latency_s": {"s": Decimal(1), "ms": Decimal("0.001"), "us": Decimal("0.000001")},
    "score": {"share": Decimal(1), "percent": Decimal("0.01")},
}
_OUTCOMES = {
    **dict.fromkeys(("ok", "success", "succeeded", "completed", "true", "1", "200"), "ok"),
    **dict.fromkeys(("cancelled", "canceled"), "cancelled"),
    **dict.fromkeys(("aborted", "interrupted"), "aborted"),
}
_SOURCES = {"model", "cache", "batch"}
_YES = frozenset({"true", "1", "yes", "y"})


@dataclass(frozen=True, slots=True)
class _Column:
    """How one column is read."""

    name: str
    field: str
    format: str | None = None
    zone: tzinfo | None = None
    scale: Decimal = Decimal(1)


class ColumnMap:
    """Which column holds which field, in what unit.

    Args:
        source: A mapping from column to field, or to a table of `field` with `format` and `timezone` for
            times or `unit` for amounts; or one that holds such a mapping as `columns`, beside `constants`
            for fields that no column tells and `timezone` for all times; or the path of a TOML file of that
            second shape.

    Raises:
        ConfigurationError: It names what is no field, a unit or zone that is not known, or no time or model.
    """

    def __init__(self, source: MappingSource) -> None:
        told = source if isinstance(source, Mapping) else _told_by_file(source)
        whole = dict(told) if isinstance(told.get("columns"), Mapping) else {"columns": told}
        if unknown := sorted(set(whole) - {"columns", "constants", "timezone"}):
            raise ConfigurationError(
                f"a mapping has columns, constants and timezone, not {', '.join(unknown)}; nothing was read"
            )
        zone = _zone_of(whole.get("timezone", "UTC"))
        self._columns = [_column_of(str(name), entry, zone) for name, entry in whole["columns"].items()]
        self._constants: dict[str, Any] = {}
        for field, value in whole.get("constants", {}).items():
            _check_field(field, f"constant {field!r}")
            self._constants[field] = value
        fields = [column.field for column in self._columns]
        if twice := sorted({field for field in fields if fields.count(field) > 1}):
            raise ConfigurationError(f"two columns are mapped to {', '.join(twice)}; nothing was read")
        known = {*fields, *self._constants}
        for needed in (("at", "ended_at"), ("model",)):
            if known.isdisjoint(needed):
                raise ConfigurationError(f"a mapping must name the column of {needed[0]!r}; nothing was read")

    def check(self, row: Row, where: str) -> None:
        """Refuse a table that lacks every column of the time or the model.

        Raises:
            ConfigurationError: The message lists the columns that are there.
        """
        for needed in (("at", "ended_at"), ("model",)):
            columns = [column.name for column in self._columns if column.field in needed]
            if columns and not any(name in row or _nested(row, name) is not None for name in columns):
                raise ConfigurationError(
                    f"{where} has no column {' or '.join(map(repr, columns))}, but "
                    f"{', '.join(map(repr, list(row)[:40]))}; nothing was read of it"
                )

    def read(self, row: Row, where: str) -> TrafficRecord:
        """Return the call that a row tells of.

        Raises:
            ValueError: It tells no time or model, or a value is not what its field holds.
        """
        held: dict[str, Any] = dict(self._constants)
        for column in self._columns:
            value = _nested(row, column.name)
            if value is not None and value != "":
                held[column.field] = _READERS.get(column.field, _as_is)(value, column)
        model = text_of(held.get("model"))
        if model is None:
            raise ValueError("it names no model")
        at, ended_at, latency_s = held.get("at"), held.get("ended_at"), held.get("latency_s")
        if at is None and ended_at is not None:
            at = ended_at - timedelta(seconds=latency_s or 0)
        if at is None:
            raise ValueError("it tells no time")
        error = text_of(held.get("error"))
        told = answer_of(held["answer"]) if "answer" in held else None
        calls = held.get("tool_calls")
        return TrafficRecord(
            at=at,
            model=model,
            usage=_usage_of(held),
            messages=_messages_of(held),
            answer=told.text if told is not None else None,
            tool_calls=tuple(calls)
            if isinstance(calls, list)
            else (told.tool_calls if told is not None else ()),
            tools=tools_of(held),
            settings={name[9:]: value for name, value in held.items() if name.startswith("settings.")},
            cost_usd=held.get("cost_usd"),
            provider=text_of(held.get("provider")),
            attribution=_attribution_of(held),
            operation=text_of(held.get("operation")) or "chat",
            source=_source_of(held),
            outcome=held.get("outcome") or ("ok" if error is None else "error"),
            finish_reason=text_of(held.get("finish_reason")),
            error=error,
            latency_s=latency_s if latency_s is not None else seconds_between(at, ended_at),
            score=held.get("score"),
            id=text_of(held.get("id")) or "",
            parent=text_of(held.get("parent")),
            where=where,
        )


def _told_by_file(path: str | PathLike[str]) -> Mapping[str, Any]:
    name = fspath(path)
    try:
        with Path(name).open("rb") as stream:
            told = tomllib.load(stream)
    except OSError as error:
        raise ConfigurationError(
            f"the mapping {name!r} could not be read: {error.strerror}; nothing was read"
        ) from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"the mapping {name!r} is no TOML: {error}; nothing was read") from error
    if not isinstance(told.get("columns"), Mapping):
        raise ConfigurationError(f"the mapping {name!r} has no table [columns]; nothing was read")
    return told


def _column_of(name: str, entry: Any, zone: tzinfo) -> _Column:
    told = {"field": entry} if isinstance(entry, str) else entry
    if not isinstance(told, Mapping) or not isinstance(told.get("field"), str):
        raise ConfigurationError(f"column {name!r} must name a field, not {entry!r:.60}; nothing was read")
    field = told["field"]
    _check_field(field, f"column {name!r}")
    if unknown := sorted(set(told) - {"field", "format", "timezone", "unit"}):
        raise ConfigurationError(
            f"column {name!r} has field, format, timezone and unit, not {', '.join(unknown)}; "
            "nothing was read"
        )
    if ("format" in told or "timezone" in told) and field not in {"at", "ended_at"}:
        raise ConfigurationError(
            f"column {name!r} is {field}, which has no format or timezone; nothing was read"
        )
    units = _UNITS.get(field, {})
    unit = told.get("unit", next(iter(units), None))
    if unit is not None and unit not in units:
        known = f"one of {', '.join(units)}" if units else "left out"
        raise ConfigurationError(
            f"the unit of column {name!r} must be {known}, not {unit!r}; nothing was read"
        )
    return _Column(
        name=name,
        field=field,
        format=told.get("format"),
        zone=_zone_of(told["timezone"]) if "timezone" in told else zone,
        scale=units[unit] if unit is not None else Decimal(1),
    )


def _check_field(field: str, what: str) -> None:
    if field not in _FIELDS and not field.startswith(_PREFIXES):
        raise ConfigurationError(
            f"{what} is mapped to {field!r}, which is none of {', '.join(sorted(_FIELDS))}, tags.NAME, "
            "settings.NAME; nothing was read"
        )


def _zone_of(name: Any) -> tzinfo:
    try:
        return ZoneInfo(name)
    except (KeyError, OSError, TypeError, ValueError) as error:
        raise ConfigurationError(
            f"timezone must name a zone such as 'UTC', not {name!r}; nothing was read"
        ) from error


def _nested(row: Row, name: str) -> Any:
    if name in row:
        return row[name]
    value: Any = row
    for part in name.split("."):
        value = json_of(value)
        if not isinstance(value, Mapping) or part not in value:
            return None
        value = value[part]
    return value


# Values


def _as_is(value: Any, column: _Column) -> Any:  # noqa: ARG001 - one signature for all
    return value


def _read_time(value: Any, column: _Column) -> datetime | None:
    if column.format is not None and isinstance(value, str):
        at = datetime.strptime(value.strip(), column.format)  # noqa: DTZ007 - its zone is set below
        return at if at.tzinfo is not None else at.replace(tzinfo=column.zone)
    return time_of(value) if column.zone is None else time_of(value, column.zone)


def _read_amount(value: Any, column: _Column) -> Decimal:
    amount = amount_of(value)
    if amount is None:
        raise ValueError(f"{value!r:.60} is no amount")
    return amount * column.scale


def _read_seconds(value: Any, column: _Column) -> float:
    number = number_of(value)
    if number is None or number < 0:
        raise ValueError(f"{value!r:.60} is no duration")
    return float(Decimal(str(number)) * column.scale)


def _read_score(value: Any, column: _Column) -> float | None:
    number = number_of(value)
    return ratio_of(value if number is None else float(Decimal(str(number)) * column.scale))


def _read_outcome(value: Any, column: _Column) -> str:  # noqa: ARG001 - one signature for all
    return _OUTCOMES.get(str(value).strip().lower(), "error")


def _read_json(value: Any, column: _Column) -> Any:  # noqa: ARG001 - one signature for all
    return json_of(value)


_READERS: dict[str, Callable[[Any, _Column], Any]] = {
    "at": _read_time,
    "ended_at": _read_time,
    "cost_usd": _read_amount,
    "latency_s": _read_seconds,
    "score": _read_score,
    "outcome": _read_outcome,
    "tool_calls": _read_json,
}


def _usage_of(held: Row) -> Usage:
    return usage_of_counts(
        **{name: held.get(name) for name in _COUNTS},
        service_tier=text_of(held.get("service_tier")),
        batch=str(held.get("batch", "")).strip().lower() in _YES or held.get("source") == "batch",
    )


def _messages_of(held: Row) -> tuple[Row, ...] | None:
    messages = messages_of(held["messages"]) if "messages" in held else None
    if messages is None and "prompt" in held:
        messages = ({"role": "user", "content": str(held["prompt"])},)
    if "system" in held:
        return ({"role": "system", "content": str(held["system"])}, *(messages or ()))
    return messages


def _attribution_of(held: Row) -> Attribution:
    tags = {name[5:]: str(value) for name, value in held.items() if name.startswith("tags.")}
    return Attribution(**{name: text_of(held.get(name)) for name in _WHO}, tags=tags)


def _source_of(held: Row) -> str:
    told = text_of(held.get("source"))
    if told is None:
        return "model"
    if told not in _SOURCES:
        raise ValueError(f"its source is {told!r:.40}, not model, cache or batch")
    return told
