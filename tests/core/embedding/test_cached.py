"""A cache in front of an embedder: each text once, in memory and in a file."""

from __future__ import annotations

import asyncio
import multiprocessing
import sqlite3
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenomics_core import ConfigurationError
from tokenomics_core.embedding import CachedEmbedder, Embedder, FunctionEmbedder, StaticEmbedder


class Counting:
    """Embeds with the built-in embedder and remembers what it was asked."""

    def __init__(self, identity="counting-1"):
        self._inner, self._identity = StaticEmbedder(), identity
        self.asked: list[list[str]] = []
        self.dimension, self.max_tokens = self._inner.dimension, 7

    @property
    def identity(self):
        return self._identity

    def fits(self, text):
        return len(text) < 10

    def embed(self, texts):
        self.asked.append(list(texts))
        return self._inner.embed(texts)

    async def aembed(self, texts):
        return self.embed(texts)


TEXTS = st.lists(st.sampled_from(["a", "b", "how", "why", "", "x y"]), max_size=8)


@given(st.lists(TEXTS, max_size=6))
def test_it_returns_what_the_embedder_returns_and_asks_for_each_text_once(calls):
    inner = Counting()
    cached = CachedEmbedder(inner)
    for texts in calls:
        assert np.allclose(cached.embed(texts), StaticEmbedder().embed(texts))
    asked = [text for call in inner.asked for text in call]
    assert sorted(asked) == sorted({text for texts in calls for text in texts})
    assert all(inner.asked)  # never for nothing
    stats = cached.stats
    assert stats.misses == len(asked)
    assert stats.hits == sum(map(len, calls)) - len(asked)


@given(TEXTS)
def test_async_code_gets_the_same(texts):
    cached = CachedEmbedder(Counting())
    assert np.array_equal(asyncio.run(cached.aembed(texts)), CachedEmbedder(Counting()).embed(texts))


def test_a_file_outlives_the_object(tmp_path):
    path = tmp_path / "vectors.db"
    with CachedEmbedder(Counting(), path) as cached:
        fresh = cached.embed(["how", "why"])
    inner = Counting()
    with CachedEmbedder(inner, path) as cached:
        kept = cached.embed(["why", "how"])
        assert inner.asked == []
    assert np.allclose(kept[::-1], fresh, atol=2e-3)  # half precision
    assert np.linalg.norm(kept, axis=1) == pytest.approx(1, abs=1e-5)


def test_async_code_reads_and_writes_the_file(tmp_path):
    async def ask(inner):
        with CachedEmbedder(inner, tmp_path / "vectors.db") as cached:
            await cached.aembed(["how"])

    asyncio.run(ask(Counting()))
    inner = Counting()
    asyncio.run(ask(inner))
    assert inner.asked == []


def test_another_embedders_vectors_are_not_served(tmp_path):
    with CachedEmbedder(Counting("one"), tmp_path / "v.db") as cached:
        cached.embed(["how"])
    other = Counting("two")
    with CachedEmbedder(other, tmp_path / "v.db") as cached:
        cached.embed(["how"])
    assert other.asked == [["how"]]


def test_the_longest_unused_leaves_memory_first():
    inner = Counting()
    cached = CachedEmbedder(inner, max_entries=2)
    cached.embed(["a"])
    cached.embed(["b"])
    cached.embed(["a"])
    cached.embed(["how"])  # b leaves
    cached.embed(["a"])
    assert inner.asked == [["a"], ["b"], ["how"]]
    cached.embed(["b"])
    assert inner.asked[-1] == ["b"]


def test_more_texts_than_memory_holds_are_still_answered():
    cached = CachedEmbedder(Counting(), max_entries=1)
    assert cached.embed(["a", "b", "how", "a"]).shape[0] == 4


def test_what_a_caller_does_to_a_vector_stays_with_the_caller():
    cached = CachedEmbedder(Counting())
    first = cached.embed(["a"])
    first[:] = 0
    assert np.linalg.norm(cached.embed(["a"])) == pytest.approx(1)


def test_a_file_that_is_no_database_costs_only_its_help(tmp_path, caplog):
    path = tmp_path / "v.db"
    path.write_bytes(b"not a database at all" * 100)
    inner = Counting()
    with CachedEmbedder(inner, path) as cached:
        assert cached.embed(["a"]).shape == (1, cached.dimension)
        cached.embed(["b"])
        assert cached.stats.failures >= 2
    assert len([r for r in caplog.records if "embedded anew" in r.message]) == 1
    assert path.read_bytes().startswith(b"not a database")


def test_a_damaged_row_is_embedded_anew(tmp_path):
    path = tmp_path / "v.db"
    with CachedEmbedder(Counting(), path) as cached:
        cached.embed(["a", "b"])
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE vectors SET vector = x'0011'")
    connection.close()
    inner = Counting()
    with CachedEmbedder(inner, path) as cached:
        cached.embed(["a", "b"])
    assert inner.asked == [["a", "b"]]


def test_threads_and_processes_share_a_file(tmp_path):
    path = tmp_path / "v.db"
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_embed_all, args=(str(path),)) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0
    inner = Counting()
    with CachedEmbedder(inner, path) as cached:
        threads = [threading.Thread(target=cached.embed, args=([f"text {i}"],)) for i in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert cached.stats.hits == 20
    assert inner.asked == []


def _embed_all(path):
    with CachedEmbedder(Counting(), path) as cached:
        for index in range(20):
            cached.embed([f"text {index}"])


def test_it_passes_on_what_the_embedder_is():
    cached = CachedEmbedder(Counting())
    assert isinstance(cached, Embedder)
    assert (cached.identity, cached.max_tokens, cached.fits("short"), cached.fits("x" * 10)) == (
        "counting-1",
        7,
        True,
        False,
    )


def test_a_wrong_size_is_refused():
    with pytest.raises(ConfigurationError, match="max_entries must be a whole number of 1 or more, not 0"):
        CachedEmbedder(Counting(), max_entries=0)


class TestFunctions:
    def test_rows_are_scaled_to_unit_length(self):
        embedder = FunctionEmbedder(lambda texts: [[3.0, 4.0]] * len(texts), identity="f", dimension=2)
        assert np.allclose(embedder.embed(["a", "b"]), [[0.6, 0.8], [0.6, 0.8]])
        assert embedder.embed([]).shape == (0, 2)

    def test_async_code_uses_the_async_function_or_a_thread(self):
        here = threading.get_ident()
        seen = []

        def plain(texts):
            seen.append(threading.get_ident())
            return [[1.0]] * len(texts)

        async def awaited(texts):
            return [[-1.0]] * len(texts)

        one = FunctionEmbedder(plain, identity="f", dimension=1)
        assert asyncio.run(one.aembed(["a"])).tolist() == [[1.0]]
        assert seen[0] != here
        two = FunctionEmbedder(plain, identity="f", dimension=1, afunction=awaited)
        assert asyncio.run(two.aembed(["a"])).tolist() == [[-1.0]]

    def test_what_is_longer_than_it_reads_does_not_fit(self):
        embedder = FunctionEmbedder(list, identity="f", dimension=1, max_tokens=2)
        assert embedder.fits("12345678")
        assert not embedder.fits("123456789")
        counted = FunctionEmbedder(
            list, identity="f", dimension=1, max_tokens=2, count=lambda t: len(t.split())
        )
        assert counted.fits("a b")
        assert not counted.fits("a b c")
        assert FunctionEmbedder(list, identity="f", dimension=1).fits("x" * 10_000)

    @pytest.mark.parametrize(
        ("returned", "message"),
        [
            ([[1.0, 2.0, 3.0]], r"shape \(1, 3\), not \(1, 2\)"),
            ([[float("nan"), 1.0]], "largest number is nan for text 0"),
            ([[0.0, 0.0]], "largest number is 0.0 for text 0"),
            (["text"], "returned no vectors"),
            (None, "'f' returned"),
        ],
    )
    def test_what_is_no_vector_is_refused(self, returned, message):
        embedder = FunctionEmbedder(lambda texts: returned, identity="f", dimension=2)
        with pytest.raises(ConfigurationError, match=message):
            embedder.embed(["a"])

    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            ({"identity": ""}, "identity must be a name, not ''"),
            ({"dimension": 0}, "dimension must be a whole number of 1 or more, not 0"),
            ({"max_tokens": True}, "max_tokens must be .* not True"),
        ],
    )
    def test_wrong_settings_are_refused(self, settings, message):
        with pytest.raises(ConfigurationError, match=message):
            FunctionEmbedder(list, **{"identity": "f", "dimension": 2, **settings})
