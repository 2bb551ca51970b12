"""A cache in a file keeps the contract of all stores."""

from __future__ import annotations

import tempfile
import weakref

from tests.core.cache.stores.contract import StoreContract
from tokenomics_core.cache import SQLiteCacheStore


class TestSQLite(StoreContract):
    examples = 60

    def make(self):
        folder = tempfile.TemporaryDirectory()
        store = SQLiteCacheStore(f"{folder.name}/cache.db")
        weakref.finalize(store, folder.cleanup)
        return store
