"""What a budget does in an agent, whatever is about to be called."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import Any, Literal, cast

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.language_models import BaseChatModel
from langchain_core.tracers.context import register_configure_hook
from langgraph.config import get_config

from langchain_tokenomics._budget_gate import Cover, Gate, current_cover, refusal_of
from langchain_tokenomics._budget_request import OutputRule
from langchain_tokenomics._budget_state import RUN
from langchain_tokenomics._budget_steps import Step, Steps
from langchain_tokenomics._messages import attribution_of
from tokenomics_core.budgets import Budgets, LoopGuard, Reservation
from tokenomics_core.errors import BudgetExceededError
from tokenomics_core.types import Attribution

__all__ = ["AtLimit", "BudgetRules", "Money", "Settings", "config_here"]

Money = Decimal | str | int | float
Answer = Money | bool | None
AtLimit = Literal["end", "raise"] | Callable[[BudgetExceededError], Answer | Awaitable[Answer]]
Models = Mapping[str, BaseChatModel | str]

_MOST_QUESTIONS = 8  # for a function that says yes and grants nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a budget does in an agent; see `BudgetMiddleware`."""

    wrap_up_at: float | None
    downgrade_at: float | None
    downgrade_to: Models
    at_limit: AtLimit
    tool_prices: Mapping[str, Money]
    loop_guard: LoopGuard | None
    output: OutputRule
    wrap_up_message: str
    end_message: Callable[[BudgetExceededError], str]


class BudgetRules:
    """What happens at a limit, and on whose account calls run."""

    def __init__(self, gate: Gate, listener: BaseCallbackHandler, settings: Settings) -> None:
        self._gate, self._listener, self._settings = gate, listener, settings
        self._budgets = gate.budgets

    def _covered(self, cover: Cover, step: Step) -> Steps[Any]:
        """Take a step on the account of a cover, and end what it leaves open."""
        with cover.spread():
            try:
                return (yield step)
            finally:
                abandon = partial(self._gate.abandon, cover)
                yield Step(abandon, partial(asyncio.to_thread, abandon) if cover.is_open else _nothing)

    def _goes_on(self, error: BudgetExceededError, who: Attribution, questions: int) -> Steps[bool]:
        """Decide whether a refused call is tried again; raises where that is what to do at a limit."""
        at_limit = self._settings.at_limit
        if at_limit == "raise":
            raise refusal_of(error) from None
        if not callable(at_limit) or questions > _MOST_QUESTIONS:
            return False
        shown = refusal_of(error)
        answer = yield Step(partial(at_limit, shown), partial(_awaited, at_limit, shown))
        if answer is None or isinstance(answer, bool) or error.rule != "limit":
            return bool(answer)
        names = tuple(error.scope.split("+"))
        keys = () if names == ("all",) else tuple(who.get(name) or "" for name in names)
        more = {error.unit: answer if error.unit == "usd" else int(answer)}
        grant, agrant = self._budgets.grant, self._budgets.agrant
        yield Step(
            partial(grant, names, keys, window=error.window, **more),
            partial(agrant, names, keys, window=error.window, **more),
        )
        return True

    def _who(self, state: Mapping[str, Any]) -> Attribution:
        return attribution_of(config_here().get("metadata") or {}, str(state.get(RUN) or ""))

    def _release(self, hold: Reservation) -> Step:
        return Step(partial(self._budgets.release, hold), partial(self._budgets.arelease, hold))

    @staticmethod
    def _settle(budgets: Budgets, hold: Reservation, usd: Money | None, tokens: int, calls: int) -> Step:
        return Step(
            partial(budgets.settle, hold, usd, tokens, calls=calls),
            partial(budgets.asettle, hold, usd, tokens, calls=calls),
        )


class _OpenCover:
    """Stand where LangChain expects a context variable, and answer with the handler of the cover here."""

    def get(self) -> BaseCallbackHandler | None:
        cover = current_cover()
        return None if cover is None else cover.listener


register_configure_hook(cast("Any", _OpenCover()), inheritable=True)


def config_here() -> Mapping[str, Any]:
    """Return the config of the node that runs here; nothing outside a graph."""
    try:
        return cast("Mapping[str, Any]", get_config())
    except RuntimeError:
        return {}


async def _awaited(function: Callable[..., Any], *arguments: Any) -> Any:
    answer = function(*arguments)
    return await answer if isinstance(answer, Awaitable) else answer


async def _nothing() -> None:
    """Do nothing, as there is nothing open."""
