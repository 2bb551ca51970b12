"""Vectors that were paid for reach their owner, whatever happens to the record of what they cost."""

import pytest
from langchain_core.embeddings import Embeddings

from langchain_tokenomics import MeteredEmbeddings, track_cost
from tokenomics_core import Cost

TEXTS = ["one two three", "four"]
VECTORS = [[1.0], [2.0]]


class Fixed(Embeddings):
    """A model that answers anything, as clients do that take token numbers for texts."""

    model = "text-embedding-3-small"

    def embed_documents(self, texts):
        return VECTORS

    def embed_query(self, text):
        return VECTORS[0]


class TimedOut(Fixed):
    def embed_documents(self, texts):
        raise TimeoutError


class BrokenPrices:
    def cost(self, usage, model, provider=None, at=None):
        raise RuntimeError("no price today")


class BrokenLedger:
    def record(self, record):
        raise OSError("no space left")


@pytest.mark.parametrize("texts", [[[101, 2023, 102], [7]], [b"one", b"two"], [None, None]])
async def test_texts_that_cannot_be_counted_are_embedded_and_recorded_with_an_unknown_count(texts):
    embeddings = MeteredEmbeddings(Fixed())
    with track_cost() as report:
        assert embeddings.embed_documents(texts) == VECTORS
        assert await embeddings.aembed_documents(texts) == VECTORS
    assert [record.usage.input_tokens for record in report.calls] == [None, None]
    assert report.unpriced_calls == 2
    assert embeddings.failures == report.failures == 2


def test_prices_that_fail_cost_no_vectors():
    embeddings = MeteredEmbeddings(Fixed(), prices=BrokenPrices())
    with track_cost() as report:
        assert embeddings.embed_query("five") == VECTORS[0]
    assert [record.cost_usd for record in report.calls] == [None]
    assert embeddings.failures == 1


def test_a_ledger_that_fails_costs_no_vectors_and_the_block_still_has_the_record():
    embeddings = MeteredEmbeddings(Fixed(), ledger=BrokenLedger())
    with track_cost() as report:
        assert embeddings.embed_documents(TEXTS) == VECTORS
    assert len(report.calls) == 1
    assert embeddings.failures == 1


def test_a_name_that_is_none_costs_no_vectors():
    embeddings = MeteredEmbeddings(Fixed(), model=5)
    with track_cost() as report:
        assert embeddings.embed_documents(TEXTS) == VECTORS
    assert embeddings.failures >= 1
    assert report.total_usd == 0


def test_without_a_ledger_or_a_block_nothing_is_recorded_and_nothing_fails():
    class Flat:
        def cost(self, usage, model, provider=None, at=None):
            return Cost(total_usd=None, source="test")

    embeddings = MeteredEmbeddings(Fixed(), prices=Flat())
    assert embeddings.embed_documents(TEXTS) == VECTORS
    assert embeddings.failures == 0


def test_a_call_that_timed_out_is_billed_for_what_was_sent():
    with track_cost() as report, pytest.raises(TimeoutError):
        MeteredEmbeddings(TimedOut()).embed_documents(TEXTS)
    (record,) = report.calls
    assert (record.outcome, record.estimated) == ("error", True)
    assert record.usage.input_tokens == 4


def test_a_call_that_timed_out_raises_its_own_error_though_its_texts_cannot_be_counted():
    with track_cost() as report, pytest.raises(TimeoutError):
        MeteredEmbeddings(TimedOut()).embed_documents([[1, 2]])
    assert [record.usage.input_tokens for record in report.calls] == [None]
