"""Translate LlamaIndex's events and spans into calls that began, went on and ended."""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, Callable, Generator
from typing import Any

from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.instrumentation.events import BaseEvent
from llama_index.core.instrumentation.span import BaseSpan
from llama_index.core.instrumentation.span_handlers import BaseSpanHandler
from pydantic import PrivateAttr

__all__ = ["EventListener", "SpanListener"]


class EventListener(BaseEventHandler):
    """Hand each event to the step for its type; what a step raises never reaches LlamaIndex."""

    _steps: dict[type[BaseEvent], Callable[[Any], None]] = PrivateAttr(default_factory=dict)
    _failed: Callable[[], None] = PrivateAttr()

    def __init__(
        self, steps: dict[type[BaseEvent], Callable[[Any], None]], failed: Callable[[], None]
    ) -> None:
        super().__init__()
        self._steps, self._failed = steps, failed

    @classmethod
    def class_name(cls) -> str:
        """Return the name under which LlamaIndex lists this handler."""
        return "TokenomicsEventListener"

    def handle(self, event: BaseEvent, **kwargs: Any) -> None:
        """Take one event."""
        step = self._steps.get(type(event))
        if step is None:
            return
        try:
            step(event)
        except Exception:  # noqa: BLE001 - an observer may not break the call it watches
            self._failed()


class SpanListener(BaseSpanHandler[BaseSpan]):
    """Hand over the beginning and the end of every traced function; keeps no spans itself."""

    _enter: Callable[[str, str | None, object], None] = PrivateAttr()
    _leave: Callable[[str, object], None] = PrivateAttr()
    _drop: Callable[[str, BaseException | None], None] = PrivateAttr()
    _failed: Callable[[], None] = PrivateAttr()

    def __init__(
        self,
        enter: Callable[[str, str | None, object], None],
        leave: Callable[[str, object], None],
        drop: Callable[[str, BaseException | None], None],
        failed: Callable[[], None],
    ) -> None:
        super().__init__()
        self._enter, self._leave, self._drop, self._failed = enter, leave, drop, failed

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
            self._enter(id_, parent_id, instance)
        except Exception:  # noqa: BLE001 - an observer may not break the call it watches
            self._failed()

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
            self._leave(id_, result if isinstance(result, (Generator, AsyncGenerator)) else None)
        except Exception:  # noqa: BLE001 - an observer may not break the call it watches
            self._failed()

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
            self._drop(id_, err)
        except Exception:  # noqa: BLE001 - an observer may not break the call it watches
            self._failed()

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
