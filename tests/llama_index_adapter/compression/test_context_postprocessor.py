"""Retrieved nodes come back shorter, in order and word for word, and the bill says what that saved."""

import asyncio
import re
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from llama_index.core import SummaryIndex
from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.chat_engine import CondensePlusContextChatEngine, ContextChatEngine
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.postprocessor import SimilarityPostprocessor
from llama_index.core.query_engine import CitationQueryEngine, RetrieverQueryEngine
from llama_index.core.schema import (
    Document,
    ImageNode,
    MetadataMode,
    Node,
    NodeRelationship,
    NodeWithScore,
    QueryBundle,
    RelatedNodeInfo,
    TextNode,
)
from pydantic import Field

from llama_index_tokenomics import ContextCompressionPostprocessor, track_cost
from llama_index_tokenomics.compressors import ORIGINAL_KEY
from tests.prices_by_hand import usd
from tokenomics_core.compression import MemoryOriginalStore, restore_original
from tokenomics_core.errors import ConfigurationError
from tokenomics_core.tokens import count_tokens

TOPICS = ["refunds", "seats", "exports", "invoices", "passwords", "holidays", "trains", "laptops"]
QUESTION = "When was the order for laptops refunded?"
ANSWER = "The order for laptops was refunded in week 18 after a call."


def text_of(topic, place):
    return (
        f"This page is about {topic} and was last read by somebody on a rainy afternoon. "
        f"The order for {topic} was refunded in week {place + 11} after a call. "
        f"Nobody remembers who wrote the rest of it, and nobody asked. "
        f"Further pages on {topic} may follow when there is time for them."
    )


def nodes(kind=TextNode):
    return [
        NodeWithScore(
            node=kind(
                id_=f"node-{topic}",
                text=text_of(topic, place),
                metadata={"file": f"{topic}.md", "secret": "x" * 80},
                excluded_llm_metadata_keys=["secret"],
                relationships={NodeRelationship.SOURCE: RelatedNodeInfo(node_id=f"doc-{topic}")},
                **({} if kind is Document else {"start_char_idx": 7, "end_char_idx": 900}),
            ),
            score=1 - place / 10,
        )
        for place, topic in enumerate(TOPICS)
    ]


class Shelf(BaseRetriever):
    """Finds everything, always the same objects."""

    def __init__(self, found=None):
        self.found = nodes() if found is None else found
        super().__init__()

    def _retrieve(self, query_bundle):
        return list(self.found)


class Watched(BaseEmbedding):
    """Embeds by letters, and notes how it was asked."""

    asked: list = Field(default_factory=list)

    def _get_query_embedding(self, query):
        self.asked.append("query")
        return self._get_text_embedding(query)

    async def _aget_query_embedding(self, query):
        self.asked.append("async query")
        await asyncio.sleep(0)
        return self._get_text_embedding(query)

    def _get_text_embedding(self, text):
        return [float(text.lower().count(letter)) + 0.1 for letter in "abcdefghijklmnopqrstuvwxyz"]

    def _get_text_embeddings(self, texts):
        self.asked.append(len(texts))
        return [self._get_text_embedding(text) for text in texts]

    async def _aget_text_embeddings(self, texts):
        self.asked.append(f"async {len(texts)}")
        await asyncio.sleep(0)
        return [self._get_text_embedding(text) for text in texts]


def shown(found):
    """Join what a model is shown, as synthesizers do."""
    return "\n\n".join(each.node.get_content(metadata_mode=MetadataMode.LLM) for each in found)


def dumps(found):
    return [(each.node.model_dump(), each.score) for each in found]


words = st.text(alphabet="abcdefg .,\n-0123456789äß中", max_size=200)
anything = st.lists(
    st.builds(
        lambda text, metadata, score: NodeWithScore(node=TextNode(text=text, metadata=metadata), score=score),
        words,
        st.dictionaries(st.sampled_from(["a", "title", "source"]), st.text(max_size=9)),
        st.none() | st.floats(0, 1),
    ),
    max_size=6,
)


@settings(deadline=None, max_examples=60)
@given(found=anything, query=st.text(min_size=1, max_size=30), ratio=st.sampled_from([0.1, 0.25, 0.5, 1.0]))
def test_whatever_is_given_comes_back_in_order_word_for_word_and_filled(found, query, ratio):
    before = dumps(found)
    kept = ContextCompressionPostprocessor(ratio=ratio, marker="").postprocess_nodes(found, query_str=query)
    assert dumps(found) == before
    if not query.strip():
        assert kept == found
        return
    rest = iter(found)
    for each in kept:
        given_ = next(other for other in rest if other.node.node_id == each.node.node_id)
        assert (each.score, each.node.metadata) == (given_.score, given_.node.metadata)
        assert each.node.get_content(metadata_mode=MetadataMode.LLM).strip()
        letters = iter(given_.node.text)
        assert all(letter in letters for letter in each.node.text)
    if any(each.node.text.strip() for each in found):
        assert kept


@settings(deadline=None, max_examples=40)
@given(found=anything, query=st.text("abc ", min_size=1, max_size=30), most=st.integers(0, 120))
def test_no_token_is_sent_over_the_budget_metadata_included(found, query, most):
    kept = ContextCompressionPostprocessor(max_tokens=most).postprocess_nodes(found, query_str=query)
    texts = [each for each in kept if each.node.text.strip()]
    if query.strip() and texts:
        assert int(count_tokens(shown(texts), "gpt-4o")) <= most


@pytest.mark.parametrize("kind", [TextNode, Document, Node])
def test_a_node_keeps_everything_but_the_words_that_are_gone(kind):
    found = nodes(kind) if kind is not Node else _plain_nodes()
    kept = ContextCompressionPostprocessor(ratio=0.1).postprocess_nodes(found, query_str=QUESTION)
    [last] = [each for each in kept if each.node.node_id == "node-laptops"]
    given_ = found[-1]
    assert ANSWER in last.node.get_content(metadata_mode=MetadataMode.NONE)
    assert type(last.node) is kind
    assert last.node is not given_.node
    assert last.score == given_.score
    for name in ("metadata", "relationships", "excluded_llm_metadata_keys", "excluded_embed_metadata_keys"):
        assert getattr(last.node, name) == getattr(given_.node, name)
    assert last.node.ref_doc_id == "doc-laptops"
    assert last.node.metadata is not given_.node.metadata


def _plain_nodes():
    found = []
    for each in nodes():
        node = Node(
            id_=each.node.node_id,
            text_resource={"text": each.node.text},
            metadata=each.node.metadata,
            relationships=each.node.relationships,
        )
        found.append(NodeWithScore(node=node, score=each.score))
    return found


def test_places_in_a_source_are_cleared_where_the_text_changed_and_only_there():
    found = nodes()
    whole = ContextCompressionPostprocessor(ratio=1.0).postprocess_nodes(found, query_str=QUESTION)
    assert [(each.node.start_char_idx, each.node.end_char_idx) for each in whole] == [(7, 900)] * 8
    assert [each.node for each in whole] == [each.node for each in found]
    for each in ContextCompressionPostprocessor(ratio=0.1).postprocess_nodes(found, query_str=QUESTION):
        assert (each.node.start_char_idx, each.node.end_char_idx) == (None, None)


def test_what_a_model_is_shown_of_metadata_is_counted_and_what_it_is_not_shown_is_not():
    postprocessor = ContextCompressionPostprocessor(max_tokens=60)
    kept = postprocessor.postprocess_nodes(nodes(), query_str=QUESTION)
    assert kept
    assert int(count_tokens(shown(kept), "gpt-4o")) <= 60
    assert "secret" not in shown(kept)
    heavy = nodes()
    for each in heavy:
        each.node.metadata["note"] = "a long remark that every model reads again " * 8
    assert postprocessor.postprocess_nodes(heavy, query_str=QUESTION) == []
    hidden = nodes()
    for each in hidden:
        each.node.metadata["note"] = "a long remark that no model reads " * 8
        each.node.excluded_llm_metadata_keys = ["secret", "note"]
    again = postprocessor.postprocess_nodes(hidden, query_str=QUESTION)
    assert [each.node.text for each in again] == [each.node.text for each in kept]


@pytest.mark.parametrize("query", [None, QueryBundle(""), QueryBundle("  \n")])
async def test_without_a_question_nodes_come_back_unchanged(query):
    found = nodes()
    postprocessor = ContextCompressionPostprocessor(ratio=0.1)
    for kept in (
        postprocessor.postprocess_nodes(found, query),
        await postprocessor.apostprocess_nodes(found, query),
    ):
        assert [id(each) for each in kept] == [id(each) for each in found]
    assert postprocessor.stats().runs == 0


def test_an_image_stays_and_a_node_without_a_word_goes():
    picture = NodeWithScore(node=ImageNode(image_url="http://127.0.0.1/x.png"), score=0.9)
    blank = NodeWithScore(node=TextNode(text=" \n"), score=0.8)
    found = [picture, blank, *nodes()]
    kept = ContextCompressionPostprocessor(ratio=0.25).postprocess_nodes(found, query_str=QUESTION)
    assert kept[0] is picture
    assert all(each is not blank for each in kept)


def test_a_share_that_has_room_for_nothing_keeps_the_best_unit():
    [given_] = nodes()[-1:]
    kept = ContextCompressionPostprocessor(ratio=0.01).postprocess_nodes([given_], query_str=QUESTION)
    assert ANSWER in kept[0].node.text
    assert len(kept[0].node.text) < len(given_.node.text)


def test_a_budget_that_has_room_for_nothing_is_held_and_said(caplog):
    kept = ContextCompressionPostprocessor(max_tokens=3).postprocess_nodes(nodes(), query_str=QUESTION)
    assert kept == []
    assert "fits 3 tokens" in caplog.text


async def test_sync_and_async_choose_alike_and_embed_in_one_batch():
    embedder = Watched(embed_batch_size=512)
    postprocessor = ContextCompressionPostprocessor(ratio=0.25, embedder=embedder)
    first = postprocessor.postprocess_nodes(nodes(), query_str=QUESTION)
    n_texts = embedder.asked[1]
    assert embedder.asked == ["query", n_texts]
    assert dumps(await postprocessor.apostprocess_nodes(nodes(), query_str=QUESTION)) == dumps(first)
    assert embedder.asked[2:] == ["async query", f"async {n_texts}"]
    assert postprocessor.stats().runs == 2


async def test_an_event_loop_goes_on_while_nodes_are_compressed():
    beats = 0

    async def beat():
        nonlocal beats
        while True:
            beats += 1
            await asyncio.sleep(0)

    heart = asyncio.create_task(beat())
    await ContextCompressionPostprocessor(ratio=0.1).apostprocess_nodes(nodes() * 30, query_str=QUESTION)
    heart.cancel()
    assert beats > 20


def test_settings_survive_being_written_down_and_hold_no_key():
    written = ContextCompressionPostprocessor(ratio=0.25, marker=" ", embedder=Watched()).to_dict()
    assert written["class_name"] == "ContextCompressionPostprocessor"
    assert "embedder" not in written
    read = ContextCompressionPostprocessor.from_dict(written)
    assert (read.ratio, read.marker) == (0.25, " ")
    assert ContextCompressionPostprocessor.from_json(read.to_json()).ratio == 0.25
    assert read.model_copy(deep=True).ratio == 0.25


@pytest.mark.parametrize(
    ("wrong", "says"), [({"ratio": 0.0}, "0.0"), ({"max_tokens": -1}, "-1"), ({"min_relevance": 2}, "2")]
)
def test_settings_that_cannot_be_are_refused(wrong, says):
    with pytest.raises(ConfigurationError, match=says):
        ContextCompressionPostprocessor(**wrong)


def test_something_that_does_not_embed_is_refused():
    with pytest.raises(ConfigurationError, match="float"):
        ContextCompressionPostprocessor(embedder=3.5)


def test_an_original_is_restored_by_its_handle_which_no_model_reads():
    store = MemoryOriginalStore()
    found = nodes()
    kept = ContextCompressionPostprocessor(ratio=0.1, store=store).postprocess_nodes(
        found, query_str=QUESTION
    )
    [last] = [each.node for each in kept if each.node.node_id == "node-laptops"]
    handle = last.metadata[ORIGINAL_KEY]["original"]
    assert restore_original(store, {"handle": handle}) == found[-1].node.text
    for mode in (MetadataMode.LLM, MetadataMode.EMBED):
        assert handle not in last.get_content(metadata_mode=mode)
    assert all(ORIGINAL_KEY not in each.node.metadata for each in found)
    assert all(ORIGINAL_KEY not in each.node.excluded_llm_metadata_keys for each in found)


# -- inside engines


async def test_an_engine_sends_less_and_the_bill_says_what_that_saved(world):
    postprocessor = ContextCompressionPostprocessor(ratio=0.25)
    shelf = Shelf()
    engine = RetrieverQueryEngine.from_args(shelf, llm=world.like(), node_postprocessors=[postprocessor])
    plain = RetrieverQueryEngine.from_args(shelf, llm=world.like())
    for _ in range(3):
        world.says(ANSWER, input_tokens=100, output_tokens=20)
    with track_cost() as cost:
        response = engine.query(QUESTION)
        await engine.aquery(QUESTION)
        plain.query(QUESTION)
    sent = [request.body for request in world.provider.requests]
    assert ANSWER in str(sent[0])
    assert "rainy afternoon" in str(sent[2])
    avoided = postprocessor.stats().tokens_avoided // 2
    assert avoided > 200
    want = usd("gpt-4o", input=100 + avoided, output=20) - usd("gpt-4o", input=100, output=20)
    first, second, whole = cost.calls
    assert (first.avoided_usd, first.avoided_by) == (want, "compress")
    assert first.attribution.tags["compress_tokens_avoided"] == str(avoided)
    assert second.avoided_usd == want
    assert (whole.avoided_usd or Decimal(0), whole.avoided_by) == (Decimal(0), None)
    assert cost.avoided_usd == 2 * want
    assert {each.node.ref_doc_id for each in response.source_nodes} >= {"doc-laptops"}
    assert [each.node.text for each in shelf.found] == [each.node.text for each in nodes()]


async def test_what_was_saved_is_shared_by_the_calls_of_a_refining_engine(world):
    postprocessor = ContextCompressionPostprocessor(ratio=0.4)
    engine = RetrieverQueryEngine.from_args(
        Shelf(), llm=world.like(), node_postprocessors=[postprocessor], response_mode="refine"
    )
    for _ in TOPICS:
        world.says(ANSWER, input_tokens=100, output_tokens=20)
    with track_cost() as cost:
        response = engine.query(QUESTION)
    assert len(cost.calls) == len(response.source_nodes)
    told = [int(each.attribution.tags.get("compress_tokens_avoided", 0)) for each in cost.calls]
    assert sum(told) == postprocessor.stats().tokens_avoided


async def test_an_embedder_is_on_the_bill_under_its_tag(world):
    postprocessor = ContextCompressionPostprocessor(ratio=0.25, embedder=world.embedding())
    with track_cost(embeddings=True) as cost:
        postprocessor.postprocess_nodes(nodes(), query_str=QUESTION)
    assert cost.calls
    assert {each.attribution.tags.get("compress_role") for each in cost.calls} == {"embedder"}


@pytest.mark.parametrize("how", ["query", "aquery"])
async def test_a_citation_names_the_source_that_says_so(world, how):
    postprocessor = ContextCompressionPostprocessor(ratio=0.3)
    kept = postprocessor.postprocess_nodes(nodes(), query_str=QUESTION)
    number = 1 + [each.node.node_id for each in kept].index("node-laptops")
    assert number < len(nodes())
    engine = CitationQueryEngine.from_args(
        SummaryIndex([]), llm=world.like(), retriever=Shelf(), node_postprocessors=[postprocessor]
    )
    world.says(f"It was refunded in week 18 [{number}].", input_tokens=100, output_tokens=20)
    response = engine.query(QUESTION) if how == "query" else await engine.aquery(QUESTION)
    cited = int(re.search(r"\[(\d+)\]", str(response))[1])
    source = response.source_nodes[cited - 1]
    assert (source.node.ref_doc_id, source.node.metadata["file"]) == ("doc-laptops", "laptops.md")
    assert source.score == nodes()[-1].score
    prompt = world.provider.requests[-1].body["messages"][-1]["content"]
    assert ANSWER in prompt.rpartition(f"Source {cited}:")[2]
    for place, each in enumerate(response.source_nodes, 1):
        head, _, body = each.node.get_content().partition("\n")
        assert head == f"Source {place}:"
        topic = each.node.ref_doc_id.removeprefix("doc-")
        said = [part.strip() for part in body.split("…") if part.strip()]
        assert said
        assert all(part in text_of(topic, TOPICS.index(topic)) for part in said)


@pytest.mark.parametrize("kind", [ContextChatEngine, CondensePlusContextChatEngine])
async def test_a_chat_engine_sends_less_of_what_it_finds(world, kind):
    engine = kind.from_defaults(
        retriever=Shelf(),
        llm=world.like(),
        memory=ChatMemoryBuffer(token_limit=1_000),
        node_postprocessors=[
            SimilarityPostprocessor(similarity_cutoff=0.2),
            ContextCompressionPostprocessor(),
        ],
    )
    world.says(ANSWER, input_tokens=100, output_tokens=20)
    assert str(await engine.achat(QUESTION)) == ANSWER
    sent = str(world.provider.requests[-1].body)
    assert ANSWER in sent
    assert "Further pages on seats" not in sent
