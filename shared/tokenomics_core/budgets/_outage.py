"""One log line per outage of a store, and counters for the rest."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import TypeVar

from tokenomics_core.budgets._money import from_nano
from tokenomics_core.budgets._steps import Steps
from tokenomics_core.errors import BudgetExceededError

__all__ = ["BudgetCounters", "Watch"]

_log = logging.getLogger("tokenomics")
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetCounters:
    """What went other than planned since the budgets were made.

    Attributes:
        store_failures: Steps that the store could not take.
        outages: Times that the store was lost after it had worked or was first used.
        unguarded_calls: Calls let through without a hold, as the budgets are open on failure.
        overshoots: Settlements above what was set aside.
        overshoot_usd: By how much in all.
        late_settlements: Settlements of what had been freed before.
        alert_failures: Alert handlers that failed.
        action_failures: Actions at a limit that raised; the call was not sent, its caller got the error.
        refusals: Calls that a limit refused, by its scope, window and unit.
    """

    store_failures: int = 0
    outages: int = 0
    unguarded_calls: int = 0
    overshoots: int = 0
    overshoot_usd: Decimal = Decimal(0)
    late_settlements: int = 0
    alert_failures: int = 0
    action_failures: int = 0
    refusals: Mapping[tuple[str, str, str], int] = field(default_factory=dict, hash=False)


class Watch:
    """Counts what goes wrong and says it once."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._counters = BudgetCounters()
        self._lost_at = 0
        self.is_down = False

    @property
    def counters(self) -> BudgetCounters:
        """The counts so far."""
        return self._counters

    def count(self, **more: int | Decimal) -> None:
        """Add to counters by name."""
        with self._lock:
            now = {name: getattr(self._counters, name) for name in more}
            self._counters = replace(self._counters, **{name: now[name] + by for name, by in more.items()})

    def refusing(self, steps: Steps[_T]) -> Steps[_T]:
        """Take steps that may refuse a call, and count it if they do."""
        try:
            return (yield from steps)
        except BudgetExceededError as error:
            limit = (error.scope, error.window, error.unit)
            with self._lock:
                known = self._counters.refusals
                refusals = {**known, limit: known.get(limit, 0) + 1}
                self._counters = replace(self._counters, refusals=refusals)
            raise

    def failed(self, error: Exception, *, is_open: bool) -> None:
        """Note that the store could not take a step."""
        with self._lock:
            first, self.is_down = not self.is_down, True
        self.count(store_failures=1, outages=int(first))
        if first:
            self._lost_at = self._counters.store_failures
            _log.warning(
                "budget store lost, calls are %s until it is back: %s",
                "let through unguarded" if is_open else "refused",
                error,
            )

    def worked(self) -> None:
        """Note that the store took a step."""
        with self._lock:
            back, self.is_down = self.is_down, False
        if back:
            missed = self._counters.store_failures - self._lost_at + 1
            _log.warning("budget store is back after %d failed steps", missed)

    def overshot(self, nano_usd: int, tokens: int, hold_id: str) -> None:
        """Note that a call took more than was set aside for it."""
        first = self._counters.overshoots == 0
        self.count(overshoots=1, overshoot_usd=from_nano(nano_usd))
        _log.log(
            logging.WARNING if first else logging.DEBUG,
            "a call took %s USD and %d tokens more than was reserved for it; all of it is booked (hold %s)",
            from_nano(nano_usd),
            tokens,
            hold_id,
        )
