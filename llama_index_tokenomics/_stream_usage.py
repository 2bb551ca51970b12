"""Have OpenAI-style streams report what they consumed, without touching the model that asks."""

from __future__ import annotations

from typing import Any

from llama_index.core.callbacks import CallbackManager, CBEventType, EventPayload
from llama_index.core.callbacks.base_handler import BaseCallbackHandler
from llama_index.core.instrumentation.span import active_span_id

from llama_index_tokenomics._models import kind_of
from llama_index_tokenomics._spans import Span

__all__ = ["StreamUsage", "can_report_usage"]

_STREAMS = frozenset({"stream_chat", "astream_chat", "stream_complete", "astream_complete"})
# Azure refuses the option in API versions before this one.
# Source: https://github.com/Azure/azure-rest-api-specs/issues/29157, seen 2026-11-21.
_FIRST_AZURE_VERSION = "2024-09-01"


class StreamUsage(BaseCallbackHandler):
    """Add `stream_options={"include_usage": True}` to one call, as if its caller had.

    LlamaIndex hands every callback handler the dictionary of keyword arguments that it is about to pass to
    the client. This handler stands in the model's callback manager from the moment a stream is asked for
    until LlamaIndex has called it, which is before anything is sent. The model's own settings are not
    changed, and they win where they name the option themselves.
    """

    def __init__(self) -> None:
        super().__init__(event_starts_to_ignore=[], event_ends_to_ignore=list(CBEventType))
        self._waiting: dict[str, CallbackManager] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def prepare(self, span: Span) -> None:
        """Wait for the call that a span is about to make."""
        manager = span.model.callback_manager if span.model is not None else None
        if isinstance(manager, CallbackManager):
            self._waiting[span.id] = manager
            manager.handlers.append(self)

    def release(self, span_id: str) -> None:
        """Stop waiting: the call has been made, or never will be."""
        manager = self._waiting.pop(span_id, None)
        if manager is not None and self in manager.handlers:
            manager.handlers.remove(self)

    def on_event_start(
        self,
        event_type: CBEventType,
        payload: dict[str, Any] | None = None,
        event_id: str = "",
        parent_id: str = "",
        **kwargs: Any,
    ) -> str:
        """Add the option to the call that was waited for."""
        span_id = active_span_id.get()
        if event_type is CBEventType.LLM and span_id in self._waiting:
            arguments = (payload or {}).get(EventPayload.ADDITIONAL_KWARGS)
            if isinstance(arguments, dict):
                arguments.setdefault("stream_options", {"include_usage": True})
        return event_id

    def on_event_end(
        self,
        event_type: CBEventType,
        payload: dict[str, Any] | None = None,
        event_id: str = "",
        **kwargs: Any,
    ) -> None:
        """Have nothing to do with the end of a call."""

    def start_trace(self, trace_id: str | None = None) -> None:
        """Have nothing to do with traces."""

    def end_trace(self, trace_id: str | None = None, trace_map: dict[str, list[str]] | None = None) -> None:
        """Have nothing to do with traces."""


def can_report_usage(span: Span) -> bool:
    """Whether a span is a stream of a model that reports usage where it is asked to."""
    if span.model is None or span.method not in _STREAMS:
        return False
    kind = kind_of(span.model)
    if kind.is_azure:
        return str(getattr(span.model, "api_version", "") or "") >= _FIRST_AZURE_VERSION
    return kind.is_openai
