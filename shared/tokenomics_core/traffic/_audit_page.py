"""An audit as one page: charts, ranked wastes and what ends them, in a file that needs nothing else."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Sequence
from decimal import Decimal

from tokenomics_core.rendering import format_count, format_percent, format_usd, shorten
from tokenomics_core.traffic._audit_page_charts import Bar, Chart, draw, hatching
from tokenomics_core.traffic._audit_page_parts import Columns, Row, Safe, details, figures, table, text
from tokenomics_core.traffic._audit_page_style import SCRIPT, STYLE
from tokenomics_core.traffic._audit_page_time import over_time
from tokenomics_core.traffic._audit_result import Audit, AuditLine, WasteFinding
from tokenomics_core.traffic._audit_text import (
    counted,
    cut_lines,
    knows_costs,
    line_name,
    nothing_found,
    period_of,
)

__all__ = ["audit_page"]

_BARS = 10
_SECTIONS = {
    "model": ("By model", "Model"),
    "feature": ("By feature", "Feature"),
    "user": ("By user", "User"),
    "template": ("By prompt template", "Prompt template"),
}
_SURE = {
    "high": "high: the log itself proves it",
    "medium": "medium: a measured model or a rule of form judged it",
    "low": "low: it rests on what the log does not tell",
}


def audit_page(
    audit: Audit, *, title: str = "What these calls cost, and what of it was wasted", top: int = 20
) -> str:
    """Write an audit as a page of HTML that runs no foreign code and asks no network.

    Whatever the log says is shown as text. Charts have a table behind them; without a script only sorting and
    copying by a button are missing.

    Args:
        audit: What was found.
        title: The heading.
        top: How many models, features, users and templates are listed; the rest stand in one line.
    """
    inside = "".join(_body(audit, title, top))
    policy = (
        f"default-src 'none'; style-src {_digest(STYLE)}; script-src {_digest(SCRIPT)}; "
        "base-uri 'none'; form-action 'none'"
    )
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta name="referrer" content="no-referrer"><title>{text(title)}</title>'
        f"<style>{STYLE}</style></head><body>{inside}<script>{SCRIPT}</script></body></html>\n"
    )


def _digest(source: str) -> str:
    digest = hashlib.sha256(source.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def _body(audit: Audit, title: str, top: int) -> Iterator[str]:
    yield '<a class="skip" href="#main">Skip to the findings</a>'
    yield f"<header><h1>{text(title)}</h1>"
    yield f'<p class="muted">{text(_subtitle(audit))}</p>{figures(_figures(audit))}'
    yield (
        '<nav aria-label="On this page"><ul><li><a href="#waste">Waste</a></li>'
        '<li><a href="#money">Where the money goes</a></li><li><a href="#time">When</a></li>'
        '<li><a href="#notes">What to know</a></li></ul></nav></header>'
    )
    yield '<main id="main" tabindex="-1">'
    yield from _unpriced(audit)
    yield from _wastes(audit)
    yield from _money(audit, top)
    yield from over_time(audit)
    yield from _notes(audit)
    yield "</main><footer><p>Amounts are in US dollars. Written by tokenomics; this page loads nothing."
    yield "</p></footer>"
    yield '<p id="status" class="hidden" role="status"></p>'


def _subtitle(audit: Audit) -> str:
    period = period_of(audit)
    if not period:
        return "No calls"
    return f"{period} (UTC), {audit.span_days:.1f} days, {counted(audit.rows)}"


def _figures(audit: Audit) -> Iterator[tuple[str, str, str]]:
    if knows_costs(audit):
        yield "Spent", format_usd(audit.total_usd), ""
        yield "A month at this pace", format_usd(audit.usd_per_month), ""
        share = format_percent(audit.avoidable_share)
        yield "Avoidable a month", format_usd(audit.avoidable_usd_per_month), share
    else:
        yield "Spent", "unpriced", ""
    yield "Paid calls", format_count(audit.paid_calls), ""
    if audit.cached_calls:
        yield "From a cache", format_count(audit.cached_calls), ""
    if audit.bad:
        yield "Lines not read", format_count(audit.bad), ""


def _unpriced(audit: Audit) -> Iterator[str]:
    if not audit.unpriced_calls:
        return
    models = ", ".join(
        f"{shorten(name, 90)} ({format_count(calls)})" for name, calls in audit.unpriced_models.items()
    )
    yield (
        f'<div class="notice"><p>Without a known cost, in no sum: {counted(audit.unpriced_calls)}: '
        f"{text(models)}.</p><p>Either the log tells no tokens for them, as for a call that was "
        "refused, or the model has no known price: give one with <code>--prices FILE</code>.</p></div>"
    )


# -- wastes ------------------------------------------------------------------


def _wastes(audit: Audit) -> Iterator[str]:
    yield '<section aria-labelledby="waste"><h2 id="waste">Waste</h2>'
    if not audit.wastes:
        kind = "good" if audit.rows and knows_costs(audit) else "notice"
        yield f'<div class="{kind}"><p>{text(nothing_found(audit))}</p></div></section>'
        return
    bars = [Bar(found.title, found.usd_per_month) for found in audit.wastes if found.usd_per_month > 0]
    if bars:
        chart = Chart(key="wastes", title="Waste by kind", axis="USD a month", bars=bars)
        yield f"<figure>{draw(chart)}</figure>"
    yield _waste_table(audit)
    yield (
        '<p class="muted">A call can be wasted in several ways; each kind is counted alone, and the '
        "avoidable sum above counts a call's dollars once.</p>"
    )
    for found in audit.wastes:
        yield from _finding(found)
    yield "</section>"


def _waste_table(audit: Audit) -> Safe:
    rows = [
        Row(
            (
                Safe(f'<a href="#{text(found.kind)}">{text(found.title)}</a>'),
                found.usd_per_month,
                found.confidence,
                found.calls,
                found.usd,
            )
        )
        for found in audit.wastes
    ]
    columns: Columns = (
        ("Waste", "text"),
        ("A month", "money"),
        ("Confidence", "text"),
        ("Calls", "count"),
        ("In this log", "money"),
    )
    return table("waste-table", "Waste by kind, in USD", columns, rows, sorted_by=1)


def _finding(found: WasteFinding) -> Iterator[str]:
    chance = "" if found.probability is None else f"{format_percent(found.probability)} on average"
    key, title = text(found.kind), text(found.title)
    yield f'<article aria-labelledby="{key}"><h3 id="{key}">{title}</h3>'
    yield figures(
        (
            ("A month", format_usd(found.usd_per_month), ""),
            ("In this log", format_usd(found.usd), ""),
            ("Calls", format_count(found.calls), ""),
            ("Confidence", found.confidence, chance),
        )
    )
    yield f"<p>{text(found.why)}</p>"
    yield f'<p class="muted">Confidence {text(_SURE.get(found.confidence, found.confidence))}.</p>'
    yield (
        f'<div class="fix" data-of="{title}"><span>The line that ends it</span>'
        f'<pre tabindex="0" role="group" aria-label="Code for: {title}">'
        f"<code>{text(found.fix)}</code></pre></div>"
    )
    if found.by_feature:
        rows = [Row((name or "no feature", usd)) for name, usd in found.by_feature.items()]
        columns: Columns = (("Feature", "text"), ("In this log", "money"))
        caption = f"{found.title}, by feature"
        yield details("By feature", table(f"{found.kind}-features", caption, columns, rows, sorted_by=1))
    if found.examples:
        items = "".join(f"<li><bdi>{text(shorten(where, 300))}</bdi></li>" for where in found.examples)
        yield details("The dearest examples, where they stand in the log", f"<ul>{items}</ul>")
    yield "</article>"


# -- money -------------------------------------------------------------------


def _money(audit: Audit, top: int) -> Iterator[str]:
    yield '<section aria-labelledby="money"><h2 id="money">Where the money goes</h2>'
    shown = [
        (dimension, lines) for dimension in _SECTIONS if (lines := audit.by(dimension)) and _is_told(lines)
    ]
    if not shown:
        yield "<p>The log tells nothing to group by.</p>"
    elif any(line.avoidable_usd for _, lines in shown for line in lines):
        yield _legend()
    for dimension, lines in shown:
        yield from _dimension(dimension, lines, top)
    yield "</section>"


def _is_told(lines: Sequence[AuditLine]) -> bool:
    return any(line.key is not None for line in lines)


def _legend() -> str:
    return (
        '<p class="muted"><svg class="key" viewBox="0 0 30 11" aria-hidden="true">'
        f'{hatching("key")}<rect width="30" height="11" fill="url(#key-hatch)"/></svg>'
        "hatched: the avoidable part of a bar</p>"
    )


def _dimension(dimension: str, lines: Sequence[AuditLine], top: int) -> Iterator[str]:
    heading, name = _SECTIONS[dimension]
    yield f"<h3>{text(heading)}</h3>"
    bars = [
        Bar(line_name(line, dimension), line.usd, line.avoidable_usd)
        for line in lines
        if line.usd > 0 and not line.rest
    ]
    if bars:
        chart = Chart(
            key=f"by-{dimension}",
            title=f"Cost {heading.lower()}",
            axis="USD in this log",
            bars=bars[:_BARS],
        )
        yield f"<figure>{draw(chart)}{_left_out(lines)}</figure>"
    rows = [_line_row(line, dimension) for line in cut_lines(lines, top)]
    caption = f"Cost {heading.lower()}, in USD"
    inside = table(
        f"{dimension}-table", caption, _line_columns(name), rows, total=_total_row(lines), sorted_by=1
    )
    yield details(f"Table: cost {heading.lower()}", inside, is_open=not bars)


def _left_out(lines: Sequence[AuditLine]) -> str:
    """Say what is not drawn, as together it would dwarf what is."""
    rest = [line for line in cut_lines(lines, _BARS) if line.rest]
    if not rest:
        return ""
    return f"<figcaption>Not drawn: {rest[0].rest:,} more, {format_usd(rest[0].usd)} together.</figcaption>"


def _line_columns(name: str) -> Columns:
    return (
        (name, "text"),
        ("Cost", "money"),
        ("Avoidable", "money"),
        ("Share", "percent"),
        ("Calls", "count"),
        ("Tokens in", "count"),
        ("of these cached", "count"),
        ("Tokens out", "count"),
    )


def _line_row(line: AuditLine, dimension: str) -> Row:
    priced = line.unpriced_calls < line.calls or not line.calls
    name = line_name(line, dimension) if line.rest or line.key is None or dimension == "hour" else line.label
    if line.unpriced_calls and priced:
        name += f" ({counted(line.unpriced_calls)} unpriced)"
    return Row(
        (
            name,
            line.usd if priced else None,
            line.avoidable_usd if priced else None,
            line.share if priced else None,
            line.calls,
            line.input_tokens,
            line.cache_read_tokens,
            line.output_tokens,
        ),
        is_rest=bool(line.rest),
    )


def _total_row(lines: Sequence[AuditLine]) -> Row:
    priced = any(line.unpriced_calls < line.calls for line in lines)
    return Row(
        (
            "All",
            sum((line.usd for line in lines), Decimal(0)) if priced else None,
            sum((line.avoidable_usd for line in lines), Decimal(0)) if priced else None,
            min(sum(line.share for line in lines), 1.0) if priced else None,
            sum(line.calls for line in lines),
            sum(line.input_tokens for line in lines),
            sum(line.cache_read_tokens for line in lines),
            sum(line.output_tokens for line in lines),
        )
    )


# -- notes -------------------------------------------------------------------


def _notes(audit: Audit) -> Iterator[str]:
    yield '<section aria-labelledby="notes"><h2 id="notes">What to know</h2>'
    for note in audit.notes:
        yield f"<p>{text(note)}</p>"
    if audit.bad:
        yield f"<p>{counted(audit.bad, 'line')} could not be read; nothing of that is in any figure.</p>"
    if audit.problems:
        items = "".join(f"<li><bdi>{text(shorten(line, 400))}</bdi></li>" for line in audit.problems)
        yield details("The first lines that could not be read", f"<ul>{items}</ul>")
    yield (
        f"<p>A month is {audit.month_days:g} days at the pace of this log. Hours and days are in UTC. "
        "What a fix really saves shows <code>tokenomics simulate</code>, which replays the log.</p></section>"
    )
