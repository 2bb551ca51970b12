"""What a budget decides before an agent calls a tool."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from langchain.agents.middleware.types import ToolCallRequest
from langchain_core.messages import ToolMessage
from langgraph.errors import GraphBubbleUp
from langgraph.types import Command

from langchain_tokenomics._budget_gate import Cover, refusal_of
from langchain_tokenomics._budget_rules import BudgetRules, Money
from langchain_tokenomics._budget_state import SPENT, STOP, error_of, written_error, written_spent
from langchain_tokenomics._budget_steps import Step, Steps
from tokenomics_core.budgets import Reservation
from tokenomics_core.errors import BudgetExceededError
from tokenomics_core.types import Attribution

__all__ = ["ToolRules"]


class ToolRules(BudgetRules):
    """Refuse a tool that goes in circles or does not fit, and let what it asks draw on the run."""

    def tool_call(
        self, request: ToolCallRequest, ask: Callable[[], Step]
    ) -> Steps[ToolMessage | Command[Any]]:
        """Refuse a call that goes in circles or does not fit, and note what the others take."""
        state = request.state if isinstance(request.state, Mapping) else {}
        who, call = self._who(state), request.tool_call
        if state.get(STOP):
            return _refused_tool(call, error_of(state[STOP]))
        if self._settings.loop_guard is not None:
            try:
                self._settings.loop_guard.tool_call(call["name"], call["args"], run=who.run)
            except BudgetExceededError as error:
                update = {"messages": [_refused_tool(call, error)], STOP: written_error(error)}
                return Command(update=update)
        price = self._settings.tool_prices.get(call["name"])
        hold, refused = (None, None) if price is None else (yield from self._reserve_tool(price, who))
        if refused is not None:
            return _refused_tool(call, refused)
        cover = Cover(self._gate, who, listener=self._listener)
        try:
            result = yield from self._covered(cover, ask())
        except GraphBubbleUp:  # asks a person, and is called again with the answer
            if hold is not None:
                yield self._release(hold)
                hold = None
            raise
        except BudgetExceededError as error:
            if self._settings.at_limit == "raise":
                raise refusal_of(error) from None
            result = _refused_tool(call, error)
        finally:
            if hold is not None:  # a tool that failed may have been charged all the same
                booked = yield self._settle(self._budgets, hold, price, 0, 0)
                cover.add(booked.usd, 0, 0)
        return _with_spent(result, cover)

    def _reserve_tool(
        self, price: Money, who: Attribution
    ) -> Steps[tuple[Reservation | None, BudgetExceededError | None]]:
        questions = 0
        while True:
            try:
                hold = yield Step(
                    partial(self._budgets.reserve, who, price, 0, calls=0, sent=True),
                    partial(self._budgets.areserve, who, price, 0, calls=0, sent=True),
                )
            except BudgetExceededError as error:
                questions += 1
                if not (yield from self._goes_on(error, who, questions)):
                    return None, error
            else:
                return hold, None


def _refused_tool(call: Mapping[str, Any], error: BudgetExceededError) -> ToolMessage:
    text = f"The tool was not called, or not to its end: {error}."
    return ToolMessage(text, tool_call_id=call["id"], name=call["name"], status="error")


def _with_spent(result: ToolMessage | Command[Any], cover: Cover) -> ToolMessage | Command[Any]:
    """Return a tool's result with what it spent, for the state."""
    if not (cover.spent.usd or cover.spent.calls):
        return result
    spent = {SPENT: written_spent(cover.spent)}
    if isinstance(result, ToolMessage):
        return Command(update={"messages": [result], **spent})
    if isinstance(result, Command) and result.graph is None and isinstance(result.update, dict):
        return Command(update={**result.update, **spent}, goto=result.goto, resume=result.resume)
    return result
