"""The one observer of LlamaIndex in a process, shared by every block and every installed ledger."""

from __future__ import annotations

import logging
import threading
import weakref
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar, copy_context
from dataclasses import dataclass, replace
from typing import Any

from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.instrumentation.events import BaseEvent
from llama_index.core.instrumentation.events.embedding import EmbeddingEndEvent
from llama_index.core.instrumentation.events.exception import ExceptionEvent
from llama_index.core.instrumentation.events.llm import (
    LLMChatEndEvent,
    LLMChatInProgressEvent,
    LLMChatStartEvent,
    LLMCompletionEndEvent,
    LLMCompletionInProgressEvent,
    LLMCompletionStartEvent,
)
from llama_index.core.instrumentation.span import active_span_id
from llama_index_instrumentation.dispatcher import Dispatcher, active_instrument_tags

from llama_index_tokenomics._cache_event import CacheHitEvent
from llama_index_tokenomics._calls import CallBook, OpenCall, Sink
from llama_index_tokenomics._context_ledger import AVOIDED_TAG, saved_by
from llama_index_tokenomics._ends import read_end
from llama_index_tokenomics._events import EventListener, SpanListener
from llama_index_tokenomics._later import Lazy, Unread, read_in, reads_elsewhere
from llama_index_tokenomics._models import (
    Kind,
    cache_lifetimes,
    kind_of,
    name_of,
    provider_of,
    service_tier_of,
)
from llama_index_tokenomics._responses import attribution_of
from llama_index_tokenomics._routing_bill import bill_here
from llama_index_tokenomics._spans import Span, SpanTree
from llama_index_tokenomics._stream_usage import StreamUsage, can_report_usage
from tokenomics_core.observability import CallEnd, CallStart, CostScope, current_scope, is_metered
from tokenomics_core.protocols import Ledger, Pricer
from tokenomics_core.tokens import count_tokens
from tokenomics_core.types import Attribution, Usage, current_attribution

__all__ = ["Meter", "sink_of"]

_log = logging.getLogger("tokenomics")
_RUN_ID = "llamaindex.run_id"
_ANYTHING = Kind()


class Meter:
    """Turn what LlamaIndex tells into calls, and give them to whoever asked.

    Who asked is decided when a call begins, in the context of its caller: the open block there, and every
    sink installed for the process. A stream may be read later, elsewhere. Where an engine returns one that
    asks no model before it is read, that is decided when the engine returns it.

    Attributes:
        when_read: Called when such a stream was read for which guards are kept.
    """

    def __init__(self) -> None:
        self._installed: tuple[Sink, ...] = ()
        self._to_be_guarded: weakref.WeakSet[Unread] = weakref.WeakSet()
        self.when_read: Callable[[], None] = lambda: None
        self._lock = threading.RLock()
        self._spans = SpanTree()
        self._calls = CallBook(read_end)
        self._streams = StreamUsage()
        self._event_listener = EventListener(
            steps={
                LLMChatStartEvent: self._chat_began,
                LLMCompletionStartEvent: self._completion_began,
                LLMChatInProgressEvent: self._went_on,
                LLMCompletionInProgressEvent: self._went_on,
                LLMChatEndEvent: self._ended,
                LLMCompletionEndEvent: self._ended,
                ExceptionEvent: self._raised,
                EmbeddingEndEvent: self._embedded,
                CacheHitEvent: self._served,
            },
            failed=self._failed,
        )
        self._span_listener = SpanListener(
            enter=self._enter, leave=self._leave, drop=self._drop, failed=self._failed
        )

    @property
    def installed_here(self) -> tuple[Sink, ...]:
        """The sinks for the process, and those that were when the query was made that is read here."""
        carried = _carried.get()
        if carried is None:
            return self._installed
        return (*self._installed, *(sink for sink in carried.sinks if sink not in self._installed))

    @property
    def has_guarded_streams(self) -> bool:
        """Whether a stream that was not read yet may still begin a call that has to be admitted."""
        return bool(self._to_be_guarded)

    @property
    def open_entries(self) -> int:
        """How much is remembered of calls and spans that are under way, or ended a moment ago."""
        return len(self._calls) + len(self._streams) + len(self._spans)

    def attach(self, dispatcher: Dispatcher) -> None:
        """Listen to a dispatcher; a second time changes nothing."""
        with self._lock:
            if self._event_listener not in dispatcher.event_handlers:
                dispatcher.add_event_handler(self._event_listener)
            if self._span_listener not in dispatcher.span_handlers:
                dispatcher.add_span_handler(self._span_listener)

    def install(self, sink: Sink) -> None:
        """Give every call from now on to a sink."""
        with self._lock:
            self._installed = (*self._installed, sink)

    def uninstall(self, sink: Sink) -> None:
        """Give it no further calls; those under way are still recorded when they end."""
        with self._lock:
            self._installed = tuple(item for item in self._installed if item is not sink)

    def find(self, span_id: str | None) -> Span | None:
        """Return a span that is open, or ended a moment ago; None where it began unwatched."""
        return self._spans.find(span_id)

    def attribution_here(self) -> Attribution:
        """Return who a call that began here would be for."""
        return _attribution(self._spans.find(active_span_id.get()), active_instrument_tags.get())

    def withdraw(self, span_id: str) -> None:
        """Forget a call that began and was stopped before it was sent."""
        self._calls.discard(span_id)

    # Spans

    def _enter(self, id_: str, parent_id: str | None, instance: object) -> None:
        if not (self.installed_here or current_scope()):
            return
        carried = _carried.get()
        if carried is not None and carried.span.id == parent_id:
            self._spans.keep(carried.span)  # it may have ended long ago
        span = self._spans.enter(id_, parent_id, instance)
        if can_report_usage(span) and any(sink.stream_usage for sink in self._sinks()):
            self._streams.prepare(span)

    def _leave(self, id_: str, stream: object) -> None:
        span = self._spans.leave(id_)
        self._streams.release(id_)
        if isinstance(stream, Lazy):
            self._carry(span, stream)
        elif stream is not None:
            self._calls.attach(id_, stream)

    def _carry(self, span: Span | None, response: Lazy) -> None:
        """Have those who ask now be asked when a response is read."""
        if span is None or reads_elsewhere(response):
            return
        sinks = self.installed_here
        unread = Unread(self._was_read)
        if any(sink.guard is not None for sink in sinks):
            self._to_be_guarded.add(unread)
        context = copy_context()
        context.run(_carried.set, _Carried(sinks, span))
        read_in(context, response, unread)

    def _was_read(self, unread: Unread) -> None:
        if unread in self._to_be_guarded:
            self._to_be_guarded.discard(unread)
            self.when_read()

    def _drop(self, id_: str, error: BaseException | None) -> None:
        self._spans.leave(id_)
        self._streams.release(id_)
        self._calls.fail(id_, error if error is not None else RuntimeError("a span was dropped"))

    # Events

    def _chat_began(self, event: LLMChatStartEvent) -> None:
        self._begin(event, "chat", event.messages, event.model_dict, event.additional_kwargs)

    def _completion_began(self, event: LLMCompletionStartEvent) -> None:
        self._begin(event, "completion", event.prompt, event.model_dict, event.additional_kwargs)

    def _went_on(self, event: LLMChatInProgressEvent | LLMCompletionInProgressEvent) -> None:
        if event.span_id is not None:
            self._calls.progress(event.span_id, event.response)

    def _ended(self, event: LLMChatEndEvent | LLMCompletionEndEvent) -> None:
        if event.span_id is not None:
            self._calls.finish(event.span_id, event.response)

    def _raised(self, event: ExceptionEvent) -> None:
        if event.span_id is not None:
            self._calls.fail(event.span_id, event.exception)

    def _begin(
        self,
        event: BaseEvent,
        operation: str,
        prompt: Any,
        model_dict: Mapping[str, Any],
        arguments: Mapping[str, Any],
    ) -> None:
        if event.span_id is None or not (self.installed_here or current_scope()):
            return
        span = self._spans.find(event.span_id)
        model = span.model if span is not None else None
        kind = kind_of(model)
        if kind.is_wrapper:
            return
        provider = provider_of(model)
        bill, name, sinks = bill_here(), name_of(model, model_dict), self._sinks(kind)
        who = _attribution(span, event.tags)
        if bill is not None:
            who = bill.over(who)
        routed = None if bill is None else bill.saving_usd
        saving, avoided_by, avoided_tokens = saved_by(routed, prompt, _prices_of(sinks), name, provider)
        if avoided_tokens:
            who = who.merge(Attribution(tags={AVOIDED_TAG: str(avoided_tokens)}))
        start = CallStart(
            key=span.id if span is not None and span.is_model else event.id_,
            model=name,
            provider=provider,
            attribution=who,
            prompt=prompt,
            tools=arguments.get("tools"),
            operation=operation,
            service_tier=service_tier_of(model, arguments),
            streaming=span is not None and "stream" in span.method,
            saving=saving,
            avoided_by=avoided_by,
            credited=None if bill is None or bill.call is None else bill.call.credited,
        )
        call = OpenCall(
            start,
            sinks,
            lifetimes=cache_lifetimes(model, prompt, arguments) if provider == "anthropic" else frozenset(),
            is_lazy=kind.is_openai,
        )
        self._calls.begin(
            event.span_id, call, inside=[outer.id for outer in span.models_above] if span is not None else ()
        )

    def _embedded(self, event: EmbeddingEndEvent) -> None:
        span = self._spans.find(event.span_id)
        sinks = self._embedding_sinks()
        if span is None or not isinstance(span.model, BaseEmbedding):
            return
        for outer in span.models_above:
            outer.is_wrapper = True
        if not sinks or span.is_wrapper:
            return
        name, provider = span.model.model_name, provider_of(span.model)
        tokens = sum(int(count_tokens(chunk, name, provider=provider)) for chunk in event.chunks)
        start = CallStart(
            key=event.id_,
            model=name,
            provider=provider,
            attribution=_attribution(span, event.tags),
            operation="embedding",
        )
        end = CallEnd(usage=Usage(input_tokens=tokens, estimated=True))
        for sink in sinks:
            sink.tracker.finish(start.key, end, fallback=replace(start))

    def _served(self, event: CacheHitEvent) -> None:
        """Record an answer from the cache: it cost nothing, and is no call that a budget could have held."""
        start = CallStart(
            key=event.id_,
            model=event.model,
            provider=event.provider,
            attribution=_attribution(self._spans.find(event.span_id), event.tags),
            operation=event.operation,
        )
        end = CallEnd(usage=None if event.usage is None else Usage.from_dict(event.usage), from_cache=True)
        for sink in self._sinks():
            if sink.takes_hits:
                sink.tracker.finish(start.key, end, fallback=replace(start))

    # Who asked

    def _sinks(self, kind: Kind = _ANYTHING) -> tuple[Sink, ...]:
        scope, installed = current_scope(), self.installed_here
        if scope is None:
            return installed
        if kind.is_langchain and is_metered("langchain"):
            # The block hears of this call from LangChain, and so do the ledgers that it writes to.
            ledgers = _ledgers_of(scope)
            return tuple(sink for sink in installed if sink.ledger not in ledgers)
        return (scope.listener("llama_index", sink_of), *installed)

    def _embedding_sinks(self) -> list[Sink]:
        sinks = [sink for sink in self.installed_here if sink.embeddings]
        scope = current_scope()
        while scope is not None:
            sink = scope.listener("llama_index", sink_of)
            if sink.embeddings:  # the blocks around it hear of it from this one
                return [sink, *sinks]
            scope = scope.parent
        return sinks

    def _failed(self) -> None:
        sinks = self._sinks()
        for sink in sinks:
            sink.tracker.count_failure()
        if not sinks:
            _log.exception("an event of LlamaIndex could not be read; the call itself is not affected")


@dataclass(frozen=True, slots=True)
class _Carried:
    """Who was listening to a query that is read here, and its span."""

    sinks: tuple[Sink, ...]
    span: Span


_carried: ContextVar[_Carried | None] = ContextVar("tokenomics_llama_index_carried", default=None)


def sink_of(scope: CostScope) -> Sink:
    """Make the sink of a block that was opened without options for LlamaIndex."""
    return Sink(scope.tracker, keep_content=scope.keep_content)


def _prices_of(sinks: Sequence[Sink]) -> Pricer | None:
    """Return what prices the calls of whoever asked first."""
    return next((sink.tracker.prices for sink in sinks), None)


def _ledgers_of(scope: CostScope | None) -> list[Ledger]:
    found = []
    while scope is not None:
        if scope.writer is not None:
            found.append(scope.writer.ledger)
        scope = scope.parent
    return found


def _attribution(span: Span | None, tags: Mapping[str, Any]) -> Attribution:
    run = tags.get(_RUN_ID) or (span.root if span is not None else None)
    return (
        Attribution(run=None if run is None else str(run))
        .merge(current_attribution())
        .merge(attribution_of(tags))
    )
