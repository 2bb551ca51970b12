"""Tables, JSON and CSV on the way out."""

from __future__ import annotations

import argparse
import csv
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import TextIO

from tokenomics_core.errors import MissingExtraError, StoreError
from tokenomics_core.rendering import Table, to_rich, to_text

__all__ = ["AddCommand", "show", "usd_text", "write_csv", "write_file", "write_json"]

AddCommand = Callable[..., argparse.ArgumentParser]
"""Makes the parser of one command; what `argparse` calls `add_parser`."""

_NARROWEST = 20


def show(table: Table, out: TextIO) -> None:
    """Write a table: in colours to a terminal where rich is installed, else as plain text."""
    if not out.isatty():
        out.write(to_text(table) + "\n")
        return
    try:
        drawn = to_rich(table)
    except MissingExtraError:
        out.write(to_text(table, max(_NARROWEST, shutil.get_terminal_size().columns)) + "\n")
        return
    from rich.console import Console  # noqa: PLC0415 - optional

    Console(file=out).print(drawn)


def write_json(value: Mapping[str, object], out: TextIO) -> None:
    """Write one JSON object for people and programs."""
    out.write(json.dumps(value, ensure_ascii=False, indent=2) + "\n")


def write_file(path: str | Path, text: str) -> None:
    """Write a file whole.

    Raises:
        StoreError: It cannot be written.
    """
    try:
        Path(path).write_text(text, encoding="utf-8")
    except OSError as error:
        raise StoreError(str(path), f"could not be written: {error.strerror}") from error


def write_csv(columns: Sequence[str], rows: Sequence[Mapping[str, object]], out: TextIO) -> None:
    """Write rows under a header."""
    writer = csv.DictWriter(out, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)


def usd_text(amount: Decimal | None) -> str | None:
    """Write an amount with all its digits."""
    return None if amount is None else format(amount, "f")
