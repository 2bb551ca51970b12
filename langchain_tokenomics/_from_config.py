"""One file of settings for everything that saves in LangChain, the same that LlamaIndex reads."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.embeddings import Embeddings
from langchain_core.language_models import BaseChatModel
from langchain_core.runnables import Runnable, RunnableBinding

from langchain_tokenomics.budgets import BudgetCallbackHandler
from langchain_tokenomics.cache import SemanticCache
from langchain_tokenomics.callbacks import CostCallbackHandler
from langchain_tokenomics.embedders import as_embedder
from tokenomics_core.config import Settings
from tokenomics_core.errors import ConfigurationError

if TYPE_CHECKING:
    from langchain_tokenomics.compressors import ContextCompressor
    from langchain_tokenomics.history import HistoryCompressor
    from tokenomics_core.budgets import Budgets
    from tokenomics_core.embedding import Embedder
    from tokenomics_core.ledger import BaseLedger
    from tokenomics_core.pricing import PriceBook
    from tokenomics_core.routing import Router

__all__ = ["Configured", "from_config"]

_NAMES_OF_A_MODEL = ("model_name", "model")


def from_config(
    source: str | os.PathLike[str] | Mapping[str, Any] | Settings,
    *,
    embedding: Embedder | Embeddings | None = None,
    clock: Callable[[], float] | None = None,
    on_alert: Callable[..., Any] | None = None,
) -> Configured:
    """Open what a settings file describes, ready for LangChain.

    saving = from_config("tokenomics.toml")
    chain = prompt | saving.wrap(ChatOpenAI(model="gpt-4.1-mini")) | StrOutputParser()

    Args:
        source: A TOML file, TOML itself, a table, or settings.
        embedding: What says how near questions are: LangChain's or the core's; None for the built-in one.
        clock: Seconds since 1970; None for the machine's.
        on_alert: Told when a budget's threshold is passed.

    Raises:
        ConfigurationError: The settings cannot be read or are wrong.
        StoreError: A store cannot be opened.
    """
    settings = source if isinstance(source, Settings) else Settings.load(source)
    embedder = None if embedding is None else as_embedder(embedding)
    return Configured(settings, embedder=embedder, clock=clock, on_alert=on_alert)


class Configured:
    """What a settings file describes, as LangChain takes it; what it does not turn on is None or empty.

    Attributes:
        settings: What was read.
        prices: What calls cost.
        ledger: Where calls are recorded.
        budgets: What calls may spend.
        cache: What is served again; `wrap` puts it before a model, and `set_llm_cache(saving.cache)` before
            every one.
        router: Which model answers what.
        callbacks: Handlers that record calls and guard the budgets. Models that `wrap` returns have them; for
            others pass them in a config.
        compressor: Cuts retrieved documents.
        history: Cuts conversations.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        embedder: Embedder | None = None,
        clock: Callable[[], float] | None = None,
        on_alert: Callable[..., Any] | None = None,
    ) -> None:
        self.settings = settings
        self._parts = settings.build(embedder=embedder, clock=clock, on_alert=on_alert)
        parts = self._parts
        self.prices: PriceBook = parts.prices
        self.ledger: BaseLedger | None = parts.ledger
        self.budgets: Budgets | None = parts.budgets
        self.router: Router | None = parts.router
        self.cache = None if parts.cache is None else SemanticCache(cache=parts.cache, rule=parts.rule)
        self.callbacks: list[BaseCallbackHandler] = []
        if parts.ledger is not None:
            keeps = settings.ledger is not None and settings.ledger.keep_content
            self.callbacks.append(CostCallbackHandler(parts.ledger, prices=parts.prices, keep_content=keeps))
        if parts.budgets is not None:
            self.callbacks.append(
                BudgetCallbackHandler(parts.budgets, max_output_tokens=parts.max_output_tokens)
            )
        self.compressor = self._compressor()
        self.history = self._history()

    def wrap(self, model: Any) -> Any:
        """Return a model that is recorded, guarded, cached and routed.

        A call's tier is chosen first, then the cache is asked, and only what is sent needs a budget.

        Args:
            model: A chat model, of which each tier has a copy that asks for the tier's model; or the models
                of the tiers by name.

        Returns:
            A chat model; with a router a `ModelRouter`, which stands wherever a chat model can.

        Raises:
            ConfigurationError: It is no chat model, or the tiers' models cannot be told from it.
        """
        if self.router is None:
            if isinstance(model, Mapping):
                raise ConfigurationError("models of tiers need a [router]; none was wrapped")
            return self._guarded(model)
        from langchain_tokenomics.router import ModelRouter  # noqa: PLC0415 - loads numpy

        by_tier = model if isinstance(model, Mapping) else {}
        if by_tier and (missing := [tier.name for tier in self.router.tiers if tier.name not in by_tier]):
            raise ConfigurationError(f"there is no model for tier {missing[0]!r}; none was wrapped")
        pairs = [
            (tier, self._guarded(by_tier[tier.name] if by_tier else _asking_for(model, tier.model)))
            for tier in self.router.tiers
        ]
        told = self.settings.router
        return ModelRouter(
            pairs,
            router=self.router,
            budgets=self.budgets,
            max_cost_usd=None if told is None else told.max_cost_usd,
            quality_floor=None if told is None else told.quality_floor,
        )

    @property
    def middleware(self) -> list[Any]:
        """What an agent of `create_agent` takes (extra `agents`): its cache, then its budgets.

        With a router give the agent `RoutingMiddleware` besides, with models of its own.
        """
        from langchain_tokenomics._caching_middleware import CachingMiddleware  # noqa: PLC0415 - needs an extra
        from langchain_tokenomics.middleware import BudgetMiddleware  # noqa: PLC0415 - likewise

        found: list[Any] = [] if self.cache is None else [CachingMiddleware(self.cache)]
        if self.budgets is not None:
            found.append(BudgetMiddleware(self.budgets, max_output_tokens=self._parts.max_output_tokens))
        return found

    def close(self) -> None:
        """Write what is pending and give back files and connections."""
        for handler in self.callbacks:
            if isinstance(handler, CostCallbackHandler | BudgetCallbackHandler):
                handler.flush()
        self._parts.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _guarded(self, model: Any) -> Any:
        """Put handlers on a copy of a model, and the cache before it."""
        if isinstance(model, RunnableBinding):
            return model.model_copy(update={"bound": self._guarded(model.bound)})
        if not isinstance(model, BaseChatModel):
            raise ConfigurationError(
                f"a chat model can be wrapped, not {type(model).__name__}; nothing was changed"
            )
        own = model.callbacks
        if isinstance(own, list) or own is None:
            copy = model.model_copy(update={"callbacks": [*(own or ()), *self.callbacks]})
        else:
            manager = own.copy()
            for handler in self.callbacks:
                manager.add_handler(handler)
            copy = model.model_copy(update={"callbacks": manager})
        return copy if self.cache is None else self.cache.cached(copy)

    def _compressor(self) -> ContextCompressor | None:
        told = self._parts.compress
        if told is None or not told.cuts_documents:
            return None
        from langchain_tokenomics.compressors import ContextCompressor  # noqa: PLC0415 - loads numpy

        return ContextCompressor(**told.document_options())

    def _history(self) -> HistoryCompressor | None:
        told = self._parts.compress
        if told is None or told.history_tokens is None:
            return None
        from langchain_tokenomics.history import HistoryCompressor  # noqa: PLC0415 - loads numpy

        return HistoryCompressor(**told.history_options())


def _asking_for(model: Any, name: str) -> Any:
    """Return a copy of a chat model that asks for another model of its provider."""
    if isinstance(model, RunnableBinding):
        bound: Runnable[Any, Any] = _asking_for(model.bound, name)
        return model.model_copy(update={"bound": bound})
    if not isinstance(model, BaseChatModel):
        raise ConfigurationError(
            f"a chat model can be wrapped, not {type(model).__name__}; nothing was changed"
        )
    known = next((field for field in _NAMES_OF_A_MODEL if field in type(model).model_fields), None)
    if known is None:
        raise ConfigurationError(
            f"{type(model).__name__} does not say which model it asks; give the tiers' models by name"
        )
    changed: dict[str, Any] = {known: name}
    if "profile" in type(model).model_fields and getattr(model, known) != name:
        changed["profile"] = None  # it is that of the other model
    return model.model_copy(update=changed)
