"""Watch what calls cost in the monitoring that an application has already, through OpenTelemetry."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from tokenomics_core import __version__
from tokenomics_core.errors import ConfigurationError, MissingExtraError
from tokenomics_core.observability._metrics_feed import feed
from tokenomics_core.observability._metrics_watched import (
    HasStats,
    Reading,
    read_budgets,
    read_cache,
    read_router,
    watched_by,
)
from tokenomics_core.types import Attribution, SpendRecord

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider

    from tokenomics_core.budgets import Budgets

__all__ = ["Metrics", "install_metrics"]

_log = logging.getLogger("tokenomics")
_OWN = frozenset({"model", "provider", "source", "operation", "outcome", "price_source", "avoided_by"})
_SEEN = ("feature", "project")
_installed: list[Metrics] = []
_installed_lock = threading.Lock()


class Metrics:
    """Metrics of every call of this process, to be ended with `uninstall()` or as a `with` block.

    Attributes:
        failures: How many calls, budgets, caches or routers could not be measured; the first is logged.
    """

    def __init__(
        self,
        provider: MeterProvider,
        *,
        spans: bool,
        dimensions: Sequence[str],
        most_values: int,
    ) -> None:
        from tokenomics_core.observability._metrics_calls import CallMeter  # noqa: PLC0415 - the extra `otel`

        self.failures = 0
        self._lock = threading.Lock()
        meter = provider.get_meter("tokenomics", __version__)
        self._meter = CallMeter(meter, dimensions=dimensions, most_values=most_values)
        self._spans: Callable[[SpendRecord], None] | None = None
        if spans:
            from tokenomics_core.observability._metrics_spans import SpanWriter  # noqa: PLC0415 - likewise

            self._spans = SpanWriter().record
        self._watched = watched_by(provider, meter)
        if not self._watched.begin(self._count_failure):
            raise ConfigurationError("metrics are installed for this provider already; uninstall those first")
        feed.add(self._take)

    def record(self, record: SpendRecord) -> None:
        """Measure a call that no tracker saw, such as one read from a log; the same id is measured once."""
        if self._take in feed.listeners:
            feed.tell(record)

    def watch_budgets(
        self, budgets: Budgets, *, accounts: Iterable[Attribution] = (), name: str = "default"
    ) -> None:
        """Report what limits allow, what is spent and left, and how often they refused.

        Limits on all calls are always reported, and those of features and projects that have a series of
        their own. Of users and conversations there may be any number: name the accounts to watch.

        Args:
            budgets: What to watch; its store is read whenever metrics are collected.
            accounts: Whose limits to report besides, with the tags that their limits match.
            name: Tells several apart.

        Raises:
            ConfigurationError: Other budgets of that name are watched already.
        """
        given = tuple(accounts)
        self._watch("budgets", name, lambda: read_budgets(budgets, name, (*given, *self._seen())))

    def watch_cache(self, cache: HasStats, *, name: str = "default") -> None:
        """Report what became of look-ups in a response cache, of the core or of an adapter.

        Raises:
            ConfigurationError: Another cache of that name is watched already, or this is none.
        """
        self._watch("cache", name, partial(read_cache, _with_stats(cache), name))

    def watch_router(self, router: HasStats, *, name: str = "default") -> None:
        """Report which tiers a router or cascade chose and how often a draft was asked again.

        Raises:
            ConfigurationError: Another router of that name is watched already, or this is none.
        """
        self._watch("router", name, partial(read_router, _with_stats(router), name))

    def uninstall(self) -> None:
        """Measure nothing any more; a second time changes nothing. What was measured stays."""
        feed.remove(self._take)
        with _installed_lock:
            if self in _installed:
                _installed.remove(self)
                self._watched.end()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.uninstall()

    def _watch(self, kind: str, name: str, source: Callable[[], Iterable[Reading]]) -> None:
        with _installed_lock:
            if self not in _installed:
                raise ConfigurationError(f"these metrics were uninstalled; {kind} {name!r} is not watched")
            if not self._watched.add(kind, name, source):
                raise ConfigurationError(f"{kind} {name!r} is watched already; give this one another name")

    def _take(self, record: SpendRecord, asked_model: str | None) -> None:
        try:
            self._meter.record(record, asked_model)
            if self._spans is not None:
                self._spans(record)
        except Exception:  # noqa: BLE001 - an observer may not break the call it watches
            self._count_failure()

    def _seen(self) -> Iterable[Attribution]:
        for dimension in _SEEN:
            for value in self._meter.seen(dimension):
                known: dict[str, Any] = {dimension: value}
                yield Attribution(**known)

    def _count_failure(self) -> None:
        with self._lock:
            self.failures += 1
            first = self.failures == 1
        if first:
            _log.exception("something could not be measured; calls are not affected")


def install_metrics(
    meter_provider: MeterProvider | None = None,
    *,
    spans: bool = True,
    dimensions: Sequence[str] = _SEEN,
    most_values: int = 100,
) -> Metrics:
    """Measure every call of this process that is tracked, by either adapter, from now on (extra `otel`).

    Args:
        meter_provider: Where measurements go; None takes the one that OpenTelemetry has for the process.
        spans: Whether cost, avoided cost, source and route are also written on the span that is current
            where a call ends, if the application has one that is recording.
        dimensions: What becomes attributes besides model and provider: dimensions of `Attribution`, or tags.
            Each value makes series of its own; users and conversations are better asked of the ledger.
        most_values: How many values each attribute may have; calls of all further ones are added up under
            `other`. A default for a Prometheus server of ordinary size; see `docs/metrics.md`.

    Returns:
        A handle that watches budgets, caches and routers too, and ends it all again.

    Raises:
        MissingExtraError: OpenTelemetry is not installed.
        ConfigurationError: A setting is wrong, or the provider has metrics of this package already.
    """
    names = _checked(dimensions)
    if isinstance(most_values, bool) or not isinstance(most_values, int) or most_values < 1:
        raise ConfigurationError(f"most_values must be a whole number of 1 or more, not {most_values!r}")
    try:
        from opentelemetry import metrics  # noqa: PLC0415 - the extra `otel`
    except ModuleNotFoundError as error:
        raise MissingExtraError("opentelemetry-sdk", "otel") from error
    provider = metrics.get_meter_provider() if meter_provider is None else meter_provider
    if not hasattr(provider, "get_meter"):
        raise ConfigurationError(f"meter_provider makes no meters: {provider!r:.80}; nothing was installed")
    with _installed_lock:
        made = Metrics(provider, spans=spans, dimensions=names, most_values=most_values)
        _installed.append(made)
    return made


def _checked(dimensions: Sequence[str]) -> tuple[str, ...]:
    names = (dimensions,) if isinstance(dimensions, str) else tuple(dimensions)
    for name in names:
        if not isinstance(name, str) or not name or name in _OWN or names.count(name) > 1:
            raise ConfigurationError(
                f"dimensions must be distinct names of dimensions or tags, not {name!r}; model, provider, "
                "source, operation, outcome and avoided_by are always there"
            )
    return names


def _with_stats(source: HasStats) -> HasStats:
    if not callable(getattr(source, "stats", None)):
        raise ConfigurationError(f"{source!r:.80} has no stats(); it is not watched")
    return source
