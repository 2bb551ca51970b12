"""`tokenomics watch`: what is not as usual, what grew, and what the month will have cost."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, TextIO

from tokenomics_core.cli._output import AddCommand, show, write_json
from tokenomics_core.cli._report import add_span
from tokenomics_core.cli._values import instant, ledger_place
from tokenomics_core.ledger import BaseLedger, open_ledger
from tokenomics_core.observability.watching import (
    Anomaly,
    AnomalyWatch,
    BudgetOutlook,
    Forecast,
    Trend,
    compare_periods,
    forecast_month,
)
from tokenomics_core.rendering import Cell, Column, Figure, Group, Notice, Row, Table, format_usd

__all__ = ["add"]

_DAYS = 7
_LEARNED_DAYS = 60


def add(add_command: AddCommand) -> None:
    """Add the command to the parser."""
    parser = add_command(
        "watch",
        help="what is not as usual, what grew, and what the month will have cost",
        description=(
            "Goes through a ledger as if it were watched while it grew. Episodes and trends are of the last "
            f"{_DAYS} days, or of --since to --until; the usual is learned from {_LEARNED_DAYS} days more."
        ),
    )
    parser.add_argument("ledger", type=ledger_place, metavar="LEDGER")
    add_span(parser)
    for name in ("feature", "user", "model"):
        parser.add_argument(f"--{name}", help=f"only this {name}")
    parser.add_argument(
        "--budget", type=_amount, metavar="USD", help="say when shares of it are reached this month"
    )
    parser.add_argument("--format", choices=("table", "json"), default="table")
    parser.add_argument(
        "--json", action="store_const", const="json", dest="format", help="the same as --format json"
    )
    parser.add_argument("--fail-on-anomaly", action="store_true", help="exit with 1 if an episode began")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace, out: TextIO, now: datetime) -> int:
    until = instant(arguments.until, now, arguments.timezone) or now
    since = instant(arguments.since, now, arguments.timezone) or until - timedelta(days=_DAYS)
    where = dict(arguments.where)
    where |= {name: value for name in ("feature", "user", "model") if (value := getattr(arguments, name))}
    with open_ledger(arguments.ledger) as ledger:
        episodes = _episodes(ledger, since, until, where)
        trend = compare_periods(
            ledger, period=until - since, until=until, timezone=arguments.timezone, **where
        )
        forecast = forecast_month(ledger, now=until, timezone=arguments.timezone, **where)
    outlook = () if arguments.budget is None else forecast.outlook(arguments.budget)
    if arguments.format == "json":
        write_json(_as_dict(episodes, trend, forecast, outlook), out)
    else:
        show(_episode_table(episodes, since, until), out)
        show(trend.to_table(), out)
        show(_forecast_table(forecast, outlook), out)
    told = [one for one in episodes if one.part_of is None]
    return 1 if arguments.fail_on_anomaly and told else 0


def _episodes(ledger: BaseLedger, since: datetime, until: datetime, where: dict[str, str]) -> list[Anomaly]:
    watch = AnomalyWatch()
    span: dict[str, Any] = {"since": since - timedelta(days=_LEARNED_DAYS), "until": until, **where}
    for record in ledger.records(**span):
        watch.add(record)
    return [one for one in watch.episodes if one.at >= since]


def _as_dict(
    episodes: Sequence[Anomaly], trend: Trend, forecast: Forecast, outlook: Sequence[BudgetOutlook]
) -> dict[str, object]:
    return {
        "anomalies": [one.to_dict() for one in episodes],
        "trend": trend.to_dict(),
        "forecast": forecast.to_dict(),
        "budget": [
            {
                "share": one.share,
                "usd": format(one.usd, "f"),
                "reached_on": None if one.reached_on is None else one.reached_on.isoformat(),
                "expected_on": None if one.expected_on is None else one.expected_on.isoformat(),
                "chance": one.chance,
            }
            for one in outlook
        ],
    }


# The tables


def _episode_table(episodes: Sequence[Anomaly], since: datetime, until: datetime) -> Table:
    shown = [one for one in episodes if one.part_of is None]
    contained = len(episodes) - len(shown)
    notices = []
    if not shown:
        notices.append(Notice("Nothing that is not as usual."))
    if contained:
        notices.append(Notice(f"{contained:,} more are contained in these."))
    return Table(
        title="Anomalies",
        subtitle=f"{since:%Y-%m-%d %H:%M} to {until:%Y-%m-%d %H:%M %Z}",
        columns=(Column(title="Noticed"), Column(title="Over", priority=2), Column(title="What")),
        groups=(Group("", tuple(_episode_row(one) for one in shown)),) if shown else (),
        notices=tuple(notices),
    )


def _episode_row(one: Anomaly) -> Row:
    over = "" if one.ended_at is None else f"{one.ended_at:%Y-%m-%d %H:%M}"
    return Row(
        (
            Cell(f"{one.at:%Y-%m-%d %H:%M}"),
            Cell(over or "lasts", level="muted" if over else "warning"),
            Cell(str(one), level="warning"),
        )
    )


def _forecast_table(forecast: Forecast, outlook: Sequence[BudgetOutlook]) -> Table:
    figures = [Figure("Spent", Cell(forecast.spent_usd), "money")]
    if forecast.expected_usd is not None:
        figures.append(Figure("Expected", Cell(forecast.expected_usd, estimated=True), "money"))
    if forecast.low_usd is not None and forecast.high_usd is not None:
        words = f"{format_usd(forecast.low_usd)} to {format_usd(forecast.high_usd)}"
        figures.append(Figure(f"{forecast.confidence:.0%} interval", Cell(words)))
    rows = tuple(
        Row((Cell(f"{one.share:.0%}"), Cell(one.usd), Cell(_when(one)), Cell(one.chance))) for one in outlook
    )
    return Table(
        title=f"{forecast.first:%B %Y}",
        subtitle=f"to {forecast.last}, from {forecast.days_known} days",
        figures=tuple(figures),
        columns=(
            Column(title="Of the budget"),
            Column(title="USD", kind="money"),
            Column(title="Reached", strong=True),
            Column(title="Chance", kind="percent", priority=1),
        ),
        groups=(Group("", rows),) if rows else (),
        notices=tuple(_forecast_notices(forecast)),
    )


def _when(one: BudgetOutlook) -> str:
    if one.reached_on is not None:
        return str(one.reached_on)
    return f"expected {one.expected_on}" if one.expected_on is not None else "not expected"


def _forecast_notices(forecast: Forecast) -> Iterable[Notice]:
    for note in forecast.notes:
        yield Notice(note[:1].upper() + note[1:] + ".")
    yield Notice(f"As of {forecast.at.astimezone(UTC):%Y-%m-%d %H:%M} UTC.")


def _amount(text: str) -> Decimal:
    """Read an amount above 0."""
    try:
        usd = Decimal(text.removeprefix("$").replace("_", ""))
    except InvalidOperation:
        usd = Decimal(0)
    if not usd.is_finite() or usd <= 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no amount of USD above 0")
    return usd
