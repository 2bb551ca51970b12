"""`tokenomics report`: what calls cost, by anything and over time."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from decimal import Decimal
from typing import Any, TextIO

from tokenomics_core.cli._output import AddCommand, show, usd_text, write_csv, write_json
from tokenomics_core.cli._values import check_zone, instant, ledger_place, names, pair, when
from tokenomics_core.ledger import open_ledger
from tokenomics_core.rendering import Cell, Column, Figure, Group, Notice, Row, Table
from tokenomics_core.types import Totals

__all__ = ["add", "add_span"]

_MOMENT = {"hour": "%Y-%m-%d %H:%M %z", "day": "%Y-%m-%d", "week": "%Y-%m-%d", "month": "%Y-%m"}
_AMOUNTS = ("cost_usd", "avoided_usd")


def add(add_command: AddCommand) -> None:
    """Add the command to the parser."""
    parser = add_command("report", help="what calls cost, by anything and over time")
    parser.add_argument("ledger", type=ledger_place, metavar="LEDGER")
    parser.add_argument(
        "--by",
        type=names,
        metavar="NAMES",
        help="dimensions or tags with commas between them; by default model",
    )
    parser.add_argument("--bucket", choices=tuple(_MOMENT), help="a row per hour, day, week or month")
    add_span(parser)
    parser.add_argument("--format", choices=("table", "json", "csv"), default="table")
    parser.set_defaults(run=_run)


def add_span(parser: argparse.ArgumentParser) -> None:
    """Add what chooses records: a span of time, its zone, and filters."""
    parser.add_argument("--since", type=when, help="first moment: a date, a time, or an age such as 7d")
    parser.add_argument("--until", type=when, help="moment after the last, likewise")
    parser.add_argument("--timezone", type=check_zone, default="UTC", help="zone of days and dates")
    parser.add_argument(
        "--where",
        type=pair,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="only records with this value",
    )


@dataclass(frozen=True, slots=True)
class _Line:
    """One row: its keys in words, and its sums."""

    keys: tuple[str, ...]
    totals: Totals


def _run(arguments: argparse.Namespace, out: TextIO, now: datetime) -> int:
    by = arguments.by or (() if arguments.bucket else ("model",))
    span: dict[str, Any] = {
        "since": instant(arguments.since, now, arguments.timezone),
        "until": instant(arguments.until, now, arguments.timezone),
        **dict(arguments.where),
    }
    with open_ledger(arguments.ledger) as ledger:
        groups = ledger.totals_by(by, bucket=arguments.bucket, timezone=arguments.timezone, **span)
        whole = ledger.totals(**span)
        models = ledger.totals_by("model", **span)
    unpriced = [(model, totals.unpriced_calls) for model, totals in models.items() if totals.unpriced_calls]
    lines = [
        _Line(tuple(_word(key, arguments.bucket) for key in keys), sums) for keys, sums in groups.items()
    ]
    if not arguments.bucket:
        lines.sort(key=lambda line: (-line.totals.cost_usd, line.keys))
    titles = (*((arguments.bucket,) if arguments.bucket else ()), *by)
    if arguments.format == "table":
        show(_table(titles, lines, whole, unpriced, arguments), out)
    elif arguments.format == "csv":
        write_csv((*titles, *_names()), [_flat(titles, line) for line in lines], out)
    else:
        write_json(
            {
                "groups": [_flat(titles, line) for line in lines],
                "total": _flat((), _Line((), whole)),
                "unpriced": [{"model": model, "calls": calls} for model, calls in unpriced],
            },
            out,
        )
    return 0


def _word(key: str | datetime, bucket: str) -> str:
    return key.strftime(_MOMENT[bucket]) if isinstance(key, datetime) else key


def _names() -> tuple[str, ...]:
    return tuple(item.name for item in fields(Totals))


def _flat(titles: Sequence[str], line: _Line) -> dict[str, object]:
    sums = {name: getattr(line.totals, name) for name in _names()}
    sums |= {name: usd_text(sums[name]) for name in _AMOUNTS}
    return dict(zip(titles, line.keys, strict=True)) | sums


# The table


def _table(
    titles: Sequence[str],
    lines: Sequence[_Line],
    whole: Totals,
    unpriced: Sequence[tuple[str, int]],
    arguments: argparse.Namespace,
) -> Table:
    has_hits, has_avoided = whole.cached_calls > 0, whole.avoided_usd != 0
    columns = [Column(title=title.capitalize()) for title in titles]
    columns += [Column(title="Calls", kind="count", priority=1)]
    columns += [Column(title="from cache", kind="count", part=True, priority=7)] if has_hits else []
    columns += [
        Column(title="Tokens in", kind="count", priority=1),
        Column(title="cached", kind="count", part=True, priority=3),
        Column(title="written", kind="count", part=True, priority=6),
        Column(title="out", kind="count", priority=1),
        Column(title="reasoning", kind="count", part=True, priority=5),
        Column(title="Cost", kind="money", strong=True),
    ]
    columns += [Column(title="Avoided", kind="money", priority=2)] if has_avoided else []
    total = _Line(("Total", *(" " for _ in titles[1:])), whole)
    return Table(
        title=str(arguments.ledger),
        subtitle=_span_words(arguments),
        figures=(Figure("Cost", _cost(whole), "money"), Figure("Calls", Cell(whole.calls), "count")),
        columns=tuple(columns),
        groups=(Group("", tuple(_row(line, has_hits=has_hits, has_avoided=has_avoided) for line in lines)),),
        footer=_row(total, has_hits=has_hits, has_avoided=has_avoided) if lines else None,
        notices=tuple(_notices(whole, unpriced)),
    )


def _span_words(arguments: argparse.Namespace) -> str:
    words = [f"{name}={value}" for name, value in arguments.where]
    return "; ".join([*words, *(["days of " + arguments.timezone] if arguments.bucket else [])])


def _row(line: _Line, *, has_hits: bool, has_avoided: bool) -> Row:
    totals = line.totals
    keys = [Cell(key) if key else Cell("–", level="muted") for key in line.keys]  # noqa: RUF001 - a dash for none
    hits = [Cell(totals.cached_calls)] if has_hits else []
    avoided = [Cell(totals.avoided_usd, level="good")] if has_avoided else []
    counts = (
        totals.input_tokens,
        totals.cache_read_tokens,
        totals.cache_write_tokens,
        totals.output_tokens,
        totals.reasoning_tokens,
    )
    cells = (*keys, Cell(totals.calls), *hits, *(Cell(value) for value in counts), _cost(totals), *avoided)
    return Row(cells)


def _cost(totals: Totals) -> Cell:
    if totals.calls and totals.unpriced_calls == totals.calls:
        return Cell(None, level="error")
    note = f"+{totals.unpriced_calls:,} unpriced" if totals.unpriced_calls else ""
    marked = totals.estimated_calls > 0 and totals.cost_usd > Decimal(0)
    return Cell(totals.cost_usd, estimated=marked, note=note, note_level="error")


def _notices(whole: Totals, unpriced: Sequence[tuple[str, int]]) -> Iterable[Notice]:
    if not whole.calls:
        yield Notice("no calls are recorded here", "warning")
    if unpriced:
        who = ", ".join(f"{model} ({calls:,})" for model, calls in unpriced)
        yield Notice(f"calls without a known price, not in the cost: {who}", "error")
    if whole.estimated_calls:
        yield Notice(f"{whole.estimated_calls:,} of the calls have estimated usage (~)")
