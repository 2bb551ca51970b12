"""Audit a log with all processors, in a folder from which a broken audit goes on."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import multiprocessing.connection
import os
import tempfile
import threading
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tokenomics_core.errors import ConfigurationError, StoreError
from tokenomics_core.traffic._audit_part import VERSION, AuditPart
from tokenomics_core.traffic._audit_result import Audit
from tokenomics_core.traffic._readers import TrafficPart, TrafficReader
from tokenomics_core.traffic._readers_split import split_traffic
from tokenomics_core.traffic._record import TrafficRecord

if TYPE_CHECKING:
    from tokenomics_core.pricing import PriceBook

__all__ = ["audit_traffic"]

_PART_BYTES: Final = 64 * 2**20
_SMALL_BYTES: Final = 8 * 2**20
"""A shorter log is read by this process: to start others takes longer."""
_LOOKED_AT: Final = 3


def audit_traffic(
    records: TrafficReader | Iterable[TrafficRecord],
    *,
    prices: PriceBook | None = None,
    month_days: float = 30,
    cheaper: Mapping[str, str] | None = None,
    workdir: str | os.PathLike[str] | None = None,
    processes: int = 1,
) -> Audit:
    """Find out where a log's money goes and what of it was wasted.

    What `read_traffic` returns can be read by several processes; of each call some hundred bytes stay. Any
    other iterable is read by this process alone, as it comes.

    Args:
        records: The calls.
        prices: Where prices come from; the shared price book if left out.
        month_days: Days that count as a month.
        cheaper: By dear model the one that easy questions could go to; others are compared with the cheaper
            model of the same provider that the log uses most.
        workdir: A folder to keep what was found out about each stretch of the log, so that an audit that was
            broken off goes on where it was; None for a folder that is removed at the end.
        processes: How many read. With more than one a script of yours needs its
            `if __name__ == "__main__":`, as with every pool of processes.

    Raises:
        ConfigurationError: A setting is wrong, or a folder to go on from is given for what cannot be read
            again; nothing was audited.
        StoreError: The folder cannot be written.
    """
    if processes < 1:
        raise ConfigurationError(f"processes must be 1 or more, not {processes!r}; nothing was audited")
    if not month_days > 0:
        raise ConfigurationError(f"month_days must be above 0, not {month_days!r}; nothing was audited")
    from tokenomics_core.traffic._audit_merge import merge_parts  # noqa: PLC0415 - loads numpy
    from tokenomics_core.traffic._facts import audit_partition  # noqa: PLC0415 - likewise

    if not isinstance(records, TrafficReader):
        if workdir is not None:
            raise ConfigurationError(
                f"only what read_traffic returns can be read again, not {type(records).__name__}: "
                "leave workdir out; nothing was audited"
            )
        parts: Sequence[AuditPart] = [audit_partition(records)]
        return merge_parts(parts, prices=prices, month_days=month_days, cheaper=cheaper)
    with tempfile.TemporaryDirectory(prefix="tokenomics-audit-") as spare:
        folder = Path(spare if workdir is None else workdir)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(str(folder), f"{error.strerror}; nothing was audited") from error
        parts = [AuditPart.load(path) for path in _read(records, folder, processes)]
        return merge_parts(parts, prices=prices, month_days=month_days, cheaper=cheaper)


def _read(reader: TrafficReader, folder: Path, processes: int) -> list[Path]:
    """Read every stretch that was not read before; return the files in the order of the log."""
    size = sum(map(_size_of, reader.parts))
    stretches = split_traffic(reader.parts, max(1, -(-size // _PART_BYTES), _few(size, processes)))
    files = [folder / f"{_fingerprint(reader, stretch)}.npz" for stretch in stretches]
    waiting = [(stretch, file) for stretch, file in zip(stretches, files, strict=True) if not _is_whole(file)]
    workers = min(processes, len(waiting))
    if workers <= 1 or size < _SMALL_BYTES:
        for stretch, file in waiting:
            _read_stretch(reader.over(stretch), file)
        return files
    # Not by forking: a copy of a process with threads may wait for a lock for ever.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_end_with_parent) as pool:
        tasks = [pool.submit(_read_stretch, reader.over(stretch), file) for stretch, file in waiting]
        try:
            for task in tasks:
                task.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return files


def _read_stretch(reader: TrafficReader, file: Path) -> None:
    from tokenomics_core.traffic._facts import audit_partition  # noqa: PLC0415 - loads numpy

    audit_partition(reader).save(file)
    for half in file.parent.glob(f"{file.name}.*.half"):  # left by an audit that was killed
        half.unlink(missing_ok=True)


def _end_with_parent() -> None:
    """End this worker once the process that started it is gone, however it went."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _few(size: int, processes: int) -> int:
    """Return as many stretches as processes, where the log is worth more than one."""
    return 1 if size < _SMALL_BYTES else processes


def _is_whole(file: Path) -> bool:
    """Tell whether a stretch was read before; what is damaged is read again."""
    if not file.exists():
        return False
    try:
        AuditPart.load(file)
    except StoreError:
        return False
    return True


def _size_of(part: TrafficPart) -> int:
    if part.path == "-" or "://" in part.path:
        return 0
    if part.stop is not None:
        return part.stop - part.start
    return Path(part.path).stat().st_size


def _fingerprint(reader: TrafficReader, stretch: TrafficPart) -> str:
    """Name a stretch by what is in it, as far as can be told without reading it all.

    Path, size, time of change and bounds of the file count, and how the reader understands its first calls:
    with another mapping, or with hashing, these read differently.
    """
    told: list[object] = [VERSION, stretch.path, stretch.start, stretch.stop]
    if stretch.path == "-" or "://" in stretch.path:
        return hashlib.blake2b(os.urandom(16), digest_size=16).hexdigest()  # nobody knows what it holds now
    state = Path(stretch.path).stat()
    told += [state.st_size, state.st_mtime_ns]
    told += [repr(record) for record in islice(reader.over(stretch), _LOOKED_AT)]
    return hashlib.blake2b(json.dumps(told).encode(), digest_size=16).hexdigest()
