"""Blocks leave no trace, and a strict one refuses before it pays."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest
from langchain_core.language_models import FakeListChatModel
from langchain_core.runnables import RunnableLambda
from langchain_core.tracers import context as tracers

from examples.provider import ProviderAnswer, ProviderUsage
from langchain_tokenomics import CostCallbackHandler, MeteredEmbeddings, track_cost
from langchain_tokenomics._record_ids import RecordIds
from tests.prices_by_hand import usd
from tokenomics_core import MissingExtraError, UnknownModelError
from tokenomics_core.ledger import MemoryLedger
from tokenomics_core.observability import current_scope
from tokenomics_core.pricing import PriceBook

ONE_CALL = usd("gpt-4o", input=100, output=20)


@pytest.fixture
def model(world):
    world.engine.always(ProviderAnswer(text="x", usage=ProviderUsage(input_tokens=100, output_tokens=20)))
    return world.openai()


def test_a_hundred_blocks_register_nothing(model):
    hooks = len(tracers._configure_hooks)
    for _ in range(100):
        with track_cost() as report:
            FakeListChatModel(responses=["x"]).invoke("hi")
        assert len(report.calls) == 1
    assert len(tracers._configure_hooks) == hooks
    assert current_scope() is None


def test_a_call_outside_a_block_is_not_counted(model):
    with track_cost() as report:
        model.invoke("hi")
    model.invoke("hi")
    assert report.total_usd == ONE_CALL


def test_a_block_inside_a_run_counts_once_in_both(model):
    def step(question):
        with track_cost() as inner:
            model.invoke(question)
        return inner

    with track_cost() as outer:
        inner = RunnableLambda(step).invoke("hi")
        model.invoke("hi")
    assert (inner.total_usd, outer.total_usd) == (ONE_CALL, 2 * ONE_CALL)


def test_many_threads_add_up_to_the_nano_dollar(model):
    with track_cost() as report:
        model.batch(["q"] * 200, config={"max_concurrency": 16})
    assert report.total_usd == 200 * ONE_CALL
    assert len({record.id for record in report.calls}) == 200


async def test_a_strict_price_book_refuses_an_unknown_model_before_it_is_asked(world):
    strict = PriceBook(unknown="raise")
    model = world.openai("no-such-model")
    with pytest.raises(UnknownModelError, match="no-such-model"), track_cost(prices=strict):
        model.invoke("hi")
    handler = CostCallbackHandler(prices=strict)
    with pytest.raises(UnknownModelError):
        await model.ainvoke("hi", config={"callbacks": [handler]})
    assert world.provider.count() == 0


def test_a_handler_whose_ledger_is_broken_does_not_cost_the_answer(model):
    class Broken:
        def record(self, record):
            raise OSError("no space left")

    answer = model.invoke("hi", config={"callbacks": [CostCallbackHandler(Broken())]})
    assert answer.text == "x"


def test_calls_that_share_a_run_id_count_one_by_one_and_each_once(model):
    config = {"run_id": uuid4()}
    handler, ledger = CostCallbackHandler(), MemoryLedger()
    with track_cost(ledger=ledger) as outer:
        model.invoke("a", config={**config, "callbacks": [handler]})
        with track_cost() as inner:
            model.invoke("b", config={**config, "callbacks": [handler]})
        model.invoke("c", config=config)
    assert (len(outer.calls), len(inner.calls), len(handler.report.calls)) == (3, 1, 2)
    assert outer.total_usd == ledger.total() == 3 * ONE_CALL
    assert outer.calls[0].id == config["run_id"].hex
    assert outer.calls[1].id == inner.calls[0].id == handler.report.calls[1].id


def test_what_is_remembered_of_run_ids_has_an_end():
    ids = RecordIds(most=3)
    for number in range(10):
        assert ids.of(str(number)) is None
        ids.end(str(number))
    assert ids.of("0") is None
    assert ids.of("9").startswith("9-")
    assert ids.of("9") == ids.of("9")
    assert len(ids._ended) <= 3


async def test_embeddings_are_metered(world):
    embeddings = MeteredEmbeddings(world.embeddings())
    with track_cost() as report:
        vectors = embeddings.embed_documents(["one two three", "four"])
        assert vectors == await embeddings.aembed_documents(["one two three", "four"])
        embeddings.embed_query("five")
        await embeddings.aembed_query("five")
    assert [record.usage.input_tokens for record in report.calls] == [4, 4, 1, 1]
    assert {record.operation for record in report.calls} == {"embedding"}
    assert report.total_usd == usd("text-embedding-3-small", input=10)
    assert report.estimated_calls == 4


def test_the_bill_of_an_open_thread_pool_is_complete(model):
    with ThreadPoolExecutor(8) as pool, track_cost() as report:
        chain = RunnableLambda(lambda q: q) | model
        chain.batch(["a"] * 8)
        list(pool.map(lambda q: model.invoke(q, config={"callbacks": []}), ["b"]))
    assert report.total_usd == 8 * ONE_CALL


def test_without_langchain_the_message_names_the_install_line():
    code = (
        "import sys, importlib.abc\n"
        "class Hide(importlib.abc.MetaPathFinder):\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] == 'langchain_core': raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, Hide())\n"
        "try: import langchain_tokenomics\n"
        "except ImportError as error: print(type(error).__name__, error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert MissingExtraError.__name__ in done.stdout
    assert "pip install 'token-economics[langchain]'" in done.stdout
