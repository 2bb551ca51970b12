"""What a budget decides before an agent asks its model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, cast
from uuid import UUID, uuid4

from langchain.agents.middleware.types import (
    ExtendedModelResponse,
    ModelRequest,
    ModelResponse,
)
from langchain.chat_models import init_chat_model
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage
from langgraph.types import Command

from langchain_tokenomics._budget_gate import Cover, Gate, current_cover
from langchain_tokenomics._budget_request import shape_of, switched, with_bound, with_hint
from langchain_tokenomics._budget_rules import BudgetRules, Settings, config_here
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
from tokenomics_core.budgets import Budgets, Reservation
from tokenomics_core.errors import BudgetExceededError, StoreError
from tokenomics_core.types import Attribution

__all__ = ["ModelRules"]

_OWN = ("user", "feature", "project", "conversation", "run")


class ModelRules(BudgetRules):
    """The decisions of one middleware: what to tell the model, which model to ask, when to end."""

    def __init__(self, gate: Gate, listener: BaseCallbackHandler, settings: Settings) -> None:
        super().__init__(gate, listener, settings)
        self._carried = _of_threads(gate.budgets)
        self._models: dict[str, BaseChatModel] = {}

    # The beginning of a run

    def begin(self, state: Mapping[str, Any]) -> Steps[dict[str, Any]]:
        """Name the run, and book what the thread spent before where the store knows nothing of it."""
        config = config_here()
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
        state: Mapping[str, Any] = request.state
        told = update.get(HINT) or state.get(HINT)
        if told:
            request = with_hint(request, self._settings.wrap_up_message, told)
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
        bound = hold.max_output_tokens if self._counts_length(who) else None
        if bound is not None:
            request = with_bound(request, bound)
        cover = Cover(self._gate, who, hold, shape.model, bound, self._listener)
        cover.is_downgraded = is_cheaper
        try:
            response = yield from self._covered(cover, ask(request))
        finally:
            self._note(cover, who, update)
        return ExtendedModelResponse(response, Command(update=update))

    def _counts_length(self, who: Attribution) -> bool:
        """Whether any limit that a call touches counts what a longer answer takes more of."""
        return any(
            (limit.usd is not None or limit.tokens is not None)
            and (limit.names in {("all",), ("request",)} or None not in map(who.get, limit.names))
            for limit in self._budgets.limits
        )

    def _eased(
        self, request: ModelRequest[Any], who: Attribution, update: dict[str, Any]
    ) -> Steps[tuple[ModelRequest[Any], bool]]:
        """Return the request as what is left asks for, and whether it goes to a cheaper model."""
        settings = self._settings
        state: Mapping[str, Any] = request.state
        if settings.wrap_up_at is None and not (settings.downgrade_at and settings.downgrade_to):
            return request, False
        share = yield from self._share(who)
        if not state.get(HINT) and settings.wrap_up_at is not None and share >= settings.wrap_up_at:
            update[HINT] = (request.messages[-1].id if request.messages else None) or "?"
        cheaper = self._model(None)
        if cheaper is None or settings.downgrade_at is None or share < settings.downgrade_at:
            return request, False
        return switched(request, cheaper), True

    def _share(self, who: Attribution) -> Steps[float]:
        """Return how much of the tightest limit is spent or held, from 0 to 1 and above."""
        try:
            share: float | None = yield Step(
                partial(self._budgets.share_used, who), partial(self._budgets.ashare_used, who)
            )
        except StoreError:
            return 0.0  # the reservation decides what that means
        return share or 0.0

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

    def _ended(self, error: BudgetExceededError, update: dict[str, Any]) -> ExtendedModelResponse[Any]:
        """Return the answer that ends the run."""
        told = {
            name: str(getattr(error, name)) for name in ("scope", "key", "window", "unit", "limit", "rule")
        }
        message = AIMessage(self._settings.end_message(error), response_metadata={"budget_exceeded": told})
        return ExtendedModelResponse(ModelResponse([message]), Command(update=update))


def _of_threads(budgets: Budgets) -> Budgets | None:
    """Return the limits that a checkpoint can bring back: those on a conversation as a whole."""
    limits = [limit for limit in budgets.limits if limit.names == ("conversation",) and limit.window is None]
    return Budgets(limits, budgets.store) if limits else None


def _tags(who: Attribution) -> dict[str, str]:
    """Return all that is known of an attribution, for limits that match on it."""
    known = {name: value for name in _OWN if (value := who.get(name)) is not None}
    return {**known, **who.tags}
