"""Once a budget is spent nothing is sent, on any way through LlamaIndex, and the caller hears of it."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from llama_index.core import PromptTemplate
from llama_index.core.agent.workflow import AgentWorkflow, FunctionAgent, ReActAgent
from llama_index.core.base.llms.types import ChatMessage, LLMMetadata
from llama_index.core.chat_engine import (
    CondensePlusContextChatEngine,
    CondenseQuestionChatEngine,
    ContextChatEngine,
    SimpleChatEngine,
)
from llama_index.core.llms import CustomLLM
from llama_index.core.llms.callbacks import llm_completion_callback
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.query_engine import RetrieverQueryEngine, SubQuestionQueryEngine
from llama_index.core.question_gen.types import BaseQuestionGenerator, SubQuestion
from llama_index.core.response_synthesizers import ResponseMode
from llama_index.core.retrievers import BaseRetriever
from llama_index.core.schema import NodeWithScore, TextNode
from llama_index.core.tools import FunctionTool, QueryEngineTool
from pydantic import BaseModel
from workflows import Workflow, step
from workflows.events import StartEvent, StopEvent

from examples.provider import ProviderAnswer, ProviderUsage, ToolCall
from llama_index_tokenomics import BudgetGuard, attribution
from tokenomics_core.budgets import Budgets, Limit
from tokenomics_core.errors import BudgetExceededError, ConfigurationError, StoreError, TokenomicsError
from tokenomics_core.pricing import PriceBook

HI = [ChatMessage(role="user", content="hi")]
LIMIT = Limit("user", usd="1.00")


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


class City(BaseModel):
    """A city."""

    name: str


class TwoDocuments(BaseRetriever):
    """Finds the same two documents whatever is asked."""

    def _retrieve(self, query_bundle):
        return [NodeWithScore(node=TextNode(text=text), score=1.0) for text in ("one fact", "a second fact")]


class TwoQuestions(BaseQuestionGenerator):
    """Splits every question in two without asking a model."""

    def generate(self, tools, query):
        return [SubQuestion(sub_question=text, tool_name="docs") for text in ("first?", "second?")]

    async def agenerate(self, tools, query):
        return self.generate(tools, query)

    def _get_prompts(self):
        return {}

    def _update_prompts(self, prompts):
        pass


class OneStep(Workflow):
    """A workflow of the user's own."""

    llm: object = None

    @step
    async def ask(self, event: StartEvent) -> StopEvent:
        answer = await self.llm.achat(HI)
        return StopEvent(result=str(answer))


def engine(llm, mode="compact", **how):
    return RetrieverQueryEngine.from_args(TwoDocuments(), llm=llm, response_mode=ResponseMode(mode), **how)


def chat_engine(kind, llm):
    memory = ChatMemoryBuffer.from_defaults(token_limit=1000, chat_history=[*HI])
    if kind is SimpleChatEngine:
        return kind.from_defaults(llm=llm, memory=memory)
    if kind is CondenseQuestionChatEngine:
        return kind.from_defaults(engine(llm), llm=llm, memory=memory)
    return kind.from_defaults(TwoDocuments(), llm=llm, memory=memory)


async def drain(stream):
    return [piece async for piece in stream]


async def read_async_answer(response):
    return "".join([text async for text in response.async_response_gen()])


async def run_workflow(llm):
    flow = OneStep()
    flow.llm = llm
    return await flow.run()


SYNC_CALLS = {
    "chat": lambda llm: llm.chat(HI),
    "complete": lambda llm: llm.complete("hi"),
    "stream_chat": lambda llm: list(llm.stream_chat(HI)),
    "stream_complete": lambda llm: list(llm.stream_complete("hi")),
    "predict": lambda llm: llm.predict(PromptTemplate("hi")),
    "stream": lambda llm: list(llm.stream(PromptTemplate("hi"))),
    "tools": lambda llm: llm.chat_with_tools([FunctionTool.from_defaults(add)], "hi"),
    "predict and call": lambda llm: llm.predict_and_call([FunctionTool.from_defaults(add)], "hi"),
}
ASYNC_CALLS = {
    "achat": lambda llm: llm.achat(HI),
    "acomplete": lambda llm: llm.acomplete("hi"),
    "apredict": lambda llm: llm.apredict(PromptTemplate("hi")),
    "atools": lambda llm: llm.achat_with_tools([FunctionTool.from_defaults(add)], "hi"),
    "astream_chat": lambda llm: llm.astream_chat(HI),
    "astream_complete": lambda llm: llm.astream_complete("hi"),
    "workflow": run_workflow,
    "agent": lambda llm: FunctionAgent(tools=[add], llm=llm).run("hi"),
    "agent without stream": lambda llm: FunctionAgent(tools=[add], llm=llm, streaming=False).run("hi"),
    "react agent": lambda llm: ReActAgent(tools=[add], llm=llm).run("hi"),
    "agents": lambda llm: AgentWorkflow.from_tools_or_functions([add], llm=llm).run("hi"),
}
MODES = ["compact", "refine", "tree_summarize", "simple_summarize", "accumulate", "compact_accumulate"]
CHAT_ENGINES = [
    SimpleChatEngine,
    ContextChatEngine,
    CondensePlusContextChatEngine,
    CondenseQuestionChatEngine,
]


@pytest.fixture
def spent():
    """A guard over a budget of which Ada has spent everything."""
    budgets = Budgets([LIMIT])
    with attribution(user="ada"), BudgetGuard(budgets) as guard:
        budgets.settle(budgets.reserve(usd="1.00"), usd="1.00")
        yield guard


def clients(world):
    return [world.like(), world.openai(), world.responses(), world.anthropic("claude-opus-4-0")]


@pytest.mark.parametrize("call", SYNC_CALLS.values(), ids=SYNC_CALLS)
def test_no_sync_call_is_sent(world, spent, call):
    for llm in clients(world):
        with pytest.raises(BudgetExceededError) as caught:
            call(llm)
        assert (caught.value.scope, caught.value.key, caught.value.rule) == ("user", "ada", "limit")
    assert world.provider.requests == []
    assert spent.refused_calls == len(spent.exceeded) == 4


@pytest.mark.parametrize("call", ASYNC_CALLS.values(), ids=ASYNC_CALLS)
async def test_no_async_call_is_sent(world, spent, call):
    for llm in clients(world):
        with pytest.raises(BudgetExceededError):
            await call(llm)
    assert world.provider.requests == []
    assert len(spent.exceeded) >= 4


async def test_no_structured_answer_is_asked_for(world, spent):
    for llm in (world.like(), world.openai(), world.anthropic("claude-opus-4-0")):
        with pytest.raises(BudgetExceededError):
            llm.as_structured_llm(City).chat(HI)
        with pytest.raises(BudgetExceededError):
            await llm.as_structured_llm(City).achat(HI)
        with pytest.raises(BudgetExceededError):
            llm.structured_predict(City, PromptTemplate("hi"))
        with pytest.raises(BudgetExceededError):
            await llm.astructured_predict(City, PromptTemplate("hi"))
    assert world.provider.requests == []
    assert spent.unguarded_calls == 0


async def test_clients_that_send_structured_requests_past_the_hook_are_counted_and_told_of(
    world, spent, caplog
):
    """OpenAI's Responses and Anthropic's newer models: LlamaIndex tells nobody of these calls."""
    for _ in range(2):
        world.says('{"name": "Paris"}', input_tokens=9, output_tokens=9)
    assert world.responses().structured_predict(City, PromptTemplate("hi")).name == "Paris"
    await world.responses().astructured_predict(City, PromptTemplate("hi"))
    assert spent.unguarded_calls == world.provider.count() == 2
    (told,) = [text for text in caplog.messages if "without asking" in text]
    assert told.startswith("OpenAIResponses.structured_predict was called without asking the budget guard")


@pytest.mark.parametrize("mode", MODES)
async def test_no_synthesizer_answers_from_an_empty_purse(world, spent, mode):
    llm = world.like()
    with pytest.raises(BudgetExceededError):
        engine(llm, mode).query("hi")
    with pytest.raises(BudgetExceededError):
        await engine(llm, mode).aquery("hi")
    with pytest.raises(BudgetExceededError):
        await engine(llm, mode, use_async=True).aquery("hi")
    if "accumulate" not in mode:
        with pytest.raises(BudgetExceededError):
            str(engine(llm, mode, streaming=True).query("hi"))
    assert world.provider.requests == []


# LlamaIndex raises the error in the thread that writes the history, too.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("kind", CHAT_ENGINES)
async def test_no_chat_engine_goes_on(world, spent, kind):
    llm = world.like()
    with pytest.raises(BudgetExceededError):
        chat_engine(kind, llm).chat("hi")
    with pytest.raises(BudgetExceededError):
        await chat_engine(kind, llm).achat("hi")
    with pytest.raises(BudgetExceededError):
        list(chat_engine(kind, llm).stream_chat("hi").response_gen)
    with pytest.raises(BudgetExceededError):
        await read_async_answer_of(chat_engine(kind, llm))
    assert world.provider.requests == []


async def read_async_answer_of(chat):
    response = await chat.astream_chat("hi")
    return [text async for text in response.async_response_gen()]


@pytest.mark.parametrize("mode", ["compact", "refine"])
def test_an_engine_stops_in_the_middle_of_a_question(world, mode):
    """Each document is a call of its own here; the money is there for the first one."""
    world.engine.always(ProviderAnswer(text="so far", usage=ProviderUsage(input_tokens=50, output_tokens=20)))
    llm = world.like(context_window=1500, max_tokens=50)
    documents = [TextNode(text="word " * 700) for _ in range(3)]

    class Long(BaseRetriever):
        def _retrieve(self, query_bundle):
            return [NodeWithScore(node=node, score=1.0) for node in documents]

    asking = RetrieverQueryEngine.from_args(Long(), llm=llm, response_mode=ResponseMode(mode))
    with BudgetGuard(Budgets([Limit("user", calls=1)])), attribution(user="ada"):
        with pytest.raises(BudgetExceededError) as caught:
            asking.query("hi")
        assert caught.value.unit == "calls"
    assert world.provider.count() == 1


async def test_an_error_that_sub_questions_swallow_stops_the_next_and_can_be_seen(world, spent):
    llm = world.like()
    tool = QueryEngineTool.from_defaults(engine(llm), name="docs", description="documents")
    asking = SubQuestionQueryEngine.from_defaults(
        [tool], question_gen=TwoQuestions(), llm=llm, response_synthesizer=None, use_async=False
    )
    assert str(asking.query("hi")) == "Empty Response"  # what LlamaIndex makes of it
    assert [error.rule for error in spent.exceeded] == ["limit", "run stopped"]
    with pytest.raises(BudgetExceededError, match="rule: limit"), spent.reraise():
        asking.query("hi")
    with pytest.raises(BudgetExceededError), spent.reraise():
        await asking.aquery("hi")
    assert world.provider.requests == []


async def test_a_run_that_was_stopped_stays_so_though_a_smaller_call_would_fit(world):
    """The tool's long question does not fit; the agent is told so by LlamaIndex and would go on."""
    llm = world.like(max_tokens=100)
    calls = (ToolCall(id="1", name="ask", arguments={"text": "x"}),)
    world.engine.queue(
        ProviderAnswer(text="", tool_calls=calls, usage=ProviderUsage(input_tokens=60, output_tokens=9))
    )
    world.engine.always(ProviderAnswer(text="never", usage=ProviderUsage(input_tokens=9, output_tokens=9)))

    async def ask(text: str) -> str:
        """Ask at length."""
        return str(await llm.acomplete("word " * 2000))

    budgets = Budgets([Limit("request", tokens=1000)])
    with BudgetGuard(budgets) as guard:
        with pytest.raises(BudgetExceededError) as caught:
            await FunctionAgent(tools=[ask], llm=llm).run("x")
        assert caught.value.rule == "run stopped"
        assert world.provider.count() == 1
        await FunctionAgent(tools=[ask], llm=llm).run("x")  # another run
        assert world.provider.count() == 2
        assert [error.rule for error in guard.exceeded] == ["limit", "run stopped"]


def test_a_stopped_run_goes_on_after_clear_and_others_never_stop(world):
    world.engine.always(ProviderAnswer(text="yes", usage=ProviderUsage(input_tokens=9, output_tokens=9)))
    llm = world.like(max_tokens=100)
    budgets = Budgets([Limit("run", calls=1), Limit("user", calls=100)])
    with BudgetGuard(budgets) as guard:
        with attribution(run="one"):
            llm.chat(HI)
            with pytest.raises(BudgetExceededError, match="rule: limit"):
                llm.chat(HI)
            budgets.grant("run", "one", calls=5)
            with pytest.raises(BudgetExceededError, match="rule: run stopped"):
                llm.chat(HI)
            guard.clear()
            assert guard.exceeded == ()
            llm.chat(HI)
        with attribution(run="two"):
            llm.chat(HI)
    assert world.provider.count() == 3


def test_one_user_of_a_named_run_does_not_stop_the_others(world):
    world.engine.always(ProviderAnswer(text="yes", usage=ProviderUsage(input_tokens=9, output_tokens=9)))
    asking = engine(world.like(max_tokens=100))
    with BudgetGuard(Budgets([Limit("user", calls=1)])), attribution(run="night job"):
        for user in ("ada", "bo"):
            with attribution(user=user):
                asking.query("hi")
                with pytest.raises(BudgetExceededError):
                    asking.query("hi")
    assert world.provider.count() == 2


def test_a_block_reraises_nothing_where_nothing_was_refused_and_leaves_other_errors_alone(world, spent):
    with spent.reraise(), attribution(user="bo"):
        world.says(input_tokens=9, output_tokens=9)
        world.like(max_tokens=5).chat(HI)

    def swallow_and_fail():
        with spent.reraise():
            with pytest.raises(BudgetExceededError):
                world.like().chat(HI)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        swallow_and_fail()
    with (
        pytest.raises(BudgetExceededError),
        spent.reraise(),
        spent.reraise(),
        pytest.raises(BudgetExceededError),
    ):
        world.like().chat(HI)


def test_what_is_kept_of_a_refusal_pins_no_frames(world, spent):
    with pytest.raises(BudgetExceededError):
        world.like().chat(HI)
    (kept,) = spent.exceeded
    assert kept.__traceback__ is kept.__context__ is None
    with pytest.raises(BudgetExceededError) as caught:
        world.like().chat(HI)
    assert caught.value.args == kept.args


def test_refusals_in_threads_and_tasks_of_a_block_reach_its_end(world, spent):
    from llama_index_tokenomics import in_context

    def ask():
        with pytest.raises(BudgetExceededError):
            world.like().chat(HI)

    with pytest.raises(BudgetExceededError), spent.reraise(), ThreadPoolExecutor(1) as pool:
        pool.submit(in_context(ask)).result()


@pytest.mark.parametrize("mode", ["compact", "tree_summarize"])
def test_what_cannot_be_judged_is_not_sent_and_ends_in_no_empty_response(world, mode):
    asking = engine(world.like("a-model-nobody-prices"), mode)
    with (
        BudgetGuard(Budgets([LIMIT])),
        attribution(user="ada"),
        pytest.raises(TokenomicsError, match="a-model-nobody-prices"),
    ):
        asking.query("hi")
    with BudgetGuard(Budgets([LIMIT], unattributed="refuse")):
        with pytest.raises(TokenomicsError, match="names no user") as caught:
            engine(world.like(), mode).query("hi")
        assert not isinstance(caught.value, ValueError)
        assert isinstance(caught.value.__cause__, ConfigurationError)
    assert world.provider.requests == []


def test_an_error_of_the_budget_is_none_that_engines_swallow():
    assert not issubclass(BudgetExceededError, (ValueError, TypeError))
    assert not issubclass(StoreError, (ValueError, TypeError))


def test_settings_below_one_are_refused():
    for name in ("max_output_tokens", "min_output_tokens"):
        with pytest.raises(ConfigurationError, match=f"{name} must be a whole number of 1 or more, not 0"):
            BudgetGuard(Budgets([LIMIT]), **{name: 0})


def test_prices_of_the_budgets_win_and_a_guard_lends_its_own_where_they_have_none():
    own, other = PriceBook(), PriceBook()
    budgets = Budgets([LIMIT], prices=own)
    BudgetGuard(budgets, prices=other)
    assert budgets.prices is own
    bare = Budgets([LIMIT])
    BudgetGuard(bare, prices=other)
    assert bare.prices is other
    unset = Budgets([LIMIT])
    BudgetGuard(unset)
    assert isinstance(unset.prices, PriceBook)


async def test_the_store_being_away_refuses_or_lets_pass_as_told(world, tmp_path):
    from tokenomics_core.budgets import RedisBudgetStore

    pytest.importorskip("redis")
    world.engine.always(ProviderAnswer(text="yes", usage=ProviderUsage(input_tokens=9, output_tokens=9)))
    llm = world.like(max_tokens=5)
    for policy in ("closed", "open"):
        store = RedisBudgetStore(f"unix://{tmp_path / 'nobody.sock'}")
        budgets = Budgets([LIMIT], store, on_store_failure=policy)
        with BudgetGuard(budgets) as guard, attribution(user="ada"):
            if policy == "closed":
                with pytest.raises(StoreError):
                    llm.chat(HI)
                with pytest.raises(StoreError):
                    engine(llm).query("hi")
                with pytest.raises(StoreError):
                    await llm.achat(HI)
            else:
                llm.chat(HI)
                await llm.achat(HI)
                await guard.aflush()
                assert budgets.pending == 2
            assert guard.exceeded == ()
        store.close()
    assert world.provider.count() == 2


class Own(CustomLLM):
    """A model of the user's own, which no setting bounds."""

    @property
    def metadata(self):
        return LLMMetadata(model_name="gpt-4o")

    @llm_completion_callback()
    def complete(self, prompt, formatted=False, **kwargs):
        raise AssertionError("it was sent")

    @llm_completion_callback()
    def stream_complete(self, prompt, formatted=False, **kwargs):
        raise AssertionError("it was sent")


async def test_a_model_of_the_users_own_is_asked_for_in_each_of_its_layers(world):
    with BudgetGuard(Budgets([Limit("user", tokens=500)]), max_output_tokens=1000), attribution(user="ada"):
        with pytest.raises(BudgetExceededError) as caught:
            Own().complete("hi")
        assert 1000 < caught.value.requested < 1020
        with pytest.raises(BudgetExceededError):
            Own().chat(HI)
        with pytest.raises(BudgetExceededError):
            await Own().achat(HI)
