"""Read budgets, caches and routers when metrics are collected, so that no call waits for it."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Protocol

from tokenomics_core.types import Attribution

if TYPE_CHECKING:
    from opentelemetry.metrics import CallbackOptions, Meter, MeterProvider, Observation

    from tokenomics_core.budgets import Budgets, BudgetStatus

__all__ = ["Reading", "Watched", "read_budgets", "read_cache", "read_router", "standing", "watched_by"]

Reading = tuple[str, float, dict[str, str]]
"""The name of an instrument, a value, and its attributes."""

_COUNTERS = {
    "tokenomics.budget.refusals": ("{call}", "Calls that a limit refused; they were not sent."),
    "tokenomics.cache.lookups": ("{lookup}", "Look-ups in a response cache, by what came of them."),
    "tokenomics.route.decisions": ("{decision}", "Decisions of a router, by the tier chosen."),
    "tokenomics.route.cascades": ("{request}", "Requests that began with a draft of a cheaper tier."),
    "tokenomics.route.escalations": ("{request}", "Drafts that were rejected and asked again."),
}
_GAUGES = {
    "tokenomics.budget.limit": ("", "What a limit allows in its window, grants included."),
    "tokenomics.budget.spent": ("", "What was settled against a limit in its window."),
    "tokenomics.budget.left": ("", "What a limit has left; below 0 after an overshoot."),
    "tokenomics.cache.entries": ("{entry}", "Live entries of a response cache."),
}


class Watched:
    """What is read at a collection, for one meter provider; it outlives the metrics that were installed.

    Each collection reads every source once, with the first instrument; what cannot be read is left out.
    """

    def __init__(self, meter: Meter) -> None:
        self._sources: dict[tuple[str, str], Callable[[], Iterable[Reading]]] = {}
        self._on_failure: Callable[[], None] = lambda: None
        self._is_in_use = False
        self._highest: dict[tuple[str, tuple[tuple[str, str], ...]], float] = {}
        self._lock = threading.Lock()
        self._readings: dict[str, list[tuple[float, dict[str, str]]]] = {}
        for name, (unit, description) in _COUNTERS.items():
            meter.create_observable_counter(name, [self._callback(name)], unit, description)
        for name, (unit, description) in _GAUGES.items():
            meter.create_observable_gauge(name, [self._callback(name)], unit, description)

    def add(self, kind: str, name: str, source: Callable[[], Iterable[Reading]]) -> bool:
        """Read a source from now on; False where one of that kind has the name already."""
        with self._lock:
            if (kind, name) in self._sources:
                return False
            self._sources[kind, name] = source
            return True

    def begin(self, on_failure: Callable[[], None]) -> bool:
        """Start with nothing to read; False where somebody else has not ended yet."""
        with self._lock:
            if self._is_in_use:
                return False
            self._is_in_use, self._on_failure = True, on_failure
            return True

    def end(self) -> None:
        """Read nothing any more."""
        with self._lock:
            self._is_in_use = False
            self._sources.clear()
            self._highest.clear()
            self._readings.clear()

    def _callback(self, name: str) -> Callable[[CallbackOptions], Iterable[Observation]]:
        from opentelemetry.metrics import Observation  # noqa: PLC0415 - the extra `otel`

        def observe(_: CallbackOptions) -> list[Observation]:
            return [Observation(value, labels) for value, labels in self._take(name)]

        return observe

    def _take(self, name: str) -> list[tuple[float, dict[str, str]]]:
        """Return the values of an instrument, reading anew where those of this collection are used up."""
        with self._lock:
            if name not in self._readings:
                sources = list(self._sources.values())
                self._readings = {known: [] for known in (*_COUNTERS, *_GAUGES)}
                for source in sources:
                    self._read(source)
            return self._readings.pop(name)

    def _read(self, source: Callable[[], Iterable[Reading]]) -> None:
        try:
            readings = list(source())
        except Exception:  # noqa: BLE001 - an observer may not break what it watches
            self._on_failure()
            return
        for name, value, labels in readings:
            self._readings[name].append((self._risen(name, value, labels), labels))

    def _risen(self, name: str, value: float, labels: dict[str, str]) -> float:
        """Keep a counter from falling: statistics may take a miss back that a call in flight answered."""
        if name not in _COUNTERS:
            return value
        key = (name, tuple(labels.items()))
        highest = self._highest[key] = max(value, self._highest.get(key, value))
        return highest


_by_provider: weakref.WeakKeyDictionary[Any, Watched] = weakref.WeakKeyDictionary()
_of_process: list[Watched] = []
_by_provider_lock = threading.Lock()


def watched_by(provider: MeterProvider, meter: Meter) -> Watched:
    """Return what a provider reads; its instruments can be made once only.

    Before an application sets the provider of the process there is one that stands in for it, and whose
    instruments the real one takes over: both read the same.
    """
    from opentelemetry.metrics import get_meter_provider  # noqa: PLC0415 - the extra `otel`

    is_of_process = provider is get_meter_provider()
    with _by_provider_lock:
        found = _by_provider.get(provider)
        if found is None and is_of_process and _of_process:
            found = _of_process[0]
        if found is None:
            found = Watched(meter)
        _by_provider[provider] = found
        if is_of_process and not _of_process:
            _of_process.append(found)
        return found


def standing(budgets: Budgets, accounts: Iterable[Attribution]) -> Iterator[tuple[str, BudgetStatus]]:
    """Read every limit that the accounts name in full, and those on all calls, each once."""
    read: set[tuple[tuple[str, ...], str]] = set()
    scopes = sorted({limit.names for limit in budgets.limits if limit.names != ("request",)})
    for who in (Attribution(), *accounts):
        for names in scopes:
            keys = () if names == ("all",) else tuple(who.get(part) or "" for part in names)
            key = "/".join(keys)
            if not all(keys) or (names, key) in read:
                continue
            read.add((names, key))
            yield key, budgets.status(names, keys or "", tags=_known(who))


def read_budgets(budgets: Budgets, name: str, accounts: Iterable[Attribution]) -> Iterator[Reading]:
    """Read limits and refusals."""
    for key, status in standing(budgets, accounts):
        for line in status.lines:
            labels = {
                "tokenomics.budget.name": name,
                "tokenomics.budget.scope": status.scope,
                "tokenomics.budget.key": key,
                "tokenomics.budget.window": line.window,
                "tokenomics.budget.unit": line.unit,
                "tokenomics.budget.action": f"downgrade:{line.downgrade_to}"
                if line.downgrade_to
                else "refuse",
            }
            yield "tokenomics.budget.limit", float(line.limit), labels
            yield "tokenomics.budget.spent", float(line.spent), labels
            yield "tokenomics.budget.left", float(line.left), labels
    for (scope, window, unit), count in budgets.counters.refusals.items():
        labels = {
            "tokenomics.budget.name": name,
            "tokenomics.budget.scope": scope,
            "tokenomics.budget.window": window,
            "tokenomics.budget.unit": unit,
        }
        yield "tokenomics.budget.refusals", count, labels


def _known(who: Attribution) -> dict[str, str]:
    """Return everything that a limit may match."""
    own = {name: value for name, value in who.to_dict().items() if isinstance(value, str)}
    return {**who.tags, **own}


class HasStats(Protocol):
    """A cache or a router, of the core or of an adapter."""

    def stats(self) -> Any:
        """Return its statistics."""


def read_cache(cache: HasStats, name: str) -> Iterator[Reading]:
    """Read what became of look-ups; a miss says why."""
    stats = cache.stats()
    base = {"tokenomics.cache.name": name}
    for kind in ("exact", "semantic", "shared"):
        labels = {**base, "tokenomics.cache.outcome": f"hit_{kind}", "tokenomics.cache.reason": ""}
        yield "tokenomics.cache.lookups", getattr(stats, f"hits_{kind}"), labels
    for reason, count in stats.misses.items():
        labels = {**base, "tokenomics.cache.outcome": "miss", "tokenomics.cache.reason": reason}
        yield "tokenomics.cache.lookups", count, labels
    if stats.entries is not None:
        yield "tokenomics.cache.entries", stats.entries, base


def read_router(router: HasStats, name: str) -> Iterator[Reading]:
    """Read which tiers were chosen, and how often a draft did not do."""
    stats = router.stats()
    base = {"tokenomics.router.name": name}
    for tier, its in stats.tiers.items():
        yield "tokenomics.route.decisions", its.decisions, {**base, "tokenomics.route.tier": tier}
    yield "tokenomics.route.cascades", stats.cascades, base
    yield "tokenomics.route.escalations", stats.escalations, base
