"""`tokenomics reconcile`: whether a provider's bill is what the ledger says."""

from __future__ import annotations

import argparse
from datetime import date, datetime
from typing import TextIO

from tokenomics_core.cli._output import AddCommand, show, write_csv, write_json
from tokenomics_core.cli._values import check_zone, existing_file, ledger_place, names, pair, pairs
from tokenomics_core.economics import read_bill, reconcile
from tokenomics_core.ledger import open_ledger

__all__ = ["add"]


def add(add_command: AddCommand) -> None:
    """Add the command to the parser."""
    parser = add_command(
        "reconcile",
        help="whether a provider's bill is what the ledger says",
        description="Compare a ledger with an export of costs, by day and model; exit code 1 if they differ.",
    )
    parser.add_argument("ledger", type=ledger_place, metavar="LEDGER")
    parser.add_argument(
        "bill", type=existing_file, metavar="BILL", help="CSV or JSON, as the provider exports it"
    )
    parser.add_argument(
        "--provider",
        choices=("auto", "openai", "anthropic", "csv"),
        default="auto",
        help="whose export it is",
    )
    parser.add_argument("--tolerance", default="0.01", metavar="USD", help="by which a row may differ (0.01)")
    parser.add_argument(
        "--tolerance-share",
        default="0.01",
        metavar="SHARE",
        help="of the bill by which a row may differ (0.01)",
    )
    parser.add_argument("--since", type=_day, metavar="DATE", help="first day to compare")
    parser.add_argument("--until", type=_day, metavar="DATE", help="day after the last to compare")
    parser.add_argument("--timezone", type=check_zone, default="UTC", help="zone of the days in a plain CSV")
    parser.add_argument(
        "--columns",
        type=pairs,
        metavar="ROLE=NAME,...",
        help="columns of a CSV: date=Day,cost_usd=Amount,model=SKU",
    )
    parser.add_argument(
        "--providers", type=names, metavar="NAMES", help="names in the ledger of who sent the bill"
    )
    parser.add_argument("--where", type=pair, action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--format", choices=("table", "json", "csv"), default="table")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace, out: TextIO, _now: datetime) -> int:
    bill = read_bill(
        arguments.bill,
        format=arguments.provider,
        columns=arguments.columns,
        timezone=arguments.timezone,
    )
    with open_ledger(arguments.ledger) as ledger:
        result = reconcile(
            ledger,
            bill,
            tolerance_usd=arguments.tolerance,
            tolerance_share=arguments.tolerance_share,
            since=arguments.since,
            until=arguments.until,
            providers=arguments.providers,
            **dict(arguments.where),
        )
    if arguments.format == "table":
        show(result.table(), out)
    elif arguments.format == "json":
        write_json(result.to_dict(), out)
    else:
        rows = [row.to_dict() for row in result.rows]
        write_csv(list(rows[0]) if rows else ["day", "model", "verdict"], rows, out)
    return 0 if result.agrees else 1


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no date such as 2026-11-03") from error
