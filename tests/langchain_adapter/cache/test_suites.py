"""The cache passes LangChain's own suites, in memory and on disk."""

import pytest
from langchain_tests.integration_tests import AsyncCacheTestSuite, SyncCacheTestSuite

from langchain_tokenomics import SemanticCache


class TestInMemory(SyncCacheTestSuite):
    @pytest.fixture
    def cache(self):
        made = SemanticCache()
        yield made
        made.close()


class TestInMemoryAsync(AsyncCacheTestSuite):
    @pytest.fixture
    async def cache(self):
        made = SemanticCache()
        yield made
        await made.aclose()


class TestInSQLite(SyncCacheTestSuite):
    @pytest.fixture
    def cache(self, tmp_path):
        made = SemanticCache(path=tmp_path / "cache.db")
        yield made
        made.close()


class TestInSQLiteAsync(AsyncCacheTestSuite):
    @pytest.fixture
    async def cache(self, tmp_path):
        made = SemanticCache(path=tmp_path / "cache.db")
        yield made
        await made.aclose()
