"""See what goes wrong inside one query: whatever did, its answer is not kept."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from llama_index.core.instrumentation.events.llm import LLMChatEndEvent, LLMCompletionEndEvent
from llama_index_instrumentation import root_dispatcher

from llama_index_tokenomics._events import EventListener, SpanListener
from tokenomics_core.usage import finish_reason_from_raw

__all__ = ["QueryRun"]

_FINE = frozenset(
    {"stop", "end_turn", "stop_sequence", "tool_calls", "tool_use", "function_call", "completed"}
)


class QueryRun:
    """One run of an engine.

    Attributes:
        finish_reason: Why a model stopped whose answer may be cut short; None where all ended well.
        failed: Whether anything inside raised, even where the engine went on.
    """

    def __init__(self) -> None:
        self.finish_reason: str | None = None
        self.failed = False

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Take what happens in a block as part of this run; no block may hold a `yield`."""
        _attach()
        token = _runs.set((*_runs.get(), self))
        try:
            yield
        finally:
            _runs.reset(token)


_runs: ContextVar[tuple[QueryRun, ...]] = ContextVar("tokenomics_query_runs", default=())
_lock = threading.Lock()


def _ended(event: LLMChatEndEvent | LLMCompletionEndEvent) -> None:
    runs = _runs.get()
    if not runs:
        return
    reason = None if event.response is None else finish_reason_from_raw(event.response.raw)
    if reason is not None and reason.lower() not in _FINE:
        for run in runs:
            run.finish_reason = reason


def _dropped(_id: str, _error: BaseException | None) -> None:
    for run in _runs.get():
        run.failed = True


def _ignore(*_: object) -> None:
    """Have nothing to do with this."""


_EVENTS = EventListener(steps={LLMChatEndEvent: _ended, LLMCompletionEndEvent: _ended}, failed=_ignore)
_SPANS = SpanListener(enter=_ignore, leave=_ignore, drop=_dropped, failed=_ignore)


def _attach() -> None:
    """Listen to LlamaIndex from the first run on."""
    with _lock:
        if _EVENTS not in root_dispatcher.event_handlers:
            root_dispatcher.add_event_handler(_EVENTS)
        if _SPANS not in root_dispatcher.span_handlers:
            root_dispatcher.add_span_handler(_SPANS)
