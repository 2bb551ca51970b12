"""An agent's calls go to one tier per ask, and what stands around keeps its say."""

import asyncio

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import AgentMiddleware, ModelFallbackMiddleware
from langchain.agents.structured_output import ToolStrategy
from langchain_core.messages import HumanMessage, SystemMessage
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from pydantic import BaseModel

from examples.provider import Fail, ProviderAnswer, ProviderUsage, ToolCall
from langchain_tokenomics import (
    BudgetMiddleware,
    CachingMiddleware,
    ModelRouter,
    RoutingMiddleware,
    SemanticCache,
    track_cost,
)
from tests.langchain_adapter.routing.test_cascade import Sure
from tests.langchain_adapter.routing.test_model_router import ByWord
from tests.prices_by_hand import usd
from tokenomics_core import ConfigurationError
from tokenomics_core.budgets import Budgets, Limit
from tokenomics_core.routing import Cascade, Threshold, Tier

pytestmark = pytest.mark.filterwarnings("ignore:coroutine 'ahandle_event' was never awaited:RuntimeWarning")

CHEAP, DEAR, OTHER = "gpt-4o-mini", "gpt-4o", "gpt-4.1-nano"
EASY, HARD = "What is the capital of France?", "Prove it, step by step."
CHEAP_CALL = usd(CHEAP, input=100, output=20)
DEAR_CALL = usd(DEAR, input=100, output=20)
USAGE = ProviderUsage(input_tokens=100, output_tokens=20)


@tool
def search(query: str) -> str:
    """Search."""
    return f"prove that {query}"


class Capital(BaseModel):
    """A capital."""

    name: str


@pytest.fixture(autouse=True)
async def connections_closed():
    """Let the loop end what clients have begun to close."""
    yield
    for _ in range(5):
        await asyncio.sleep(0)


@pytest.fixture
def answers(world):
    """Let every model call the tool once and then answer with its name."""

    def answer(request):
        has_result = any(turn.role == "tool" for turn in request.turns)
        if request.tools and not has_result:
            return ProviderAnswer(
                text="", tool_calls=[ToolCall(name="search", arguments={"query": "x"}, id="c")], usage=USAGE
            )
        return ProviderAnswer(text=f"I am {request.model}", usage=USAGE)

    world.engine.always(answer)
    return world


@pytest.fixture(params=["invoke", "ainvoke", "stream", "astream"])
def run(request):
    async def ask(agent, question, config=None):
        asked = {"messages": [("human", question)]} if isinstance(question, str) else question
        how = getattr(agent, request.param)
        match request.param:
            case "invoke":
                state = how(asked, config)
            case "ainvoke":
                state = await how(asked, config)
            case "stream":
                state = list(how(asked, config, stream_mode="values"))[-1]
            case _:
                state = [state async for state in how(asked, config, stream_mode="values")][-1]
        return state["messages"][-1].text

    return ask


def routing(world, **settings):
    settings = {"classifier": ByWord(), "policy": Threshold(0.5), **settings}
    return RoutingMiddleware({"cheap": world.openai(CHEAP), "dear": world.openai(DEAR)}, **settings)


async def test_all_calls_of_an_ask_go_to_one_tier(answers, run):
    middleware = routing(answers)
    agent = create_agent(answers.openai(OTHER), [search], middleware=[middleware])
    with track_cost() as cost:
        # The tool's result says `prove`; it is not the ask.
        assert await run(agent, EASY) == f"I am {CHEAP}"
        assert await run(agent, HARD) == f"I am {DEAR}"
    assert [record.model for record in cost.calls] == [CHEAP, CHEAP, DEAR, DEAR]
    assert cost.total_usd + cost.avoided_usd == 4 * DEAR_CALL
    assert [record.attribution.tags["route_tier"] for record in cost.calls] == ["cheap"] * 2 + ["dear"] * 2
    stats = middleware.stats()
    assert (stats.decisions, stats.sticky) == (2, 2)
    assert stats.net_saving_usd == cost.avoided_usd


async def test_a_thread_is_routed_ask_by_ask(answers, run):
    agent = create_agent(
        answers.openai(OTHER), [search], middleware=[routing(answers)], checkpointer=InMemorySaver()
    )
    config = {"configurable": {"thread_id": "t"}}
    with track_cost() as cost:
        await run(agent, EASY, config)
        await run(agent, HARD, config)
    assert [record.attribution.conversation for record in cost.calls] == ["t"] * len(cost.calls)
    assert {record.model for record in cost.calls} == {CHEAP, DEAR}


async def test_a_failing_tier_is_followed_by_the_next(answers, run):
    middleware = routing(answers)
    answers.provider.inject(Fail(status=503), model=CHEAP)
    agent = create_agent(answers.openai(OTHER), middleware=[middleware])
    assert await run(agent, EASY) == f"I am {DEAR}"
    assert middleware.stats().tiers["cheap"].errors == 1


async def test_a_fallback_outside_has_the_last_word(answers, run):
    answers.provider.inject(Fail(status=500), model=CHEAP, times=None)
    answers.provider.inject(Fail(status=500), model=DEAR, times=None)
    agent = create_agent(
        answers.openai(DEAR),
        middleware=[ModelFallbackMiddleware(answers.openai(OTHER)), routing(answers)],
    )
    assert await run(agent, EASY) == f"I am {OTHER}"
    answers.provider.clear_faults()
    assert await run(agent, HARD) == f"I am {DEAR}"


async def test_a_fallback_inside_keeps_the_tier_first(answers, run):
    answers.provider.inject(Fail(status=500), model=CHEAP)
    agent = create_agent(
        answers.openai(DEAR),
        middleware=[routing(answers), ModelFallbackMiddleware(answers.openai(OTHER))],
    )
    assert await run(agent, EASY) == f"I am {OTHER}"
    assert await run(agent, EASY) == f"I am {CHEAP}"


async def test_a_soft_limit_keeps_calls_at_its_tier(answers, run):
    budgets = Budgets([Limit("conversation", calls=1, action="downgrade:cheap")])
    agent = create_agent(
        answers.openai(DEAR),
        middleware=[BudgetMiddleware(budgets), routing(answers)],
        checkpointer=InMemorySaver(),
    )
    config = {"configurable": {"thread_id": "t"}}
    assert await run(agent, HARD, config) == f"I am {DEAR}"
    assert await run(agent, HARD, config) == f"I am {CHEAP}"


async def test_a_model_that_the_budget_switched_to_is_left_in_place(answers, run):
    budgets = Budgets([Limit("conversation", calls=1, action="downgrade:any")])
    middleware = [BudgetMiddleware(budgets, downgrade_to={"any": answers.openai(OTHER)}), routing(answers)]
    agent = create_agent(answers.openai(DEAR), middleware=middleware, checkpointer=InMemorySaver())
    config = {"configurable": {"thread_id": "t"}}
    assert await run(agent, HARD, config) == f"I am {DEAR}"
    assert await run(agent, HARD, config) == f"I am {OTHER}"


async def test_an_answer_in_a_schema_comes_from_the_chosen_tier(world):
    call = ToolCall(name="Capital", arguments={"name": "Paris"}, id="c")
    world.engine.always(ProviderAnswer(text="", tool_calls=[call], usage=USAGE))
    agent = create_agent(
        world.openai(OTHER), response_format=ToolStrategy(Capital), middleware=[routing(world)]
    )
    with track_cost() as cost:
        state = agent.invoke({"messages": [("human", HARD)]})
    assert state["structured_response"] == Capital(name="Paris")
    assert [record.model for record in cost.calls] == [DEAR]


async def test_foreign_cache_marks_do_not_reach_another_provider(world):
    world.engine.always(ProviderAnswer(text="hi", usage=USAGE))
    seen = []

    class Sees(AgentMiddleware):
        def wrap_model_call(self, request, handler):
            seen.append(request)
            return handler(request)

    middleware = RoutingMiddleware(
        {"cheap": world.openai(CHEAP), "dear": world.anthropic("claude-sonnet-4-5")},
        classifier=ByWord(),
        policy=Threshold(0.5),
    )
    mark = {"type": "ephemeral"}
    system = SystemMessage([{"type": "text", "text": "Be kind.", "cache_control": mark}])
    agent = create_agent(world.anthropic(), middleware=[middleware, Sees()], system_prompt=system)
    for question in (EASY, HARD):
        text = {"type": "text", "text": question, "cache_control": mark}
        agent.invoke({"messages": [HumanMessage([text])]})
    cheap, dear = seen
    assert "cache_control" not in str(cheap.messages) + str(cheap.system_message)
    assert "cache_control" in str(dear.messages)
    assert "cache_control" in str(dear.system_message)


async def test_a_rejected_draft_is_not_in_the_thread(world, run):
    world.engine.always(ProviderAnswer(text="perhaps", usage=USAGE), model=CHEAP)
    world.engine.always(ProviderAnswer(text="42", usage=USAGE), model=DEAR)
    tiers = (Tier(name="cheap", model=CHEAP), Tier(name="dear", model=DEAR))
    middleware = RoutingMiddleware(
        [(tiers[0], world.openai(CHEAP)), (tiers[1], world.openai(DEAR))],
        cascade=Cascade(tiers, Sure(), threshold=0.5),
    )
    agent = create_agent(world.openai(DEAR), middleware=[middleware])
    with track_cost() as cost:
        assert await run(agent, EASY) == "42"
    assert cost.total_usd == CHEAP_CALL + DEAR_CALL
    assert cost.avoided_usd == -CHEAP_CALL
    shown = agent.stream({"messages": [("human", EASY)]}, stream_mode="messages")
    assert "".join(message.text for message, _ in shown) == "42"


@pytest.mark.parametrize(("draft", "answer"), [("perhaps", "42"), ("41", "41")])
async def test_events_and_messages_of_an_agent_show_the_answer_in_pieces_and_no_draft(world, draft, answer):
    world.engine.always(ProviderAnswer(text=draft, usage=USAGE), model=CHEAP)
    world.engine.always(ProviderAnswer(text="42", usage=USAGE), model=DEAR)
    tiers = (Tier(name="cheap", model=CHEAP), Tier(name="dear", model=DEAR))
    models = [(tiers[0], world.openai(CHEAP)), (tiers[1], world.openai(DEAR))]
    middleware = RoutingMiddleware(models, cascade=Cascade(tiers, Sure(), threshold=0.5))
    agent = create_agent(world.openai(DEAR), middleware=[middleware])
    asked = {"messages": [("human", EASY)]}
    events = [event async for event in agent.astream_events(asked, version="v2")]
    assert "perhaps" not in str(events)
    pieces = [event["data"]["chunk"].text for event in events if event["event"] == "on_chat_model_stream"]
    assert "".join(pieces) == answer
    shown = [piece async for piece, _ in agent.astream(asked, stream_mode="messages")]
    assert "".join(piece.text for piece in shown) == answer


async def test_a_schema_without_a_strategy_needs_a_tier_that_can_meet_it(world):
    world.engine.always(ProviderAnswer(text='{"name": "Paris"}', usage=USAGE))
    plain = Tier(name="cheap", model=CHEAP, capabilities=frozenset())
    models = [(plain, world.openai(CHEAP)), (Tier(name="dear", model=DEAR), world.openai(DEAR))]
    middleware = RoutingMiddleware(models, classifier=ByWord(), policy=Threshold(0.5))
    agent = create_agent(world.openai(DEAR), response_format=Capital, middleware=[middleware])
    with track_cost() as cost:
        state = agent.invoke({"messages": [("human", EASY)]})
    assert state["structured_response"] == Capital(name="Paris")
    assert [record.model for record in cost.calls] == [DEAR]


async def test_a_cache_behind_it_serves_by_tier(answers, run):
    cache = SemanticCache()
    middleware = [routing(answers), CachingMiddleware(cache)]
    agent = create_agent(answers.openai(OTHER), middleware=middleware)
    with track_cost() as cost:
        first, second = await run(agent, EASY), await run(agent, EASY)
    assert first == second == f"I am {CHEAP}"
    assert [record.avoided_by for record in cost.calls] == ["route", "cache"]
    assert cost.total_usd == CHEAP_CALL
    cache.close()


@pytest.mark.parametrize("tools", [[], [search]])
async def test_a_model_router_is_an_agents_model_too(answers, run, tools):
    router = ModelRouter(
        {"cheap": answers.openai(CHEAP), "dear": answers.openai(DEAR)},
        classifier=ByWord(),
        policy=Threshold(0.5),
    )
    agent = create_agent(router, tools)
    assert await run(agent, EASY) == f"I am {CHEAP}"
    assert await run(agent, HARD) == f"I am {DEAR}"
    assert router.stats().decisions == 2


def test_tiers_of_an_agent_are_chat_models(world):
    with pytest.raises(ConfigurationError, match="must be a chat model"):
        RoutingMiddleware({"cheap": world.openai(CHEAP).bind(n=1), "dear": world.openai(DEAR)})
