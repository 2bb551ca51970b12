"""OpenAI-style streams report what they consumed, and the model that is asked stays as it was."""

import asyncio
import copy
from concurrent.futures import ThreadPoolExecutor

import pytest
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.callbacks import CallbackManager, TokenCountingHandler
from llama_index.llms.openai import OpenAI

from examples.provider import ProviderAnswer, ProviderUsage
from llama_index_tokenomics import in_context, install_cost_tracking, track_cost
from llama_index_tokenomics._models import kind_of
from llama_index_tokenomics._spans import Span
from llama_index_tokenomics._stream_usage import can_report_usage
from tests.prices_by_hand import usd
from tokenomics_core.ledger import MemoryLedger

HI = [ChatMessage(role="user", content="hi")]
COST = usd("gpt-4o", input=100, output=20)
ASKED = {"include_usage": True}


def options(world):
    return [request.body.get("stream_options") for request in world.provider.requests]


@pytest.fixture
def answers(world):
    world.engine.always(
        ProviderAnswer(text="a short answer", usage=ProviderUsage(input_tokens=100, output_tokens=20))
    )


async def test_streams_inside_a_block_are_asked_for_usage_and_others_are_not(world, answers):
    llm = world.like()
    list(llm.stream_chat(HI))
    with track_cost():
        list(llm.stream_chat(HI))
        list(llm.stream_complete("x"))
        [piece async for piece in await llm.astream_chat(HI)]
        [piece async for piece in await llm.astream_complete("x")]
        llm.chat(HI)
    list(llm.stream_chat(HI))
    assert options(world) == [None, ASKED, ASKED, ASKED, ASKED, None, None]


def test_the_text_that_arrives_is_the_same(world, answers):
    llm = world.like()
    plain = [piece.message.content for piece in llm.stream_chat(HI)]
    with track_cost():
        asked = [piece.message.content for piece in llm.stream_chat(HI)]
    assert list(dict.fromkeys(asked)) == list(dict.fromkeys(plain))
    assert asked[-1] == "a short answer"


def test_the_model_is_left_as_it_was(world, answers):
    llm = world.like(additional_kwargs={"top_p": 0.5})
    before = copy.deepcopy(llm.to_dict()), list(llm.callback_manager.handlers)
    manager, settings = llm.callback_manager, llm.additional_kwargs
    with track_cost():
        stream = llm.stream_chat(HI)
        next(stream)
        assert (llm.to_dict(), list(llm.callback_manager.handlers)) == before
        list(stream)
    assert (llm.to_dict(), list(llm.callback_manager.handlers)) == before
    assert llm.callback_manager is manager
    assert llm.additional_kwargs is settings


def test_what_the_user_set_is_respected(world, answers):
    chosen = {"include_usage": False}
    with track_cost():
        list(world.like(additional_kwargs={"stream_options": chosen}).stream_chat(HI))
        list(world.like().stream_chat(HI, stream_options=chosen))
    assert options(world) == [chosen, chosen]


def test_it_can_be_turned_off(world, answers):
    with track_cost(stream_usage=False):
        list(world.like().stream_chat(HI))
    with install_cost_tracking(MemoryLedger(), stream_usage=False):
        list(world.like().stream_chat(HI))
    with install_cost_tracking(MemoryLedger()):
        list(world.like().stream_chat(HI))
    assert options(world) == [None, None, ASKED]


def test_streams_of_one_model_in_many_threads_all_report(world, answers):
    llm = world.like()
    with track_cost() as report, ThreadPoolExecutor(8) as pool:
        read = in_context(lambda _: list(llm.stream_chat(HI)))
        list(pool.map(read, range(40)))
    assert options(world) == [ASKED] * 40
    assert [record.cost_usd for record in report.calls] == [COST] * 40
    assert llm.callback_manager.handlers == []


async def test_streams_of_one_model_in_many_tasks_all_report(world, answers):
    llm = world.like()

    async def read():
        return [piece async for piece in await llm.astream_chat(HI)]

    with track_cost() as report:
        await asyncio.gather(*(read() for _ in range(20)))
    assert [record.cost_usd for record in report.calls] == [COST] * 20
    assert not any(record.estimated for record in report.calls)
    assert llm.callback_manager.handlers == []


def test_other_callback_handlers_go_on_working(world, answers):
    counter = TokenCountingHandler(tokenizer=str.split)
    llm = world.like(callback_manager=CallbackManager([counter]))
    with track_cost() as report:
        list(llm.stream_chat(HI))
    assert (counter.prompt_llm_token_count, counter.completion_llm_token_count) == (100, 20)
    assert [record.cost_usd for record in report.calls] == [COST]
    assert llm.callback_manager.handlers == [counter]


def test_a_call_that_is_refused_on_the_way_leaves_nothing_behind(world, answers):
    class RefusalError(Exception):
        pass

    class Refusing(TokenCountingHandler):
        def on_event_start(self, *args, **kwargs):
            raise RefusalError

    llm = world.like(callback_manager=CallbackManager([Refusing(tokenizer=str.split)]))
    with track_cost() as report, pytest.raises(RefusalError):
        llm.stream_chat(HI)
    assert len(llm.callback_manager.handlers) == 1
    assert report.calls == []


class AzureOpenAI(OpenAI):
    """Stands for the class of llama-index-llms-azure-openai."""

    __module__ = "llama_index.llms.azure_openai.base"


@pytest.mark.parametrize(
    ("version", "asked"),
    [("2024-02-01", False), ("2024-06-01", False), ("2024-10-21", True), ("2025-01-01-preview", True)],
)
def test_azure_is_asked_only_in_versions_that_know_the_option(version, asked):
    llm = AzureOpenAI(model="gpt-4o", api_key="unused", api_version=version)
    assert kind_of(llm).is_azure
    assert can_report_usage(Span("AzureOpenAI.stream_chat-1", model=llm)) is asked
    assert not can_report_usage(Span("AzureOpenAI.chat-1", model=llm))
