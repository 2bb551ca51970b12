"""A cache in PostgreSQL keeps the contract of all stores."""

from __future__ import annotations

import pytest

from tests.core.cache.stores.contract import StoreContract


class TestPostgres(StoreContract):
    examples = 30

    @pytest.fixture(autouse=True)
    def _server(self, postgres_server):
        self._made = []
        self._postgres = postgres_server
        yield
        for store in self._made:
            store.close()

    def make(self):
        from tokenomics_core.cache import PostgresCacheStore

        store = PostgresCacheStore(self._postgres.dsn, schema=self._postgres.new_schema())
        self._made.append(store)
        return store
