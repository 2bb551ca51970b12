"""An audit as tables: what was wasted and what ends it, then where the money went."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from decimal import Decimal

from tokenomics_core.rendering import (
    Bar,
    BarPart,
    Cell,
    Column,
    Figure,
    Group,
    Level,
    Notice,
    Row,
    Table,
    format_count,
    format_percent,
    shorten,
)
from tokenomics_core.traffic._audit_result import Audit, AuditLine, WasteFinding

__all__ = ["audit_tables", "counted", "cut_lines", "knows_costs", "line_name", "nothing_found", "period_of"]

_SECTIONS = {
    "model": "Model",
    "feature": "Feature",
    "user": "User",
    "template": "Prompt template",
    "hour": "Hour (UTC)",
}
_LEVELS: dict[str, Level] = {"high": "normal", "medium": "normal", "low": "muted"}
_MAX_NAME = 200
_MAX_TEMPLATE = 38
_MAX_PROBLEMS = 5


def audit_tables(audit: Audit, *, top: int = 10) -> tuple[Table, Table]:
    """Lay out an audit as two tables: the wastes, ranked, and the money by model, feature, user and so on.

    Args:
        audit: What was found.
        top: How many groups of a kind are shown; the rest stand in one line.
    """
    return _waste_table(audit), _money_table(audit, top)


def counted(number: int, what: str = "call") -> str:
    """Return a number with what it counts."""
    return f"{format_count(number)} {what}" if number == 1 else f"{format_count(number)} {what}s"


def cut_lines(lines: Sequence[AuditLine], top: int) -> list[AuditLine]:
    """Return the first lines and one that sums up the rest."""
    own = [line for line in lines if not line.rest]
    if len(own) <= top:
        return list(lines)
    kept, dropped = own[:top], [*own[top:], *(line for line in lines if line.rest)]
    return [*kept, _sum_of(dropped)]


def line_name(line: AuditLine, dimension: str) -> str:
    """Return what a line is called; groups that the log does not name are named here."""
    if line.rest:
        return f"{line.rest:,} more"
    if line.key is None or not line.label:
        return f"no {dimension}"
    if dimension == "hour":
        return f"{line.key}:00"
    if dimension == "template" and len(line.label) > _MAX_TEMPLATE:  # its end says nothing
        return f"{line.label[:_MAX_TEMPLATE].rstrip()}…"
    return shorten(line.label, _MAX_NAME)


def knows_costs(audit: Audit) -> bool:
    """Tell whether the sums say anything."""
    return audit.unpriced_calls < audit.paid_calls or not audit.paid_calls


def nothing_found(audit: Audit) -> str:
    """Say why no waste is listed."""
    if not audit.rows:
        return "The log holds no calls."
    if not knows_costs(audit):
        return "No call has a known cost, so no waste can be told in dollars."
    return "None of the nine kinds of waste was found."


def period_of(audit: Audit) -> str:
    """Return from when to when the calls are, in UTC as the log's hours and days are."""
    if audit.since is None or audit.until is None:
        return ""
    first, last = (f"{at:%Y-%m-%d}" for at in (audit.since, audit.until))
    return first if first == last else f"{first} to {last}"


def _sum_of(lines: Iterable[AuditLine]) -> AuditLine:
    total = AuditLine(key=None, label="", calls=0, usd=Decimal(0))
    for line in lines:
        total = replace(
            total,
            calls=total.calls + line.calls,
            usd=total.usd + line.usd,
            share=total.share + line.share,
            unpriced_calls=total.unpriced_calls + line.unpriced_calls,
            input_tokens=total.input_tokens + line.input_tokens,
            cache_read_tokens=total.cache_read_tokens + line.cache_read_tokens,
            output_tokens=total.output_tokens + line.output_tokens,
            avoidable_usd=total.avoidable_usd + line.avoidable_usd,
            rest=total.rest + max(line.rest, 1),
        )
    return total


# -- wastes ------------------------------------------------------------------


def _waste_table(audit: Audit) -> Table:
    rows = tuple(map(_waste_row, audit.wastes))
    return Table(
        title="What was wasted",
        subtitle=period_of(audit),
        figures=tuple(_figures(audit)),
        columns=(
            Column(title="Waste"),
            Column(title="Calls", kind="count", priority=3),
            Column(title="In this log", kind="money", priority=2),
            Column(title="A month", kind="money", strong=True),
            Column(title="Confidence", priority=1),
        ),
        groups=(Group("", rows),) if rows else (),
        notices=tuple(_waste_notices(audit)),
    )


def _waste_row(found: WasteFinding) -> Row:
    chance = "" if found.probability is None else f", {format_percent(found.probability)}"
    return Row(
        (
            Cell(found.title),
            Cell(found.calls),
            Cell(found.usd),
            Cell(found.usd_per_month),
            Cell(f"{found.confidence}{chance}", level=_LEVELS.get(found.confidence, "normal")),
        )
    )


def _figures(audit: Audit) -> Iterable[Figure]:
    known = knows_costs(audit)
    yield Figure("Spent", Cell(audit.total_usd if known else None), "money")
    if known:
        yield Figure("A month", Cell(audit.usd_per_month), "money")
        share = format_percent(audit.avoidable_share)
        yield Figure("Avoidable a month", Cell(audit.avoidable_usd_per_month, note=share), "money")
    yield Figure("Calls", Cell(audit.rows), "count")


def _waste_notices(audit: Audit) -> Iterable[Notice]:
    if not audit.wastes:
        yield Notice(nothing_found(audit), "good" if audit.rows and knows_costs(audit) else "warning")
    for found in audit.wastes:
        yield Notice(f"{found.title}: {found.fix}", "normal")
    if len(audit.wastes) > 1:
        yield Notice("A call can be wasted in several ways; the avoidable sum counts its dollars once.")
    yield from _doubts(audit)


def _doubts(audit: Audit) -> Iterable[Notice]:
    if audit.unpriced_calls:
        models = ", ".join(
            f"{shorten(name, _MAX_NAME)} ({format_count(calls)})"
            for name, calls in audit.unpriced_models.items()
        )
        yield Notice(f"Without a known cost, in no sum: {counted(audit.unpriced_calls)}: {models}", "warning")
    if audit.bad:
        yield Notice(f"{counted(audit.bad, 'line')} could not be read:", "warning")
        for problem in audit.problems[:_MAX_PROBLEMS]:
            yield Notice(shorten(problem, _MAX_NAME))
    for note in audit.notes:
        yield Notice(note)


# -- money -------------------------------------------------------------------


def _money_table(audit: Audit, top: int) -> Table:
    groups = []
    for dimension, title in _SECTIONS.items():
        lines = list(audit.by(dimension))
        if not any(line.key is not None for line in lines):
            continue
        if dimension == "hour":
            lines.sort(key=lambda line: line.key or "")
            shown = lines
        else:
            shown = cut_lines(lines, top)
        dearest = max((line.share for line in shown), default=0.0)
        groups.append(Group(title, tuple(_money_row(line, dimension, dearest) for line in shown)))
    return Table(
        title="Where the money goes",
        subtitle=period_of(audit),
        columns=(
            Column(title=""),
            Column(title="Calls", kind="count", priority=2),
            Column(title="Tokens in", kind="count", priority=4),
            Column(title="cached", kind="count", part=True, priority=6),
            Column(title="out", kind="count", priority=4),
            Column(title="Cost", kind="money", strong=True),
            Column(title="avoidable", kind="money", part=True, priority=1),
            Column(title="Share", kind="percent", priority=3),
            Column(title="Cost, avoidable part dashed", kind="bar", priority=5),
        ),
        groups=tuple(groups),
    )


def _money_row(line: AuditLine, dimension: str, dearest: float) -> Row:
    unpriced = line.unpriced_calls == line.calls and line.calls > 0
    note = "" if unpriced or not line.unpriced_calls else f"+{format_count(line.unpriced_calls)} unpriced"
    return Row(
        (
            Cell(line_name(line, dimension), level="muted" if line.rest or line.key is None else "normal"),
            Cell(line.calls),
            Cell(line.input_tokens),
            Cell(line.cache_read_tokens),
            Cell(line.output_tokens),
            Cell(None if unpriced else line.usd, note=note, note_level="warning"),
            Cell(None if unpriced else line.avoidable_usd),
            Cell(None if unpriced else line.share),
            _bar(line, dearest),
        )
    )


def _bar(line: AuditLine, dearest: float) -> Cell:
    if dearest <= 0 or line.usd <= 0:
        return Cell(Bar(()))
    width = min(line.share / dearest, 1.0)
    wasted = width * min(max(float(line.avoidable_usd / line.usd), 0.0), 1.0)
    label = f"{format_percent(line.share)} of the cost"
    return Cell(
        Bar((BarPart(max(width - wasted, 0.0)), BarPart(wasted, level="warning", hatched=True)), label=label)
    )
