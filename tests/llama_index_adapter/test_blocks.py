"""Blocks and installed ledgers see every call, leave no trace and never break the call they watch."""

import asyncio
import gc
import logging
import subprocess
import sys
from decimal import Decimal

import pytest
from llama_index.core import VectorStoreIndex
from llama_index.core.base.llms.types import ChatMessage, CompletionResponse, LLMMetadata
from llama_index.core.callbacks import CallbackManager, TokenCountingHandler
from llama_index.core.instrumentation import get_dispatcher
from llama_index.core.llms import CustomLLM
from llama_index.core.llms.callbacks import llm_completion_callback
from llama_index.core.schema import TextNode

from examples.provider import ProviderAnswer, ProviderUsage
from llama_index_tokenomics import install_cost_tracking, track_cost
from llama_index_tokenomics._spans import SpanTree
from llama_index_tokenomics.tracking import _METER
from tests.prices_by_hand import usd
from tokenomics_core import UnknownModelError, observability
from tokenomics_core.ledger import MemoryLedger, SQLiteLedger
from tokenomics_core.observability import current_scope
from tokenomics_core.pricing import PriceBook
from tokenomics_core.types import Cost

HI = [ChatMessage(role="user", content="hi")]
ONE_CALL = usd("gpt-4o", input=100, output=20)


@pytest.fixture
def llm(world):
    world.engine.always(ProviderAnswer(text="x", usage=ProviderUsage(input_tokens=100, output_tokens=20)))
    return world.like()


class Spoken(CustomLLM):
    """A model that answers from memory."""

    @property
    def metadata(self):
        return LLMMetadata(model_name="gpt-4o")

    @llm_completion_callback()
    def complete(self, prompt, formatted=False, **kwargs):
        return CompletionResponse(text="x")

    @llm_completion_callback()
    def stream_complete(self, prompt, formatted=False, **kwargs):
        return iter_of("a", "ab", "abc")


def iter_of(*texts):
    for text in texts:
        yield CompletionResponse(text=text, delta=text[-1])


async def test_a_hundred_blocks_leave_nothing_behind(llm):
    root, spoken = get_dispatcher(), Spoken()
    with track_cost():
        pass  # from the first block on, one observer listens
    handlers = len(root.event_handlers), len(root.span_handlers)
    for _ in range(100):
        with track_cost() as report, install_cost_tracking(MemoryLedger()):
            llm.chat(HI)
            list(llm.stream_chat(HI))
            for stream in (spoken.stream_chat(HI), spoken.stream_complete("x")):
                next(stream)
                stream.close()
            spoken.stream_complete("never read")
            async for _ in await spoken.astream_chat(HI):
                break
        del stream
    gc.collect()
    for _ in range(5):  # the loop closes what was left of async streams
        await asyncio.sleep(0)
    assert len(report.calls) == 6
    assert (len(root.event_handlers), len(root.span_handlers)) == handlers
    assert len(_METER._calls) == len(_METER._streams) == 0
    assert _METER._installed == ()
    assert llm.callback_manager.handlers == spoken.callback_manager.handlers == []
    assert current_scope() is None


def test_what_is_remembered_of_spans_is_bounded():
    tree = SpanTree(most_open=10, most_left=5)
    for number in range(100):
        tree.enter(f"x.y-{number}", None, None)
    assert len(tree) == 10
    for number in range(100):
        tree.leave(f"x.y-{number}")
    assert len(tree) == 5


def test_spans_that_ended_keep_no_model_alive(llm):
    tree = SpanTree()
    span = tree.enter("OpenAILike.chat-1", None, llm)
    tree.leave(span.id)
    assert span.model is None
    assert tree.find(span.id).is_model


def test_handlers_are_attached_again_where_somebody_removed_them(llm):
    root = get_dispatcher()
    kept = list(root.event_handlers), list(root.span_handlers)
    root.event_handlers, root.span_handlers = [], []
    try:
        with track_cost() as report:
            llm.chat(HI)
    finally:
        root.event_handlers, root.span_handlers = kept
    assert report.total_usd == ONE_CALL


def test_a_call_outside_a_block_is_not_counted(llm):
    with track_cost() as report:
        llm.chat(HI)
    llm.chat(HI)
    assert report.total_usd == ONE_CALL


def test_a_block_of_the_core_counts_too(llm):
    with observability.track_cost() as report:
        llm.chat(HI)
        list(llm.stream_chat(HI))
    assert [record.cost_usd for record in report.calls] == [ONE_CALL, ONE_CALL]
    assert not any(record.estimated for record in report.calls)


def test_blocks_nest_and_count_each_call_once_in_each(llm):
    with track_cost() as outer:
        with track_cost() as inner:
            llm.chat(HI)
        llm.chat(HI)
    assert (inner.total_usd, outer.total_usd) == (ONE_CALL, 2 * ONE_CALL)


def test_a_ledger_that_a_block_and_the_process_share_holds_each_call_once(llm):
    ledger = MemoryLedger()
    with install_cost_tracking(ledger), install_cost_tracking(ledger), track_cost(ledger=ledger) as report:
        llm.chat(HI)
        list(llm.stream_chat(HI))
    assert ledger.totals().calls == 2
    assert ledger.total() == report.total_usd == 2 * ONE_CALL


async def test_a_disk_ledger_holds_every_call_when_the_tracking_ends(llm, tmp_path):
    with SQLiteLedger(tmp_path / "cost.db") as ledger:
        async with track_cost(ledger=ledger):
            await llm.achat(HI)
        tracking = install_cost_tracking(ledger)
        await llm.achat(HI)
        await tracking.aflush()
        assert ledger.total() == 2 * ONE_CALL
        await llm.achat(HI)
        tracking.uninstall()
        assert ledger.total() == 3 * ONE_CALL
        await llm.achat(HI)
        tracking.uninstall()
        assert ledger.total() == 3 * ONE_CALL
        assert tracking.failures == 0


def test_prices_of_ones_own_are_used(llm):
    class Flat:
        def cost(self, usage, model, provider=None, at=None):
            return Cost(total_usd=Decimal(1), source="a contract")

    ledger = MemoryLedger()
    with track_cost(prices=Flat()) as report, install_cost_tracking(ledger, prices=Flat()):
        llm.chat(HI)
    assert report.total_usd == ledger.total() == 1


def test_a_strict_block_ends_with_an_error_for_an_unknown_model(world):
    world.says(input_tokens=100, output_tokens=20)
    strict = PriceBook(unknown="raise")
    with pytest.raises(UnknownModelError, match="no-such-model"), track_cost(prices=strict) as report:
        assert str(world.like("no-such-model").complete("hi")) == "a short answer"
    assert report.unpriced_calls == 1


def test_a_ledger_that_fails_costs_no_answer(llm, caplog):
    class Broken:
        def record(self, record):
            raise OSError("no space left")

    with caplog.at_level(logging.ERROR), install_cost_tracking(Broken()) as tracking:
        assert [llm.chat(HI).message.content for _ in range(3)] == ["x"] * 3
    assert tracking.failures == 3
    assert len(caplog.records) == 1


def test_an_event_that_cannot_be_read_costs_no_answer_and_is_counted(llm, caplog):
    class Strange(dict):
        def get(self, *args):
            raise RuntimeError("unreadable")

    ledger = MemoryLedger()
    with caplog.at_level(logging.ERROR), install_cost_tracking(ledger) as tracking:
        assert llm.chat(HI, tools=None).message.content == "x"
        llm.additional_kwargs = Strange()
        assert llm.chat(HI).message.content == "x"
    assert ledger.totals().calls == 1
    assert tracking.failures > 0
    assert len(caplog.records) == 1


def test_embeddings_are_recorded_on_request(world, llm):
    nodes = [TextNode(text="one two three"), TextNode(text="four")]
    model = world.embedding()
    with track_cost() as silent:
        VectorStoreIndex(nodes, embed_model=model)
    assert silent.calls == []
    ledger = MemoryLedger()
    with track_cost(embeddings=True) as report, install_cost_tracking(ledger, embeddings=True):
        index = VectorStoreIndex(nodes, embed_model=model)
        with track_cost() as inner:
            index.as_query_engine(llm=llm).query("five")
    assert {record.operation for record in report.calls} == {"embedding", "chat"}
    embedded = [record for record in report.calls if record.operation == "embedding"]
    assert [record.usage.input_tokens for record in embedded] == [4, 1]
    assert all(record.estimated for record in embedded)
    assert report.total_usd == ledger.total() == usd("text-embedding-3-small", input=5) + ONE_CALL
    assert inner.total_usd == ONE_CALL


def test_whoever_comes_from_the_token_counter_finds_its_numbers(world, llm):
    counter = TokenCountingHandler(tokenizer=str.split)
    llm.callback_manager = CallbackManager([counter])
    with track_cost(embeddings=True) as cost:
        llm.chat(HI)
        llm.complete("hi")
        world.embedding().get_text_embedding("one two three")
    for name in ("total_llm_token_count", "prompt_llm_token_count", "completion_llm_token_count"):
        assert getattr(cost, name) == getattr(counter, name) > 0
    assert cost.total_embedding_token_count == 3


def test_an_embedding_model_around_another_counts_once(world):
    inner = world.embedding()

    class Around(type(inner)):
        def _get_text_embeddings(self, texts):
            return inner.get_text_embedding_batch(texts)

    with track_cost(embeddings=True) as report:
        Around(inner._client).get_text_embedding_batch(["one two three", "four"])
    assert report.total_usd == usd("text-embedding-3-small", input=4)


def test_without_llama_index_the_message_names_the_install_line():
    code = (
        "import sys, importlib.abc\n"
        "class Hide(importlib.abc.MetaPathFinder):\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] == 'llama_index': raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, Hide())\n"
        "try: import llama_index_tokenomics\n"
        "except ImportError as error: print(type(error).__name__, error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "MissingExtraError" in done.stdout
    assert "pip install 'token-economics[llama-index]'" in done.stdout
