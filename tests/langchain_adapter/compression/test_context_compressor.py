"""Retrieved documents come back shorter, in order and word for word, and the bill says what that saved."""

import asyncio
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_classic.retrievers import ContextualCompressionRetriever
from langchain_classic.retrievers.document_compressors import DocumentCompressorPipeline
from langchain_core.documents import Document
from langchain_core.embeddings import DeterministicFakeEmbedding, Embeddings
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import RunnablePassthrough
from pydantic import ValidationError

from examples.provider import ProviderAnswer, ProviderUsage
from langchain_tokenomics import ContextCompressor, MeteredEmbeddings, track_cost
from langchain_tokenomics.compressors import restore_tool
from tests.prices_by_hand import usd
from tokenomics_core.compression import MemoryOriginalStore
from tokenomics_core.errors import ConfigurationError
from tokenomics_core.ledger import MemoryLedger
from tokenomics_core.tokens import count_tokens

TOPICS = ["refunds", "seats", "exports", "invoices", "passwords", "holidays", "trains", "laptops"]
QUESTION = "When was the order for laptops refunded?"


def document(topic, place=0, **more):
    text = (
        f"This page is about {topic} and was last read by somebody on a rainy afternoon. "
        f"The order for {topic} was refunded in week {place + 11} after a call. "
        f"Nobody remembers who wrote the rest of it, and nobody asked. "
        f"Further pages on {topic} may follow when there is time for them."
    )
    return Document(page_content=text, metadata={"source": f"{topic}.md", "page": place}, id=topic, **more)


DOCUMENTS = [document(topic, place) for place, topic in enumerate(TOPICS)]


def tokens(documents):
    return sum(int(count_tokens(one.page_content)) for one in documents)


class Shelf(BaseRetriever):
    """Finds everything."""

    def _get_relevant_documents(self, query, *, run_manager):
        return list(DOCUMENTS)


words = st.text(alphabet="abcdefg .,\n-0123456789äß中", max_size=200)
found = st.lists(
    st.builds(
        Document,
        page_content=words,
        metadata=st.dictionaries(st.sampled_from(["a", "title", "source"]), st.text(max_size=9)),
        id=st.none() | st.sampled_from(["1", "2", "x"]),
    ),
    max_size=6,
)


@settings(deadline=None, max_examples=60)
@given(documents=found, query=st.text(max_size=30), ratio=st.sampled_from([0.1, 0.25, 0.5, 1.0]))
def test_whatever_is_given_comes_back_in_order_and_word_for_word(documents, query, ratio):
    before = [one.model_copy(deep=True) for one in documents]
    kept = ContextCompressor(ratio=ratio, marker="").compress_documents(documents, query)
    assert documents == before
    rest = iter(documents)
    for one in kept:
        plain = {name: value for name, value in one.metadata.items() if name != "compression"}
        source = next(
            other
            for other in rest
            if other.id == one.id
            and other.metadata == plain
            and _holds(other, one.metadata["compression"], one)
        )
        assert type(source) is type(one)
        assert one.page_content.strip()
    assert tokens(kept) <= tokens(documents)


def _holds(source, told, kept):
    stretches = [source.page_content[start:end] for start, end in told["kept_spans"]]
    left = kept.page_content
    for stretch in stretches:
        if stretch.strip() not in left:
            return False
    return told["tokens_after"] <= told["tokens_before"]


async def test_sync_and_async_keep_the_same():
    compressor = ContextCompressor(ratio=0.25)
    kept = compressor.compress_documents(DOCUMENTS, QUESTION)
    assert await compressor.acompress_documents(DOCUMENTS, QUESTION) == kept
    assert "laptops was refunded in week 18" in kept[-1].page_content
    assert tokens(kept) <= 0.25 * tokens(DOCUMENTS)
    assert compressor.stats().runs == 2
    assert compressor.stats().tokens_avoided > 0


def test_a_document_of_which_nothing_is_cut_says_so_and_keeps_its_metadata():
    kept = ContextCompressor(max_tokens=10_000).compress_documents(DOCUMENTS, QUESTION)
    assert [one.page_content for one in kept] == [one.page_content for one in DOCUMENTS]
    length = len(DOCUMENTS[0].page_content)
    count = tokens(DOCUMENTS[:1])
    assert kept[0].metadata == {
        **DOCUMENTS[0].metadata,
        "compression": {"tokens_before": count, "tokens_after": count, "kept_spans": [[0, length]]},
    }


async def test_it_works_in_langchains_retriever_and_pipeline():
    compressor = ContextCompressor(ratio=0.25)
    expected = compressor.compress_documents(DOCUMENTS, QUESTION)
    retriever = ContextualCompressionRetriever(base_compressor=compressor, base_retriever=Shelf())
    assert retriever.invoke(QUESTION) == expected == await retriever.ainvoke(QUESTION)
    pipeline = DocumentCompressorPipeline(transformers=[ContextCompressor(ratio=0.5), compressor])
    twice = pipeline.compress_documents(DOCUMENTS, QUESTION)
    assert tokens(twice) <= 0.125 * tokens(DOCUMENTS)
    assert [one.id for one in await pipeline.acompress_documents(DOCUMENTS, QUESTION)] == [
        one.id for one in twice
    ]


async def test_as_a_step_of_a_chain_it_leaves_the_rest_of_the_mapping_alone():
    step = ContextCompressor(ratio=0.25).as_runnable()
    given = {"question": QUESTION, "context": DOCUMENTS, "history": [1]}
    out = step.invoke(given)
    assert out["history"] == [1]
    assert out["context"] == ContextCompressor(ratio=0.25).compress_documents(DOCUMENTS, QUESTION)
    texts = [one.page_content for one in DOCUMENTS]
    assert (await step.ainvoke({"question": QUESTION, "context": texts}))["context"] == [
        one.page_content for one in out["context"]
    ]
    with pytest.raises(ConfigurationError, match="'context' must hold a list"):
        step.invoke({"question": QUESTION, "context": "one text"})
    with pytest.raises(ConfigurationError, match="'question' must hold the question"):
        step.invoke({"context": DOCUMENTS})


def test_what_was_cut_can_be_asked_for_by_its_handle():
    store = MemoryOriginalStore()
    kept = ContextCompressor(ratio=0.25, store=store).compress_documents(DOCUMENTS, QUESTION)
    cut = next(one for one in kept if "original" in one.metadata["compression"])
    tool = restore_tool(store)
    source = next(one for one in DOCUMENTS if one.id == cut.id)
    assert tool.invoke({"handle": cut.metadata["compression"]["original"]}) == source.page_content
    assert "no document is kept" in tool.invoke({"handle": "nothing"})


def test_a_header_is_made_from_the_chains_own_document():
    seen = []

    def header(one):
        seen.append(one)
        return f"[{one.metadata['source']}]\n"

    ContextCompressor(ratio=0.5, header=header).compress_documents(DOCUMENTS, QUESTION)
    assert set(map(id, seen)) == set(map(id, DOCUMENTS))


# Embeddings


class Counted(Embeddings):
    """Vectors from nothing, and how often they were asked for."""

    def __init__(self):
        self.asked = []
        self._inner = DeterministicFakeEmbedding(size=8)

    def embed_documents(self, texts):
        self.asked.append(len(texts))
        return self._inner.embed_documents(texts)

    def embed_query(self, text):
        self.asked.append(text)
        return self._inner.embed_query(text)

    async def aembed_documents(self, texts):
        await asyncio.sleep(0)
        return self.embed_documents(texts)

    async def aembed_query(self, text):
        await asyncio.sleep(0)
        return self.embed_query(text)


async def test_a_langchain_embedding_reads_the_question_as_one_and_the_rest_at_once():
    embeddings = Counted()
    compressor = ContextCompressor(ratio=0.25, embedder=embeddings, share_judged=1.0)
    kept = compressor.compress_documents(DOCUMENTS, QUESTION)
    assert embeddings.asked == [QUESTION, 32]
    assert await compressor.acompress_documents(DOCUMENTS, QUESTION) == kept
    assert embeddings.asked == [QUESTION, 32] * 2


def test_what_embedding_costs_stands_on_the_bill_as_a_cost_of_compressing(world):
    metered = MeteredEmbeddings(world.embeddings())
    with track_cost() as cost:
        ContextCompressor(ratio=0.25, embedder=metered).compress_documents(DOCUMENTS, QUESTION)
    assert {record.operation for record in cost.calls} == {"embedding"}
    assert cost.by("compress_role") == {"embedder": cost.total_usd}
    assert cost.total_usd > 0


async def test_compressing_does_not_block_the_loop():
    many = [document(topic, place) for place in range(60) for topic in TOPICS]
    many = [one.model_copy(update={"id": None}) for one in many]
    beats = 0

    async def beat():
        nonlocal beats
        while True:
            beats += 1
            await asyncio.sleep(0)

    beating = asyncio.create_task(beat())
    await ContextCompressor(ratio=0.1).acompress_documents(many, QUESTION)
    beating.cancel()
    assert beats > 10


# The bill


def chain_of(world, compressor):
    prompt = ChatPromptTemplate([("human", "{context}\n\n{question}")])
    shelf = ContextualCompressionRetriever(base_compressor=compressor, base_retriever=Shelf())
    joined = shelf | (lambda found: "\n\n".join(one.page_content for one in found))
    return (
        {"context": joined, "question": RunnablePassthrough()} | prompt | world.openai() | StrOutputParser()
    )


USAGE = ProviderUsage(input_tokens=200, output_tokens=20)


@pytest.mark.parametrize("how", ["invoke", "ainvoke"])
async def test_the_call_that_was_sent_less_is_credited_with_what_it_avoided(world, how):
    world.engine.always(ProviderAnswer(text="In week 18.", usage=USAGE))
    ledger = MemoryLedger()
    compressor = ContextCompressor(ratio=0.25)
    chain = chain_of(world, compressor)
    with track_cost(ledger=ledger) as cost:
        answer = getattr(chain, how)(QUESTION)
        if how == "ainvoke":
            answer = await answer
        world.openai().invoke("And otherwise?")
    assert answer == "In week 18."
    avoided = compressor.stats().tokens_avoided
    credited, other = cost.calls
    assert credited.avoided_by == "compress"
    assert credited.avoided_usd == usd("gpt-4o", input=avoided)
    assert credited.cost_usd == usd("gpt-4o", input=200, output=20)
    assert credited.attribution.tags["compress_tokens_avoided"] == str(avoided)
    assert other.avoided_usd is None
    assert other.avoided_by is None
    assert cost.avoided_usd == ledger.totals().avoided_usd == usd("gpt-4o", input=avoided)


def test_a_prompt_that_holds_what_was_cut_as_well_is_credited_with_nothing(world):
    world.engine.always(ProviderAnswer(text="In week 18.", usage=USAGE))
    ContextCompressor(ratio=0.25).compress_documents(DOCUMENTS, QUESTION)
    whole = "\n\n".join(one.page_content for one in DOCUMENTS)
    with track_cost() as cost:
        world.openai().invoke(f"{whole}\n\n{QUESTION}")
    assert cost.avoided_usd == Decimal(0)


def test_a_model_of_unknown_price_avoids_an_unknown_sum(world):
    world.engine.always(ProviderAnswer(text="In week 18.", usage=USAGE))
    kept = ContextCompressor(ratio=0.25).compress_documents(DOCUMENTS, QUESTION)
    with track_cost() as cost:
        world.openai("nobody-knows-it").invoke("\n\n".join(one.page_content for one in kept))
    assert cost.calls[0].avoided_usd is None
    assert cost.calls[0].avoided_by == "compress"
    assert cost.calls[0].attribution.tags["compress_tokens_avoided"]


# Refusals


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"ratio": 2.0}, "ratio must be above 0 and at most 1, not 2.0"),
        ({"ratio": 0.0}, "ratio must be above 0 and at most 1, not 0.0"),
        ({"max_tokens": -1}, "max_tokens must be 0 or more, not -1"),
        ({"min_relevance": 3.0}, "min_relevance must be from 0 to 1, not 3.0"),
        ({"embedder": 3}, "int has neither"),
    ],
)
def test_settings_that_cannot_be_are_refused_when_they_are_made(settings, said):
    with pytest.raises(ConfigurationError, match=said):
        ContextCompressor(**settings)


def test_unknown_settings_are_refused():
    with pytest.raises(ValidationError, match="rate"):
        ContextCompressor(rate=0.5)


def test_of_nothing_nothing_is_kept():
    assert ContextCompressor().compress_documents([], QUESTION) == []


def test_what_another_block_compressed_is_credited_to_no_call_of_this_one(world):
    world.engine.always(ProviderAnswer(text="In week 18.", usage=USAGE))
    own = [
        Document(one.page_content.replace("18", "31"), id=one.id, metadata=one.metadata) for one in DOCUMENTS
    ]
    with track_cost():
        kept = ContextCompressor(ratio=0.25).compress_documents(own, QUESTION)
        prompt = "\n\n".join(one.page_content for one in kept)
    assert "31" in prompt
    with track_cost() as cost:
        world.openai().invoke(prompt)
    assert cost.calls[0].avoided_by is None
    assert cost.avoided_usd == 0
