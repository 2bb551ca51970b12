"""Who is told of every call that is billed, whatever framework made it and wherever it is written down."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from tokenomics_core.types import SpendRecord

__all__ = ["RecordFeed", "feed"]

Listener = Callable[[SpendRecord, str | None], None]
_L = TypeVar("_L", bound=Listener)

_MOST_REMEMBERED = 20_000


class RecordFeed:
    """Pass each billed call on once, also where a block, a handler and a ledger hear of it.

    Listeners run in the thread and context of the call, so they must be quick and may not raise.

    Args:
        most: How many ids of earlier calls are remembered at least.
    """

    def __init__(self, most: int = _MOST_REMEMBERED) -> None:
        self.listeners: tuple[Listener, ...] = ()
        self._most = most
        self._lock = threading.Lock()
        self._told: set[str] = set()
        self._told_before: set[str] = set()

    def add(self, listener: _L) -> None:
        """Tell a function of every call from now on: its record, and the model that was asked for."""
        with self._lock:
            self.listeners = (*self.listeners, listener)

    def remove(self, listener: Listener) -> None:
        """Tell it no more; a second time changes nothing."""
        with self._lock:
            self.listeners = tuple(item for item in self.listeners if item != listener)
            if not self.listeners:
                self._told, self._told_before = set(), set()

    def tell(self, record: SpendRecord, asked_model: str | None = None) -> None:
        """Pass a call on, unless that was done before."""
        if not self.listeners or not self._is_new(record.id):
            return
        for listener in self.listeners:
            listener(record, asked_model)

    def _is_new(self, name: str) -> bool:
        with self._lock:
            if name in self._told or name in self._told_before:
                return False
            if (
                len(self._told) >= self._most
            ):  # two generations forget the oldest ids without keeping an order
                self._told_before, self._told = self._told, set()
            self._told.add(name)
            return True


feed = RecordFeed()
"""What every tracker that bills tells; nobody listens until metrics are installed."""
