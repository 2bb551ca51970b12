"""Write calls as lines that every tool for OpenAI-style logs understands, and that read back exactly."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from decimal import Decimal
from os import PathLike, fspath
from pathlib import Path
from typing import IO, Any, TextIO, cast

from tokenomics_core.errors import ConfigurationError, StoreError
from tokenomics_core.traffic._read_own import OWN_MARK
from tokenomics_core.traffic._record import TrafficRecord
from tokenomics_core.types import Usage

__all__ = ["line_of", "write_traffic"]

_TAKEN = frozenset({"model", "messages", "tools"})
_USAGE_FIELDS = tuple(
    (item.name, item.default) for item in fields(Usage) if item.name not in {"extras", "context"}
)
_PLAIN = (
    *(("provider", None), ("operation", "chat"), ("source", "model"), ("outcome", "ok"), ("error", None)),
    *(("latency_s", None), ("score", None), ("id", ""), ("parent", None)),
)


def write_traffic(records: Iterable[TrafficRecord], target: str | PathLike[str] | TextIO) -> int:
    """Write one JSON object per line and return their number.

    `read_traffic` gives the records back as they were, but for `where`, which then names the new file; lists
    become tuples. What is unknown is left out.

    Args:
        records: What to write.
        target: A file's path (one that ends in `.gz`, `.bz2` or `.xz` is compressed), or an open text file.

    Raises:
        StoreError: The file cannot be written.
        ConfigurationError: A record holds what JSON cannot, or the target is no file.
    """
    written = 0
    with _writing(target) as stream:
        for record in records:
            stream.write(line_of(record) + "\n")
            written += 1
    return written


def line_of(record: TrafficRecord) -> str:
    """Return a record as one line of JSON."""
    row = _row_of(record)
    try:
        line = json.dumps(row, ensure_ascii=False, separators=(",", ":"))
    except (TypeError, ValueError) as error:
        raise ConfigurationError(
            f"the call {record.id or record.where!r} holds what JSON cannot ({error}); it was not written"
        ) from error
    try:
        line.encode()
    except UnicodeEncodeError:  # half of a pair of surrogates, as a cut text may end with
        line = json.dumps(row, separators=(",", ":"))
    return line


def _row_of(record: TrafficRecord) -> dict[str, Any]:
    request: dict[str, Any] = {"model": record.model}
    if record.messages is not None:
        request["messages"] = list(record.messages)
    if record.tools:
        request["tools"] = list(record.tools)
    row: dict[str, Any] = {OWN_MARK: 1, "at": record.at.isoformat(), "request": request}
    if not _TAKEN.isdisjoint(record.settings):
        row["settings"] = dict(record.settings)
    else:
        request |= record.settings
    if record.answer is not None or record.tool_calls or record.finish_reason is not None:
        message: dict[str, Any] = {"role": "assistant", "content": record.answer}
        if record.tool_calls:
            message["tool_calls"] = list(record.tool_calls)
        row["response"] = {
            "choices": [{"index": 0, "message": message, "finish_reason": record.finish_reason}]
        }
    if usage := _usage_row(record.usage):
        row["usage"] = usage
    if record.cost_usd is not None:
        row["cost_usd"] = str(record.cost_usd)
    if attribution := record.attribution.to_dict():
        row["attribution"] = attribution
    for name, default in _PLAIN:
        value = getattr(record, name)
        if value != default:
            row[name] = value
    return row


def _usage_row(usage: Usage) -> dict[str, Any]:
    row = {name: value for name, default in _USAGE_FIELDS if (value := getattr(usage, name)) != default}
    if usage.extras:
        row["extras"] = {name: str(v) if isinstance(v, Decimal) else v for name, v in usage.extras.items()}
    if usage.context:
        row["context"] = dict(usage.context)
    return row


@contextmanager
def _writing(target: str | PathLike[str] | TextIO) -> Iterator[IO[str]]:
    if not isinstance(target, str | PathLike):
        if not hasattr(target, "write"):
            raise ConfigurationError(f"a target must be a path or an open file, not {target!r:.80}")
        yield target
        return
    try:
        with _opened(Path(fspath(target))) as stream:
            yield stream
    except OSError as error:
        raise StoreError(
            str(target), f"could not be written: {error.strerror or error}; the log is not complete"
        ) from error


def _opened(path: Path) -> IO[str]:
    if path.suffix == ".gz":
        import gzip  # noqa: PLC0415 - only for those who ask

        return cast("IO[str]", gzip.open(path, "wt", encoding="utf-8", newline="\n"))
    if path.suffix == ".bz2":
        import bz2  # noqa: PLC0415 - likewise

        return cast("IO[str]", bz2.open(path, "wt", encoding="utf-8", newline="\n"))
    if path.suffix == ".xz":
        import lzma  # noqa: PLC0415 - likewise

        return cast("IO[str]", lzma.open(path, "wt", encoding="utf-8", newline="\n"))
    return path.open("w", encoding="utf-8", newline="\n")
