"""One decision after another for a routed call, the same for sync and async."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from typing import Any, cast

from langchain_core.callbacks import BaseCallbackHandler, BaseCallbackManager
from langchain_core.exceptions import OutputParserException
from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import merge_configs
from langchain_core.tracers._streaming import _StreamingCallbackHandler
from pydantic import ValidationError

from langchain_tokenomics._budget_steps import Step, Steps
from langchain_tokenomics._route_ledger import announced, own_calls
from langchain_tokenomics._route_meter import RouteMeter
from tokenomics_core.errors import TokenomicsError
from tokenomics_core.routing import Answer, Cascade, Route, RoutedCall, Router, RouteRequest

__all__ = ["Attempt", "RouteSteps", "is_a_tiers_fault"]

_UNREADABLE = (OutputParserException, ValidationError)


class Attempt:
    """One call of a tier's own model, listened to.

    Attributes:
        route: Why this tier.
        is_held: Whether its answer may still be rejected, so that nobody may see it before it is judged.
        number: How many attempts came before.
    """

    def __init__(
        self, router: Router, route: Route, withdrawn_usd: Decimal, *, held: bool, number: int
    ) -> None:
        self.route = route
        self.is_held = held
        self.number = number
        self._call = RoutedCall(router, route, withdrawn_usd=withdrawn_usd)
        self._meter = RouteMeter(self._call)
        self._is_over = False

    def config(self, config: RunnableConfig) -> RunnableConfig:
        """Return the config for the tier's model: the route in metadata and tags, and the meter."""
        own: RunnableConfig = {
            "metadata": announced(self._call, route_role="draft" if self.is_held else "answer"),
            "tags": [f"route:{self.route.tier.name}"],
            "callbacks": [self._meter],
        }
        if self.number:
            config = cast("RunnableConfig", {key: value for key, value in config.items() if key != "run_id"})
        if self.is_held:
            config = {**config, "callbacks": _unseen(config.get("callbacks"))}
        return merge_configs(config, own)

    @property
    def credit_usd(self) -> Decimal:
        """What the bill was credited with for this attempt."""
        return self._call.credit_usd

    def answered(self) -> None:
        """Its answer is used."""
        if self._ends():
            self._call.answered()

    def rejected(self) -> None:
        """Its answer was a draft."""
        if self._ends():
            self._call.rejected()

    def failed(self, error: BaseException) -> None:
        """It ended without an answer; only what is an error of the tier counts against it."""
        if not self._ends():
            return
        if is_a_tiers_fault(error):
            self._call.failed(error)
        else:
            self._call.abandoned()

    def _ends(self) -> bool:
        """Close it once."""
        was_over, self._is_over = self._is_over, True
        if not was_over:
            self._meter.close()
        return not was_over


@dataclass(frozen=True, slots=True)
class RouteSteps:
    """Decide, ask, judge, fall back or ask again.

    Attributes:
        router: Decides.
        cascade: Judges answers; None to use each as it comes.
        handles: Errors after which the next tier is asked.
    """

    router: Router
    cascade: Cascade | None = None
    handles: tuple[type[BaseException], ...] = field(default=(Exception,))

    def run(
        self,
        request: RouteRequest,
        ask: Callable[[Attempt], Step],
        answer_of: Callable[[Any], Answer],
        *,
        judged: bool = True,
        open_ended: bool = False,
    ) -> Steps[tuple[Any, Attempt]]:
        """Return what came back and the attempt it came from.

        Args:
            request: What is asked.
            ask: Makes one attempt.
            answer_of: Reads what came back for the judge.
            judged: Whether answers are judged.
            open_ended: Whether the caller ends the attempt, as its answer is still arriving.
        """
        cascade = self.cascade if judged else None
        with own_calls("router"):
            route: Route = yield (
                Step(partial(self.router.decide, request), partial(self.router.adecide, request))
                if cascade is None
                else Step(partial(cascade.first, request), partial(cascade.afirst, request))
            )
        withdrawn_usd, number = Decimal(0), 0
        while True:
            held = cascade is not None and cascade.needs_judging(route)
            attempt = Attempt(self.router, route, withdrawn_usd, held=held, number=number)
            number += 1
            try:
                output = yield ask(attempt)
            except BaseException as error:
                following = self._after(attempt, request, error)
                if following is None:
                    raise
                route, withdrawn_usd = following, attempt.credit_usd
                continue
            if cascade is None or not held:
                if not open_ended:
                    attempt.answered()
                return output, attempt
            answer = answer_of(output)
            with own_calls("judge"):
                verdict = yield Step(
                    partial(cascade.judge, request, answer), partial(cascade.ajudge, request, answer)
                )
            better = cascade.next(route, verdict)
            if better is None:
                attempt.answered()
                return output, attempt
            attempt.rejected()
            route, withdrawn_usd = better, attempt.credit_usd

    def _after(self, attempt: Attempt, request: RouteRequest, error: BaseException) -> Route | None:
        """Return where to go after an error; None where it is the caller's to see."""
        if self.cascade is not None and attempt.is_held and isinstance(error, _UNREADABLE):
            verdict = self.cascade.judge(request, Answer(text="", schema_ok=False))
            better = self.cascade.next(attempt.route, verdict)
            if better is not None:
                attempt.rejected()
                return better
        attempt.failed(error)
        if not is_a_tiers_fault(error) or not isinstance(error, self.handles):
            return None
        return self.router.next_tier(attempt.route, error)


def is_a_tiers_fault(error: BaseException) -> bool:
    """Whether another tier may help: not against a cancellation, a budget, or LangGraph's own signals."""
    if not isinstance(error, Exception) or isinstance(error, TokenomicsError):
        return False
    return not type(error).__module__.startswith("langgraph.")


def _unseen(callbacks: Any) -> list[BaseCallbackHandler] | BaseCallbackManager | None:
    """Return callbacks without those that show a user what arrives."""
    if callbacks is None:
        return None
    if isinstance(callbacks, BaseCallbackManager):
        kept = callbacks.copy()
        for handler in _showing(kept.handlers):
            kept.remove_handler(handler)
        return kept
    showing = _showing(callbacks)
    return [handler for handler in callbacks if handler not in showing]


def _showing(handlers: Sequence[BaseCallbackHandler]) -> list[BaseCallbackHandler]:
    return [handler for handler in handlers if isinstance(handler, _StreamingCallbackHandler)]
