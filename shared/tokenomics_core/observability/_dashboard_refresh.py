"""Keep what a dashboard shows fresh while somebody looks, and answer at once however long reading takes."""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from tokenomics_core.errors import TokenomicsError
from tokenomics_core.observability._dashboard_document import encode

__all__ = ["Refresher", "Snapshot"]

_log = logging.getLogger("tokenomics")
_PATIENCE_S = 1.0
_SHARE_OF_TIME = 5
_CHANGING = ("at", "time")
_LISTS = ("figures", "days", "avoided", "sections", "budgets")
_EMPTY: dict[str, Any] = {
    "title": "",
    "at": "",
    "time": "never",
    "month": "",
    "complete": False,
    "more_budgets": "",
    **{name: [] for name in _LISTS},
}


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What is shown until something newer was read.

    Attributes:
        body: The document.
        etag: The same for documents that say the same.
        read_at: When it was read, in words.
    """

    body: bytes
    etag: str
    read_at: str


class Refresher:
    """Read in a thread of its own, as long as snapshots are asked for.

    Args:
        read: Yields documents, each better than the one before; may take long.
        every_s: How often at most; less often where reading takes more than a fifth of that.
        timer: Measures how long reading takes, in seconds.
    """

    def __init__(
        self,
        read: Callable[[], Iterator[dict[str, Any]]],
        *,
        every_s: float,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        self._read, self._every_s, self._timer = read, every_s, timer
        self._snapshot: Snapshot | None = None
        self._document: dict[str, Any] = {}
        self._wanted, self._stopped = threading.Event(), threading.Event()
        self._changed = threading.Condition()
        self._rests = False
        self._thread = threading.Thread(target=self._run, name="tokenomics-dashboard", daemon=True)
        self.failures = 0

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End, once what is being read is read."""
        self._stopped.set()
        self._wanted.set()
        if self._thread.is_alive():
            self._thread.join()

    def current(self) -> Snapshot | None:
        """Return the newest snapshot; None where the first is still being read.

        A first look, and one after nobody looked for a while, waits a moment for what is read then.
        """
        with self._changed:
            waits = self._rests or self._snapshot is None
            before = self._snapshot
            self._wanted.set()
            if waits:
                self._changed.wait_for(lambda: self._snapshot is not before, timeout=_PATIENCE_S)
            return self._snapshot

    def _run(self) -> None:
        while not self._stopped.is_set():
            with self._changed:
                self._rests = not self._wanted.is_set()
            self._wanted.wait()
            self._wanted.clear()
            with self._changed:
                self._rests = False
            if self._stopped.is_set():
                return
            took = self._read_once()
            self._stopped.wait(max(self._every_s, took * (_SHARE_OF_TIME - 1)))

    def _read_once(self) -> float:
        """Read what is due and return how long its quickest part took: what takes longer is rarely due."""
        began, least = self._timer(), float("inf")
        try:
            for document in self._read():
                least, began = min(least, self._timer() - began), self._timer()
                self._publish(document)
                if self._stopped.is_set():
                    break
        except TokenomicsError as error:
            self.failures += 1
            if self.failures == 1:
                _log.warning("the dashboard could not be refreshed: %s", error)
            self._tell_failure()
        except Exception:  # noqa: BLE001 - one failure may not end all that is shown later
            self.failures += 1
            if self.failures == 1:
                _log.exception("the dashboard could not be refreshed")
            self._tell_failure()
        return least if least < float("inf") else self._timer() - began

    def _tell_failure(self) -> None:
        said = "The ledger or a budget could not be read; the log of the dashboard says why."
        self._show({**_EMPTY, **self._document, "notices": [said]})

    def _publish(self, document: dict[str, Any]) -> None:
        self._document = document
        self._show(document)

    def _show(self, document: dict[str, Any]) -> None:
        lasting = {name: value for name, value in document.items() if name not in _CHANGING}
        digest = hashlib.sha256(encode(lasting)).hexdigest()[:32]
        with self._changed:
            self._snapshot = Snapshot(encode(document), f'"{digest}"', str(document["time"]))
            self._changed.notify_all()
