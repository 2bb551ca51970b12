"""An agent is served from the cache turn by turn, with its budget spent too, and its thread stays whole."""

import asyncio
import inspect

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import AgentMiddleware, ModelRetryMiddleware
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from pydantic import BaseModel

from examples.provider import Fail, ProviderAnswer, ProviderUsage, ToolCall
from langchain_tokenomics import (
    BudgetCallbackHandler,
    BudgetExceededError,
    BudgetMiddleware,
    CachingMiddleware,
    SemanticCache,
    track_cost,
)
from langchain_tokenomics.cache import MARK
from tests.prices_by_hand import usd
from tokenomics_core.budgets import Budgets, Limit
from tokenomics_core.cache.content_guards import DEFAULT_GUARDS

pytestmark = pytest.mark.filterwarnings("ignore:coroutine 'ahandle_event' was never awaited:RuntimeWarning")

QUESTION = "How do I reset my password?"
OTHER = "Where do I see my invoices?"
ONE_CALL = usd("gpt-4o", input=100, output=20)
USAGE = ProviderUsage(input_tokens=100, output_tokens=20)


@tool
def search(query: str) -> str:
    """Search."""
    return f"found {query}"


class Answer(BaseModel):
    """An answer."""

    number: int


@pytest.fixture
def cache():
    made = SemanticCache()
    yield made
    made.close()
    assert made.failures == 0


@pytest.fixture(autouse=True)
async def connections_closed():
    """Let the loop end what clients have begun to close."""
    yield
    for _ in range(5):
        await asyncio.sleep(0)


@pytest.fixture(params=["invoke", "ainvoke"])
def ask(request):
    """Ask an agent, from sync and from async code, which are served alike."""

    async def run(agent, question=QUESTION, config=None):
        answer = getattr(agent, request.param)({"messages": [("human", question)]}, config)
        return (await answer if inspect.isawaitable(answer) else answer)["messages"]

    return run


def counted(world, text="Open the settings.", **more):
    world.engine.always(ProviderAnswer(text=text, usage=USAGE, **more))


def agent_of(world, *middleware, model=None, tools=(search,), **settings):
    return create_agent(model or world.openai(), tools=list(tools), middleware=list(middleware), **settings)


async def test_a_question_is_served_again_also_in_other_words(world, cache, ask):
    counted(world)
    agent = agent_of(world, CachingMiddleware(cache), system_prompt="You help in a shop.")
    first, second = await ask(agent), await ask(agent, "How can I reset my password?")
    assert world.provider.count() == 1
    assert [message.content for message in second] == ["How can I reset my password?", "Open the settings."]
    assert second[-1].response_metadata[MARK]["kind"] == "semantic"
    assert first[-1].id != second[-1].id
    other = agent_of(world, CachingMiddleware(cache), system_prompt="You help in a bank.")
    await ask(other)
    assert world.provider.count() == 2


async def test_two_hits_in_one_thread_replace_no_earlier_turn(world, cache, ask):
    counted(world)
    agent = agent_of(world, CachingMiddleware(cache), checkpointer=InMemorySaver())
    config = {"configurable": {"thread_id": "one"}}
    for _ in range(2):
        await ask(agent, QUESTION, {"configurable": {"thread_id": "first"}})
    for _ in range(2):
        messages = await ask(agent, QUESTION, config)
    assert world.provider.count() == 2
    assert [type(message) for message in messages] == [HumanMessage, AIMessage, HumanMessage, AIMessage]
    assert len({message.id for message in messages}) == 4
    assert all(MARK in message.response_metadata for message in messages if message.type == "ai")


async def test_turns_that_call_tools_are_asked_and_their_results_served_word_for_word(world, cache, ask):
    def step(request):
        if request.turns[-1].role == "tool":
            return ProviderAnswer(text="Done.", usage=USAGE)
        call = ToolCall(name="search", arguments={"query": "x"}, id=f"call_{world.provider.count()}")
        return ProviderAnswer(text="", usage=USAGE, tool_calls=(call,))

    world.engine.always(step)
    agent = agent_of(world, CachingMiddleware(cache))
    first, second = await ask(agent), await ask(agent)
    assert [message.content for message in first] == [message.content for message in second]
    assert world.provider.count() == 3  # the call of the tool twice, what followed from its result once
    assert first[1].tool_calls[0]["id"] != second[1].tool_calls[0]["id"]
    await ask(agent, "How can I reset my password?")
    assert world.provider.count() == 5


async def test_calls_of_tools_are_served_where_the_guards_allow_it(world, ask):
    counted(world)
    world.says(
        "", tool_calls=(ToolCall(name="search", arguments={"query": "x"}, id="call_1"),), input_tokens=9
    )
    allowed = [guard for guard in DEFAULT_GUARDS if guard.name != "tool_calls"]
    agent = agent_of(world, CachingMiddleware(SemanticCache(guards=allowed)))
    first, second = await ask(agent), await ask(agent)
    assert world.provider.count() == 2
    assert [message.type for message in second] == ["human", "ai", "tool", "ai"]
    assert first[1].tool_calls[0]["id"] != second[1].tool_calls[0]["id"] == second[2].tool_call_id


# Budgets


async def test_outside_a_spent_budget_hits_are_served(world, cache, ask):
    counted(world)
    budgets = Budgets([Limit("all", usd="0.05")])
    agent = agent_of(world, CachingMiddleware(cache), BudgetMiddleware(budgets, wrap_up_at=None))
    assert (await ask(agent))[-1].content == "Open the settings."
    hold = budgets.reserve(usd="0.0495")
    refused = (await ask(agent, OTHER))[-1]
    assert refused.content.startswith("Stopped by a budget")
    assert (await ask(agent))[-1].content == "Open the settings."
    budgets.release(hold)
    assert (await ask(agent, OTHER))[-1].content == "Open the settings."  # the refusal was not kept
    status = budgets.status("all")
    assert (status.spent_usd, status.held_usd, status.spent_calls) == (2 * ONE_CALL, 0, 2)


async def test_inside_a_budget_hits_settle_at_nothing_and_a_spent_one_refuses_them(world, cache, ask):
    counted(world)
    budgets = Budgets([Limit("all", usd="5.00")])
    agent = agent_of(world, BudgetMiddleware(budgets), CachingMiddleware(cache))
    for _ in range(3):
        assert (await ask(agent))[-1].content == "Open the settings."
    assert world.provider.count() == 1
    status = budgets.status("all")
    assert (status.spent_usd, status.held_usd, status.spent_calls) == (ONE_CALL, 0, 1)
    hold = budgets.reserve(usd=5 - ONE_CALL)
    assert (await ask(agent))[-1].content.startswith("Stopped by a budget")
    budgets.release(hold)


async def test_a_handlers_spent_budget_does_not_keep_hits_back_either(world, cache, ask):
    counted(world)
    budgets = Budgets([Limit("all", usd="0.05")])
    config = {"callbacks": [BudgetCallbackHandler(budgets)]}
    agent = agent_of(world, CachingMiddleware(cache))
    await ask(agent, QUESTION, config)
    budgets.reserve(usd="0.0495")
    assert (await ask(agent, QUESTION, config))[-1].content == "Open the settings."
    with pytest.raises(BudgetExceededError):
        await ask(agent, OTHER, config)


async def test_an_answer_to_a_request_that_was_changed_on_the_way_is_not_kept(world, cache, ask):
    counted(world)
    budgets = Budgets([Limit("all", usd="0.10")])
    budgets.settle(budgets.reserve(usd="0.085"), usd="0.085")
    agent = agent_of(world, CachingMiddleware(cache), BudgetMiddleware(budgets, wrap_up_at=0.8))
    await ask(agent)
    await ask(agent)
    assert world.provider.count() == 2  # the model was told to wrap up


async def test_another_question_of_the_same_words_is_not_taken_for_the_turn(world, cache, ask):
    class Judge(AgentMiddleware):
        def wrap_model_call(self, request, handler):
            request.model.with_structured_output(Answer).invoke(request.messages)
            return handler(request)

        async def awrap_model_call(self, request, handler):
            await request.model.with_structured_output(Answer).ainvoke(request.messages)
            return await handler(request)

    world.says('{"number": 7}', input_tokens=9)
    counted(world)
    agent = agent_of(world, CachingMiddleware(cache), Judge(), tools=())
    assert (await ask(agent))[-1].content == "Open the settings."
    plain = agent_of(world, CachingMiddleware(cache), tools=())
    assert (await ask(plain))[-1].content == "Open the settings."


# Callbacks, streams, composition


async def test_trackers_see_each_turn_once(world, cache, ask):
    counted(world)
    agent = agent_of(world, CachingMiddleware(cache))
    with track_cost() as cost:
        await ask(agent)
        await ask(agent)
    assert [record.source for record in cost.calls] == ["model", "cache"]
    assert cost.total_usd == cost.avoided_usd == ONE_CALL


async def test_a_streamed_agent_is_served_in_pieces(world, cache):
    counted(world)
    agent = agent_of(world, CachingMiddleware(cache))
    given = {"messages": [("human", QUESTION)]}

    def said(stream):
        return [piece.content for piece, _ in stream if piece.type == "AIMessageChunk" and piece.content]

    first = said(agent.stream(given, stream_mode="messages"))
    second = said(agent.stream(given, stream_mode="messages"))
    third = said([each async for each in agent.astream(given, stream_mode="messages")])
    assert first == second == third
    assert len(first) > 1
    assert world.provider.count() == 1


async def test_a_response_format_is_read_anew(world, cache, ask):
    counted(world, text='{"number": 7}')
    from langchain.agents.structured_output import ProviderStrategy

    agent = agent_of(world, CachingMiddleware(cache), tools=(), response_format=ProviderStrategy(Answer))
    for _ in range(2):
        found = agent.invoke({"messages": [("human", QUESTION)]})
        assert found["structured_response"] == Answer(number=7)
    assert world.provider.count() == 1


async def test_a_retry_inside_is_kept(world, cache, ask):
    counted(world)
    world.provider.inject(Fail(status=500), times=1)
    retry = ModelRetryMiddleware(max_retries=1, initial_delay=0, jitter=False)
    agent = agent_of(world, CachingMiddleware(cache), retry)
    assert (await ask(agent))[-1].content == "Open the settings."
    assert (await ask(agent))[-1].content == "Open the settings."
    assert world.provider.count() == 2


async def test_what_a_middleware_says_in_place_of_the_model_is_not_kept(world, cache, ask):
    world.provider.inject(Fail(status=500), times=1)
    counted(world)
    retry = ModelRetryMiddleware(max_retries=0, on_failure="continue")
    agent = agent_of(world, CachingMiddleware(cache), retry)
    assert "failed" in (await ask(agent))[-1].content
    assert (await ask(agent))[-1].content == "Open the settings."


async def test_equal_turns_in_flight_are_one_call(world, cache):
    waiting = asyncio.Event()
    loop = asyncio.get_running_loop()
    came = []

    def step(request):
        came.append(request)
        asyncio.run_coroutine_threadsafe(waiting.wait(), loop).result(20)
        return ProviderAnswer(text="Open the settings.", usage=USAGE)

    world.engine.always(step)
    agent = agent_of(world, CachingMiddleware(cache))
    asked = [asyncio.create_task(agent.ainvoke({"messages": [("human", QUESTION)]})) for _ in range(20)]
    while not came:
        await asyncio.sleep(0)
    waiting.set()
    assert {(await each)["messages"][-1].content for each in asked} == {"Open the settings."}
    assert world.provider.count() == 1


async def test_a_model_with_a_cache_of_its_own_keeps_it(world, cache, ask):
    counted(world)
    own = SemanticCache()
    agent = agent_of(world, CachingMiddleware(cache), model=own.cached(world.openai()))
    await ask(agent)
    await ask(agent)
    assert world.provider.count() == 1
    assert cache.stats().requests == 0
    shared = agent_of(world, CachingMiddleware(own), model=own.cached(world.openai()))
    await ask(shared, OTHER)
    await ask(shared, OTHER)
    assert world.provider.count() == 2
