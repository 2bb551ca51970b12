"""What a block reports is the bill worked out by hand, to the last digit, on every path LangChain has."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_core.caches import InMemoryCache
from langchain_core.messages import HumanMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableLambda, RunnableParallel
from langchain_core.tools import tool
from langgraph.graph import END, START, MessagesState, StateGraph
from pydantic import BaseModel

from examples.provider import Fail, ToolCall
from langchain_tokenomics import track_cost
from tests.prices_by_hand import usd


class Answer(BaseModel):
    """An answer with a number in it."""

    number: int


@tool
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


PROMPT = ChatPromptTemplate.from_messages([("system", "Be brief."), ("human", "{question}")])
PLAIN = {"input_tokens": 100, "output_tokens": 20}
PLAIN_4O = usd("gpt-4o", input=100, output=20)
PLAIN_HAIKU = usd("claude-haiku-4-5", input=100, output=20)
ADD = ToolCall(name="add", arguments={"a": 2, "b": 3}, id="call_1")


@dataclass
class Case:
    """One path: what the provider says, what the application does, and what that costs call by call."""

    name: str
    says: list[dict[str, Any]]
    do: Callable[[Any], Any]
    costs: list[Decimal | None]
    avoided: Decimal = Decimal(0)
    fields: dict[str, Any] = field(default_factory=dict)


def drain(stream):
    return list(stream)


async def adrain(stream):
    return [item async for item in stream]


def with_cache(w):
    model = w.openai(cache=InMemoryCache())
    return [model.invoke("hi"), model.invoke("hi")]


def nested(w):
    inner = PROMPT | w.openai() | StrOutputParser()
    return (RunnableLambda(lambda q: inner.invoke({"question": q})) | w.openai() | StrOutputParser()).invoke(
        "x"
    )


def parallel(w):
    return RunnableParallel(a=w.openai(), b=w.anthropic()).invoke("hi")


def fallback(w):
    w.provider.inject(Fail(status=500), model="gpt-4o")
    return w.openai().with_fallbacks([w.openai("gpt-4o-mini")]).invoke("hi")


def retry(w):
    w.provider.inject(Fail(status=500))
    return w.openai().with_retry(stop_after_attempt=2, wait_exponential_jitter=False).invoke("hi")


def agent(w, **how):
    return create_agent(w.openai(), tools=[add], **how)


def agent_with_sub_agent(w):
    helper = create_agent(w.openai("gpt-4o-mini"), tools=[add])

    @tool
    def ask_helper(question: str) -> str:
        """Ask the helper."""
        return helper.invoke({"messages": [("human", question)]})["messages"][-1].text

    return create_agent(w.openai(), tools=[ask_helper]).invoke({"messages": [("human", "2 and 3?")]})


def graph(w):
    model = w.openai()
    builder = StateGraph(MessagesState)
    builder.add_node("first", lambda state: {"messages": [model.invoke(state["messages"])]})
    builder.add_node("second", lambda state: {"messages": [model.invoke(state["messages"])]})
    builder.add_edge(START, "first")
    builder.add_edge("first", "second")
    builder.add_edge("second", END)
    return builder.compile()


HI = {"messages": [("human", "hi")]}
ASK_HELPER = ToolCall(name="ask_helper", arguments={"question": "2+3"}, id="call_2")

CASES = [
    Case("invoke", [PLAIN], lambda w: w.openai().invoke("hi"), [PLAIN_4O]),
    Case("ainvoke", [PLAIN], lambda w: w.openai().ainvoke("hi"), [PLAIN_4O]),
    Case("stream", [PLAIN], lambda w: drain(w.openai().stream("hi")), [PLAIN_4O]),
    Case("astream", [PLAIN], lambda w: adrain(w.openai().astream("hi")), [PLAIN_4O]),
    Case("batch", [PLAIN] * 3, lambda w: w.openai().batch(["a", "b", "c"]), [PLAIN_4O] * 3),
    Case("abatch", [PLAIN] * 3, lambda w: w.openai().abatch(["a", "b", "c"]), [PLAIN_4O] * 3),
    Case("streaming=True", [PLAIN], lambda w: w.openai(streaming=True).invoke("hi"), [PLAIN_4O]),
    Case(
        "astream_events",
        [PLAIN],
        lambda w: adrain(w.openai().astream_events("hi", version="v2")),
        [PLAIN_4O],
    ),
    Case(
        "generate",
        [PLAIN] * 2,
        lambda w: w.openai().generate([[HumanMessage("a")], [HumanMessage("b")]]),
        [PLAIN_4O] * 2,
    ),
    Case(
        "chain",
        [PLAIN],
        lambda w: (PROMPT | w.openai() | StrOutputParser()).invoke({"question": "x"}),
        [PLAIN_4O],
    ),
    Case(
        "chain, streamed",
        [PLAIN],
        lambda w: drain((PROMPT | w.openai() | StrOutputParser()).stream({"question": "x"})),
        [PLAIN_4O],
    ),
    Case(
        "chain, abatch",
        [PLAIN] * 2,
        lambda w: (PROMPT | w.openai()).abatch([{"question": "x"}, {"question": "y"}]),
        [PLAIN_4O] * 2,
    ),
    Case("nested chains", [PLAIN] * 2, nested, [PLAIN_4O] * 2),
    Case(
        "parallel branches",
        [PLAIN | {"model": "gpt-4o"}, PLAIN | {"model": "claude-haiku-4-5"}],
        parallel,
        [PLAIN_4O, PLAIN_HAIKU],
    ),
    Case(
        "cache read",
        [{"input_tokens": 3000, "cache_read_tokens": 2048, "output_tokens": 20}],
        lambda w: w.openai().invoke("hi"),
        [usd("gpt-4o", input=952, read=2048, output=20)],
    ),
    Case(
        "cache read, streamed",
        [{"input_tokens": 3000, "cache_read_tokens": 2048, "output_tokens": 20}],
        lambda w: drain(w.openai().stream("hi")),
        [usd("gpt-4o", input=952, read=2048, output=20)],
    ),
    Case(
        "reasoning is part of the output",
        [{"input_tokens": 50, "output_tokens": 900, "reasoning_tokens": 800}],
        lambda w: w.openai("o4-mini").invoke("hi"),
        [usd("o4-mini", input=50, output=900)],
    ),
    Case(
        "audio in and out",
        [{"input_tokens": 1000, "input_audio_tokens": 900, "output_tokens": 300, "output_audio_tokens": 250}],
        lambda w: w.openai("gpt-audio").invoke("hi"),
        [usd("gpt-audio", input=100, audio_input=900, output=50, audio_output=250)],
    ),
    Case(
        "flex",
        [{"input_tokens": 1000, "output_tokens": 100, "service_tier": "flex"}],
        lambda w: w.openai("gpt-5", service_tier="flex").invoke("hi"),
        [usd("gpt-5 flex", input=1000, output=100)],
    ),
    Case(
        "flex with cache read and reasoning, streamed",
        [
            {
                "input_tokens": 3000,
                "cache_read_tokens": 1024,
                "output_tokens": 500,
                "reasoning_tokens": 400,
                "service_tier": "flex",
            }
        ],
        lambda w: drain(w.openai("gpt-5", service_tier="flex").stream("hi")),
        [usd("gpt-5 flex", input=1976, read=1024, output=500)],
    ),
    Case(
        "priority",
        [{"input_tokens": 1000, "output_tokens": 100, "service_tier": "priority"}],
        lambda w: w.openai("gpt-5", service_tier="priority").invoke("hi"),
        [usd("gpt-5 priority", input=1000, output=100)],
    ),
    Case(
        "priority asked for, standard served",
        [{"input_tokens": 1000, "output_tokens": 100, "service_tier": "default"}],
        lambda w: w.openai("gpt-5", service_tier="priority").invoke("hi"),
        [usd("gpt-5", input=1000, output=100)],
    ),
    Case(
        "batch endpoint",
        [PLAIN],
        lambda w: w.openai().invoke("hi", config={"metadata": {"batch": True}}),
        [usd("gpt-4o batch", input=100, output=20)],
        fields={"source": "batch"},
    ),
    Case(
        "n=2",
        [{"input_tokens": 100, "output_tokens": 44}],
        lambda w: w.openai(n=2).invoke("hi"),
        [usd("gpt-4o", input=100, output=44)],
    ),
    Case(
        "dated model",
        [PLAIN],
        lambda w: w.openai("gpt-4o-2024-08-06").invoke("hi"),
        [PLAIN_4O],
    ),
    Case("unknown model", [PLAIN], lambda w: w.openai("no-such-model").invoke("hi"), [None]),
    Case(
        "the provider's own figure",
        [PLAIN | {"cost_usd": Decimal("0.00123")}],
        lambda w: w.openai("no-such-model").invoke("hi"),
        [Decimal("0.00123")],
    ),
    Case(
        "structured output",
        [PLAIN | {"text": '{"number": 7}'}],
        lambda w: w.openai().with_structured_output(Answer).invoke("hi"),
        [PLAIN_4O],
    ),
    Case(
        "structured output by tool",
        [PLAIN | {"text": "", "tool_calls": (ToolCall(name="Answer", arguments={"number": 7}, id="c"),)}],
        lambda w: w.openai().with_structured_output(Answer, method="function_calling").invoke("hi"),
        [PLAIN_4O],
    ),
    Case(
        "tools",
        [PLAIN | {"text": "", "tool_calls": (ADD,)}],
        lambda w: w.openai().bind_tools([add]).invoke("2+3"),
        [PLAIN_4O],
    ),
    Case(
        "tools, streamed",
        [PLAIN | {"text": "", "tool_calls": (ADD,)}],
        lambda w: drain(w.openai().bind_tools([add]).stream("2+3")),
        [PLAIN_4O],
    ),
    Case(
        "agent",
        [PLAIN | {"text": "", "tool_calls": (ADD,)}, PLAIN],
        lambda w: agent(w).invoke(HI),
        [PLAIN_4O] * 2,
    ),
    Case(
        "agent, ainvoke",
        [PLAIN | {"text": "", "tool_calls": (ADD,)}, PLAIN],
        lambda w: agent(w).ainvoke(HI),
        [PLAIN_4O] * 2,
    ),
    Case(
        "agent, streamed by message",
        [PLAIN | {"text": "", "tool_calls": (ADD,)}, PLAIN],
        lambda w: drain(agent(w).stream(HI, stream_mode="messages")),
        [PLAIN_4O] * 2,
    ),
    Case(
        "agent with a sub-agent",
        [
            PLAIN | {"model": "gpt-4o", "text": "", "tool_calls": (ASK_HELPER,)},
            PLAIN | {"model": "gpt-4o-mini"},
            PLAIN | {"model": "gpt-4o"},
        ],
        agent_with_sub_agent,
        [PLAIN_4O, usd("gpt-4o-mini", input=100, output=20), PLAIN_4O],
    ),
    Case("state graph", [PLAIN] * 2, lambda w: graph(w).invoke(HI), [PLAIN_4O] * 2),
    Case("state graph, async", [PLAIN] * 2, lambda w: graph(w).ainvoke(HI), [PLAIN_4O] * 2),
    Case("hit of LangChain's cache", [PLAIN], with_cache, [PLAIN_4O, Decimal(0)], avoided=PLAIN_4O),
    Case("fallback pays, refusal does not", [PLAIN], fallback, [usd("gpt-4o-mini", input=100, output=20)]),
    Case("retry pays once", [PLAIN], retry, [PLAIN_4O]),
    Case(
        "responses API",
        [{"input_tokens": 3000, "cache_read_tokens": 1024, "output_tokens": 400, "reasoning_tokens": 300}],
        lambda w: w.openai("gpt-5", use_responses_api=True).invoke("hi"),
        [usd("gpt-5", input=1976, read=1024, output=400)],
    ),
    Case(
        "responses API, streamed",
        [PLAIN],
        lambda w: drain(w.openai("gpt-5", use_responses_api=True).stream("hi")),
        [usd("gpt-5", input=100, output=20)],
    ),
    Case(
        "responses API, flex",
        [PLAIN | {"service_tier": "flex"}],
        lambda w: w.openai("gpt-5", use_responses_api=True, service_tier="flex").ainvoke("hi"),
        [usd("gpt-5 flex", input=100, output=20)],
    ),
    Case("Anthropic", [PLAIN], lambda w: w.anthropic().invoke("hi"), [PLAIN_HAIKU]),
    Case("Anthropic, streamed", [PLAIN], lambda w: drain(w.anthropic().stream("hi")), [PLAIN_HAIKU]),
    Case("Anthropic, astream", [PLAIN], lambda w: adrain(w.anthropic().astream("hi")), [PLAIN_HAIKU]),
    Case(
        "Anthropic, cache read",
        [{"input_tokens": 5000, "cache_read_tokens": 4000, "output_tokens": 20}],
        lambda w: w.anthropic().invoke("hi"),
        [usd("claude-haiku-4-5", input=1000, read=4000, output=20)],
    ),
    Case(
        "Anthropic, five-minute write",
        [{"input_tokens": 5000, "cache_write_5m_tokens": 4000, "output_tokens": 20}],
        lambda w: w.anthropic().invoke("hi"),
        [usd("claude-haiku-4-5", input=1000, w5m=4000, output=20)],
    ),
    Case(
        "Anthropic, one-hour write",
        [{"input_tokens": 5000, "cache_write_1h_tokens": 4000, "output_tokens": 20}],
        lambda w: w.anthropic().invoke("hi"),
        [usd("claude-haiku-4-5", input=1000, w1h=4000, output=20)],
    ),
    Case(
        "Anthropic, mixed writes and a read",
        [
            {
                "input_tokens": 9000,
                "cache_read_tokens": 1000,
                "cache_write_5m_tokens": 2000,
                "cache_write_1h_tokens": 4000,
                "output_tokens": 50,
            }
        ],
        lambda w: w.anthropic("claude-sonnet-4-5").invoke("hi"),
        [usd("claude-sonnet-4-5", input=2000, read=1000, w5m=2000, w1h=4000, output=50)],
    ),
    Case(
        "Anthropic, long context",
        [{"input_tokens": 250_000, "cache_read_tokens": 100_000, "output_tokens": 50}],
        lambda w: w.anthropic("claude-sonnet-4-5").ainvoke("hi"),
        [usd("claude-sonnet-4-5 long", input=150_000, read=100_000, output=50)],
    ),
    Case(
        "Anthropic, batch endpoint",
        [{"input_tokens": 5000, "cache_write_1h_tokens": 4000, "output_tokens": 20}],
        lambda w: w.anthropic().invoke("hi", config={"metadata": {"batch": True}}),
        [usd("claude-haiku-4-5 batch", input=1000, w1h=4000, output=20)],
    ),
    Case(
        "Anthropic, a web search at ten dollars a thousand",
        [PLAIN | {"web_searches": 2}],
        lambda w: w.anthropic().invoke("hi"),
        [PLAIN_HAIKU + Decimal("0.02")],
    ),
    Case(
        "Anthropic, tools",
        [PLAIN | {"text": "", "tool_calls": (ADD,)}],
        lambda w: w.anthropic().bind_tools([add]).invoke("2+3"),
        [PLAIN_HAIKU],
    ),
    Case(
        "Anthropic, structured output",
        [PLAIN | {"text": "", "tool_calls": (ToolCall(name="Answer", arguments={"number": 7}, id="c"),)}],
        lambda w: w.anthropic().with_structured_output(Answer, method="function_calling").invoke("hi"),
        [PLAIN_HAIKU],
    ),
]


# LangChain warns of details that are None when it adds up the usage of several prompts.
@pytest.mark.filterwarnings("ignore:Unexpected type for token usage")
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_a_block_reports_the_bill_worked_out_by_hand(world, case):
    for answer in case.says:
        world.says(**answer)
    with track_cost() as report:
        done = case.do(world)
        if inspect.isawaitable(done):
            await done
    costs = [record.cost_usd for record in report.calls]
    assert sorted(costs, key=str) == sorted(case.costs, key=str)
    assert report.total_usd == sum((cost for cost in case.costs if cost is not None), Decimal(0))
    assert report.unpriced_calls == case.costs.count(None)
    assert report.avoided_usd == case.avoided
    assert not any(record.estimated for record in report.calls)
    for name, value in case.fields.items():
        assert {getattr(record, name) for record in report.calls} == {value}
    assert world.engine.queued == 0


def test_the_table_has_enough_paths():
    assert len(CASES) >= 40
