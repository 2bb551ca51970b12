"""Notice structured requests that a model sends without asking its limiter."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

from llama_index.core.base.llms.base import BaseLLM

from llama_index_tokenomics._spans import Span

__all__ = ["Asking"]


class Asking:
    """The structured requests in which no call has asked yet.

    One that ends so was sent past the limiter. One that returns a stream asks when the stream is read, in no
    span of its own; then a call of the same model that begins while the stream runs is taken for its.
    """

    def __init__(self) -> None:
        self._open: dict[str, BaseLLM] = {}
        self._streams: dict[str, tuple[weakref.ref[Any], weakref.ref[BaseLLM]]] = {}

    def __len__(self) -> int:
        return len(self._open) + len(self._streams)

    def clear(self) -> None:
        """Wait for nothing any more."""
        self._open.clear()
        self._streams.clear()

    def began(self, id_: str, model: BaseLLM) -> None:
        """Note a request; a stream of the same model that makes it has passed it on."""
        self._passed_on(model)
        self._open[id_] = model

    def asked(self, span: Span) -> None:
        """Note that a call asks: it is what the requests around it were made for."""
        for outer in span.models_above:
            self._open.pop(outer.id, None)
        if self._streams:
            self._passed_on(span.model)

    def ended(self, id_: str, stream: object, missed: Callable[[], None]) -> None:
        """Note that a request ended, or went on as a stream, and tell if nothing was asked."""
        model = self._open.pop(id_, None)
        if model is None:
            return
        if stream is None:
            missed()
            return

        def gone(_: object) -> None:
            if self._streams.pop(id_, None) is not None:
                missed()

        self._streams[id_] = weakref.ref(stream, gone), weakref.ref(model)

    def failed(self, id_: str) -> None:
        """Forget a request that raised."""
        self._open.pop(id_, None)

    def _passed_on(self, model: object) -> None:
        for id_, (entry, owner) in list(self._streams.items()):
            stream = entry()
            runs = getattr(stream, "gi_running", False) or getattr(stream, "ag_running", False)
            if runs and owner() is model:
                self._streams.pop(id_, None)
