"""Cut logs into stretches that several processes, or machines, read at the same time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from tokenomics_core.errors import ConfigurationError
from tokenomics_core.traffic._open import HEAD_BYTES, is_compressed, open_log
from tokenomics_core.traffic._read_formats import detect_line
from tokenomics_core.traffic._read_frames import Frame, frame_of
from tokenomics_core.traffic._read_parquet import count_parquet_rows
from tokenomics_core.traffic._readers import LogSource, TrafficPart, parts_of

__all__ = ["split_traffic"]

_CHUNK_BYTES = 1 << 20
_MIN_PART_BYTES = 1 << 16
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


def split_traffic(paths: LogSource | Iterable[LogSource], parts: int) -> list[TrafficPart]:
    """Cut logs into about `parts` stretches of equal size, each of which `read_traffic` reads by itself.

    Plain files of JSON lines are cut between lines, Parquet files between rows. What cannot be cut stays
    whole: compressed files, tables in CSV, JSON documents, ledgers, standard input, and logs of spans, where
    a trace's parts must be seen together.

    Args:
        paths: As `read_traffic` takes them.
        parts: How many processes are to read; there are more parts where there are more files.

    Returns:
        The parts in the order of the files. Read one after the other they give what the files give, with the
        same places in `where`.

    Raises:
        ConfigurationError: A file does not exist, or `parts` is less than 1.
    """
    if parts < 1:
        raise ConfigurationError(f"parts must be 1 or more, not {parts!r}; nothing was cut")
    whole = list(parts_of(paths))
    sizes = [_size_of(part) for part in whole]
    wanted = max(sum(sizes) / parts, _MIN_PART_BYTES)
    found: list[TrafficPart] = []
    for part, size in zip(whole, sizes, strict=True):
        pieces = min(parts, round(size / wanted))
        found.extend(_cut(part, pieces, size) if pieces > 1 else [part])
    return found


def _size_of(part: TrafficPart) -> int:
    if part.start or part.stop is not None or part.path == "-" or "://" in part.path:
        return 0  # stays as it is
    return Path(part.path).stat().st_size


def _cut(part: TrafficPart, pieces: int, size: int) -> Iterator[TrafficPart]:
    with open_log(part.path) as stream:
        head = stream.read(HEAD_BYTES)
        kind = _kind_of(head, is_whole=size <= HEAD_BYTES)
        if kind == "lines":
            yield from _cut_lines(part.path, stream, pieces, size)
            return
    if kind == "parquet":
        n_rows = count_parquet_rows(part.path)
        bounds = [n_rows * piece // pieces for piece in range(pieces)]
        for start, stop in zip(bounds, [*bounds[1:], n_rows], strict=True):
            yield TrafficPart(path=part.path, start=start, stop=stop)
    else:
        yield part


def _kind_of(head: bytes, *, is_whole: bool) -> Frame | None:
    if is_compressed(head) or head.startswith(_UTF16):
        return None
    frame = frame_of(head, is_whole=is_whole)
    if frame == "lines":
        known = next(filter(None, map(detect_line, head.splitlines()[:20])), None)
        return frame if known is not None and known.spans is None else None
    return frame


def _cut_lines(path: str, stream: BinaryIO, pieces: int, size: int) -> Iterator[TrafficPart]:
    """Cut at the first line that begins at or after each of the even bounds; count the lines on the way."""
    bounds = [0]
    for piece in range(1, pieces):
        stream.seek(size * piece // pieces - 1)
        stream.readline()
        at = stream.tell()
        if bounds[-1] < at < size:
            bounds.append(at)
    stream.seek(0)
    line = 1
    for start, stop in zip(bounds, [*bounds[1:], size], strict=True):
        yield TrafficPart(path=path, start=start, stop=stop, first_line=line)
        line += _lines_in(stream, stop - start)


def _lines_in(stream: BinaryIO, n_bytes: int) -> int:
    count = 0
    while n_bytes > 0 and (piece := stream.read(min(_CHUNK_BYTES, n_bytes))):
        count += piece.count(b"\n")
        n_bytes -= len(piece)
    return count
