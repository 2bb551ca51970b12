"""Records as CSV, JSON lines and data frames."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from decimal import Decimal
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TextIO

from tokenomics_core.errors import ConfigurationError, MissingExtraError, StoreError
from tokenomics_core.types import SpendRecord, Usage

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Target", "read_jsonl", "to_frame", "write_csv", "write_jsonl"]

Target = str | PathLike[str] | TextIO

_WHO = ("user", "feature", "project", "conversation", "run")
_USAGE = tuple(item.name for item in fields(Usage) if item.name not in {"estimated", "notes"})
_COLUMNS = (
    "at",
    "id",
    "model",
    "provider",
    *_WHO,
    "tags",
    "source",
    "operation",
    "outcome",
    "cost_usd",
    "price_source",
    "avoided_usd",
    "avoided_by",
    *_USAGE,
    "estimated",
    "latency_s",
    "notes",
    "content",
)


def write_csv(records: Iterable[SpendRecord], target: Target) -> int:
    """Write one row per record and return their number; tags, notes and extras are JSON."""
    with _writing(target) as stream:
        writer = csv.DictWriter(stream, _COLUMNS, lineterminator="\n")
        writer.writeheader()
        written = 0
        for record in records:
            writer.writerow({name: _csv_text(value) for name, value in _flat(record).items()})
            written += 1
    return written


def write_jsonl(records: Iterable[SpendRecord], target: Target) -> int:
    """Write one JSON object per line and return their number; `read_jsonl` reads them back."""
    with _writing(target) as stream:
        written = 0
        for record in records:
            stream.write(json.dumps(record.to_dict(), ensure_ascii=False) + "\n")
            written += 1
    return written


def read_jsonl(path: str | PathLike[str]) -> Iterator[SpendRecord]:
    """Read what `write_jsonl` wrote; blank lines are skipped.

    Raises:
        StoreError: The file cannot be read, or a line of it is no record.
        ConfigurationError: It is no path.
    """
    if not isinstance(path, str | PathLike):
        raise ConfigurationError(f"path must name a file, not {path!r:.80}; nothing was imported")
    try:
        with Path(path).open(encoding="utf-8") as stream:
            for number, line in enumerate(stream, 1):
                if line.strip():
                    yield _record_of(line, f"{path} line {number}")
    except OSError as error:
        raise StoreError(str(path), f"could not be read: {error.strerror}; nothing was imported") from error


def _record_of(line: str, place: str) -> SpendRecord:
    try:
        return SpendRecord.from_dict(json.loads(line))
    except (ArithmeticError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise StoreError(place, f"is no record ({error!r}); nothing was imported") from error


def to_frame(records: Iterable[SpendRecord], money: Literal["decimal", "float"]) -> pd.DataFrame:
    """Return one row per record, in the columns of the CSV export.

    Raises:
        MissingExtraError: pandas is not installed.
    """
    if money not in ("decimal", "float"):
        raise ConfigurationError(f"money must be 'decimal' or 'float', not {money!r}")
    try:
        import pandas as pd  # noqa: PLC0415 - optional, and slow to load
    except ImportError as error:
        raise MissingExtraError("pandas", "notebook") from error
    rows = [_flat(record) for record in records]
    frame = pd.DataFrame(rows, columns=list(_COLUMNS))
    frame["at"] = pd.to_datetime(frame["at"], utc=True)
    for name in ("cost_usd", "avoided_usd"):
        frame[name] = frame[name].astype("float64" if money == "float" else "object")
    for name in _USAGE:
        if name.endswith("_tokens"):
            frame[name] = frame[name].astype("Int64")
    return frame


def _flat(record: SpendRecord) -> dict[str, Any]:
    row = {name: getattr(record, name) for name in _COLUMNS if hasattr(record, name)}
    row |= {name: getattr(record.attribution, name) for name in (*_WHO, "tags")}
    return row | {name: getattr(record.usage, name) for name in _USAGE}


_AS_TEXT: dict[type, Callable[[Any], object]] = {
    Decimal: lambda value: format(value, "f"),
    bool: lambda value: str(value).lower(),
    dict: lambda value: json.dumps(value, ensure_ascii=False, default=str) if value else "",
    tuple: lambda value: json.dumps(value, ensure_ascii=False) if value else "",
}


def _csv_text(value: object) -> object:
    if hasattr(value, "isoformat"):
        return value.isoformat()
    return _AS_TEXT[type(value)](value) if type(value) in _AS_TEXT else value


@contextmanager
def _writing(target: Target) -> Iterator[TextIO]:
    if not isinstance(target, str | PathLike):
        if not hasattr(target, "write"):
            raise ConfigurationError(f"a target must be a path or an open file, not {target!r:.80}")
        yield target
        return
    try:
        with Path(target).open("w", encoding="utf-8", newline="") as stream:
            yield stream
    except OSError as error:
        raise StoreError(
            str(target), f"could not be written: {error.strerror}; the export is not complete"
        ) from error
