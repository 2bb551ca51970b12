"""A report that is on screen while the calls it is about are still running."""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, Protocol, Self

from tokenomics_core.observability._report import CostReport
from tokenomics_core.types import SpendRecord

__all__ = ["LiveDisplay", "Screen", "find_screen"]

_log = logging.getLogger("tokenomics")
_REST = 20


class Screen(Protocol):
    """A place that can show a report and replace what it shows."""

    def show(self, report: CostReport) -> None:
        """Show the report for the first time."""

    def update(self, report: CostReport) -> None:
        """Show it again in the same place."""

    def close(self) -> None:
        """Leave what is shown where it is."""


class LiveDisplay:
    """Show a report once and keep it up to date until closed.

    In a notebook the report is replaced in place; in a terminal the same with rich, if it is installed;
    anywhere else nothing is shown. It is drawn again when a call is recorded, by the thread or task of that
    call, at most every `interval_s` and in no more than a twentieth of the time; what is shown after `close`
    is complete. A failure to draw is logged and ends the display, not the call.

    Args:
        report: What to show.
        clock: Seconds that never go back.
        interval_s: The least time between two drawings.
        screen: Where to show it; found out at `start` where None is given.
    """

    def __init__(
        self,
        report: CostReport,
        *,
        clock: Callable[[], float] = time.monotonic,
        interval_s: float = 0.2,
        screen: Screen | None = None,
    ) -> None:
        self._report = report
        self._clock = clock
        self._interval_s = interval_s
        self._screen = screen
        self._unsubscribe: Callable[[], None] | None = None
        self._next_s = 0.0
        self._lock = threading.Lock()

    def start(self) -> None:
        """Show the report as it is and follow it from now on."""
        with self._lock:
            if self._unsubscribe is not None:
                return
            if not self._draw(first=True):
                return
            self._unsubscribe = self._report.subscribe(self._on_record)

    def close(self) -> None:
        """Show the report a last time and stop following it; more than once does nothing more."""
        with self._lock:
            if self._unsubscribe is None:
                return
            self._unsubscribe()
            self._unsubscribe = None
            if self._draw():
                self._end()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _on_record(self, _record: SpendRecord) -> None:
        # A thread that finds another one drawing goes on: the next drawing, or the last, shows its record.
        if self._clock() < self._next_s or not self._lock.acquire(blocking=False):
            return
        try:
            if self._unsubscribe is not None and not self._draw():
                self._unsubscribe()
                self._unsubscribe = None
        finally:
            self._lock.release()

    def _draw(self, *, first: bool = False) -> bool:
        started_s = self._clock()
        try:
            if first:
                self._screen = self._screen or find_screen()
            if self._screen is None:
                return False
            (self._screen.show if first else self._screen.update)(self._report)
        except Exception:  # noqa: BLE001 - an observer may not break the call it watches
            _log.exception("the live report could not be drawn and has ended; calls are not affected")
            self._end()
            return False
        now_s = self._clock()
        # The first drawing loads what it draws with, which says nothing about the next.
        took_s = 0.0 if first else now_s - started_s
        self._next_s = now_s + max(self._interval_s, _REST * took_s)
        return True

    def _end(self) -> None:
        try:
            if self._screen is not None:
                self._screen.close()
        except Exception:  # noqa: BLE001 - an observer may not break the call it watches
            _log.exception("the live report could not be closed; calls are not affected")


def find_screen() -> Screen | None:
    """Return the notebook's output area, the terminal, or None where there is neither."""
    # IPython is loaded wherever a notebook runs; it is not loaded to find out.
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    if shell is not None and "TerminalInteractiveShell" not in {
        kind.__name__ for kind in type(shell).__mro__
    }:
        return _NotebookScreen()
    if not sys.stdout.isatty():
        return None
    try:
        return _TerminalScreen()
    except ImportError:
        return None


class _NotebookScreen:
    def __init__(self) -> None:
        self._handle: Any = None

    def show(self, report: CostReport) -> None:
        from IPython.display import display  # noqa: PLC0415 - present wherever this class is used

        self._handle = display(report, display_id=True)  # type: ignore[no-untyped-call]  # IPython's

    def update(self, report: CostReport) -> None:
        if self._handle is not None:
            self._handle.update(report)

    def close(self) -> None:
        self._handle = None


class _TerminalScreen:
    def __init__(self) -> None:
        from rich.live import Live  # noqa: PLC0415 - an extra, needed only here

        self._live = Live(auto_refresh=False, redirect_stdout=True, redirect_stderr=True)

    def show(self, report: CostReport) -> None:
        self._live.update(report)
        self._live.start(refresh=True)

    def update(self, report: CostReport) -> None:
        self._live.update(report, refresh=True)

    def close(self) -> None:
        self._live.stop()
