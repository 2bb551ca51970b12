"""`tokenomics generate`: traffic in which every waste is known, to try an audit on."""

from __future__ import annotations

import argparse
import json
from datetime import datetime
from pathlib import Path
from typing import TextIO

from tokenomics_core.cli._output import AddCommand, write_file
from tokenomics_core.cli._values import check_zone, instant, names, when
from tokenomics_core.traffic import WastePlan, generate_traffic, write_traffic
from tokenomics_core.traffic._generate import DEFAULT_START

__all__ = ["add"]


def add(add_command: AddCommand) -> None:
    """Add the command to the parser."""
    parser = add_command(
        "generate",
        help="synthetic traffic in which every waste is known",
        description=(
            "Write N calls of a shop that does not exist as JSON lines, which `audit` and `simulate` read. "
            "The same arguments give the same calls."
        ),
    )
    parser.add_argument("calls", type=_calls, metavar="N", help="how many calls; 10k and 1M are understood")
    parser.add_argument("--seed", type=int, default=0, help="of everything drawn (0)")
    parser.add_argument(
        "--waste",
        default="all",
        metavar="KINDS",
        help=f"all, none, or some of {', '.join(WastePlan().shares())} with commas between them",
    )
    parser.add_argument(
        "--start", type=when, metavar="WHEN", help=f"when the traffic begins ({DEFAULT_START:%Y-%m-%d})"
    )
    parser.add_argument("--timezone", type=check_zone, default="UTC", help="zone of that date")
    parser.add_argument("--days", type=float, default=14.0, help="about how long it lasts (14)")
    parser.add_argument("--users", type=int, default=400, help="how many people there are (400)")
    parser.add_argument(
        "--output", metavar="FILE", help="where to; .gz, .bz2 or .xz compress; stdout if left out"
    )
    parser.add_argument("--truth", type=Path, metavar="FILE", help="also write what was planted, as JSON")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace, out: TextIO, now: datetime) -> int:
    generator = generate_traffic(
        arguments.calls,
        seed=arguments.seed,
        waste=_plan(arguments.waste),
        start=instant(arguments.start, now, arguments.timezone) or DEFAULT_START,
        days=arguments.days,
        users=arguments.users,
    )
    write_traffic(generator, arguments.output or out)
    if arguments.truth is not None:
        write_file(arguments.truth, json.dumps(generator.truth.to_dict(), indent=2) + "\n")
    return 0


def _plan(text: str) -> WastePlan:
    if text in {"all", "none"}:
        return WastePlan.all() if text == "all" else WastePlan.none()
    return WastePlan.only(*names(text))


def _calls(text: str) -> int:
    units = {"k": 1000, "M": 1_000_000}
    digits = text.rstrip("kM")
    if not digits.isdecimal() or len(text) - len(digits) > 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of calls such as 500, 10k or 1M")
    return int(digits) * units.get(text[len(digits) :], 1)
