"""What does not fit a budget is not sent, on any path; what fits is booked to the nano-dollar."""

from __future__ import annotations

import asyncio
import gc
import inspect
import pickle
import threading
from decimal import Decimal

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import ModelRetryMiddleware, ToolRetryMiddleware
from langchain_core.caches import InMemoryCache
from langchain_core.exceptions import ModelError
from langchain_core.language_models.llms import BaseLLM
from langchain_core.messages import HumanMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.outputs import Generation, LLMResult
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.tools import tool
from pydantic import BaseModel

from examples.provider import Fail, ProviderAnswer, ProviderUsage, Stall, ToolCall
from langchain_tokenomics import (
    BudgetCallbackHandler,
    BudgetExceededError,
    CostCallbackHandler,
    attribution,
    track_cost,
)
from tests.prices_by_hand import usd
from tokenomics_core import BudgetExceededError as CoreBudgetExceededError
from tokenomics_core import ConfigurationError, UnknownModelError
from tokenomics_core.budgets import Budgets, Limit, SQLiteBudgetStore
from tokenomics_core.pricing import PriceBook
from tokenomics_core.tokens import count_tokens
from tokenomics_core.types import Cost

# Where a handler refuses in an event loop, LangChain drops the coroutines of the handlers behind it.
pytestmark = pytest.mark.filterwarnings("ignore:coroutine 'ahandle_event' was never awaited:RuntimeWarning")

PLAIN = {"input_tokens": 100, "output_tokens": 20}
ONE_CALL = usd("gpt-4o", input=100, output=20)
HI = {"messages": [("human", "hi")]}
PROMPT = ChatPromptTemplate.from_messages([("system", "Be brief."), ("human", "{question}")])


class Answer(BaseModel):
    """An answer with a number in it."""

    number: int


@tool
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


class TextModel(BaseLLM):
    """A text model that reports one usage for all its prompts, as OpenAI's does."""

    asked: int = 0

    @property
    def _llm_type(self):
        return "text"

    @property
    def _identifying_params(self):
        return {"model_name": "gpt-4o", "max_tokens": 10}

    def _generate(self, prompts, stop=None, run_manager=None, **kwargs):
        self.asked += 1
        usage = {"prompt_tokens": 30, "completion_tokens": 12, "total_tokens": 42}
        return LLMResult(
            generations=[[Generation(text="x")] for _ in prompts],
            llm_output={"model_name": "gpt-4o", "token_usage": usage},
        )


def drain(stream):
    return list(stream)


async def adrain(stream):
    return [item async for item in stream]


async def done(value):
    return await value if inspect.isawaitable(value) else value


def chain(w):
    return PROMPT | w.openai(max_tokens=50) | StrOutputParser()


def agent(w):
    return create_agent(w.openai(max_tokens=50), tools=[add])


PATHS = {
    "invoke": lambda w, c: w.openai().invoke("hi", c),
    "ainvoke": lambda w, c: w.openai().ainvoke("hi", c),
    "stream": lambda w, c: drain(w.openai().stream("hi", c)),
    "astream": lambda w, c: adrain(w.openai().astream("hi", c)),
    "batch": lambda w, c: w.openai().batch(["a"], c),
    "abatch": lambda w, c: w.openai().abatch(["a"], c),
    "generate": lambda w, c: w.openai().generate([[HumanMessage("a")]], **c),
    "agenerate": lambda w, c: w.openai().agenerate([[HumanMessage("a")]], **c),
    "astream_events v2": lambda w, c: adrain(w.openai().astream_events("hi", c, version="v2")),
    "chain": lambda w, c: chain(w).invoke({"question": "x"}, c),
    "chain, ainvoke": lambda w, c: chain(w).ainvoke({"question": "x"}, c),
    "chain, stream": lambda w, c: drain(chain(w).stream({"question": "x"}, c)),
    "chain, astream": lambda w, c: adrain(chain(w).astream({"question": "x"}, c)),
    "chain, astream_events": lambda w, c: adrain(chain(w).astream_events({"question": "x"}, c, version="v2")),
    "agent": lambda w, c: agent(w).invoke(HI, c),
    "agent, ainvoke": lambda w, c: agent(w).ainvoke(HI, c),
    "agent, stream": lambda w, c: drain(agent(w).stream(HI, c, stream_mode="messages")),
    "agent, astream": lambda w, c: adrain(agent(w).astream(HI, c, stream_mode="messages")),
    "agent, astream_events": lambda w, c: adrain(agent(w).astream_events(HI, c, version="v2")),
    "structured output": lambda w, c: w.openai().with_structured_output(Answer).invoke("hi", c),
    "responses API": lambda w, c: w.openai(use_responses_api=True).invoke("hi", c),
    "Anthropic": lambda w, c: w.anthropic().invoke("hi", c),
    "Anthropic, astream": lambda w, c: adrain(w.anthropic().astream("hi", c)),
}


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


def guard(limit, store=None, **settings):
    """Return budgets and the config that guards calls with them."""
    budgets = Budgets([limit] if isinstance(limit, Limit) else limit, store)
    return budgets, {"callbacks": [BudgetCallbackHandler(budgets, **settings)]}


def everything(amount):
    return Limit("all", usd=amount)


@pytest.mark.parametrize("name", PATHS)
async def test_what_does_not_fit_is_not_sent(name, world, store):
    budgets, config = guard(everything("0.000001"), store)
    with pytest.raises(BudgetExceededError, match="the call was not sent"):
        await done(PATHS[name](world, config))
    assert world.provider.count() == 0
    status = budgets.status("all")
    assert (status.spent_usd, status.held_usd, status.unconfirmed_usd) == (0, 0, 0)


@pytest.mark.parametrize("name", [name for name in PATHS if name != "structured output"])
async def test_what_fits_is_booked_to_the_nano_dollar(name, world, store):
    world.says(**PLAIN)
    budgets, config = guard(everything("1"), store)
    await done(PATHS[name](world, config))
    status = budgets.status("all")
    price = usd("claude-haiku-4-5", input=100, output=20) if "Anthropic" in name else ONE_CALL
    assert (status.spent_usd, status.held_usd, status.unconfirmed_usd) == (price, 0, 0)
    assert (status.spent_tokens, status.spent_calls) == (120, 1)


def test_the_error_is_of_both_trees_and_survives_pickling():
    error = BudgetExceededError("user", "ada", "day", "usd", Decimal(1), Decimal("0.9"), Decimal("0.2"))
    again = pickle.loads(pickle.dumps(error))
    assert isinstance(again, CoreBudgetExceededError)
    assert isinstance(again, ModelError)
    assert not again.is_retryable
    assert (str(again), again.args) == (str(error), error.args)


def test_the_worst_case_is_the_counted_input_with_tools_and_every_answer_at_its_bound(world):
    budgets, config = guard(everything("1"))
    stall = Stall()
    world.provider.inject(stall)
    world.says(**PLAIN)
    model = world.openai(n=2).bind_tools([add]).bind(max_tokens=300)
    thread = threading.Thread(target=lambda: model.invoke("hi", config))
    thread.start()
    stall.reached.wait()
    held = budgets.status("all")
    stall.release.set()
    thread.join()
    tools = [model.kwargs["tools"][0]]
    counted = int(count_tokens([HumanMessage("hi")], "gpt-4o", tools=tools))
    assert counted > int(count_tokens([HumanMessage("hi")], "gpt-4o"))
    assert held.held_usd == usd("gpt-4o", input=counted, output=600)
    assert held.held_tokens == counted + 600


def test_an_answer_without_a_bound_is_taken_for_the_bound_given_and_a_longer_one_is_booked_in_full(world):
    world.says(input_tokens=100, output_tokens=900)
    budgets, config = guard(everything("0.005"), max_output_tokens=100)
    world.openai().invoke("hi", config)
    assert budgets.status("all").spent_usd == usd("gpt-4o", input=100, output=900)
    assert budgets.counters.overshoots == 1
    with pytest.raises(BudgetExceededError):
        world.openai().invoke("hi", config)
    assert world.provider.count() == 1


def test_without_a_bound_at_all_a_call_can_be_refused(world):
    _, config = guard(everything("1"), max_output_tokens=None)
    with pytest.raises(ConfigurationError, match="has no bound; it was not sent"):
        world.openai().invoke("hi", config)
    assert world.provider.count() == 0


@pytest.mark.parametrize("wrong", [0, -1, True, "many", 1.5])
def test_a_wrong_bound_is_refused(wrong):
    with pytest.raises(ConfigurationError, match="max_output_tokens"):
        BudgetCallbackHandler(Budgets([everything("1")]), max_output_tokens=wrong)


def test_other_prices_for_the_same_budgets_are_refused():
    budgets = Budgets([everything("1")])
    first = BudgetCallbackHandler(budgets)
    with pytest.raises(ConfigurationError, match="other prices"):
        BudgetCallbackHandler(budgets, prices=PriceBook())
    assert first.budgets is budgets


def test_calls_count_for_who_they_are_for(world):
    for _ in range(3):
        world.says(**PLAIN)
    limits = [Limit(scope, usd="1") for scope in ("user", "conversation", ("user", "feature"), "run")]
    budgets, config = guard(limits)
    with attribution(feature="search", run="r1"):
        world.openai().invoke("hi", config | {"metadata": {"user_id": "ada", "thread_id": "t1"}})
        chain(world).invoke({"question": "x"}, config | {"metadata": {"user_id": "ada"}})
        world.openai().invoke("hi", config | {"metadata": {"user_id": "bob"}})
    assert budgets.status("user", "ada").spent_usd == 2 * ONE_CALL
    assert budgets.status(("user", "feature"), ("bob", "search")).spent_usd == ONE_CALL
    assert budgets.status("conversation", "t1").spent_usd == ONE_CALL
    assert budgets.status("run", "r1").spent_usd == 3 * ONE_CALL


def test_calls_of_one_agent_run_share_the_run_and_another_run_starts_anew(world):
    for _ in range(2):
        world.says("", tool_calls=(ToolCall(name="add", arguments={"a": 2, "b": 3}, id="c"),), **PLAIN)
        world.says(**PLAIN)
    _, config = guard(Limit("run", calls=2))
    assert agent(world).invoke(HI, config)["messages"][-1].text == "a short answer"
    assert agent(world).invoke(HI, config)["messages"][-1].text == "a short answer"
    _, config = guard(Limit("run", calls=1))
    world.says("", tool_calls=(ToolCall(name="add", arguments={"a": 2, "b": 3}, id="c"),), **PLAIN)
    with pytest.raises(BudgetExceededError, match="of run"):
        agent(world).invoke(HI, config)
    assert world.provider.count() == 5


# Who else listens


@pytest.mark.parametrize("path", ["invoke", "ainvoke"])
async def test_a_refused_call_is_on_no_bill_and_holds_nothing_in_other_budgets(path, world, store):
    roomy, tight = Budgets([everything("1")]), Budgets([everything("0.000001")], store)
    cost = CostCallbackHandler()
    config = {"callbacks": [cost, BudgetCallbackHandler(roomy), BudgetCallbackHandler(tight)]}
    with track_cost() as report, pytest.raises(BudgetExceededError):
        await done(getattr(world.openai(), path)("hi", config))
    cost.flush()
    gc.collect()
    assert (report.calls, cost.report.calls) == ([], [])
    status = roomy.status("all")
    assert (status.spent_usd, status.held_usd, status.spent_calls) == (0, 0, 0)


async def test_the_bill_and_the_budget_agree(world, store):
    budgets, config = guard(everything("1"), store)
    for _ in range(4):
        world.says(**PLAIN)
    with track_cost() as report:
        world.openai().invoke("hi", config)
        await world.openai().ainvoke("hi", config)
        drain(world.openai().stream("hi", config))
        await adrain(world.openai().astream("hi", config))
    assert report.total_usd == budgets.status("all").spent_usd == 4 * ONE_CALL


@pytest.mark.parametrize("path", ["invoke", "ainvoke"])
async def test_two_handlers_of_the_same_budgets_count_a_call_once(path, world, store):
    world.says(**PLAIN)
    budgets, config = guard(everything("1"), store)
    model = world.openai(callbacks=[BudgetCallbackHandler(budgets)])
    await done(getattr(model, path)("hi", config))
    status = budgets.status("all")
    assert (status.spent_usd, status.spent_calls, status.held_calls) == (ONE_CALL, 1, 0)


# What is not paid, and what is paid in part


@pytest.mark.parametrize("path", ["invoke", "ainvoke"])
async def test_a_call_that_the_provider_refuses_frees_what_it_held(path, world, store):
    world.provider.inject(Fail(status=500))
    budgets, config = guard(everything("1"), store)
    with pytest.raises(Exception, match="500"):
        await done(getattr(world.openai(), path)("hi", config))
    status = budgets.status("all")
    assert (status.spent_usd, status.held_usd, status.spent_calls) == (0, 0, 0)


def test_a_hit_of_the_cache_costs_nothing_and_is_no_call(world):
    world.says(**PLAIN)
    budgets, config = guard(everything("1"))
    model = world.openai(cache=InMemoryCache())
    assert model.invoke("hi", config).text == model.invoke("hi", config).text
    status = budgets.status("all")
    assert (status.spent_usd, status.held_usd) == (ONE_CALL, 0)
    assert (status.spent_tokens, status.spent_calls) == (120, 1)


def test_an_exhausted_budget_refuses_what_would_be_a_hit(world):
    world.says(**PLAIN)
    _, config = guard(Limit("all", calls=1))
    model = world.openai(cache=InMemoryCache())
    model.invoke("hi", config)
    with pytest.raises(BudgetExceededError):
        model.invoke("hi", config)


def test_a_stream_that_is_left_early_pays_for_what_arrived(world, store):
    world.says("one two three " * 60, input_tokens=50, output_tokens=500)
    budgets, config = guard(everything("1"), store)
    with track_cost() as report:
        stream = world.openai(max_tokens=500).stream("hi", config)
        next(stream), next(stream), next(stream)
        stream.close()
    status = budgets.status("all")
    assert status.held_usd == 0
    assert 0 < status.spent_usd == report.total_usd < usd("gpt-4o", input=50, output=500)


async def test_an_async_stream_that_is_left_early_pays_for_what_arrived(world, store):
    world.says("one two three " * 60, input_tokens=50, output_tokens=500)
    budgets, config = guard(everything("1"), store)
    async with track_cost() as report:
        stream = world.openai(max_tokens=500).astream("hi", config)
        async for _ in stream:
            break
        await stream.aclose()
    status = budgets.status("all")
    assert status.held_usd == 0
    assert 0 < status.spent_usd == report.total_usd < usd("gpt-4o", input=50, output=500)


async def test_a_cancelled_call_pays_for_its_input_when_the_store_is_in_memory(world):
    stall = Stall()
    world.provider.inject(stall, times=None)
    budgets, config = guard(everything("1"))
    async with track_cost() as report:
        task = asyncio.create_task(world.openai().ainvoke("hi", config))
        await asyncio.to_thread(stall.reached.wait)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    await asyncio.sleep(0)
    status = budgets.status("all")
    assert (status.held_usd, status.spent_calls) == (0, 1)
    assert 0 < status.spent_usd == report.total_usd


async def test_a_cancelled_call_in_a_chain_pays_for_its_input_whatever_the_store(world, store):
    stall = Stall()
    world.provider.inject(stall, times=None)
    budgets, config = guard(everything("1"), store)
    task = asyncio.create_task(chain(world).ainvoke({"question": "x"}, config))
    await asyncio.to_thread(stall.reached.wait)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.sleep(0)
    status = budgets.status("all")
    assert (status.held_usd, status.spent_calls) == (0, 1)
    assert status.spent_usd > 0


async def test_a_cancelled_call_alone_counts_at_its_worst_case_when_the_store_is_on_disk(world, tmp_path):
    stall = Stall()
    world.provider.inject(stall, times=None)
    store = SQLiteBudgetStore(tmp_path / "budgets.db")
    budgets, config = guard(everything("1"), store)
    task = asyncio.create_task(world.openai(max_tokens=50).ainvoke("hi", config))
    await asyncio.to_thread(stall.reached.wait)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    status = budgets.status("all")
    assert status.spent_usd == 0
    assert status.held_usd == usd(
        "gpt-4o", input=int(count_tokens([HumanMessage("hi")], "gpt-4o")), output=50
    )
    store.close()


@pytest.mark.parametrize("path", ["generate", "agenerate"])
async def test_where_one_prompt_of_several_does_not_fit_none_is_sent(path, world, store):
    budgets, config = guard(Limit("all", calls=2), store)
    prompts = [[HumanMessage(text)] for text in "abc"]
    with pytest.raises(BudgetExceededError):
        await done(getattr(world.openai(), path)(prompts, **config))
    await asyncio.to_thread(lambda: None)
    assert world.provider.count() == 0
    assert budgets.status("all").held_calls == 0


async def test_a_text_model_that_answers_many_prompts_at_once_is_booked_once(store):
    budgets, config = guard(everything("1"), store)
    model = TextModel()
    model.generate(["a", "b", "c"], **config)
    await model.ainvoke("d", config)
    status = budgets.status("all")
    assert (status.spent_usd, status.held_usd) == (usd("gpt-4o", input=60, output=24), 0)
    _, config = guard(everything("0.000001"), store)
    with pytest.raises(BudgetExceededError):
        TextModel().invoke("a", config)


# Unknown prices


def test_a_model_without_a_price_is_refused_where_dollars_count_and_passes_where_tokens_do(world):
    _, config = guard(everything("1"))
    with pytest.raises(UnknownModelError, match="no-such-model"):
        world.openai("no-such-model").invoke("hi", config)
    assert world.provider.count() == 0
    world.says(**PLAIN)
    budgets, config = guard(Limit("all", tokens=10_000))
    world.openai("no-such-model").invoke("hi", config)
    assert budgets.status("all").spent_tokens == 120


def test_prices_may_come_from_the_budgets(world):
    world.says(**PLAIN)
    mine = PriceBook(overrides={"no-such-model": {"input": "1", "output": "2"}})
    budgets = Budgets([everything("1")], prices=mine)
    world.openai("no-such-model").invoke("hi", {"callbacks": [BudgetCallbackHandler(budgets)]})
    assert budgets.status("all").spent_usd == Decimal("0.00014")


# What others make of the error


def test_a_fallback_does_not_spend_either_when_the_handler_is_in_the_config(world):
    _, config = guard(everything("0.000001"))
    model = world.openai().with_fallbacks([world.anthropic()])
    with pytest.raises(BudgetExceededError):
        model.invoke("hi", config)
    assert world.provider.count() == 0


def test_a_retry_sends_nothing(world):
    _, config = guard(everything("0.000001"))
    model = world.openai().with_retry(stop_after_attempt=3, wait_exponential_jitter=False)
    with pytest.raises(BudgetExceededError):
        model.invoke("hi", config)
    assert world.provider.count() == 0


@pytest.mark.parametrize("path", ["invoke", "ainvoke"])
async def test_retry_middleware_does_not_make_an_answer_of_it(path, world):
    _, config = guard(everything("0.000001"))
    retrying = create_agent(world.openai(), tools=[add], middleware=[ModelRetryMiddleware(initial_delay=0)])
    with pytest.raises(BudgetExceededError):
        await done(getattr(retrying, path)(HI, config))
    assert world.provider.count() == 0


def test_a_refusal_inside_a_tool_that_is_turned_into_an_answer_stops_the_next_call(world):
    helper = world.openai("gpt-4o-mini", max_tokens=10)

    @tool
    def ask_helper(question: str) -> str:
        """Ask the helper."""
        return helper.invoke(question).text

    world.says("", tool_calls=(ToolCall(name="ask_helper", arguments={"question": "?"}, id="c"),), **PLAIN)
    _, config = guard(Limit("run", calls=1))
    retrying = ToolRetryMiddleware(max_retries=2, initial_delay=0)
    with pytest.raises(BudgetExceededError):
        create_agent(world.openai(), tools=[ask_helper], middleware=[retrying]).invoke(HI, config)
    assert world.provider.count() == 1


# The event loop


async def test_a_store_that_takes_its_time_does_not_block_the_event_loop(world, tmp_path):
    arrived, may_go = threading.Event(), threading.Event()

    class Slow(SQLiteBudgetStore):
        def reserve(self, *args):
            arrived.set()
            assert may_go.wait(20), "the event loop never ran while the store was at work"
            return super().reserve(*args)

    world.says(**PLAIN)
    store = Slow(tmp_path / "slow.db")
    budgets, config = guard(everything("1"), store)
    task = asyncio.create_task(world.openai().ainvoke("hi", config))
    await asyncio.to_thread(arrived.wait)
    may_go.set()  # only a loop that is free gets here
    await task
    assert budgets.status("all").spent_usd == ONE_CALL
    store.close()


async def test_nothing_is_remembered_of_calls_that_have_ended(world, store):
    world.engine.always(ProviderAnswer(text="x", usage=ProviderUsage(input_tokens=1, output_tokens=1)))
    budgets, config = guard(Limit("all", calls=7), store)
    for _ in range(9):
        try:
            await world.openai().ainvoke("hi", config)
        except BudgetExceededError:
            world.provider.inject(Fail(status=500))
    gate = config["callbacks"][0]._gate
    assert (gate._holds, gate._seen, gate._open) == ({}, set(), {})
    assert budgets.status("all").spent_calls == 7


class Rebate:
    """Prices that owe the caller money, which is a mistake."""

    def cost(self, usage, model, provider=None, at=None):
        return Cost(total_usd=Decimal(-1), source="a typing error")


def test_a_cost_that_is_no_amount_books_the_worst_case(world):
    world.says(**PLAIN)
    budgets = Budgets([Limit("all", usd="10")])
    handler = BudgetCallbackHandler(budgets, prices=Rebate())
    world.openai(max_tokens=50).invoke("hi", config={"callbacks": [handler]})
    (line,) = budgets.status("all").lines
    assert (line.held, line.unconfirmed) == (0, 0)
    assert line.spent == usd("gpt-4o", input=8, output=50)
