"""One file of settings for everything that saves in LlamaIndex, the same that LangChain reads."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.llms.llm import LLM
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from pydantic import BaseModel

from llama_index_tokenomics.budgets import BudgetGuard
from llama_index_tokenomics.cache import CachingLLM
from llama_index_tokenomics.compressors import ContextCompressionPostprocessor
from llama_index_tokenomics.embedders import as_embedder
from llama_index_tokenomics.memory import CompressedMemory
from llama_index_tokenomics.router import RoutingLLM
from llama_index_tokenomics.tracking import CostTracking, install_cost_tracking
from tokenomics_core.config import Settings
from tokenomics_core.errors import ConfigurationError

if TYPE_CHECKING:
    from tokenomics_core.budgets import Budgets
    from tokenomics_core.cache import ResponseCache
    from tokenomics_core.embedding import Embedder
    from tokenomics_core.ledger import BaseLedger
    from tokenomics_core.pricing import PriceBook
    from tokenomics_core.routing import Router

__all__ = ["Configured", "from_config"]

_NAMES_OF_A_MODEL = ("model", "model_name")


def from_config(
    source: str | os.PathLike[str] | Mapping[str, Any] | Settings,
    *,
    embedding: Embedder | BaseEmbedding | None = None,
    clock: Callable[[], float] | None = None,
    on_alert: Callable[..., Any] | None = None,
) -> Configured:
    """Open what a settings file describes, ready for LlamaIndex.

    with from_config("tokenomics.toml") as saving:
        Settings.llm = saving.wrap(OpenAI(model="gpt-4.1-mini"))
        engine = index.as_query_engine(node_postprocessors=saving.postprocessors)

    Args:
        source: A TOML file, TOML itself, a table, or settings.
        embedding: What says how near questions are: LlamaIndex's or the core's; None for the built-in one.
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
    """What a settings file describes, as LlamaIndex takes it; what it does not turn on is None or empty.

    As a `with` block it records calls and guards budgets inside, and closes its stores at the end; for the
    life of a process call `install`.

    Attributes:
        settings: What was read.
        prices: What calls cost.
        ledger: Where calls are recorded.
        budgets: What calls may spend.
        cache: What is served again.
        router: Which model answers what.
        guard: Holds the budgets for every model of the process once it is installed.
        compressor: Cuts retrieved nodes.
        postprocessors: The same as engines take it.
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
        self.cache: ResponseCache | None = parts.cache
        self.guard: BudgetGuard | None = None
        if parts.budgets is not None:
            # The same bound as in LangChain, whose handlers cannot change a request.
            self.guard = BudgetGuard(
                parts.budgets, fit_output=False, max_output_tokens=parts.max_output_tokens
            )
        told = parts.compress
        self.compressor: ContextCompressionPostprocessor | None = None
        if told is not None and told.cuts_documents:
            self.compressor = ContextCompressionPostprocessor(**told.document_options())
        self.postprocessors: list[BaseNodePostprocessor] = (
            [] if self.compressor is None else [self.compressor]
        )
        self._tracking: CostTracking | None = None

    def wrap(self, llm: Any) -> Any:
        """Return a model that is cached and routed.

        A call's tier is chosen first, then the cache is asked, and only what is sent needs a budget.
        Recording and budgets hold for every model once `install` was called.

        Args:
            llm: A LlamaIndex model, of which each tier has a copy that asks for the tier's model; or the
                models of the tiers by name.

        Raises:
            ConfigurationError: It is no model, or the tiers' models cannot be told from it.
        """
        if self.router is None:
            if isinstance(llm, Mapping):
                raise ConfigurationError("models of tiers need a [router]; none was wrapped")
            return self._cached(llm)
        by_tier = llm if isinstance(llm, Mapping) else {}
        if by_tier and (missing := [tier.name for tier in self.router.tiers if tier.name not in by_tier]):
            raise ConfigurationError(f"there is no model for tier {missing[0]!r}; none was wrapped")
        told = self.settings.router
        return RoutingLLM(
            [
                (tier, self._cached(by_tier[tier.name] if by_tier else _asking_for(llm, tier.model)))
                for tier in self.router.tiers
            ],
            router=self.router,
            budgets=self.budgets,
            max_cost_usd=None if told is None else told.max_cost_usd,
            quality_floor=None if told is None else told.quality_floor,
        )

    def memory(self, **settings: Any) -> CompressedMemory:
        """Return a memory for one conversation that sends what the settings' `history_tokens` allow.

        Args:
            settings: For `CompressedMemory.from_defaults`, such as `chat_history`.

        Raises:
            ConfigurationError: The settings leave conversations whole.
        """
        told = self._parts.compress
        if told is None or told.history_tokens is None:
            raise ConfigurationError("there is no history_tokens in [compress]; no memory was made")
        return CompressedMemory.from_defaults(**{**told.history_options(), **settings})

    def install(self) -> Self:
        """Record every call of the process and hold the budgets from now on; again changes nothing."""
        if self.guard is not None:
            self.guard.install()
        if self.ledger is not None and self._tracking is None:
            told = self.settings.ledger
            self._tracking = install_cost_tracking(
                self.ledger, prices=self.prices, keep_content=told is not None and told.keep_content
            )
        return self

    def uninstall(self) -> None:
        """Record and hold nothing any more, and wait for what is still being written."""
        if self.guard is not None:
            self.guard.uninstall()
        if self._tracking is not None:
            self._tracking.uninstall()
            self._tracking = None

    def close(self) -> None:
        """Uninstall, write what is pending, and give back files and connections."""
        self.uninstall()
        self._parts.close()

    def __enter__(self) -> Self:
        return self.install()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _cached(self, llm: Any) -> LLM:
        if not isinstance(llm, LLM):
            raise ConfigurationError(
                f"a LlamaIndex model can be wrapped, not {type(llm).__name__}; nothing was changed"
            )
        return llm if self.cache is None else CachingLLM(llm, self.cache, rule=self._parts.rule)


def _asking_for(llm: Any, name: str) -> Any:
    """Return a copy of a model that asks for another model of its provider."""
    known = next(
        (
            field
            for field in _NAMES_OF_A_MODEL
            if isinstance(llm, BaseModel) and field in type(llm).model_fields
        ),
        None,
    )
    if known is None:
        raise ConfigurationError(
            f"{type(llm).__name__} does not say which model it asks; give the tiers' models by name"
        )
    return llm.model_copy(update={known: name})
