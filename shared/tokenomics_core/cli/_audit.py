"""`tokenomics audit`: where a log's money goes, what of it was wasted, and what ends that."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TextIO

from tokenomics_core.cli._output import AddCommand, show, write_file, write_json
from tokenomics_core.cli._progress import Progress
from tokenomics_core.cli._values import existing_file, pairs
from tokenomics_core.errors import ConfigurationError
from tokenomics_core.pricing import PriceBook
from tokenomics_core.traffic import Audit, TrafficReader, audit_traffic, read_traffic
from tokenomics_core.traffic._audit_text import audit_tables

__all__ = ["add"]

_SECRET = "TOKENOMICS_HASH_SECRET"  # noqa: S105 - the name of the variable that holds it
_PAGE_TOP = 20  # lines that a page has room for
_FORMATS = (
    *("auto", "openai", "otlp", "langfuse", "langsmith", "helicone", "litellm", "phoenix", "csv", "ledger"),
    "parquet",
)


def add(add_command: AddCommand) -> None:
    """Add the command to the parser."""
    parser = add_command(
        "audit",
        help="what a log of calls cost, what of it was wasted, and the lines that end it",
        description=(
            "Read logs of any tool, find nine kinds of waste and where the money goes. What is read stays on "
            "this machine."
        ),
    )
    parser.add_argument("files", nargs="+", metavar="FILE", help="logs, folders, ledgers; - reads stdin")
    _add_reading(parser)
    _add_auditing(parser)
    parser.add_argument(
        "--html", type=Path, metavar="OUT", help="write one page with charts that needs no network"
    )
    parser.add_argument(
        "--json", metavar="OUT", help="write all figures; - writes them instead of the tables"
    )
    parser.add_argument("--top", type=_positive, default=10, metavar="N", help="groups shown of a kind (10)")
    parser.add_argument("--quiet", action="store_true", help="no tables and no progress")
    parser.set_defaults(run=_run)


def _add_reading(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("reading")
    group.add_argument(
        "--format", choices=_FORMATS, default="auto", help="of the logs; told by what is in them"
    )
    group.add_argument("--mapping", type=existing_file, metavar="FILE", help="which column holds what, TOML")
    group.add_argument("--strict", action="store_true", help="stop at the first bad line")
    group.add_argument(
        "--hash-users",
        action="store_true",
        help=f"hash users before anything sees them, under the secret in {_SECRET} or --hash-secret-file",
    )
    group.add_argument("--hash-secret-file", type=existing_file, metavar="FILE", help="holds that secret")
    group.add_argument(
        "--hash-fields", metavar="NAMES", help="what is hashed besides, such as conversation,tags,messages"
    )


def _add_auditing(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("auditing")
    group.add_argument(
        "--prices", type=existing_file, metavar="FILE", help="prices of your own, TOML or JSON"
    )
    group.add_argument(
        "--cheaper", type=pairs, default={}, metavar="DEAR=CHEAP", help="where easy questions could go"
    )
    group.add_argument("--month-days", type=float, default=30.0, metavar="DAYS", help="of a month (30)")
    group.add_argument("--workdir", type=Path, metavar="DIR", help="kept, so that a broken audit goes on")
    group.add_argument("--processes", type=_positive, metavar="N", help="how many read (all processors)")


def _run(arguments: argparse.Namespace, out: TextIO, _now: datetime) -> int:
    fields = _hash_fields(arguments)
    reader = read_traffic(
        arguments.files,
        format=arguments.format,
        mapping=arguments.mapping,
        strict=arguments.strict,
        hash_secret=_secret(arguments) if fields else None,
        hash_fields=fields,
    )
    audit = _audit(arguments, reader)
    _write(arguments, audit, out)
    return 3 if audit.bad and not audit.rows else 0


def _audit(arguments: argparse.Namespace, reader: TrafficReader) -> Audit:
    book = None if arguments.prices is None else PriceBook(overrides=arguments.prices)
    cheaper: Mapping[str, str] | None = arguments.cheaper or None
    with _folder(arguments.workdir) as folder, _progress(arguments, reader, folder):
        return audit_traffic(
            reader,
            prices=book,
            month_days=arguments.month_days,
            cheaper=cheaper,
            workdir=folder,
            processes=arguments.processes or os.cpu_count() or 1,
        )


@contextmanager
def _folder(given: Path | None) -> Iterator[Path]:
    if given is not None:
        yield given
        return
    with tempfile.TemporaryDirectory(prefix="tokenomics-audit-") as spare:
        yield Path(spare)


def _progress(arguments: argparse.Namespace, reader: TrafficReader, folder: Path) -> Progress:
    size = sum(Path(part.path).stat().st_size for part in reader.parts if Path(part.path).is_file())
    shown = sys.stderr.isatty() and not arguments.quiet
    return Progress(folder, size, sys.stderr if shown else None)


def _write(arguments: argparse.Namespace, audit: Audit, out: TextIO) -> None:
    """Write what was asked for; the files last, so that one that cannot be written hides no table."""
    if arguments.json == "-":
        write_json(audit.to_dict(), out)
    elif not arguments.quiet:
        _show_tables(audit, arguments.top, out)
    if arguments.json not in {None, "-"}:
        write_file(arguments.json, json.dumps(audit.to_dict(), ensure_ascii=False, indent=2) + "\n")
    if arguments.html is not None:
        from tokenomics_core.traffic._audit_page import audit_page  # noqa: PLC0415 - for those who ask

        write_file(arguments.html, audit_page(audit, top=max(arguments.top, _PAGE_TOP)))


def _show_tables(audit: Audit, top: int, out: TextIO) -> None:
    wastes, money = audit_tables(audit, top=top)
    show(wastes, out)
    if money.groups:
        out.write("\n")
        show(money, out)


def _hash_fields(arguments: argparse.Namespace) -> list[str]:
    named = [name.strip() for name in (arguments.hash_fields or "").split(",") if name.strip()]
    return ["user", *named] if arguments.hash_users else named


def _secret(arguments: argparse.Namespace) -> bytes | str:
    secret: bytes | str | None = os.environ.get(_SECRET)
    if arguments.hash_secret_file is not None:
        secret = arguments.hash_secret_file.read_bytes().strip()
    if not secret:
        raise ConfigurationError(
            f"hashing needs a secret in {_SECRET} or in --hash-secret-file; nothing was read"
        )
    return secret


def _positive(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of 1 or more")
    return int(text)
