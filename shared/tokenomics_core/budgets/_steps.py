"""One decision for sync and async callers: it yields what is to be done, and a driver does it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Generator
from typing import Any, TypeVar

from tokenomics_core.budgets._memory import MemoryBudgetStore
from tokenomics_core.budgets._store import BudgetStore, Granted, Hold

__all__ = ["Step", "Steps", "drive", "drive_async"]

_T = TypeVar("_T")
Step = tuple[str, tuple[Any, ...]]
"""The name of a store's method, or `call` for a function of the user's, and the arguments."""

Steps = Generator[Step, Any, _T]  # a step's answer is of the step's type

_running: set[asyncio.Future[Any]] = set()


def drive(store: BudgetStore, steps: Steps[_T]) -> _T:
    """Take every step here and now."""
    try:
        name, arguments = next(steps)
        while True:
            try:
                reply = _call(*arguments) if name == "call" else getattr(store, name)(*arguments)
            except Exception as error:  # noqa: BLE001 - goes to the decision, which handles or raises it
                name, arguments = steps.throw(error)
            else:
                name, arguments = steps.send(reply)
    except StopIteration as done:
        result: _T = done.value
        return result


async def drive_async(store: BudgetStore, steps: Steps[_T]) -> _T:
    """Take every step without blocking the event loop."""
    at_once = isinstance(store, MemoryBudgetStore)
    try:
        name, arguments = next(steps)
        while True:
            try:
                if name == "call":
                    reply = await _call_async(*arguments)
                elif at_once:
                    reply = await getattr(store, f"a{name}")(*arguments)
                else:
                    reply = await _to_the_end(store, name, arguments)
            except Exception as error:  # noqa: BLE001 - goes to the decision, which handles or raises it
                name, arguments = steps.throw(error)
            else:
                name, arguments = steps.send(reply)
    except StopIteration as done:
        result: _T = done.value
        return result


async def _to_the_end(store: BudgetStore, name: str, arguments: tuple[Any, ...]) -> Any:
    """Take a step that a cancelled caller does not interrupt, for a store cannot take half a step."""
    step = asyncio.ensure_future(getattr(store, f"a{name}")(*arguments))
    try:
        return await asyncio.shield(step)
    except asyncio.CancelledError:
        if not step.cancelled():
            _keep(asyncio.ensure_future(_finish(store, name, arguments, step)))
        raise


async def _finish(
    store: BudgetStore, name: str, arguments: tuple[Any, ...], step: asyncio.Future[Any]
) -> None:
    """Let a step end whose caller is gone; what it set aside for nobody is freed."""
    reply = await asyncio.gather(step, return_exceptions=True)
    if name == "reserve" and isinstance(reply[0], Granted):
        hold: Hold = arguments[0]
        await asyncio.gather(store.arelease(hold), return_exceptions=True)


def _keep(task: asyncio.Future[Any]) -> None:
    _running.add(task)
    task.add_done_callback(_running.discard)


def _call(function: Callable[..., Any], *arguments: Any) -> Any:
    result = function(*arguments)
    return _wait_for(result) if isinstance(result, Awaitable) else result


async def _call_async(function: Callable[..., Any], *arguments: Any) -> Any:
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
