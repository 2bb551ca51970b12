"""Open a cache from what a caller names, as both adapters do."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from llama_index.core.base.embeddings.base import BaseEmbedding

from llama_index_tokenomics.embedders import as_embedder
from tokenomics_core.cache import ResponseCache
from tokenomics_core.cache.content_guards import DEFAULT_GUARDS, ContentGuard
from tokenomics_core.errors import ConfigurationError
from tokenomics_core.types import HoldOut, current_attribution

if TYPE_CHECKING:
    from tokenomics_core.cache import CachePolicy
    from tokenomics_core.embedding import Embedder

__all__ = ["Tenant", "open_cache", "teller_of"]

Tenant = str | Callable[[], str | None] | None


def open_cache(
    cache: ResponseCache | None,
    *,
    path: str | Path | None,
    embedding: Embedder | BaseEmbedding | None,
    policy: CachePolicy | None,
    guards: Iterable[ContentGuard] | None,
    ttl_s: float | None,
    hold_out: HoldOut | None = None,
) -> ResponseCache:
    """Return the cache that is given, or a new one.

    Raises:
        ConfigurationError: A cache is given together with settings for another one.
    """
    given: dict[str, object] = {
        "hold_out": hold_out,
        "path": path,
        "embedding": embedding,
        "policy": policy,
        "guards": guards,
        "ttl_s": ttl_s,
    }
    if cache is not None:
        if twice := [name for name, value in given.items() if value is not None]:
            raise ConfigurationError(
                f"{', '.join(twice)} cannot be set for a cache that is given; none was opened"
            )
        return cache
    store = None
    if path is not None:
        from tokenomics_core.cache import SQLiteCacheStore  # noqa: PLC0415 - loads numpy

        store = SQLiteCacheStore(path)
    return ResponseCache(
        store,
        None if embedding is None else as_embedder(embedding),
        policy,
        guards=DEFAULT_GUARDS if guards is None else guards,
        ttl_s=ttl_s,
        hold_out=hold_out,
    )


def teller_of(tenant: Tenant) -> Callable[[], str | None]:
    """Return what tells whose a call is; without a tenant, the tag `tenant` of the attribution in force."""
    if tenant is None:
        return lambda: current_attribution().tags.get("tenant")
    return tenant if callable(tenant) else lambda: tenant
