"""Do what a decision of the cache asks for, here and now or without blocking the event loop."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any, TypeVar

from tokenomics_core.cache._asking import Step, Steps
from tokenomics_core.cache._protocols import CacheStore
from tokenomics_core.steps import call, call_async, drive, drive_async

if TYPE_CHECKING:
    from tokenomics_core.embedding import Embedder

__all__ = ["Runner"]

_T = TypeVar("_T")


class Runner:
    """Takes steps with a store and an embedder."""

    def __init__(self, store: CacheStore, embedder: Embedder) -> None:
        self._store, self._embedder = store, embedder

    def run(self, steps: Steps[_T]) -> _T:
        """Take all steps here and now."""
        return drive(steps, self._take)

    async def run_async(self, steps: Steps[_T]) -> _T:
        """Take all steps without blocking the event loop."""
        return await drive_async(steps, self._take_async)

    def _take(self, step: Step) -> Any:
        kind, what, arguments = step
        if kind == "store":
            return getattr(self._store, what)(*arguments)
        if kind == "embed":
            return self._embedder.embed(what)
        if kind == "wait":
            return what.wait(*arguments)
        return threading.Event().wait(what) if kind == "pause" else call(what, *arguments)

    async def _take_async(self, step: Step) -> Any:
        kind, what, arguments = step
        if kind == "store":
            return await getattr(self._store, f"a{what}")(*arguments)
        if kind == "embed":
            return await self._embedder.aembed(what)
        if kind == "wait":
            return await what.wait_async(*arguments)
        return await (asyncio.sleep(what) if kind == "pause" else call_async(what, *arguments))
