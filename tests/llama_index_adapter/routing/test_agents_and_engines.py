"""Agents and engines work over a router: one decision per ask, and budgets lower it."""

import pytest
from llama_index.core import Document, SummaryIndex
from llama_index.core.agent.workflow import AgentWorkflow, FunctionAgent, ReActAgent
from llama_index.core.base.llms.types import ChatMessage, ToolCallBlock
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.tools import FunctionTool

from examples.provider import ProviderError, ToolCall
from llama_index_tokenomics import BudgetGuard, CachingLLM, RoutingLLM, attribution, track_cost
from llama_index_tokenomics.router import MARK
from tests.llama_index_adapter.routing.kit import (
    CHEAP,
    DEAR,
    EASY,
    HARD,
    USED,
    ask,
    models_asked,
    routed,
    settings,
    user,
)
from tokenomics_core.budgets import Budgets, Limit
from tokenomics_core.errors import BudgetExceededError
from tokenomics_core.routing.classifiers import FunctionClassifier
from tokenomics_core.types import Attribution


def look_up(what: str) -> str:
    """Look a word up."""
    return f"the hard truth about {what}"


TOOL = FunctionTool.from_defaults(look_up)
CALL = (ToolCall(name="look_up", arguments={"what": "refunds"}),)


def agent(llm, **how):
    return FunctionAgent(tools=[TOOL], llm=llm, **how)


@pytest.mark.parametrize("streaming", [True, False])
@pytest.mark.parametrize("client", ["like", "openai"])
async def test_a_tool_loop_keeps_to_the_tier_of_its_ask(world, streaming, client):
    llm = routed(world, client)
    for question in (EASY, HARD):
        world.says("", tool_calls=CALL, **USED)
        world.says("done", **USED)
        with track_cost() as cost:
            answer = await agent(llm, streaming=streaming).run(question)
        assert str(answer) == "done"
        assert len(cost.calls) == 2
    assert models_asked(world) == [CHEAP, CHEAP, DEAR, DEAR]
    assert (llm.stats().decisions, llm.stats().sticky) == (2, 2)


async def test_a_loop_stays_where_it_began_though_the_router_would_now_choose_otherwise(world):
    tiers = iter(["dear", "cheap", "cheap"])
    llm = routed(world, classifier=FunctionClassifier(lambda request, all_: next(tiers)))
    world.says("", tool_calls=CALL, **USED)
    world.says("done", **USED)
    await agent(llm).run(EASY)
    world.says("again", **USED)
    await agent(llm).run(EASY)
    assert models_asked(world) == [DEAR, DEAR, CHEAP]


def test_a_loop_of_ones_own_is_one_ask_and_the_same_question_later_is_another(world):
    tiers = iter(["dear", "cheap", "cheap"])
    llm = routed(world, classifier=FunctionClassifier(lambda request, all_: next(tiers)))
    block = ToolCallBlock(tool_call_id="1", tool_name="look_up", tool_kwargs={"what": "x"})
    result = ChatMessage(role="tool", content="hard", additional_kwargs={"tool_call_id": "1"})
    for _ in range(4):
        world.says("ok", **USED)
    llm.chat_with_tools([TOOL], EASY)
    llm.chat_with_tools([TOOL], chat_history=[*user(), ChatMessage(role="assistant", blocks=[block]), result])
    llm.chat_with_tools([TOOL], EASY)
    llm.chat([*user(), ChatMessage(role="assistant", blocks=[block]), result])
    assert models_asked(world) == [DEAR, DEAR, CHEAP, CHEAP]


def test_loops_of_two_users_over_the_same_question_stay_apart(world):
    tiers = iter(["dear", "cheap"])
    llm = routed(world, classifier=FunctionClassifier(lambda request, all_: next(tiers)))
    block = ToolCallBlock(tool_call_id="1", tool_name="look_up", tool_kwargs={"what": "x"})
    result = ChatMessage(role="tool", content="hard", additional_kwargs={"tool_call_id": "1"})
    for _ in range(4):
        world.says("ok", **USED)
    for user_id in ("ada", "bob"):
        with attribution(user=user_id):
            llm.chat_with_tools([TOOL], EASY)
    for user_id in ("ada", "bob"):
        with attribution(user=user_id):
            llm.chat([*user(), ChatMessage(role="assistant", blocks=[block]), result])
    assert models_asked(world) == [DEAR, CHEAP, DEAR, CHEAP]


async def test_observations_and_state_are_no_asks(world):
    llm = routed(world)
    world.says('Thought: I need it.\nAction: look_up\nAction Input: {"what": "x"}', **USED)
    world.says("Thought: I can answer.\nAnswer: done", **USED)
    assert str(await ReActAgent(tools=[TOOL], llm=llm).run(EASY)) == "done"
    world.says("done", **USED)
    workflow = AgentWorkflow(
        agents=[agent(llm, name="a", description="b")], initial_state={"mood": "hard"}, root_agent="a"
    )
    assert str(await workflow.run(EASY)) == "done"
    assert models_asked(world) == [CHEAP] * 3


async def test_agents_fall_back_and_tools_are_read_by_the_model_that_answered(world):
    llm = routed(world)
    world.engine.queue(ProviderError(429, "slow down"), model=CHEAP)
    world.says("", model=DEAR, tool_calls=CALL, **USED)
    world.says("done", model=DEAR, **USED)
    assert str(await agent(llm).run(EASY)) == "done"
    assert models_asked(world) == [CHEAP, DEAR, DEAR]
    assert llm.stats().tiers["cheap"].errors == 1


async def test_providers_may_be_mixed_in_one_agent(world):
    llm = RoutingLLM({"cheap": world.like(CHEAP), "dear": world.anthropic()}, **settings())
    for question in (EASY, HARD):
        world.says("", tool_calls=CALL, **USED)
        world.says("done", **USED)
        assert str(await agent(llm).run(question)) == "done"
    assert models_asked(world) == [CHEAP] * 2 + ["claude-haiku-4-5"] * 2


def test_a_callers_history_is_left_as_it_was(world):
    world.says("ok", **USED)
    history = user("Hello")
    routed(world, "openai").chat_with_tools([TOOL], EASY, chat_history=history)
    assert len(history) == 1


@pytest.mark.parametrize("mode", ["compact", "refine", "tree_summarize", "simple_summarize"])
async def test_an_engine_is_routed_by_its_question(world, mode):
    index = SummaryIndex.from_documents([Document(text="A hard text about refunds.")])
    llm = routed(world)
    for question in (EASY, HARD):
        world.says("found", **USED)
        assert str(index.as_query_engine(llm=llm, response_mode=mode).query(question)) == "found"
        world.says("found", **USED)
        engine = index.as_query_engine(llm=llm, response_mode=mode, streaming=True)
        assert "".join(engine.query(question).response_gen) == "found"
    assert models_asked(world) == [CHEAP, CHEAP, DEAR, DEAR]


@pytest.mark.parametrize("chat_mode", ["simple", "context", "condense_question", "condense_plus_context"])
async def test_chat_engines_talk_through_it(world, chat_mode):
    index = SummaryIndex.from_documents([Document(text="A hard text about refunds.")])
    llm = routed(world)
    memory = ChatMemoryBuffer.from_defaults(llm=llm)
    engine = index.as_chat_engine(llm=llm, chat_mode=chat_mode, memory=memory)
    for _ in range(2):
        world.says("found", **USED)
    assert str(await engine.achat(EASY)) == "found"
    assert set(models_asked(world)) == {CHEAP}


async def test_both_orders_with_a_cache_spare_the_second_call(world):
    llm = CachingLLM(routed(world))
    world.says("four", **USED)
    assert [str(llm.chat(user()).message.content) for _ in range(2)] == ["four"] * 2
    inside = RoutingLLM({"cheap": CachingLLM(world.like(CHEAP)), "dear": world.like(DEAR)}, **settings())
    world.says("vier", **USED)
    with track_cost() as cost:
        for _ in range(2):
            assert inside.chat(user()).message.content == "vier"
    assert [record.avoided_by for record in cost.calls] == ["route", "cache"]
    assert inside.stats().tiers["cheap"].answers == 1


# -- budgets


async def test_a_used_up_soft_limit_lowers_the_tier_of_whoever_asks(world):
    budgets = Budgets(limits=[Limit("user", usd="0.003", window="day", action="downgrade:cheap")])
    llm = routed(world)
    with BudgetGuard(budgets), attribution(user="ada"):
        for _ in range(2):
            world.says("ok", **USED)
        assert llm.chat(user(HARD)).additional_kwargs[MARK]["route_tier"] == "dear"
        lowered = llm.chat(user(HARD)).additional_kwargs[MARK]
        assert lowered["route_tier"] == "cheap"
        assert "budget allows nothing above cheap" in lowered["route_reasons"]
        with attribution(user="bob"):
            world.says("ok", **USED)
            assert (await llm.achat(user(HARD))).additional_kwargs[MARK]["route_tier"] == "dear"
        world.says("ok", **USED)
        assert (await llm.achat(user(HARD))).additional_kwargs[MARK]["route_tier"] == "cheap"


def test_a_limit_that_names_another_routers_tier_is_not_for_this_one(world):
    limits = [
        Limit("user", usd="0.001", window="day", action="downgrade:elsewhere"),
        Limit("user", usd="1", window="month", action="downgrade:cheap"),
    ]
    budgets = Budgets(limits=limits)
    llm = routed(world)
    with BudgetGuard(budgets), attribution(user="ada"):
        for _ in range(2):
            world.says("ok", **USED)
            llm.chat(user(HARD))
    assert models_asked(world) == [DEAR, DEAR]


def test_budgets_may_be_given_without_a_guard(world):
    budgets = Budgets(limits=[Limit("user", usd="0.001", window="day", action="downgrade:cheap")])
    budgets.settle(budgets.reserve(Attribution(user="ada"), usd="0.001"), usd="0.001")
    llm = routed(world, budgets=budgets)
    world.says("ok", **USED)
    with attribution(user="ada"):
        llm.chat(user(HARD))
    assert models_asked(world) == [CHEAP]


@pytest.mark.parametrize("method", ["chat", "stream_chat", "achat", "astream_chat"])
async def test_a_refusal_is_told_and_not_taken_to_the_next_tier(world, method):
    budgets = Budgets(limits=[Limit("user", usd="0.0000001", window="day")])
    llm = routed(world)
    with BudgetGuard(budgets) as guard, attribution(user="ada"):
        with pytest.raises(BudgetExceededError):
            await ask(llm, method, user())
        assert guard.refused_calls == 1
    assert models_asked(world) == []
    assert llm.stats().tiers["cheap"].errors == 0
    assert guard.unguarded_calls == 0


async def test_each_call_of_a_provider_is_held_once(world):
    budgets = Budgets(limits=[Limit("user", calls=10, window="day")])
    llm = routed(world)
    with BudgetGuard(budgets) as guard, attribution(user="ada"):
        world.says("", tool_calls=CALL, **USED)
        world.says("done", **USED)
        await agent(llm).run(EASY)
        assert budgets.status("user", "ada").spent_calls == 2
    assert guard.unguarded_calls == 0
