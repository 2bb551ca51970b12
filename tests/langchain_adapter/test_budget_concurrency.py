"""Of fifty calls at once against a limit that allows ten, ten reach the provider, on every store."""

from __future__ import annotations

import asyncio
import tempfile
from decimal import Decimal
from pathlib import Path

import pytest
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.runnables import RunnableLambda

from examples.provider import ProviderAnswer, ProviderUsage
from langchain_tokenomics import BudgetCallbackHandler, BudgetExceededError
from tests.core.budgets.conftest import RedisServer, redis_program
from tests.prices_by_hand import usd
from tokenomics_core.budgets import Budgets, Limit, MemoryBudgetStore, SQLiteBudgetStore
from tokenomics_core.tokens import count_tokens

pytestmark = pytest.mark.filterwarnings("ignore:coroutine 'ahandle_event' was never awaited:RuntimeWarning")

OUTPUT_TOKENS = 50
CALLS = 50


@pytest.fixture(scope="module")
def redis_url():
    with tempfile.TemporaryDirectory() as folder:  # the path of a socket may have at most 107 characters
        server = RedisServer(redis_program(), Path(folder))
        yield server.url
        server.kill()


@pytest.fixture(autouse=True)
async def connections_closed():
    """Let the loop end what clients have begun to close."""
    yield
    for _ in range(5):
        await asyncio.sleep(0)


@pytest.fixture(params=["memory", "sqlite", "redis"])
def store(request, tmp_path):
    if request.param == "memory":
        yield MemoryBudgetStore()
        return
    if request.param == "sqlite":
        made = SQLiteBudgetStore(tmp_path / "budgets.db")
    else:
        from tokenomics_core.budgets import RedisBudgetStore

        url = request.getfixturevalue("redis_url")
        made = RedisBudgetStore(url, namespace=request.node.name)
    yield made
    made.close()


@pytest.fixture
def model(world):
    """A model whose calls cost exactly their worst case."""
    usage = ProviderUsage(input_tokens=_input_tokens(), output_tokens=OUTPUT_TOKENS)
    world.engine.always(ProviderAnswer(text="x", usage=usage))
    return world.openai(max_tokens=OUTPUT_TOKENS)


def _input_tokens() -> int:
    return int(count_tokens([HumanMessage("hi")], "gpt-4o"))


def _one_call() -> Decimal:
    return usd("gpt-4o", input=_input_tokens(), output=OUTPUT_TOKENS)


def _guarded(store):
    budgets = Budgets([Limit("user", usd=10 * _one_call(), window="month")], store)
    return budgets, {"callbacks": [BudgetCallbackHandler(budgets)], "metadata": {"user_id": "ada"}}


def _check(answers, budgets, world) -> None:
    refused = [answer for answer in answers if isinstance(answer, BudgetExceededError)]
    answered = [answer for answer in answers if isinstance(answer, AIMessage)]
    assert (len(answered), len(refused)) == (10, CALLS - 10)
    assert world.provider.count() == 10
    status = budgets.status("user", "ada")
    assert (status.spent_usd, status.held_usd, status.left_usd) == (10 * _one_call(), 0, 0)


def test_threads_of_a_batch(world, model, store):
    budgets, config = _guarded(store)
    answers = model.batch(["hi"] * CALLS, config | {"max_concurrency": CALLS}, return_exceptions=True)
    _check(answers, budgets, world)


async def test_tasks(world, model, store):
    budgets, config = _guarded(store)
    calls = [model.ainvoke("hi", config) for _ in range(CALLS)]
    _check(await asyncio.gather(*calls, return_exceptions=True), budgets, world)


async def test_an_async_batch_of_chains(world, model, store):
    budgets, config = _guarded(store)
    chain = RunnableLambda(lambda question: question) | model
    answers = await chain.abatch(["hi"] * CALLS, config, return_exceptions=True)
    _check(answers, budgets, world)
