"""A call is attributed to whoever it is for, on every way LangChain carries context."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableLambda

from examples.provider import ProviderAnswer, ProviderUsage
from langchain_tokenomics import CostCallbackHandler, attribution, in_context, track_cost
from tests.prices_by_hand import usd
from tokenomics_core.ledger import MemoryLedger, SQLiteLedger

ONE_CALL = usd("gpt-4o", input=100, output=20)


@pytest.fixture
def model(world):
    world.engine.always(ProviderAnswer(text="x", usage=ProviderUsage(input_tokens=100, output_tokens=20)))
    return world.openai()


def test_a_block_of_attribution_reaches_every_call_inside(model):
    with track_cost() as report, attribution(user="ada", project="wiki", user_tier="power"):
        with attribution(feature="search"):
            model.invoke("hi")
        model.invoke("hi")
    assert report.by("user") == {"ada": 2 * ONE_CALL}
    assert report.by("feature") == {"search": ONE_CALL, "": ONE_CALL}
    assert report.by("user_tier") == {"power": 2 * ONE_CALL}


def test_metadata_of_a_config_is_closer_to_the_call_and_wins(model):
    chain = ChatPromptTemplate.from_template("{q}") | model
    metadata = {"user_id": "bob", "feature": "chat", "thread_id": 7, "user_tier": "basic"}
    with track_cost() as report, attribution(user="ada", project="wiki"):
        chain.invoke({"q": "hi"}, config={"metadata": metadata})
    who = report.calls[0].attribution
    assert (who.user, who.feature, who.project, who.conversation) == ("bob", "chat", "wiki", "7")
    assert who.tags == {"user_tier": "basic"}


def test_calls_of_one_run_share_its_id_and_other_runs_have_their_own(model):
    twice = RunnableLambda(lambda q: (model.invoke(q), model.invoke(q)))
    with track_cost() as report:
        twice.invoke("a")
        twice.invoke("b")
        with attribution(run="mine"):
            twice.invoke("c")
    runs = [record.attribution.run for record in report.calls]
    assert runs[0] == runs[1] != runs[2] == runs[3]
    assert runs[4] == runs[5] == "mine"


async def test_concurrent_tasks_keep_their_users_apart(model):
    async def ask(user):
        with attribution(user=user):
            await model.ainvoke("hi")

    async with track_cost() as report:
        await asyncio.gather(*(ask(f"user-{i % 5}") for i in range(25)))
    assert report.by("user") == {f"user-{i}": 5 * ONE_CALL for i in range(5)}


def test_batches_and_threads_of_ones_own_carry_it_too(model):
    with track_cost() as report, attribution(user="ada"):
        model.batch(["a", "b", "c"])
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(in_context(model.invoke), ["d", "e"]))
            list(pool.map(model.invoke, ["outside"]))
    assert report.by("user") == {"ada": 5 * ONE_CALL}


def test_a_handler_in_a_config_records_to_its_ledger_and_to_the_block_once_each(model):
    ledger = MemoryLedger()
    handler = CostCallbackHandler(ledger)
    with track_cost() as outer, track_cost() as inner:
        RunnableLambda(model.invoke).invoke("hi", config={"callbacks": [handler]})
    assert ledger.total() == outer.total_usd == inner.total_usd == ONE_CALL
    assert handler.report is None


def test_a_handler_in_a_constructor_and_in_a_config_counts_once(world, model):
    handler = CostCallbackHandler()
    world.openai(callbacks=[handler]).invoke("hi", config={"callbacks": [handler]})
    assert handler.report.total_usd == ONE_CALL


async def test_a_disk_ledger_holds_every_call_when_the_block_ends(model, tmp_path):
    with SQLiteLedger(tmp_path / "cost.db") as ledger:
        async with track_cost(ledger=ledger) as report:
            await asyncio.gather(*(model.ainvoke("hi") for _ in range(20)))
        assert ledger.total() == report.total_usd == 20 * ONE_CALL
        handler = CostCallbackHandler(ledger)
        await model.ainvoke("hi", config={"callbacks": [handler]})
        await handler.aflush()
        assert ledger.total() == 21 * ONE_CALL


def test_prompts_are_kept_only_on_request(model):
    with track_cost() as report:
        model.invoke("a secret")
    assert report.calls[0].content is None
    with track_cost(keep_content=True) as report:
        model.invoke("a secret")
    assert report.calls[0].content == "Human: a secret\nAI: x"
