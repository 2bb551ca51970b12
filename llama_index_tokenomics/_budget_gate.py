"""Stand before every model of LlamaIndex, by the hook that it offers to rate limiters."""

from __future__ import annotations

import inspect
import threading
import weakref
from collections.abc import Sequence, Sized
from functools import partial
from typing import Any, Protocol

from llama_index.core.base.llms.base import BaseLLM
from llama_index.core.callbacks import CallbackManager, CBEventType, EventPayload
from llama_index.core.callbacks.base_handler import BaseCallbackHandler
from llama_index.core.instrumentation.span import active_span_id
from llama_index.core.rate_limiter import BaseRateLimiter
from llama_index.core.settings import Settings
from llama_index.core.tools import BaseTool
from llama_index_instrumentation import root_dispatcher

from llama_index_tokenomics._budget_asking import Asking
from llama_index_tokenomics._events import SpanListener
from llama_index_tokenomics._meter import Meter
from llama_index_tokenomics._models import kind_of
from llama_index_tokenomics._spans import Span
from llama_index_tokenomics.tracking import _METER

__all__ = ["GATE", "Gate", "GateLimiter", "Guard"]


class Guard(Protocol):
    """Something that may stop a call before it is sent."""

    def admit(self, span: Span, arguments: dict[str, Any]) -> None:
        """Return if the call may be sent; what is put into `arguments` is sent along."""

    async def aadmit(self, span: Span, arguments: dict[str, Any]) -> None:
        """Do what `admit` does."""

    def tool_call(self, span: Span, tool: BaseTool, arguments: inspect.BoundArguments) -> None:
        """Note that a tool is called, which nothing here can prevent."""

    def miss(self, span: Span) -> None:
        """Note that a model's method ended without asking, though it cannot have done so without a call."""


class Gate:
    """Put a limiter on every model at the beginning of its first call, and take all of them off again.

    LlamaIndex asks `model.rate_limiter` in every method that sends something, after it has told of the call
    and before it sends it; what the limiter raises reaches the caller. Observers cannot stop a call, but one
    sees the model before its method runs. A limiter that a model has goes on working in front of this one.
    """

    def __init__(self, meter: Meter) -> None:
        self.meter = meter
        self._guards: tuple[Guard, ...] = ()
        self._models: dict[int, weakref.ref[BaseLLM]] = {}
        self._reader = _ArgumentReader()
        self._asking = Asking()
        self._tools: dict[str, BaseTool] = {}
        self._lock = threading.RLock()
        meter.when_read = self._rest
        self._listener = SpanListener(
            enter=self._enter,
            leave=self._leave,
            drop=self._drop,
            failed=self._failed,
            arguments=self._tool_began,
        )

    @property
    def open_entries(self) -> int:
        """How much is remembered of models and of calls under way."""
        reader = self._reader
        kept: tuple[Sized, ...] = (self._models, self._asking, self._tools, reader.arguments, reader.managers)
        return sum(map(len, kept))

    def open(self, guard: Guard) -> None:
        """Have a guard asked before every call from now on."""
        with self._lock:
            if self._listener not in root_dispatcher.span_handlers:
                root_dispatcher.add_span_handler(self._listener)
                self._reader.is_open = True
            self._guards = (*self._guards, guard)

    def close(self, guard: Guard) -> None:
        """Ask a guard no more; after the last one nothing is left on any model.

        A stream that was returned while the guard was open and asks when it is read is still admitted by it;
        what stands on models stays until then.
        """
        with self._lock:
            self._guards = tuple(item for item in self._guards if item is not guard)
        self._rest()

    def _rest(self) -> None:
        with self._lock:
            if self._guards or self.meter.has_guarded_streams:
                return
            # A new list, since another thread may be walking the old one.
            listeners = root_dispatcher.span_handlers
            root_dispatcher.span_handlers = [item for item in listeners if item is not self._listener]
            for entry in list(self._models.values()):
                model = entry()
                if model is not None and isinstance(model.rate_limiter, GateLimiter):
                    model.rate_limiter = model.rate_limiter.before
            self._models.clear()
            self._asking.clear()
            self._tools.clear()
            self._reader.withdraw()

    def find(self) -> tuple[Span, Sequence[Guard], dict[str, Any]] | None:
        """Return the call that is about to be made here and who has to admit it; None where nobody has."""
        guards = self._guards_here()
        span = self.meter.find(active_span_id.get())
        if not guards or span is None or kind_of(span.model).is_wrapper:
            return None  # began before the guards, or passes the call on to a model that will be asked
        self._asking.asked(span)
        return span, guards, self._reader.arguments.pop(span.id, {})

    def _guards_here(self) -> list[Guard]:
        """Return the open guards, and those that were open when the query was made that is read here."""
        return [sink.guard for sink in self.meter.installed_here if sink.guard is not None]

    def _enter(self, id_: str, parent_id: str | None, instance: object) -> None:
        if not isinstance(instance, BaseLLM):
            return
        if not self._guards and not self.meter.has_guarded_streams:
            self._rest()  # the last stream was not read but collected
            return
        if not isinstance(instance.rate_limiter, GateLimiter):
            with self._lock:
                if not isinstance(instance.rate_limiter, GateLimiter):
                    instance.rate_limiter = GateLimiter(instance.rate_limiter)
        key = id(instance)
        if key not in self._models:
            with self._lock:
                self._models[key] = weakref.ref(instance, lambda _: self._models.pop(key, None))
        self._reader.attach(instance.callback_manager)
        if "structured_predict" in id_ and not getattr(type(instance), "passes_on", False):
            self._asking.began(id_, instance)

    def _tool_began(
        self, id_: str, parent_id: str | None, instance: object, arguments: inspect.BoundArguments
    ) -> None:
        if not isinstance(instance, BaseTool):
            return
        self._tools[id_] = instance
        if parent_id is not None and self._tools.get(parent_id) is instance:
            return  # the same call by another method of its class
        span = self.meter.find(id_)
        if span is not None:
            for guard in self._guards_here():
                guard.tool_call(span, instance, arguments)

    def _leave(self, id_: str, stream: object) -> None:
        self._tools.pop(id_, None)
        self._reader.arguments.pop(id_, None)
        if self._asking:
            self._asking.ended(id_, stream, partial(_missed, self._guards_here(), self.meter.find(id_)))

    def _drop(self, id_: str, _: object) -> None:
        self._tools.pop(id_, None)
        self._reader.arguments.pop(id_, None)
        self._asking.failed(id_)

    def _failed(self) -> None:
        """Have nothing to tell: a model that refuses a limiter shows in the guards' `unguarded_calls`."""


def _missed(guards: Sequence[Guard], span: Span | None) -> None:
    if span is not None:
        for guard in guards:
            guard.miss(span)


class GateLimiter(BaseRateLimiter):
    """Ask the open guards before a call, after the limiter that the model had.

    Attributes:
        before: The limiter that the model had.
    """

    def __init__(self, before: BaseRateLimiter | None) -> None:
        self.before = before

    def acquire(self, num_tokens: int = 0) -> None:
        """Return if the call may be sent."""
        call = GATE.find()
        if call is None:
            if self.before is not None:
                self.before.acquire(num_tokens)
            return
        span, guards, arguments = call
        try:
            if self.before is not None:
                self.before.acquire(num_tokens)
            for guard in guards:
                guard.admit(span, arguments)
        except BaseException:
            GATE.meter.withdraw(span.id)
            raise

    async def async_acquire(self, num_tokens: int = 0) -> None:
        """Do what `acquire` does without blocking the event loop."""
        call = GATE.find()
        if call is None:
            if self.before is not None:
                await self.before.async_acquire(num_tokens)
            return
        span, guards, arguments = call
        try:
            if self.before is not None:
                await self.before.async_acquire(num_tokens)
            for guard in guards:
                await guard.aadmit(span, arguments)
        except BaseException:
            GATE.meter.withdraw(span.id)
            raise


class _ArgumentReader(BaseCallbackHandler):
    """Keep the arguments that LlamaIndex is about to pass to a client, until the call is made.

    Callback handlers are handed the very dictionary, so that a bound on the answer can be put into it. One
    handler stands in each callback manager for as long as guards are open: taking it out between two calls
    would shift the list under a thread that walks it. Managers may share one list, so all that are seen are
    remembered; one that was made with LlamaIndex's `Settings` shares that of the manager there.
    """

    def __init__(self) -> None:
        super().__init__(event_starts_to_ignore=[], event_ends_to_ignore=list(CBEventType))
        self.arguments: dict[str, dict[str, Any]] = {}
        self.managers: dict[int, weakref.ref[CallbackManager]] = {}
        self.is_open = False

    def attach(self, manager: object) -> None:
        """Listen to a manager; a second time changes nothing."""
        key = id(manager)
        if not isinstance(manager, CallbackManager) or key in self.managers:
            return
        self.managers[key] = weakref.ref(manager, lambda _: self.managers.pop(key, None))
        if self not in manager.handlers:
            manager.handlers.append(self)

    def withdraw(self) -> None:
        """Listen to no manager any more."""
        self.is_open = False
        # Its getter would make a manager where there is none.
        managers = [vars(Settings).get("_callback_manager"), *(entry() for entry in self.managers.values())]
        for manager in managers:
            while manager is not None and self in manager.handlers:
                manager.handlers.remove(self)
        self.managers.clear()
        self.arguments.clear()

    def on_event_start(
        self,
        event_type: CBEventType,
        payload: dict[str, Any] | None = None,
        event_id: str = "",
        parent_id: str = "",
        **kwargs: Any,
    ) -> str:
        """Take the arguments of a call of a model."""
        span_id = active_span_id.get()
        arguments = (payload or {}).get(EventPayload.ADDITIONAL_KWARGS)
        if (
            self.is_open
            and event_type is CBEventType.LLM
            and span_id is not None
            and isinstance(arguments, dict)
        ):
            self.arguments[span_id] = arguments
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


GATE = Gate(_METER)
