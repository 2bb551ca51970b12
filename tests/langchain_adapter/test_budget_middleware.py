"""An agent is warned, downgraded and ended by its budget, never spends more, and loses no work."""

from __future__ import annotations

import asyncio
import inspect
import subprocess
import sys
from decimal import Decimal

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import AgentMiddleware, ModelRetryMiddleware
from langchain.agents.middleware.types import ModelResponse
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.tools import StructuredTool, tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command, interrupt
from pydantic import BaseModel

from examples.provider import Fail, ProviderAnswer, ProviderUsage, Stall, ToolCall
from langchain_tokenomics import (
    BudgetCallbackHandler,
    BudgetExceededError,
    BudgetMiddleware,
    attribution,
    track_cost,
)
from langchain_tokenomics.middleware import WRAP_UP_MESSAGE
from tests.prices_by_hand import usd
from tokenomics_core import ConfigurationError
from tokenomics_core.budgets import Budgets, Limit, LoopGuard, SQLiteBudgetStore

pytestmark = pytest.mark.filterwarnings("ignore:coroutine 'ahandle_event' was never awaited:RuntimeWarning")

HI = {"messages": [("human", "hi")]}
PLAIN = {"input_tokens": 100, "output_tokens": 20}
ONE_CALL = usd("gpt-4o", input=100, output=20)
ONE_MINI_CALL = usd("gpt-4o-mini", input=100, output=20)


class Answer(BaseModel):
    """An answer with a number in it."""

    number: int


searched = []


@tool
def search(query: str) -> str:
    """Search."""
    searched.append(query)
    return f"found {query}"


@pytest.fixture(autouse=True)
def nothing_searched():
    searched.clear()


@pytest.fixture(autouse=True)
async def connections_closed():
    """Let the loop end what clients have begun to close."""
    yield
    for _ in range(5):
        await asyncio.sleep(0)


@pytest.fixture(params=["memory", "sqlite"])
def store(request, tmp_path):
    if request.param == "memory":
        yield None
        return
    made = SQLiteBudgetStore(tmp_path / "budgets.db")
    yield made
    made.close()


@pytest.fixture(params=["invoke", "ainvoke"])
def ask(request):
    """Ask an agent, from sync and from async code, which decide alike."""

    async def run(agent, given=HI, config=None):
        answer = getattr(agent, request.param)(given, config)
        return await answer if inspect.isawaitable(answer) else answer

    return run


def searches(world, times, *, same=False, **usage):
    """Let the model ask for a search so many times, each for something else."""
    for number in range(times):
        call = ToolCall(
            name="search", arguments={"query": f"q{0 if same else number}"}, id=f"call_{number}_{usage}"
        )
        world.says("", tool_calls=(call,), **(usage or PLAIN))


def searches_for_ever(world, **usage):
    numbers = iter(range(10_000))

    def step(request):
        number = next(numbers)
        call = ToolCall(name="search", arguments={"query": f"q{number}"}, id=f"call_{number}")
        return ProviderAnswer(text="", usage=ProviderUsage(**(usage or PLAIN)), tool_calls=(call,))

    world.engine.always(step)


def agent_of(world, limits, store=None, *, model=None, tools=(search,), inner=(), agent=None, **settings):
    budgets = Budgets([limits] if isinstance(limits, Limit) else limits, store)
    middleware = [BudgetMiddleware(budgets, **settings), *inner]
    made = create_agent(model or world.openai(), tools=list(tools), middleware=middleware, **(agent or {}))
    return budgets, made


def bodies(world):
    return [request.body for request in world.provider.requests]


def texts(body):
    return [message["content"] for message in body["messages"]]


# The bound


async def test_every_request_carries_a_bound_that_fits_what_is_left(world, ask, store):
    searches_for_ever(world, input_tokens=100, output_tokens=300)
    limit = Decimal("0.02")
    budgets, agent = agent_of(world, Limit("all", usd=limit), store, wrap_up_at=None)
    answer = await ask(agent)
    bounds = [body["max_completion_tokens"] for body in bodies(world)]
    assert len(bounds) > 3
    assert bounds == sorted(bounds, reverse=True)
    assert 256 <= bounds[-1] < bounds[0] < 2_000
    status = budgets.status("all")
    assert status.spent_usd == len(bounds) * usd("gpt-4o", input=100, output=300) <= limit
    assert (status.held_usd, status.unconfirmed_usd) == (0, 0)
    assert "Stopped by a budget" in answer["messages"][-1].text


async def test_a_bound_of_the_callers_own_is_never_loosened(world, ask):
    world.says(**PLAIN)
    _, agent = agent_of(world, Limit("all", usd="10"), model=world.openai(max_tokens=77))
    await ask(agent)
    assert [body["max_completion_tokens"] for body in bodies(world)] == [77]


@pytest.mark.parametrize("limit", [Limit("all", calls=5), Limit("user", usd="1")], ids=["calls", "nobody's"])
async def test_where_no_limit_counts_how_long_an_answer_is_none_is_cut(limit, world, ask):
    world.says(**PLAIN)
    budgets, agent = agent_of(world, limit)
    await ask(agent)
    assert "max_completion_tokens" not in bodies(world)[0]
    assert "max_tokens" not in bodies(world)[0]
    if limit.scope == "all":
        assert (budgets.status("all").spent_calls, budgets.status("all").held_calls) == (1, 0)


async def test_the_longest_answer_of_a_model_is_no_bound_of_the_callers(world, ask):
    world.says(**PLAIN)
    budgets, agent = agent_of(world, Limit("all", usd="10"), model=world.anthropic())
    await ask(agent)
    assert [body["max_tokens"] for body in bodies(world)] == [4096]
    assert budgets.status("all").spent_usd == usd("claude-haiku-4-5", input=100, output=20)


async def test_a_model_that_thinks_gets_room_to_answer_as_well(world, ask):
    world.says(**PLAIN)
    thinking = {"type": "enabled", "budget_tokens": 2000}
    model = world.anthropic("claude-sonnet-4-5", thinking=thinking)
    _, agent = agent_of(world, Limit("all", usd="10"), model=model)
    await ask(agent)
    assert [body["max_tokens"] for body in bodies(world)] == [6096]


async def test_without_fitting_what_does_not_fit_ends_the_run(world, ask):
    budgets, agent = agent_of(world, Limit("all", usd="0.04"), fit_output=False)
    await ask(agent)
    assert world.provider.count() == 0
    assert budgets.status("all").held_usd == 0


# On the way to the limit


async def test_the_model_is_told_once_to_wrap_up_and_the_conversation_does_not_show_it(world, ask, store):
    searches(world, 4)
    world.says("done", **PLAIN)
    limit = Limit("run", usd=6 * ONE_CALL)
    _, agent = agent_of(world, limit, store, wrap_up_at=0.5, min_output_tokens=1)
    answer = await ask(agent)
    told = [texts(body).count(WRAP_UP_MESSAGE) for body in bodies(world)]
    assert told == [0, 0, 0, 1, 1]
    places = [texts(body).index(WRAP_UP_MESSAGE) for body in bodies(world)[3:]]
    assert places[0] == places[1]
    assert WRAP_UP_MESSAGE not in [message.text for message in answer["messages"]]
    assert answer["messages"][-1].text == "done"


@pytest.mark.parametrize(
    ("model", "role"), [("gpt-4o", "user"), ("gpt-4.1-mini", "system")], ids=["by the user", "by the system"]
)
async def test_the_word_to_wrap_up_is_the_systems_where_the_model_takes_that(model, role, world, ask):
    searches(world, 1)
    world.says("done", **PLAIN)
    _, agent = agent_of(world, Limit("run", calls=3), model=world.openai(model), wrap_up_at=0.3)
    await ask(agent)
    told = [item for item in bodies(world)[1]["messages"] if item["content"] == WRAP_UP_MESSAGE]
    assert [item["role"] for item in told] == [role]


async def test_a_model_of_another_provider_is_told_in_its_own_way(world, ask):
    searches(world, 1)
    world.says("done", **PLAIN)
    settings = {"wrap_up_at": 0.3, "downgrade_at": 0.3, "downgrade_to": world.anthropic()}
    _, agent = agent_of(world, Limit("run", calls=3), model=world.openai("gpt-4.1-mini"), **settings)
    assert (await ask(agent))["messages"][-1].text == "done"
    assert WRAP_UP_MESSAGE in str(bodies(world)[1]["messages"][-1]["content"])


async def test_a_cheaper_model_takes_over_before_the_limit(world, ask, store):
    searches(world, 3)
    world.says("done", **PLAIN)
    limit, mini = Limit("run", usd=4 * ONE_CALL), world.openai("gpt-4o-mini")
    budgets, agent = agent_of(
        world, limit, store, wrap_up_at=None, downgrade_at=0.5, downgrade_to=mini, min_output_tokens=1
    )
    with attribution(run="r"):
        answer = await ask(agent)
    assert [body["model"] for body in bodies(world)] == ["gpt-4o", "gpt-4o", "gpt-4o-mini", "gpt-4o-mini"]
    assert budgets.status("run", "r").spent_usd == 2 * ONE_CALL + 2 * ONE_MINI_CALL
    assert answer["messages"][-1].text == "done"


async def test_a_cheaper_model_takes_over_where_the_dearer_one_does_not_fit(world, ask):
    world.says("done", **PLAIN)
    limit, mini = Limit("run", usd="0.002"), world.openai("gpt-4o-mini")
    _, agent = agent_of(world, limit, wrap_up_at=None, downgrade_to=mini)
    assert (await ask(agent))["messages"][-1].text == "done"
    assert [body["model"] for body in bodies(world)] == ["gpt-4o-mini"]


async def test_a_soft_limit_names_the_tier_that_takes_over(world, ask, store):
    searches(world, 2)
    world.says("done", **PLAIN)
    limits = [Limit("run", calls=1, action="downgrade:small"), Limit("all", usd="1")]
    tiers = {"large": world.openai("gpt-4.1-mini"), "small": world.openai("gpt-4o-mini")}
    budgets, agent = agent_of(world, limits, store, downgrade_to=tiers)
    await ask(agent)
    assert [body["model"] for body in bodies(world)] == ["gpt-4o", "gpt-4o-mini", "gpt-4o-mini"]
    status = budgets.status("all")
    assert (status.spent_usd, status.held_usd) == (ONE_CALL + 2 * ONE_MINI_CALL, 0)


async def test_another_providers_model_gets_nothing_that_only_the_first_understands(world, ask):
    world.says("done", **PLAIN)
    marked = HumanMessage([{"type": "text", "text": "hi", "cache_control": {"type": "ephemeral"}}])
    limit = Limit("run", usd="0.001")
    _, agent = agent_of(world, limit, model=world.anthropic(), downgrade_to=world.openai("gpt-4o-mini"))
    await ask(agent, {"messages": [marked]})
    (body,) = bodies(world)
    assert body["model"] == "gpt-4o-mini"
    assert "cache_control" not in str(body)


# At the limit


async def test_at_the_limit_the_agent_ends_with_an_answer_that_says_so(world, ask, store):
    searches_for_ever(world)
    budgets, agent = agent_of(world, Limit("run", calls=3), store)
    answer = await ask(agent)
    last = answer["messages"][-1]
    assert isinstance(last, AIMessage)
    assert "rule: limit" in last.text
    assert last.response_metadata["budget_exceeded"]["scope"] == "run"
    assert world.provider.count() == 3
    assert len(searched) == 3
    assert budgets.counters.overshoots == 0


async def test_the_answer_at_the_limit_can_be_ones_own(world, ask):
    _, agent = agent_of(world, Limit("run", calls=0), end_message=lambda error: f"no more {error.unit}")
    assert (await ask(agent))["messages"][-1].text == "no more calls"


@pytest.mark.parametrize("inner", [(), (ModelRetryMiddleware(initial_delay=0),)], ids=["alone", "with retry"])
async def test_at_the_limit_the_agent_can_raise(inner, world, ask, store):
    searches_for_ever(world)
    _, agent = agent_of(world, Limit("run", calls=2), store, at_limit="raise", inner=inner)
    with pytest.raises(BudgetExceededError, match="of run"):
        await ask(agent)
    assert world.provider.count() == 2


async def test_retry_middleware_around_it_does_not_make_an_answer_of_the_error(world, ask):
    budgets = Budgets([Limit("run", calls=0)])
    middleware = [ModelRetryMiddleware(initial_delay=0), BudgetMiddleware(budgets, at_limit="raise")]
    with pytest.raises(BudgetExceededError):
        await ask(create_agent(world.openai(), tools=[search], middleware=middleware))


async def test_a_function_at_the_limit_may_grant_more(world, ask, store):
    searches(world, 3)
    world.says("done", **PLAIN)
    errors = []

    def grant(error):
        errors.append(error)
        return 2 if len(errors) == 1 else None

    budgets, agent = agent_of(world, Limit("run", calls=2), store, at_limit=grant)
    with attribution(run="r"):
        answer = await ask(agent)
    assert answer["messages"][-1].text == "done"
    assert [type(error) for error in errors] == [BudgetExceededError]
    (line,) = budgets.status("run", "r").lines
    assert (line.limit, line.spent) == (4, 4)


async def test_a_function_at_the_limit_may_grant_money_by_itself_and_say_go_on(world, ask, store):
    world.says("done", **PLAIN)
    budgets = Budgets([Limit(("user", "feature"), usd="0.001", window="day")], store)

    def grant(error):
        budgets.grant(("user", "feature"), ("ada", "a/b"), usd="1")
        return True

    agent = create_agent(world.openai(), middleware=[BudgetMiddleware(budgets, at_limit=grant)])
    with attribution(user="ada", feature="a/b"):
        assert (await ask(agent))["messages"][-1].text == "done"


async def test_a_function_that_always_says_go_on_does_not_go_on_for_ever(world, ask):
    _, agent = agent_of(world, Limit("run", calls=0), at_limit=lambda error: True)
    assert "Stopped" in (await ask(agent))["messages"][-1].text


async def test_an_async_function_may_grant_in_async_agents(world):
    world.says("done", **PLAIN)

    async def grant(error):
        await asyncio.sleep(0)
        return 1

    _, agent = agent_of(world, Limit("run", calls=0), at_limit=grant)
    assert (await agent.ainvoke(HI))["messages"][-1].text == "done"


@pytest.mark.parametrize("approved", [True, False])
async def test_a_person_may_be_asked_and_the_run_goes_on_with_the_answer(approved, world, ask, store):
    searches(world, 1)
    world.says("done", **PLAIN)

    def approve(error):
        return 5 if interrupt({"why": str(error)}) else None

    _, agent = agent_of(
        world, Limit("run", calls=1), store, at_limit=approve, agent={"checkpointer": InMemorySaver()}
    )
    config = {"configurable": {"thread_id": "t"}}
    paused = await ask(agent, HI, config)
    assert "of run" in paused["__interrupt__"][0].value["why"]
    answer = await ask(agent, Command(resume=approved), config)
    assert answer["messages"][-1].text.startswith("done" if approved else "Stopped")
    assert world.provider.count() == (2 if approved else 1)
    assert searched == ["q0"]


# Tools


async def test_a_tool_with_a_price_counts(world, ask, store):
    searches(world, 2)
    world.says("done", **PLAIN)
    budgets, agent = agent_of(world, Limit("all", usd="1"), store, tool_prices={"search": "0.005"})
    await ask(agent)
    status = budgets.status("all")
    assert (status.spent_usd, status.spent_calls) == (3 * ONE_CALL + Decimal("0.01"), 3)
    assert status.held_usd == 0


async def test_a_tool_that_does_not_fit_is_not_called_and_the_model_is_told(world, ask, store):
    searches(world, 1)
    world.says("done without it", **PLAIN)
    _, agent = agent_of(world, Limit("all", usd="0.5"), store, tool_prices={"search": 2})
    answer = await ask(agent)
    refused = answer["messages"][-2]
    assert (refused.status, searched) == ("error", [])
    assert "budget of all" in refused.text
    assert answer["messages"][-1].text == "done without it"


async def test_a_tool_that_fails_is_paid_all_the_same(world, ask, store):
    @tool
    def broken(query: str) -> str:
        """Break."""
        raise OSError("no network")

    call = ToolCall(name="broken", arguments={"query": "x"}, id="c")
    world.says("", tool_calls=(call,), **PLAIN)
    budgets, agent = agent_of(
        world, Limit("all", usd="1"), store, tools=[broken], tool_prices={"broken": "0.1"}
    )
    with pytest.raises(OSError, match="no network"):
        await ask(agent)
    assert budgets.status("all").spent_usd == ONE_CALL + Decimal("0.1")


async def test_a_tool_that_asks_a_person_is_paid_once(world, ask, store):
    @tool
    def book(day: str) -> str:
        """Book."""
        return f"booked: {interrupt('sure?')}"

    world.says("", tool_calls=(ToolCall(name="book", arguments={"day": "x"}, id="c"),), **PLAIN)
    world.says("done", **PLAIN)
    settings = {"tools": [book], "tool_prices": {"book": "0.1"}}
    budgets, agent = agent_of(
        world, Limit("all", usd="1"), store, agent={"checkpointer": InMemorySaver()}, **settings
    )
    config = {"configurable": {"thread_id": "t"}}
    await ask(agent, HI, config)
    assert budgets.status("all").spent_usd == ONE_CALL
    answer = await ask(agent, Command(resume="yes"), config)
    assert answer["messages"][-1].text == "done"
    assert budgets.status("all").spent_usd == 2 * ONE_CALL + Decimal("0.1")


async def test_tools_that_run_at_once_add_up(world, ask, store):
    calls = tuple(ToolCall(name="search", arguments={"query": f"q{i}"}, id=f"c{i}") for i in range(4))
    world.says("", tool_calls=calls, **PLAIN)
    world.says("done", **PLAIN)
    saver = InMemorySaver()
    settings = {"tool_prices": {"search": "0.25"}, "wrap_up_at": None, "agent": {"checkpointer": saver}}
    budgets, agent = agent_of(world, Limit("all", usd="2"), store, **settings)
    config = {"configurable": {"thread_id": "t"}}
    await ask(agent, HI, config)
    assert budgets.status("all").spent_usd == 1 + 2 * ONE_CALL
    spent = agent.get_state(config).values["tokenomics_spent"]
    assert (Decimal(spent["usd"]), spent["calls"]) == (1 + 2 * ONE_CALL, 2)


# Runs that go in circles


async def test_the_same_call_of_a_tool_over_and_over_ends_the_run_by_that_rule(world, ask):
    searches(world, 5, same=True)
    _, agent = agent_of(world, Limit("run", usd="10"))
    answer = await ask(agent)
    assert "same tool call: search" in answer["messages"][-1].text
    assert len(searched) == 3
    assert world.provider.count() == 4


async def test_a_loop_raises_where_limits_raise(world, ask):
    searches(world, 5, same=True)
    _, agent = agent_of(world, Limit("run", usd="10"), at_limit="raise")
    with pytest.raises(BudgetExceededError, match="same tool call: search"):
        await ask(agent)


async def test_a_function_at_the_limit_may_let_a_loop_go_on(world, ask):
    searches(world, 4, same=True)
    world.says("done", **PLAIN)
    asked = []
    _, agent = agent_of(world, Limit("run", usd="10"), at_limit=lambda error: asked.append(error) or True)
    assert (await ask(agent))["messages"][-1].text == "done"
    assert [error.rule for error in asked] == ["same tool call: search"]


async def test_the_same_call_is_no_loop_in_another_run_or_where_nobody_looks(world, ask):
    _, agent = agent_of(world, Limit("run", usd="10"))
    for _ in range(2):
        searches(world, 3, same=True)
        world.says("done", **PLAIN)
        assert (await ask(agent))["messages"][-1].text == "done"
    searches(world, 5, same=True)
    world.says("done", **PLAIN)
    _, agent = agent_of(world, Limit("run", usd="10"), detect_loops=False)
    assert (await ask(agent))["messages"][-1].text == "done"


async def test_a_run_that_spends_many_times_faster_than_it_did_ends_by_that_rule(world, ask):
    seconds = iter(range(0, 10_000, 10))
    guard = LoopGuard(min_stretches=2, rate_floor_usd="0.0001", clock=lambda: next(seconds))
    searches(world, 3)
    searches(world, 1, input_tokens=50_000, output_tokens=20)
    world.says("never asked for", **PLAIN)
    _, agent = agent_of(world, Limit("run", usd="10"), loop_guard=guard)
    answer = await ask(agent)
    assert "spend rate" in answer["messages"][-1].text
    assert world.provider.count() == 4


# Who else listens


async def test_a_handler_of_the_same_budgets_counts_no_call_twice(world, ask, store):
    searches(world, 1)
    world.says("done", **PLAIN)
    budgets, agent = agent_of(world, Limit("all", usd="1"), store)
    with track_cost() as report:
        await ask(agent, HI, {"callbacks": [BudgetCallbackHandler(budgets)]})
    status = budgets.status("all")
    assert (status.spent_usd, status.spent_calls, status.held_usd) == (2 * ONE_CALL, 2, 0)
    assert report.total_usd == 2 * ONE_CALL


async def test_a_run_is_the_same_for_the_budget_and_the_bill(world, ask):
    world.says("done", **PLAIN)
    budgets, agent = agent_of(world, Limit("run", usd="1"))
    with track_cost() as report:
        await ask(agent)
    assert budgets.status("run", report.calls[0].attribution.run).spent_usd == ONE_CALL


async def test_what_an_inner_cache_answers_holds_and_costs_nothing(world, ask, store):
    class Cached(AgentMiddleware):
        def wrap_model_call(self, request, handler):
            return ModelResponse([AIMessage("from the cache")])

        async def awrap_model_call(self, request, handler):
            return ModelResponse([AIMessage("from the cache")])

    budgets, agent = agent_of(world, Limit("all", usd="1"), store, inner=[Cached()])
    assert (await ask(agent))["messages"][-1].text == "from the cache"
    status = budgets.status("all")
    assert (status.spent_usd, status.held_usd, status.spent_calls) == (0, 0, 0)


async def test_each_attempt_of_an_inner_retry_is_reserved_and_only_the_paid_one_booked(world, ask, store):
    world.provider.inject(Fail(status=500))
    world.says("done", **PLAIN)
    inner = [ModelRetryMiddleware(initial_delay=0)]
    budgets, agent = agent_of(world, Limit("all", usd="1"), store, inner=inner)
    assert (await ask(agent))["messages"][-1].text == "done"
    status = budgets.status("all")
    assert (status.spent_usd, status.spent_calls, status.held_usd) == (ONE_CALL, 1, 0)
    assert world.provider.count() == 2


async def test_an_error_of_the_provider_frees_what_was_held(world, ask, store):
    world.provider.inject(Fail(status=500))
    budgets, agent = agent_of(world, Limit("all", usd="1"), store)
    with pytest.raises(Exception, match="500"):
        await ask(agent)
    status = budgets.status("all")
    assert (status.spent_usd, status.held_usd) == (0, 0)


async def test_a_cancelled_agent_pays_for_its_input_and_holds_nothing(world, store):
    stall = Stall()
    world.provider.inject(stall, times=None)
    budgets, agent = agent_of(world, Limit("all", usd="1"), store)
    task = asyncio.create_task(agent.ainvoke(HI))
    await asyncio.to_thread(stall.reached.wait)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    status = budgets.status("all")
    assert (status.held_usd, status.unconfirmed_usd, status.spent_calls) == (0, 0, 1)
    assert 0 < status.spent_usd < ONE_CALL


@pytest.mark.parametrize("mode", ["messages", "values", "updates"])
async def test_a_streamed_agent_is_held_too(mode, world, store):
    searches_for_ever(world)
    budgets, agent = agent_of(world, Limit("all", calls=2), store)
    list(agent.stream(HI, stream_mode=mode))
    assert world.provider.count() == 2
    budgets.grant("all", calls=2)
    [_ async for _ in agent.astream(HI, stream_mode=mode)]
    assert world.provider.count() == 4


async def test_a_structured_answer_comes_through(world, ask):
    world.says('{"number": 7}', **PLAIN)
    budgets, agent = agent_of(world, Limit("all", usd="1"), tools=(), agent={"response_format": Answer})
    assert (await ask(agent))["structured_response"] == Answer(number=7)
    assert budgets.status("all").spent_usd == ONE_CALL


# Threads and sub-agents


async def test_a_conversation_is_held_over_its_invocations_and_its_checkpoint_says_what_it_spent(
    world, ask, store
):
    saver = InMemorySaver()
    budgets, agent = agent_of(
        world, Limit("conversation", calls=2), store, agent={"checkpointer": saver}, wrap_up_at=None
    )
    config = {"configurable": {"thread_id": "t"}}
    for _ in range(2):
        world.says("done", **PLAIN)
        answer = await ask(agent, HI, config)
        assert answer["messages"][-1].text == "done"
        assert not [key for key in answer if key.startswith("tokenomics")]
    assert "Stopped" in (await ask(agent, HI, config))["messages"][-1].text
    spent = agent.get_state(config).values["tokenomics_spent"]
    assert spent == {"usd": format(2 * ONE_CALL, "f"), "tokens": 240, "calls": 2} | {"usd": spent["usd"]}
    assert Decimal(spent["usd"]) == 2 * ONE_CALL == budgets.status("conversation", "t").spent_usd
    world.says("done", **PLAIN)
    other = {"configurable": {"thread_id": "u"}}
    assert (await ask(agent, HI, other))["messages"][-1].text == "done"


async def test_a_checkpoint_outlives_the_store_that_knew_of_the_spend(world, ask):
    saver = InMemorySaver()
    config = {"configurable": {"thread_id": "t"}}
    limit = Limit("conversation", usd=3 * ONE_CALL)
    world.says("done", **PLAIN)
    settings = {"wrap_up_at": None, "min_output_tokens": 1}
    _, agent = agent_of(world, limit, agent={"checkpointer": saver}, **settings)
    await ask(agent, HI, config)

    world.says("done", **PLAIN)
    again, agent = agent_of(world, limit, agent={"checkpointer": saver}, **settings)
    await ask(agent, HI, config)
    status = again.status("conversation", "t")
    assert (status.spent_usd, status.spent_calls, status.held_usd) == (2 * ONE_CALL, 2, 0)


def boss_and_helper(world, budgets, *, held=True):
    """Return an agent whose tool asks another agent, which has a budget of its own or none."""
    middleware = [BudgetMiddleware(budgets)] if held else []
    helper = create_agent(world.openai("gpt-4o-mini"), tools=[search], middleware=middleware)

    def ask_helper(question: str) -> str:
        return helper.invoke({"messages": [("human", question)]})["messages"][-1].text

    async def aask_helper(question: str) -> str:
        return (await helper.ainvoke({"messages": [("human", question)]}))["messages"][-1].text

    asks = StructuredTool.from_function(
        ask_helper, aask_helper, name="ask_helper", description="Ask the helper."
    )
    numbers = iter(range(1000))

    def boss(request):
        number = next(numbers)
        call = ToolCall(name="ask_helper", arguments={"question": f"{number}?"}, id=f"a{number}")
        return ProviderAnswer(text="", usage=ProviderUsage(**PLAIN), tool_calls=(call,))

    world.engine.always(boss, model="gpt-4o")
    world.engine.always(ProviderAnswer(text="help", usage=ProviderUsage(**PLAIN)), model="gpt-4o-mini")
    middleware = [BudgetMiddleware(budgets, wrap_up_at=None)]
    return create_agent(world.openai(), tools=[asks], middleware=middleware, checkpointer=InMemorySaver())


@pytest.mark.parametrize("held", [True, False], ids=["with a budget", "without one"])
async def test_a_sub_agent_draws_on_the_run_and_stands_on_its_callers_bill(held, world, ask, store):
    budgets = Budgets([Limit("run", calls=5)], store)
    config = {"configurable": {"thread_id": "t"}}
    boss = boss_and_helper(world, budgets, held=held)
    with track_cost() as report:
        answer = await ask(boss, HI, config)
    (run,) = {record.attribution.run for record in report.calls}
    status = budgets.status("run", run)
    spent = 3 * ONE_CALL + 2 * ONE_MINI_CALL
    assert (status.spent_calls, status.spent_usd, status.held_usd) == (5, spent, 0)
    carried = boss.get_state(config).values["tokenomics_spent"]
    assert (Decimal(carried["usd"]), carried["calls"]) == (spent, 5)
    assert "Stopped" in answer["messages"][-1].text


@pytest.mark.parametrize("held", [True, False], ids=["with a budget", "without one"])
async def test_a_sub_agent_is_in_the_run_whoever_else_listens(held, world, ask):
    boss = boss_and_helper(world, Budgets([Limit("run", calls=4)]), held=held)
    await ask(boss, HI, {"configurable": {"thread_id": "t"}})
    assert world.provider.count() == 4


async def test_a_model_that_a_tool_asks_is_held_as_well(world, ask):
    helper = world.openai("gpt-4o-mini", max_tokens=50)

    @tool
    def ask_helper(question: str) -> str:
        """Ask the helper."""
        return helper.invoke(question).text

    world.says("", tool_calls=(ToolCall(name="ask_helper", arguments={"question": "?"}, id="c"),), **PLAIN)
    _, agent = agent_of(world, Limit("run", calls=1), tools=[ask_helper])
    answer = await ask(agent)
    assert answer["messages"][-2].status == "error"
    assert "Stopped" in answer["messages"][-1].text
    assert world.provider.count() == 1


# Settings


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("wrap_up_at", 0),
        ("wrap_up_at", 1.5),
        ("downgrade_at", True),
        ("at_limit", "explode"),
        ("max_output_tokens", 0),
        ("min_output_tokens", 2.5),
    ],
)
def test_a_wrong_setting_is_refused_and_quoted(setting, value):
    with pytest.raises(ConfigurationError, match=setting) as caught:
        BudgetMiddleware(Budgets([Limit("run", usd="1")]), **{setting: value})
    assert repr(value) in str(caught.value)


def test_without_langchain_the_rest_works_and_the_message_names_the_install_line():
    code = (
        "import sys, importlib.abc\n"
        "class Hide(importlib.abc.MetaPathFinder):\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] in ('langchain', 'langgraph'): raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, Hide())\n"
        "from langchain_tokenomics import BudgetCallbackHandler\n"
        "try: from langchain_tokenomics import BudgetMiddleware\n"
        "except ImportError as error: print(type(error).__name__, error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install 'token-economics[agents]'" in done.stdout
