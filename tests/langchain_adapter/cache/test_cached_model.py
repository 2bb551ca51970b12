"""A cached model is the model it was, streams included, and equal calls in flight are one call."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from langchain_core.callbacks import AsyncCallbackHandler, UsageMetadataCallbackHandler
from langchain_core.language_models import BaseChatModel, FakeListChatModel, FakeListLLM, GenericFakeChatModel
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.rate_limiters import BaseRateLimiter
from langchain_core.runnables import ConfigurableField
from langchain_openai import ChatOpenAI
from pydantic import create_model

from examples.provider import Cut, Fail, ProviderAnswer, ProviderUsage, ToolCall
from langchain_tokenomics import BudgetCallbackHandler, BudgetExceededError, SemanticCache, track_cost
from langchain_tokenomics.cache import MARK
from tests.prices_by_hand import usd
from tokenomics_core import ConfigurationError
from tokenomics_core.budgets import Budgets, Limit
from tokenomics_core.cache import ResponseCache
from tokenomics_core.cache.content_guards import DEFAULT_GUARDS

QUESTION = "How do I reset my password?"
IN_OTHER_WORDS = "How can I reset my password?"
ONE_CALL = usd("gpt-4o", input=100, output=20)
WITH_TOOLS = [guard for guard in DEFAULT_GUARDS if guard.name != "tool_calls"]


@pytest.fixture
def cache():
    made = SemanticCache()
    yield made
    made.close()
    assert made.failures == 0


@pytest.fixture(params=["stream", "astream"])
def stream(request):
    """Stream from sync and from async code, which are served alike."""

    async def run(model, question=QUESTION, config=None):
        pieces = getattr(model, request.param)(question, config)
        return list(pieces) if request.param == "stream" else [each async for each in pieces]

    return run


def counted(world, text="Open the settings.", **more):
    usage = ProviderUsage(input_tokens=100, output_tokens=20)
    world.engine.always(ProviderAnswer(text=text, usage=usage, **more))


def gathered(world, waiting, text="Open the settings."):
    """Let the provider answer only once so many callers are waiting, or give up on it."""
    usage = ProviderUsage(input_tokens=100, output_tokens=20)
    world.engine.always(lambda request: (waiting.wait(20), ProviderAnswer(text=text, usage=usage))[1])


def texts(pieces):
    return [piece.content for piece in pieces]


# What it is


def test_a_cached_model_is_the_model_it_was(world, cache):
    model = world.openai(temperature=0.3)
    cached = cache.cached(model)
    assert isinstance(cached, ChatOpenAI)
    assert cached.model_name == "gpt-4o"
    assert cached._get_llm_string(stop=None) == model._get_llm_string(stop=None)
    assert type(cached).__name__ == "ChatOpenAI"
    assert cache.cached(cached) is cached
    assert model.cache is None
    assert type(cache.cached(model)) is type(cached)


def test_only_chat_models_and_their_bindings_can_be_cached(world, cache):
    bound = cache.cached(world.openai().bind(stop=["."]))
    counted(world)
    bound.invoke(QUESTION)
    bound.invoke(QUESTION)
    assert world.provider.count() == 1
    with pytest.raises(ConfigurationError, match="not FakeListLLM"):
        cache.cached(FakeListLLM(responses=["a"]))
    with pytest.raises(ConfigurationError, match="another cache"):
        SemanticCache().cached(cache.cached(world.openai()))


def test_a_model_made_from_its_fields_keeps_its_cache(world, cache):
    counted(world)
    field = ConfigurableField(id="temperature")
    model = cache.cached(world.openai(temperature=0.1)).configurable_fields(temperature=field)
    hotter = {"configurable": {"temperature": 0.5}}
    for config, calls in ((None, 1), (None, 1), (hotter, 2), (hotter, 2)):
        model.invoke(QUESTION, config)
        assert world.provider.count() == calls


# Streams


async def test_a_stream_is_said_again_in_its_pieces(world, cache, stream):
    counted(world)
    model = cache.cached(world.openai())
    first, second, third = await stream(model), await stream(model), await stream(model, IN_OTHER_WORDS)
    assert world.provider.count() == 1
    assert len(first) > 3
    assert texts(first) == texts(second) == texts(third)
    whole = sum(second[1:], second[0])
    assert whole.content == "Open the settings."
    assert whole.usage_metadata == {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0}
    assert whole.response_metadata["finish_reason"] == "stop"
    assert whole.response_metadata[MARK]["kind"] == "exact"
    assert len({piece.id for piece in second}) == 1 != len({first[0].id, second[0].id})
    assert second[-1].chunk_position == "last"


async def test_streams_and_whole_answers_fill_one_entry(world, cache, stream):
    counted(world)
    model = cache.cached(world.openai())
    assert "".join(texts(await stream(model))) == model.invoke(QUESTION).content
    other = "Where do I see my invoices?"
    assert model.invoke(other).content == "".join(texts(await stream(model, other)))
    plain = world.openai(cache=SemanticCache(cache=cache.cache, tenant="t"))
    again = SemanticCache(cache=cache.cache, tenant="t").cached(world.openai())
    plain.invoke(QUESTION)
    assert world.provider.count() == 3
    again.invoke(QUESTION)
    assert world.provider.count() == 3


async def test_a_stream_with_tool_calls_is_said_again_with_new_ids(world, stream):
    model = SemanticCache(guards=WITH_TOOLS).cached(world.openai())
    counted(world, text="", tool_calls=(ToolCall(name="search", arguments={"q": "x"}, id="call_1"),))
    wholes = []
    for _ in range(3):
        pieces = await stream(model)
        wholes.append(sum(pieces[1:], pieces[0]))
    assert world.provider.count() == 1
    assert [whole.tool_calls[0]["args"] for whole in wholes] == [{"q": "x"}] * 3
    assert len({whole.tool_calls[0]["id"] for whole in wholes}) == 3
    assert model.invoke(QUESTION).tool_calls[0]["name"] == "search"


async def test_anthropic_streams_are_said_again(world, cache, stream):
    counted(world)
    model = cache.cached(world.anthropic())
    with track_cost() as cost:
        first, second = await stream(model), await stream(model)
    assert world.provider.count() == 1
    assert sum(first[1:], first[0]).text == sum(second[1:], second[0]).text == "Open the settings."
    assert [record.source for record in cost.calls] == ["model", "cache"]
    assert cost.avoided_usd == cost.total_usd > 0


async def test_a_stream_that_breaks_or_is_left_is_not_kept(world, cache, stream):
    counted(world, text="one two three four five six")
    model = cache.cached(world.openai())
    world.provider.inject(Cut(after_chunks=2), times=1)
    with pytest.raises(Exception, match=r"(?i)incomplete|closed|peer"):
        await stream(model)
    pieces = model.stream(QUESTION)
    next(pieces)
    next(pieces)
    pieces.close()
    again = model.astream(QUESTION)
    await anext(again)
    await again.aclose()
    assert world.provider.count() == 3
    assert "".join(texts(await stream(model))) == "one two three four five six"
    assert world.provider.count() == 4
    await stream(model)
    assert world.provider.count() == 4


async def test_events_of_a_stream_are_the_same_from_the_cache(world, cache):
    counted(world)
    model = cache.cached(world.openai())

    async def events():
        found = [event async for event in model.astream_events(QUESTION, version="v2")]
        said = [event["data"]["chunk"].content for event in found if event["event"] == "on_chat_model_stream"]
        return said, found[0]["event"], found[-1]["event"]

    first, second = await events(), await events()
    assert first == second
    assert first[1:] == ("on_chat_model_start", "on_chat_model_end")
    assert world.provider.count() == 1


async def test_typed_events_of_a_stream_are_the_same_from_the_cache(world, cache):
    counted(world)
    model = cache.cached(world.openai())
    said = [model.stream_events(QUESTION, version="v3").output.content for _ in range(2)]
    assert said[0] == said[1]
    assert world.provider.count() == 1


async def test_the_responses_api_is_said_again_too(world, cache, stream):
    counted(world)
    model = cache.cached(world.openai(use_responses_api=True))
    first, second = await stream(model), await stream(model)
    assert sum(first[1:], first[0]).text == sum(second[1:], second[0]).text == "Open the settings."
    assert model.invoke(QUESTION).text == "Open the settings."
    assert world.provider.count() == 1
    whole = world.openai(use_responses_api=True, cache=cache)
    assert (
        whole.invoke("Where do I see my invoices?").text == whole.invoke("Where do I see my invoices?").text
    )
    assert world.provider.count() == 2


async def test_a_call_that_was_left_behind_is_not_taken_for_a_later_one(world, cache):
    counted(world)
    model = cache.cached(world.openai())
    later = []

    class LeavesATask(AsyncCallbackHandler):
        async def on_chat_model_start(self, *args, **kwargs):
            if not later:
                later.append(asyncio.create_task(self.ask()))

        async def ask(self):
            while world.provider.count() < 1 or not done.is_set():
                await asyncio.sleep(0)
            return await model.ainvoke("Where do I see my invoices?")

    done = asyncio.Event()
    await model.ainvoke(QUESTION, {"callbacks": [LeavesATask()]})
    done.set()
    await later[0]
    assert world.provider.count() == 2
    assert (await model.ainvoke("Where do I see my invoices?")).response_metadata[MARK]["kind"] == "exact"
    assert world.provider.count() == 2


async def test_a_model_without_a_stream_of_its_own_still_has_none(cache):
    class Whole(GenericFakeChatModel):
        _stream = BaseChatModel._stream

    model = cache.cached(Whole(messages=iter([AIMessage("a b c"), AIMessage("d")])))
    assert [piece.content for piece in model.stream("hi")] == ["a b c"]
    assert [piece.content async for piece in model.astream("hi")] == ["a b c"]


# Callbacks


async def test_trackers_see_each_call_once_and_hits_for_nothing(world, cache, stream):
    counted(world)
    model, usage = cache.cached(world.openai()), UsageMetadataCallbackHandler()
    config = {"callbacks": [usage]}
    with track_cost() as cost:
        await stream(model, config=config)
        await stream(model, config=config)
        model.invoke(QUESTION, config)
        await model.ainvoke(QUESTION, config)
        model.batch([QUESTION, QUESTION], config)
    assert [record.source for record in cost.calls] == ["model"] + ["cache"] * 5
    assert (cost.total_usd, cost.avoided_usd) == (ONE_CALL, 5 * ONE_CALL)
    assert usage.usage_metadata["gpt-4o"]["total_tokens"] == 120


async def test_a_spent_budget_does_not_keep_a_hit_back(world, cache, stream):
    counted(world)
    budgets = Budgets([Limit("all", usd="0.05")])
    config = {"callbacks": [BudgetCallbackHandler(budgets)]}
    model = cache.cached(world.openai())
    model.invoke(QUESTION, config)
    spent = budgets.reserve(usd="0.0495")
    with pytest.raises(BudgetExceededError):
        model.invoke("Where do I see my invoices?", config)
    assert model.invoke(QUESTION, config).content == "Open the settings."
    assert (await model.ainvoke(QUESTION, config)).content == "Open the settings."
    assert "".join(texts(await stream(model, config=config))) == "Open the settings."
    with pytest.raises(BudgetExceededError):
        await stream(model, "Where do I see my invoices?", config)
    budgets.release(spent)
    status = budgets.status("all")
    assert (status.spent_usd, status.held_usd, status.spent_calls) == (ONE_CALL, 0, 1)
    assert model.invoke("Where do I see my invoices?", config).content == "Open the settings."


def test_a_rate_limiter_waits_for_misses_only(world, cache):
    class Counting(BaseRateLimiter):
        places = 0

        def acquire(self, *, blocking=True):
            self.places += 1
            return True

        async def aacquire(self, *, blocking=True):
            return self.acquire()

    counted(world)
    limiter = Counting()
    model = cache.cached(world.openai(rate_limiter=limiter))
    model.invoke(QUESTION)
    model.invoke(QUESTION)
    list(model.stream(QUESTION))
    assert limiter.places == 1


# One call for many


class Crowd:
    """Opens once so many have come."""

    def __init__(self, size):
        self._size, self._came, self._lock, self.open = size, 0, threading.Lock(), threading.Event()

    def come(self):
        with self._lock:
            self._came += 1
            if self._came == self._size:
                self.open.set()


def test_fifty_equal_calls_from_threads_are_one(world, cache):
    crowd = Crowd(50)
    gathered(world, crowd.open)
    model = cache.cached(world.openai())

    def ask(_):
        crowd.come()
        return model.invoke(QUESTION).content

    with ThreadPoolExecutor(50) as pool:
        answers = [done.result() for done in [pool.submit(ask, number) for number in range(50)]]
    assert answers == ["Open the settings."] * 50
    assert world.provider.count() == 1


async def test_fifty_equal_calls_from_tasks_are_one(world, cache):
    crowd = Crowd(50)
    gathered(world, crowd.open)
    model = cache.cached(world.openai())

    async def ask():
        crowd.come()
        return (await model.ainvoke(QUESTION)).content

    with track_cost() as cost:
        assert await asyncio.gather(*(ask() for _ in range(50))) == ["Open the settings."] * 50
    assert world.provider.count() == 1
    assert (cost.total_usd, cost.avoided_usd) == (ONE_CALL, 49 * ONE_CALL)


async def test_three_streams_of_one_prompt_are_one_call_with_equal_pieces(world, cache):
    crowd = Crowd(3)
    gathered(world, crowd.open)
    model = cache.cached(world.openai())

    async def read():
        crowd.come()
        return texts([piece async for piece in model.astream(QUESTION)])

    first, second, third = await asyncio.gather(read(), read(), read())
    assert first == second == third
    assert len(first) > 3
    assert world.provider.count() == 1


async def test_a_batch_of_equal_questions_is_one_call(world, cache):
    counted(world)
    model = cache.cached(world.openai())
    assert len(model.batch([QUESTION] * 4)) == 4
    assert len(await model.abatch([QUESTION] * 4)) == 4
    assert world.provider.count() == 1


def test_a_leader_that_fails_is_replaced_and_keeps_its_error(world, cache):
    crowd = Crowd(3)
    world.engine.queue(lambda request: crowd.open.wait(20) and (_ for _ in ()).throw(_gone()))
    counted(world)
    model = cache.cached(world.openai())

    def ask(_):
        crowd.come()
        try:
            return model.invoke(QUESTION).content
        except Exception:
            return "error"

    with ThreadPoolExecutor(3) as pool:
        answers = sorted(pool.map(ask, range(3)))
    assert answers == ["Open the settings.", "Open the settings.", "error"]
    assert world.provider.count() == 2


def _gone():
    from examples.provider import ProviderError

    return ProviderError(400, "invalid_request_error", "no")


def test_several_prompts_of_one_generate_are_looked_up_one_by_one(world, cache):
    counted(world)
    model = cache.cached(world.anthropic())
    questions = (QUESTION, "Where do I see my invoices?", QUESTION)
    assert len(model.generate([[HumanMessage(question)] for question in questions]).generations) == 3
    assert world.provider.count() == 2


# Composed


def test_structured_output_is_read_anew_and_a_changed_schema_is_asked_again(world, cache):
    counted(world, text='{"number": 7, "unit": "kg"}')
    one = create_model("Answer", number=(int, ...))
    two = create_model("Answer", number=(int, ...), unit=(str, ...))
    for method in ("json_schema", "json_mode"):
        before = world.provider.count()
        model = cache.cached(world.openai())
        first = model.with_structured_output(one, method=method).invoke(QUESTION)
        again = model.with_structured_output(one, method=method).invoke(QUESTION)
        assert first == again == one(number=7)
        assert first is not again
        if method == "json_schema":
            assert model.with_structured_output(two).invoke(QUESTION) == two(number=7, unit="kg")
            assert world.provider.count() - before == 2
        else:
            assert world.provider.count() - before == 1


def test_bound_tools_stay_and_are_part_of_the_request(world, cache):
    counted(world)
    tools = [{"type": "function", "function": {"name": "search", "parameters": {"type": "object"}}}]
    model = cache.cached(world.openai())
    for each in (model.bind_tools(tools), model.bind_tools(tools), model):
        each.invoke(QUESTION)
    assert world.provider.count() == 2
    assert world.provider.requests[0].body["tools"]


async def test_chains_batches_and_fallbacks(world, cache):
    counted(world)
    prompt = ChatPromptTemplate.from_messages([("system", "Be brief."), ("human", "{question}")])
    chain = prompt | cache.cached(world.openai()) | StrOutputParser()
    assert chain.invoke({"question": QUESTION}) == "Open the settings."
    assert "".join(chain.stream({"question": IN_OTHER_WORDS})) == "Open the settings."
    assert await chain.abatch([{"question": QUESTION}] * 3) == ["Open the settings."] * 3
    assert world.provider.count() == 1
    weak = cache.cached(world.openai("gpt-4o-mini"))
    safe = prompt | cache.cached(world.openai()).with_fallbacks([weak])
    world.provider.inject(Fail(status=500), times=1)
    safe.invoke({"question": "Where do I see my invoices?"})
    assert world.provider.count() == 3
    world.provider.inject(Fail(status=500), times=1)
    safe.invoke({"question": "Where do I see my invoices?"})
    assert world.provider.count() == 4  # the strong model's failure was not kept, the weak one's answer was


def test_accounts_are_apart_unless_they_are_of_one_tenant(world):
    counted(world)
    for tenant, calls in ((None, 2), ("ada", 3)):
        cache = SemanticCache(tenant=tenant)
        for key in ("key-one", "key-two"):
            model = ChatOpenAI(model="gpt-4o", base_url=world.provider.openai_url, api_key=key, max_retries=0)
            cache.cached(model).invoke(QUESTION)
        assert world.provider.count() == calls


def test_settings_that_langchains_own_key_leaves_out_are_told_apart(cache):
    class Tuned(FakeListChatModel):
        mood: str = "calm"

    calm, wild = (cache.cached(Tuned(responses=[mood], mood=mood)) for mood in ("calm", "wild"))
    assert (calm.invoke("hi").content, wild.invoke("hi").content) == ("calm", "wild")


def test_an_answer_past_its_time_is_asked_anew_and_kept(world):
    counted(world)
    now = [0.0]
    cache = SemanticCache(cache=ResponseCache(ttl_s=10, stale_s=100, clock=lambda: now[0]))
    model = cache.cached(world.openai())
    model.invoke(QUESTION)
    now[0] = 50.0
    model.invoke(QUESTION)
    assert world.provider.count() == 2
    assert model.invoke(QUESTION).response_metadata[MARK]["age_s"] == 0
