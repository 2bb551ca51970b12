"""One call for many that ask the same at the same time."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from contextvars import ContextVar
from typing import Literal

from tokenomics_core.cache._hit import Hit

__all__ = ["Flight", "Flights", "Leases", "Outcome"]

Outcome = Literal["shared", "private", "failed"]
"""How a leader's call ended: with an answer for all who wait, with one for none of them, or with none."""


class Flight:
    """A call that runs and those who wait for it, from any thread and any event loop."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.outcome: Outcome | None = None
        self.hit: Hit | None = None
        self._lock = threading.Lock()
        self._wake: list[Callable[[], None]] = []

    def end(self, outcome: Outcome, hit: Hit | None = None) -> bool:
        """Wake all who wait; False where it had ended before."""
        with self._lock:
            if self.outcome is not None:
                return False
            self.outcome, self.hit = outcome, hit
            waiting, self._wake = self._wake, []
        for wake in waiting:
            wake()
        return True

    def wait(self, timeout_s: float) -> bool:
        """Wait in this thread; False where time is up."""
        woken = threading.Event()
        self._when_ended(woken.set)
        return woken.wait(timeout_s)

    async def wait_async(self, timeout_s: float) -> bool:
        """Wait in this task; False where time is up."""
        loop, woken = asyncio.get_running_loop(), asyncio.Event()

        def wake() -> None:
            with contextlib.suppress(RuntimeError):  # the waiting loop was closed: nobody is left to wake
                loop.call_soon_threadsafe(woken.set)

        self._when_ended(wake)
        try:
            await asyncio.wait_for(woken.wait(), timeout_s)
        except TimeoutError:
            return False
        return True

    def _when_ended(self, wake: Callable[[], None]) -> None:
        with self._lock:
            if self.outcome is None:
                self._wake.append(wake)
                return
        wake()


_led: ContextVar[tuple[Flight, ...]] = ContextVar("tokenomics_led_flights", default=())


class Flights:
    """All calls of a cache that run, by what they ask."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: dict[str, Flight] = {}

    def join(self, name: str) -> tuple[Flight, bool]:
        """Return the flight of this name and whether the caller leads it, as nobody did."""
        with self._lock:
            flight = self._open.get(name)
            if flight is not None:
                return flight, False
            flight = self._open[name] = Flight(name)
        _led.set((*(led for led in _led.get() if led.outcome is None), flight))
        return flight, True

    def leads_already(self, name: str) -> bool:
        """Whether the caller runs inside the very call that it would wait for."""
        flight = self._open.get(name)
        return flight is not None and any(led is flight for led in _led.get())

    def end(self, flight: Flight, outcome: Outcome, hit: Hit | None = None) -> bool:
        """End a flight; False where it had ended before."""
        with self._lock:
            if self._open.get(flight.name) is flight:
                del self._open[flight.name]
        return flight.end(outcome, hit)

    def detach(self) -> None:
        """Let nobody else join the calls that run, for what they are based on has changed."""
        with self._lock:
            self._open.clear()


class Leases:
    """Keeps locks in a store alive while their owners work, from one thread that ends when there are none."""

    def __init__(
        self, renew: Callable[[str, str], None], release: Callable[[str, str], None], every_s: float
    ) -> None:
        self._renew, self._release, self._every_s = renew, release, every_s
        self._lock = threading.Lock()
        self._held: set[tuple[str, str]] = set()
        self._changed = threading.Event()
        self._thread: threading.Thread | None = None

    def hold(self, name: str, owner: str) -> None:
        """Keep a lock alive from now on."""
        with self._lock:
            self._held.add((name, owner))
            if self._thread is None:
                self._changed = threading.Event()
                self._thread = threading.Thread(
                    target=self._run, args=(self._changed,), name="tokenomics-leases", daemon=True
                )
                self._thread.start()

    def drop(self, name: str, owner: str) -> None:
        """Let a lock lapse."""
        with self._lock:
            self._held.discard((name, owner))
            if not self._held:
                self._changed.set()
                self._thread = None

    def _run(self, ended: threading.Event) -> None:
        while not ended.wait(self._every_s):
            with self._lock:
                held = list(self._held)
            for name, owner in held:
                self._renew(name, owner)
                if (name, owner) not in self._held:  # it was given back while it was renewed
                    self._release(name, owner)
