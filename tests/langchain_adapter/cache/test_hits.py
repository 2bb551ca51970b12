"""A hit is an answer like the first one, but for its bill, its ids and whose object it is."""

import asyncio
import copy
import json
from decimal import Decimal

import pytest
from langchain_core.callbacks import UsageMetadataCallbackHandler
from langchain_core.globals import set_llm_cache
from langchain_core.language_models import FakeListLLM
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage
from langchain_core.outputs import ChatGeneration, Generation
from langchain_core.prompts import ChatPromptTemplate
from pydantic import create_model

from examples.provider import Fail, ProviderAnswer, ProviderUsage, ToolCall
from langchain_tokenomics import BudgetCallbackHandler, SemanticCache, attribution, track_cost
from langchain_tokenomics.cache import MARK
from tests.prices_by_hand import usd
from tokenomics_core.budgets import Budgets, Limit
from tokenomics_core.cache import FixedThreshold, ResponseCache
from tokenomics_core.cache.content_guards import DEFAULT_GUARDS
from tokenomics_core.embedding import StaticEmbedder

QUESTION = "How do I reset my password?"
ONE_CALL = usd("gpt-4o", input=100, output=20)
WITH_TOOLS = [guard for guard in DEFAULT_GUARDS if guard.name != "tool_calls"]


@pytest.fixture
def cache():
    made = SemanticCache()
    yield made
    made.close()
    assert made.failures == 0


def counted(world, text="Open the settings.", **more):
    """Let the provider say the same to everybody."""
    usage = ProviderUsage(input_tokens=100, output_tokens=20)
    world.engine.always(ProviderAnswer(text=text, usage=usage, **more))


def key_of(model, **kwargs):
    return model._get_llm_string(stop=None, **kwargs)


# The message


def test_a_hit_is_the_answer_with_new_ids_and_no_bill(world, cache):
    counted(world)
    model = world.openai(cache=cache)
    first, second = model.invoke(QUESTION), model.invoke(QUESTION)
    assert world.provider.count() == 1
    assert second.content == first.content
    assert second.id is None
    assert first.usage_metadata["total_tokens"] == 120
    assert {key: second.usage_metadata[key] for key in ("input_tokens", "output_tokens", "total_tokens")} == {
        "input_tokens": 0,
        "output_tokens": 0,
        "total_tokens": 0,
    }
    assert "token_usage" not in second.response_metadata
    mark = second.response_metadata[MARK]
    assert (mark["kind"], mark["usage"]["input_tokens"], Decimal(mark["avoided_usd"])) == (
        "exact",
        100,
        ONE_CALL,
    )
    json.dumps(second.model_dump())
    AIMessage(**second.model_dump(exclude={"type"}))


def test_nobody_can_change_what_the_next_one_gets(world, cache):
    counted(world)
    model = world.openai(cache=cache)
    for _ in range(3):
        answer = model.invoke(QUESTION)
        assert answer.content == "Open the settings."
        assert "poison" not in answer.response_metadata
        answer.response_metadata["poison"] = True
        answer.response_metadata.get(MARK, {})["kind"] = "poison"
        answer.content = "poison"
    assert answer.response_metadata[MARK]["kind"] == "poison"
    assert model.invoke(QUESTION).response_metadata[MARK]["kind"] == "exact"


def test_a_hit_is_a_list_of_plain_classes(cache):
    stored = [ChatGeneration(message=AIMessage("a")), ChatGeneration(message=AIMessage("b"))]
    cache.update(QUESTION, "a model", tuple(stored))
    found = cache.lookup(QUESTION, "a model")
    assert type(found) is list
    assert [generation.text for generation in found] == ["a", "b"]


def test_cached_tool_calls_have_a_new_id_each_time_everywhere(world):
    cache = SemanticCache(guards=WITH_TOOLS)
    counted(world, text="", tool_calls=(ToolCall(name="search", arguments={"id": "call_1"}, id="call_1"),))
    tools = [{"type": "function", "function": {"name": "search", "parameters": {"type": "object"}}}]
    model = world.openai(cache=cache).bind_tools(tools)
    answers = [model.invoke(QUESTION) for _ in range(3)]
    assert world.provider.count() == 1
    ids = [answer.tool_calls[0]["id"] for answer in answers]
    assert len(set(ids)) == 3
    assert all(name.startswith("call_") for name in ids)
    assert all(answer.tool_calls[0]["args"] == {"id": "call_1"} for answer in answers)
    assert '"id": "call_1", "type"' not in json.dumps(answers[1].model_dump())


def test_calls_of_tools_are_not_kept_by_default(world, cache):
    counted(world, text="", tool_calls=(ToolCall(name="search", arguments={}, id="call_1"),))
    model = world.openai(cache=cache)
    model.invoke(QUESTION)
    model.invoke(QUESTION)
    assert world.provider.count() == 2


def test_calls_of_tools_that_are_kept_are_served_for_the_same_words_only(world):
    cache = SemanticCache(guards=WITH_TOOLS, policy=FixedThreshold(0.3))
    counted(world, text="", tool_calls=(ToolCall(name="refund", arguments={"order": 1}, id="call_1"),))
    model = world.openai(cache=cache)
    model.invoke("How do I reset my password?")
    model.invoke("How can I reset my password?")
    assert world.provider.count() == 2
    counted(world)
    model.invoke("Where do I see my invoices?")
    before = world.provider.count()
    model.invoke("Where can I see my invoices?")
    assert world.provider.count() == before


def test_several_answers_travel_together(cache):
    answers = [Generation(text="one", generation_info={"finish_reason": "stop"}), Generation(text="two")]
    cache.update("a prompt", "a model", answers)
    assert cache.lookup("a prompt", "a model") == answers


@pytest.mark.parametrize("reason", ["length", "content_filter"])
def test_what_was_cut_short_is_not_kept(world, cache, reason):
    counted(world, finish_reason=reason)
    model = world.openai(cache=cache)
    model.invoke(QUESTION)
    model.invoke(QUESTION)
    assert world.provider.count() == 2


def test_one_bad_answer_of_several_keeps_all_from_being_stored(cache):
    def said(text, reason):
        return Generation(text=text, generation_info={"finish_reason": reason})

    cache.update("a prompt", "a model", [said("a", "stop"), said("b", "length")])
    assert cache.lookup("a prompt", "a model") is None
    cache.update("a prompt", "a model", [said("a", "stop"), said("b", "stop")])
    assert cache.lookup("a prompt", "a model") is not None


def test_text_models_are_served_word_for_word_unless_it_is_allowed(cache):
    try:
        set_llm_cache(cache)
        model = FakeListLLM(responses=["one", "two", "three"])
        said = [model.invoke(text) for text in (QUESTION, QUESTION, "How can I reset my password?")]
    finally:
        set_llm_cache(None)
    assert said == ["one", "one", "two"]
    open_minded = SemanticCache(text_prompts="semantic", policy=FixedThreshold(0.5))
    open_minded.update(QUESTION, "a model", [Generation(text="one")])
    assert open_minded.lookup("How can I reset my password?", "a model") == [Generation(text="one")]


# By meaning


def test_other_words_for_the_same_are_served_through_a_chain_and_near_misses_are_not(world, cache):
    counted(world)
    prompt = ChatPromptTemplate.from_messages(
        [("system", "You help in a shop. " * 30), ("human", "{question}")]
    )
    chain = prompt | world.openai(cache=cache)

    def asks(question):
        before = world.provider.count()
        chain.invoke({"question": question})
        return world.provider.count() - before

    assert asks("How do I reset my password?") == 1
    assert asks("How can I reset my password?") == 0
    assert asks("I want a refund for order 1123") == 1
    assert asks("I want a refund for order 1124") == 1
    assert asks("Can I cancel my order?") == 1
    assert asks("Can't I cancel my order?") == 1


def test_models_tenants_and_prompts_are_apart(world, cache):
    counted(world)
    world.openai(cache=cache).invoke(QUESTION)
    world.openai("gpt-4o-mini", cache=cache).invoke(QUESTION)
    world.openai(cache=cache).invoke([SystemMessage("Be brief."), HumanMessage(QUESTION)])
    with attribution(tags={"tenant": "ada"}):
        world.openai(cache=cache).invoke(QUESTION)
        assert world.provider.count() == 4
        world.openai(cache=cache).invoke(QUESTION)
    assert world.provider.count() == 4


def test_a_changed_schema_under_the_same_name_gives_no_old_answer(world, cache):
    counted(world, text='{"number": 7}')
    for fields in ({"number": (int, ...)}, {"number": (int, ...), "unit": (str, "kg")}):
        schema = create_model("Answer", **fields)
        model = world.openai(cache=cache).with_structured_output(schema)
        assert model.invoke(QUESTION).number == 7
        assert model.invoke(QUESTION).number == 7
    assert world.provider.count() == 4  # a class has no content here; `cached` can read it


def test_anthropic_is_served_too(world, cache):
    counted(world)
    model = world.anthropic(cache=cache)
    with track_cost() as cost:
        first, second = model.invoke(QUESTION), model.invoke(QUESTION)
    assert world.provider.count() == 1
    assert first.content == second.content
    assert cost.calls[1].source == "cache"
    assert cost.avoided_usd == cost.calls[0].cost_usd == cost.total_usd


# Trackers and budgets


def test_trackers_see_a_call_that_cost_nothing_and_what_it_avoided(world, cache):
    counted(world)
    usage = UsageMetadataCallbackHandler()
    with track_cost() as cost:
        for _ in range(3):
            world.openai(cache=cache).invoke(QUESTION, config={"callbacks": [usage]})
    assert [record.source for record in cost.calls] == ["model", "cache", "cache"]
    assert (cost.total_usd, cost.avoided_usd, cost.unpriced_calls) == (ONE_CALL, 2 * ONE_CALL, 0)
    assert [record.usage.input_tokens for record in cost.calls] == [100, 100, 100]
    assert usage.usage_metadata["gpt-4o"]["total_tokens"] == 120


def test_a_hit_settles_at_nothing_and_a_spent_budget_stands_before_langchains_cache(world, cache):
    counted(world)
    budgets = Budgets([Limit("all", usd="0.30")])
    handler = BudgetCallbackHandler(budgets)
    model = world.openai(cache=cache)
    for _ in range(5):
        model.invoke(QUESTION, config={"callbacks": [handler]})
    status = budgets.status("all")
    assert (status.spent_usd, status.held_usd, status.spent_calls) == (ONE_CALL, 0, 1)


def test_what_was_answered_without_a_bill_is_avoided_by_an_unknown_amount(world, cache):
    key = key_of(world.openai())
    prompt = json.dumps([_human(QUESTION)])
    cache.update(prompt, key, [ChatGeneration(message=AIMessage("a"))])
    with track_cost() as cost:
        assert world.openai(cache=cache).invoke(QUESTION).content == "a"
    assert (cost.calls[0].source, cost.calls[0].cost_usd, cost.calls[0].avoided_usd) == ("cache", 0, None)


def _human(text):
    kwargs = {"content": text, "type": "human"}
    return {
        "lc": 1,
        "type": "constructor",
        "id": ["langchain", "schema", "messages", "HumanMessage"],
        "kwargs": kwargs,
    }


# Nothing breaks a call


class Broken:
    def __getattr__(self, name):
        raise RuntimeError("the cache is broken")


async def test_a_broken_cache_is_a_miss_and_the_answer_reaches_its_caller(world):
    counted(world)
    cache = SemanticCache()
    cache.door.rule = Broken()
    model = world.openai(cache=cache)
    assert model.invoke(QUESTION).content == "Open the settings."
    assert (await model.ainvoke(QUESTION)).content == "Open the settings."
    assert cache.cached(world.openai()).invoke(QUESTION).content == "Open the settings."
    assert cache.failures == 5


def test_an_error_is_not_kept(world, cache):
    world.provider.inject(Fail(status=500), times=1)
    counted(world)
    model = world.openai(cache=cache)
    with pytest.raises(Exception, match="500"):
        model.invoke(QUESTION)
    assert model.invoke(QUESTION).content == "Open the settings."


_CLASS = {"lc": 1, "type": "constructor", "id": ["os", "system"], "kwargs": {"content": "x"}}
PLANTED = [
    "not json",
    "[]",
    "null",
    '{"v": 2}',
    '{"v": 1, "generations": [], "chunks": null}',
    '{"v": 1, "generations": [{"message": {"content": 3}}], "chunks": null}',
    json.dumps({"v": 1, "generations": [_CLASS], "chunks": None}),
    json.dumps({"v": 1, "generations": [{"message": _CLASS}], "chunks": None}),
    json.dumps(_CLASS),
    "[" * 50_000,
    "gASVCgAAAAAAAACMBm9zLnN5cw==",
]


@pytest.mark.parametrize("payload", PLANTED, ids=range(len(PLANTED)))
def test_a_planted_payload_is_a_miss(payload):
    cache = SemanticCache()
    asked = cache.asked("a prompt", "a model")
    assert cache.cache.put(asked.partition, asked.question, payload, how=asked.how)
    assert cache.lookup("a prompt", "a model") is None
    assert cache.failures == 0


def test_an_answer_with_lc_keys_comes_back_as_the_text_it_is(cache):
    trap = {"lc": 1, "type": "secret", "id": ["OPENAI_API_KEY"]}
    message = AIMessage("a", additional_kwargs={"trap": trap})
    cache.update("a prompt", "a model", [ChatGeneration(message=copy.deepcopy(message))])
    assert cache.lookup("a prompt", "a model")[0].message.additional_kwargs == {"trap": trap}


# Async, disk, clearing


async def test_async_calls_do_not_block_the_loop_while_they_embed(world):
    counted(world)
    ticks, embedder = [], StaticEmbedder()

    class Slow:
        identity, dimension, max_tokens = embedder.identity, embedder.dimension, None

        def fits(self, text):
            return True

        def embed(self, texts):
            raise AssertionError("embedded in the loop")

        async def aembed(self, texts):
            before = len(ticks)
            while len(ticks) < before + 3:
                await asyncio.sleep(0)
            return embedder.embed(texts)

    async def tick():
        while True:
            ticks.append(1)
            await asyncio.sleep(0)

    ticking = asyncio.create_task(tick())
    cache = SemanticCache(embedding=Slow())
    model = world.openai(cache=cache)
    await model.ainvoke(QUESTION)
    await model.ainvoke(QUESTION)
    await model.ainvoke("How can I reset my password?")
    ticking.cancel()
    assert world.provider.count() == 1
    assert len(ticks) >= 6
    assert cache.stats().failures.get("embedder", 0) == 0


def test_answers_outlive_the_process_in_a_file(world, tmp_path):
    counted(world)
    for _ in range(2):
        cache = SemanticCache(path=tmp_path / "cache.db")
        assert world.openai(cache=cache).invoke("How do I reset my password?").content == "Open the settings."
        assert (
            world.openai(cache=cache).invoke("How can I reset my password?").content == "Open the settings."
        )
        cache.close()
    assert world.provider.count() == 1


async def test_clear_drops_all_or_what_is_named(cache):
    def fill():
        cache.update("a prompt", "a model", [Generation(text="a")])
        with attribution(tags={"tenant": "ada"}):
            cache.update("a prompt", "a model", [Generation(text="b")])

    fill()
    cache.clear(tenant="ada")
    assert cache.lookup("a prompt", "a model") is not None
    with attribution(tags={"tenant": "ada"}):
        assert cache.lookup("a prompt", "a model") is None
    await cache.aclear()
    assert cache.lookup("a prompt", "a model") is None


def test_an_answer_past_its_time_is_fetched_anew_by_one(world):
    counted(world)
    now = [0.0]
    cache = SemanticCache(cache=ResponseCache(ttl_s=10, stale_s=100, clock=lambda: now[0]))
    model = world.openai(cache=cache)
    model.invoke(QUESTION)
    now[0] = 50.0
    model.invoke(QUESTION)
    assert world.provider.count() == 2
    assert model.invoke(QUESTION).response_metadata[MARK]["age_s"] == 0


def test_what_cannot_be_written_down_is_not_kept(cache):
    odd = ChatGeneration(message=AIMessage("a", additional_kwargs={"x": object()}))
    cache.update("a prompt", "a model", [odd])
    assert cache.lookup("a prompt", "a model") is None
    human = ChatGeneration(message=HumanMessage("a"))
    cache.update("a prompt", "a model", [human])
    assert cache.lookup("a prompt", "a model") is None
    nan = ChatGeneration(message=AIMessage("a", additional_kwargs={"x": float("nan")}))
    cache.update("a prompt", "a model", [nan])
    assert cache.lookup("a prompt", "a model") is None
