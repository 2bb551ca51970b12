"""One decision after another for a routed call, the same for sync and async."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from dataclasses import dataclass
from functools import partial
from typing import Any

from llama_index_tokenomics._routing_attempt import Attempt
from llama_index_tokenomics._routing_bill import own_calls
from tokenomics_core.errors import TokenomicsError
from tokenomics_core.routing import Answer, Cascade, Route, Router, RouteRequest
from tokenomics_core.routing._route import last_hope
from tokenomics_core.steps import drive, drive_async

__all__ = ["RouteSteps", "Step", "Steps", "follow", "follow_async"]


@dataclass(frozen=True, slots=True)
class Step:
    """Something to be done, in both ways of doing it."""

    sync: Callable[[], Any]
    awaited: Callable[[], Awaitable[Any]]


Steps = Generator[Step, Any, tuple[Any, Attempt]]


def follow(steps: Steps) -> tuple[Any, Attempt]:
    """Do every step here and now."""
    return drive(steps, lambda step: step.sync())


async def follow_async(steps: Steps) -> tuple[Any, Attempt]:
    """Do every step without blocking the event loop."""
    return await drive_async(steps, lambda step: step.awaited())


@dataclass(frozen=True, slots=True)
class RouteSteps:
    """Decide, ask, judge, fall back or ask again.

    Attributes:
        router: Decides.
        cascade: Judges answers; None to use each as it comes.
        handles: Errors after which the next tier is asked.
    """

    router: Router
    cascade: Cascade | None
    handles: tuple[type[Exception], ...]

    def run(
        self,
        request: RouteRequest,
        ask: Callable[[Attempt], Step],
        answer_of: Callable[[Any], Answer],
        *,
        is_open_ended: bool = False,
        unreadable: tuple[type[Exception], ...] = (),
    ) -> Steps:
        """Return what came back, and the attempt that it came from.

        Args:
            request: What is asked.
            ask: Makes one attempt.
            answer_of: Reads what came back for the judge.
            is_open_ended: Whether the caller ends the last attempt, as its answer is still arriving.
            unreadable: Errors that say that an answer breaks the schema that was asked for.
        """
        route = yield from self._decided(request)
        before: Attempt | None = None
        while True:
            is_held = self.cascade is not None and self.cascade.needs_judging(route)
            attempt = Attempt(self.router, route, is_held=is_held, after=before)
            try:
                output = yield ask(attempt)
            except Exception as error:
                better = self._after(attempt, request, error, unreadable)
                if better is None:
                    attempt.given_up()
                    if before is not None:
                        error.add_note(last_hope(route))
                    raise
            except BaseException:  # cancelled, or interrupted
                attempt.withdrawn()
                raise
            else:
                better = None
                if is_held:
                    better = yield from self._judged(attempt, request, answer_of(output))
                if better is None:
                    if is_held or not is_open_ended:
                        attempt.answered()
                    return output, attempt
                attempt.rejected()
            route, before = better, attempt

    def _decided(self, request: RouteRequest) -> Generator[Step, Any, Route]:
        if self.cascade is None:
            decide = Step(partial(self.router.decide, request), partial(self.router.adecide, request))
        else:
            decide = Step(partial(self.cascade.first, request), partial(self.cascade.afirst, request))
        with own_calls("router"):
            route: Route = yield decide
        return route

    def _judged(
        self, attempt: Attempt, request: RouteRequest, answer: Answer
    ) -> Generator[Step, Any, Route | None]:
        """Return whom to ask instead; None where the answer will do."""
        if self.cascade is None:
            return None
        try:
            with own_calls("judge"):
                verdict = yield Step(
                    partial(self.cascade.judge, request, answer),
                    partial(self.cascade.ajudge, request, answer),
                )
        except BaseException:
            attempt.withdrawn()
            raise
        return self.cascade.next(attempt.route, verdict)

    def _after(
        self,
        attempt: Attempt,
        request: RouteRequest,
        error: Exception,
        unreadable: tuple[type[Exception], ...],
    ) -> Route | None:
        """Return where to go after an error; None where it is the caller's to see."""
        if self.cascade is not None and attempt.is_held and isinstance(error, unreadable):
            verdict = self.cascade.judge(request, Answer(text="", schema_ok=False))
            better = self.cascade.next(attempt.route, verdict)
            if better is not None:
                attempt.rejected()
                return better
        if isinstance(error, TokenomicsError):  # refused before it was sent: no tier's fault
            attempt.withdrawn()
            return None
        attempt.failed(error)
        if not isinstance(error, self.handles):
            return None
        return self.router.next_tier(attempt.route, error)
