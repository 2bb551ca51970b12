"""Answer repeated questions from what was paid for already, and never wrongly by accident."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tokenomics_core.cache._answers import AnswerComparer
from tokenomics_core.cache._bounded import BoundedError
from tokenomics_core.cache._cache import ResponseCache
from tokenomics_core.cache._entry import CacheEntry, Neighbour, Selector, StoreSize
from tokenomics_core.cache._fixed import FixedThreshold
from tokenomics_core.cache._hit import Answer, Hit, Lookup
from tokenomics_core.cache._memory import MemoryCacheStore
from tokenomics_core.cache._partition import partition_of
from tokenomics_core.cache._protocols import CachePolicy, CacheStore, Decision, PolicyReport
from tokenomics_core.cache._serving import ChatRequest, KeyRule, ServingRule
from tokenomics_core.cache._sqlite import SQLiteCacheStore
from tokenomics_core.cache._stats import CacheStats
from tokenomics_core.cache._verifier import Verifier

if TYPE_CHECKING:
    from tokenomics_core.cache._postgres import PostgresCacheStore

__all__ = [
    "Answer",
    "AnswerComparer",
    "BoundedError",
    "CacheEntry",
    "CachePolicy",
    "CacheStats",
    "CacheStore",
    "ChatRequest",
    "Decision",
    "FixedThreshold",
    "Hit",
    "KeyRule",
    "Lookup",
    "MemoryCacheStore",
    "Neighbour",
    "PolicyReport",
    "PostgresCacheStore",
    "ResponseCache",
    "SQLiteCacheStore",
    "Selector",
    "ServingRule",
    "StoreSize",
    "Verifier",
    "partition_of",
]


def __getattr__(name: str) -> Any:  # the names of a module
    if name == "PostgresCacheStore":
        from tokenomics_core.cache._postgres import PostgresCacheStore  # noqa: PLC0415 - needs an extra

        return PostgresCacheStore
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
