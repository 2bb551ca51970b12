"""Reading the cost exports of providers."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from os import PathLike
from pathlib import Path
from typing import Any, Literal, get_args

from tokenomics_core.economics._bill import Bill, BillLine
from tokenomics_core.errors import ConfigurationError, StoreError
from tokenomics_core.ledger import zone_named

__all__ = ["BillFormat", "read_bill"]

BillFormat = Literal["auto", "csv", "openai", "anthropic"]

_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "date": ("date", "day", "usage_date_utc", "usage_date", "start_time_iso", "start_time", "timestamp"),
    "model": ("model", "model_version", "line_item"),
    "cost_usd": ("cost_usd", "amount_value", "amount_usd", "cost", "usd"),
    "input_tokens": ("input_tokens",),
    "output_tokens": ("output_tokens",),
    "currency": ("currency", "amount_currency"),
}
_MARKS = {"openai": {"start_time_iso", "num_model_requests"}, "anthropic": {"usage_date_utc"}}
_THOUSANDS = re.compile(r"-?\d{1,3}(,\d{3})+(\.\d+)?")


def read_bill(
    path: str | PathLike[str],
    *,
    format: BillFormat = "auto",  # noqa: A002 - what the file is in; the word that everybody looks for
    columns: Mapping[str, str] | None = None,
    timezone: str = "UTC",
) -> Bill:
    """Read a provider's export of costs, or of usage, into a bill.

    JSON is read as the organisation costs and usage reports of OpenAI (amounts in dollars) and the cost
    report of Anthropic (amounts in cents) return it: one page, or a list of pages. CSV is read by its
    header, which knows the columns of both providers' dashboards besides `date`, `model`, `cost_usd`,
    `input_tokens` and `output_tokens`.

    Args:
        path: The file.
        format: What it holds; `auto` looks.
        columns: Names of columns where they are others, by `date`, `model`, `cost_usd`, `currency`,
            `input_tokens`, `output_tokens`.
        timezone: The zone of the days in a CSV; providers report days of UTC.

    Raises:
        StoreError: The file cannot be read.
        ConfigurationError: It is no such export, or not in USD; the message names the line.

    Source:
        https://platform.claude.com/docs/en/api/admin/cost_report (amounts in the lowest unit, days of UTC)
        and https://developers.openai.com/cookbook/examples/completions_usage_api (line items), read 2026-11.
    """
    if format not in get_args(BillFormat):
        raise ConfigurationError(f"format must be one of {', '.join(get_args(BillFormat))}, not {format!r}")
    if unknown := sorted(set(columns or {}) - set(_COLUMNS)):
        raise ConfigurationError(f"columns may name {', '.join(_COLUMNS)}, not {', '.join(unknown)}")
    zone_named(timezone)
    name = str(path)
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise StoreError(name, f"could not be read: {error.strerror}; nothing was compared") from error
    except UnicodeDecodeError as error:
        raise StoreError(name, "is no UTF-8 text; nothing was compared") from error
    if text.lstrip()[:1] in {"{", "["}:
        if format == "csv" or columns or timezone != "UTC":
            raise ConfigurationError(
                f"{name} is JSON, which has no columns and days of UTC; nothing was compared"
            )
        return _read_json(text, name, format)
    return _read_csv(text, name, format, columns or {}, timezone)


# JSON


def _read_json(text: str, name: str, format_: BillFormat) -> Bill:
    try:
        parsed = json.loads(text, parse_float=Decimal)
    except ValueError as error:
        raise ConfigurationError(f"{name} is no JSON ({error}); nothing was compared") from error
    pages = parsed if isinstance(parsed, list) else [parsed]
    buckets: list[Any] = []
    for page in pages:
        buckets.extend(
            page["data"] if isinstance(page, dict) and isinstance(page.get("data"), list) else [page]
        )
    try:
        provider, days, lines = _lines_of(buckets, format_)
    except (ArithmeticError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise ConfigurationError(
            f"{name} is no cost report known here ({error!r}); nothing was compared"
        ) from error
    if not days:
        raise ConfigurationError(f"{name} covers no day; nothing was compared")
    is_cut_off = isinstance(pages[-1], dict) and bool(pages[-1].get("has_more"))
    return Bill(
        lines=tuple(lines),
        first_day=min(days),
        last_day=max(days),
        source=f"{name} ({provider} JSON)",
        provider=provider,
        notes=("the export says that more pages follow; they are not in the file",) if is_cut_off else (),
    )


def _lines_of(buckets: Sequence[Any], format_: BillFormat) -> tuple[str, list[date], list[BillLine]]:
    is_anthropic = all("starting_at" in bucket for bucket in buckets)
    provider = "anthropic" if is_anthropic else "openai"
    if format_ not in {"auto", provider}:
        raise ValueError(f"it looks like one of {provider}")
    read = _anthropic_line if is_anthropic else _openai_line
    days: list[date] = []
    lines: list[BillLine] = []
    for bucket in buckets:
        if is_anthropic:
            at = datetime.fromisoformat(bucket["starting_at"]).astimezone(UTC)
        else:
            at = datetime.fromtimestamp(int(bucket["start_time"]), UTC)
        days.append(at.date())
        lines.extend(read(result, at.date()) for result in bucket["results"])
    return provider, days, lines


def _anthropic_line(result: Mapping[str, Any], day: date) -> BillLine:
    _check_currency(result.get("currency"))
    item = result.get("description") or result.get("cost_type") or ""
    model = result.get("model") or ""
    cents = _amount(result["amount"])
    return BillLine(day=day, model=model, item="" if model else item, cost_usd=cents / 100)


def _openai_line(result: Mapping[str, Any], day: date) -> BillLine:
    if "amount" not in result:  # a usage report
        return BillLine(
            day=day,
            model=result.get("model") or "",
            input_tokens=_count(result["input_tokens"]),
            output_tokens=_count(result.get("output_tokens")),
        )
    amount = result["amount"] or {}
    _check_currency(amount.get("currency"))
    model, item = _split_line_item(result.get("line_item") or "")
    return BillLine(day=day, model=model, item=item, cost_usd=_amount(amount.get("value", 0)))


def _split_line_item(line_item: str) -> tuple[str, str]:
    """Return the model of `evals | gpt-4o-mini, input`, or the words of an item that has none."""
    head, comma, _ = line_item.partition(", ")
    if comma or " " not in line_item:
        return head.rsplit(" | ", 1)[-1].strip(), ""
    return "", line_item


# CSV


def _read_csv(text: str, name: str, format_: BillFormat, columns: Mapping[str, str], timezone: str) -> Bill:
    header = text.partition("\n")[0]
    reader = csv.DictReader(text.splitlines(), delimiter=max(",;\t", key=header.count))
    fields = [field.strip() for field in reader.fieldnames or []]
    reader.fieldnames = fields
    found = _find_columns(fields, columns, name)
    provider: str | None = format_ if format_ in {"openai", "anthropic"} else None
    for candidate, marks in _MARKS.items():
        if provider is None and marks & set(fields):
            provider = candidate
    if provider is not None and timezone != "UTC":
        raise ConfigurationError(
            f"{name} is an export of {provider}, whose days are days of UTC, not {timezone}"
        )
    days, lines = [], []
    for row in reader:
        if any(row.values()):
            line = _csv_line(row, found, timezone, f"{name} line {reader.line_num}")
            days.append(line.day)
            lines.append(line)
    if not days:
        raise ConfigurationError(f"{name} covers no day; nothing was compared")
    return Bill(
        lines=tuple(line for line in lines if line != BillLine(day=line.day)),  # days without any charge
        first_day=min(days),
        last_day=max(days),
        source=f"{name} (CSV)",
        provider=provider,
        timezone=timezone,
    )


def _find_columns(fields: Sequence[str], columns: Mapping[str, str], name: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for role, candidates in _COLUMNS.items():
        wanted = (columns[role],) if role in columns else candidates
        here = [field for candidate in wanted for field in fields if field.lower() == candidate.lower()]
        if here:
            found[role] = here[0]
        elif role in columns:
            raise ConfigurationError(
                f"{name} has no column {columns[role]!r}, but {', '.join(fields)}; nothing was compared"
            )
    if "date" not in found or not {"cost_usd", "input_tokens"} & set(found):
        raise ConfigurationError(
            f"{name} needs a column for the date and one for the cost or the input tokens, and has "
            f"{', '.join(fields)}; name them with columns=; nothing was compared"
        )
    return found


def _csv_line(row: Mapping[str, str], found: Mapping[str, str], timezone: str, place: str) -> BillLine:
    values = {role: (row.get(field) or "").strip() for role, field in found.items()}
    try:
        _check_currency(values.get("currency"))
        is_line_item = found.get("model", "").lower() == "line_item"
        model, item = (
            _split_line_item(values.get("model", "")) if is_line_item else (values.get("model", ""), "")
        )
        line = BillLine(day=_day(values["date"], timezone), model=model, item=item)
        return replace(
            line,
            cost_usd=_amount(values["cost_usd"]) if values.get("cost_usd") else None,
            input_tokens=_count(values.get("input_tokens") or None),
            output_tokens=_count(values.get("output_tokens") or None),
        )
    except (ArithmeticError, ValueError) as error:
        raise ConfigurationError(f"{place}: {error}; nothing was compared") from error


def _day(text: str, timezone: str) -> date:
    readings: Iterable[Callable[[], datetime | date]] = (
        lambda: date.fromisoformat(text),
        lambda: datetime.fromisoformat(text),
        lambda: datetime.fromtimestamp(int(text), UTC),
    )
    for reading in readings:
        try:
            at = reading()
        except (OverflowError, OSError, ValueError):
            continue
        if not isinstance(at, datetime):
            return at
        return at.date() if at.tzinfo is None else at.astimezone(zone_named(timezone)).date()
    raise ValueError(f"{text!r} is no date")


# Values


def _amount(value: object) -> Decimal:
    text = str(value).strip().removeprefix("$")
    if _THOUSANDS.fullmatch(text):
        text = text.replace(",", "")
    try:
        amount = Decimal(text)
    except InvalidOperation as error:
        raise ValueError(f"{value!r} is no amount") from error
    if not amount.is_finite():
        raise ValueError(f"{value!r} is no amount")
    return amount


def _count(value: object) -> int | None:
    if value is None:
        return None
    count = _amount(value)
    if count != int(count):
        raise ValueError(f"{value!r} is no count")
    return int(count)


def _check_currency(currency: object) -> None:
    if currency and str(currency).lower() != "usd":
        raise ValueError(f"amounts are in {currency!r}, not in USD")
