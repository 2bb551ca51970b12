"""Serve model calls from what was paid for already: LangChain's cache, for streams and agents too."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from langchain_core.caches import RETURN_VAL_TYPE, BaseCache
from langchain_core.embeddings import Embeddings

from langchain_tokenomics._cache_door import Asked, Door, default_tenant
from langchain_tokenomics._cache_mark import MARK
from langchain_tokenomics._cache_model import CachedModels
from langchain_tokenomics.embedders import as_embedder
from tokenomics_core.cache import Answer, Hit, KeyRule, ResponseCache
from tokenomics_core.cache.content_guards import DEFAULT_GUARDS, ContentGuard
from tokenomics_core.errors import ConfigurationError

if TYPE_CHECKING:
    from tokenomics_core.cache import CachePolicy, CacheStats
    from tokenomics_core.embedding import Embedder
    from tokenomics_core.types import HoldOut

__all__ = ["MARK", "SemanticCache"]

_M = TypeVar("_M")


class SemanticCache(BaseCache):
    """Answers a model call from an earlier one with the same question, or with one that means the same.

    set_llm_cache(SemanticCache(path="cache.db"))      # every model's invoke and batch
    model = SemanticCache().cached(model)              # one model: streams too, and one call for many

    Model, settings, tools, schema, system prompt and all earlier turns must be equal; only the last words of
    the user are compared by meaning. A message from the cache has no id, new tool call ids, zero usage, and
    what it avoided under `tokenomics_cache` in its `response_metadata`. What fails inside is counted in
    `failures`, logged, and a miss to the caller.
    """

    def __init__(
        self,
        path: str | Path | None = None,
        *,
        cache: ResponseCache | None = None,
        embedding: Embedder | Embeddings | None = None,
        policy: CachePolicy | None = None,
        guards: Iterable[ContentGuard] | None = None,
        ttl_s: float | None = None,
        hold_out: HoldOut | None = None,
        tenant: str | Callable[[], str | None] | None = None,
        rule: KeyRule | None = None,
        text_prompts: str = "exact",
    ) -> None:
        """Open a cache.

        Args:
            path: A SQLite file that every process of a machine may share; None keeps answers in memory.
            cache: A cache that is set up already, with any store; all but `tenant`, `rule` and
                `text_prompts` is then its own.
            embedding: What says how near questions are: LangChain's or the core's; None for the built-in one.
            policy: What decides whether near is near enough; None for a bound of 2% wrong answers.
            guards: What is never stored or served; None for the core's default.
            ttl_s: Seconds that an answer stays fresh; None for ever.
            hold_out: Whose calls are left alone, so that what the cache saves can be measured.
            tenant: Whose answers these are, or a function that tells for each call; None asks the tag
                `tenant` of the attribution in force.
            rule: What must be equal and which requests are served how; None for the core's default.
            text_prompts: How prompts without roles may be served at most, in which a template and its
                question cannot be told apart: `semantic`, `exact` or `never`.

        Raises:
            ConfigurationError: Settings contradict one another.
        """
        given: dict[str, object] = {
            "hold_out": hold_out,
            "path": path,
            "embedding": embedding,
            "policy": policy,
            "guards": guards,
            "ttl_s": ttl_s,
        }
        if cache is not None and (twice := [name for name, value in given.items() if value is not None]):
            raise ConfigurationError(
                f"{', '.join(twice)} cannot be set for a cache that is given; none was opened"
            )
        if text_prompts not in {"semantic", "exact", "never"}:
            raise ConfigurationError(
                f"text_prompts must be semantic, exact or never, not {text_prompts!r}; no cache was opened"
            )
        self.cache = cache or ResponseCache(
            _store(path),
            None if embedding is None else as_embedder(embedding),
            policy,
            guards=DEFAULT_GUARDS if guards is None else guards,
            ttl_s=ttl_s,
            hold_out=hold_out,
        )
        self.door = Door(self.cache, rule or KeyRule(), _teller(tenant), text_prompts)
        self._models = CachedModels(self.door)

    # -- LangChain's interface

    def lookup(self, prompt: str, llm_string: str) -> RETURN_VAL_TYPE | None:
        """Return all answers to a request, or None."""
        try:
            asked = self.door.asked_by_key(prompt, llm_string)
            found = self.cache.look_up(asked.partition, asked.question, how=asked.how, tenant=asked.tenant)
            return self._served(found.hit)
        except Exception as error:  # noqa: BLE001 - LangChain would hand it to the caller
            self.door.failed(error)
            return None

    async def alookup(self, prompt: str, llm_string: str) -> RETURN_VAL_TYPE | None:
        """Return all answers to a request, or None, without blocking the event loop."""
        try:
            asked = self.door.asked_by_key(prompt, llm_string)
            found = await self.cache.alook_up(
                asked.partition, asked.question, how=asked.how, tenant=asked.tenant
            )
            return self._served(found.hit)
        except Exception as error:  # noqa: BLE001 - LangChain would hand it to the caller
            self.door.failed(error)
            return None

    def update(self, prompt: str, llm_string: str, return_val: RETURN_VAL_TYPE) -> None:
        """Store the answers to a request, where they may be."""
        try:
            asked, answer = self._fresh(prompt, llm_string, return_val)
            if answer is not None:
                how = self.door.how_to_store(asked, answer)
                self.cache.put(asked.partition, asked.question, answer, how=how)
        except Exception as error:  # noqa: BLE001 - the answer is paid for and must reach its caller
            self.door.failed(error)

    async def aupdate(self, prompt: str, llm_string: str, return_val: RETURN_VAL_TYPE) -> None:
        """Store the answers to a request without blocking the event loop."""
        try:
            asked, answer = self._fresh(prompt, llm_string, return_val)
            if answer is not None:
                how = self.door.how_to_store(asked, answer)
                await self.cache.aput(asked.partition, asked.question, answer, how=how)
        except Exception as error:  # noqa: BLE001 - the answer is paid for and must reach its caller
            self.door.failed(error)

    def clear(self, **kwargs: Any) -> None:
        """Drop everything, or what meets the conditions of `ResponseCache.invalidate`.

        Raises:
            StoreError: The store cannot be reached; answers may still be served.
        """
        if kwargs:
            self.cache.invalidate(**kwargs)
        else:
            self.cache.clear()

    async def aclear(self, **kwargs: Any) -> None:
        """Do the same without blocking the event loop."""
        if kwargs:
            await self.cache.ainvalidate(**kwargs)
        else:
            await self.cache.aclear()

    # -- beyond it

    def cached(self, model: _M) -> _M:
        """Return a copy of a chat model that asks this cache first, also for `stream` and `astream`.

        Equal calls that are in flight together become one. Callbacks see a hit as a call that cost nothing,
        and a spent budget does not keep it back. Without a tenant, models with different API keys share
        nothing.

        Raises:
            ConfigurationError: This is no chat model, nor a binding of one.
        """
        return self._models.wrap(model)

    def asked(self, prompt: str, llm_string: str) -> Asked:
        """Tell where the answer to a request is looked for, how it may be served, and why not further."""
        return self.door.asked_by_key(prompt, llm_string)

    def stats(self) -> CacheStats:
        """Tell what was hit, missed and avoided."""
        return self.cache.stats()

    @property
    def failures(self) -> int:
        """How many calls went on without the cache as something in this adapter failed."""
        return self.door.failures

    def close(self) -> None:
        """Write what is pending and give back files."""
        self.cache.close()

    async def aclose(self) -> None:
        """Do the same without blocking the event loop."""
        await self.cache.aclose()

    # -- inside

    def _served(self, hit: Hit | None) -> RETURN_VAL_TYPE | None:
        """Return the answers of a hit; whoever is to fetch it anew is told that there is none."""
        if hit is None or hit.refresh:
            return None
        stored = self.door.read(hit)
        return None if stored is None else stored.generations

    def _fresh(
        self, prompt: str, llm_string: str, return_val: RETURN_VAL_TYPE
    ) -> tuple[Asked, Answer | None]:
        asked = self.door.asked_by_key(prompt, llm_string)
        return asked, None if asked.how == "never" else self.door.written(asked, return_val)


def _teller(tenant: str | Callable[[], str | None] | None) -> Callable[[], str | None]:
    if tenant is None:
        return default_tenant
    return tenant if callable(tenant) else lambda: tenant


def _store(path: str | Path | None) -> Any:
    if path is None:
        return None
    from tokenomics_core.cache import SQLiteCacheStore  # noqa: PLC0415 - loads numpy

    return SQLiteCacheStore(path)
