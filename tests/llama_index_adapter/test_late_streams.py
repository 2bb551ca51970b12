"""A stream belongs to the query that returned it, wherever and whenever it is read."""

import asyncio
import gc
from concurrent.futures import ThreadPoolExecutor
from contextvars import Context

import pytest
from llama_index.core.base.response.schema import StreamingResponse
from llama_index.core.chat_engine import ContextChatEngine
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.response_synthesizers import ResponseMode
from llama_index.core.retrievers import BaseRetriever
from llama_index.core.schema import NodeWithScore, TextNode

from examples.provider import ProviderAnswer, ProviderUsage
from llama_index_tokenomics import BudgetGuard, attribution, track_cost
from llama_index_tokenomics._budget_gate import GATE
from tests.prices_by_hand import usd
from tokenomics_core.budgets import Budgets, Limit
from tokenomics_core.errors import BudgetExceededError

COST = usd("gpt-4o", input=100, output=20)
CALLS = {"compact": 1, "refine": 2, "tree_summarize": 1, "simple_summarize": 1, "generation": 1}


class TwoDocuments(BaseRetriever):
    def _retrieve(self, query_bundle):
        return [NodeWithScore(node=TextNode(text=text), score=1.0) for text in ("one fact", "a second")]


@pytest.fixture
def llm(world):
    used = ProviderUsage(input_tokens=100, output_tokens=20)
    world.engine.always(
        ProviderAnswer(text="five working days", pieces=("five ", "working days"), usage=used)
    )
    return world.like(max_tokens=50)


def engine(llm, mode="compact"):
    return RetrieverQueryEngine.from_args(
        TwoDocuments(), llm=llm, response_mode=ResponseMode(mode), streaming=True
    )


async def ask(asked, is_async):
    return await asked.aquery("How long?") if is_async else asked.query("How long?")


async def read(response):
    stream = response.response_gen
    pieces = list(stream) if isinstance(response, StreamingResponse) else [piece async for piece in stream]
    return "".join(pieces)


def nothing_is_left_on(llm):
    return llm.rate_limiter is None and GATE.open_entries == 0 and not llm.callback_manager.handlers


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize(("mode", "calls"), CALLS.items(), ids=CALLS)
async def test_what_is_read_after_the_block_is_held_paid_and_reported_in_it(llm, mode, calls, is_async):
    budgets = Budgets([Limit("user", usd="1")])
    with BudgetGuard(budgets) as guard, track_cost() as cost, attribution(user="ada"):
        response = await ask(engine(llm, mode), is_async)
    with track_cost() as later, attribution(user="bob"):
        assert await read(response) == "five working days"
    assert budgets.status("user", "ada").spent_usd == cost.total_usd == calls * COST
    assert {record.attribution.user for record in cost.calls} == {"ada"}
    assert budgets.status("user", "bob").spent_usd == 0
    assert later.calls == []
    assert guard.unguarded_calls == 0
    assert nothing_is_left_on(llm)


async def test_a_stream_that_a_server_reads_after_the_request_counts_for_its_user(llm):
    budgets = Budgets([Limit("user", calls=1)])
    with BudgetGuard(budgets):
        with attribution(user="ada"):
            response = await engine(llm).aquery("How long?")
        await asyncio.create_task(read(response), context=Context())
    assert budgets.status("user", "ada").spent_calls == 1


def test_a_stream_may_be_read_in_a_bare_thread(llm):
    budgets = Budgets([Limit("user", calls=1)])
    with BudgetGuard(budgets), attribution(user="ada"):
        response = engine(llm).query("How long?")
        with ThreadPoolExecutor(1) as pool:
            pool.submit(str, response).result()
    assert budgets.status("user", "ada").spent_calls == 1


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
async def test_a_limit_refuses_what_is_read_too_late(world, llm, is_async):
    budgets = Budgets([Limit("user", calls=1)])
    with BudgetGuard(budgets) as guard, attribution(user="ada"):
        first, second = [await ask(engine(llm), is_async) for _ in range(2)]
    await read(first)
    with pytest.raises(BudgetExceededError):
        await read(second)
    assert world.provider.count() == guard.refused_calls == 1
    assert nothing_is_left_on(llm)


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
async def test_other_calls_are_free_while_a_stream_waits_to_be_read(world, llm, is_async):
    budgets = Budgets([Limit("all", calls=1)])
    with BudgetGuard(budgets):
        response = await ask(engine(llm), is_async)
    llm.complete("hi")
    await llm.acomplete("hi")
    assert budgets.status("all").spent_calls == 0
    await read(response)
    assert budgets.status("all").spent_calls == 1
    assert world.provider.count() == 3


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
async def test_a_stream_that_is_closed_early_pays_for_what_came_and_leaves_nothing_behind(llm, is_async):
    budgets = Budgets([Limit("all", calls=1), Limit("all", usd="1")])
    with BudgetGuard(budgets), track_cost() as cost:
        response = await ask(engine(llm), is_async)
    if is_async:
        await anext(response.response_gen)
        await response.response_gen.aclose()
        async with asyncio.timeout(5):
            while not cost.calls:  # LlamaIndex leaves the streams inside to the loop
                await asyncio.sleep(0)
    else:
        next(response.response_gen)
        response.response_gen.close()
    gc.collect()
    assert [record.estimated for record in cost.calls] == [True]
    assert budgets.status("all").spent_usd == cost.total_usd > 0
    assert nothing_is_left_on(llm)


def test_a_stream_that_nobody_reads_leaves_nothing_behind_once_it_is_gone(llm):
    budgets = Budgets([Limit("all", calls=1)])
    with BudgetGuard(budgets):
        response = engine(llm).query("How long?")
    del response
    gc.collect()
    llm.complete("hi")
    assert budgets.status("all").spent_calls == 0
    assert nothing_is_left_on(llm)


async def test_a_late_read_of_a_stopped_query_stays_stopped(llm):
    """The refine engine has asked once; its next call does not fit, nor does any other of that query."""
    budgets = Budgets([Limit("all", calls=1)])
    with BudgetGuard(budgets) as guard:
        response = engine(llm, "refine").query("How long?")
    with pytest.raises(BudgetExceededError):
        await read(response)
    assert [error.rule for error in guard.exceeded] == ["limit"]
    assert budgets.status("all").spent_calls == 1


def test_a_chat_engines_stream_counts_for_whoever_chatted(llm):
    memory = ChatMemoryBuffer(token_limit=1_000)
    chat = ContextChatEngine.from_defaults(retriever=TwoDocuments(), llm=llm, memory=memory)
    budgets = Budgets([Limit("user", calls=5)])
    with BudgetGuard(budgets) as guard:
        with attribution(user="ada"):
            response = chat.stream_chat("How long?")
        assert "".join(response.response_gen) == "five working days"
    assert budgets.status("user", "ada").spent_calls == 1
    assert guard.unguarded_calls == 0


def test_a_stream_that_is_unwatched_is_left_as_it_was(llm):
    stream = engine(llm).query("How long?").response_gen
    assert "_later" not in stream.gi_code.co_filename
    stream.close()
