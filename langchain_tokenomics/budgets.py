"""Stop LangChain calls before they are sent, once a budget is spent."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

from langchain_tokenomics._budget_gate import BudgetExceededError, Cover, current_cover, gate_of
from langchain_tokenomics._budget_shape import answers_of, bound_of, read_shape
from langchain_tokenomics._cache_call import is_served_from_cache
from langchain_tokenomics._messages import attribution_of
from langchain_tokenomics._runs import RunTree
from langchain_tokenomics.callbacks import ModelCallHandler
from tokenomics_core.budgets import Budgets, MemoryBudgetStore, Reservation
from tokenomics_core.budgets._offer import take_offer
from tokenomics_core.errors import ConfigurationError
from tokenomics_core.observability import CallStart
from tokenomics_core.protocols import Pricer

__all__ = ["MAX_OUTPUT_TOKENS", "BudgetCallbackHandler", "BudgetExceededError"]

MAX_OUTPUT_TOKENS = 4_096
"""What an answer that nobody bounded is taken to have at most: room for about 3,000 words, and little enough
that some calls in flight do not set a whole day's limit aside. A choice, not a measurement."""


class BudgetCallbackHandler(ModelCallHandler):
    """Refuses every call that could pass a limit, on every path LangChain has, before anything is sent.

    chain.invoke(question, config={"callbacks": [BudgetCallbackHandler(budgets)]})

    A call's worst case is set aside in every limit that it touches and replaced by what it took when it ends;
    a call that does not fit raises `BudgetExceededError`. Calls are attributed as by `CostCallbackHandler`.
    Passed in a config the handler covers fallbacks and everything nested; passed to a model's constructor it
    covers that model. Handlers and middleware of the same budgets count each call once.

    A handler cannot change a request. The bound is real where the request carries one (`max_tokens`);
    elsewhere `max_output_tokens` is assumed, a longer answer is booked in full, and the next call refused.

    With a `MemoryBudgetStore` an event loop runs the handler in line; with any other store LangChain runs it
    in a worker thread and waits for it, so that no loop is blocked.
    """

    def __init__(
        self,
        budgets: Budgets,
        *,
        prices: Pricer | None = None,
        max_output_tokens: int | None = MAX_OUTPUT_TOKENS,
    ) -> None:
        """Prepare a handler.

        Args:
            budgets: What holds. Where they know no prices, they get those of the handler.
            prices: What calls cost; those of the budgets, or else the shared price book.
            max_output_tokens: What an answer is taken to have at most where the request does not say; None
                refuses such requests with a `ConfigurationError`.

        Raises:
            ConfigurationError: `max_output_tokens` is below 1, or other prices guard these budgets already.
        """
        RunTree.__init__(self)
        if max_output_tokens is not None and (type(max_output_tokens) is not int or max_output_tokens < 1):
            raise ConfigurationError(
                f"max_output_tokens must be a whole number of 1 or more, or None, not {max_output_tokens!r}"
            )
        self._gate = self._tracker = gate_of(budgets, prices)
        self._unbounded_tokens = max_output_tokens
        self.raise_error = True
        self.run_inline = isinstance(budgets.store, MemoryBudgetStore)

    @property
    def budgets(self) -> Budgets:
        """What holds."""
        return self._gate.budgets

    def flush(self) -> None:
        """Settle calls that were cancelled silently."""
        self._gate.close()

    async def aflush(self) -> None:
        """Do the same without blocking the event loop."""
        if self.run_inline:
            self._gate.close()
        else:
            await asyncio.to_thread(self._gate.close)

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
        params = kwargs.get("invocation_params") or {}
        if is_served_from_cache() and current_cover(self._gate) is None:
            return  # looked up already: it sends nothing, so a spent budget has no reason to refuse it
        call = self._call(operation, prompt, run_id, parent_run_id, known, kwargs)
        if not self.run_inline:
            call.batch = None  # which thread this is says nothing about which calls fail together
        cover = current_cover(self._gate)
        if cover is not None:
            call.attribution = attribution_of(known, cover.attribution.run or call.attribution.run or "")
        self._gate.admit(
            call,
            lambda: read_shape(call, params, unbounded_tokens=self._unbounded_tokens),
            cover=cover,
            reserved=_reserved_for(call, params, cover) or take_offer(self.budgets),
            batch=params if kwargs.get("batch_size", 1) > 1 else None,
        )


def _reserved_for(call: CallStart, params: dict[str, Any], cover: Cover | None) -> Reservation | None:
    """Return what a middleware reserved for the next call, if this is a call that it pays for."""
    reserved = None if cover is None else cover.take()
    if reserved is None or cover is None:
        return None
    bound, most = bound_of(params), cover.max_output_tokens
    is_bounded = most is None or (bound is not None and bound <= most)
    if is_bounded and answers_of(params) == 1 and call.model == cover.model:
        return reserved
    cover.gate.budgets.release(reserved)  # another middleware has changed the request since
    return None
