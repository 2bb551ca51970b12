"""The part of an audit's page that says when money was spent: by hour of the day, and by day."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from decimal import Decimal

from tokenomics_core.traffic._audit_page_charts import Bar, Chart, draw
from tokenomics_core.traffic._audit_page_parts import Columns, Row, details, table, text
from tokenomics_core.traffic._audit_result import Audit, AuditLine

__all__ = ["over_time"]

_MOST_COLUMNS = 62
_Point = tuple[str, int, Decimal, Decimal]


def over_time(audit: Audit) -> Iterator[str]:
    """Yield the section on hours and days."""
    yield '<section aria-labelledby="time"><h2 id="time">When</h2>'
    hours = {line.key: line for line in audit.by("hour") if line.key is not None}
    days = {line.key: line for line in audit.by("day") if line.key is not None and not line.rest}
    if not hours and not days:
        yield "<p>There are no calls to place in time.</p>"
    if hours:
        keys = [f"{hour:02d}" for hour in range(24)]
        points = [(key, *_amounts([hours[key]] if key in hours else [])) for key in keys]
        yield from _over_time("hour", "By hour of the day", "Hour (UTC)", points)
    if days:
        name, points = _by_span(days)
        yield from _over_time("day", f"By {name}", name.capitalize(), points)
    yield "</section>"


def _amounts(lines: Sequence[AuditLine]) -> tuple[int, Decimal, Decimal]:
    return (
        sum(line.calls for line in lines),
        sum((line.usd for line in lines), Decimal(0)),
        sum((line.avoidable_usd for line in lines), Decimal(0)),
    )


def _by_span(days: dict[str, AuditLine]) -> tuple[str, list[_Point]]:
    """Sum by day, or where these are too many for a chart by week or month."""
    first, last = (date.fromisoformat(pick(days)) for pick in (min, max))
    every = [first + timedelta(days=number) for number in range((last - first).days + 1)]
    name = "day"
    groups: dict[str, list[AuditLine]] = {day.isoformat(): [] for day in every}
    if len(every) > _MOST_COLUMNS:
        name = "week from" if len(every) <= 7 * _MOST_COLUMNS else "month"
        groups = {_span_of(day, name): [] for day in every}
    for key, line in days.items():
        groups[_span_of(date.fromisoformat(key), name)].append(line)
    return name, [(key, *_amounts(lines)) for key, lines in groups.items()]


def _span_of(day: date, name: str) -> str:
    if name == "day":
        return day.isoformat()
    if name == "month":
        return f"{day:%Y-%m}"
    return (day - timedelta(days=day.weekday())).isoformat()


def _over_time(key: str, heading: str, name: str, points: Sequence[_Point]) -> Iterator[str]:
    yield f"<h3>{text(heading)}</h3>"
    if any(usd > 0 for _, _, usd, _ in points):
        same_year = key == "day" and len({label[:4] for label, *_ in points}) == 1
        bars = [Bar(label[5:] if same_year else label, usd, waste) for label, _, usd, waste in points]
        chart = Chart(
            key=f"by-{key}",
            title=f"Cost {heading.lower()}",
            axis="USD in this log",
            names=name,
            bars=bars,
            upright=True,
        )
        yield f"<figure>{draw(chart)}</figure>"
    rows = [Row((f"{point[0]}:00" if key == "hour" else point[0], *point[1:])) for point in points]
    columns: Columns = ((name, "text"), ("Calls", "count"), ("Cost", "money"), ("Avoidable", "money"))
    yield details(
        f"Table: cost {heading.lower()}",
        table(f"{key}-table", f"Cost {heading.lower()}, in USD", columns, rows),
    )
