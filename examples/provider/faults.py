"""Ways for the server to misbehave on command, so that failures can be tested without luck."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Cut", "Fail", "Fault", "FaultQueue", "Malformed", "Stall"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fail:
    """Answer with an HTTP error; the engine is not asked.

    Attributes:
        status: The HTTP status.
        message: The message inside the error body.
        body: A whole JSON body instead of the wire format's own.
        retry_after_s: Seconds for the `Retry-After` header.
        after_chunks: In a stream, begin well and send the error as an event after so many
            events; the status is then 200, as providers do.
    """

    status: int = 500
    message: str = "the stand-in provider was told to fail"
    body: Mapping[str, Any] | None = None
    retry_after_s: float | None = None
    after_chunks: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stall:
    """Say nothing until released; then go on as if nothing had happened.

    Attributes:
        release: Set it to let the answer go; closing the server sets it too.
        reached: Set by the server when it has begun to stall.
        after_chunks: In a stream, stall after so many events and not before the answer.
    """

    release: threading.Event = field(default_factory=threading.Event)
    reached: threading.Event = field(default_factory=threading.Event)
    after_chunks: int = 0

    def hold(self) -> None:
        """Stall here."""
        self.reached.set()
        self.release.wait()


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """Close the connection in the middle of the answer.

    Attributes:
        after_chunks: In a stream, how many events arrive first. An answer that is not a
            stream ends after half of its body.
    """

    after_chunks: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Malformed:
    """Send JSON that does not parse, with status 200.

    Attributes:
        after_chunks: In a stream, how many good events come first.
    """

    after_chunks: int = 0


Fault = Fail | Stall | Cut | Malformed


@dataclass(slots=True)
class _Order:
    fault: Fault
    model: str | None
    path: str | None
    times: int | None


class FaultQueue:
    """Which call gets which fault; safe for many threads."""

    def __init__(self) -> None:
        self._orders: list[_Order] = []
        self._stalls: list[Stall] = []
        self._lock = threading.Lock()

    def add(self, fault: Fault, *, model: str | None, path: str | None, times: int | None) -> None:
        """Order a fault for the next `times` calls that match; None means for all of them."""
        if times is not None and times < 1:
            raise ValueError(f"times must be 1 or more, or None for every call, not {times!r}")
        with self._lock:
            self._orders.append(_Order(fault, model, path, times))
            if isinstance(fault, Stall):
                self._stalls.append(fault)

    def take(self, *, model: str, path: str) -> Fault | None:
        """Return the fault for this call, the oldest order first, and count it."""
        with self._lock:
            for order in self._orders:
                if order.model not in {None, model} or order.path not in {None, path}:
                    continue
                if order.times is not None:
                    order.times -= 1
                    if order.times == 0:
                        self._orders.remove(order)
                return order.fault
        return None

    def clear(self) -> None:
        """Forget every order and release every stall."""
        with self._lock:
            self._orders.clear()
            stalls, self._stalls = self._stalls, []
        for stall in stalls:
            stall.release.set()
