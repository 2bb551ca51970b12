"""Translate LlamaIndex's events and spans into calls that began, went on and ended."""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, Callable, Generator
from typing import Any

from llama_index.core.base.response.schema import AsyncStreamingResponse, StreamingResponse
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.instrumentation.events import BaseEvent
from llama_index.core.instrumentation.span import BaseSpan
from llama_index.core.instrumentation.span_handlers import BaseSpanHandler
from pydantic import BaseModel, Field

__all__ = ["EventListener", "SpanListener"]

_STREAMS = (Generator, AsyncGenerator, StreamingResponse, AsyncStreamingResponse)


# LlamaIndex's handlers are pydantic models. What they hold are fields, since private attributes are slow to
# read and every event of a process passes here.
class EventListener(BaseEventHandler):
    """Hand each event to the step for its type; what a step raises never reaches LlamaIndex."""

    steps: dict[type[BaseEvent], Callable[[Any], None]] = Field(exclude=True, repr=False)
    failed: Callable[[], None] = Field(exclude=True, repr=False)

    @classmethod
    def class_name(cls) -> str:
        """Return the name under which LlamaIndex lists this handler."""
        return "TokenomicsEventListener"

    def handle(self, event: BaseEvent, **kwargs: Any) -> None:
        """Take one event."""
        step = self.steps.get(type(event))
        if step is None:
            return
        try:
            step(event)
        except Exception:  # noqa: BLE001 - an observer may not break the call it watches
            self.failed()


class SpanListener(BaseSpanHandler[BaseSpan]):
    """Hand over the beginning and the end of every traced function; keeps no spans itself."""

    enter: Callable[[str, str | None, object], None] = Field(exclude=True, repr=False)
    leave: Callable[[str, object], None] = Field(exclude=True, repr=False)
    """Takes a stream that goes on after the end of its span, or a response that holds one; else None."""
    drop: Callable[[str, BaseException | None], None] = Field(exclude=True, repr=False)
    failed: Callable[[], None] = Field(exclude=True, repr=False)
    arguments: Callable[[str, str | None, object, inspect.BoundArguments], None] | None = Field(
        default=None, exclude=True, repr=False
    )

    def __init__(
        self,
        *,
        enter: Callable[[str, str | None, object], None],
        leave: Callable[[str, object], None],
        drop: Callable[[str, BaseException | None], None],
        failed: Callable[[], None],
        arguments: Callable[[str, str | None, object, inspect.BoundArguments], None] | None = None,
    ) -> None:
        # The base class's constructor knows its own fields only.
        BaseModel.__init__(self, enter=enter, leave=leave, drop=drop, failed=failed, arguments=arguments)

    @classmethod
    def class_name(cls) -> str:
        """Return the name under which LlamaIndex lists this handler."""
        return "TokenomicsSpanListener"

    def span_enter(
        self,
        id_: str,
        bound_args: inspect.BoundArguments,
        instance: Any | None = None,
        parent_id: str | None = None,
        tags: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Take the beginning of a span."""
        try:
            self.enter(id_, parent_id, instance)
            if self.arguments is not None:
                self.arguments(id_, parent_id, instance, bound_args)
        except Exception:  # noqa: BLE001 - an observer may not break the call it watches
            self.failed()

    def span_exit(
        self,
        id_: str,
        bound_args: inspect.BoundArguments,
        instance: Any | None = None,
        result: Any | None = None,
        **kwargs: Any,
    ) -> None:
        """Take the end of a span; a stream goes on after it."""
        try:
            self.leave(id_, result if isinstance(result, _STREAMS) else None)
        except Exception:  # noqa: BLE001 - an observer may not break the call it watches
            self.failed()

    def span_drop(
        self,
        id_: str,
        bound_args: inspect.BoundArguments,
        instance: Any | None = None,
        err: BaseException | None = None,
        **kwargs: Any,
    ) -> None:
        """Take the end of a span that raised."""
        try:
            self.drop(id_, err)
        except Exception:  # noqa: BLE001 - an observer may not break the call it watches
            self.failed()

    def new_span(
        self,
        id_: str,
        bound_args: inspect.BoundArguments,
        instance: Any | None = None,
        parent_span_id: str | None = None,
        tags: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Create nothing: what is needed of a span is taken when it begins."""

    def prepare_to_exit_span(
        self,
        id_: str,
        bound_args: inspect.BoundArguments,
        instance: Any | None = None,
        result: Any | None = None,
        **kwargs: Any,
    ) -> None:
        """Have nothing to prepare."""

    def prepare_to_drop_span(
        self,
        id_: str,
        bound_args: inspect.BoundArguments,
        instance: Any | None = None,
        err: BaseException | None = None,
        **kwargs: Any,
    ) -> None:
        """Have nothing to prepare."""
