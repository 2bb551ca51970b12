"""Read traffic logs of many formats as one stream of calls, in bounded memory."""

from __future__ import annotations

import csv
import lzma
import os
import zlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from typing import Any, BinaryIO

from tokenomics_core.errors import ConfigurationError, StoreError
from tokenomics_core.traffic._hashing import Hasher
from tokenomics_core.traffic._mapping import ColumnMap, MappingSource
from tokenomics_core.traffic._open import HEAD_BYTES, copied_to_file, files_under, open_log, open_members
from tokenomics_core.traffic._read_formats import FORMAT_NAMES, FORMATS, RowFormat, detect
from tokenomics_core.traffic._read_frames import CONTAINERS, csv_rows, document_rows, frame_of, line_rows
from tokenomics_core.traffic._read_ledger import records_of_ledger
from tokenomics_core.traffic._read_parquet import parquet_rows
from tokenomics_core.traffic._read_spans import Traces
from tokenomics_core.traffic._read_tally import Tally, quoted
from tokenomics_core.traffic._record import TrafficRecord

__all__ = ["LogSource", "TrafficPart", "TrafficReader", "parts_of", "read_traffic"]

_LOOKED_AT = 20
_BAD_ROW = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, RecursionError)
_DAMAGED = (EOFError, zlib.error, lzma.LZMAError)
_Rows = Iterator[tuple[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrafficPart:
    """A stretch of a log that one process reads; made of plain values, so that it can be sent to another.

    Attributes:
        path: The file.
        start: First byte of a file of lines, or first row of a Parquet file.
        stop: Byte or row before which the part ends; None for the end of the file.
        first_line: The number of the line at `start`.
    """

    path: str
    start: int = 0
    stop: int | None = None
    first_line: int = 1


LogSource = str | PathLike[str] | TrafficPart


class TrafficReader:
    """The calls of logs, as an iterable that reads them anew each time and keeps none of them.

    The counts are of the reading under way, or of the last one. Logs of single calls keep their order; where
    a log consists of spans (`otlp`, `langfuse`, `langsmith`, `phoenix`) a call comes with its trace.
    """

    def __init__(
        self,
        parts: Sequence[TrafficPart],
        *,
        format: str,  # noqa: A002 - the word that callers look for
        columns: ColumnMap | None,
        hasher: Hasher | None,
        strict: bool,
    ) -> None:
        self._parts = tuple(parts)
        self._format, self._columns, self._hasher = format, columns, hasher
        self._is_strict = strict
        self._tally = self._new_tally()

    @property
    def rows(self) -> int:
        """How many calls were read."""
        return self._tally.rows

    @property
    def bad(self) -> int:
        """How many lines or rows could not be understood."""
        return self._tally.bad

    @property
    def skipped(self) -> int:
        """How many rows are no calls of a model, or wrap one that is counted already."""
        return self._tally.skipped

    @property
    def problems(self) -> tuple[str, ...]:
        """The first 20 bad lines, each with its place, the reason and, without hashing, a quotation."""
        return tuple(self._tally.problems)

    @property
    def formats(self) -> Mapping[str, int]:
        """How many calls came in which format."""
        return dict(self._tally.formats)

    @property
    def parts(self) -> tuple[TrafficPart, ...]:
        """What is read."""
        return self._parts

    def over(self, *parts: TrafficPart) -> TrafficReader:
        """Return a reader of other parts with the same settings, such as one for each process."""
        return TrafficReader(
            parts,
            format=self._format,
            columns=self._columns,
            hasher=self._hasher,
            strict=self._is_strict,
        )

    def __iter__(self) -> Iterator[TrafficRecord]:
        self._tally = tally = self._new_tally()
        apply = None if self._hasher is None else self._hasher.apply
        for part in self._parts:
            for record in self._records_of(part, tally):
                tally.rows += 1
                yield record if apply is None else apply(record)
        for record in self._finished(tally):
            tally.rows += 1
            yield record if apply is None else apply(record)

    def _new_tally(self) -> Tally:
        return Tally(is_strict=self._is_strict, is_private=self._hasher is not None)

    def _records_of(self, part: TrafficPart, tally: Tally) -> Iterator[TrafficRecord]:
        if part.path.startswith(("postgres://", "postgresql://")):
            yield from self._counted("ledger", records_of_ledger(part.path), tally)
            return
        name = "<stdin>" if part.path == "-" else part.path
        with open_log(part.path) as stream:
            try:
                if part.start or part.stop is not None:
                    yield from self._records_of_stretch(part, stream, tally)
                    return
                for inside, member in open_members(name, stream):
                    file = part.path if member is stream and part.path != "-" else None
                    yield from self._records_of_stream(inside, member, tally, file)
            except _DAMAGED as error:
                tally.refuse(name, f"it is damaged ({error}); the rest of it was not read")
            except OSError as error:
                self._give_up(name, error, tally)

    def _give_up(self, name: str, error: OSError, tally: Tally) -> None:
        if error.errno is not None:
            raise StoreError(name, f"could not be read: {error.strerror}; the rest was not read") from error
        tally.refuse(name, f"it is damaged ({error}); the rest of it was not read")  # gzip and bz2 say it so

    def _records_of_stretch(
        self, part: TrafficPart, stream: BinaryIO, tally: Tally
    ) -> Iterator[TrafficRecord]:
        head = stream.read(HEAD_BYTES)
        if frame_of(head, is_whole=len(head) < HEAD_BYTES) == "parquet":
            rows: _Rows = parquet_rows(part.path, part.path, start=part.start, stop=part.stop)
        else:
            stream.seek(part.start)
            rows = line_rows(part.path, stream, tally, stop=part.stop, first_line=part.first_line)
        yield from self._records_of_rows(part.path, rows, head, tally)

    def _records_of_stream(
        self, name: str, stream: BinaryIO, tally: Tally, file: str | None
    ) -> Iterator[TrafficRecord]:
        start = stream.tell()
        head = _head_of(stream)
        stream.seek(start)
        frame = frame_of(head, is_whole=len(head) < HEAD_BYTES)
        if frame in {"parquet", "sqlite"}:
            if file is not None:
                yield from self._records_of_file(name, file, frame, tally)
                return
            with copied_to_file(stream) as copy:
                yield from self._records_of_file(name, copy, frame, tally)
            return
        if frame == "csv":
            rows: _Rows = csv_rows(name, stream, tally)
        elif frame == "documents":
            rows = document_rows(name, stream, tally)
        else:
            rows = line_rows(name, stream, tally)
        yield from self._records_of_rows(name, rows, head, tally)

    def _records_of_file(self, name: str, path: str, frame: str, tally: Tally) -> Iterator[TrafficRecord]:
        if frame == "parquet":
            yield from self._records_of_rows(name, parquet_rows(name, path), b"PAR1", tally)
        elif self._format in {"auto", "ledger"}:
            yield from self._counted("ledger", records_of_ledger(path), tally)
        else:
            raise ConfigurationError(f"{name} is a SQLite file, not {self._format}; nothing was read of it")

    def _counted(self, name: str, records: Iterable[TrafficRecord], tally: Tally) -> Iterator[TrafficRecord]:
        for record in records:
            tally.formats[name] = tally.formats.get(name, 0) + 1
            yield record

    def _records_of_rows(self, name: str, rows: _Rows, head: bytes, tally: Tally) -> Iterator[TrafficRecord]:
        if self._columns is not None:
            yield from self._mapped(name, rows, self._columns, tally)
            return
        chosen = FORMATS.get(self._format)
        if chosen is not None:
            yield from self._converted(chosen, rows, tally)
            return
        known, opening = self._recognised(name, rows, head, tally)
        if known is not None:
            yield from self._converted(known, opening, tally)

    def _recognised(
        self, name: str, rows: _Rows, head: bytes, tally: Tally
    ) -> tuple[RowFormat | None, _Rows]:
        """Return the format of the first row that has one, and all rows from the first on."""
        seen: list[tuple[str, Any]] = []
        bad_before = tally.bad
        for where, row in rows:
            held = list(_unpacked(where, row))
            seen += held
            known = next(
                filter(None, (detect(inner) for _, inner in held if isinstance(inner, Mapping))), None
            )
            if known is not None:
                return known, _chained(seen, rows)
            if len(seen) >= _LOOKED_AT:
                break
        if seen or tally.bad > bad_before:
            names = ", ".join(item for item in FORMAT_NAMES if item not in {"auto", "csv", "parquet"})
            first = "" if tally.is_private else f"; it begins with {_first_line(head)}"
            raise ConfigurationError(
                f"{name} is in no format known here ({names}){first}; name a format, or the columns of a "
                "table with a mapping; nothing was read of it"
            )
        return None, rows

    def _converted(self, known: RowFormat, rows: _Rows, tally: Tally) -> Iterator[TrafficRecord]:
        may_be_other = self._format == "auto"
        for where, row in rows:
            try:
                yield from self._calls_of(known, row, where, tally)
            except _BAD_ROW as error:
                if may_be_other and (others := list(self._in_other_format(known, where, row, tally))):
                    yield from others
                else:
                    tally.refuse(where, _reason_of(error), row)

    def _calls_of(self, known: RowFormat, row: Any, where: str, tally: Tally) -> Iterable[TrafficRecord]:
        """Return the calls that are complete with a row."""
        if known.spans is None:
            record = known.read(row, where)
            tally.formats[known.name] = tally.formats.get(known.name, 0) + 1
            return (record,)
        if not known.fits(row):
            raise ValueError(f"it is no row of {known.name}")
        traces = tally.traces.setdefault(known.name, Traces())
        complete: list[TrafficRecord] = []
        for span in list(known.spans(row, where)):
            if span.record is None:
                tally.skipped += 1
            complete.extend(traces.add(span))
        if complete:
            tally.formats[known.name] = tally.formats.get(known.name, 0) + len(complete)
        return complete

    def _finished(self, tally: Tally) -> Iterator[TrafficRecord]:
        for name, traces in tally.traces.items():
            yield from self._counted(name, traces.finish(), tally)
            tally.skipped += traces.wrappers

    def _in_other_format(
        self, known: RowFormat, where: str, row: Any, tally: Tally
    ) -> Iterator[TrafficRecord]:
        """Yield what a row of another format than its file's says, or the rows of a container."""
        for place, inner in _unpacked(where, row):
            other = detect(inner) if isinstance(inner, Mapping) else None
            if other is None or (other is known and inner is row):
                continue
            try:
                yield from self._calls_of(other, inner, place, tally)
            except _BAD_ROW as error:
                if inner is row:
                    return
                tally.refuse(place, _reason_of(error), inner)

    def _mapped(self, name: str, rows: _Rows, columns: ColumnMap, tally: Tally) -> Iterator[TrafficRecord]:
        is_first, count = True, 0
        try:
            for where, row in rows:
                if is_first and isinstance(row, Mapping):
                    columns.check(row, name)
                    is_first = False
                try:
                    record = columns.read(row, where)
                except _BAD_ROW as error:
                    tally.refuse(where, _reason_of(error), row)
                    continue
                count += 1
                yield record
        finally:
            if count:
                tally.formats["csv"] = tally.formats.get("csv", 0) + count


def read_traffic(
    paths: LogSource | Iterable[LogSource],
    *,
    format: str = "auto",  # noqa: A002 - the word that callers look for
    mapping: MappingSource | None = None,
    hash_secret: bytes | str | None = None,
    hash_fields: Collection[str] = ("user",),
    strict: bool = False,
) -> TrafficReader:
    """Read logs of calls, whatever tool wrote them.

    Args:
        paths: One or several files, folders, parts of `split_traffic`, ledgers (a file or
            `postgresql://...`), or `-` for standard input. Files may be compressed (gzip, bzip2, xz, zip).
        format: `openai`, `otlp`, `langfuse`, `langsmith`, `helicone`, `litellm`, `phoenix`, `ledger`,
            `csv` or `parquet` with a mapping; `auto` tells each file's by what is in it.
        mapping: Which column holds what, for tables of any other tool: a mapping or a TOML file, as
            `docs/traffic_logs.md` shows.
        hash_secret: Where given, personal data is hashed by HMAC-SHA-256 under this secret before anybody
            sees it, and bad lines are counted but not quoted.
        hash_fields: What is hashed: `user`, `feature`, `project`, `conversation`, `run`, `tags`, `tags.NAME`,
            `id`, `parent`, and `messages` for every text asked or answered.
        strict: Whether to stop at the first bad line, which is otherwise counted and quoted.

    Returns:
        An iterable of `TrafficRecord`; `rows`, `bad`, `skipped`, `problems` and `formats` tell how it went.

    Raises:
        ConfigurationError: A file does not exist, or an argument is not one of those above. While reading: a
            file is in no known format, or a line is bad and `strict` was asked for.
    """
    if format not in FORMAT_NAMES:
        raise ConfigurationError(
            f"format must be one of {', '.join(FORMAT_NAMES)}, not {format!r}; nothing was read"
        )
    if format == "csv" and mapping is None:
        raise ConfigurationError("format='csv' needs a mapping that names the columns; nothing was read")
    if mapping is not None and format not in {"auto", "csv", "parquet"}:
        raise ConfigurationError(f"a mapping is for tables, not for {format}; nothing was read")
    return TrafficReader(
        list(parts_of(paths)),
        format="auto" if format == "parquet" else format,
        columns=None if mapping is None else ColumnMap(mapping),
        hasher=None if hash_secret is None else Hasher(hash_secret, hash_fields),
        strict=strict,
    )


def parts_of(paths: LogSource | Iterable[LogSource]) -> Iterator[TrafficPart]:
    """Yield a part for every file that is named.

    Raises:
        ConfigurationError: A file does not exist, or something is no path.
    """
    if isinstance(paths, str | PathLike | TrafficPart):
        paths = [paths]
    for path in paths:
        if isinstance(path, TrafficPart):
            yield path
        elif isinstance(path, str | PathLike):
            for name in files_under(path):
                yield TrafficPart(path=os.fspath(name))
        else:
            raise ConfigurationError(f"a log must be named by its path, not {path!r:.60}; nothing was read")


def _unpacked(where: str, row: Any) -> Iterator[tuple[str, Any]]:
    """Yield a row, or the rows that it holds, as the pages of a web interface do."""
    if isinstance(row, Mapping) and detect(row) is None:
        for name in CONTAINERS:
            held = row.get(name)
            if isinstance(held, list) and held and isinstance(held[0], Mapping):
                for number, inner in enumerate(held, 1):
                    yield f"{where}[{number}]", inner
                return
    yield where, row


def _chained(seen: list[tuple[str, Any]], rows: _Rows) -> _Rows:
    yield from seen
    yield from rows


def _head_of(stream: BinaryIO) -> bytes:
    head = b""
    buffered: Any = stream  # in pieces, so that damage hides no more than what lies behind it
    try:
        while len(head) < HEAD_BYTES and (piece := buffered.read1(HEAD_BYTES - len(head))):
            head += piece
    except (*_DAMAGED, OSError):
        pass
    return head


def _first_line(head: bytes) -> str:
    return quoted(next((line for line in head.splitlines() if line.strip()), b""))


def _reason_of(error: Exception) -> str:
    if isinstance(error, ConfigurationError | csv.Error) or type(error) is ValueError:
        return str(error)
    if isinstance(error, KeyError):
        return f"it has no {error.args[0]!r}" if error.args else "a field is missing"
    return f"it is not what its format says ({error})"
