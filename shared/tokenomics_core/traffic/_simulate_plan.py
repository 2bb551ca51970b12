"""What a log is replayed through: the objects that production uses, on the clock of the log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from tokenomics_core.budgets import Budgets
from tokenomics_core.errors import ConfigurationError
from tokenomics_core.pricing import PriceBook

if TYPE_CHECKING:
    from tokenomics_core.cache import KeyRule, ResponseCache
    from tokenomics_core.routing import Router

__all__ = ["Compression", "LogClock", "Order", "Plan"]

Order = Literal["cache", "budget"]


class LogClock:
    """Tells the time of the record that is being replayed; it never goes back."""

    def __init__(self) -> None:
        self._now_s = 0.0

    def __call__(self) -> float:
        """Return seconds since 1970."""
        return self._now_s

    def move_to(self, at: datetime) -> None:
        """Go on to the time of a record; one that is late in the log finds the time of those before it."""
        self._now_s = max(self._now_s, at.timestamp())


@dataclass(frozen=True, slots=True, kw_only=True)
class Compression:
    """How much of a logged prompt would have been sent.

    Attributes:
        documents: Options of `compress`; None where retrieved documents are sent whole.
        history: Options of `compress_history`; None where conversations are sent whole.
        template: How the prompt is written, with `{context}` in it and, where it has one, `{question}`;
            without it a message of three paragraphs or more is taken for passages with a question behind.
    """

    documents: Mapping[str, Any] | None = None
    history: Mapping[str, Any] | None = None
    template: str | None = None

    def __post_init__(self) -> None:
        if self.template is not None and self.template.count("{context}") != 1:
            raise ConfigurationError(
                f"template must hold {{context}} once, not {self.template!r:.80}; nothing was replayed"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a log is replayed through; what is None is off. A plan is used for one replay.

    `tokenomics_core.config.Settings.plan` makes one from settings. One that is made by hand passes `clock` to
    everything that has a clock, so that the log's time rules windows and lifetimes.

    Attributes:
        clock: The log's time.
        prices: What calls cost.
        cache: What is served again.
        rule: Which requests share an answer; None for the core's default.
        budgets: What calls may spend.
        max_output_tokens: What an answer is taken to have at most where its request does not say.
        alerts: Where the budgets' `on_alert` puts what it is told, so that the result can show it.
        router: Which model answers what.
        router_options: `max_cost_usd` and `quality_floor` of every request.
        compression: How much of the context is sent.
        order: What a call asks first: `cache` as with what `from_config` makes in both adapters, so that a
            hit needs no budget, or `budget` as with a `BudgetCallbackHandler` before LangChain's own cache.
    """

    clock: LogClock
    prices: PriceBook
    cache: ResponseCache | None = None
    rule: KeyRule | None = None
    budgets: Budgets | None = None
    max_output_tokens: int = 4_096
    alerts: list[Any] = field(default_factory=list)
    router: Router | None = None
    router_options: Mapping[str, Any] = field(default_factory=dict)
    compression: Compression | None = None
    order: Order = "cache"

    def __post_init__(self) -> None:
        if self.order not in ("cache", "budget"):
            raise ConfigurationError(
                f"order must be 'cache' or 'budget', not {self.order!r}; nothing was replayed"
            )
