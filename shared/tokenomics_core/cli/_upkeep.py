"""`tokenomics export`, `forget` and `prune`: taking records out of a ledger, or whose they were."""

from __future__ import annotations

import argparse
from datetime import datetime
from typing import Any, TextIO

from tokenomics_core.cli._output import AddCommand
from tokenomics_core.cli._report import add_span
from tokenomics_core.cli._values import age, instant, ledger_place
from tokenomics_core.ledger import open_ledger

__all__ = ["add"]


def add(add_command: AddCommand) -> None:
    """Add the commands to the parser."""
    _add_export(add_command)
    _add_forget(add_command)
    _add_prune(add_command)


def _add_export(add_command: AddCommand) -> None:
    parser = add_command("export", help="every record as CSV or JSON lines")
    parser.add_argument("ledger", type=ledger_place, metavar="LEDGER")
    parser.add_argument("--format", choices=("csv", "jsonl"), required=True)
    parser.add_argument("--output", metavar="FILE", help="where to; stdout if left out")
    add_span(parser)
    parser.set_defaults(run=_export)


def _add_forget(add_command: AddCommand) -> None:
    parser = add_command(
        "forget",
        help="remove whose the calls of a user were",
        description="Remove user, conversation, run, tags and content of a user's records; the amounts stay.",
    )
    parser.add_argument("ledger", type=ledger_place, metavar="LEDGER")
    parser.add_argument("--user", required=True, metavar="ID")
    parser.add_argument("--delete", action="store_true", help="delete the records instead; sums change")
    parser.set_defaults(run=_forget)


def _add_prune(add_command: AddCommand) -> None:
    parser = add_command("prune", help="delete records older than an age")
    parser.add_argument("ledger", type=ledger_place, metavar="LEDGER")
    parser.add_argument("--older-than", required=True, type=age, metavar="AGE", help="such as 90d, 12h or 4w")
    parser.set_defaults(run=_prune)


def _export(arguments: argparse.Namespace, out: TextIO, now: datetime) -> int:
    span: dict[str, Any] = {
        "since": instant(arguments.since, now, arguments.timezone),
        "until": instant(arguments.until, now, arguments.timezone),
        **dict(arguments.where),
    }
    target = arguments.output or out
    with open_ledger(arguments.ledger) as ledger:
        if arguments.format == "csv":
            ledger.to_csv(target, **span)
        else:
            ledger.to_jsonl(target, **span)
    return 0


def _forget(arguments: argparse.Namespace, out: TextIO, _now: datetime) -> int:
    with open_ledger(arguments.ledger) as ledger:
        n_records = ledger.forget(user=arguments.user, delete=arguments.delete)
    done = "deleted" if arguments.delete else "made anonymous"
    out.write(f"{_records(n_records)} of user {arguments.user} {done}\n")
    return 0


def _prune(arguments: argparse.Namespace, out: TextIO, now: datetime) -> int:
    with open_ledger(arguments.ledger) as ledger:
        n_records = ledger.prune(now - arguments.older_than)
    out.write(f"{_records(n_records)} deleted\n")
    return 0


def _records(n_records: int) -> str:
    return "1 record" if n_records == 1 else f"{n_records:,} records"
