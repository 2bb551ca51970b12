"""Writing records a little later and many at a time."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import count

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
        # A row may come while another is being taken, from a destructor or a signal's handler in the same
        # thread; so taking one uses nothing but atomic appends and a queue that says it is reentrant.
        self._pending: list[Row] = []
        self._wake: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._lock, self._closing = threading.RLock(), threading.Event()
        self._starts = count()
        self._is_flushing = False

    @property
    def is_full(self) -> bool:
        """Whether the next `put` has to write what waits."""
        return len(self._pending) >= self._max_pending

    def put(self, row: Row) -> None:
        """Take one row.

        Raises:
            StoreError: The writer is closed, or full and what waits cannot be written; the row was not taken.
        """
        if self._closing.is_set():
            raise StoreError(self._path, f"is closed; record {row[0]!r} was not written")
        if self.is_full:
            self.flush()
        self._pending.append(row)
        if self._thread is None:
            self._start()
        self._wake.put(None)
        if self._closing.is_set():  # since the look above; the last flush may have been before the append
            self.flush()

    def flush(self) -> None:
        """Write everything that waits, here and now.

        Raises:
            StoreError: It could not be written; it waits on.
        """
        with self._lock:
            if self._is_flushing or not self._pending:
                return
            self._is_flushing = True
            try:
                rows = list(self._pending)
                self._write(rows)
                del self._pending[: len(rows)]
            finally:
                self._is_flushing = False

    def close(self) -> None:
        """Write everything that waits and stop the thread."""
        self._closing.set()
        self._wake.put(None)
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()  # not from itself, where the collector may close a ledger too
        self.flush()

    def start_anew(self) -> None:
        """Begin without rows and thread, as a forked child must."""
        self._pending, self._wake, self._thread = [], queue.SimpleQueue(), None
        self._lock, self._closing = threading.RLock(), threading.Event()
        self._starts = count()
        self._is_flushing = False

    def _start(self) -> None:
        # A lock would let the same thread's signal handler in once more, and then there were two threads.
        if next(self._starts) == 0:
            try:
                thread = threading.Thread(target=self._run, name="tokenomics-ledger", daemon=True)
                thread.start()
            except BaseException:
                self._starts = count()
                raise
            self._thread = thread

    def _run(self) -> None:
        while not self._closing.is_set():
            self._wake.get()
            self._closing.wait(self._every_s)
            with suppress(queue.Empty):
                while True:
                    self._wake.get_nowait()
            try:
                self.flush()
            except StoreError as error:
                _log.warning("%d records are still to be written: %s", len(self._pending), error)
                self._wake.put(None)
