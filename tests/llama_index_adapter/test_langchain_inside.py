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

import langchain_tokenomics
import llama_index_tokenomics
from examples.provider import ProviderAnswer, ProviderUsage
from llama_index_tokenomics import install_cost_tracking
from tests.prices_by_hand import usd
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
