"""The sums that a dashboard shows, in words: nothing is left to reckon for the page."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from tokenomics_core.budgets import BudgetLine, BudgetStatus
from tokenomics_core.observability._dashboard_view import Line, Spend
from tokenomics_core.rendering import format_count, format_percent, format_usd
from tokenomics_core.rendering._format import visible
from tokenomics_core.types import Totals

__all__ = ["describe", "encode"]

_MOST_ROWS = 20
_TITLES = {
    "model": ("Models", "Model"),
    "feature": ("Features", "Feature"),
    "project": ("Projects", "Project"),
    "user": ("Users", "User"),
}
_NONE = "(none)"


def describe(
    spend: Spend,
    budgets: Sequence[BudgetStatus] = (),
    *,
    title: str = "",
    notices: Iterable[str] = (),
) -> dict[str, Any]:
    """Return what the page shows: texts, and shares of 1 for the lengths of bars."""
    month_cost = spend.month.cost_usd
    limits = [_budget(status, line) for status in budgets for line in status.lines]
    limits.sort(key=lambda limit: -float(limit["share"] + limit["held"]))
    left_out = len(limits) - _MOST_ROWS
    found = [*notices, *_notices(spend)]
    return {
        "title": visible(title),
        "at": spend.at.isoformat(timespec="seconds"),
        "time": spend.at.strftime("%Y-%m-%d %H:%M:%S %Z"),
        "month": spend.at.strftime("%B %Y"),
        "complete": spend.is_complete,
        "notices": found,
        "figures": _figures(spend),
        "days": _days(spend),
        "avoided": [
            _avoided(line, spend)
            for line in sorted(spend.by["avoided_by"], key=lambda line: -line.month.avoided_usd)
            if line.name
        ],
        "sections": [
            _section(name, spend.by[name], month_cost)
            for name in _TITLES
            if any(line.name for line in spend.by[name])
        ],
        "budgets": limits[:_MOST_ROWS],
        "more_budgets": f"{left_out:,} limits that are used less are left out." if left_out > 0 else "",
    }


def encode(document: dict[str, Any]) -> bytes:
    """Return a document as the page takes it."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def _figures(spend: Spend) -> list[dict[str, str]]:
    today, month = spend.today, spend.month
    figures = [
        _figure("Today", _cost(today), _calls(today)),
        _figure("This month", _cost(month), _calls(month)),
        _figure(
            "Avoided this month", format_usd(month.avoided_usd), f"{format_usd(today.avoided_usd)} today"
        ),
        _per_query(spend),
    ]
    unpriced = month.unpriced_calls
    figures.append(
        _figure(
            "Calls without a price",
            format_count(unpriced),
            "this month; their cost is in no sum" if unpriced else "this month",
            "error" if unpriced else "",
        )
    )
    return figures


def _figure(name: str, value: str, detail: str, level: str = "") -> dict[str, str]:
    return {"name": name, "value": value, "detail": detail, "level": level}


def _per_query(spend: Spend) -> dict[str, str]:
    queries, cost = spend.queries_today, spend.today.cost_usd
    if queries is None:
        return _figure("Cost per call today", _mean(spend.today), "answers from a cache count as calls")
    text = format_usd(cost / queries) if queries else "–"  # noqa: RUF001 - a dash for none
    return _figure(
        "Cost per query today", text, f"{format_count(queries)} queries: runs, or calls outside of any"
    )


def _days(spend: Spend) -> list[dict[str, Any]]:
    most = max((totals.cost_usd for totals in spend.days.values()), default=Decimal(0))
    return [_day(day, totals, most, spend) for day, totals in spend.days.items()]


def _day(day: date, totals: Totals, most: Decimal, spend: Spend) -> dict[str, Any]:
    is_known = spend.is_complete or day == spend.at.date()
    return {
        "day": day.isoformat(),
        "label": f"{day:%b} {day.day}",
        "cost": _cost(totals) if is_known else "…",
        "calls": format_count(totals.calls) if is_known else "…",
        "avoided": format_usd(totals.avoided_usd) if is_known else "…",
        "share": _share(totals.cost_usd, most),
    }


def _avoided(line: Line, spend: Spend) -> dict[str, Any]:
    whole = sum((max(Decimal(0), other.month.avoided_usd) for other in spend.by["avoided_by"]), Decimal(0))
    return {
        "name": visible(line.name),
        "month": format_usd(line.month.avoided_usd),
        "today": format_usd(line.today.avoided_usd),
        "calls": format_count(line.month.calls),
        "share": _share(line.month.avoided_usd, whole),
    }


def _section(name: str, lines: Sequence[Line], whole_usd: Decimal) -> dict[str, Any]:
    title, head = _TITLES[name]
    shown, rest = lines[:_MOST_ROWS], lines[_MOST_ROWS:]
    rows = [_row(visible(line.name) or _NONE, line.month, line.today, whole_usd) for line in shown]
    if rest:
        month, today = Totals(), Totals()
        for line in rest:
            month, today = month + line.month, today + line.today
        rows.append(_row(f"{format_count(len(rest))} others", month, today, whole_usd))
    return {"id": name, "title": title, "head": head, "rows": rows}


def _row(name: str, month: Totals, today: Totals, whole_usd: Decimal) -> dict[str, Any]:
    return {
        "name": name,
        "cost": _cost(month),
        "today": _cost(today) if today.calls else "–",  # noqa: RUF001 - likewise
        "calls": format_count(month.calls),
        "mean": _mean(month),
        "tokens": format_count(month.input_tokens + month.output_tokens, compact=True),
        "part": format_percent(_share(month.cost_usd, whole_usd)),
        "share": _share(month.cost_usd, whole_usd),
        "unpriced": f"+{month.unpriced_calls:,} unpriced" if month.unpriced_calls else "",
    }


def _budget(status: BudgetStatus, line: BudgetLine) -> dict[str, Any]:
    used = float(line.spent) / float(line.limit) if line.limit else 1.0
    committed = float(line.limit - line.left) / float(line.limit) if line.limit else 1.0
    level = "error" if line.left <= 0 else "warning" if committed >= 0.8 else "good"
    parts = (status.scope if status.key else "", "" if line.window == "total" else line.window)
    what = ", ".join(part for part in parts if part)
    return {
        "name": visible(status.key) or "all calls",
        "what": f"{what}, downgrades to {visible(line.downgrade_to)}" if line.downgrade_to else what,
        "limit": _amount(line.limit, line.unit),
        "spent": _amount(line.spent, line.unit),
        "left": _amount(line.left, line.unit),
        "part": format_percent(used),
        "share": min(1.0, used),
        "held": max(0.0, min(1.0, committed) - min(1.0, used)),
        "level": level,
        "resets": "" if line.resets_at is None else f"{line.resets_at:%Y-%m-%d %H:%M %Z}",
    }


def _notices(spend: Spend) -> Iterable[str]:
    if not spend.is_complete:
        yield "The days before today are still being read; sums of the month grow until that is done."
    if spend.is_complete and not any(totals.calls for totals in spend.days.values()):
        yield "No call was recorded in the last 31 days."
    if spend.month.estimated_calls:
        yield f"{spend.month.estimated_calls:,} of this month's calls have estimated usage."


def _cost(totals: Totals) -> str:
    """Write a cost; where not one call has a price it is unknown, not nothing."""
    if totals.calls and totals.unpriced_calls == totals.calls:
        return format_usd(None)
    return format_usd(totals.cost_usd)


def _calls(totals: Totals) -> str:
    cached = f", {format_count(totals.cached_calls)} from cache" if totals.cached_calls else ""
    return f"{format_count(totals.calls)} {'call' if totals.calls == 1 else 'calls'}{cached}"


def _mean(totals: Totals) -> str:
    priced = totals.calls - totals.unpriced_calls
    return format_usd(totals.cost_usd / priced) if priced else "–"  # noqa: RUF001 - likewise


def _amount(amount: Decimal | int, unit: str) -> str:
    if unit == "usd":
        return format_usd(Decimal(amount))
    return f"{format_count(round(amount), compact=True)} {unit}"


def _share(amount: Decimal, whole: Decimal) -> float:
    return round(max(0.0, float(amount / whole)), 4) if whole > 0 else 0.0
