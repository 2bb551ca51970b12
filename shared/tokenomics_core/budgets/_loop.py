"""End a run that goes in circles before it has eaten its budget."""

from __future__ import annotations

import json
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from statistics import median
from typing import Any

from tokenomics_core.budgets._money import Money, from_nano, nano_for_spend
from tokenomics_core.errors import BudgetExceededError, ConfigurationError
from tokenomics_core.types import current_attribution

__all__ = ["LoopGuard"]

_KEPT_STRETCHES = 120


class LoopGuard:
    """Watches the runs of an agent for signs that it no longer gets anywhere.

    Two rules, each of which raises a `BudgetExceededError` whose `rule` names it:

    `same tool call`: one tool is called with the same arguments more than `max_same_calls` times among the
    last `memory` tool calls of the run.

    `spend rate`: in the current stretch of time a run has spent more than `rate_factor` times the median of
    its own earlier stretches in which it spent anything, and more than `rate_floor_usd`.

    A run is known by a key, by default the `run` of the attribution in force. Any number of threads may share
    a guard; what it knows ends with the process.
    """

    def __init__(
        self,
        *,
        max_same_calls: int = 3,
        memory: int = 50,
        rate_factor: float = 10.0,
        rate_floor_usd: Money = "0.10",
        stretch_s: float = 10.0,
        min_stretches: int = 5,
        max_runs: int = 10_000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Set the rules.

        Args:
            max_same_calls: How often one tool may be called with the same arguments.
            memory: Among how many last tool calls of a run.
            rate_factor: How many times its own median a run may spend in a stretch.
            rate_floor_usd: What a run may spend in a stretch whatever its median.
            stretch_s: How long a stretch is, in seconds.
            min_stretches: How many stretches must have gone by before their median says something.
            max_runs: How many runs to know; the one longest untouched is forgotten first.
            clock: Seconds that never run back.
        """
        for name, value in (
            ("max_same_calls", max_same_calls),
            ("memory", memory),
            ("min_stretches", min_stretches),
        ):
            if type(value) is not int or value < 1:
                raise ConfigurationError(f"{name} must be a whole number of 1 or more, not {value!r}")
        if not rate_factor > 1:
            raise ConfigurationError(f"rate_factor must be above 1, not {rate_factor!r}")
        if not stretch_s > 0:
            raise ConfigurationError(f"stretch_s must be above 0, not {stretch_s!r}")
        self._max_same, self._memory = max_same_calls, memory
        self._factor, self._floor = rate_factor, nano_for_spend(rate_floor_usd, "rate_floor_usd")
        self._stretch_s, self._min_stretches = stretch_s, min_stretches
        self._max_runs, self._clock = max_runs, clock
        self._runs: OrderedDict[str, _Run] = OrderedDict()
        self._lock = threading.RLock()

    def tool_call(self, name: str, arguments: Any = None, *, run: str | None = None) -> None:
        """Note that a tool is about to be called; call this before it runs.

        Args:
            name: The tool.
            arguments: What it is called with; the order of keys does not matter.
            run: Which run; None takes the one in force here.

        Raises:
            BudgetExceededError: It was called like this too often; do not call it.
        """
        call = f"{name}({_canonical(arguments)})"
        key = _run_key(run)
        with self._lock:
            made = self._run(key).tool_calls
            if len(made) == self._memory:
                made.popleft()
            same = made.count(call)
            if same < self._max_same:
                made.append(call)
                return
        raise BudgetExceededError(
            "run",
            key,
            f"last {self._memory} tool calls",
            "calls",
            self._max_same,
            same,
            1,
            f"same tool call: {name}",
        )

    def spend(self, usd: Money, *, run: str | None = None) -> None:
        """Note what a call of a run cost; call this after it, or before it with what was reserved.

        Raises:
            BudgetExceededError: The run spends many times faster than it used to; the amount is noted.
        """
        nano = nano_for_spend(usd)
        key = _run_key(run)
        with self._lock:
            stretches = self._run(key).stretches
            now = int(self._clock() / self._stretch_s)
            before = [amount for stretch, amount in stretches.items() if stretch != now and amount]
            stretches[now] = stretches.get(now, 0) + nano
            spent = stretches[now]
            while len(stretches) > _KEPT_STRETCHES:
                stretches.popitem(last=False)
        if len(before) < self._min_stretches:
            return
        allowed = max(self._floor, int(median(before) * self._factor))
        if spent > allowed:
            raise BudgetExceededError(
                "run",
                key,
                f"{self._stretch_s:g} s",
                "usd",
                from_nano(allowed),
                from_nano(spent - nano),
                from_nano(nano),
                f"spend rate: {self._factor:g} times the run's own median",
            )

    def end(self, run: str | None = None) -> None:
        """Forget a run that has ended."""
        with self._lock:
            self._runs.pop(_run_key(run), None)

    def _run(self, key: str) -> _Run:
        run = self._runs.get(key)
        if run is None:
            run = self._runs[key] = _Run()
            if len(self._runs) > self._max_runs:
                self._runs.popitem(last=False)
        else:
            self._runs.move_to_end(key)
        return run


class _Run:
    __slots__ = ("stretches", "tool_calls")

    def __init__(self) -> None:
        self.tool_calls: deque[str] = deque()
        self.stretches: OrderedDict[int, int] = OrderedDict()


def _run_key(run: str | None) -> str:
    return (current_attribution().run or "") if run is None else run


def _canonical(arguments: Any) -> str:
    """Write arguments so that equal ones are written alike; foreign values by what they print."""
    return json.dumps(arguments, sort_keys=True, default=repr, ensure_ascii=False)
