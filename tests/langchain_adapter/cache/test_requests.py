"""What of a request must be equal, what may be said in other words, and what is not served at all."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.load import dumps
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from pydantic import BaseModel

from langchain_tokenomics import SemanticCache, attribution
from langchain_tokenomics._cache_request import read_messages, read_setup
from tokenomics_core import ConfigurationError
from tokenomics_core.cache import KeyRule, ResponseCache, ServingRule

ASKED = [SystemMessage("Be brief."), HumanMessage("How do I reset my password?")]


class Answer(BaseModel):
    """An answer."""

    number: int


@pytest.fixture(scope="module")
def cache():
    return SemanticCache()


def model(name="gpt-4o", **settings):
    return ChatOpenAI(model=name, api_key="unused", base_url="http://localhost:1", **settings)


def llm_string(chat=None, stop=None, **kwargs):
    return (chat or model())._get_llm_string(stop=stop, **kwargs)


def place(cache, messages=ASKED, key=None):
    asked = cache.asked(dumps(messages), key or llm_string())
    return asked.partition, asked.question, asked.how


def with_history(*turns):
    return [SystemMessage("Be brief."), *turns, HumanMessage("And in euros?")]


# Messages


@settings(max_examples=60, deadline=None)
@given(text=st.text(), system=st.text())
def test_any_text_is_read_as_it_was_written(text, system):
    told = read_messages(dumps([SystemMessage(system), HumanMessage(text)]))
    assert [message["content"] for message in told] == [system, text]


@settings(max_examples=60, deadline=None)
@given(
    value=st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["lc", "type", "id", "kwargs", "x"]), inner, max_size=4)
        ),
        max_leaves=8,
    )
)
def test_what_a_user_writes_is_never_taken_for_a_message_or_a_class(value):
    told = read_messages(dumps([HumanMessage([{"type": "text", "text": "a"}, {"type": "x", "x": value}])]))
    assert told is not None
    assert read_messages(json.dumps(value)) is None or "kwargs" in json.dumps(value)


def test_only_the_last_turn_of_the_user_is_compared_by_meaning(cache):
    partition, question, how = place(cache)
    assert (question, how) == ("How do I reset my password?", "semantic")
    other = place(cache, [SystemMessage("Be brief."), HumanMessage("How can I reset it?")])
    assert other[0] == partition
    assert place(cache, [SystemMessage("Be verbose."), ASKED[1]])[0] != partition
    assert place(cache, [ASKED[1]])[0] != partition


def test_earlier_turns_count_and_what_providers_add_to_them_does_not(cache):
    plain = with_history(HumanMessage("What does it cost?"), AIMessage("Ten dollars."))
    told = with_history(
        HumanMessage("What does it cost?", id="h1"),
        AIMessage(
            "Ten dollars.",
            id="lc_run--1",
            response_metadata={"model_name": "x", "token_usage": {"total_tokens": 3}},
            usage_metadata={"input_tokens": 1, "output_tokens": 2, "total_tokens": 3},
            additional_kwargs={"refusal": None},
        ),
    )
    assert place(cache, plain) == place(cache, told)
    streamed = with_history(HumanMessage("What does it cost?"), AIMessageChunk("Ten dollars."))
    assert place(cache, plain) == place(cache, streamed)
    other = with_history(HumanMessage("What does it cost?"), AIMessage("Twelve dollars."))
    assert place(cache, plain)[0] != place(cache, other)[0]


def test_markers_of_a_prompt_cache_make_no_difference(cache):
    marked = {"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}
    assert place(cache) == place(cache, [SystemMessage([marked]), ASKED[1]])


def test_ids_of_tool_calls_make_no_difference_and_their_arguments_do(cache):
    def history(name, query="q", pair=None):
        call = {"name": "search", "args": {"query": query}, "id": name}
        return with_history(
            HumanMessage("hi"),
            AIMessage("", tool_calls=[call]),
            ToolMessage("found", tool_call_id=pair or name),
        )

    assert place(cache, history("call_1")) == place(cache, history("call_2"))
    assert place(cache, history("call_1"))[0] != place(cache, history("call_1", "other"))[0]
    assert place(cache, history("call_1"))[0] != place(cache, history("call_1", pair="call_9"))[0]


def test_an_argument_that_looks_like_an_id_stays_itself(cache):
    def history(name):
        call = {"name": "look_up", "args": {"id": "call_1"}, "id": name}
        return with_history(
            HumanMessage("hi"), AIMessage("", tool_calls=[call]), ToolMessage("x", tool_call_id=name)
        )

    first, second = read_messages(dumps(history("call_1"))), read_messages(dumps(history("call_2")))
    assert first == second
    assert first[2]["tool_calls"][0]["args"] == {"id": "call_1"}


def test_what_is_no_question_in_words_is_served_word_for_word_only(cache):
    image = HumanMessage([{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}])
    assert place(cache, [image])[2] == "exact"
    other = HumanMessage([{"type": "image_url", "image_url": {"url": "data:image/png;base64,AB=="}}])
    assert place(cache, [image])[0] != place(cache, [other])[0]
    call = AIMessage("", tool_calls=[{"name": "search", "args": {}, "id": "1"}])
    assert place(cache, [HumanMessage("hi"), call, ToolMessage("found", tool_call_id="1")])[2] == "exact"
    assert place(cache, [HumanMessage("hi"), AIMessage("hello")])[2] == "exact"


# Settings


def test_the_models_settings_are_part_of_the_place(cache):
    base = place(cache)[0]
    for other in (
        llm_string(model("gpt-4o-mini")),
        llm_string(model(temperature=0.2)),
        llm_string(model(max_tokens=5)),
        llm_string(stop=["."]),
        llm_string(tools=[{"type": "function", "function": {"name": "f"}}]),
        llm_string(model="gpt-4o-mini"),
        llm_string(seed=1),
        llm_string(response_format={"type": "json_object"}),
        llm_string(ChatOpenAI(model="gpt-4o", api_key="unused", base_url="http://localhost:2")),
    ):
        assert place(cache, key=other)[0] != base


def test_how_a_request_is_sent_is_not(cache):
    base = place(cache)[0]
    for same in (
        llm_string(model(max_retries=7)),
        llm_string(model(stream_usage=True)),
        llm_string(model(streaming=True)),
        llm_string(model(request_timeout=3)),
        llm_string(model(metadata={"a": 1}, tags=["x"], verbose=True)),
        llm_string(prompt_cache_key="k"),
        llm_string(model="gpt-4o"),
    ):
        assert place(cache, key=same)[0] == base


def test_models_of_one_class_may_answer_for_one_another():
    cache = SemanticCache(rule=KeyRule(model_classes={"gpt-4o": "good", "gpt-4.1": "good"}))
    same = [place(cache, key=llm_string(model(name)))[0] for name in ("gpt-4o", "gpt-4.1")]
    assert same[0] == same[1] != place(cache, key=llm_string(model("gpt-4o-mini")))[0]


def test_a_class_in_place_of_a_schema_is_not_served(cache):
    key = llm_string(response_format=Answer)
    assert "<class" in key
    asked = cache.asked(dumps(ASKED), key)
    assert asked.how == "never"
    assert "cannot be read" in asked.why


def test_a_hot_request_is_served_word_for_word_by_the_rule_that_is_set(cache):
    assert place(cache, key=llm_string(model(temperature=1.0)))[2] == "semantic"
    assert place(cache, key=llm_string(model(temperature=1.5)))[2] == "exact"
    assert place(cache, key=llm_string(temperature=1.5))[2] == "exact"
    strict = SemanticCache(rule=KeyRule(rule=ServingRule(max_temperature=0.0, hot="never")))
    assert place(strict, key=llm_string(model(temperature=0.1)))[2] == "never"
    assert place(cache, key=llm_string(model(n=2)))[2] == "exact"


def test_tools_are_told_apart_by_content(cache):
    @tool
    def search(query: str) -> str:
        """Search."""
        return query

    chat = model()
    first = chat.bind_tools([search]).kwargs
    search.description = "Search the web."
    second = chat.bind_tools([search]).kwargs
    assert place(cache, key=llm_string(**first))[0] != place(cache, key=llm_string(**second))[0]


@pytest.mark.parametrize(
    "key", ["", "---", "{", '{"lc": 1}---[(', "[('a', <object object at 0x7f>)]", "x" * 10]
)
def test_a_foreign_key_is_told_apart_as_it_is_or_not_served(cache, key):
    asked = cache.asked("a prompt", key)
    assert asked.how in {"exact", "never"}
    assert asked.how == "never" or asked.partition != cache.asked("a prompt", key + "y").partition


def test_a_key_is_not_split_at_its_dashes():
    setup = read_setup(llm_string(model(model_kwargs={"note": "a---b"}), stop=["---"]))
    assert setup.model == "gpt-4o"
    assert setup.settings["stop"] == ["---"]


def test_no_secret_gets_into_what_is_read():
    assert "OPENAI_API_KEY" not in repr(read_setup(llm_string()))


# Tenants


def test_tenants_are_apart_whoever_names_them():
    shared = ResponseCache()
    ada, bob = (SemanticCache(cache=shared, tenant=name) for name in ("ada", "bob"))
    assert place(ada)[0] != place(bob)[0]
    asked = SemanticCache(cache=shared)
    with attribution(tags={"tenant": "ada"}):
        assert place(asked)[0] == place(ada)[0]
    assert place(asked)[0] not in {place(ada)[0], place(bob)[0]}
    called = SemanticCache(cache=shared, tenant=lambda: "bob")
    assert place(called)[0] == place(bob)[0]


# Wrong settings


def test_settings_that_contradict_one_another_are_refused(tmp_path):
    with pytest.raises(ConfigurationError, match="path, ttl_s cannot be set"):
        SemanticCache(tmp_path / "cache.db", cache=ResponseCache(), ttl_s=3)
    with pytest.raises(ConfigurationError, match="not 'sometimes'"):
        SemanticCache(text_prompts="sometimes")
    with pytest.raises(ConfigurationError, match="none was taken"):
        SemanticCache(embedding=object())
