"""End runs that go in circles or spend ever faster, by what LlamaIndex tells of their tools and calls."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from llama_index.core.tools import BaseTool

from llama_index_tokenomics._budget_stops import Stops, runs_here
from llama_index_tokenomics._spans import Span
from tokenomics_core.budgets import LoopGuard
from tokenomics_core.errors import BudgetExceededError
from tokenomics_core.types import SpendRecord

__all__ = ["LoopWatch"]


class LoopWatch:
    """Tell a loop guard of tools and of spending, and stop the run that it finds fault with.

    Observers cannot stop a tool, so the call that breaks a rule still runs. The next call of a model is
    refused.
    """

    def __init__(self, guard: LoopGuard, stops: Stops) -> None:
        self._guard, self._stops = guard, stops
        self._runs: dict[str, tuple[str, ...]] = {}

    def tool_call(self, span: Span, tool: BaseTool, arguments: inspect.BoundArguments) -> None:
        """Note that a tool was called."""
        name = tool.metadata.get_name()
        told = [arguments.args, _without_context(tool, arguments.kwargs)]
        self._ask(tuple(runs_here(span)), lambda run: self._guard.tool_call(name, told, run=run))

    def hold(self, key: str, span: Span) -> None:
        """Remember the run of a call until it is paid."""
        self._runs[key] = tuple(runs_here(span))

    def forget(self, key: str) -> None:
        """Forget a call that took nothing."""
        self._runs.pop(key, None)

    def paid(self, record: SpendRecord) -> None:
        """Note what a call took."""
        runs = self._runs.pop(record.id, ())
        usd = record.cost_usd
        if usd:
            self._ask(runs, lambda run: self._guard.spend(usd, run=run))

    def _ask(self, runs: tuple[str, ...], ask: Callable[[str], None]) -> None:
        if not runs:
            return  # a model called directly, which nobody repeats but its caller
        try:
            ask(runs[0])
        except BudgetExceededError as error:
            self._stops.stop(runs, error)


def _without_context(tool: BaseTool, arguments: dict[str, Any]) -> dict[str, Any]:
    """Leave out the workflow's context, which is another object in each step."""
    name = getattr(tool, "ctx_param_name", None)
    return {key: value for key, value in arguments.items() if key != name}
