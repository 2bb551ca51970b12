"""An engine that says exactly what a test tells it to."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from examples.provider.exchange import ProviderAnswer, ProviderError, ProviderRequest

__all__ = ["Script", "ScriptedEngine"]

Script = ProviderAnswer | ProviderError | Callable[[ProviderRequest], ProviderAnswer]
"""One step: an answer, an error to raise, or a function of the request."""


class ScriptedEngine:
    """Answers in the order they were queued, whatever the wire format.

    A call takes the next step queued for its model, else the next one queued for any model, else
    the standing one for its model, else the standing one for any. Where nothing is left the
    caller gets a 400 that says so: clients do not retry that, and no test passes by accident.
    """

    def __init__(self, *steps: Script, always: Script | None = None) -> None:
        self._queues: dict[str | None, deque[Script]] = {None: deque(steps)}
        self._standing: dict[str | None, Script] = {} if always is None else {None: always}
        self._lock = threading.Lock()

    def queue(self, *steps: Script, model: str | None = None) -> None:
        """Queue steps for one call each, for a model or for any."""
        with self._lock:
            self._queues.setdefault(model, deque()).extend(steps)

    def always(self, step: Script, *, model: str | None = None) -> None:
        """Use a step for every call for which nothing is queued, of a model or of any."""
        with self._lock:
            self._standing[model] = step

    @property
    def queued(self) -> int:
        """How many steps nobody has asked for yet."""
        with self._lock:
            return sum(map(len, self._queues.values()))

    def answer(self, request: ProviderRequest) -> ProviderAnswer:
        """Take the step that is due."""
        step = self._next(request.model)
        if isinstance(step, ProviderAnswer):
            return step
        if isinstance(step, ProviderError):
            raise step
        return step(request)

    def _next(self, model: str) -> Script:
        with self._lock:
            for name in (model, None):
                if queue := self._queues.get(name):
                    return queue.popleft()
            for name in (model, None):
                if name in self._standing:
                    return self._standing[name]
        raise ProviderError(400, f"nothing is scripted for another call of {model!r}")
