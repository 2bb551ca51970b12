"""Fifty calls at once on a budget for ten: ten are sent, whatever the store and whoever makes them."""

import asyncio
import shutil
import subprocess
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

import pytest
from llama_index.core.base.llms.types import ChatMessage

from examples.provider import ProviderAnswer, ProviderUsage
from llama_index_tokenomics import BudgetGuard, attribution, in_context, track_cost
from tests.prices_by_hand import usd
from tokenomics_core.budgets import Budgets, Limit, MemoryBudgetStore, SQLiteBudgetStore
from tokenomics_core.errors import BudgetExceededError

HI = [ChatMessage(role="user", content="hi")]
TEN_CENTS = {"input_tokens": 8, "output_tokens": 9_998}  # at 2.50 and 10 USD per million tokens
CALLS = 50


@pytest.fixture(params=["memory", "sqlite", "redis"])
async def store(request, tmp_path):
    if request.param == "memory":
        yield MemoryBudgetStore()
    elif request.param == "sqlite":
        store = SQLiteBudgetStore(tmp_path / "budget.db")
        yield store
        store.close()
    else:
        with redis_store() as store:
            yield store
            await store.aclose()


@contextmanager
def redis_store():
    pytest.importorskip("redis")
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("redis-server is missing: install it to run this test")
    from tokenomics_core.budgets import RedisBudgetStore

    with tempfile.TemporaryDirectory() as folder:  # not tmp_path: a socket's path has at most 107 characters
        socket = Path(folder) / "redis.sock"
        command = [program, "--port", "0", "--unixsocket", str(socket), "--dir", folder, "--save", ""]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            assert any("ready to accept connections" in line.lower() for line in process.stdout)
            store = RedisBudgetStore(f"unix://{socket}")
            yield store
            store.close()
        finally:
            process.kill()
            process.wait()
            process.stdout.close()


@pytest.fixture
def budgets(store):
    return Budgets([Limit("user", usd="1.00"), Limit("feature", usd="100")], store)


@pytest.fixture
def llm(world):
    assert usd("gpt-4o", input=8, output=9_998) == Decimal("0.1")
    world.engine.always(ProviderAnswer(text="yes", usage=ProviderUsage(**TEN_CENTS)))
    return world.like(max_tokens=9_998)


def judge(world, budgets, guard, cost, refused):
    assert world.provider.count() == len(cost.calls) == 10
    assert refused == guard.refused_calls == len(guard.exceeded) == CALLS - 10
    assert cost.total_usd == Decimal("1.00")
    for scope, key in (("user", "ada"), ("feature", "search")):
        line = budgets.status(scope, key).lines[0]
        assert (line.spent, line.held) == (Decimal("1.00"), 0)
    assert guard.failures == guard.unguarded_calls == 0


def test_ten_of_fifty_threads(world, budgets, llm):
    def ask(_):
        try:
            llm.chat(HI)
        except BudgetExceededError:
            return 1
        return 0

    with (
        attribution(user="ada", feature="search"),
        track_cost() as cost,
        BudgetGuard(budgets) as guard,
        ThreadPoolExecutor(CALLS) as pool,
    ):
        refused = sum(pool.map(in_context(ask), range(CALLS)))
    judge(world, budgets, guard, cost, refused)


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
async def test_ten_of_fifty_tasks(world, budgets, llm, streamed):
    async def ask():
        if streamed:
            return [piece async for piece in await llm.astream_chat(HI)]
        return await llm.achat(HI)

    with attribution(user="ada", feature="search"), track_cost() as cost:
        async with BudgetGuard(budgets) as guard:
            answers = await asyncio.gather(*(ask() for _ in range(CALLS)), return_exceptions=True)
    refused = sum(isinstance(answer, BudgetExceededError) for answer in answers)
    judge(world, budgets, guard, cost, refused)


async def test_calls_one_after_the_other_see_what_the_last_one_took(world, budgets, llm):
    """Each is held at ten cents and takes one: all fifty fit, though a worker settles them."""
    world.engine.always(ProviderAnswer(text="yes", usage=ProviderUsage(input_tokens=8, output_tokens=998)))
    async with BudgetGuard(budgets):
        with attribution(user="ada", feature="search"):
            for _ in range(CALLS):
                await llm.achat(HI)
    assert budgets.status("user", "ada").spent_usd == CALLS * usd("gpt-4o", input=8, output=998)


class SlowToSettle(SQLiteBudgetStore):
    """A store whose settling waits for a word."""

    def __init__(self, path):
        super().__init__(path)
        self.word = threading.Event()

    def settle(self, *arguments):
        self.word.wait()
        return super().settle(*arguments)


@pytest.mark.parametrize("way", ["async", "sync"])
async def test_a_call_waits_for_the_settling_of_the_one_before(world, tmp_path, way):
    """Ten cents are held and one is taken: the second call fits only once the first is settled."""
    world.engine.always(ProviderAnswer(text="yes", usage=ProviderUsage(input_tokens=8, output_tokens=998)))
    llm = world.like(max_tokens=9_998)
    store = SlowToSettle(tmp_path / "budget.db")
    budgets = Budgets([Limit("user", usd="0.15")], store)
    async with BudgetGuard(budgets):
        with attribution(user="ada"):
            await llm.achat(HI)
            assert budgets.status("user", "ada").lines[0].held == Decimal("0.1")
            again = llm.achat(HI) if way == "async" else asyncio.to_thread(llm.chat, HI)
            second = asyncio.create_task(again)
            for _ in range(20):
                await asyncio.sleep(0)
            await asyncio.to_thread(store.word.set)
            await second
    assert budgets.status("user", "ada").spent_usd == 2 * usd("gpt-4o", input=8, output=998)
    store.close()
