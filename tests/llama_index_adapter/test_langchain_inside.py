"""A LlamaIndex engine over a LangChain model counts each call once, whoever meters it."""

import asyncio
import subprocess
import sys
import warnings
from importlib import import_module

import pytest
from langchain_openai import ChatOpenAI
from llama_index.core import SummaryIndex
from llama_index.core.base.llms.types import ChatMessage, LLMMetadata
from llama_index.core.schema import TextNode
from llama_index.llms.langchain import LangChainLLM
from openai import BadRequestError

import langchain_tokenomics
import llama_index_tokenomics
from examples.provider import Fail, ProviderAnswer, ProviderUsage
from langchain_tokenomics import BudgetCallbackHandler
from llama_index_tokenomics import BudgetGuard, attribution, install_cost_tracking
from tests.prices_by_hand import usd
from tokenomics_core.budgets import Budgets, Limit, SQLiteBudgetStore
from tokenomics_core.errors import BudgetExceededError
from tokenomics_core.ledger import MemoryLedger

HI = [ChatMessage(role="user", content="hi")]
ONE_CALL = usd("gpt-4o", input=100, output=20)


class Text(LangChainLLM):
    """The wrapper, told that it holds a text model: to look by itself it needs langchain-community."""

    @property
    def metadata(self):
        return LLMMetadata(is_chat_model=False)


def wrap(world, wrapper):
    world.engine.always(ProviderAnswer(text="x", usage=ProviderUsage(input_tokens=100, output_tokens=20)))
    url = world.provider.openai_url
    return wrapper(
        ChatOpenAI(model="gpt-4o", base_url=url, api_key="unused", max_retries=0, stream_usage=True)
    )


async def read(awaitable):
    return [piece async for piece in await awaitable]


def ask_index(llm):
    return SummaryIndex([TextNode(text="a")]).as_query_engine(llm=llm).query("q")


TEXT_PATHS = {
    "complete": lambda llm: llm.complete("hi"),
    "acomplete": lambda llm: llm.acomplete("hi"),
    "query": ask_index,
}
STREAM_PATHS = {
    "stream_complete": lambda llm: list(llm.stream_complete("hi")),
    "astream_complete": lambda llm: read(llm.astream_complete("hi")),
}
CHAT_PATHS = {
    "chat": lambda llm: llm.chat(HI),
    "achat": lambda llm: llm.achat(HI),
    "stream_chat": lambda llm: list(llm.stream_chat(HI)),
    "astream_chat": lambda llm: read(llm.astream_chat(HI)),
    "query": ask_index,
}


def can_chat():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            import_module("llama_index.core.bridge.langchain")
        except ImportError:
            return False
    return True


NEEDS_COMMUNITY = pytest.mark.skipif(
    not can_chat(),
    reason="LlamaIndex's wrapper chats and streams only with langchain-classic and langchain-community<0.4.2",
)
PATHS = [
    *(pytest.param(Text, path, id=f"text, {name}") for name, path in TEXT_PATHS.items()),
    *(
        pytest.param(Text, path, id=f"text, {name}", marks=NEEDS_COMMUNITY)
        for name, path in STREAM_PATHS.items()
    ),
    *(
        pytest.param(LangChainLLM, path, id=f"chat, {name}", marks=NEEDS_COMMUNITY)
        for name, path in CHAT_PATHS.items()
    ),
]


@pytest.mark.parametrize(("wrapper", "path"), PATHS)
@pytest.mark.parametrize("adapter", [langchain_tokenomics, llama_index_tokenomics])
async def test_in_a_block_of_either_adapter_the_call_counts_once_and_exactly(world, wrapper, path, adapter):
    llm = wrap(world, wrapper)
    with adapter.track_cost() as report:
        done = path(llm)
        if asyncio.iscoroutine(done):
            await done
    assert [(record.cost_usd, record.estimated) for record in report.calls] == [(ONE_CALL, False)]


@pytest.mark.parametrize(("wrapper", "path"), PATHS)
async def test_a_ledger_of_the_whole_process_holds_an_estimate(world, wrapper, path):
    llm, ledger = wrap(world, wrapper), MemoryLedger()
    with install_cost_tracking(ledger):
        done = path(llm)
        if asyncio.iscoroutine(done):
            await done
    totals = ledger.totals()
    assert (totals.calls, totals.estimated_calls, totals.unpriced_calls) == (1, 1, 0)
    assert totals.cost_usd > 0


def test_a_ledger_that_a_block_and_the_process_share_holds_the_call_once(world):
    llm, ledger = wrap(world, Text), MemoryLedger()
    with install_cost_tracking(ledger), llama_index_tokenomics.track_cost(ledger=ledger):
        llm.complete("hi")
    assert ledger.totals().calls == 1
    assert ledger.total() == ONE_CALL


def test_where_nobody_meters_langchain_the_block_holds_an_estimate(world):
    world.says(input_tokens=100, output_tokens=20)
    code = (
        "import sys\n"
        "from langchain_openai import ChatOpenAI\n"
        "from llama_index.core.base.llms.types import LLMMetadata\n"
        "from llama_index.llms.langchain import LangChainLLM\n"
        "from llama_index_tokenomics import track_cost\n"
        "class Wrapped(LangChainLLM):\n"
        "    metadata = property(lambda self: LLMMetadata(is_chat_model=False))\n"
        "model = ChatOpenAI(model='gpt-4o', base_url=sys.argv[1], api_key='unused')\n"
        "with track_cost() as report:\n"
        "    Wrapped(model).complete('hi')\n"
        "print([(record.model, record.estimated) for record in report.calls])\n"
        "assert report.total_usd > 0\n"
    )
    command = [sys.executable, "-c", code, world.provider.openai_url]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout.strip().endswith("[('gpt-4o', True)]"), done.stderr


def guarded(llm, budgets):
    """Have the LangChain model inside ask the same budgets as the guard."""
    llm.llm.callbacks = [BudgetCallbackHandler(budgets)]
    return llm


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
@pytest.mark.parametrize(("wrapper", "path"), PATHS)
async def test_a_guard_and_a_handler_of_the_same_budgets_book_a_call_once(
    world, tmp_path, wrapper, path, kind
):
    store = SQLiteBudgetStore(tmp_path / "budget.db") if kind == "sqlite" else None
    budgets = Budgets([Limit("all", usd="1"), Limit("all", calls=5, window="day")], store)
    llm = guarded(wrap(world, wrapper), budgets)
    async with BudgetGuard(budgets) as guard:
        done = path(llm)
        if asyncio.iscoroutine(done):
            await done
        await guard.aflush()
    status = budgets.status("all")
    assert (status.held_usd, status.lines[1].spent, status.lines[1].held) == (0, 1, 0)
    assert world.provider.count() == 1
    if llm.llm.callbacks and isinstance(llm.llm.callbacks[0], BudgetCallbackHandler):
        assert status.spent_usd == ONE_CALL
    else:  # the wrapper's streams of texts put a handler of their own in place of those of the model
        assert status.spent_usd > 0
    if store is not None:
        store.close()


def test_the_last_call_of_a_limit_is_not_refused_for_its_own_sake(world):
    budgets = Budgets([Limit("user", calls=1)])
    llm = guarded(wrap(world, Text), budgets)
    with BudgetGuard(budgets), attribution(user="ada"):
        llm.complete("hi")
        with pytest.raises(BudgetExceededError):
            llm.complete("hi")
    assert world.provider.count() == 1


def test_calls_of_the_langchain_model_itself_are_booked_by_its_handler(world):
    """What the guard held for an earlier call is no cover for one that begins after it."""
    budgets = Budgets([Limit("all", usd="1")])
    llm = guarded(wrap(world, Text), budgets)
    with BudgetGuard(budgets):
        llm.complete("hi")
        llm.llm.invoke("hi")
    assert budgets.status("all").spent_usd == 2 * ONE_CALL


def test_other_budgets_of_the_handler_are_booked_by_themselves(world):
    outer, inner = (Budgets([Limit("all", calls=5)]) for _ in range(2))
    llm = guarded(wrap(world, Text), inner)
    with BudgetGuard(outer):
        llm.complete("hi")
    assert outer.status("all").spent_calls == inner.status("all").spent_calls == 1


def test_a_call_that_fails_is_booked_once_or_not_at_all(world):
    budgets = Budgets([Limit("all", calls=5)])
    llm = guarded(wrap(world, Text), budgets)
    world.provider.inject(Fail(status=400))
    with BudgetGuard(budgets), pytest.raises(BadRequestError):
        llm.complete("hi")
    assert (budgets.status("all").spent_calls, budgets.status("all").held_calls) == (0, 0)
