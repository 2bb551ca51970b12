"""Turn the start and the end of provider calls into records, each call once."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from typing import Any

from tokenomics_core.errors import TokenomicsError
from tokenomics_core.observability._billing import outcome_of, was_sent
from tokenomics_core.observability._metrics_feed import feed
from tokenomics_core.observability._savings_call import CombinedSaving, part_tags
from tokenomics_core.protocols import Pricer
from tokenomics_core.types import Attribution, Cost, Outcome, Source, SpendRecord, Usage

__all__ = ["CallEnd", "CallStart", "CallTracker", "in_event_loop", "withdraw_call"]

_log = logging.getLogger("tokenomics")
_ZERO = Decimal(0)
_FROM_CACHE = "answered from a cache"
_NO_CALL = "no call of its own"
Saving = Callable[[str, Usage, Decimal | None, Outcome], Decimal | None]
_UNKNOWN = Cost(total_usd=None, source="unknown model")
_trackers: weakref.WeakSet[CallTracker] = weakref.WeakSet()
_trackers_lock = threading.RLock()


@dataclass(slots=True, kw_only=True)
class CallStart:
    """What is known of a call when it begins.

    Attributes:
        key: Names the call; the same for every tracker that sees it.
        model: The model asked for; None where the framework does not tell.
        provider: The provider, as the framework names it.
        attribution: Who the call is for.
        prompt: Text or messages as the framework holds them; counted only where no usage is reported.
        tools: Tool schemas sent along, counted with the prompt.
        cache_control: What the request as a whole asks of the provider's prompt cache.
        prompts: How many prompts were sent in one go, of which this is one.
        operation: `chat`, `completion`, `embedding`.
        source: `model`, or `batch` for a call through a batch endpoint.
        service_tier: The tier asked for, where the caller set one.
        streaming: Whether the answer is known to arrive in pieces.
        arrived: Whether a piece of the answer has arrived.
        owned: Whether the task that begins the call is the one that awaits its answer; the call is then
            cancelled when that task is over.
        group: The run that the call belongs to; see `CallTracker.cancel`.
        batch: What it shares with calls that are made one after the other and fail together; see
            `CallTracker.fail`.
        id: Names its record, where that is not the key: a caller may use the key of an earlier call again.
        saving: Tells from its key, what it consumed, what it cost and how it ended what was saved by choosing
            its model, below 0 where that cost more; None for a model that nobody chose.
        avoided_by: What saved it.
        credited: Told who has put a saving on the bill, and what takes an amount of it back if the answer is
            never used.
    """

    key: str
    model: str | None = None
    provider: str | None = None
    attribution: Attribution = field(default_factory=Attribution)
    prompt: Any = None
    tools: Any = None
    cache_control: Any = None
    prompts: int = 1
    operation: str = "chat"
    source: Source = "model"
    service_tier: str | None = None
    streaming: bool = False
    arrived: bool = False
    owned: bool = True
    group: str | None = None
    batch: str | None = None
    started_s: float = 0.0
    task: asyncio.Task[Any] | None = None
    id: str | None = None
    saving: Saving | None = None
    avoided_by: str = "route"
    credited: Callable[[object, Callable[[Decimal], None]], None] | None = None


@dataclass(slots=True, kw_only=True)
class CallEnd:
    """What is known of a call when it has ended.

    Attributes:
        usage: What the provider reported; None where it reported nothing.
        model: The model that answered, where the provider names it.
        provider: The provider, where only the answer tells.
        output: The answer's text with the calls of tools in it, or a function that returns it; counted only
            where no usage is reported.
        from_cache: Whether the answer came from a cache and cost nothing.
        reported_usd: The provider's own figure for the cost; it wins over a computed one.
        outcome: How the call ended.
        content: Prompt and answer as text, if its owner asked to keep them.
    """

    usage: Usage | None = None
    model: str | None = None
    provider: str | None = None
    output: Any = None
    from_cache: bool = False
    reported_usd: Decimal | None = None
    outcome: Outcome = "ok"
    content: str | None = None


class CallTracker:
    """Pair starts with ends and hand every finished call to a sink as a `SpendRecord`.

    Safe for any number of threads and tasks. Nothing here raises into the call that is watched: a failure is
    logged and counted in `failures`.

    Args:
        sink: Where records go.
        prices: What calls cost.
        clock: Tells the time of a record.
        timer: Measures how long a call takes, in seconds.
        on_failure: Called at each failure.
        bills: Whether the records are lines of a bill, which installed metrics then measure, once per call;
            not so where a tracker only listens, to settle a budget or to teach a router.
    """

    def __init__(
        self,
        sink: Callable[[SpendRecord], None],
        *,
        prices: Pricer,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        timer: Callable[[], float] = time.perf_counter,
        on_failure: Callable[[], None] | None = None,
        bills: bool = False,
    ) -> None:
        self._sink = sink
        self._on_failure = on_failure
        self._bills = bills
        self.prices = prices
        self._clock = clock
        self._timer = timer
        self._open: dict[str, CallStart] = {}
        self._watched: weakref.WeakSet[asyncio.Task[Any]] = weakref.WeakSet()
        self._lock = threading.RLock()
        self.failures = 0
        with _trackers_lock:
            _trackers.add(self)

    def start(self, call: CallStart) -> None:
        """Note that a call has begun."""
        call.started_s = self._timer()
        task = _current_task() if call.owned else None
        self._open[call.key] = call
        if task is not None:
            call.task = task
            if task not in self._watched:
                self._watched.add(task)
                task.add_done_callback(self._task_done)

    def stream(self, key: str, *, arrived: bool = False) -> None:
        """Note that a call's answer arrives in pieces: an open stream may still be read later.

        Args:
            key: The call.
            arrived: Whether a piece is there already, so that the provider surely had the call.
        """
        call = self._open.get(key)
        if call is not None:
            call.streaming = True
            call.arrived = call.arrived or arrived

    def peek(self, key: str) -> CallStart | None:
        """Return an open call, or None where none of this name has begun or it has ended."""
        return self._open.get(key)

    def finish(self, key: str, end: CallEnd, *, fallback: CallStart | None = None) -> None:
        """Record a call that has ended; `fallback` describes one whose start nobody saw."""
        call = self._open.pop(key, None) or fallback
        if call is None:
            return
        self._record(call, end)

    def fail(self, key: str, error: BaseException, *, end: CallEnd | None = None) -> None:
        """Record a call that raised, as far as it is paid for.

        With output that had arrived, or usage, the call is billed for that; without, its input is billed
        where the provider had received it (a piece of the answer was seen, or see `was_sent`), and nothing is
        recorded where it had not.
        Of the calls of its batch those begun earlier were answered, and their answers are lost: their input
        is billed. Those begun later were never sent.
        """
        call = self._open.get(key)
        if call is None:
            return
        if call.batch is not None:
            self._end_batch(call)
        self._open.pop(key, None)
        if end is not None and (end.output or end.usage is not None):
            self._record(call, replace(end, outcome=outcome_of(error)))
        elif call.arrived or was_sent(error):
            self._record(call, CallEnd(outcome=outcome_of(error)))

    def cancel(self, group: str) -> None:
        """Record every open call of a run that was cancelled as a whole."""
        for key, call in list(self._open.items()):
            if call.group == group:
                self._drop(key)

    def discard(self, key: str) -> None:
        """Forget a call that turned out not to be one."""
        self._open.pop(key, None)

    def close(self) -> None:
        """Record what was cancelled without a word: calls whose task is over, or is the one that asks.

        A stream that is still open, and a call that still runs in a thread or task, stays open and is
        recorded when it ends.
        """
        here = _current_task()
        for key, call in list(self._open.items()):
            if call.task is not None and (call.task.done() or call.task is here):
                self._drop(key)

    def _end_batch(self, failed: CallStart) -> None:
        answered = True
        for key, call in list(self._open.items()):
            if call is failed:
                answered = False
            elif call.batch == failed.batch and answered:
                self.finish(key, CallEnd(outcome="error"))
            elif call.batch == failed.batch:
                self.discard(key)

    def _task_done(self, task: asyncio.Task[Any]) -> None:
        for key, call in list(self._open.items()):
            if call.task is task:
                self._drop(key)

    def _drop(self, key: str) -> None:
        call = self._open.get(key)
        if call is not None and not call.streaming:
            self.finish(key, CallEnd(outcome="cancelled"))

    def _record(self, call: CallStart, end: CallEnd) -> None:
        try:
            record = self._settle(call, end)
            self._sink(record)
            if self._bills and feed.listeners:
                feed.tell(record, call.model)
        except Exception:  # noqa: BLE001 - an observer may not break the call it watches
            self.count_failure()

    def count_failure(self) -> None:
        """Count an exception that is being handled, and log the first one."""
        with self._lock:
            self.failures += 1
            first = self.failures == 1
        if first:
            _log.exception("a call could not be recorded as it should; the call itself is not affected")
        if self._on_failure is not None:
            self._on_failure()

    def _settle(self, call: CallStart, end: CallEnd) -> SpendRecord:
        at = self._clock()
        try:
            usage = _complete(call, end)
        except Exception:  # noqa: BLE001 - a count that cannot be had may not lose the call
            self.count_failure()
            usage = end.usage or Usage()
        model = end.model or call.model or "unknown"
        provider = end.provider or call.provider
        who = call.attribution
        if end.from_cache:
            avoided = self._price(call, end, usage, at).total_usd if usage.is_reported else None
            cost = None
            total: Decimal | None = _ZERO
        else:
            cost, avoided = self._price(call, end, usage, at), None
            total = cost.total_usd
            if call.saving is not None:
                avoided, tags = self._saved(call.saving, call.key, usage, total, end.outcome)
                if tags:
                    who = who.merge(Attribution(tags=tags))
        record = SpendRecord(
            at=at,
            model=model,
            provider=provider if provider is not None or cost is None else cost.provider,
            usage=usage,
            cost_usd=total,
            price_source=cost.source if cost is not None else _FROM_CACHE,
            attribution=who,
            source="cache" if end.from_cache else call.source,
            operation=call.operation,
            outcome=end.outcome,
            estimated=usage.estimated,
            latency_s=max(0.0, self._timer() - call.started_s) if call.started_s else None,
            avoided_usd=avoided,
            avoided_by="cache" if end.from_cache else call.avoided_by if call.saving is not None else None,
            notes=(*usage.notes, *cost.notes) if cost is not None else usage.notes,
            id=call.id or call.key,
            content=end.content,
        )
        if call.credited is not None and call.saving is not None and total is not None and not end.from_cache:
            call.credited(self, partial(self._take_back, record))
        return record

    def _take_back(self, record: SpendRecord, amount_usd: Decimal) -> None:
        """Put a line on the bill that takes back a saving of which nothing came."""
        try:
            self._sink(
                replace(
                    record,
                    at=self._clock(),
                    usage=Usage(input_tokens=0, output_tokens=0),
                    cost_usd=_ZERO,
                    price_source=_NO_CALL,
                    operation="correction",
                    estimated=False,
                    latency_s=None,
                    avoided_usd=-amount_usd,
                    avoided_by="route",
                    notes=("takes back what was credited to an answer that was never used",),
                    id=f"{record.id}-correction",
                    content=None,
                )
            )
        except Exception:  # noqa: BLE001 - an observer may not break the call it watches
            self.count_failure()

    def _saved(
        self, saving: Saving, key: str, usage: Usage, cost_usd: Decimal | None, outcome: Outcome
    ) -> tuple[Decimal | None, dict[str, str]]:
        """Return what was saved, and the tags that say by what where several mechanisms saved."""
        try:
            if not isinstance(saving, CombinedSaving):
                return saving(key, usage, cost_usd, outcome), {}
            parts = saving.parts(key, usage, cost_usd, outcome)
            return (sum(parts.values(), _ZERO) if parts else None), part_tags(parts)
        except Exception:  # noqa: BLE001 - a saving that cannot be told may not lose the call
            self.count_failure()
            return None, {}

    def _price(self, call: CallStart, end: CallEnd, usage: Usage, at: datetime) -> Cost:
        provider = end.provider or call.provider
        if end.reported_usd is not None and not end.from_cache:
            return Cost(total_usd=end.reported_usd, source="reported by the provider")
        cost = self._price_of(end.model, usage, provider, at)
        if not cost.is_known and call.model is not None and call.model != end.model:
            asked = self._price_of(call.model, usage, provider, at)
            return asked if asked.is_known or end.model is None else cost
        return cost

    def _price_of(self, model: str | None, usage: Usage, provider: str | None, at: datetime) -> Cost:
        if not model:
            return _UNKNOWN
        try:
            return self.prices.cost(usage, model, provider, at)
        except TokenomicsError as error:
            return replace(_UNKNOWN, notes=(str(error),))
        except Exception as error:  # noqa: BLE001 - a price that cannot be had may not lose the call
            self.count_failure()
            return replace(_UNKNOWN, notes=(f"pricing failed: {error!r}",))


def withdraw_call(key: str) -> None:
    """Tell every tracker that a call which has begun is not made: somebody who was asked later refused it."""
    with _trackers_lock:
        trackers = list(_trackers)
    for tracker in trackers:
        tracker.discard(key)


def in_event_loop() -> bool:
    """Whether the caller runs inside an event loop."""
    # Asked for every call that is tracked; `get_running_loop` would raise, which is slower than all the rest.
    return asyncio._get_running_loop() is not None  # noqa: SLF001 - part of asyncio's documented interface


def _current_task() -> asyncio.Task[Any] | None:
    return asyncio.current_task() if in_event_loop() else None


def _complete(call: CallStart, end: CallEnd) -> Usage:
    usage = end.usage or Usage()
    if call.source == "batch" and not usage.batch:
        usage = replace(usage, batch=True)
    if usage.service_tier is None and call.service_tier is not None:
        usage = replace(usage, service_tier=call.service_tier)
    needs_input = usage.input_tokens is None and not usage.extras
    needs_output = usage.output_tokens is None and call.operation != "embedding" and not usage.extras
    cut_short = end.outcome != "ok" and bool(end.output)
    if end.from_cache or not (needs_input or needs_output or cut_short):
        return usage
    return _estimate(call, end, usage, needs_input=needs_input, needs_output=needs_output or cut_short)


def _estimate(call: CallStart, end: CallEnd, usage: Usage, *, needs_input: bool, needs_output: bool) -> Usage:
    from tokenomics_core.tokens import count_tokens  # noqa: PLC0415 - the counter is needed by few calls

    name = end.model or call.model
    if needs_input and call.prompt is not None:
        tokens = int(count_tokens(call.prompt, name, provider=call.provider, tools=call.tools))
        usage = replace(usage, input_tokens=tokens, estimated=True)
    if needs_output:
        text = end.output() if callable(end.output) else end.output
        tokens = int(count_tokens(text, name, provider=call.provider)) if text else 0
        # A stream that was cut may have reported the tokens of its first event only.
        usage = replace(usage, output_tokens=max(tokens, usage.output_tokens or 0), estimated=True)
    return usage
