"""What a budget decides at each step of an agent, whoever waits for the model."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import Any, Literal, cast
from uuid import UUID, uuid4

from langchain.agents.middleware.types import (
    ExtendedModelResponse,
    ModelRequest,
    ModelResponse,
    ToolCallRequest,
)
from langchain.chat_models import init_chat_model
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, ToolMessage
from langchain_core.tracers.context import register_configure_hook
from langgraph.config import get_config
from langgraph.errors import GraphBubbleUp
from langgraph.types import Command

from langchain_tokenomics._budget_gate import Cover, Gate, current_cover, refusal_of
from langchain_tokenomics._budget_request import OutputRule, shape_of, switched, with_bound, with_hint
from langchain_tokenomics._budget_state import (
    HINT,
    RUN,
    SPENT,
    STOP,
    add_spent,
    error_of,
    spent_of,
    written_error,
    written_spent,
)
from langchain_tokenomics._budget_steps import Step, Steps
from langchain_tokenomics._messages import attribution_of
from langchain_tokenomics._runs import RunTree
from tokenomics_core.budgets import Budgets, LoopGuard, Reservation
from tokenomics_core.errors import BudgetExceededError, StoreError
from tokenomics_core.types import Attribution

__all__ = ["AtLimit", "BudgetControl", "Settings"]

Money = Decimal | str | int | float
Answer = Money | bool | None
AtLimit = Literal["end", "raise"] | Callable[[BudgetExceededError], Answer | Awaitable[Answer]]
Models = Mapping[str, BaseChatModel | str]

_OWN = ("user", "feature", "project", "conversation", "run")
_MOST_QUESTIONS = 8


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


class BudgetControl:
    """The decisions of one middleware: what to tell the model, which model to ask, when to end."""

    def __init__(self, gate: Gate, listener: BaseCallbackHandler, settings: Settings) -> None:
        self._gate, self._listener, self._settings = gate, listener, settings
        self._budgets = gate.budgets
        self._carried = _of_threads(gate.budgets)
        self._models: dict[str, BaseChatModel] = {}

    # The beginning of a run

    def begin(self, state: Mapping[str, Any]) -> Steps[dict[str, Any]]:
        """Name the run, and book what the thread spent before where the store knows nothing of it."""
        config = _config()
        run = self._run_of(config)
        yield from self._restore(state, attribution_of(config.get("metadata") or {}, run))
        return {RUN: run, HINT: None, STOP: None}

    def _run_of(self, config: Mapping[str, Any]) -> str:
        named = attribution_of(config.get("metadata") or {}, "").run
        around = current_cover(self._gate)
        if named or (around is not None and around.attribution.run):
            return named or cast("str", cast("Cover", around).attribution.run)
        manager = config.get("callbacks")
        parent = getattr(manager, "parent_run_id", None)
        trees = [item for item in getattr(manager, "handlers", ()) if isinstance(item, RunTree)]
        if trees and isinstance(parent, UUID):
            return trees[0].root_of(parent, parent).hex
        return uuid4().hex

    def _restore(self, state: Mapping[str, Any], who: Attribution) -> Steps[None]:
        carried = spent_of(state.get(SPENT))
        if self._carried is None or who.conversation is None or not (carried.calls or carried.usd):
            return
        budgets, tags = self._carried, _tags(who)
        try:
            known = yield Step(
                partial(budgets.status, "conversation", who.conversation, tags=tags),
                partial(budgets.astatus, "conversation", who.conversation, tags=tags),
            )
            missing_usd = carried.usd - known.spent_usd - known.held_usd - known.unconfirmed_usd
            if missing_usd <= 0:
                return
            hold = yield Step(
                partial(budgets.reserve, who, 0, 0, calls=0), partial(budgets.areserve, who, 0, 0, calls=0)
            )
            calls = max(0, carried.calls - known.spent_calls)
            tokens = max(0, carried.tokens - known.spent_tokens)
            yield self._settle(budgets, hold, missing_usd, tokens, calls)
        except (BudgetExceededError, StoreError):
            return  # spent already, or refused by the call itself

    # Calls of the model

    def model_call(
        self, request: ModelRequest[Any], ask: Callable[[ModelRequest[Any]], Step]
    ) -> Steps[ExtendedModelResponse[Any]]:
        """Reserve, ask, and note what it took; end the run where that is not possible."""
        update: dict[str, Any] = {}
        state: Mapping[str, Any] = request.state
        who = self._who(state)
        if stop := state.get(STOP):
            if not (yield from self._goes_on(error_of(stop), who, 1)):
                return self._ended(error_of(stop), update)
            update[STOP] = None
        request, is_cheaper = yield from self._eased(request, who, update)
        questions = 0
        while True:
            try:
                outcome = yield from self._asked(request, who, ask, update, is_cheaper=is_cheaper)
            except BudgetExceededError as error:
                cheaper = None if is_cheaper else self._model(None)
                questions += cheaper is None
                if cheaper is None and not (yield from self._goes_on(error, who, questions)):
                    return self._ended(error, update)
            else:
                if isinstance(outcome, ExtendedModelResponse):
                    return outcome
                cheaper = outcome
            if cheaper is not None:
                request, is_cheaper = switched(request, cheaper), True

    def _asked(
        self,
        request: ModelRequest[Any],
        who: Attribution,
        ask: Callable[[ModelRequest[Any]], Step],
        update: dict[str, Any],
        *,
        is_cheaper: bool,
    ) -> Steps[ExtendedModelResponse[Any] | BaseChatModel]:
        """Return the answer, or the model that a soft limit asks for instead."""
        shape = shape_of(request, self._settings.output)
        hold: Reservation = yield Step(
            partial(self._budgets.reserve_call, shape, who, sent=True),
            partial(self._budgets.areserve_call, shape, who, sent=True),
        )
        if hold.downgrade_to is not None and not is_cheaper:
            cheaper = self._model(hold.downgrade_to)
            if cheaper is not None:
                yield self._release(hold)
                return cheaper
        cover = Cover(self._gate, who, hold, shape.model, self._listener)
        bounded = with_bound(request, hold.max_output_tokens or shape.min_output_tokens)
        try:
            response = yield from self._covered(cover, ask(bounded))
        finally:
            self._note(cover, who, update)
        return ExtendedModelResponse(response, Command(update=update))

    def _eased(
        self, request: ModelRequest[Any], who: Attribution, update: dict[str, Any]
    ) -> Steps[tuple[ModelRequest[Any], bool]]:
        """Return the request as what is left asks for, and whether it goes to a cheaper model."""
        settings = self._settings
        state: Mapping[str, Any] = request.state
        told = state.get(HINT)
        if settings.wrap_up_at is None and not (settings.downgrade_at and settings.downgrade_to):
            return request, False
        share = yield from self._share(who)
        if told or (settings.wrap_up_at is not None and share >= settings.wrap_up_at):
            if not told:
                told = update[HINT] = (request.messages[-1].id if request.messages else None) or "?"
            request = with_hint(request, settings.wrap_up_message, told)
        cheaper = self._model(None)
        if cheaper is None or settings.downgrade_at is None or share < settings.downgrade_at:
            return request, False
        return switched(request, cheaper), True

    def _share(self, who: Attribution) -> Steps[float]:
        """Return how much of the tightest limit is spent or held, from 0 to 1 and above."""
        share = 0.0
        for names in dict.fromkeys(limit.names for limit in self._budgets.limits):
            keys = () if names == ("all",) else tuple(who.get(name) for name in names)
            if names == ("request",) or None in keys:
                continue
            scope, key = names, cast("tuple[str, ...]", keys)
            try:
                status = yield Step(
                    partial(self._budgets.status, scope, key, tags=_tags(who)),
                    partial(self._budgets.astatus, scope, key, tags=_tags(who)),
                )
            except StoreError:
                return 0.0  # the reservation decides what that means
            for line in status.lines:
                if line.downgrade_to is None:
                    share = max(share, 1.0 if not line.limit else float(1 - line.left / Decimal(line.limit)))
        return share

    def _covered(self, cover: Cover, step: Step) -> Steps[Any]:
        """Take a step on the account of a cover, and end what it leaves open."""
        with cover.spread():
            try:
                return (yield step)
            finally:
                abandon = partial(self._gate.abandon, cover)
                yield Step(abandon, partial(asyncio.to_thread, abandon) if cover.is_open else _nothing)

    def _note(self, cover: Cover, who: Attribution, update: dict[str, Any]) -> None:
        """Put what was spent into the update of the state, and the rule if it was spent too fast."""
        if cover.spent.calls or cover.spent.usd:
            update[SPENT] = add_spent(update.get(SPENT), written_spent(cover.spent))
        if self._settings.loop_guard is not None and cover.spent.usd:
            try:
                self._settings.loop_guard.spend(cover.spent.usd, run=who.run)
            except BudgetExceededError as error:
                update[STOP] = written_error(error)

    def _model(self, tier: str | None) -> BaseChatModel | None:
        """Return the cheaper model for a tier, or the first there is."""
        known = self._settings.downgrade_to
        if not known:
            return None
        name = tier if tier is not None and tier in known else next(iter(known))
        model = known[name]
        if isinstance(model, str):
            if name not in self._models:
                self._models[name] = init_chat_model(model)
            return self._models[name]
        return model

    # Calls of tools

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

    # At the limit

    def _goes_on(self, error: BudgetExceededError, who: Attribution, questions: int) -> Steps[bool]:
        """Decide whether a refused call is tried again; raises where that is what to do at a limit."""
        at_limit = self._settings.at_limit
        if at_limit == "raise":
            raise refusal_of(error) from None
        if not callable(at_limit) or questions > _MOST_QUESTIONS:
            return False
        answer = yield Step(
            partial(at_limit, refusal_of(error)), partial(_awaited, at_limit, refusal_of(error))
        )
        if answer is None or isinstance(answer, bool):
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

    def _ended(self, error: BudgetExceededError, update: dict[str, Any]) -> ExtendedModelResponse[Any]:
        """Return the answer that ends the run."""
        told = {
            name: str(getattr(error, name)) for name in ("scope", "key", "window", "unit", "limit", "rule")
        }
        message = AIMessage(self._settings.end_message(error), response_metadata={"budget_exceeded": told})
        return ExtendedModelResponse(ModelResponse([message]), Command(update=update))

    def _who(self, state: Mapping[str, Any]) -> Attribution:
        return attribution_of(_config().get("metadata") or {}, str(state.get(RUN) or ""))

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


def _of_threads(budgets: Budgets) -> Budgets | None:
    """Return the limits that a checkpoint can bring back: those on a conversation as a whole."""
    limits = [limit for limit in budgets.limits if limit.names == ("conversation",) and limit.window is None]
    return Budgets(limits, budgets.store) if limits else None


def _config() -> Mapping[str, Any]:
    try:
        return cast("Mapping[str, Any]", get_config())
    except RuntimeError:  # called outside a graph
        return {}


def _tags(who: Attribution) -> dict[str, str]:
    """Return all that is known of an attribution, for limits that match on it."""
    known = {name: value for name in _OWN if (value := who.get(name)) is not None}
    return {**known, **who.tags}


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


async def _awaited(function: Callable[..., Any], *arguments: Any) -> Any:
    answer = function(*arguments)
    return await answer if isinstance(answer, Awaitable) else answer


async def _nothing() -> None:
    """Do nothing, as there is nothing open."""
