"""Tell somebody who waits at a terminal how far the reading of a log is."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from types import TracebackType
from typing import TextIO

__all__ = ["Progress"]

_EVERY_S = 0.5
_PART_BYTES = 64 * 2**20
"""About how much of a log one part of an audit's folder stands for."""


class Progress:
    """Shows, while a block runs, how many parts were read and the time; nothing without a stream.

    Args:
        folder: Where each part of the log leaves a file when it was read.
        size: Bytes of the log.
        stream: A terminal, or None.
        every_s: Seconds between two looks.
    """

    def __init__(self, folder: Path, size: int, stream: TextIO | None, *, every_s: float = _EVERY_S) -> None:
        self._folder, self._stream, self._every_s = folder, stream, every_s
        self._parts = max(1, -(-size // _PART_BYTES))
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._began = 0.0

    def __enter__(self) -> None:
        self._began = time.monotonic()
        if self._stream is not None:
            self._thread.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        if self._stream is not None:
            self._thread.join()
            self._stream.write("\r\x1b[K")
            self._stream.flush()

    def _watch(self) -> None:
        while not self._done.wait(self._every_s):
            if self._stream is not None:
                self._stream.write("\r\x1b[K" + self._line())
                self._stream.flush()

    def _line(self) -> str:
        minutes, seconds = divmod(int(time.monotonic() - self._began), 60)
        read = len(list(self._folder.glob("*.npz"))) if self._folder.is_dir() else 0
        what = f"read {read} of about {self._parts} parts" if read < self._parts else "adding up"
        return f"{what}, {minutes}:{seconds:02d}"
