"""Stop LlamaIndex calls before they are sent, once a budget is spent."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from types import TracebackType
from typing import Any, Self

from llama_index.core.tools import BaseTool
from llama_index_instrumentation import root_dispatcher

from llama_index_tokenomics._budget_gate import GATE
from llama_index_tokenomics._budget_loops import LoopWatch
from llama_index_tokenomics._budget_shape import OutputRule, Request, bound_name, read_shape
from llama_index_tokenomics._budget_stops import Stops
from llama_index_tokenomics._budget_tracker import SettlingTracker
from llama_index_tokenomics._calls import Sink
from llama_index_tokenomics._models import kind_of
from llama_index_tokenomics._spans import Span
from tokenomics_core.budgets import Budgets, CallShape, LoopGuard, Reservation
from tokenomics_core.budgets._offer import offer
from tokenomics_core.errors import BudgetExceededError, ConfigurationError, StoreError, TokenomicsError
from tokenomics_core.pricing import PriceBook, default_price_book
from tokenomics_core.protocols import Pricer
from tokenomics_core.tokens import load_vocabulary
from tokenomics_core.types import Attribution

__all__ = ["BudgetGuard"]

MOST_OUTPUT_TOKENS = 4_096
"""What an answer that nobody bounded may take: room for about 3,000 words, and little enough that some calls
in flight do not set a whole day's limit aside. A choice, not a measurement."""

LEAST_OUTPUT_TOKENS = 256
"""Shorter answers are of little use; the same default as `CallShape` has."""


class BudgetGuard:
    """Refuses every LlamaIndex call that could pass a limit, before anything is sent.

    from llama_index_tokenomics import BudgetGuard

    with BudgetGuard(budgets) as guard:
        engine.query("How do I reset my password?")

    One guard covers each LLM of the process, made before it or after, in engines, agents and workflows, sync,
    async and streamed. A call's worst case is set aside in every limit that it touches, and replaced by what
    it took when it ends. A call that does not fit raises `BudgetExceededError`, and every later call of the
    same query, agent or workflow run does so too, since LlamaIndex swallows errors in some places.

    Attributes:
        budgets: What holds. Where they know no prices, they get those of the guard.
    """

    def __init__(
        self,
        budgets: Budgets,
        *,
        prices: Pricer | None = None,
        fit_output: bool = True,
        max_output_tokens: int = MOST_OUTPUT_TOKENS,
        min_output_tokens: int = LEAST_OUTPUT_TOKENS,
        stream_usage: bool = True,
        loop_guard: LoopGuard | None = None,
    ) -> None:
        """Prepare a guard; it does nothing before `install` or `with`.

        Args:
            budgets: The limits.
            prices: What calls cost; those of the budgets, or else the shared price book.
            fit_output: Whether a request that bounds its answer nowhere is told a bound, as far as its client
                takes one. Without it `max_output_tokens` is assumed, and a longer answer passes the limit.
            max_output_tokens: That bound; less where less is left.
            min_output_tokens: Where not even so much is left, the call is refused.
            stream_usage: Whether streams of OpenAI-style models are asked to report what they consumed. Turn
                it off for a server that refuses `stream_options`; such streams are then estimated.
            loop_guard: What ends a query's, an agent's or a workflow's run that calls one tool with the same
                arguments again and again, or spends ever faster. The call after that is refused; the tool
                call itself cannot be prevented.

        Raises:
            ConfigurationError: A number of tokens is below 1.
        """
        for name, value in (
            ("max_output_tokens", max_output_tokens),
            ("min_output_tokens", min_output_tokens),
        ):
            if type(value) is not int or value < 1:
                raise ConfigurationError(f"{name} must be a whole number of 1 or more, not {value!r}")
        self.budgets = budgets
        if budgets.prices is None:
            budgets.prices = prices if isinstance(prices, PriceBook) else default_price_book()
        if prices is None:
            prices = budgets.prices if isinstance(budgets.prices, Pricer) else default_price_book()
        self._prices = prices
        self._rule = OutputRule(
            most_tokens=max_output_tokens, least_tokens=min_output_tokens, fits=fit_output
        )
        self._bounds_each_request = any(limit.scope == "request" for limit in budgets.limits)
        self._stops = Stops()
        self._watch = None if loop_guard is None else LoopWatch(loop_guard, self._stops)
        self._tracker = SettlingTracker(budgets, prices=prices, watch=self._watch)
        self._sink = Sink(self._tracker, stream_usage=stream_usage, takes_hits=False, guard=self)
        self._is_installed = False

    # What happened

    @property
    def exceeded(self) -> tuple[BudgetExceededError, ...]:
        """The latest refusals, the oldest first: empty where no call was refused."""
        return self._stops.errors

    @property
    def refused_calls(self) -> int:
        """How many calls were refused, those of stopped runs included."""
        return self._stops.refused_calls

    @property
    def unguarded_calls(self) -> int:
        """How many calls ended that never asked, as a model does whose class has no limiter hook."""
        return self._tracker.unguarded_calls

    @property
    def failures(self) -> int:
        """How many calls could not be settled by what they took; they count at their worst case."""
        return self._tracker.failures

    def reraise(self) -> AbstractContextManager[None]:
        """Raise at the end of a block the first refusal in it, should LlamaIndex have swallowed it.

        Inside the block, every call after a refusal is refused.
        """
        return self._stops.reraise()

    def clear(self) -> None:
        """Forget refusals and let stopped runs go on, as after a grant."""
        self._stops.clear()

    # What is asked for

    def downgrade_to(self, attribution: Attribution | None = None) -> str | None:
        """Name the tier that a used-up limit with `action="downgrade:TIER"` asks for.

        None where none does, and where the store cannot be used: the call itself then tells what that means.

        Args:
            attribution: Who the call is for; None asks for a call that began here, with what instrument tags
                and the run around it say.
        """
        try:
            return self.budgets.left(attribution or GATE.meter.attribution_here()).downgrade_to
        except StoreError:
            return None

    async def adowngrade_to(self, attribution: Attribution | None = None) -> str | None:
        """Do what `downgrade_to` does."""
        try:
            left = await self.budgets.aleft(attribution or GATE.meter.attribution_here())
        except StoreError:
            return None
        return left.downgrade_to

    # Installation

    def install(self) -> Self:
        """Ask before every call from now on; a second time changes nothing."""
        if self._is_installed:
            return self
        self._is_installed = True
        for prices in {id(book): book for book in (self._prices, self.budgets.prices)}.values():
            if isinstance(prices, PriceBook):
                prices.load()
        load_vocabulary(download="background")
        GATE.meter.attach(root_dispatcher)
        GATE.meter.install(self._sink)
        GATE.open(self)
        return self

    def uninstall(self) -> None:
        """Ask no more, and wait for what is still being written; a second time changes nothing.

        What is under way is settled when it ends. No limiter or handler is left on any model.
        """
        if not self._is_installed:
            return
        self._is_installed = False
        GATE.close(self)
        GATE.meter.uninstall(self._sink)
        self._tracker.close()
        self.flush()

    def flush(self) -> None:
        """Wait for settlements that a worker thread is still writing."""
        self._tracker.flush()

    async def aflush(self) -> None:
        """Wait for the same without blocking the event loop."""
        await self._tracker.aflush()

    def __enter__(self) -> Self:
        return self.install()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.uninstall()

    async def __aenter__(self) -> Self:
        return self.install()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aflush()
        self.uninstall()

    # Each call

    def admit(self, span: Span, arguments: dict[str, Any]) -> None:
        """Set the worst case of a call aside; the gate asks this before the call is sent.

        Raises:
            BudgetExceededError: It does not fit, or its run was stopped before.
            TokenomicsError: It cannot be judged, or the store cannot be used; it was not sent.
        """
        request = self._request(span, arguments)
        if request is None:
            return
        self._tracker.flush()
        with self._judging(span, request) as shape:
            made = self.budgets.reserve_call(shape, request.start.attribution, sent=True)
        self._hold(span, request, shape, made)

    async def aadmit(self, span: Span, arguments: dict[str, Any]) -> None:
        """Do what `admit` does."""
        request = self._request(span, arguments)
        if request is None:
            return
        await self._tracker.aflush()
        with self._judging(span, request) as shape:
            made = await self.budgets.areserve_call(shape, request.start.attribution, sent=True)
        self._hold(span, request, shape, made)

    def tool_call(self, span: Span, tool: BaseTool, arguments: inspect.BoundArguments) -> None:
        """Tell the loop guard of a tool."""
        if self._watch is not None:
            self._watch.tool_call(span, tool, arguments)

    def miss(self, span: Span) -> None:
        """Count a call that a model made without asking."""
        self._tracker.miss(span.id.partition("-")[0])

    def _request(self, span: Span, arguments: dict[str, Any]) -> Request | None:
        if span.id in self._tracker.holds:
            return None  # the same call by another layer of its class
        start = self._tracker.peek(span.id)
        if start is None:
            if not self._is_installed:
                return None
            raise TokenomicsError(f"the call {span.id} could not be read; it was not sent")
        return Request(start, span.model, arguments)

    @contextmanager
    def _judging(self, span: Span, request: Request) -> Iterator[CallShape]:
        try:
            self._stops.check(span, request.start)
            yield read_shape(request, self._rule)
        except BudgetExceededError as error:
            self._stops.note(span, request.start, error)
            raise
        except ConfigurationError as error:
            # Engines answer "Empty Response" to a ValueError; a call that cannot be judged must not end so.
            raise TokenomicsError(str(error)) from error

    def _hold(self, span: Span, request: Request, shape: CallShape, made: Reservation) -> None:
        self._tracker.holds[request.start.key] = made
        if kind_of(request.model).is_langchain:
            # A LangChain handler of the same budgets sees this call too, and knows better what it takes.
            self._tracker.offers[request.start.key] = offer(self.budgets, made)
        if self._watch is not None:
            self._watch.hold(request.start.key, span)
        if not made.hold.accounts and not self._bounds_each_request:
            return
        name = bound_name(request)
        if shape.max_output_tokens is None and name is not None and made.max_output_tokens is not None:
            request.arguments[name] = made.max_output_tokens
