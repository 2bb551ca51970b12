"""The command line: its arguments, its exit codes, and where errors go."""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from tokenomics_core import __version__
from tokenomics_core.cli import (
    _audit,
    _dashboard,
    _generate,
    _price,
    _prompt,
    _reconcile,
    _report,
    _router,
    _simulate,
    _upkeep,
    _watch,
)
from tokenomics_core.errors import ConfigurationError, TokenomicsError

__all__ = ["main"]

_EPILOG = (
    "exit codes: 0 done; 1 the answer is no: a bill that differs, an unknown price, a missed target; "
    "2 the command was used wrongly; 3 a file could not be used"
)


def main(argv: Sequence[str] | None = None, *, clock: Callable[[], datetime] | None = None) -> int:
    """Run the command and return its exit code; reports go to stdout, errors to stderr.

    Args:
        argv: The arguments; those of the process if left out.
        clock: Tells the time that ages such as `7d` are counted back from.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # some terminals know few characters
    try:
        try:
            arguments = _parser().parse_args(argv)
            code: int = arguments.run(arguments, sys.stdout, datetime.now(UTC) if clock is None else clock())
        finally:  # also where `--help` ends the command
            sys.stdout.flush()
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        _give_up_output()
        return 0
    except TokenomicsError as error:
        print(f"tokenomics: error: {error}", file=sys.stderr)
        return 2 if isinstance(error, ConfigurationError) else 3
    except OSError as error:
        _give_up_output()
        where = f" to {error.filename}" if error.filename else ""
        print(f"tokenomics: error: the output{where} is not complete: {error.strerror}", file=sys.stderr)
        return 3
    return code


def _give_up_output() -> None:
    """Send what is still buffered nowhere, or the interpreter would fail over it once more as it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tokenomics",
        description="What calls and prompts cost, whether the bill is right, and upkeep of a ledger.",
        epilog=_EPILOG,
    )
    parser.add_argument("--version", action="version", version=f"tokenomics {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for add in (
        _report.add,
        _reconcile.add,
        _price.add,
        _prompt.add,
        _router.add,
        _upkeep.add,
        _watch.add,
        _dashboard.add,
        _generate.add,
        _audit.add,
        _simulate.add,
    ):
        add(commands.add_parser)
    return parser
