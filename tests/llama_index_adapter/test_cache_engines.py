"""Engines, agents and chat engines give from the cache what they gave before, and nothing that went wrong."""

import pytest
from llama_index.core import SummaryIndex, VectorStoreIndex
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.base.response.schema import AsyncStreamingResponse, StreamingResponse
from llama_index.core.chat_engine import ContextChatEngine
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.prompts import PromptTemplate
from llama_index.core.query_engine import CustomQueryEngine, SubQuestionQueryEngine
from llama_index.core.question_gen.types import BaseQuestionGenerator, SubQuestion
from llama_index.core.schema import NodeRelationship, NodeWithScore, QueryBundle, RelatedNodeInfo, TextNode
from llama_index.core.tools import FunctionTool, QueryEngineTool
from llama_index.core.vector_stores.types import MetadataFilter, MetadataFilters
from pydantic import BaseModel

from examples.provider import ToolCall
from llama_index_tokenomics import (
    BudgetGuard,
    CachingLLM,
    CachingQueryEngine,
    as_embedder,
    attribution,
    track_cost,
)
from llama_index_tokenomics.cache import MARK
from tests.prices_by_hand import usd
from tokenomics_core.budgets import Budgets, Limit
from tokenomics_core.cache import FixedThreshold, ResponseCache, SQLiteCacheStore
from tokenomics_core.embedding import StaticEmbedder
from tokenomics_core.errors import BudgetExceededError, ConfigurationError

QUESTION = "How long do refunds take?"
IN_OTHER_WORDS = "How long does a refund take?"
ANSWER = "Refunds take five working days."
USED = {"input_tokens": 100, "output_tokens": 20}
COST = usd("gpt-4o", input=100, output=20)
HANDBOOK = {"refunds": "Refunds take five working days.", "exports": "Exports are kept for thirty days."}


class Refund(BaseModel):
    days: int


class Letters(BaseEmbedding):
    """Counts letters, and how often it was asked."""

    n_queries: int = 0

    def _get_text_embedding(self, text):
        return [float(text.lower().count(letter)) + 0.1 for letter in "abcdefghijklmnopqrstuvwxyz"]

    def _get_query_embedding(self, query):
        self.n_queries += 1
        return self._get_text_embedding(query)

    async def _aget_query_embedding(self, query):
        return self._get_query_embedding(query)


def nodes():
    return [
        TextNode(
            text=text,
            id_=f"node-{name}",
            metadata={"page": name, "stars": 5},
            relationships={NodeRelationship.SOURCE: RelatedNodeInfo(node_id=f"doc-{name}")},
        )
        for name, text in HANDBOOK.items()
    ]


def near(**settings):
    return ResponseCache(policy=FixedThreshold(0.7), **settings)


def n_calls(world):
    return len(world.provider.requests)


def engine_of(llm, **settings):
    return SummaryIndex(nodes()).as_query_engine(llm=llm, **settings)


# -- a cached model inside engines


@pytest.mark.parametrize("mode", ["compact", "refine", "tree_summarize"])
async def test_an_engine_over_a_cached_model_asks_once_whatever_the_words(world, mode):
    llm = CachingLLM(world.like(), near())
    engine = engine_of(llm, response_mode=mode)
    n_first = 2 if mode == "refine" else 1
    for _ in range(n_first):
        world.says(ANSWER, **USED)
    with track_cost() as cost:
        assert str(engine.query(QUESTION)) == ANSWER
        assert str(engine.query(IN_OTHER_WORDS)) == ANSWER
        assert str(await engine.aquery(QUESTION)) == ANSWER
    assert n_calls(world) == n_first
    assert [record.source for record in cost.calls] == ["model"] * n_first + ["cache"] * 2 * n_first
    assert (cost.total_usd, cost.avoided_usd) == (n_first * COST, 2 * n_first * COST)


def test_another_context_is_another_question(world):
    llm = CachingLLM(world.like(), near())
    for text in ("first", "second"):
        world.says(text, **USED)
    assert str(engine_of(llm).query(QUESTION)) == "first"
    other = SummaryIndex([TextNode(text="Refunds take six working days.")]).as_query_engine(llm=llm)
    assert str(other.query(QUESTION)) == "second"


def test_a_streaming_engine_over_a_cached_model_fills_and_reads_the_same_answers(world):
    llm = CachingLLM(world.like(), near())
    world.says(ANSWER, **USED)
    assert "".join(engine_of(llm, streaming=True).query(QUESTION).response_gen) == ANSWER
    assert str(engine_of(llm).query(QUESTION)) == ANSWER
    assert n_calls(world) == 1


def test_a_chat_engine_keeps_conversations_apart(world):
    llm = CachingLLM(world.like(), near())
    retriever = SummaryIndex(nodes()).as_retriever()

    def chat_engine():
        # LlamaIndex's default memory opens a database that it never closes.
        memory = ChatMemoryBuffer(token_limit=1_000)
        return ContextChatEngine.from_defaults(retriever=retriever, llm=llm, memory=memory)

    for plan, price in (("basic", "ten"), ("team", "twenty")):
        chat = chat_engine()
        world.says(f"The {plan} plan costs {price} dollars.", **USED)
        world.says(f"{price} in euros", **USED)
        chat.chat(f"What does the {plan} plan cost?")
        assert str(chat.chat("And in euros?")) == f"{price} in euros"
    again = chat_engine()
    again.chat("What does the basic plan cost?")
    assert str(again.chat("And in euros?")) == "ten in euros"
    assert n_calls(world) == 4


@pytest.mark.parametrize("streaming", [True, False])
async def test_an_agent_runs_on_a_cached_model(world, streaming):
    def look_up(topic: str) -> str:
        """Look a topic up."""
        return HANDBOOK[topic]

    llm = CachingLLM(world.like())
    for _ in range(2):
        agent = FunctionAgent(tools=[FunctionTool.from_defaults(look_up)], llm=llm, streaming=streaming)
        world.says("", tool_calls=(ToolCall(name="look_up", arguments={"topic": "refunds"}),), **USED)
        if n_calls(world) == 0:
            world.says(ANSWER, **USED)
        with track_cost() as cost:
            assert str(await agent.run(QUESTION)) == ANSWER
    assert [record.source for record in cost.calls] == ["model", "cache"]
    assert n_calls(world) == 3


# -- whole queries


@pytest.mark.parametrize("client", ["like", "anthropic"])
async def test_a_query_is_answered_again_with_its_source_nodes(world, client):
    engine = CachingQueryEngine(engine_of(getattr(world, client)()), near(), name="handbook")
    world.says(ANSWER, **USED)
    fresh = engine.query(QUESTION)
    for hit in (engine.query(QUESTION), await engine.aquery(IN_OTHER_WORDS)):
        assert str(hit) == ANSWER
        assert [each.node for each in hit.source_nodes] == [each.node for each in fresh.source_nodes]
        assert [each.score for each in hit.source_nodes] == [each.score for each in fresh.source_nodes]
        assert {**hit.metadata, MARK: None} == {**fresh.metadata, MARK: None}
        assert hit.metadata[MARK]["usage"]["input_tokens"] == 100
    assert n_calls(world) == 1
    assert engine.failures == 0


def test_a_query_that_took_several_calls_avoids_them_all(world):
    engine = CachingQueryEngine(engine_of(world.like(), response_mode="refine"))
    for _ in range(2):
        world.says(ANSWER, **USED)
    with track_cost() as cost:
        engine.query(QUESTION)
        engine.query(QUESTION)
    assert [record.source for record in cost.calls] == ["model", "model", "cache"]
    assert (cost.total_usd, cost.avoided_usd) == (2 * COST, 2 * COST)
    assert cost.calls[-1].usage.input_tokens == 200


def test_what_a_query_avoids_is_known_without_anybody_tracking_it(world):
    engine = CachingQueryEngine(engine_of(world.like()))
    world.says(ANSWER, **USED)
    engine.query(QUESTION)
    with track_cost() as cost:
        engine.query(QUESTION)
    assert (cost.total_usd, cost.avoided_usd) == (0, COST)


async def test_streams_are_kept_when_they_were_read_to_their_end_and_come_again_in_their_pieces(world):
    pieces = ["Refunds ", "take five ", "working days."]
    engine = CachingQueryEngine(engine_of(world.like(), streaming=True), near())
    for _ in range(2):
        world.says(ANSWER, pieces=pieces, **USED)
    dropped = engine.query(QUESTION)
    next(dropped.response_gen)
    dropped.response_gen.close()
    with track_cost() as cost:
        first = list(engine.query(QUESTION).response_gen)
        hit = engine.query(IN_OTHER_WORDS)
        assert isinstance(hit, StreamingResponse)
        assert list(hit.response_gen) == first
        later = await engine.aquery(QUESTION)
        assert isinstance(later, AsyncStreamingResponse)
        assert [piece async for piece in later.response_gen] == first
    assert "".join(first) == ANSWER
    assert n_calls(world) == 2
    assert [record.source for record in cost.calls] == ["model", "cache", "cache"]
    assert cost.avoided_usd == 2 * COST


async def test_an_async_stream_is_kept_too(world):
    engine = CachingQueryEngine(engine_of(world.like(), streaming=True))
    world.says(ANSWER, **USED)
    fresh = await engine.aquery(QUESTION)
    assert "".join([piece async for piece in fresh.response_gen]) == ANSWER
    assert str(engine.query(QUESTION)) == ANSWER
    assert n_calls(world) == 1


async def test_an_async_stream_that_is_dropped_is_closed_paid_for_and_not_kept(world):
    engine = CachingQueryEngine(engine_of(world.like(), streaming=True))
    for _ in range(2):
        world.says(ANSWER, pieces=["Refunds ", "take five ", "working days."], **USED)
    with track_cost() as cost:
        fresh = await engine.aquery(QUESTION)
        given = fresh.response_gen
        await anext(given)
        await given.aclose()
        later = await engine.aquery(QUESTION)
        assert "".join([piece async for piece in later.response_gen]) == ANSWER
    assert [(record.source, record.estimated) for record in cost.calls] == [("model", True), ("model", False)]


def test_objects_come_again_as_objects(world):
    engine = CachingQueryEngine(engine_of(world.openai(), output_cls=Refund))
    world.says('{"days": 5}', **USED)
    for _ in range(2):
        assert engine.query(QUESTION).response == Refund(days=5)
    assert n_calls(world) == 1


@pytest.mark.parametrize("source", ["node-refunds", "doc-refunds"])
def test_a_document_that_changes_takes_its_answers_with_it(world, source):
    engine = CachingQueryEngine(engine_of(world.like()))
    for text in (ANSWER, "Refunds take six working days."):
        world.says(text, **USED)
    engine.query(QUESTION)
    assert engine.cache.invalidate(source="doc-of-another") == 0
    assert engine.cache.invalidate(source=source) == 1
    assert str(engine.query(QUESTION)) == "Refunds take six working days."


def vector_engine(llm, embedding, **settings):
    index = VectorStoreIndex(nodes(), embed_model=embedding)
    return index.as_query_engine(llm=llm, embed_model=embedding, **settings)


def only(page):
    return MetadataFilters(filters=[MetadataFilter(key="page", value=page)])


@pytest.mark.parametrize(
    "change",
    [
        lambda engine: setattr(engine.retriever, "_filters", only("exports")),
        lambda engine: setattr(engine.retriever, "similarity_top_k", 1),
        lambda engine: engine.update_prompts(
            {"response_synthesizer:text_qa_template": PromptTemplate("{context_str} {query_str} Briefly.")}
        ),
        lambda engine: setattr(engine._response_synthesizer._llm, "temperature", 0.9),
    ],
    ids=["filters", "top_k", "prompt", "model"],
)
def test_an_engine_that_is_changed_finds_no_earlier_answer(world, change):
    inner = vector_engine(world.like(temperature=0.1), Letters())
    engine = CachingQueryEngine(inner, near(), name="handbook")
    for _ in range(2):
        world.says(ANSWER, **USED)
    engine.query(QUESTION)
    engine.query(QUESTION)
    assert n_calls(world) == 1
    change(inner)
    engine.query(QUESTION)
    assert n_calls(world) == 2


def test_names_versions_and_tenants_keep_answers_apart_and_engines_built_alike_share_them(world):
    cache = near()
    embedding = Letters()

    def engine(**settings):
        told = {"name": "handbook", "tenant": "a", **settings}
        return CachingQueryEngine(vector_engine(world.like(), embedding), cache, **told)

    for settings in ({}, {"name": "other"}, {"version": "2"}, {"tenant": "b"}):
        world.says(ANSWER, **USED)
        engine(**settings).query(QUESTION)
    assert n_calls(world) == 4
    n_queries = embedding.n_queries
    engine().query(QUESTION)
    assert n_calls(world) == 4
    assert embedding.n_queries == n_queries


def test_a_query_bundle_may_be_asked_again(world):
    embedding = Letters()
    engine = CachingQueryEngine(vector_engine(world.like(), embedding))
    world.says(ANSWER, **USED)
    bundle = QueryBundle(QUESTION)
    assert [str(engine.query(bundle)) for _ in range(2)] == [ANSWER] * 2
    assert bundle.embedding is None
    for _ in range(2):
        world.says("by vector", **USED)
        assert str(engine.query(QueryBundle(QUESTION, embedding=[1.0] * 26))) == "by vector"


@pytest.mark.parametrize("streaming", [False, True])
def test_an_answer_that_was_cut_short_is_not_kept(world, streaming):
    engine = CachingQueryEngine(engine_of(world.like(), streaming=streaming))
    for _ in range(2):
        world.says(ANSWER, finish_reason="length", **USED)
        str(engine.query(QUESTION))
    assert n_calls(world) == 2


def test_an_answer_to_nothing_retrieved_is_not_kept(world):
    engine = CachingQueryEngine(SummaryIndex([]).as_query_engine(llm=world.like()))
    for _ in range(2):
        assert str(engine.query(QUESTION)) == "Empty Response"
    assert engine.stats().entries == 0


class Broken(CustomQueryEngine):
    """Fails where another engine asks it."""

    def custom_query(self, query_str):
        raise RuntimeError("its index is gone")


class TwoParts(BaseQuestionGenerator):
    """Asks the handbook and the archive without a model."""

    def generate(self, tools, query):
        return [SubQuestion(sub_question=QUESTION, tool_name=tool.name) for tool in tools]

    async def agenerate(self, tools, query):
        return self.generate(tools, query)

    def _get_prompts(self):
        return {}

    def _update_prompts(self, prompts):
        pass


def test_an_answer_of_which_a_part_failed_is_not_kept(world):
    def engine(archive):
        parts = [
            QueryEngineTool.from_defaults(part, name=name, description=name)
            for name, part in (("handbook", engine_of(world.like())), ("archive", archive))
        ]
        inner = SubQuestionQueryEngine.from_defaults(
            parts, llm=world.like(), question_gen=TwoParts(), use_async=False, verbose=False
        )
        return CachingQueryEngine(inner)

    broken, whole = engine(Broken()), engine(engine_of(world.like()))
    for asked, n_fresh in ((broken, 2), (broken, 2), (whole, 3), (whole, 0)):
        before = n_calls(world)
        for _ in range(n_fresh):
            world.says(ANSWER, **USED)
        assert str(asked.query(QUESTION)) == ANSWER
        assert n_calls(world) - before == n_fresh
    assert (broken.stats().entries, whole.stats().entries) == (0, 1)


def test_a_refused_query_is_not_kept_and_a_hit_needs_no_budget(world):
    engine = CachingQueryEngine(engine_of(world.like(max_tokens=20)))
    budgets = Budgets(limits=[Limit("user", calls=1)])
    world.says(ANSWER, **USED)
    with BudgetGuard(budgets) as guard, attribution(user="ada"):
        for _ in range(3):
            assert str(engine.query(QUESTION)) == ANSWER
        with pytest.raises(BudgetExceededError):
            engine.query("How long are exports kept?")
        assert guard.unguarded_calls == 0
        assert budgets.status("user", "ada").spent_usd == COST
    assert engine.stats().entries == 1


def test_an_engine_without_a_name_is_refused_where_answers_outlive_it(world, tmp_path):
    with ResponseCache(SQLiteCacheStore(tmp_path / "cache.db")) as cache:
        with pytest.raises(
            ConfigurationError, match="name must say whose answers these are in SQLiteCacheStore"
        ):
            CachingQueryEngine(engine_of(world.like()), cache)
        CachingQueryEngine(engine_of(world.like()), cache, name="handbook")
    with pytest.raises(ConfigurationError, match="not ''"):
        CachingQueryEngine(engine_of(world.like()), name="")
    with pytest.raises(ConfigurationError, match="engine must be a LlamaIndex query engine, not str"):
        CachingQueryEngine("engine")


def test_answers_in_a_file_are_found_by_the_next_process(world, tmp_path):
    for _ in range(2):
        world.says(ANSWER, **USED)
        engine = CachingQueryEngine(
            vector_engine(world.like(), Letters()), name="handbook", path=tmp_path / "cache.db"
        )
        assert str(engine.query(QUESTION)) == ANSWER
        engine.cache.close()
    assert n_calls(world) == 1


def test_prompts_nodes_and_synthesis_are_the_engines_own(world):
    inner = engine_of(world.like())
    engine = CachingQueryEngine(inner)
    assert engine.get_prompts().keys() == inner.get_prompts().keys()
    prompt = PromptTemplate("{context_str} {query_str}")
    engine.update_prompts({"response_synthesizer:text_qa_template": prompt})
    assert inner.get_prompts()["response_synthesizer:text_qa_template"].template == prompt.template
    found = engine.retrieve(QueryBundle(QUESTION))
    assert [each.node.node_id for each in found] == ["node-refunds", "node-exports"]
    world.says(ANSWER, **USED)
    assert str(engine.synthesize(QueryBundle(QUESTION), [NodeWithScore(node=nodes()[0])])) == ANSWER


# -- embeddings


async def test_any_llama_index_embedding_says_how_near_questions_are(world):
    model = Letters(model_name="letters")
    embedder = as_embedder(model)
    assert (embedder.identity, embedder.dimension) == ("llama_index:Letters:letters", 26)
    assert embedder.dimension == 26
    assert model.n_queries == 1
    vectors = embedder.embed([QUESTION, IN_OTHER_WORDS])
    assert vectors.shape == (2, 26)
    assert abs((vectors**2).sum(axis=1) - 1).max() < 1e-5
    assert ((await embedder.aembed([QUESTION]))[0] == vectors[0]).all()
    assert embedder.embed([]).shape == (0, 26)
    world.says(ANSWER, **USED)
    llm = CachingLLM(world.like(), embedding=model, policy=FixedThreshold(0.9))
    for question in (QUESTION, IN_OTHER_WORDS):
        assert llm.complete(question).text == ANSWER


def test_the_cores_embedders_stay_as_they_are_and_others_are_refused():
    own = StaticEmbedder()
    assert as_embedder(own) is own
    with pytest.raises(ConfigurationError, match="an embedding has get_query_embedding or embed, str has"):
        as_embedder("text-embedding-3-small")
