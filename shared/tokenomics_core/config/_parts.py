"""From settings to the objects that an application, or a replay of its log, uses."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

from tokenomics_core.budgets import Budgets, MemoryBudgetStore, SQLiteBudgetStore
from tokenomics_core.config._sections import (
    GUARDS,
    BudgetSettings,
    CacheSettings,
    LedgerSettings,
    PriceSettings,
)
from tokenomics_core.config._serving_sections import CLASSIFIERS, CompressSettings, RouterSettings
from tokenomics_core.pricing import PriceBook

if TYPE_CHECKING:
    from tokenomics_core.budgets import BudgetStore
    from tokenomics_core.cache import CachePolicy, CacheStore, KeyRule, ResponseCache
    from tokenomics_core.config._settings import Settings
    from tokenomics_core.embedding import Embedder
    from tokenomics_core.ledger import BaseLedger
    from tokenomics_core.routing import Classifier, Policy, Router
    from tokenomics_core.traffic import Plan

__all__ = ["Parts", "build_parts", "build_plan"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What settings describe, built; what is off is None.

    Attributes:
        prices: What calls cost.
        ledger: Where calls are recorded.
        budgets: What calls may spend.
        max_output_tokens: What an answer that nobody bounded is taken to have at most.
        cache: What is served again.
        rule: Which requests share an answer.
        router: Which model answers what.
        compress: How much of the context is sent.
    """

    prices: PriceBook
    ledger: BaseLedger | None = None
    budgets: Budgets | None = None
    max_output_tokens: int = 4_096
    cache: ResponseCache | None = None
    rule: KeyRule | None = None
    router: Router | None = None
    compress: CompressSettings | None = None

    def close(self) -> None:
        """Write what is pending and give back files and connections."""
        if self.budgets is not None:
            self.budgets.flush()
        for part in (self.cache, self.ledger):
            if part is not None:
                part.close()


def build_parts(
    settings: Settings,
    *,
    embedder: Embedder | None = None,
    clock: Callable[[], float] | None = None,
    on_alert: Callable[..., Any] | None = None,
) -> Parts:
    """Open the stores and make the objects; see `Settings.build`."""
    now = time.time if clock is None else clock
    prices = _prices(settings.prices, None if clock is None else now)
    budgets = settings.budgets
    return Parts(
        prices=prices,
        ledger=None if settings.ledger is None else _ledger(settings.ledger, now),
        budgets=None if budgets is None else _budgets(budgets, _budget_store(budgets, now), prices, on_alert),
        max_output_tokens=(budgets or BudgetSettings()).max_output_tokens,
        cache=None
        if settings.cache is None
        else _cache(settings.cache, _cache_store(settings.cache), embedder, prices, now),
        rule=None if settings.cache is None else _rule(settings.cache),
        router=None
        if settings.router is None
        else _router(settings.router, prices, time.monotonic if clock is None else clock),
        compress=settings.compress,
    )


def build_plan(settings: Settings, *, embedder: Embedder | None = None, order: str = "cache") -> Plan:
    """Make the same objects in memory, on the clock of a log; see `Settings.plan`."""
    from tokenomics_core.traffic import Compression, LogClock, Plan  # noqa: PLC0415 - loads all that replays

    clock = LogClock()
    alerts: list[Any] = []
    prices = _prices(settings.prices, clock)
    budgets, cut = settings.budgets, settings.compress
    return Plan(
        clock=clock,
        prices=prices,
        budgets=None
        if budgets is None
        else _budgets(budgets, MemoryBudgetStore(clock=clock), prices, alerts.append),
        max_output_tokens=(budgets or BudgetSettings()).max_output_tokens,
        alerts=alerts,
        cache=None if settings.cache is None else _cache(settings.cache, None, embedder, prices, clock),
        rule=None if settings.cache is None else _rule(settings.cache),
        router=None if settings.router is None else _router(settings.router, prices, clock),
        router_options={} if settings.router is None else router_options(settings.router),
        compression=None
        if cut is None
        else Compression(
            documents=cut.document_options() if cut.cuts_documents else None,
            history=cut.history_options() if cut.history_tokens is not None else None,
            template=cut.template,
        ),
        order=cast("Any", order),
    )


def router_options(settings: RouterSettings) -> dict[str, Any]:
    """Return what holds for each request unless its caller says otherwise."""
    options = {"max_cost_usd": settings.max_cost_usd, "quality_floor": settings.quality_floor}
    return {name: value for name, value in options.items() if value is not None}


def _prices(settings: PriceSettings | None, clock: Callable[[], float] | None) -> PriceBook:
    told = settings or PriceSettings()
    return PriceBook(
        overrides=told.file,
        aliases=dict(told.aliases),
        discounts=dict(told.discounts),
        clock=None if clock is None else lambda: datetime.fromtimestamp(clock(), UTC),
    )


def _ledger(settings: LedgerSettings, clock: Callable[[], float]) -> BaseLedger:
    from tokenomics_core import ledger  # noqa: PLC0415 - only where one is asked for

    def now() -> datetime:
        return datetime.fromtimestamp(clock(), UTC)

    if settings.dsn is not None:
        made: BaseLedger = ledger.PostgresLedger(settings.dsn, keep_content=settings.keep_content, clock=now)
        return made
    if settings.path is not None:
        return ledger.SQLiteLedger(settings.path, keep_content=settings.keep_content, clock=now)
    return ledger.MemoryLedger(keep_content=settings.keep_content, clock=now)


def _budget_store(settings: BudgetSettings, clock: Callable[[], float]) -> BudgetStore:
    if settings.redis is not None:
        from tokenomics_core.budgets import RedisBudgetStore  # noqa: PLC0415 - needs an extra

        return RedisBudgetStore(settings.redis)
    if settings.path is not None:
        return SQLiteBudgetStore(settings.path, clock=clock)
    return MemoryBudgetStore(clock=clock)


def _budgets(
    settings: BudgetSettings, store: BudgetStore, prices: PriceBook, on_alert: Callable[..., Any] | None
) -> Budgets:
    return Budgets(
        [limit.build() for limit in settings.limits],
        store,
        prices,
        on_alert,
        cast("Any", settings.on_store_failure),
        unknown=cast("Any", settings.unknown),
        unattributed=cast("Any", settings.unattributed),
    )


def _cache_store(settings: CacheSettings) -> CacheStore | None:
    from tokenomics_core.cache import PostgresCacheStore, SQLiteCacheStore  # noqa: PLC0415 - loads numpy

    if settings.dsn is not None:
        return PostgresCacheStore(settings.dsn)
    return None if settings.path is None else SQLiteCacheStore(settings.path)


def _cache(
    settings: CacheSettings,
    store: CacheStore | None,
    embedder: Embedder | None,
    prices: PriceBook,
    clock: Callable[[], float],
) -> ResponseCache:
    from tokenomics_core.cache import ResponseCache  # noqa: PLC0415 - loads numpy
    from tokenomics_core.cache.content_guards import DEFAULT_GUARDS  # noqa: PLC0415 - only where asked for

    by_name = {guard.name: guard for guard in DEFAULT_GUARDS}
    assert set(by_name) == set(GUARDS)  # noqa: S101 - a guard that is renamed must be renamed in files too
    return ResponseCache(
        store,
        embedder,
        _policy(settings),
        guards=tuple(by_name[name] for name in settings.guards),
        ttl_s=settings.ttl_s,
        tag_ttl_s=dict(settings.tag_ttl_s) or None,
        stale_s=settings.stale_s,
        max_entries=settings.max_entries,
        max_bytes=settings.max_bytes,
        eviction=cast("Any", settings.eviction),
        namespace=settings.namespace,
        prices=prices,
        clock=clock,
    )


def _policy(settings: CacheSettings) -> CachePolicy:
    from tokenomics_core.cache import BoundedError, FixedThreshold  # noqa: PLC0415 - loads numpy

    if settings.policy == "bounded":
        return BoundedError(
            settings.max_error,
            settings.confidence,
            explore=settings.explore,
            seed=settings.seed,
            guards=settings.pair_guards,
        )
    return FixedThreshold(settings.threshold, on=cast("Any", settings.on), guards=settings.pair_guards)


def _rule(settings: CacheSettings) -> KeyRule:
    from tokenomics_core.cache import KeyRule, ServingRule  # noqa: PLC0415 - loads numpy
    from tokenomics_core.config._exact_rule import ExactKeyRule  # noqa: PLC0415 - likewise

    kind = ExactKeyRule if settings.policy == "exact" else KeyRule
    return kind(
        history=cast("Any", settings.history),
        model_classes=dict(settings.model_classes),
        rule=ServingRule(max_temperature=settings.max_temperature),
        epoch=settings.epoch or 0,
    )


def _router(settings: RouterSettings, prices: PriceBook, clock: Callable[[], float]) -> Router:
    from tokenomics_core.routing import Router, Tier  # noqa: PLC0415 - loads numpy

    tiers = [
        Tier(
            name=tier.name,
            model=tier.model,
            provider=tier.provider,
            price=tier.price_usd_per_mtok,
            window=tier.window,
            max_output=tier.max_output,
            capabilities=None if tier.capabilities is None else frozenset(tier.capabilities),
            languages=None if tier.languages is None else frozenset(tier.languages),
            effort=tier.effort,
            quality=tier.quality,
            typical_output_tokens=tier.typical_output_tokens,
        )
        for tier in settings.tiers
    ]
    return Router(
        tiers,
        classifier=_classifier(settings.classifier),
        policy=_target(settings),
        prices=prices,
        safe_tier=settings.safe_tier,
        explore=settings.explore,
        holdout=settings.holdout,
        learning_rate=settings.learning_rate,
        out_of_domain=settings.out_of_domain,
        usual_output_tokens=settings.usual_output_tokens,
        clock=clock,
        rng=None if settings.seed is None else random.Random(settings.seed),  # noqa: S311 - exploration, no secret
    )


def _classifier(name: str) -> Classifier | None:
    from tokenomics_core.routing import DifficultyClassifier  # noqa: PLC0415 - loads numpy
    from tokenomics_core.routing.classifiers import HeuristicClassifier  # noqa: PLC0415 - likewise

    if name not in CLASSIFIERS:
        return DifficultyClassifier.load(name)
    if name == "heuristic":
        return HeuristicClassifier()
    return DifficultyClassifier.pretrained() if name == "shipped" else None


def _target(settings: RouterSettings) -> Policy:
    from tokenomics_core.routing import policies  # noqa: PLC0415 - loads numpy

    tuned: dict[str, Any] = {} if settings.eta is None else {"eta": settings.eta}
    if settings.threshold is not None:
        return policies.Threshold(settings.threshold)
    if settings.floor is not None:
        return policies.CheapestGoodEnough(settings.floor)
    if settings.share is not None:
        return policies.TargetShare(settings.share, at=settings.start or 0.0, **tuned)
    if settings.usd_per_1000 is not None:
        return policies.TargetCost(settings.usd_per_1000, value_usd=settings.start, **tuned)
    return policies.TargetQuality(settings.quality or 0.95, value_usd=settings.start, **tuned)
