"""Any LangChain embedding says how near questions are, asked for its dimension once."""

import numpy as np
import pytest
from langchain_core.embeddings import DeterministicFakeEmbedding, Embeddings

from langchain_tokenomics import MeteredEmbeddings, SemanticCache, as_embedder
from tokenomics_core import ConfigurationError
from tokenomics_core.embedding import Embedder, StaticEmbedder


class Words(Embeddings):
    """Counts letters, and how often it is asked."""

    model = "letters-1"

    def __init__(self, vector=None):
        self.asked, self._vector = [], vector

    def embed_query(self, text):
        self.asked.append(text)
        return self._vector or [float(text.count(letter)) for letter in "abcdefgh"]

    def embed_documents(self, texts):
        raise AssertionError("questions are embedded as questions")

    async def aembed_query(self, text):
        return self.embed_query(text)


async def test_vectors_are_of_unit_length_and_the_same_from_async_code():
    embedder = as_embedder(Words())
    assert isinstance(embedder, Embedder)
    sync, later = embedder.embed(["abba", "cede"]), await embedder.aembed(["abba", "cede"])
    assert sync.dtype == np.float32
    assert sync.shape == (2, 8)
    assert np.allclose(np.linalg.norm(sync, axis=1), 1)
    assert np.array_equal(sync, later)
    assert np.array_equal(embedder.embed(["zzz"]), np.zeros((1, 8)))


def test_the_dimension_is_probed_once_and_not_at_all_after_a_vector():
    words = Words()
    embedder = as_embedder(words)
    assert words.asked == []
    assert (embedder.dimension, embedder.dimension) == (8, 8)
    assert len(words.asked) == 1
    other = Words()
    embedder = as_embedder(other)
    embedder.embed(["abc"])
    assert embedder.dimension == 8
    assert other.asked == ["abc"]


def test_identity_is_class_and_model_whatever_stands_in_front():
    assert as_embedder(Words()).identity == "langchain:Words:letters-1"
    assert as_embedder(MeteredEmbeddings(Words())).identity == "langchain:Words:letters-1"
    assert as_embedder(Words(), identity="mine").identity == "mine"
    fake = DeterministicFakeEmbedding(size=4)
    assert as_embedder(fake).identity == "langchain:DeterministicFakeEmbedding:unnamed"


def test_a_text_that_would_be_cut_off_does_not_fit():
    short = Words()
    short.max_tokens = 16
    embedder = as_embedder(short)
    assert embedder.max_tokens == 16
    assert embedder.fits("a short text")
    assert not embedder.fits("one word after another and one more after that " * 3)
    assert as_embedder(Words()).max_tokens is None
    assert as_embedder(Words()).fits("word " * 10_000)


def test_the_cores_own_stay_and_nothing_else_is_taken():
    own = StaticEmbedder()
    assert as_embedder(own) is own
    with pytest.raises(ConfigurationError, match="str has neither"):
        as_embedder("text-embedding-3-small")
    with pytest.raises(ConfigurationError, match="no vectors of finite numbers"):
        as_embedder(Words([float("nan")])).embed(["a"])


def test_a_file_with_another_embedders_vectors_is_refused(tmp_path):
    with SemanticCache(tmp_path / "cache.db").cache as kept:
        kept.put("a partition", "a question", "an answer")
    with pytest.raises(ConfigurationError, match="letters-1"):
        SemanticCache(tmp_path / "cache.db", embedding=Words())


def test_a_real_client_serves_a_cache(world):
    from langchain_core.outputs import Generation

    cache = SemanticCache(embedding=world.embeddings(), text_prompts="semantic")
    cache.update("How do I reset my password?", "a model", [Generation(text="a")])
    assert cache.lookup("How do I reset my password?", "a model") == [Generation(text="a")]
    assert world.provider.count(path="/v1/embeddings") >= 1
    assert cache.stats().failures == {}
