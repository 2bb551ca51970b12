"""A cache in memory keeps the contract of all stores."""

from __future__ import annotations

from tests.core.cache.stores.contract import StoreContract
from tokenomics_core.cache import MemoryCacheStore


class TestMemory(StoreContract):
    examples = 150

    def make(self):
        return MemoryCacheStore()
