"""One decision for sync and async callers: it yields what is to be done, and a driver does it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Generator
from typing import Any, TypeVar

__all__ = ["call", "call_async", "drive", "drive_async"]

_S = TypeVar("_S")
_T = TypeVar("_T")


def drive(steps: Generator[_S, Any, _T], take: Callable[[_S], Any]) -> _T:
    """Take every step here and now; what a step raises is thrown into the decision."""
    try:
        step = next(steps)
        while True:
            try:
                reply = take(step)
            except Exception as error:  # noqa: BLE001 - goes to the decision, which handles or raises it
                step = steps.throw(error)
            else:
                step = steps.send(reply)
    except StopIteration as done:
        result: _T = done.value
        return result
    finally:
        steps.close()  # after an interrupt the decision cleans up now, not when it is collected


async def drive_async(steps: Generator[_S, Any, _T], take: Callable[[_S], Awaitable[Any]]) -> _T:
    """Take every step without blocking the event loop, as far as `take` does not."""
    try:
        step = next(steps)
        while True:
            try:
                reply = await take(step)
            except Exception as error:  # noqa: BLE001 - goes to the decision, which handles or raises it
                step = steps.throw(error)
            else:
                step = steps.send(reply)
    except StopIteration as done:
        result: _T = done.value
        return result
    finally:
        steps.close()  # after an interrupt the decision cleans up now, not when it is collected


def call(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a user's function from sync code, also where it is async."""
    result = function(*arguments)
    return _wait_for(result) if isinstance(result, Awaitable) else result


async def call_async(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a user's function from async code, in a thread unless it is async."""
    if asyncio.iscoroutinefunction(function):
        return await function(*arguments)
    result = await asyncio.to_thread(function, *arguments)
    return await result if isinstance(result, Awaitable) else result


def _wait_for(result: Awaitable[Any]) -> Any:
    """Wait for an async function's result from sync code, in a thread as a loop may be running here."""
    answers: list[Any] = []
    errors: list[BaseException] = []

    async def run() -> Any:
        return await result

    def work() -> None:
        try:
            answers.append(asyncio.run(run()))
        except BaseException as error:  # noqa: BLE001 - raised again below, where it is waited for
            errors.append(error)

    thread = threading.Thread(target=work, name="tokenomics-handler")
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return answers[0]
