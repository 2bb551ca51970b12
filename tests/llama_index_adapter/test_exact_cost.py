"""What a block reports is the bill worked out by hand, to the last digit, on every path LlamaIndex has."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pytest
from llama_index.core import (
    PromptTemplate,
    SummaryIndex,
    VectorStoreIndex,
    get_response_synthesizer,
)
from llama_index.core.agent.workflow import AgentWorkflow, FunctionAgent, ReActAgent
from llama_index.core.base.llms.types import CacheControl, CachePoint, ChatMessage, TextBlock
from llama_index.core.chat_engine import SimpleChatEngine
from llama_index.core.embeddings import MockEmbedding
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.query_engine import SubQuestionQueryEngine
from llama_index.core.question_gen import LLMQuestionGenerator
from llama_index.core.schema import TextNode
from llama_index.core.tools import FunctionTool, QueryEngineTool
from llama_index.core.workflow import StartEvent, StopEvent, Workflow, step
from pydantic import BaseModel

from examples.provider import Fail, ToolCall
from llama_index_tokenomics import track_cost
from tests.prices_by_hand import usd


class Answer(BaseModel):
    """An answer with a number in it."""

    number: int


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


HI = [ChatMessage(role="user", content="hi")]
PLAIN = {"input_tokens": 100, "output_tokens": 20}
PLAIN_4O = usd("gpt-4o", input=100, output=20)
PLAIN_MINI = usd("gpt-4o-mini", input=100, output=20)
PLAIN_HAIKU = usd("claude-haiku-4-5", input=100, output=20)
ADD = ToolCall(name="add", arguments={"a": 2, "b": 3}, id="call_1")
ASKS_TO_ADD = PLAIN | {"text": "", "tool_calls": (ADD,)}
SAYS_SEVEN = PLAIN | {"text": "", "tool_calls": (ToolCall(name="Answer", arguments={"number": 7}, id="c"),)}
SEVEN_AS_JSON = PLAIN | {"text": '{"number": 7}'}
CACHED = {"input_tokens": 3000, "cache_read_tokens": 2048, "output_tokens": 20}


@dataclass
class Case:
    """One path: what the provider says, what the application does, and what that costs call by call."""

    name: str
    says: list[dict[str, Any]]
    do: Callable[[Any], Any]
    costs: list[Decimal | None]
    fields: dict[str, Any] = field(default_factory=dict)


def drain(stream):
    return list(stream)


async def adrain(awaitable):
    return [item async for item in await awaitable]


def index(*texts):
    nodes = [TextNode(text=text) for text in texts or ("The sky is blue.", "Grass is green.")]
    return VectorStoreIndex(nodes, embed_model=MockEmbedding(embed_dim=4))


def chat(w, **how):
    # The default memory opens a database that LlamaIndex never closes.
    return SimpleChatEngine.from_defaults(llm=w.like(), memory=ChatMemoryBuffer(token_limit=1000), **how)


def chat_with_retrieval(w):
    memory = ChatMemoryBuffer(token_limit=1000)
    return index().as_chat_engine(chat_mode="condense_plus_context", llm=w.like(), memory=memory)


def twice(chat_engine):
    return [chat_engine.chat("a"), chat_engine.chat("b")]


def engine(w, mode, **how):
    llm = w.like()
    synthesizer = get_response_synthesizer(llm=llm, response_mode=mode, **how)
    return index().as_query_engine(llm=llm, response_synthesizer=synthesizer)


def sub_questions(w, *, use_async=False):
    llm = w.like()
    tool = QueryEngineTool.from_defaults(index().as_query_engine(llm=llm), name="facts", description="facts")
    return SubQuestionQueryEngine.from_defaults(
        [tool],
        llm=llm,
        question_gen=LLMQuestionGenerator.from_defaults(llm=llm),
        response_synthesizer=get_response_synthesizer(llm=llm),
        use_async=use_async,
        verbose=False,
    )


TWO_QUESTIONS = PLAIN | {
    "text": '```json\n{"items": [{"sub_question": "sky?", "tool_name": "facts"},'
    ' {"sub_question": "grass?", "tool_name": "facts"}]}\n```'
}


def cached_message(*lifetimes):
    blocks = []
    for at, ttl in enumerate(lifetimes):
        blocks += [
            TextBlock(text=f"part {at}"),
            CachePoint(cache_control=CacheControl(type="ephemeral", ttl=ttl)),
        ]
    return [ChatMessage(role="user", blocks=blocks)]


def agent(w, **how):
    return FunctionAgent(name="adder", description="adds", tools=[add], llm=w.like(), **how)


def agents_that_hand_over(w):
    first = FunctionAgent(
        name="first",
        description="starts",
        system_prompt="x",
        tools=[add],
        llm=w.like(),
        can_handoff_to=["second"],
    )
    second = FunctionAgent(
        name="second", description="ends", system_prompt="y", tools=[add], llm=w.like("gpt-4o-mini")
    )
    return AgentWorkflow(agents=[first, second], root_agent="first")


def agent_with_sub_agent(w):
    helper = FunctionAgent(name="helper", description="helps", tools=[add], llm=w.like("gpt-4o-mini"))

    async def ask_helper(question: str) -> str:
        """Ask the helper."""
        return str(await helper.run(question))

    return FunctionAgent(name="boss", description="asks", tools=[ask_helper], llm=w.like())


class TwoSteps(Workflow):
    """Ask twice."""

    def __init__(self, llm):
        super().__init__()
        self.llm = llm

    @step
    async def only(self, event: StartEvent) -> StopEvent:
        await self.llm.acomplete("a")
        return StopEvent(result=str(await self.llm.achat(HI)))


def fallback(w):
    w.provider.inject(Fail(status=500), model="gpt-4o")
    try:
        return w.like().complete("hi")
    except Exception:
        return w.like("gpt-4o-mini").complete("hi")


def retry(w):
    w.provider.inject(Fail(status=500))
    return w.openai(max_retries=1).chat(HI)


async def run(handler):
    return await handler


CASES = [
    Case("complete", [PLAIN], lambda w: w.like().complete("hi"), [PLAIN_4O], {"run": None}),
    Case("chat", [PLAIN], lambda w: w.like().chat(HI), [PLAIN_4O]),
    Case("acomplete", [PLAIN], lambda w: w.like().acomplete("hi"), [PLAIN_4O]),
    Case("achat", [PLAIN], lambda w: w.like().achat(HI), [PLAIN_4O]),
    Case("stream_complete", [PLAIN], lambda w: drain(w.like().stream_complete("hi")), [PLAIN_4O]),
    Case("stream_chat", [PLAIN], lambda w: drain(w.like().stream_chat(HI)), [PLAIN_4O]),
    Case("astream_complete", [PLAIN], lambda w: adrain(w.like().astream_complete("hi")), [PLAIN_4O]),
    Case("astream_chat", [PLAIN], lambda w: adrain(w.like().astream_chat(HI)), [PLAIN_4O]),
    Case("predict", [PLAIN], lambda w: w.like().predict(PromptTemplate("{x}?"), x="why"), [PLAIN_4O]),
    Case("stream", [PLAIN], lambda w: drain(w.like().stream(PromptTemplate("{x}?"), x="why")), [PLAIN_4O]),
    Case("OpenAI, chat", [PLAIN], lambda w: w.openai().chat(HI), [PLAIN_4O]),
    Case("OpenAI, stream_chat", [PLAIN], lambda w: drain(w.openai().stream_chat(HI)), [PLAIN_4O]),
    Case("OpenAI, astream_chat", [PLAIN], lambda w: adrain(w.openai().astream_chat(HI)), [PLAIN_4O]),
    Case("OpenAI, dated model", [PLAIN], lambda w: w.openai("gpt-4o-2024-08-06").chat(HI), [PLAIN_4O]),
    Case(
        "cache read",
        [CACHED],
        lambda w: w.like().chat(HI),
        [usd("gpt-4o", input=952, read=2048, output=20)],
    ),
    Case(
        "cache read, streamed",
        [CACHED],
        lambda w: drain(w.like().stream_chat(HI)),
        [usd("gpt-4o", input=952, read=2048, output=20)],
    ),
    Case(
        "reasoning is part of the output",
        [{"input_tokens": 50, "output_tokens": 900, "reasoning_tokens": 800}],
        lambda w: w.openai("o4-mini").chat(HI),
        [usd("o4-mini", input=50, output=900)],
    ),
    Case(
        "audio in and out",
        [{"input_tokens": 1000, "input_audio_tokens": 900, "output_tokens": 300, "output_audio_tokens": 250}],
        lambda w: w.like("gpt-audio").chat(HI),
        [usd("gpt-audio", input=100, audio_input=900, output=50, audio_output=250)],
    ),
    Case(
        "flex",
        [PLAIN | {"service_tier": "flex"}],
        lambda w: w.openai("gpt-5", additional_kwargs={"service_tier": "flex"}).chat(HI),
        [usd("gpt-5 flex", input=100, output=20)],
    ),
    Case(
        "flex with cache read and reasoning, streamed",
        [CACHED | {"output_tokens": 500, "reasoning_tokens": 400, "service_tier": "flex"}],
        lambda w: drain(w.openai("gpt-5").stream_chat(HI, service_tier="flex")),
        [usd("gpt-5 flex", input=952, read=2048, output=500)],
    ),
    Case(
        "priority",
        [PLAIN | {"service_tier": "priority"}],
        lambda w: w.openai("gpt-5").achat(HI, service_tier="priority"),
        [usd("gpt-5 priority", input=100, output=20)],
    ),
    Case(
        "priority asked for, standard served",
        [PLAIN | {"service_tier": "default"}],
        lambda w: w.openai("gpt-5").chat(HI, service_tier="priority"),
        [usd("gpt-5", input=100, output=20)],
    ),
    Case(
        "priority asked for, and the answer does not say what was served",
        [PLAIN],
        lambda w: w.openai("gpt-5").chat(HI, service_tier="priority"),
        [usd("gpt-5 priority", input=100, output=20)],
    ),
    Case("unknown model", [PLAIN], lambda w: w.like("no-such-model").chat(HI), [None]),
    Case(
        "the provider's own figure",
        [PLAIN | {"cost_usd": Decimal("0.00123")}],
        lambda w: w.like().chat(HI),
        [Decimal("0.00123")],
        {"price_source": "reported by the provider"},
    ),
    Case(
        "the provider's own figure, streamed",
        [PLAIN | {"cost_usd": Decimal("0.00123")}],
        lambda w: drain(w.like("no-such-model").stream_chat(HI)),
        [Decimal("0.00123")],
    ),
    Case(
        "structured output",
        [SEVEN_AS_JSON],
        lambda w: w.openai().structured_predict(Answer, PromptTemplate("hi")),
        [PLAIN_4O],
    ),
    Case(
        "structured output by tool",
        [SAYS_SEVEN],
        lambda w: w.like().structured_predict(Answer, PromptTemplate("hi")),
        [PLAIN_4O],
    ),
    Case(
        "structured output, streamed",
        [SEVEN_AS_JSON],
        lambda w: drain(w.openai().stream_structured_predict(Answer, PromptTemplate("hi"))),
        [PLAIN_4O],
    ),
    Case(
        "StructuredLLM, chat",
        [SEVEN_AS_JSON],
        lambda w: w.openai().as_structured_llm(Answer).chat(HI),
        [PLAIN_4O],
    ),
    Case(
        "StructuredLLM, acomplete",
        [SEVEN_AS_JSON],
        lambda w: w.openai().as_structured_llm(Answer).acomplete("hi"),
        [PLAIN_4O],
    ),
    Case(
        "StructuredLLM, stream_chat",
        [SEVEN_AS_JSON],
        lambda w: drain(w.openai().as_structured_llm(Answer).stream_chat(HI)),
        [PLAIN_4O],
    ),
    Case(
        "StructuredLLM, astream_chat",
        [SEVEN_AS_JSON],
        lambda w: adrain(w.openai().as_structured_llm(Answer).astream_chat(HI)),
        [PLAIN_4O],
    ),
    Case(
        "chat_with_tools",
        [ASKS_TO_ADD],
        lambda w: w.like().chat_with_tools([FunctionTool.from_defaults(add)], "2+3"),
        [PLAIN_4O],
    ),
    Case(
        "stream_chat_with_tools",
        [ASKS_TO_ADD],
        lambda w: drain(w.like().stream_chat_with_tools([FunctionTool.from_defaults(add)], "2+3")),
        [PLAIN_4O],
    ),
    Case(
        "predict_and_call",
        [ASKS_TO_ADD],
        lambda w: w.like().predict_and_call([FunctionTool.from_defaults(add)], "2+3"),
        [PLAIN_4O],
    ),
    Case("agent", [ASKS_TO_ADD, PLAIN], lambda w: run(agent(w).run("2+3")), [PLAIN_4O] * 2),
    Case(
        "agent, not streaming",
        [ASKS_TO_ADD, PLAIN],
        lambda w: run(agent(w, streaming=False).run("2+3")),
        [PLAIN_4O] * 2,
    ),
    Case(
        "ReAct agent",
        [
            PLAIN | {"text": 'Thought: add.\nAction: add\nAction Input: {"a": 2, "b": 3}'},
            PLAIN | {"text": "Thought: I can answer without using any more tools.\nAnswer: 5"},
        ],
        lambda w: run(ReActAgent(tools=[add], llm=w.like()).run("2+3")),
        [PLAIN_4O] * 2,
    ),
    Case(
        "agents that hand over",
        [
            PLAIN
            | {
                "model": "gpt-4o",
                "text": "",
                "tool_calls": (
                    ToolCall(name="handoff", arguments={"to_agent": "second", "reason": "r"}, id="h"),
                ),
            },
            PLAIN | {"model": "gpt-4o-mini"},
        ],
        lambda w: run(agents_that_hand_over(w).run("2+3")),
        [PLAIN_4O, PLAIN_MINI],
    ),
    Case(
        "agent with a sub-agent",
        [
            PLAIN
            | {
                "model": "gpt-4o",
                "text": "",
                "tool_calls": (ToolCall(name="ask_helper", arguments={"question": "2+3"}, id="q"),),
            },
            ASKS_TO_ADD | {"model": "gpt-4o-mini"},
            PLAIN | {"model": "gpt-4o-mini"},
            PLAIN | {"model": "gpt-4o"},
        ],
        lambda w: run(agent_with_sub_agent(w).run("2+3")),
        [PLAIN_4O, PLAIN_MINI, PLAIN_MINI, PLAIN_4O],
    ),
    Case("workflow", [PLAIN] * 2, lambda w: run(TwoSteps(w.like()).run()), [PLAIN_4O] * 2),
    Case("query engine, compact", [PLAIN], lambda w: engine(w, "compact").query("sky?"), [PLAIN_4O]),
    Case("query engine, refine", [PLAIN] * 2, lambda w: engine(w, "refine").query("sky?"), [PLAIN_4O] * 2),
    Case(
        "query engine, tree_summarize",
        [PLAIN],
        lambda w: engine(w, "tree_summarize").query("sky?"),
        [PLAIN_4O],
    ),
    Case(
        "query engine, accumulate, async",
        [PLAIN] * 2,
        lambda w: engine(w, "accumulate", use_async=True).aquery("sky?"),
        [PLAIN_4O] * 2,
    ),
    Case("query engine, aquery", [PLAIN], lambda w: engine(w, "compact").aquery("sky?"), [PLAIN_4O]),
    Case(
        "query engine, streamed",
        [PLAIN],
        lambda w: drain(engine(w, "compact", streaming=True).query("sky?").response_gen),
        [PLAIN_4O],
    ),
    Case(
        "query engine with structured answers",
        [SEVEN_AS_JSON],
        lambda w: index().as_query_engine(llm=w.openai().as_structured_llm(Answer)).query("sky?"),
        [PLAIN_4O],
    ),
    Case(
        "sub-questions",
        [TWO_QUESTIONS] + [PLAIN] * 3,
        lambda w: sub_questions(w).query("all?"),
        [PLAIN_4O] * 4,
    ),
    Case(
        "sub-questions, async",
        [TWO_QUESTIONS] + [PLAIN] * 3,
        lambda w: sub_questions(w, use_async=True).aquery("all?"),
        [PLAIN_4O] * 4,
    ),
    Case("chat engine", [PLAIN] * 2, lambda w: twice(chat(w)), [PLAIN_4O] * 2),
    Case(
        "chat engine, streamed", [PLAIN], lambda w: drain(chat(w).stream_chat("a").response_gen), [PLAIN_4O]
    ),
    Case("chat engine, async", [PLAIN], lambda w: chat(w).achat("a"), [PLAIN_4O]),
    Case(
        "chat engine with retrieval",
        [PLAIN] * 3,
        lambda w: twice(chat_with_retrieval(w)),
        [PLAIN_4O] * 3,
    ),
    Case(
        "summary index",
        [PLAIN],
        lambda w: SummaryIndex([TextNode(text="x")]).as_query_engine(llm=w.like()).query("x?"),
        [PLAIN_4O],
    ),
    Case("fallback pays, refusal does not", [PLAIN], fallback, [PLAIN_MINI]),
    Case("retry pays once", [PLAIN], retry, [PLAIN_4O]),
    Case(
        "Responses API",
        [CACHED | {"output_tokens": 400, "reasoning_tokens": 300}],
        lambda w: w.responses().chat(HI),
        [usd("gpt-5", input=952, read=2048, output=400)],
    ),
    Case(
        "Responses API, streamed",
        [PLAIN],
        lambda w: drain(w.responses().stream_chat(HI)),
        [usd("gpt-5", input=100, output=20)],
    ),
    Case(
        "Responses API, acomplete",
        [PLAIN],
        lambda w: w.responses().acomplete("hi"),
        [usd("gpt-5", input=100, output=20)],
    ),
    Case("Anthropic, chat", [PLAIN], lambda w: w.anthropic().chat(HI), [PLAIN_HAIKU]),
    Case("Anthropic, complete", [PLAIN], lambda w: w.anthropic().complete("hi"), [PLAIN_HAIKU]),
    Case("Anthropic, acomplete", [PLAIN], lambda w: w.anthropic().acomplete("hi"), [PLAIN_HAIKU]),
    Case("Anthropic, stream_chat", [PLAIN], lambda w: drain(w.anthropic().stream_chat(HI)), [PLAIN_HAIKU]),
    Case(
        "Anthropic, stream_complete",
        [PLAIN],
        lambda w: drain(w.anthropic().stream_complete("x")),
        [PLAIN_HAIKU],
    ),
    Case("Anthropic, astream_chat", [PLAIN], lambda w: adrain(w.anthropic().astream_chat(HI)), [PLAIN_HAIKU]),
    Case(
        "Anthropic, astream_complete",
        [PLAIN],
        lambda w: adrain(w.anthropic().astream_complete("x")),
        [PLAIN_HAIKU],
    ),
    Case(
        "Anthropic, input named in the first event only, streamed",
        [PLAIN | {"final_usage": "output_only"}],
        lambda w: drain(w.anthropic().stream_chat(HI)),
        [PLAIN_HAIKU],
    ),
    Case(
        "Anthropic, cache read",
        [{"input_tokens": 5000, "cache_read_tokens": 4000, "output_tokens": 20}],
        lambda w: w.anthropic().chat(HI),
        [usd("claude-haiku-4-5", input=1000, read=4000, output=20)],
    ),
    Case(
        "Anthropic, cache read, streamed",
        [{"input_tokens": 5000, "cache_read_tokens": 4000, "output_tokens": 20}],
        lambda w: drain(w.anthropic().stream_chat(cached_message("5m"))),
        [usd("claude-haiku-4-5", input=1000, read=4000, output=20)],
    ),
    Case(
        "Anthropic, five-minute write",
        [{"input_tokens": 5000, "cache_write_5m_tokens": 4000, "output_tokens": 20}],
        lambda w: w.anthropic().chat(cached_message("5m")),
        [usd("claude-haiku-4-5", input=1000, w5m=4000, output=20)],
    ),
    Case(
        "Anthropic, one-hour write",
        [{"input_tokens": 5000, "cache_write_1h_tokens": 4000, "output_tokens": 20}],
        lambda w: w.anthropic().chat(cached_message("1h")),
        [usd("claude-haiku-4-5", input=1000, w1h=4000, output=20)],
    ),
    Case(
        "Anthropic, five-minute write, streamed",
        [{"input_tokens": 5000, "cache_write_5m_tokens": 4000, "output_tokens": 20}],
        lambda w: drain(w.anthropic(cache_idx=0).stream_chat(HI)),
        [usd("claude-haiku-4-5", input=1000, w5m=4000, output=20)],
    ),
    Case(
        "Anthropic, one-hour write, streamed",
        [{"input_tokens": 5000, "cache_write_1h_tokens": 4000, "output_tokens": 20}],
        lambda w: drain(w.anthropic().stream_chat(cached_message("1h"))),
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
        lambda w: w.anthropic("claude-sonnet-4-5").chat(cached_message("1h", "5m")),
        [usd("claude-sonnet-4-5", input=2000, read=1000, w5m=2000, w1h=4000, output=50)],
    ),
    Case(
        "Anthropic, mixed writes, streamed, told by lifetime",
        [
            {
                "input_tokens": 7000,
                "cache_write_5m_tokens": 2000,
                "cache_write_1h_tokens": 4000,
                "output_tokens": 50,
                "final_usage": "with_split",
            }
        ],
        lambda w: drain(w.anthropic().stream_chat(cached_message("1h", "5m"))),
        [usd("claude-haiku-4-5", input=1000, w5m=2000, w1h=4000, output=50)],
    ),
    Case(
        "Anthropic, long context",
        [{"input_tokens": 250_000, "cache_read_tokens": 100_000, "output_tokens": 50}],
        lambda w: w.anthropic("claude-sonnet-4-5").achat(HI),
        [usd("claude-sonnet-4-5 long", input=150_000, read=100_000, output=50)],
    ),
    Case(
        "Anthropic, a web search at ten dollars a thousand",
        [PLAIN | {"web_searches": 2}],
        lambda w: w.anthropic().chat(HI),
        [PLAIN_HAIKU + Decimal("0.02")],
    ),
    Case(
        "Anthropic, agent",
        [ASKS_TO_ADD, PLAIN],
        lambda w: run(FunctionAgent(tools=[add], llm=w.anthropic()).run("2+3")),
        [PLAIN_HAIKU] * 2,
    ),
    Case(
        "Anthropic, query engine",
        [PLAIN],
        lambda w: index().as_query_engine(llm=w.anthropic()).query("sky?"),
        [PLAIN_HAIKU],
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_a_block_reports_the_bill_worked_out_by_hand(world, case):
    for answer in case.says:
        world.says(**answer)
    with track_cost() as report:
        done = case.do(world)
        if inspect.isawaitable(done):
            await done
    assert world.engine.queued == 0
    costs = [record.cost_usd for record in report.calls]
    assert sorted(costs, key=str) == sorted(case.costs, key=str)
    assert report.total_usd == sum((cost for cost in case.costs if cost is not None), Decimal(0))
    assert report.unpriced_calls == case.costs.count(None)
    assert not any(record.estimated for record in report.calls)
    for name, value in case.fields.items():
        told = {record.attribution.run if name == "run" else getattr(record, name) for record in report.calls}
        assert told == {value}


def test_the_table_has_enough_paths():
    assert len(CASES) >= 60
