"""A callback handler that prices every model call of a chain, an agent or a batch."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any
from uuid import UUID

from langchain_core.messages import BaseMessage
from langchain_core.outputs import LLMResult

from langchain_tokenomics._cache_mark import HIT_EVENT
from langchain_tokenomics._context_ledger import saved_by
from langchain_tokenomics._messages import (
    attribution_of,
    call_end,
    lifetimes_of,
    model_of,
    provider_of,
    shares_a_bill,
    stopped_at_a_token,
    text_of,
    usage_of_error,
)
from langchain_tokenomics._record_ids import RecordIds
from langchain_tokenomics._route_ledger import routed_by
from langchain_tokenomics._runs import RunTree
from tokenomics_core.errors import TokenomicsError
from tokenomics_core.observability import (
    CallEnd,
    CallStart,
    CallTracker,
    CostReport,
    CostScope,
    LedgerWriter,
    in_event_loop,
    withdraw_call,
)
from tokenomics_core.pricing import PriceBook, default_price_book
from tokenomics_core.protocols import Ledger, Pricer
from tokenomics_core.types import Attribution, SpendRecord, Usage
from tokenomics_core.usage import split_writes

__all__ = ["BlockCallbackHandler", "CostCallbackHandler", "ModelCallHandler"]

_TIERS = frozenset({"flex", "priority", "fast"})
_ids = RecordIds()


class ModelCallHandler(RunTree):
    """Hand the start and the end of every model call to a tracker, on every path LangChain has."""

    _tracker: CallTracker
    _keep_content = False

    def on_chat_model_start(
        self,
        serialized: dict[str, Any],
        messages: list[list[BaseMessage]],
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        metadata: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Note that a chat model was asked."""
        prompt = messages[0] if messages else None
        self._start("chat", prompt, run_id, parent_run_id, metadata, kwargs)

    def on_llm_start(
        self,
        serialized: dict[str, Any],
        prompts: list[str],
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        metadata: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Note that a text model was asked."""
        prompt = prompts[0] if prompts else None
        self._start("completion", prompt, run_id, parent_run_id, metadata, kwargs)

    def on_llm_new_token(
        self, token: str | list[str | dict[str, Any]], *, run_id: UUID, **kwargs: Any
    ) -> None:
        """Note that an answer arrives in pieces."""
        self._tracker.stream(run_id.hex, arrived=True)

    def on_llm_end(self, response: LLMResult, *, run_id: UUID, **kwargs: Any) -> None:
        """Record a finished call."""
        self._guarded(self._end, run_id, response)

    def on_llm_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        """Record what a failed or aborted call still costs."""
        self._guarded(self._fail, run_id, error, kwargs.get("response"))

    def on_run_cancelled(self, root: UUID) -> None:
        """Record the calls that were open when their whole run was cancelled."""
        self._guarded(self._tracker.cancel, root.hex)

    def _start(
        self,
        operation: str,
        prompt: Any,
        run_id: UUID,
        parent_run_id: UUID | None,
        metadata: dict[str, Any] | None,
        kwargs: dict[str, Any],
    ) -> None:
        raise NotImplementedError

    def _call(
        self,
        operation: str,
        prompt: Any,
        run_id: UUID,
        parent_run_id: UUID | None,
        metadata: dict[str, Any],
        kwargs: dict[str, Any],
    ) -> CallStart:
        params = kwargs.get("invocation_params") or {}
        key = run_id.hex
        root = self.root_of(run_id, parent_run_id).hex
        tier = params.get("service_tier")
        prompts = kwargs.get("batch_size", 1)
        batch = prompts > 1 and not in_event_loop()
        who = attribution_of(metadata, root)
        model, provider = model_of(params, metadata), provider_of(metadata)
        saving, credited, tags = routed_by(metadata)
        saving, avoided_by, avoided_tokens = saved_by(
            saving, prompt, metadata, getattr(self, "_prices", None), model, provider
        )
        if avoided_tokens:
            tags = {**tags, "compress_tokens_avoided": str(avoided_tokens)}
        if tags:
            who = who.merge(Attribution(tags=tags))
        return CallStart(
            key=key,
            id=_ids.of(key),
            model=model,
            provider=provider,
            attribution=who,
            prompt=prompt,
            tools=params.get("tools"),
            cache_control=params.get("cache_control"),
            prompts=prompts,
            operation=operation,
            source="batch" if metadata.get("batch") is True else "model",
            service_tier=tier if isinstance(tier, str) and tier in _TIERS else None,
            # A text model's start is told by a task of its own, and its cancellation is told too.
            owned=operation == "chat",
            group=root,
            batch=str(threading.get_ident()) if batch else None,
            saving=saving,
            avoided_by=avoided_by,
            credited=credited,
        )

    def _end(self, run_id: UUID, response: LLMResult) -> None:
        key = run_id.hex
        _ids.end(key)
        call = self._tracker.peek(key)
        if call is not None and call.prompts > 1 and shares_a_bill(response):
            self._tracker.discard(key)
            return
        end = call_end(response)
        if call is not None and end.usage is not None and end.usage.cache_write_tokens:
            end.usage = split_writes(end.usage, lifetimes_of(call))
        self._add_content(key, end)
        self._tracker.finish(key, end)

    def _fail(self, run_id: UUID, error: BaseException, response: LLMResult | None) -> None:
        key = run_id.hex
        _ids.end(key)
        end = usage_of_error(error)
        if end is None and response is not None:
            end = call_end(response)
        if end is not None:
            self._add_content(key, end)
        if stopped_at_a_token(error):
            self._tracker.stream(key, arrived=True)
        self._tracker.fail(key, error, end=end)

    def _add_content(self, key: str, end: CallEnd) -> None:
        if self._keep_content:
            call = self._tracker.peek(key)
            end.content = text_of(call.prompt if call is not None else "", end.output)

    def _guarded(self, step: Callable[..., Any], *args: Any) -> None:
        try:
            step(*args)
        except Exception:  # noqa: BLE001 - an observer may not break the call it watches
            self._tracker.count_failure()


class CostCallbackHandler(ModelCallHandler):
    """Record what each model call costs, on every path LangChain has.

    Pass it in a config (`{"callbacks": [handler]}`) or to a model's constructor. Calls are attributed from
    `attribution(...)` and from the config's metadata: `user_id`, `feature`, `project`, `conversation_id`,
    `thread_id`. A call through a batch endpoint says so with the metadata `{"batch": True}`.

    Args:
        ledger: Where records are kept. Without one they are kept in `handler.report`.
        prices: What calls cost; the shared price book where none is given. With
            `PriceBook(unknown="raise")` a call of an unknown model is refused before it is sent.
        report: A report to fill as well.
        keep_content: Whether prompts and answers are kept in the records.
    """

    run_inline = True

    def __init__(
        self,
        ledger: Ledger | None = None,
        *,
        prices: Pricer | None = None,
        report: CostReport | None = None,
        keep_content: bool = False,
    ) -> None:
        RunTree.__init__(self)
        prices = prices if prices is not None else default_price_book()
        self.report = CostReport(prices=prices) if ledger is None and report is None else report
        failed = self.report.count_failure if self.report is not None else None
        self._writer = LedgerWriter(ledger, on_failure=failed) if ledger is not None else None
        tracker = CallTracker(self._keep, prices=prices, on_failure=failed, bills=True)
        self._watch(tracker, prices, keep_content=keep_content)

    def _watch(self, tracker: CallTracker, prices: Pricer, *, keep_content: bool) -> None:
        self._tracker = tracker
        self._prices = prices
        self._keep_content = keep_content
        self.raise_error = isinstance(prices, PriceBook) and prices.unknown == "raise"
        if isinstance(prices, PriceBook):
            prices.load()

    @property
    def failures(self) -> int:
        """How many calls could not be priced, recorded or written to the ledger as they should."""
        return self._tracker.failures + (self._writer.failures if self._writer is not None else 0)

    def flush(self) -> None:
        """Wait for records that are still being written, and record calls that were cancelled silently."""
        self._tracker.close()
        if self._writer is not None:
            self._writer.flush()

    async def aflush(self) -> None:
        """Do the same without blocking the event loop."""
        self._tracker.close()
        if self._writer is not None:
            await self._writer.aflush()

    def _keep(self, record: SpendRecord) -> None:
        if self.report is not None:
            self.report.add(record)
        if self._writer is not None:
            self._writer.write(record)

    def on_custom_event(
        self, name: str, data: Any, *, run_id: UUID, metadata: dict[str, Any] | None = None, **kwargs: Any
    ) -> None:
        """Record a chain that was answered from the cache as a whole."""
        if name == HIT_EVENT:
            self._guarded(self._hit, data, run_id, metadata or {})

    def _hit(self, data: dict[str, Any], run_id: UUID, metadata: dict[str, Any]) -> None:
        usage = data.get("usage")
        start = CallStart(
            key=f"{run_id.hex}-hit",
            model=data.get("model"),
            attribution=attribution_of(metadata, self.root_of(run_id, run_id).hex),
            operation="chain",
        )
        end = CallEnd(usage=None if usage is None else Usage.from_dict(usage), from_cache=True)
        self._tracker.finish(start.key, end, fallback=start)

    def _start(
        self,
        operation: str,
        prompt: Any,
        run_id: UUID,
        parent_run_id: UUID | None,
        metadata: dict[str, Any] | None,
        kwargs: dict[str, Any],
    ) -> None:
        known = metadata or {}
        if self.raise_error and isinstance(self._prices, PriceBook):
            model = model_of(kwargs.get("invocation_params") or {}, known)
            if model is not None:
                _refuse_unknown(self._prices, model, provider_of(known), run_id)
        self._guarded(self._open, operation, prompt, run_id, parent_run_id, known, kwargs)

    def _open(self, *call: Any) -> None:
        self._tracker.start(self._call(*call))


class BlockCallbackHandler(CostCallbackHandler):
    """Report to an open `track_cost` block."""

    def __init__(self, scope: CostScope) -> None:
        RunTree.__init__(self)
        self.report, self._writer = scope.report, scope.writer
        self._watch(scope.tracker, scope.prices, keep_content=scope.keep_content)


def _refuse_unknown(prices: PriceBook, model: str, provider: str | None, run_id: UUID) -> None:
    try:
        prices.price(model, provider)
    except TokenomicsError:
        withdraw_call(run_id.hex)
        raise
