"""`tokenomics dashboard`: what is spent, live, in a browser."""

from __future__ import annotations

import argparse
import os
import signal
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import TextIO

from tokenomics_core.budgets import Budgets
from tokenomics_core.cli._output import AddCommand
from tokenomics_core.cli._values import check_zone, existing_file, ledger_place
from tokenomics_core.config import Settings
from tokenomics_core.errors import ConfigurationError, StoreError
from tokenomics_core.ledger import open_ledger

__all__ = ["add"]

_TOKEN = "TOKENOMICS_DASHBOARD_TOKEN"  # noqa: S105 - the name of a variable


def add(add_command: AddCommand) -> None:
    """Add the command to the parser."""
    parser = add_command("dashboard", help="what is spent, live, in a browser")
    parser.add_argument("--ledger", type=ledger_place, required=True, metavar="PATH_OR_DSN")
    parser.add_argument(
        "--settings", type=existing_file, metavar="FILE", help="settings whose budgets are shown (TOML)"
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen at; by default this machine's")
    parser.add_argument("--port", type=int, default=0, help="by default a free one")
    parser.add_argument(
        "--token",
        help=f"what viewers have to know, needed beyond this machine; other users see it in the list of "
        f"processes, so better put it in the variable {_TOKEN}",
    )
    parser.add_argument(
        "--name",
        action="append",
        default=[],
        help="a name under which viewers may come, such as that of a proxy",
    )
    parser.add_argument("--timezone", type=check_zone, default="UTC", help="zone of days")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace, out: TextIO, now: datetime) -> int:  # noqa: ARG001 - a page tells its own time
    from tokenomics_core.observability.dashboard import Dashboard  # noqa: PLC0415 - other commands need no server

    token = arguments.token if arguments.token is not None else os.environ.get(_TOKEN) or None
    with ExitStack() as opened:
        ledger = opened.enter_context(open_ledger(arguments.ledger))
        budgets = None if arguments.settings is None else _budgets(arguments.settings, opened)
        try:
            dashboard = Dashboard(
                ledger,
                budgets=budgets,
                host=arguments.host,
                port=arguments.port,
                token=token,
                names=arguments.name,
                timezone=arguments.timezone,
                title=_title(arguments.ledger),
            )
        except OSError as error:
            where = f"{arguments.host}:{arguments.port}"
            raise StoreError(
                where, f"cannot be listened at ({error.strerror}); nothing was served"
            ) from error
        out.write(f"Dashboard: {dashboard.login_url}\nInterrupt to end it.\n")
        out.flush()
        before = signal.signal(signal.SIGTERM, _end)
        try:
            dashboard.serve()
        except KeyboardInterrupt:
            out.write("Ended.\n")
        finally:
            signal.signal(signal.SIGTERM, before)
            dashboard.close()
    return 0


def _end(*_: object) -> None:
    """End as an interrupt does, where a service manager asks for it or the shell has interrupts ignored."""
    raise KeyboardInterrupt


def _title(place: str) -> str:
    """Return a heading that gives no password and no folder away."""
    return "" if "://" in place else Path(place).name


def _budgets(path: Path, opened: ExitStack) -> Budgets:
    """Open the budgets of a settings file, and nothing else of it."""
    found = Settings.load(path).budgets
    if found is None or not found.limits:
        raise ConfigurationError(f"{path} has no budgets with limits; nothing was served")
    if found.path is None and found.redis is None:
        raise ConfigurationError(
            f"the budgets of {path} are kept in the memory of the application, where only it can read them; "
            "give them a path or redis; nothing was served"
        )
    parts = Settings(budgets=found).build()
    opened.callback(parts.close)
    if parts.budgets is None:
        raise ConfigurationError(f"{path} makes no budgets; nothing was served")
    return parts.budgets
