"""Marks for providers' caches stand where calls share a prefix, by each model's rules, while that pays."""

import inspect
import random
from decimal import Decimal

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import AgentMiddleware
from langchain_anthropic import ChatAnthropic
from langchain_core.messages import HumanMessage, SystemMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from langgraph.checkpoint.memory import InMemorySaver

from examples.provider import LoopbackProvider, ProviderAnswer, ToolCall
from langchain_tokenomics import PromptCachingMiddleware, track_cost
from tests.langchain_adapter.compression.caching_provider import CachingEngine

pytestmark = pytest.mark.filterwarnings("ignore:coroutine 'ahandle_event' was never awaited:RuntimeWarning")

RULES = " ".join(f"Rule {at}: a traveller of class {at} may change flight {at} once." for at in range(260))


@tool
def zeta(topic: str) -> str:
    """Look a topic up."""
    return f"{topic} is open."


@tool
def alpha(topic: str) -> str:
    """Look something else up."""
    return f"{topic} is closed."


class Clock:
    """Seconds that pass when they are told to."""

    def __init__(self):
        self.now_s = 1_000.0

    def __call__(self):
        return self.now_s


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def engine(clock):
    return CachingEngine(clock)


@pytest.fixture
def provider(engine):
    with LoopbackProvider(engine, keep_alive=False) as provider:
        yield provider


@pytest.fixture(params=["invoke", "ainvoke"])
def ask(request):
    async def run(agent, question, config=None):
        answer = getattr(agent, request.param)({"messages": [question]}, config)
        return (await answer if inspect.isawaitable(answer) else answer)["messages"]

    return run


def claude(provider, model="claude-sonnet-4-5", **more):
    return ChatAnthropic(model=model, base_url=provider.url, api_key="unused", max_retries=0, **more)


def gpt(provider, model="gpt-5.6", **more):
    return ChatOpenAI(model=model, base_url=provider.openai_url, api_key="unused", max_retries=0, **more)


def thread(name):
    return {"configurable": {"thread_id": name}}


def agent_of(model, middleware, *, tools=(zeta, alpha), system=RULES, saver=None):
    return create_agent(
        model, tools=list(tools), middleware=[middleware], system_prompt=system, checkpointer=saver
    )


@pytest.mark.parametrize("family", [claude, gpt])
async def test_a_conversation_reads_what_it_sent_before(provider, engine, clock, ask, family):
    caching = PromptCachingMiddleware(clock=clock)
    agent = agent_of(family(provider), caching, saver=InMemorySaver())
    with track_cost() as cost:
        for at in range(6):
            await ask(agent, ("human", f"Question {at}: may flight {at} be changed?"), thread("one"))
            clock.now_s += 60
    report = caching.report()
    assert report.calls == 6
    assert report.reads == 5
    assert report.hit_rate > 0.75
    assert report.lost_usd == 0
    assert not report.misses
    assert report.saved_usd == cost.avoided_usd > 0
    assert {record.avoided_by for record in cost.calls} == {"prompt_cache"}
    assert cost.calls[0].avoided_usd < 0  # the first only writes
    assert "read from a cache" in str(report)


async def test_layers_are_marked_in_order_and_the_thread_stays_plain(provider, engine, clock, ask):
    agent = agent_of(claude(provider), PromptCachingMiddleware(clock=clock), saver=InMemorySaver())
    await ask(agent, ("human", "May flight 3 be changed?"), thread("one"))
    for _ in range(6):
        clock.now_s += 60
        messages = await ask(agent, ("human", "And flight 4?"), thread("one"))
    assert [message.content for message in messages][:3:2] == ["May flight 3 be changed?", "And flight 4?"]
    body = provider.requests[-1].body
    assert [one["name"] for one in body["tools"]] == ["alpha", "zeta"]
    assert body["system"][-1]["cache_control"]["type"] == "ephemeral"
    assert body["messages"][-1]["content"][-1]["cache_control"]["ttl"] == "5m"
    assert isinstance(body["messages"][0]["content"], str)
    # What tools alone take is too short to be cached, and is not marked.
    assert all("cache_control" not in one for one in body["tools"])


async def test_documents_are_a_layer_of_their_own(provider, engine, clock, ask):
    agent = agent_of(gpt(provider), PromptCachingMiddleware(clock=clock), tools=())
    for question in ("May flight 3 be changed?", "May flight 4 be changed?"):
        blocks = [{"type": "text", "text": RULES[:9000]}, {"type": "text", "text": question}]
        await ask(agent, HumanMessage(blocks))
        clock.now_s += 10
    content = provider.requests[-1].body["messages"][-1]["content"]
    assert content[0]["prompt_cache_breakpoint"] == {"mode": "explicit"}
    assert provider.requests[-1].body["prompt_cache_options"] == {"mode": "explicit", "ttl": "30m"}
    assert engine.alive


async def test_what_is_too_short_is_not_marked(provider, clock, ask):
    for model in (claude(provider), gpt(provider)):
        caching = PromptCachingMiddleware(clock=clock)
        agent = agent_of(model, caching, system="You help.")
        for _ in range(3):
            await ask(agent, ("human", "May flight 3 be changed?"))
        assert caching.report().choices == {"none": 3}
        assert "cache_control" not in str(provider.requests[-1].body)
        assert "breakpoint" not in str(provider.requests[-1].body)


async def test_gaps_decide_for_how_long_to_cache(provider, engine, clock, ask):
    caching = PromptCachingMiddleware(clock=clock)
    agent = agent_of(claude(provider), caching, saver=InMemorySaver())
    for at in range(12):
        await ask(agent, ("human", f"Question {at}: may flight {at} be changed?"), thread("slow"))
        clock.now_s += 900
    assert engine.marks[-1][-1] == "1h"
    agent = agent_of(claude(provider), PromptCachingMiddleware(clock=clock), saver=InMemorySaver())
    for at in range(12):
        await ask(agent, ("human", f"Question {at}: may flight {at} be changed?"), thread("quick"))
        clock.now_s += 20
    assert engine.marks[-1][-1] == "5m"
    rare = agent_of(
        claude(provider), rare_caching := PromptCachingMiddleware(clock=clock), saver=InMemorySaver()
    )
    for at in range(12):
        await ask(rare, ("human", f"Question {at}: may flight {at} be changed?"), thread("rare"))
        clock.now_s += 90_000
    assert engine.marks[-1] == []
    assert rare_caching.report().choices["none"] > 6


async def test_a_longer_life_never_stands_behind_a_shorter_one(provider, engine, clock, ask):
    draw = random.Random(7)
    agent = agent_of(claude(provider), PromptCachingMiddleware(clock=clock), saver=InMemorySaver())
    for at in range(30):
        await ask(agent, ("human", f"Question {at}?"), thread(f"thread {draw.randrange(4)}"))
        clock.now_s += draw.choice([5, 200, 1_000, 5_000])
    for marks in engine.marks:
        assert marks == sorted(marks)  # "1h" before "5m"


class Stamped(AgentMiddleware):
    """Puts the time into the instructions, as many an application does."""

    def __init__(self, clock):
        self.clock = clock

    def wrap_model_call(self, request, handler):
        return handler(request.override(system_message=SystemMessage(f"It is {self.clock()}. {RULES}")))

    async def awrap_model_call(self, request, handler):
        return await handler(request.override(system_message=SystemMessage(f"It is {self.clock()}. {RULES}")))


async def test_what_was_lost_to_a_changing_prefix_is_told_with_its_reason(provider, clock, ask):
    caching = PromptCachingMiddleware(clock=clock)
    agent = create_agent(
        claude(provider),
        tools=[zeta],
        middleware=[Stamped(clock), caching],
        system_prompt=RULES,
        checkpointer=InMemorySaver(),
    )
    for at in range(3):
        await ask(agent, ("human", f"Question {at}?"), thread("one"))
        clock.now_s += 60
    report = caching.report()
    assert report.reads == 0
    assert list(report.misses) == ["system changed"]
    assert report.misses["system changed"].calls == 2
    assert report.lost_usd == report.misses["system changed"].lost_usd > 0
    assert report.saved_usd < 0
    assert "system changed: 2 calls" in str(report)


async def test_a_provider_that_forgets_and_a_life_that_ends_are_told_apart(provider, engine, clock, ask):
    caching = PromptCachingMiddleware(clock=clock)
    agent = agent_of(claude(provider), caching, saver=InMemorySaver())
    await ask(agent, ("human", "Question 0?"), thread("one"))
    engine.alive.clear()
    clock.now_s += 60
    await ask(agent, ("human", "Question 1?"), thread("one"))
    assert list(caching.report().misses) == ["dropped by the provider"]
    clock.now_s += 4_000
    await ask(agent, ("human", "Question 2?"), thread("one"))
    assert list(caching.report().misses) == ["dropped by the provider", "expired"]


async def test_a_switch_of_providers_leaves_no_foreign_marks(provider, clock, ask):
    class Switch(AgentMiddleware):
        models = ()

        def wrap_model_call(self, request, handler):
            return handler(request.override(model=self.models[len(provider.requests) % 3]))

        async def awrap_model_call(self, request, handler):
            return await handler(request.override(model=self.models[len(provider.requests) % 3]))

    switch, caching = Switch(), PromptCachingMiddleware(clock=clock)
    switch.models = claude(provider), gpt(provider), gpt(provider, "gpt-4o")
    marked = [
        {"type": "text", "text": RULES, "cache_control": {"type": "ephemeral"}},
        {"type": "text", "text": RULES[:50], "prompt_cache_breakpoint": {"mode": "explicit"}},
        {"type": "text", "text": "May flight 3 be changed?"},
    ]
    agent = create_agent(
        claude(provider), tools=[zeta], middleware=[switch, caching], system_prompt=RULES,
        checkpointer=InMemorySaver(),
    )  # fmt: skip
    for at in range(3):
        await ask(
            agent, HumanMessage(marked, id="first") if at == 0 else ("human", "And then?"), thread("one")
        )
    anthropic, explicit, automatic = (str(seen.body) for seen in provider.requests)
    assert "cache_control" in anthropic
    assert "prompt_cache" not in anthropic
    assert "cache_control" not in explicit
    assert "prompt_cache_breakpoint" in explicit
    assert "cache_control" not in automatic
    assert "prompt_cache" not in automatic
    assert anthropic.count("'cache_control'") <= 4
    assert explicit.count("prompt_cache_breakpoint") <= 4


async def test_loops_of_tools_read_their_own_beginning(provider, engine, clock, ask):
    def step(request):
        done = sum(turn.role == "tool" for turn in request.turns)
        call = ToolCall(name="zeta", arguments={"topic": f"{done}"}, id=f"call_{done}")
        return ProviderAnswer(text="", tool_calls=(call,)) if done < 4 else ProviderAnswer(text="Done.")

    engine.script = step
    for model in (claude(provider), gpt(provider)):
        caching = PromptCachingMiddleware(clock=clock)
        await ask(agent_of(model, caching), ("human", "Look four topics up."))
        report = caching.report()
        assert (report.calls, report.reads) == (5, 4)
        assert not report.misses


async def test_a_model_that_caches_unasked_is_watched_and_left_alone(world, clock, ask):
    world.says("Yes.", input_tokens=3000, output_tokens=5)
    world.says("Yes.", input_tokens=3100, output_tokens=5, cache_read_tokens=2944)
    caching = PromptCachingMiddleware(clock=clock)
    agent = agent_of(world.openai(), caching, saver=InMemorySaver())
    for at in range(2):
        await ask(agent, ("human", f"Question {at}?"), thread("one"))
        clock.now_s += 60
    assert "prompt_cache" not in str(world.provider.requests[-1].body)
    report = caching.report()
    assert (report.reads, report.read_tokens) == (1, 2944)
    assert report.saved_usd == Decimal("1.25") * 2944 / 1_000_000


async def test_a_model_of_which_nothing_is_known_is_asked_as_it_is(world, clock, ask):
    world.says("Yes.", input_tokens=30, output_tokens=5)
    caching = PromptCachingMiddleware(clock=clock, sort_tools=False)
    fake = world.openai()
    await ask(agent_of(fake, caching, tools=(zeta, alpha)), ("human", "Question?"))
    tools = world.provider.requests[-1].body["tools"]
    assert [one["function"]["name"] for one in tools] == ["zeta", "alpha"]


def test_a_lifetime_is_never_longer_than_that_of_a_mark_which_the_caller_has_placed_before(
    provider, engine, clock
):
    agent = create_agent(
        claude(provider),
        [zeta.model_copy(update={"extras": {"cache_control": {"type": "ephemeral"}}})],
        system_prompt=RULES,
        middleware=[PromptCachingMiddleware(clock=clock)],
        checkpointer=InMemorySaver(),
    )
    for number in range(8):
        clock.now_s += 900
        agent.invoke({"messages": [f"Question {number}?"]}, thread("ada"))
    assert {mark for marks in engine.marks for mark in marks} == {"5m"}


def test_a_lifetime_is_never_shorter_than_that_of_a_mark_which_the_caller_has_placed_behind(
    provider, engine, clock
):
    lasting = {"type": "ephemeral", "ttl": "1h"}
    block = {"type": "text", "text": RULES, "cache_control": lasting}
    agent = create_agent(
        claude(provider), [zeta], system_prompt=RULES, middleware=[PromptCachingMiddleware(clock=clock)]
    )
    for number in range(4):
        clock.now_s += 60
        agent.invoke({"messages": [HumanMessage([block, {"type": "text", "text": f"Question {number}?"}])]})
    assert any(len(marks) > 1 for marks in engine.marks)


def test_of_more_marks_than_the_provider_takes_the_oldest_of_messages_go(provider, engine, clock):
    agent = create_agent(
        claude(provider),
        [zeta],
        system_prompt=RULES,
        middleware=[PromptCachingMiddleware(clock=clock)],
        checkpointer=InMemorySaver(),
    )
    for number in range(7):
        block = {
            "type": "text",
            "text": f"Question {number}? {RULES}",
            "cache_control": {"type": "ephemeral"},
        }
        state = agent.invoke({"messages": [HumanMessage([block])]}, thread("ada"))
    assert len(engine.marks[-1]) == 4
    assert all("cache_control" in one.content[0] for one in state["messages"] if one.type == "human")
