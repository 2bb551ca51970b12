"""A cached model answers again what was paid for, by every method, and never what it must not."""

import asyncio
import json
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from llama_index.core.base.llms.types import (
    ChatMessage,
    ImageBlock,
    MessageRole,
    ThinkingBlock,
    ToolCallBlock,
)
from llama_index.core.prompts import ChatPromptTemplate, PromptTemplate
from llama_index.core.tools import FunctionTool
from pydantic import BaseModel

from examples.provider import ToolCall
from llama_index_tokenomics import BudgetGuard, CachingLLM, attribution, install_cost_tracking, track_cost
from llama_index_tokenomics.cache import MARK
from tests.prices_by_hand import usd
from tokenomics_core.budgets import Budgets, Limit
from tokenomics_core.cache import FixedThreshold, KeyRule, MemoryCacheStore, ResponseCache, ServingRule
from tokenomics_core.cache.content_guards import Truncated
from tokenomics_core.errors import BudgetExceededError, ConfigurationError
from tokenomics_core.ledger import MemoryLedger

QUESTION = "How long do refunds take?"
IN_OTHER_WORDS = "How long does a refund take?"
ANSWER = "Refunds take five working days."
COST = usd("gpt-4o", input=100, output=20)
USED = {"input_tokens": 100, "output_tokens": 20}


def user(text=QUESTION):
    return [ChatMessage(role="user", content=text)]


def near(threshold=0.7, **settings):
    """A cache that takes for equal what is near, so that a test sees what is compared at all."""
    return ResponseCache(policy=FixedThreshold(threshold), **settings)


def n_calls(world):
    return len(world.provider.requests)


def price(city: str) -> str:
    """Tell what a trip costs."""
    return f"{city}: 12 euros"


TOOL = FunctionTool.from_defaults(price)


class Refund(BaseModel):
    days: int


async def ask(llm, method, given):
    """Call one of the eight methods and return the whole text."""
    answer = getattr(llm, method)(given)
    if method.startswith("a"):
        answer = await answer
        if "stream" in method:
            return "".join([piece.delta or "" async for piece in answer])
    elif "stream" in method:
        return "".join(piece.delta or "" for piece in answer)
    return answer.message.content if "chat" in method else answer.text


CHATS = ("chat", "stream_chat", "achat", "astream_chat")
TEXTS = ("complete", "stream_complete", "acomplete", "astream_complete")


@pytest.mark.parametrize("client", ["like", "openai", "anthropic"])
@pytest.mark.parametrize("methods", [CHATS, TEXTS], ids=["chat", "complete"])
@pytest.mark.parametrize("first", range(4))
async def test_an_answer_to_any_method_is_served_to_all_of_its_kind(world, client, methods, first):
    world.says(ANSWER, **USED)
    llm = CachingLLM(getattr(world, client)())
    given = user() if methods is CHATS else QUESTION
    assert await ask(llm, methods[first], given) == ANSWER
    for method in methods:
        assert await ask(llm, method, given) == ANSWER
    assert n_calls(world) == 1
    assert llm.failures == 0


async def test_a_hit_is_recorded_once_at_nothing_with_what_it_avoided(world):
    world.says(ANSWER, **USED)
    llm = CachingLLM(world.like())
    ledger = MemoryLedger()
    with install_cost_tracking(ledger), track_cost() as cost:
        llm.chat(user())
        llm.chat(user())
        await ask(llm, "astream_chat", user())
    assert [record.source for record in cost.calls] == ["model", "cache", "cache"]
    assert (cost.total_usd, cost.avoided_usd) == (COST, 2 * COST)
    assert {record.model for record in cost.calls} == {"gpt-4o"}
    assert cost.calls[1].usage.input_tokens == 100
    totals = ledger.totals()
    assert (totals.calls, totals.cost_usd, totals.avoided_usd) == (3, COST, 2 * COST)


def test_a_hit_says_what_it_is_and_shares_nothing_with_the_next_one(world):
    world.says(ANSWER, **USED)
    llm = CachingLLM(world.like())
    llm.chat(user())
    hit = llm.chat(user())
    mark = hit.additional_kwargs[MARK]
    assert (mark["kind"], mark["usage"]["output_tokens"], mark["avoided_usd"]) == ("exact", 20, str(COST))
    hit.message.blocks[0].text = "changed"
    assert llm.chat(user()).message.content == ANSWER


def test_a_question_in_other_words_is_served_and_another_one_is_not(world):
    world.says(ANSWER, **USED)
    world.says("Exports are kept for thirty days.", **USED)
    llm = CachingLLM(world.like())
    llm.chat(user())
    assert llm.chat(user(IN_OTHER_WORDS)).additional_kwargs[MARK]["kind"] == "semantic"
    assert llm.chat(user("How long are exports kept?")).message.content == "Exports are kept for thirty days."


@pytest.mark.parametrize(
    "other",
    [
        {"model": "gpt-4o-mini"},
        {"temperature": 0.7},
        {"max_tokens": 5},
        {"api_key": "another account's"},
        {"additional_kwargs": {"seed": 3}},
    ],
    ids=str,
)
def test_models_set_otherwise_share_nothing(world, other):
    cache = near()
    for settings in ({}, other):
        world.says(ANSWER, **USED)
        CachingLLM(world.like(**{"temperature": 0.1, **settings}), cache).chat(user())
    assert n_calls(world) == 2


def test_arguments_of_a_call_and_tenants_keep_answers_apart(world):
    cache = near()
    llm = CachingLLM(world.like(), cache, tenant="a")
    for _ in range(4):
        world.says(ANSWER, **USED)
    llm.chat(user())
    llm.chat(user(), seed=7)
    llm.complete(QUESTION)
    CachingLLM(world.like(), cache, tenant="b").chat(user())
    assert n_calls(world) == 4
    CachingLLM(world.like(api_key="another of the same tenant"), cache, tenant="a").chat(user())
    assert n_calls(world) == 4


def test_equal_follow_ups_of_different_conversations_are_never_served_across(world):
    llm = CachingLLM(world.like(), near(0.5))
    follow_up = ChatMessage(role="user", content="And how much is it in euros?")
    talks = [
        [
            ChatMessage(role="user", content=f"What does the {thing} cost?"),
            ChatMessage(role="assistant", content=f"The {thing} costs {dollars} dollars."),
            follow_up,
        ]
        for thing, dollars in (("basic plan", 10), ("team plan", 20))
    ]
    world.says("Nine euros.", **USED)
    world.says("Eighteen euros.", **USED)
    assert [llm.chat(talk).message.content for talk in talks] == ["Nine euros.", "Eighteen euros."]
    assert [llm.chat(talk).message.content for talk in talks] == ["Nine euros.", "Eighteen euros."]
    assert n_calls(world) == 2


def test_a_prompts_question_is_compared_by_meaning_and_all_else_must_be_equal(world):
    llm = CachingLLM(world.like(), near())
    prompt = PromptTemplate("Context: {context_str}\nAnswer from it: {query_str}")
    context = "Refunds take five working days. Exports are kept for thirty days."
    world.says(ANSWER, **USED)
    llm.predict(prompt, context_str=context, query_str=QUESTION)
    assert llm.predict(prompt, context_str=context, query_str=IN_OTHER_WORDS) == ANSWER
    assert n_calls(world) == 1
    world.says("Six days.", **USED)
    assert llm.predict(prompt, context_str=context.replace("five", "six"), query_str=QUESTION) == "Six days."
    world.says("Briefly.", **USED)
    brief = PromptTemplate("Context: {context_str}\nAnswer briefly: {query_str}")
    assert llm.predict(brief, context_str=context, query_str=QUESTION) == "Briefly."


@pytest.mark.parametrize("method", ["predict", "apredict", "stream", "astream"])
async def test_each_way_to_fill_a_prompt_in_finds_the_answer_of_the_others(world, method):
    llm = CachingLLM(world.like(system_prompt="Be brief."), near())
    prompt = ChatPromptTemplate(
        [
            ChatMessage(role="system", content="Know: {context_str}"),
            ChatMessage(role="user", content="{query_str}"),
        ]
    )
    world.says(ANSWER, **USED)
    llm.predict(prompt, context_str="five days", query_str=QUESTION)
    answer = getattr(llm, method)(prompt, context_str="five days", query_str=IN_OTHER_WORDS)
    if method.startswith("a"):
        answer = await answer
    if method == "stream":
        answer = "".join(answer)
    if method == "astream":
        answer = "".join([piece async for piece in answer])
    assert answer == ANSWER
    assert n_calls(world) == 1
    assert "Be brief." in json.dumps(world.provider.requests[0].body)


def test_a_prompt_without_a_question_is_matched_word_for_word_only(world):
    llm = CachingLLM(world.like(), near(0.1))
    prompt = PromptTemplate("Summarise: {text}")
    for text in ("The first report on refunds.", "The first report on the refunds."):
        world.says(text, **USED)
        assert llm.predict(prompt, text=text) == text
    assert llm.predict(prompt, text="The first report on refunds.") == "The first report on refunds."
    assert n_calls(world) == 2


def test_a_prompt_that_depends_on_the_question_elsewhere_is_matched_word_for_word_only(world):
    llm = CachingLLM(world.like(), near(0.1))
    prompt = PromptTemplate(
        "{examples}\n{query_str}",
        function_mappings={"examples": lambda **told: f"n = {len(told['query_str'])}"},
    )
    for question in (QUESTION, IN_OTHER_WORDS):
        world.says(question, **USED)
        assert llm.predict(prompt, query_str=question) == question


def test_a_long_text_is_matched_word_for_word_and_a_short_one_by_meaning(world):
    llm = CachingLLM(world.like(), near())
    world.says(ANSWER, **USED)
    llm.complete(QUESTION)
    assert llm.complete(IN_OTHER_WORDS).text == ANSWER
    for text in (f"Answer in one line.\n{QUESTION}", f"Answer in one line.\n{IN_OTHER_WORDS}"):
        world.says("five days", **USED)
        llm.complete(text)
    assert n_calls(world) == 3


@pytest.mark.parametrize(
    "answer", [{"finish_reason": "length"}, {"text": ""}, {"text": "I cannot help with that."}]
)
@pytest.mark.parametrize("method", ["chat", "astream_chat"])
async def test_what_is_cut_short_empty_or_refused_is_never_stored(world, answer, method):
    llm = CachingLLM(world.like())
    for _ in range(2):
        world.says(**{"text": ANSWER, **answer, **USED})
        await ask(llm, method, user())
    assert n_calls(world) == 2
    assert llm.stats().entries == 0


async def test_an_error_reaches_its_caller_and_the_next_one_asks_again(world):
    llm = CachingLLM(world.like())
    for method in (*CHATS, *TEXTS):
        with pytest.raises(Exception, match="nothing is scripted"):
            await ask(llm, method, QUESTION if "complete" in method else user())
    world.says(ANSWER, **USED)
    assert llm.chat(user()).message.content == ANSWER


def test_images_are_matched_word_for_word_and_by_their_content(world):
    llm = CachingLLM(world.like(), near(0.1))

    def shown(image, text="What is this?"):
        block = ImageBlock(image=image, image_mimetype="image/png")
        return [ChatMessage(role="user", blocks=[*user(text)[0].blocks, block])]

    world.says("A cat.", **USED)
    world.says("A dog.", **USED)
    world.says("A cat, I said.", **USED)
    assert llm.chat(shown(b"cat")).message.content == "A cat."
    assert llm.chat(shown(b"dog")).message.content == "A dog."
    assert llm.chat(shown(b"cat", "What is that?")).message.content == "A cat, I said."
    assert llm.chat(shown(b"cat")).message.content == "A cat."


def test_a_rule_for_hot_requests_holds(world):
    rule = KeyRule(rule=ServingRule(max_temperature=0.5, hot="never"))
    llm = CachingLLM(world.like(temperature=0.9), rule=rule)
    for _ in range(2):
        world.says(ANSWER, **USED)
        llm.chat(user())
    assert n_calls(world) == 2


# -- tools


@pytest.mark.parametrize("allowed", [False, True])
async def test_calls_of_tools_are_stored_only_where_that_is_allowed(world, allowed):
    guards = {"guards": [Truncated()]} if allowed else {}
    llm = CachingLLM(world.like(), **guards)
    question = "What is a trip to Rome?"
    for _ in range(1 if allowed else 2):
        world.says("", tool_calls=(ToolCall(name="price", arguments={"city": "Rome"}),), **USED)
    first = llm.chat_with_tools([TOOL], question)
    stream = await llm.astream_chat_with_tools([TOOL], chat_history=user(question))
    second = [piece async for piece in stream][-1]
    calls = [llm.get_tool_calls_from_response(each)[0] for each in (first, second)]
    assert [call.tool_kwargs for call in calls] == [{"city": "Rome"}] * 2
    assert calls[0].tool_id != calls[1].tool_id
    assert n_calls(world) == (1 if allowed else 2)


async def test_an_answer_after_tools_is_found_again_whatever_the_ids_of_the_calls_were(world):
    llm = CachingLLM(world.like())

    def history(id_, price="12 euros"):
        call = ToolCallBlock(tool_call_id=id_, tool_name="price", tool_kwargs={"city": "Rome"})
        result = ChatMessage(role="tool", content=price, additional_kwargs={"tool_call_id": id_})
        return [*user("What is a trip to Rome?"), ChatMessage(role="assistant", blocks=[call]), result]

    world.says("Twelve euros.", **USED)
    world.says("Thirteen euros.", **USED)
    assert llm.chat_with_tools([TOOL], chat_history=history("a")).message.content == "Twelve euros."
    stream = await llm.astream_chat_with_tools([TOOL], chat_history=history("b"))
    assert "".join([piece.delta or "" async for piece in stream]) == "Twelve euros."
    other = llm.chat_with_tools([TOOL], chat_history=history("a", "13 euros"))
    assert other.message.content == "Thirteen euros."


def test_what_a_tool_says_of_itself_is_part_of_the_key(world):
    llm = CachingLLM(world.like(), near(0.1))
    other = FunctionTool.from_defaults(price, description="Tell what a trip costs, in dollars.")
    for tools in ([TOOL], [other], []):
        world.says(ANSWER, **USED)
        llm.chat_with_tools(tools, QUESTION)
    llm.chat_with_tools([TOOL], QUESTION)
    assert n_calls(world) == 3


def test_a_callers_history_is_left_as_it_was(world):
    world.says(ANSWER, **USED)
    history = user("Hello")
    CachingLLM(world.like()).chat_with_tools([TOOL], QUESTION, chat_history=history)
    assert len(history) == 1


# -- structured output


async def test_objects_are_served_again_by_each_method_and_by_the_schemas_content(world):
    llm = CachingLLM(world.openai())
    prompt = PromptTemplate("Read: five days. {query_str}")
    world.says('{"days": 5}', **USED)
    with track_cost() as cost:
        assert llm.structured_predict(Refund, prompt, query_str=QUESTION) == Refund(days=5)
        assert await llm.astructured_predict(Refund, prompt, query_str=QUESTION) == Refund(days=5)
        assert list(llm.stream_structured_predict(Refund, prompt, query_str=QUESTION)) == [Refund(days=5)]
        stream = await llm.astream_structured_predict(Refund, prompt, query_str=QUESTION)
        assert [each async for each in stream] == [Refund(days=5)]
    assert [record.source for record in cost.calls] == ["model", "cache", "cache", "cache"]
    assert (cost.total_usd, cost.avoided_usd) == (COST, 3 * COST)
    other = type("Refund", (BaseModel,), {"__annotations__": {"hours": int}})
    world.says('{"hours": 120}', **USED)
    assert llm.structured_predict(other, prompt, query_str=QUESTION).hours == 120


async def test_streamed_objects_are_stored_when_they_are_whole(world):
    prompt = PromptTemplate("Read: five days. {query_str}")
    llm = CachingLLM(world.openai())
    for _ in range(2):
        world.says('{"days": 5}', pieces=['{"da', 'ys": ', "5}"], **USED)
    stream = llm.stream_structured_predict(Refund, prompt, query_str=QUESTION)
    next(stream)
    stream.close()
    stream = await llm.astream_structured_predict(Refund, prompt, query_str=QUESTION)
    assert [each async for each in stream][-1].days == 5
    assert llm.structured_predict(Refund, prompt, query_str=QUESTION) == Refund(days=5)
    assert n_calls(world) == 2


# -- many at once


def test_fifty_equal_calls_from_threads_make_one_provider_call(world):
    all_in = threading.Barrier(50)
    world.says(ANSWER, **USED)
    llm = CachingLLM(world.like())

    def call(_):
        all_in.wait()
        return llm.chat(user()).message.content

    with ThreadPoolExecutor(50) as pool:
        assert set(pool.map(call, range(50))) == {ANSWER}
    assert n_calls(world) == 1


async def test_fifty_equal_calls_from_tasks_make_one_provider_call(world):
    world.says(ANSWER, **USED)
    llm = CachingLLM(world.like())
    answers = await asyncio.gather(*(ask(llm, CHATS[2 + n % 2], user()) for n in range(50)))
    assert set(answers) == {ANSWER}
    assert n_calls(world) == 1


async def test_three_streams_of_one_prompt_make_one_provider_call_and_equal_pieces(world):
    world.says(ANSWER, pieces=["Refunds ", "take five ", "working days."], **USED)
    llm = CachingLLM(world.like())

    async def pieces():
        return [piece.delta async for piece in await llm.astream_chat(user())]

    first, second, third = await asyncio.gather(pieces(), pieces(), pieces())
    assert first == second == third
    assert "".join(first) == ANSWER
    assert n_calls(world) == 1


async def test_a_stream_that_is_dropped_is_not_stored_and_lets_the_next_one_ask(world):
    llm = CachingLLM(world.like())
    for _ in range(3):
        world.says(ANSWER, **USED)
    stream = llm.stream_chat(user())
    next(stream)
    stream.close()
    del stream
    other = await llm.astream_chat(user())
    await anext(other)
    await other.aclose()
    unread = llm.stream_chat(user())
    del unread
    assert llm.stats().entries == 0
    assert llm.chat(user()).message.content == ANSWER


def test_two_streams_of_one_caller_do_not_wait_for_each_other(world):
    llm = CachingLLM(world.like())
    for _ in range(2):
        world.says(ANSWER, **USED)
    pairs = zip(llm.stream_chat(user()), llm.stream_chat(user()), strict=True)
    assert "".join(one.delta or "" for one, _ in pairs) == ANSWER


# -- budgets, failures, secrets


def test_a_hit_leaves_budgets_alone_and_a_refused_miss_is_not_stored(world):
    llm = CachingLLM(world.like(max_tokens=20))
    budgets = Budgets(limits=[Limit("user", calls=1)])
    world.says(ANSWER, **USED)
    world.says('{"days": 5}', **USED)
    with BudgetGuard(budgets) as guard, attribution(user="ada"):
        llm.chat(user())
        for _ in range(3):
            assert llm.chat(user()).message.content == ANSWER
        with pytest.raises(BudgetExceededError):
            llm.chat(user("Who can add a seat?"))
        assert guard.unguarded_calls == 0
        assert budgets.status("user", "ada").spent_usd == COST
    assert llm.stats().entries == 1


def test_an_object_from_the_cache_is_no_call_that_a_guard_missed(world):
    llm = CachingLLM(world.openai(max_tokens=20))
    prompt = PromptTemplate("{query_str}")
    world.says('{"days": 5}', **USED)
    with BudgetGuard(Budgets(limits=[Limit("user", usd="1")])) as guard, attribution(user="ada"):
        for _ in range(2):
            llm.structured_predict(Refund, prompt, query_str=QUESTION)
        assert guard.unguarded_calls == 0


async def test_a_store_that_fails_never_loses_a_paid_answer(world):
    class Broken(MemoryCacheStore):
        def find(self, *args, **kwargs):
            raise OSError("disk is gone")

        put = afind = aput = find

    llm = CachingLLM(world.like(), ResponseCache(Broken()))
    for method in CHATS:
        world.says(ANSWER, **USED)
        assert await ask(llm, method, user()) == ANSWER


def test_a_request_that_cannot_be_read_goes_past_the_cache(world):
    llm = CachingLLM(world.like(), tenant=lambda: 1 / 0)
    for n in range(2):
        world.says(ANSWER, **USED)
        assert llm.chat(user()).message.content == ANSWER
        assert llm.failures == n + 1
    assert n_calls(world) == 2


def test_no_dump_of_the_wrapper_holds_the_models_key(world):
    llm = CachingLLM(world.like(api_key="a-secret-key"))
    for dump in (llm.to_json(), str(llm.to_dict()), llm.model_dump_json(), repr(llm), str(llm.to_payload())):
        assert "a-secret-key" not in dump


def test_a_crafted_row_is_left_out(world):
    cache = ResponseCache()
    llm = CachingLLM(world.like(), cache)
    world.says(ANSWER, **USED)
    llm.chat(user())
    place = llm._chat_place(user(), {})
    evil = {
        "v": 1,
        "role": "assistant",
        "pieces": [],
        "blocks": [{"block_type": "image", "url": "file:///x"}],
    }
    for payload in (json.dumps(evil), "not json", b"\x80\x04."):
        cache.put(place.partition, place.question, payload, answer="x")
        world.says(ANSWER, **USED)
        assert llm.chat(user()).message.content == ANSWER


def test_the_models_own_settings_show_through(world):
    inner = world.like(system_prompt="Be brief.", context_window=1234)
    llm = CachingLLM(inner)
    assert llm.metadata == inner.metadata
    assert llm.system_prompt == "Be brief."
    assert llm.callback_manager is inner.callback_manager


def test_thoughts_are_kept_in_the_answer_and_left_out_of_later_keys(world):
    llm = CachingLLM(world.like())
    said = [ThinkingBlock(content="hm"), *ChatMessage(role="assistant", content="Five days.").blocks]
    talks = [
        [*user(), ChatMessage(role=MessageRole.ASSISTANT, blocks=blocks), *user("Sure?")]
        for blocks in (said, said[1:])
    ]
    world.says("Yes.", **USED)
    assert [llm.chat(talk).message.content for talk in talks] == ["Yes.", "Yes."]


@pytest.mark.parametrize("given", [{"path": "x.db"}, {"ttl_s": 3.0}, {"policy": FixedThreshold(0.9)}])
def test_settings_of_a_cache_that_is_given_are_refused(world, given):
    with pytest.raises(ConfigurationError, match="cannot be set for a cache that is given"):
        CachingLLM(world.like(), ResponseCache(), **given)


def test_what_is_no_model_is_refused():
    with pytest.raises(ConfigurationError, match="llm must be a LlamaIndex LLM, not str"):
        CachingLLM("gpt-4o")
