"""A call is attributed to whoever it is for, on every way LlamaIndex carries context."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest
from llama_index.core import VectorStoreIndex, get_response_synthesizer
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.embeddings import MockEmbedding
from llama_index.core.instrumentation.dispatcher import instrument_tags
from llama_index.core.schema import TextNode
from llama_index.core.tools import QueryEngineTool

from examples.provider import ProviderAnswer, ProviderUsage, ToolCall
from llama_index_tokenomics import attribution, in_context, install_cost_tracking, track_cost
from tests.prices_by_hand import usd
from tokenomics_core.ledger import MemoryLedger

HI = [ChatMessage(role="user", content="hi")]
ONE_CALL = usd("gpt-4o", input=100, output=20)


@pytest.fixture
def llm(world):
    world.engine.always(ProviderAnswer(text="x", usage=ProviderUsage(input_tokens=100, output_tokens=20)))
    return world.like()


def engine(llm, mode="compact", **how):
    nodes = [TextNode(text="a"), TextNode(text="b")]
    index = VectorStoreIndex(nodes, embed_model=MockEmbedding(embed_dim=4))
    synthesizer = get_response_synthesizer(llm, response_mode=mode, **how)
    return index.as_query_engine(llm=llm, response_synthesizer=synthesizer)


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def test_a_block_of_attribution_reaches_every_call_inside(llm):
    with track_cost() as report, attribution(user="ada", project="wiki", user_tier="power"):
        with attribution(feature="search"):
            llm.chat(HI)
        engine(llm).query("q")
    assert report.by("user") == {"ada": 2 * ONE_CALL}
    assert report.by("feature") == {"search": ONE_CALL, "": ONE_CALL}
    assert report.by("user_tier") == {"power": 2 * ONE_CALL}


def test_tags_of_llama_index_are_closer_to_the_call_and_win(llm):
    tags = {"user_id": "bob", "feature": "chat", "session_id": 7, "user_tier": "basic", "anything": "else"}
    with track_cost() as report, attribution(user="ada", project="wiki"), instrument_tags(tags):
        llm.chat(HI)
    who = report.calls[0].attribution
    assert (who.user, who.feature, who.project, who.conversation) == ("bob", "chat", "wiki", "7")
    assert who.tags == {"user_tier": "basic"}


def test_calls_of_one_query_share_its_run_and_other_queries_have_their_own(llm):
    with track_cost() as report:
        engine(llm, "refine").query("a")
        engine(llm, "refine").query("b")
        with attribution(run="mine"):
            engine(llm, "refine").query("c")
        llm.chat(HI)
    runs = [record.attribution.run for record in report.calls]
    assert runs[0] == runs[1] != runs[2] == runs[3]
    assert runs[0].startswith("RetrieverQueryEngine.query-")
    assert runs[4:] == ["mine", "mine", None]


async def test_calls_of_one_agent_run_share_its_id_and_no_prompt_is_kept(world):
    usage = ProviderUsage(input_tokens=100, output_tokens=20)
    asks = ProviderAnswer(tool_calls=(ToolCall(name="add", arguments={"a": 2, "b": 3}),), usage=usage)
    world.engine.queue(asks, ProviderAnswer(text="5", usage=usage), ProviderAnswer(text="5", usage=usage))
    agent = FunctionAgent(tools=[add], llm=world.like())
    with track_cost() as report, attribution(user="ada"):
        handler = agent.run("a secret question")
        await handler
        await agent.run("another")
    runs = [record.attribution.run for record in report.calls]
    assert runs[0] == runs[1] == handler.run_id != runs[2]
    assert report.by("user") == {"ada": 3 * ONE_CALL}
    assert "secret" not in repr(report.calls)


async def test_what_an_agent_asks_of_a_query_engine_belongs_to_the_agents_run(world):
    usage = ProviderUsage(input_tokens=100, output_tokens=20)
    look_up = ProviderAnswer(tool_calls=(ToolCall(name="facts", arguments={"input": "q"}),), usage=usage)
    world.engine.queue(look_up, *[ProviderAnswer(text="5", usage=usage)] * 3)
    llm = world.like()
    tool = QueryEngineTool.from_defaults(engine(llm, "refine"), name="facts", description="facts")
    with track_cost() as report:
        await FunctionAgent(tools=[tool], llm=llm).run("x")
    assert len(report.calls) == 4
    assert len(report.by("run")) == 1


async def test_concurrent_tasks_keep_their_users_apart(llm):
    async def ask(number):
        with attribution(user=f"user-{number % 5}"):
            if number % 2:
                await llm.achat(HI)
            else:
                [piece async for piece in await llm.astream_chat(HI)]

    async with track_cost() as report:
        await asyncio.gather(*(ask(number) for number in range(25)))
    assert report.by("user") == {f"user-{number}": 5 * ONE_CALL for number in range(5)}


def test_a_stream_belongs_to_whoever_asked_for_it_wherever_it_is_read(llm):
    with track_cost() as report, attribution(user="ada"), instrument_tags({"feature": "chat"}):
        stream = llm.stream_chat(HI)
    with attribution(user="bob"), ThreadPoolExecutor(1) as pool:
        pool.submit(list, stream).result()
    (record,) = report.calls
    assert (record.attribution.user, record.attribution.feature) == ("ada", "chat")
    assert record.cost_usd == ONE_CALL


def test_engines_that_use_threads_or_tasks_of_their_own_carry_it(llm):
    with track_cost() as report, attribution(user="ada"):
        engine(llm, "accumulate", use_async=True).query("q")
        list(engine(llm, streaming=True).query("q").response_gen)
    assert report.by("user") == {"ada": 3 * ONE_CALL}


def test_threads_of_ones_own_carry_it_through_in_context(llm):
    with track_cost() as report, attribution(user="ada"), ThreadPoolExecutor(8) as pool:
        list(pool.map(in_context(llm.chat), [HI] * 50))
        list(pool.map(llm.chat, [HI]))
    assert report.by("user") == {"ada": 50 * ONE_CALL}
    assert len({record.id for record in report.calls}) == 50


def test_a_ledger_of_the_whole_process_sees_bare_threads_too(llm):
    ledger = MemoryLedger()

    def ask(number):
        with attribution(user=f"user-{number % 5}"):
            llm.chat(HI)

    with install_cost_tracking(ledger), ThreadPoolExecutor(50) as pool:
        list(pool.map(ask, range(200)))
    assert ledger.by("user") == {f"user-{number}": 40 * ONE_CALL for number in range(5)}


def test_prompts_are_kept_only_on_request(llm):
    with track_cost() as report:
        llm.complete("a secret")
    assert report.calls[0].content is None
    with track_cost(keep_content=True) as report:
        llm.complete("a secret")
        llm.chat([ChatMessage(role="system", content="be brief"), *HI])
        list(llm.stream_chat(HI))
    assert [record.content for record in report.calls] == [
        "a secret\nassistant: x",
        "system: be brief\nuser: hi\nassistant: x",
        "user: hi\nassistant: x",
    ]
