"""One decision for sync and async agents: it yields what is to be done, and a driver does it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from typing import Any, NamedTuple, TypeVar

__all__ = ["Step", "Steps", "take", "take_async"]

_T = TypeVar("_T")


class Step(NamedTuple):
    """What is to be done, in both ways of doing it."""

    here: Callable[[], Any]
    there: Callable[[], Awaitable[Any]]


Steps = Generator[Step, Any, _T]  # a step's answer is of the step's type


def take(steps: Steps[_T]) -> _T:
    """Take every step here and now."""
    try:
        step = next(steps)
        while True:
            try:
                reply = step.here()
            except BaseException as error:  # noqa: BLE001 - goes to the decision, which handles or raises it
                step = steps.throw(error)
            else:
                step = steps.send(reply)
    except StopIteration as done:
        result: _T = done.value
        return result


async def take_async(steps: Steps[_T]) -> _T:
    """Take every step without blocking the event loop."""
    try:
        step = next(steps)
        while True:
            try:
                reply = await step.there()
            except BaseException as error:  # noqa: BLE001 - likewise, a cancellation included
                step = steps.throw(error)
            else:
                step = steps.send(reply)
    except StopIteration as done:
        result: _T = done.value
        return result
