"""Work that no caller waits for."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable, Coroutine
from typing import Any

__all__ = ["BackgroundWork"]


class BackgroundWork:
    """Starts threads and tasks and keeps hold of them until they are done."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._threads: set[threading.Thread] = set()
        self._tasks: set[asyncio.Task[Any]] = set()

    def in_thread(self, work: Callable[[], None]) -> None:
        """Start a thread."""

        def run() -> None:
            try:
                work()
            finally:
                with self._lock:
                    self._threads.discard(threading.current_thread())

        # In the caller's context: what the work costs is attributed to who set it off.
        context = contextvars.copy_context()
        thread = threading.Thread(target=context.run, args=(run,), name="tokenomics-refresh", daemon=True)
        with self._lock:
            self._threads.add(thread)
        thread.start()

    def in_task(self, work: Coroutine[Any, Any, None]) -> None:
        """Start a task in the running loop."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def wait(self, timeout_s: float) -> None:
        """Wait for the threads."""
        with self._lock:
            threads = list(self._threads)
        for thread in threads:
            thread.join(timeout_s)

    async def wait_async(self, timeout_s: float) -> None:
        """Wait for the tasks of this loop, and for the threads."""
        here = asyncio.get_running_loop()
        tasks = [task for task in self._tasks if task.get_loop() is here]
        if tasks:
            await asyncio.wait(tasks, timeout=timeout_s)
        await asyncio.to_thread(self.wait, timeout_s)
