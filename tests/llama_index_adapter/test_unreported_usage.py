"""Where a provider reports nothing the call is counted, marked as an estimate and never billed as zero."""

import asyncio
import gc
from importlib.util import find_spec
from pathlib import Path

import httpx
import openai
import pytest
import tiktoken
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.base.llms.types import CacheControl, CachePoint, ChatMessage, TextBlock
from llama_index.core.tools import FunctionTool
from workflows.errors import WorkflowCancelledByUser

from examples.provider import Cut, Fail, ProviderAnswer, ProviderUsage, Stall, ToolCall
from llama_index_tokenomics import install_cost_tracking, track_cost
from tests.prices_by_hand import usd
from tokenomics_core.ledger import MemoryLedger

QUESTION = "How many roads must a man walk down before you call him a man?"
WORDS = "The answer, my friend, is blowing in the wind."
ASK = [ChatMessage(role="user", content=QUESTION)]


def bill_of(record):
    return usd(record.model, input=record.usage.input_tokens, output=record.usage.output_tokens)


def counted(text):
    return len(tiktoken.get_encoding("o200k_base").encode(text))


@pytest.fixture(autouse=True)
def vocabulary(monkeypatch):
    """Let tiktoken read the copy of its vocabulary that llama-index-core carries."""
    folder = Path(find_spec("llama_index.core").origin).parent / "_static" / "tiktoken_cache"
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(folder))


@pytest.fixture(autouse=True)
def no_stream_left(world):
    """Collect streams that were left, before their client is closed: OpenAI's are cycles that close late."""
    yield
    gc.collect()


def long_answer(world, **how):
    world.says(WORDS * 50, input_tokens=50, output_tokens=500, **how)


async def test_a_stream_without_usage_is_counted_as_the_provider_would(world):
    world.engine.always(ProviderAnswer(text=WORDS, usage=ProviderUsage(input_tokens=9, output_tokens=9)))
    llm = world.like()
    with track_cost(stream_usage=False) as report:
        list(llm.stream_chat(ASK))
        [piece async for piece in await llm.astream_chat(ASK)]
    for record in report.calls:
        assert (record.estimated, record.outcome) == (True, "ok")
        assert record.usage.output_tokens == counted(WORDS)
        # OpenAI's cookbook: 3 tokens a message, 1 for the role, 3 to prime the answer
        assert record.usage.input_tokens == counted(QUESTION) + 7
        assert record.cost_usd == bill_of(record)
    assert report.estimated_calls == len(report.calls) == 2


async def test_a_call_whose_answer_names_no_usage_is_counted_too(world):
    world.engine.always(ProviderAnswer(text=WORDS, usage=None))
    with track_cost() as report:
        await world.like().achat(ASK)
        world.like().complete(QUESTION)
        list(world.like().stream_complete(QUESTION))
    for record in report.calls:
        assert record.estimated
        assert record.usage.output_tokens == counted(WORDS)
        assert record.cost_usd == bill_of(record)
    assert len(report.calls) == 3


def test_a_stream_that_is_left_early_is_billed_for_what_arrived(world):
    long_answer(world)
    with track_cost() as report:
        stream = world.like().stream_chat(ASK)
        heard = [next(stream) for _ in range(6)][-1].message.content
        stream.close()
    (record,) = report.calls
    assert (record.outcome, record.estimated) == ("aborted", True)
    assert record.usage.output_tokens == counted(heard)
    assert record.cost_usd == bill_of(record)


def test_a_stream_of_anthropic_that_is_left_early_is_billed_for_what_arrived(world):
    long_answer(world)
    with track_cost() as report:
        stream = world.anthropic().stream_chat(ASK)
        heard = "".join(next(stream).delta for _ in range(6))
        stream.close()
    (record,) = report.calls
    assert (record.outcome, record.estimated) == ("aborted", True)
    assert record.usage.input_tokens == 50
    assert record.usage.output_tokens >= counted(heard)
    assert record.cost_usd == bill_of(record)


def test_a_stream_that_is_dropped_is_billed_when_it_is_collected(world):
    long_answer(world)
    with track_cost() as report:
        stream = world.like().stream_chat(ASK)
        next(stream), next(stream)
        del stream
        gc.collect()
    assert [record.outcome for record in report.calls] == ["aborted"]


def test_a_stream_that_nobody_reads_is_not_sent_and_not_billed(world):
    with track_cost() as report:
        stream = world.like().stream_chat(ASK)
        del stream
        gc.collect()
    assert report.calls == []
    assert world.provider.requests == []


def test_a_stream_that_was_sent_at_once_is_billed_for_its_input_though_nobody_reads_it(world):
    long_answer(world)
    with track_cost() as report:
        stream = world.anthropic().stream_chat(ASK)
        del stream
        gc.collect()
    (record,) = report.calls
    assert (record.outcome, record.estimated, record.usage.output_tokens) == ("aborted", True, 0)
    assert record.cost_usd > 0


def test_a_stream_that_is_read_on_after_the_block_is_still_counted_exactly(world):
    world.says(WORDS, input_tokens=50, output_tokens=10)
    with track_cost() as report:
        stream = world.like().stream_chat(ASK)
        next(stream)
    assert report.calls == []
    list(stream)
    assert [record.cost_usd for record in report.calls] == [usd("gpt-4o", input=50, output=10)]


async def test_an_async_stream_that_is_left_is_billed_for_what_arrived(world):
    long_answer(world)
    async with track_cost() as report:
        stream = await world.like().astream_chat(ASK)
        async for _ in stream:
            break
        await stream.aclose()
    assert [record.outcome for record in report.calls] == ["aborted"]


async def test_an_async_stream_that_is_dropped_is_billed_when_it_is_collected(world):
    long_answer(world)
    async with track_cost() as report:
        stream = await world.like().astream_chat(ASK)
        await anext(stream)
        del stream
        gc.collect()
        await asyncio.sleep(0)
    assert [record.outcome for record in report.calls] == ["aborted"]


async def test_an_async_stream_that_is_cancelled_is_billed_for_what_arrived(world):
    long_answer(world)
    stall = Stall(after_chunks=5)
    world.provider.inject(stall)
    llm = world.like()

    async def read():
        return [piece async for piece in await llm.astream_chat(ASK)]

    async with track_cost() as report:
        task = asyncio.create_task(read())
        await asyncio.to_thread(stall.reached.wait)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    (record,) = report.calls
    assert (record.outcome, record.estimated) == ("cancelled", True)
    assert record.cost_usd == bill_of(record) > 0


async def test_a_cancelled_call_is_billed_for_its_input(world):
    stall = Stall()
    world.provider.inject(stall)
    world.says(WORDS, input_tokens=50, output_tokens=10)
    llm = world.like()
    async with track_cost() as report:
        task = asyncio.create_task(llm.achat(ASK))
        await asyncio.to_thread(stall.reached.wait)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    (record,) = report.calls
    assert (record.outcome, record.estimated) == ("cancelled", True)
    assert record.usage.input_tokens == counted(QUESTION) + 7
    assert record.cost_usd == bill_of(record)


async def test_a_cancelled_agent_is_billed_for_the_call_under_way(world):
    stall = Stall()
    world.provider.inject(stall)
    world.says(WORDS, input_tokens=50, output_tokens=10)
    agent = FunctionAgent(tools=[], llm=world.like(), streaming=False)
    async with track_cost() as report:
        handler = agent.run("what?")
        await asyncio.to_thread(stall.reached.wait)
        await handler.cancel_run()
        with pytest.raises(WorkflowCancelledByUser):
            await handler
    assert [(record.outcome, record.estimated) for record in report.calls] == [("cancelled", True)]


@pytest.mark.parametrize("status", [400, 401, 429, 500])
async def test_a_refused_call_costs_nothing(world, status):
    world.provider.inject(Fail(status=status), times=None)
    llm = world.like()
    with track_cost() as report:
        with pytest.raises(openai.APIStatusError):
            llm.chat(ASK)
        with pytest.raises(openai.APIStatusError):
            await llm.achat(ASK)
        with pytest.raises(openai.APIStatusError):
            list(llm.stream_chat(ASK))
        with pytest.raises(openai.APIStatusError):
            [piece async for piece in await llm.astream_chat(ASK)]
    assert report.calls == []


def test_a_server_that_was_never_reached_costs_nothing(world):
    llm = world.like(api_base="http://127.0.0.1:9/v1")
    with track_cost() as report, pytest.raises(openai.APIConnectionError):
        llm.chat(ASK)
    assert report.calls == []


def test_a_stream_that_breaks_is_billed_for_what_arrived(world):
    long_answer(world)
    world.provider.inject(Cut(after_chunks=6))
    with track_cost() as report, pytest.raises((openai.APIError, httpx.HTTPError)):
        list(world.like().stream_chat(ASK))
    (record,) = report.calls
    assert (record.outcome, record.estimated) == ("error", True)
    assert record.usage.output_tokens > 0


def test_a_stream_of_anthropic_that_hides_its_cache_is_marked_as_an_estimate(world):
    world.says(WORDS, input_tokens=5000, cache_read_tokens=4000, output_tokens=20, final_usage="output_only")
    marked = CachePoint(cache_control=CacheControl(type="ephemeral"))
    message = ChatMessage(role="user", blocks=[TextBlock(text=QUESTION), marked])
    with track_cost() as report:
        list(world.anthropic().stream_chat([message]))
    (record,) = report.calls
    assert record.estimated
    assert record.usage.output_tokens == 20


def test_writes_of_both_lifetimes_in_one_stream_are_marked_as_an_estimate(world):
    world.says(
        WORDS, input_tokens=7000, cache_write_5m_tokens=2000, cache_write_1h_tokens=4000, output_tokens=50
    )
    blocks = [
        block
        for ttl in ("1h", "5m")
        for block in (
            TextBlock(text=ttl),
            CachePoint(cache_control=CacheControl(type="ephemeral", ttl=ttl)),
        )
    ]
    with track_cost() as report:
        list(world.anthropic().stream_chat([ChatMessage(role="user", blocks=blocks)]))
    (record,) = report.calls
    assert record.estimated
    assert record.usage.cache_write_tokens == 6000


def test_the_answer_of_a_tool_call_is_counted_too(world):
    def look_up(question: str) -> str:
        """Look it up."""
        return question

    world.says("", usage=None, tool_calls=(ToolCall(name="look_up", arguments={"question": QUESTION}),))
    with track_cost() as report:
        world.like().chat_with_tools([FunctionTool.from_defaults(look_up)], QUESTION)
    (record,) = report.calls
    assert record.estimated
    assert record.usage.output_tokens >= counted(QUESTION)
    assert record.usage.input_tokens > counted(QUESTION) + 20, "the tool's schema is part of the prompt"


def test_streams_are_not_forgotten_by_a_ledger_of_the_whole_process(world):
    long_answer(world)
    ledger = MemoryLedger()
    tracking = install_cost_tracking(ledger)
    stream = world.like().stream_chat(ASK)
    next(stream)
    tracking.uninstall()
    assert ledger.totals().calls == 0
    list(stream)
    assert ledger.total() == usd("gpt-4o", input=50, output=500)
