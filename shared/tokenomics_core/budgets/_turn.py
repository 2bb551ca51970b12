"""One step of a store at a time, and none in the middle of another."""

from __future__ import annotations

import threading

from tokenomics_core.errors import StoreError

__all__ = ["InterruptedStepError", "Turn"]


class InterruptedStepError(StoreError):
    """A step was asked for in the middle of another one of the same thread; it was not taken."""


class Turn:
    """A lock that other threads wait for, and that refuses the thread which has it.

    A garbage collector may close an abandoned stream at any moment, in the middle of a step too, and closing
    it settles its reservation: waiting for the step would last for ever, and taking it would see half of it.
    """

    def __init__(self, store: str) -> None:
        self._store = store
        self._lock = threading.RLock()
        self._taken = False

    def __enter__(self) -> None:
        self._lock.acquire()
        if self._taken:
            self._lock.release()
            raise InterruptedStepError(
                self._store, "another step of this thread is under way; this one was not taken"
            )
        self._taken = True

    def __exit__(self, *_: object) -> None:
        self._taken = False
        self._lock.release()
