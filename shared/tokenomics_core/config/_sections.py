"""The sections of a settings file, each with safe defaults: ledger, prices, budgets and cache."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from tokenomics_core.budgets import Limit
from tokenomics_core.errors import ConfigurationError

__all__ = [
    "GUARDS",
    "BudgetSettings",
    "CacheSettings",
    "LedgerSettings",
    "LimitSettings",
    "PriceSettings",
    "check_between",
    "check_one_of",
]

GUARDS = ("error", "truncated", "empty", "refusal", "tool_calls", "personal_data", "time_dependent")
"""The content guards that a cache has unless it is told otherwise; `tokenomics_core.cache.content_guards`."""

_PAIR_GUARDS = ("default", "strict", "none")


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerSettings:
    """Where every call is recorded.

    Attributes:
        path: A SQLite file; None, without `dsn`, for memory.
        dsn: A PostgreSQL database.
        keep_content: Whether prompts and answers are kept with the records.
    """

    path: str | None = None
    dsn: str | None = None
    keep_content: bool = False

    def __post_init__(self) -> None:
        _not_both("a ledger", path=self.path, dsn=self.dsn)


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceSettings:
    """What calls cost, where that is not what the price data says.

    Attributes:
        file: A TOML or JSON file of prices of one's own, as `PriceBook(overrides=...)` reads it.
        aliases: The model behind each name of one's own.
        discounts: Negotiated multipliers by `provider` or `provider/model`.
    """

    file: str | None = None
    aliases: Mapping[str, str] = field(default_factory=dict, hash=False)
    discounts: Mapping[str, Decimal] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitSettings:
    """One limit; see `tokenomics_core.budgets.Limit`, whose words these are.

    Attributes:
        scope: `user`, `feature`, `project`, `conversation`, `run`, a tag, `request`, `all`, or a list.
        usd: The most money. Of `usd`, `tokens` and `calls` at least one is given.
        tokens: The most tokens, input and output together.
        calls: The most calls.
        match: Whom the limit is for.
        window: `minute`, `hour`, `day`, `week`, `month`, or `rolling 24h`; none for ever.
        timezone: IANA name of the zone whose calendar counts.
        alerts: Shares of the limit at which to tell.
        action: `refuse`, or `downgrade:TIER`.
    """

    scope: str | tuple[str, ...]
    usd: Decimal | None = None
    tokens: int | None = None
    calls: int | None = None
    match: Mapping[str, str] = field(default_factory=dict, hash=False)
    window: str | None = None
    timezone: str = "UTC"
    alerts: tuple[float, ...] = (0.8, 1.0)
    action: str = "refuse"

    def __post_init__(self) -> None:
        self.build()

    def build(self) -> Limit:
        """Return the limit."""
        return Limit(
            self.scope,
            usd=self.usd,
            tokens=self.tokens,
            calls=self.calls,
            match=self.match,
            window=self.window,
            timezone=self.timezone,
            alerts=self.alerts,
            action=self.action,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetSettings:
    """What calls may spend.

    Attributes:
        limits: What holds.
        path: A SQLite file that the processes of a machine share; None, without `redis`, for memory.
        redis: The address of a Redis server that a fleet shares.
        max_output_tokens: What an answer is taken to have at most where its request does not say.
        on_store_failure: `closed` refuses calls while the store cannot be used, `open` lets them pass.
        unknown: Whether a call passes whose amount is unknown in a unit that its limits count.
        unattributed: Whether a call passes that does not name a scope that has limits.
    """

    limits: tuple[LimitSettings, ...] = ()
    path: str | None = None
    redis: str | None = None
    max_output_tokens: int = 4_096
    on_store_failure: str = "closed"
    unknown: str = "refuse"
    unattributed: str = "allow"

    def __post_init__(self) -> None:
        _not_both("budgets", path=self.path, redis=self.redis)
        if self.max_output_tokens < 1:
            raise ConfigurationError(f"max_output_tokens must be 1 or more, not {self.max_output_tokens}")
        check_one_of("on_store_failure", self.on_store_failure, ("closed", "open"))
        check_one_of("unknown", self.unknown, ("refuse", "allow"))
        check_one_of("unattributed", self.unattributed, ("allow", "refuse"))


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheSettings:
    """What is served again.

    Attributes:
        path: A SQLite file that the processes of a machine share; None, without `dsn`, for memory.
        dsn: A PostgreSQL database with pgvector.
        policy: `bounded` learns to keep wrong answers under `max_error`; `fixed` has a threshold; `exact`
            serves no question but the very same.
        max_error: Greatest share of wrong answers among all requests, for `bounded`.
        confidence: Of that bound.
        explore: Share of would-be hits that are asked anew to learn from, for `bounded`.
        seed: Of the choice which ones.
        threshold: For `fixed`; none for the one that is shipped.
        on: What the threshold is compared with: `probability` or `similarity`.
        pair_guards: Reasons not to serve two questions the same answer: `default`, `strict`, `none`.
        guards: What is never stored or served, by name.
        ttl_s: Seconds that an answer stays fresh; none for ever.
        tag_ttl_s: The same for entries with a tag.
        stale_s: Seconds after it in which the old answer is served while a new one is fetched.
        max_entries: Most entries.
        max_bytes: Most bytes.
        eviction: `lru` or `saving`.
        namespace: Caches of different namespaces share nothing.
        history: Which earlier turns must be equal: `exact`, `none`, or a number of messages.
        max_temperature: Above it a request is served word for word only.
        model_classes: Class by model, for models that may answer for one another.
        epoch: Changed by whoever wants to begin anew.
    """

    path: str | None = None
    dsn: str | None = None
    policy: str = "bounded"
    max_error: float = 0.02
    confidence: float = 0.95
    explore: float = 0.02
    seed: int = 0
    threshold: float | None = None
    on: str = "probability"
    pair_guards: str = "default"
    guards: tuple[str, ...] = GUARDS
    ttl_s: float | None = None
    tag_ttl_s: Mapping[str, float] = field(default_factory=dict, hash=False)
    stale_s: float | None = None
    max_entries: int = 100_000
    max_bytes: int = 2**30
    eviction: str = "lru"
    namespace: str = "default"
    history: str | int = "exact"
    max_temperature: float = 1.0
    model_classes: Mapping[str, str] = field(default_factory=dict, hash=False)
    epoch: str = ""

    def __post_init__(self) -> None:
        _not_both("a cache", path=self.path, dsn=self.dsn)
        check_one_of("policy", self.policy, ("bounded", "fixed", "exact"))
        check_one_of("on", self.on, ("probability", "similarity"))
        check_one_of("pair_guards", self.pair_guards, _PAIR_GUARDS)
        check_one_of("eviction", self.eviction, ("lru", "saving"))
        for name in self.guards:
            check_one_of("guards", name, GUARDS)
        if isinstance(self.history, str):
            check_one_of("history", self.history, ("exact", "none"))
        if self.threshold is not None and self.policy != "fixed":
            raise ConfigurationError(f"threshold is for policy 'fixed', not for {self.policy!r}")
        check_between("max_error", self.max_error, 0, 1)
        check_between("confidence", self.confidence, 0.5, 1)
        check_between("explore", self.explore, 0, 0.5, closed=True)
        for name in ("ttl_s", "stale_s"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ConfigurationError(f"{name} must be above 0, not {value!r}")


def check_one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    """Refuse a word that is none of those that can be meant."""
    if value not in allowed:
        raise ConfigurationError(f"{name} must be one of {', '.join(allowed)}, not {value!r}")


def check_between(name: str, value: float, low: float, high: float, *, closed: bool = False) -> None:
    """Refuse a number outside of a range."""
    fits = low <= value <= high if closed else low < value < high
    if not (math.isfinite(value) and fits):
        raise ConfigurationError(f"{name} must be between {low} and {high}, not {value!r}")


def _not_both(what: str, **places: str | None) -> None:
    given = [name for name, value in places.items() if value is not None]
    if len(given) > 1:
        raise ConfigurationError(f"{what} can be in one place, not in {' and '.join(given)}")
