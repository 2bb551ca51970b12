"""Keep an agent within its budget: warn it, downgrade it, end it, without losing its work."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from tokenomics_core.errors import MissingExtraError

try:
    import langchain.agents.middleware as _  # noqa: F401 - asked for only to know whether it is there
except ModuleNotFoundError as error:
    raise MissingExtraError("langchain", "agents") from error

from functools import partial

from langchain.agents.middleware.types import (
    AgentMiddleware,
    ExtendedModelResponse,
    ModelRequest,
    ModelResponse,
    ToolCallRequest,
)
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import ToolMessage
from langgraph.types import Command

from langchain_tokenomics._budget_agent import ModelRules
from langchain_tokenomics._budget_gate import gate_of
from langchain_tokenomics._budget_request import OutputRule
from langchain_tokenomics._budget_rules import AtLimit, Money, Settings
from langchain_tokenomics._budget_state import BudgetState
from langchain_tokenomics._budget_steps import Step, take, take_async
from langchain_tokenomics._budget_tools import ToolRules
from langchain_tokenomics._caching_middleware import CachingMiddleware
from langchain_tokenomics.budgets import MAX_OUTPUT_TOKENS, BudgetCallbackHandler
from tokenomics_core.budgets import Budgets, LoopGuard
from tokenomics_core.errors import BudgetExceededError, ConfigurationError
from tokenomics_core.protocols import Pricer

__all__ = ["BudgetMiddleware", "CachingMiddleware"]

MIN_OUTPUT_TOKENS = 256
"""Shorter answers are of little use; the same default as `CallShape` has."""

WRAP_UP_MESSAGE = (
    "Most of the budget for this task is spent. Finish now: answer with what you have, and call a tool only "
    "if you cannot answer without it."
)


def end_message(error: BudgetExceededError) -> str:
    """Return what the agent answers when its budget is spent."""
    return f"Stopped by a budget, so this is not a finished answer: {error}."


class BudgetMiddleware(AgentMiddleware[BudgetState, Any, Any]):
    """Let an agent spend no more than its limits allow, and end well when they are reached.

    create_agent(model, tools, middleware=[BudgetMiddleware(Budgets([Limit("run", usd="0.50")]))])

    Before each call of the model its worst case is set aside, with a bound on the answer that is put on the
    request and made to fit what is left. As the limits are used up the model is told to wrap up, then a
    cheaper model takes over, and at the limit the agent ends with an answer that says so. Models that tools
    ask, sub-agents included, and tools with a price are held by the same limits. What a thread has spent
    stands in its checkpoint as `tokenomics_spent`.

    Calls are attributed as everywhere; `thread_id` is the conversation. A run is one invocation of the
    outermost agent.
    """

    state_schema = BudgetState

    def __init__(
        self,
        budgets: Budgets,
        *,
        prices: Pricer | None = None,
        wrap_up_at: float | None = 0.8,
        downgrade_at: float | None = 0.9,
        downgrade_to: BaseChatModel | str | Mapping[str, BaseChatModel | str] | None = None,
        at_limit: AtLimit = "end",
        tool_prices: Mapping[str, Money] | None = None,
        loop_guard: LoopGuard | None = None,
        detect_loops: bool = True,
        fit_output: bool = True,
        max_output_tokens: int = MAX_OUTPUT_TOKENS,
        min_output_tokens: int = MIN_OUTPUT_TOKENS,
        wrap_up_message: str = WRAP_UP_MESSAGE,
        end_message: Callable[[BudgetExceededError], str] = end_message,
    ) -> None:
        """Set what happens on the way to the limit.

        Args:
            budgets: What holds. Where they know no prices, they get those of the middleware.
            prices: What calls cost; those of the budgets, or else the shared price book.
            wrap_up_at: The share of any limit, spent or held, from which the model is told to wrap up; None
                for never.
            downgrade_at: The share from which `downgrade_to` is asked instead; None for never.
            downgrade_to: A cheaper model, or several by the tier that a `Limit(action="downgrade:TIER")`
                names. It also takes over where a call of the dearer one does not fit.
            at_limit: `end` answers with `end_message`, `raise` raises `BudgetExceededError`. A function is
                given the error and returns how much more to grant in the unit of the limit, True to try
                again, or None to end; it may call LangGraph's `interrupt` to ask a person.
            tool_prices: What a call of a tool costs in USD, by its name.
            loop_guard: Rules for runs that go in circles; None takes those of `LoopGuard()`.
            detect_loops: Whether such runs are ended.
            fit_output: Whether an answer is cut to what is left where its bound does not fit.
            max_output_tokens: The bound on an answer where neither the model nor the request sets one.
            min_output_tokens: Where not even so much fits, the limit is reached.
            wrap_up_message: What the model is told, once per run.
            end_message: Makes the answer that ends a run.

        Raises:
            ConfigurationError: A setting is wrong, or other prices guard these budgets already.
        """
        super().__init__()
        for name, share in (("wrap_up_at", wrap_up_at), ("downgrade_at", downgrade_at)):
            if share is not None and (isinstance(share, bool) or not 0 < share <= 1):
                raise ConfigurationError(f"{name} must be a share above 0 and at most 1, not {share!r}")
        for name, count in (
            ("max_output_tokens", max_output_tokens),
            ("min_output_tokens", min_output_tokens),
        ):
            if type(count) is not int or count < 1:
                raise ConfigurationError(f"{name} must be a whole number of 1 or more, not {count!r}")
        if at_limit not in {"end", "raise"} and not callable(at_limit):
            raise ConfigurationError(f"at_limit must be 'end', 'raise' or a function, not {at_limit!r}")
        if isinstance(downgrade_to, (BaseChatModel, str)):
            downgrade_to = {"": downgrade_to}
        gate = gate_of(budgets, prices)
        settings = Settings(
            wrap_up_at=wrap_up_at,
            downgrade_at=downgrade_at,
            downgrade_to=dict(downgrade_to or {}),
            at_limit=at_limit,
            tool_prices=dict(tool_prices or {}),
            loop_guard=(loop_guard or LoopGuard()) if detect_loops else None,
            output=OutputRule(most_tokens=max_output_tokens, least_tokens=min_output_tokens, fits=fit_output),
            wrap_up_message=wrap_up_message,
            end_message=end_message,
        )
        listener = BudgetCallbackHandler(budgets, max_output_tokens=max_output_tokens)
        self._models = ModelRules(gate, listener, settings)
        self._tools = ToolRules(gate, listener, settings)

    def before_agent(self, state: Any, runtime: Any) -> dict[str, Any]:
        """Name the run."""
        return take(self._models.begin(state))

    async def abefore_agent(self, state: Any, runtime: Any) -> dict[str, Any]:
        """Do the same without blocking the event loop."""
        return await take_async(self._models.begin(state))

    def wrap_model_call(
        self, request: ModelRequest[Any], handler: Callable[[ModelRequest[Any]], ModelResponse[Any]]
    ) -> ExtendedModelResponse[Any]:
        """Ask the model within the limits, or end."""
        return take(self._models.model_call(request, lambda asked: Step(partial(handler, asked), _unused)))

    async def awrap_model_call(
        self,
        request: ModelRequest[Any],
        handler: Callable[[ModelRequest[Any]], Awaitable[ModelResponse[Any]]],
    ) -> ExtendedModelResponse[Any]:
        """Do the same without blocking the event loop."""
        steps = self._models.model_call(request, lambda asked: Step(_unused, partial(handler, asked)))
        return await take_async(steps)

    def wrap_tool_call(
        self, request: ToolCallRequest, handler: Callable[[ToolCallRequest], ToolMessage | Command[Any]]
    ) -> ToolMessage | Command[Any]:
        """Call the tool within the limits, or tell the model why not."""
        return take(self._tools.tool_call(request, lambda: Step(partial(handler, request), _unused)))

    async def awrap_tool_call(
        self,
        request: ToolCallRequest,
        handler: Callable[[ToolCallRequest], Awaitable[ToolMessage | Command[Any]]],
    ) -> ToolMessage | Command[Any]:
        """Do the same without blocking the event loop."""
        steps = self._tools.tool_call(request, lambda: Step(_unused, partial(handler, request)))
        return await take_async(steps)


def _unused() -> Any:
    raise AssertionError("unreachable: a sync driver takes sync steps, an async one async ones")
