"""One decision for sync and async callers: it yields what is to be done, and a driver does it."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from typing import Any, TypeVar

from tokenomics_core.budgets._memory import MemoryBudgetStore
from tokenomics_core.budgets._store import BudgetStore, Granted, Hold
from tokenomics_core.steps import call, call_async
from tokenomics_core.steps import drive as drive_steps
from tokenomics_core.steps import drive_async as drive_steps_async

__all__ = ["Step", "Steps", "drive", "drive_async"]

_T = TypeVar("_T")
Step = tuple[str, tuple[Any, ...]]
"""The name of a store's method, or `call` for a function of the user's, and the arguments."""

Steps = Generator[Step, Any, _T]  # a step's answer is of the step's type

_running: set[asyncio.Future[Any]] = set()


def drive(store: BudgetStore, steps: Steps[_T]) -> _T:
    """Take every step here and now."""

    def take(step: Step) -> Any:
        name, arguments = step
        return call(*arguments) if name == "call" else getattr(store, name)(*arguments)

    return drive_steps(steps, take)


async def drive_async(store: BudgetStore, steps: Steps[_T]) -> _T:
    """Take every step without blocking the event loop."""
    at_once = isinstance(store, MemoryBudgetStore)

    async def take(step: Step) -> Any:
        name, arguments = step
        if name == "call":
            return await call_async(*arguments)
        if at_once:
            return await getattr(store, f"a{name}")(*arguments)
        return await _to_the_end(store, name, arguments)

    return await drive_steps_async(steps, take)


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
