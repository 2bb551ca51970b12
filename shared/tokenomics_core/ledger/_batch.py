"""Writing records a little later and many at a time."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence

from tokenomics_core.errors import StoreError
from tokenomics_core.ledger._rows import Row

__all__ = ["BatchWriter"]

_log = logging.getLogger("tokenomics_core.ledger")


class BatchWriter:
    """Collect rows and let one thread write them, at most `every_s` seconds after they came.

    Rows that cannot be written are kept and tried again. When `max_pending` wait, whoever brings the
    next writes them itself. A forked child starts with none: what waited is its parent's to write.
    """

    def __init__(
        self,
        path: str,
        write: Callable[[Sequence[Row]], object],
        *,
        every_s: float,
        max_pending: int = 10_000,
    ) -> None:
        self._path, self._write, self._every_s, self._max_pending = path, write, every_s, max_pending
        self._pending: list[Row] = []
        self._thread: threading.Thread | None = None
        self._lock, self._flushing = threading.Lock(), threading.Lock()
        self._has_work, self._closing = threading.Event(), threading.Event()

    @property
    def is_full(self) -> bool:
        """Whether the next `put` has to write what waits."""
        return len(self._pending) >= self._max_pending

    def put(self, row: Row) -> None:
        """Take one row.

        Raises:
            StoreError: The writer is closed, or full and what waits cannot be written; the row was not taken.
        """
        if self.is_full:
            self.flush()
        with self._lock:
            if self._closing.is_set():
                raise StoreError(self._path, f"is closed; record {row[0]!r} was not written")
            self._pending.append(row)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="tokenomics-ledger", daemon=True)
                self._thread.start()
        self._has_work.set()

    def flush(self) -> None:
        """Write everything that waits, here and now.

        Raises:
            StoreError: It could not be written; it waits on.
        """
        with self._flushing:
            with self._lock:
                rows, self._pending = self._pending, []
            if not rows:
                return
            try:
                self._write(rows)
            except BaseException:
                with self._lock:
                    self._pending[:0] = rows
                raise

    def close(self) -> None:
        """Write everything that waits and stop the thread."""
        self._closing.set()
        self._has_work.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        self.flush()

    def start_anew(self) -> None:
        """Begin without rows and thread, as a forked child must."""
        self._pending, self._thread = [], None
        self._lock, self._flushing = threading.Lock(), threading.Lock()
        self._has_work, self._closing = threading.Event(), threading.Event()

    def _run(self) -> None:
        while not self._closing.is_set():
            self._has_work.wait()
            self._closing.wait(self._every_s)
            self._has_work.clear()
            try:
                self.flush()
            except StoreError as error:
                _log.warning("%d records are still to be written: %s", len(self._pending), error)
                self._has_work.set()
