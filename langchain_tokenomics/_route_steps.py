"""One decision after another for a routed call, the same for sync and async."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar, cast

from langchain_core.exceptions import OutputParserException
from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import merge_configs
from pydantic import ValidationError

from langchain_tokenomics._budget_steps import Step, Steps
from langchain_tokenomics._route_hold import HeldBack
from langchain_tokenomics._route_ledger import announced, own_calls
from langchain_tokenomics._route_meter import RouteMeter
from tokenomics_core.errors import TokenomicsError
from tokenomics_core.routing import Answer, Cascade, Route, RoutedCall, Router, RouteRequest
from tokenomics_core.routing._route import last_hope

__all__ = ["Attempt", "RouteSteps", "is_a_tiers_fault"]

_R = TypeVar("_R")
_UNREADABLE = (OutputParserException, ValidationError)


class Attempt:
    """One call of a tier's own model, listened to.

    Attributes:
        route: Why this tier.
        is_held: Whether its answer may still be rejected, so that nobody may see it before it is judged.
        number: How many attempts came before.
        held_back: What nobody was told yet.
    """

    def __init__(self, router: Router, route: Route, *, is_held: bool, after: Attempt | None = None) -> None:
        self.route = route
        self.is_held = is_held
        self.number: int = 0 if after is None else after.number + 1
        self.held_back = HeldBack()
        self._call: RoutedCall = RoutedCall(router, route, after=None if after is None else after._call)  # noqa: SLF001 - its own kind
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
            config = {**config, "callbacks": self.held_back.over(config.get("callbacks"))}
        return merge_configs(config, own)

    def model(self, model: _R) -> _R:
        """Return the tier's model, whose own callbacks see no more than those of the config."""
        return self.held_back.within(model) if self.is_held else model

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

    def broke(self, error: BaseException) -> None:
        """It ended without an answer, and nobody else is asked."""
        self.failed(error)
        if is_a_tiers_fault(error):
            self._call.given_up()

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
        but_last: bool = False,
    ) -> Steps[tuple[Any, Attempt]]:
        """Return what came back and the attempt it came from.

        Args:
            request: What is asked.
            ask: Makes one attempt.
            answer_of: Reads what came back for the judge.
            judged: Whether answers are judged.
            open_ended: Whether the caller ends the attempt, as its answer is still arriving.
            but_last: Whether the caller tells handlers that were held back of the end.
        """
        cascade = self.cascade if judged else None
        with own_calls("router"):
            route: Route = yield (
                Step(partial(self.router.decide, request), partial(self.router.adecide, request))
                if cascade is None
                else Step(partial(cascade.first, request), partial(cascade.afirst, request))
            )
        before: Attempt | None = None
        while True:
            is_held = cascade is not None and cascade.needs_judging(route)
            attempt = Attempt(self.router, route, is_held=is_held, after=before)
            try:
                output = yield ask(attempt)
            except BaseException as error:
                yield from _told(attempt, accepted=False)
                following = self._after(attempt, request, error)
                if following is None:
                    attempt.broke(error)
                    if before is not None and is_a_tiers_fault(error):
                        error.add_note(last_hope(route))
                    raise
                route, before = following, attempt
                continue
            better = None
            if cascade is not None and is_held:
                better = yield from self._judged(
                    cascade, attempt, request, partial(answer_of, output), but_last
                )
            if better is None:
                if is_held or not open_ended:
                    attempt.answered()
                return output, attempt
            attempt.rejected()
            route, before = better, attempt

    @staticmethod
    def _judged(
        cascade: Cascade,
        attempt: Attempt,
        request: RouteRequest,
        read: Callable[[], Answer],
        but_last: bool,
    ) -> Steps[Route | None]:
        """Return whom to ask instead; None where the answer will do."""
        better: Route | None = None
        is_accepted = False
        try:
            answer = read()
            with own_calls("judge"):
                verdict = yield Step(
                    partial(cascade.judge, request, answer), partial(cascade.ajudge, request, answer)
                )
            better = cascade.next(attempt.route, verdict)
            is_accepted = better is None
        except BaseException as error:
            attempt.broke(error)
            raise
        finally:
            yield from _told(attempt, accepted=is_accepted, but_last=but_last)
        return better

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


def _told(attempt: Attempt, *, accepted: bool, but_last: bool = False) -> Steps[None]:
    if attempt.is_held:
        yield attempt.held_back.release(accepted=accepted, but_last=but_last)


def is_a_tiers_fault(error: BaseException) -> bool:
    """Whether another tier may help: not against a cancellation, a budget, or LangGraph's own signals."""
    if not isinstance(error, Exception) or isinstance(error, TokenomicsError):
        return False
    return not type(error).__module__.startswith("langgraph.")
