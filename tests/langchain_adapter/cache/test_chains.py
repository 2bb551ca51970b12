"""A chain that is served from the cache as a whole."""

from __future__ import annotations

import asyncio
import threading
from decimal import Decimal

import pytest
from langchain_core.callbacks import UsageMetadataCallbackHandler
from langchain_core.documents import Document
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate, MessagesPlaceholder
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import RunnableLambda, RunnablePassthrough

from langchain_tokenomics import (
    BudgetCallbackHandler,
    CachedChain,
    CostCallbackHandler,
    attribution,
    track_cost,
)
from tokenomics_core import ConfigurationError
from tokenomics_core.budgets import Budgets, Limit, MemoryBudgetStore
from tokenomics_core.cache import ResponseCache, SQLiteCacheStore

QUESTION = "How do I reset my password?"
PARAPHRASE = "how can I reset the password?"
NEAR_MISS = "How do I reset my router?"


class Shelf(BaseRetriever):
    """Finds the same document for every question."""

    def _get_relevant_documents(self, query, *, run_manager):
        return [Document(id="doc-7", page_content="Press the button.", metadata={"source": "handbook.md"})]


def rag(world, **settings):
    prompt = ChatPromptTemplate.from_messages(
        [
            ("system", "Context: {context}"),
            MessagesPlaceholder("history", optional=True),
            ("human", "{question}"),
        ]
    )
    context = (
        RunnableLambda(lambda given: given["question"]) | Shelf() | (lambda found: found[0].page_content)
    )
    chain = RunnablePassthrough.assign(context=context) | prompt | world.openai() | StrOutputParser()
    return CachedChain(chain, settings.pop("cache", None), name="handbook", **settings)


def test_a_question_in_other_words_is_answered_without_a_call_and_counted_as_avoided(world):
    world.says("Press it.", input_tokens=100, output_tokens=10)
    chain = rag(world)
    with track_cost() as cost:
        first = chain.invoke({"question": QUESTION})
        again = chain.invoke({"question": QUESTION})
        other = chain.invoke({"question": PARAPHRASE})
    assert first == again == other == "Press it."
    assert [record.source for record in cost.calls] == ["model", "cache", "cache"]
    assert cost.calls[1].cost_usd == 0
    assert cost.avoided_usd == 2 * cost.total_usd > 0
    assert cost.total_usd == Decimal("0.00035")  # 100 x 2.50 + 10 x 10 USD per million
    assert cost.calls[1].model == cost.calls[0].model


def test_a_question_that_only_looks_alike_runs_the_chain(world):
    world.says("Press it.", input_tokens=100, output_tokens=10)
    world.says("Pull the plug.", input_tokens=100, output_tokens=10)
    chain = rag(world)
    assert chain.invoke({"question": QUESTION}) != chain.invoke({"question": NEAR_MISS})


def test_async_streams_and_batches_are_served_alike(world):
    world.says("Press it.", input_tokens=100, output_tokens=10)
    chain = rag(world)
    given = {"question": QUESTION}

    async def ask():
        pieces = [piece async for piece in chain.astream(given)]
        return [await chain.ainvoke(given), "".join(pieces), *await chain.abatch([given, given])]

    found = [
        "".join(chain.stream(given)),
        *asyncio.run(ask()),
        *chain.batch([given]),
        "".join(chain.stream(given)),
    ]
    assert found == ["Press it."] * len(found)


def test_equal_questions_at_the_same_time_run_the_chain_once():
    ran, gate = [], threading.Event()

    def answer(given):
        ran.append(given)
        gate.wait(10)
        return "one answer"

    chain = CachedChain(RunnableLambda(answer), name="x", question=None)
    found = []
    threads = [threading.Thread(target=lambda: found.append(chain.invoke(QUESTION))) for _ in range(20)]
    for thread in threads:
        thread.start()
    gate.set()
    for thread in threads:
        thread.join()
    assert found == ["one answer"] * 20
    assert len(ran) == 1


def test_a_stream_that_is_not_read_to_its_end_is_not_kept(world):
    world.says("Press it now.", input_tokens=100, output_tokens=10)
    world.says("Press it then.", input_tokens=100, output_tokens=10)
    chain = rag(world)
    stream = chain.stream({"question": QUESTION})
    next(stream)
    stream.close()
    assert chain.invoke({"question": QUESTION}) == "Press it then."


def test_a_changed_document_drops_its_answers(world):
    world.says("Press it.", input_tokens=100, output_tokens=10)
    world.says("Turn it.", input_tokens=100, output_tokens=10)
    world.says("Push it.", input_tokens=100, output_tokens=10)
    cache = ResponseCache()
    chain = rag(world, cache=cache)
    chain.invoke({"question": QUESTION})
    assert cache.invalidate(source="doc-7") == 1
    assert chain.invoke({"question": QUESTION}) == "Turn it."
    assert cache.invalidate(source="handbook.md") == 1
    assert chain.invoke({"question": QUESTION}) == "Push it."


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ({"history": [HumanMessage("about cars")]}, {"history": [HumanMessage("about phones")]}),
        (
            {"history": [HumanMessage("hi"), AIMessage("a")]},
            {"history": [HumanMessage("hi"), AIMessage("b")]},
        ),
        ({"language": "de"}, {"language": "fr"}),
        ({}, {"language": "fr"}),
    ],
)
def test_what_stands_beside_the_question_must_be_equal(one, two):
    chain = CachedChain(RunnableLambda(lambda given: str(len(ran.append(given) or ran))), name="x")
    ran: list[object] = []
    assert chain.invoke({"question": QUESTION, **one}) == "1"
    assert chain.invoke({"question": QUESTION, **two}) == "2"
    assert chain.invoke({"question": QUESTION, **one}) == "1"


def test_ids_and_usage_of_earlier_messages_do_not_matter():
    ran: list[object] = []
    chain = CachedChain(RunnableLambda(lambda given: str(len(ran.append(given) or ran))), name="x")
    usage = {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}
    chain.invoke({"question": QUESTION, "history": [AIMessage("a", id="1", usage_metadata=usage)]})
    assert chain.invoke({"question": QUESTION, "history": [AIMessage("a", id="2")]}) == "1"


def test_tenants_and_names_never_share():
    cache, ran = ResponseCache(), []
    runnable = RunnableLambda(lambda given: str(len(ran.append(given) or ran)))
    found = [
        CachedChain(runnable, cache, name=name, tenant=tenant, question=None).invoke(QUESTION)
        for name, tenant in [("a", "x"), ("a", "y"), ("b", "x"), ("a", "x")]
    ]
    assert found == ["1", "2", "3", "1"]
    by_context = CachedChain(runnable, cache, name="a", question=None)
    with attribution(tags={"tenant": "x"}):
        assert by_context.invoke(QUESTION) == "1"
    assert by_context.invoke(QUESTION) == "4"


def test_data_and_documents_come_back_as_they_were(tmp_path):
    output = {
        "answer": "yes",
        "score": 0.5,
        "found": [Document("text", id="d", metadata={"page": 3})],
        "n": None,
    }
    with ResponseCache(SQLiteCacheStore(tmp_path / "cache.db")) as cache:
        CachedChain(RunnableLambda(lambda _: output), cache, name="x", question=None).invoke(QUESTION)
    with ResponseCache(SQLiteCacheStore(tmp_path / "cache.db")) as cache:
        chain = CachedChain(RunnableLambda(lambda _: "not asked"), cache, name="x", question=None)
        assert chain.invoke(QUESTION) == output


def test_an_answer_that_cannot_be_written_down_reaches_its_caller_and_is_not_kept():
    ran: list[object] = []
    chain = CachedChain(RunnableLambda(lambda given: ran.append(given) or object()), name="x", question=None)
    chain.invoke(QUESTION)
    chain.invoke(QUESTION)
    assert len(ran) == 2


def test_an_input_that_cannot_be_read_is_answered_and_not_cached():
    ran: list[object] = []
    chain = CachedChain(RunnableLambda(lambda given: str(len(ran.append(given) or ran))), name="x")
    given = {"question": QUESTION, "client": object()}
    assert [chain.invoke(given), chain.invoke(given)] == ["1", "2"]
    assert "".join(chain.stream(given)) == "3"
    assert chain.invoke({"question": " "}) == "4"


def test_a_cut_off_answer_is_not_kept(world):
    world.says("Press", input_tokens=100, output_tokens=10, finish_reason="length")
    world.says("Press it.", input_tokens=100, output_tokens=10)
    chain = rag(world)
    assert chain.invoke({"question": QUESTION}) == "Press"
    assert chain.invoke({"question": QUESTION}) == "Press it."


def test_an_answer_that_a_filter_stopped_is_not_kept(world):
    world.says("Press", input_tokens=100, output_tokens=10, finish_reason="content_filter")
    world.says("Press it.", input_tokens=100, output_tokens=10)
    chain = rag(world)
    assert [chain.invoke({"question": QUESTION}) for _ in range(2)] == ["Press", "Press it."]


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize("is_streamed", [False, True])
async def test_what_is_past_its_time_is_fetched_anew_by_one_and_taken_by_the_others(is_async, is_streamed):
    now = [1_000.0]
    cache = ResponseCache(ttl_s=10, stale_s=100, clock=lambda: now[0])
    ran = []
    chain = CachedChain(
        RunnableLambda(lambda _: ran.append(1) or f"answer {len(ran)}"), cache, name="x", question=None
    )

    async def ask():
        if is_streamed:
            pieces = [each async for each in chain.astream(QUESTION)] if is_async else chain.stream(QUESTION)
            return "".join(pieces)
        return await chain.ainvoke(QUESTION) if is_async else chain.invoke(QUESTION)

    assert [await ask(), await ask()] == ["answer 1", "answer 1"]
    now[0] += 20
    assert [await ask(), await ask()] == ["answer 2", "answer 2"]
    assert cache.stats().hits_stale == 1


def test_other_inputs_that_are_like_the_question_count_too():
    ran = []
    chain = CachedChain(
        RunnableLambda(lambda given: ran.append(given) or sorted(given)),
        name="x",
        question=lambda given: given["q"],
    )
    assert chain.invoke({"q": QUESTION, "title": QUESTION}) == ["q", "title"]
    assert chain.invoke({"q": QUESTION, "footer": QUESTION}) == ["footer", "q"]
    assert len(ran) == 2


def test_a_failing_chain_tells_its_caller_and_the_next_one_runs_it():
    outcomes = [ValueError("down"), "up"]

    def answer(_):
        outcome = outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    chain = CachedChain(RunnableLambda(answer), name="x", question=None)
    with pytest.raises(ValueError, match="down"):
        chain.invoke(QUESTION)
    assert chain.invoke(QUESTION) == "up"


def test_a_hit_costs_no_budget_and_adds_no_tokens_anywhere(world):
    world.says("Press it.", input_tokens=100, output_tokens=10)
    budgets = Budgets([Limit("user", calls=1)], MemoryBudgetStore())
    tokens, handler = UsageMetadataCallbackHandler(), CostCallbackHandler()
    config = {"callbacks": [BudgetCallbackHandler(budgets), tokens, handler], "metadata": {"user_id": "ada"}}
    chain = rag(world)
    chain.invoke({"question": QUESTION}, config)
    for _ in range(3):
        assert chain.invoke({"question": QUESTION}, config) == "Press it."
    assert budgets.status("user", "ada").spent_calls == 1
    assert sum(usage["input_tokens"] for usage in tokens.usage_metadata.values()) == 100
    assert [record.source for record in handler.report.calls] == ["model", "cache", "cache", "cache"]
    assert {record.attribution.user for record in handler.report.calls} == {"ada"}


def test_a_chain_without_a_name_is_refused():
    with pytest.raises(ConfigurationError, match="name must say whose answers these are, not ''"):
        CachedChain(RunnableLambda(str), name="")
