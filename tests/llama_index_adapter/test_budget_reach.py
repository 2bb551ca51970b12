"""A guard sees requests that LlamaIndex sends by its own ways, and can be asked what its limits ask for."""

import asyncio
import contextlib
import gc

import pytest
from llama_index.core import PromptTemplate
from llama_index.core.base.llms.types import ChatMessage
from llama_index_instrumentation.dispatcher import instrument_tags
from pydantic import BaseModel
from workflows import Workflow, step
from workflows.events import Event, StartEvent, StopEvent

from examples.provider import ProviderAnswer, ProviderUsage
from llama_index_tokenomics import BudgetGuard
from tokenomics_core.budgets import Budgets, Limit, SQLiteBudgetStore
from tokenomics_core.errors import BudgetExceededError
from tokenomics_core.types import Attribution

HI = [ChatMessage(role="user", content="hi")]


class City(BaseModel):
    """A city."""

    name: str


class Asked(Event):
    """The first step is over."""


async def read_stream(awaitable):
    return [piece async for piece in await awaitable]


STRUCTURED_STREAMS = {
    "sync": lambda llm: list(llm.stream_structured_predict(City, PromptTemplate("hi"))),
    "async": lambda llm: read_stream(llm.astream_structured_predict(City, PromptTemplate("hi"))),
}


@pytest.mark.filterwarnings(
    "ignore:The 'output_format' parameter:DeprecationWarning",  # Anthropic's client of LlamaIndex's
    "ignore:The model:DeprecationWarning",
)
@pytest.mark.parametrize("ask", STRUCTURED_STREAMS.values(), ids=STRUCTURED_STREAMS)
@pytest.mark.parametrize("client", ["like", "openai", "responses", "old anthropic", "anthropic"])
async def test_each_structured_stream_is_either_held_or_counted_as_missed(world, client, ask):
    llm = {
        "like": lambda: world.like(max_tokens=50),
        "openai": lambda: world.openai(max_tokens=50),
        "responses": world.responses,
        "old anthropic": lambda: world.anthropic("claude-opus-4-0"),
        "anthropic": lambda: world.anthropic("claude-sonnet-4-5"),  # its structured output tells nobody
    }[client]()
    world.says('{"name": "Paris"}', input_tokens=9, output_tokens=9)
    budgets = Budgets([Limit("all", calls=5)])
    with BudgetGuard(budgets) as guard:
        done = ask(llm)
        if asyncio.iscoroutine(done):
            await done
            del done
        gc.collect()
        is_missed = client == "anthropic"
        assert (budgets.status("all").spent_calls, guard.unguarded_calls) == (not is_missed, is_missed)
    assert world.provider.count() == 1


async def test_a_workflow_that_began_before_the_guard_stays_stopped(world):
    """Nobody saw it begin, so that its steps have nothing in common but its run."""
    llm, began, go_on = world.like(max_tokens=50), asyncio.Event(), asyncio.Event()

    class TwoSteps(Workflow):
        @step
        async def first(self, event: StartEvent) -> Asked:
            began.set()
            await go_on.wait()
            with contextlib.suppress(BudgetExceededError):
                await llm.achat([ChatMessage(content="word " * 200)])
            return Asked()

        @step
        async def second(self, event: Asked) -> StopEvent:
            return StopEvent(result=str(await llm.achat(HI)))

    running = TwoSteps().run()
    await began.wait()
    with BudgetGuard(Budgets([Limit("request", tokens=100)])) as guard:
        go_on.set()
        with pytest.raises(BudgetExceededError) as caught:
            await running
    assert caught.value.rule == "run stopped"
    assert guard.refused_calls == 2
    assert world.provider.requests == []


async def test_a_router_can_read_which_tier_a_limit_asks_for(world):
    world.engine.always(ProviderAnswer(text="x", usage=ProviderUsage(input_tokens=9, output_tokens=9)))
    llm, asked = world.like(max_tokens=50), []

    class Routed(Workflow):
        @step
        async def ask(self, event: StartEvent) -> StopEvent:
            asked.append(await guard.adowngrade_to())
            return StopEvent(result=str(await llm.achat(HI)))

    soft = Limit("user", calls=1, action="downgrade:cheap")
    with BudgetGuard(Budgets([soft, Limit("user", calls=9)])) as guard:
        for _ in range(2):
            with instrument_tags({"user_id": "ada"}):
                asked.append(guard.downgrade_to())
                await Routed().run()
        assert asked == [None, None, "cheap", "cheap"]
        assert guard.downgrade_to() is None  # nobody's
        assert guard.downgrade_to(Attribution(user="ada")) == "cheap"


async def test_a_tier_is_not_asked_of_a_store_that_is_away(tmp_path):
    store = SQLiteBudgetStore(tmp_path / "budget.db")
    guard = BudgetGuard(Budgets([Limit("all", calls=1, action="downgrade:cheap")], store))
    assert guard.downgrade_to() is await guard.adowngrade_to() is None
    store.close()
    for path in tmp_path.iterdir():
        path.unlink()
    (tmp_path / "budget.db").mkdir()
    assert guard.downgrade_to() is await guard.adowngrade_to() is None
