"""The OpenAI and Anthropic clients read from the stand-in exactly what its engine said."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal

import anthropic
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

from examples.provider import (
    LoopbackProvider,
    ProviderAnswer,
    ProviderError,
    ProviderRequest,
    ProviderUsage,
    ScriptedEngine,
    TokenLogprob,
    ToolCall,
)
from examples.provider.wire import CHAT, MESSAGES, RESPONSES, Stamp

ASK = [{"role": "system", "content": "be brief"}, {"role": "user", "content": "hello?"}]
USAGE = ProviderUsage(
    input_tokens=1000,
    output_tokens=50,
    cache_read_tokens=400,
    cache_write_5m_tokens=100,
    cache_write_1h_tokens=200,
    reasoning_tokens=20,
    input_audio_tokens=7,
    output_audio_tokens=3,
)
ANSWER = ProviderAnswer(text="Good day to you.", usage=USAGE)
TOOLS = [
    {
        "type": "function",
        "function": {"name": "add", "description": "Add.", "parameters": {"type": "object"}},
    }
]


@pytest.fixture
def engine() -> ScriptedEngine:
    return ScriptedEngine()


@pytest.fixture
def provider(engine: ScriptedEngine) -> Iterator[LoopbackProvider]:
    with LoopbackProvider(engine, models=("small", "large")) as running:
        yield running


@pytest.fixture
def chatgpt(provider: LoopbackProvider) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=provider.openai_url, api_key="unused", max_retries=0) as client:
        yield client


@pytest.fixture
def claude(provider: LoopbackProvider) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=provider.url, api_key="unused", max_retries=0) as client:
        yield client


counts = st.integers(min_value=0, max_value=10**9)
usages = st.builds(
    lambda plain, read, five, hour, output, hidden: ProviderUsage(
        input_tokens=plain + read + five + hour,
        cache_read_tokens=read,
        cache_write_5m_tokens=five,
        cache_write_1h_tokens=hour,
        output_tokens=output + hidden,
        reasoning_tokens=hidden,
    ),
    *[counts] * 6,
)


def _asked(wire, **more):
    bodies = {
        CHAT: {"messages": ASK, "stream_options": {"include_usage": True}},
        RESPONSES: {"input": ASK},
        MESSAGES: {"messages": ASK[1:], "max_tokens": 9},
    }
    return wire.parse({"model": "small", **bodies[wire], **more}, {})


@given(text=st.text(max_size=80), usage=usages)
@pytest.mark.parametrize("wire", [CHAT, RESPONSES, MESSAGES], ids=["chat", "responses", "messages"])
def test_a_stream_adds_up_to_the_whole_answer_and_its_usage(wire, text, usage):
    request = _asked(wire)
    events = [
        event.data
        for event in wire.stream(request, ProviderAnswer(text=text, usage=usage), Stamp("1", 2))
        if not isinstance(event.data, str)
    ]
    streamed = {
        CHAT: lambda: [c["delta"].get("content") or "" for e in events for c in e["choices"]],
        RESPONSES: lambda: [e["delta"] for e in events if e["type"] == "response.output_text.delta"],
        MESSAGES: lambda: [e["delta"]["text"] for e in events if e["type"] == "content_block_delta"],
    }[wire]()
    assert "".join(streamed) == text
    whole = wire.render(request, ProviderAnswer(text=text, usage=usage), Stamp("1", 2))["usage"]
    last = {
        CHAT: lambda: events[-1]["usage"],
        RESPONSES: lambda: events[-1]["response"]["usage"],
        MESSAGES: lambda: events[-2]["usage"],
    }[wire]()
    assert last.items() <= whole.items()


@given(usage=usages)
def test_anthropic_input_plus_cache_tokens_is_the_inclusive_input(usage):
    told = MESSAGES.render(_asked(MESSAGES), ProviderAnswer(usage=usage), Stamp("1", 2))["usage"]
    assert usage.input_tokens == (
        told["input_tokens"] + told["cache_read_input_tokens"] + told["cache_creation_input_tokens"]
    )


# --- Chat Completions


def test_chat_reports_every_kind_of_token(engine, chatgpt):
    engine.queue(ANSWER)
    answer = chatgpt.chat.completions.create(model="small", messages=ASK)
    assert answer.choices[0].message.content == "Good day to you."
    assert answer.choices[0].finish_reason == "stop"
    told = answer.usage
    assert (told.prompt_tokens, told.completion_tokens, told.total_tokens) == (1000, 50, 1050)
    assert told.prompt_tokens_details.cached_tokens == 400
    assert told.prompt_tokens_details.cache_write_tokens == 300
    assert told.prompt_tokens_details.audio_tokens == 7
    assert told.completion_tokens_details.reasoning_tokens == 20
    assert told.completion_tokens_details.audio_tokens == 3


def test_chat_streams_report_usage_only_to_those_who_ask(engine, chatgpt):
    engine.always(ANSWER)
    silent = list(chatgpt.chat.completions.create(model="small", messages=ASK, stream=True))
    assert [chunk.usage for chunk in silent] == [None] * len(silent)
    told = list(
        chatgpt.chat.completions.create(
            model="small", messages=ASK, stream=True, stream_options={"include_usage": True}
        )
    )
    assert [chunk.usage for chunk in told[:-1]] == [None] * (len(told) - 1)
    assert told[-1].choices == []
    assert told[-1].usage.total_tokens == 1050
    assert "".join(c.choices[0].delta.content or "" for c in silent) == "Good day to you."


def test_an_answer_without_usage_stays_without(engine, chatgpt):
    engine.always(ProviderAnswer(text="free", usage=None))
    assert chatgpt.chat.completions.create(model="small", messages=ASK).usage is None
    told = chatgpt.chat.completions.create(
        model="small", messages=ASK, stream=True, stream_options={"include_usage": True}
    )
    assert [chunk.usage for chunk in told if chunk.usage] == []


def test_chat_streams_tool_calls_that_the_client_puts_together(engine, chatgpt):
    calls = (ToolCall(name="add", arguments={"a": 1, "b": [2, 3]}), ToolCall(name="add", id="given"))
    engine.queue(ProviderAnswer(text="so", tool_calls=calls))
    with chatgpt.chat.completions.stream(model="small", messages=ASK, tools=TOOLS) as stream:
        choice = stream.get_final_completion().choices[0]
    assert choice.finish_reason == "tool_calls"
    assert [json.loads(call.function.arguments) for call in choice.message.tool_calls] == [
        {"a": 1, "b": [2, 3]},
        {},
    ]
    assert choice.message.tool_calls[1].id == "given"
    assert choice.message.content == "so"


def test_n_choices_repeat_nothing_but_the_text(engine, chatgpt):
    engine.queue(ProviderAnswer(text="one", alternatives=("two",), usage=USAGE))
    answer = chatgpt.chat.completions.create(model="small", messages=ASK, n=3)
    assert [choice.message.content for choice in answer.choices] == ["one", "two", "one"]
    assert answer.usage.completion_tokens == 50


def test_n_choices_are_streamed_under_their_own_index(engine, chatgpt):
    engine.queue(ProviderAnswer(text="one", alternatives=("two",)))
    texts = {0: "", 1: ""}
    for chunk in chatgpt.chat.completions.create(model="small", messages=ASK, n=2, stream=True):
        texts[chunk.choices[0].index] += chunk.choices[0].delta.content or ""
    assert texts == {0: "one", 1: "two"}


def test_logprobs_go_to_those_who_ask(engine, chatgpt):
    logprobs = (
        TokenLogprob(token="Good", logprob=-0.1, top=(("Good", -0.1), ("Bad", -2.5))),
        TokenLogprob(token=" day", logprob=-0.7),
    )
    engine.always(ProviderAnswer(text="Good day", logprobs=logprobs))
    assert chatgpt.chat.completions.create(model="small", messages=ASK).choices[0].logprobs is None
    told = chatgpt.chat.completions.create(model="small", messages=ASK, logprobs=True, top_logprobs=2)
    tokens = told.choices[0].logprobs.content
    assert [(item.token, item.logprob) for item in tokens] == [("Good", -0.1), (" day", -0.7)]
    assert [item.token for item in tokens[0].top_logprobs] == ["Good", "Bad"]
    streamed = [
        item.token
        for chunk in chatgpt.chat.completions.create(model="small", messages=ASK, logprobs=True, stream=True)
        if chunk.choices[0].logprobs
        for item in chunk.choices[0].logprobs.content
    ]
    assert streamed == ["Good", " day"]


def test_the_service_tier_that_served_is_reported(engine, chatgpt):
    engine.queue(ANSWER, ProviderAnswer(usage=ProviderUsage(service_tier="priority")), ANSWER)
    ask = chatgpt.chat.completions.create
    assert ask(model="small", messages=ASK, service_tier="flex").service_tier == "flex"
    assert ask(model="small", messages=ASK, service_tier="flex").service_tier == "priority"
    assert ask(model="small", messages=ASK, service_tier="auto").service_tier == "default"


def test_a_cost_and_a_dated_model_name_travel(engine, chatgpt):
    usage = ProviderUsage(input_tokens=1, cost_usd=Decimal("0.0125"))
    engine.queue(ProviderAnswer(usage=usage, model="small-2025-04-14"))
    answer = chatgpt.chat.completions.create(model="small", messages=ASK)
    assert answer.usage.model_extra["cost"] == 0.0125
    assert answer.model == "small-2025-04-14"


# --- Responses


def test_responses_report_every_kind_of_token(engine, chatgpt):
    engine.queue(ANSWER)
    answer = chatgpt.responses.create(model="small", input="hello?", instructions="be brief")
    assert answer.output_text == "Good day to you."
    told = answer.usage
    assert (told.input_tokens, told.output_tokens, told.total_tokens) == (1000, 50, 1050)
    assert told.input_tokens_details.cached_tokens == 400
    assert told.input_tokens_details.cache_write_tokens == 300
    assert told.output_tokens_details.reasoning_tokens == 20


def test_responses_streams_end_with_the_whole_answer(engine, chatgpt):
    engine.queue(
        ProviderAnswer(text="so", tool_calls=(ToolCall(name="add", arguments={"a": 1}),), usage=USAGE)
    )
    with chatgpt.responses.stream(model="small", input=ASK) as stream:
        text = "".join(event.delta for event in stream if event.type == "response.output_text.delta")
        final = stream.get_final_response()
    assert text == final.output_text == "so"
    assert json.loads(final.output[1].arguments) == {"a": 1}
    assert final.usage.total_tokens == 1050


def test_a_response_cut_short_by_its_limit_is_incomplete(engine, chatgpt):
    engine.always(ProviderAnswer(text="so", finish_reason="length"))
    answer = chatgpt.responses.create(model="small", input="hello?", max_output_tokens=16)
    assert (answer.status, answer.incomplete_details.reason) == ("incomplete", "max_output_tokens")
    last = list(chatgpt.responses.create(model="small", input="hello?", stream=True))[-1]
    assert last.type == "response.incomplete"


def test_web_searches_are_items_of_a_response(engine, chatgpt):
    engine.always(ProviderAnswer(text="found", usage=ProviderUsage(web_searches=2)))
    tools = [{"type": "web_search"}]
    answer = chatgpt.responses.create(model="small", input="hello?", tools=tools)
    assert [item.type for item in answer.output] == ["web_search_call", "web_search_call", "message"]
    events = [event.type for event in chatgpt.responses.create(model="small", input="x", stream=True)]
    assert events.count("response.web_search_call.completed") == 2


def test_responses_send_logprobs_to_those_who_include_them(engine, chatgpt):
    engine.queue(ProviderAnswer(text="so", logprobs=(TokenLogprob(token="so", logprob=-0.5),)))
    include = ["message.output_text.logprobs"]
    answer = chatgpt.responses.create(model="small", input="hello?", include=include)
    assert answer.output[0].content[0].logprobs[0].logprob == -0.5


# --- Anthropic Messages


def test_messages_report_every_kind_of_token(engine, claude):
    engine.queue(ProviderAnswer(text="Good day.", usage=USAGE))
    answer = claude.messages.create(model="small", max_tokens=99, messages=ASK[1:])
    assert answer.content[0].text == "Good day."
    told = answer.usage
    assert (told.input_tokens, told.output_tokens) == (300, 50)
    assert (told.cache_read_input_tokens, told.cache_creation_input_tokens) == (400, 300)
    assert told.cache_creation.ephemeral_5m_input_tokens == 100
    assert told.cache_creation.ephemeral_1h_input_tokens == 200
    assert told.output_tokens_details.thinking_tokens == 20
    assert told.service_tier == "standard"


@pytest.mark.parametrize(
    ("repeats", "cache_reads", "split"),
    [("totals", 400, False), ("with_split", 400, True), ("output_only", None, False)],
)
def test_the_last_usage_of_a_messages_stream_repeats_what_it_is_told_to(
    engine, claude, repeats, cache_reads, split
):
    engine.queue(ProviderAnswer(text="Good day.", usage=USAGE, final_usage=repeats))
    events = list(claude.messages.create(model="small", max_tokens=9, messages=ASK[1:], stream=True))
    started, final = events[0].message.usage, events[-2].usage
    assert (started.input_tokens, started.cache_read_input_tokens) == (300, 400)
    assert (final.output_tokens, final.cache_read_input_tokens) == (50, cache_reads)
    assert ("cache_creation" in (final.model_extra or {})) is split


def test_messages_stream_thinking_text_and_tools(engine, claude):
    engine.queue(
        ProviderAnswer(thinking="hm", text="so", tool_calls=(ToolCall(name="add", arguments={"a": 1}),))
    )
    tools = [{"name": "add", "input_schema": {"type": "object"}}]
    with claude.messages.stream(model="small", max_tokens=9, messages=ASK[1:], tools=tools) as stream:
        final = stream.get_final_message()
    assert [block.type for block in final.content] == ["thinking", "text", "tool_use"]
    assert final.content[2].input == {"a": 1}
    assert final.stop_reason == "tool_use"


def test_searches_and_tiers_stand_in_the_usage_of_messages(engine, claude):
    engine.queue(ProviderAnswer(usage=ProviderUsage(web_searches=2, service_tier="priority")))
    told = claude.messages.create(model="small", max_tokens=9, messages=ASK[1:]).usage
    assert (told.server_tool_use.web_search_requests, told.service_tier) == (2, "priority")


# --- what the engine sees


def _echo(request: ProviderRequest) -> ProviderAnswer:
    return ProviderAnswer(text=" | ".join(f"{turn.role}: {turn.text}" for turn in request.turns))


def test_the_engine_sees_the_same_turns_from_every_format(engine, chatgpt, claude):
    engine.always(_echo)
    seen = {
        chatgpt.chat.completions.create(model="small", messages=ASK).choices[0].message.content,
        chatgpt.responses.create(model="small", input=ASK).output_text,
        chatgpt.responses.create(model="small", input="hello?", instructions="be brief").output_text,
        claude.messages.create(model="small", max_tokens=9, system="be brief", messages=ASK[1:])
        .content[0]
        .text,
    }
    assert seen == {"system: be brief | user: hello?"}


def test_tool_results_become_turns_of_their_own_in_every_format(engine, chatgpt, claude):
    kept: list[ProviderRequest] = []
    engine.always(lambda request: kept.append(request) or ProviderAnswer(text="done"))
    call = {"id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}}
    chatgpt.chat.completions.create(
        model="small",
        messages=[
            {"role": "user", "content": [{"type": "text", "text": "sum"}]},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "c1", "content": "2"},
        ],
        tools=TOOLS,
        tool_choice={"type": "function", "function": {"name": "add"}},
    )
    chatgpt.responses.create(
        model="small",
        input=[
            {"role": "user", "content": [{"type": "input_text", "text": "sum"}]},
            {"type": "function_call", "name": "add", "arguments": '{"a": 1}', "call_id": "c1"},
            {"type": "function_call_output", "call_id": "c1", "output": "2"},
        ],
        tools=[{"type": "function", "name": "add", "parameters": {"type": "object"}, "strict": False}],
        tool_choice={"type": "function", "name": "add"},
    )
    claude.messages.create(
        model="small",
        max_tokens=9,
        messages=[
            {"role": "user", "content": "sum"},
            {
                "role": "assistant",
                "content": [{"type": "tool_use", "id": "c1", "name": "add", "input": {"a": 1}}],
            },
            {
                "role": "user",
                "content": [{"type": "tool_result", "tool_use_id": "c1", "content": "2"}],
            },
        ],
        tools=[{"name": "add", "input_schema": {"type": "object"}}],
        tool_choice={"type": "tool", "name": "add"},
    )
    for request in kept:
        assert [turn.role for turn in request.turns] == ["user", "assistant", "tool"]
        assert json.loads(request.turns[1].tool_calls[0].arguments_json) == {"a": 1}
        assert (request.turns[2].text, request.turns[2].tool_call_id) == ("2", "c1")
        assert [tool.name for tool in request.tools] == ["add"]
        assert request.tool_choice == "add"


def test_the_schema_of_the_answer_is_read_from_every_format(engine, chatgpt, claude):
    kept: list[ProviderRequest] = []
    engine.always(lambda request: kept.append(request) or ProviderAnswer(text="{}"))
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}, "additionalProperties": False}
    chatgpt.chat.completions.create(
        model="small",
        messages=ASK,
        response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": schema}},
    )
    chatgpt.responses.create(
        model="small", input="x", text={"format": {"type": "json_schema", "name": "x", "schema": schema}}
    )
    claude.messages.create(
        model="small",
        max_tokens=9,
        messages=ASK[1:],
        output_config={"format": {"type": "json_schema", "schema": schema}},
    )
    assert [request.json_schema for request in kept] == [schema] * 3
    assert all(request.json_mode for request in kept)
    chatgpt.chat.completions.create(model="small", messages=ASK, response_format={"type": "json_object"})
    assert (kept[-1].json_mode, kept[-1].json_schema) == (True, None)


def test_both_names_of_the_longest_answer_are_read(engine, chatgpt):
    kept: list[ProviderRequest] = []
    engine.always(lambda request: kept.append(request) or ProviderAnswer())
    chatgpt.chat.completions.create(model="small", messages=ASK, max_tokens=5, stop="x")
    chatgpt.chat.completions.create(model="small", messages=ASK, max_completion_tokens=6, stop=["x", "y"])
    chatgpt.responses.create(model="small", input="x", max_output_tokens=17)
    assert [request.max_output_tokens for request in kept] == [5, 6, 17]
    assert [request.stop for request in kept] == [("x",), ("x", "y"), ()]


# --- embeddings and models


def test_embeddings_come_as_numbers_or_as_base64(engine, provider, chatgpt):
    texts = ["open a file", "open a file", "sort a list"]
    packed = chatgpt.embeddings.create(model="embed", input=texts)
    plain = chatgpt.embeddings.create(model="embed", input=texts, encoding_format="float")
    assert [item.index for item in packed.data] == [0, 1, 2]
    for one, other in zip(packed.data, plain.data, strict=True):
        assert one.embedding == pytest.approx(other.embedding, abs=1e-6)
    same, again, different = (item.embedding for item in plain.data)
    assert same == again != different
    assert sum(value * value for value in same) == pytest.approx(1)
    tokens = sum(provider.embedder.count_tokens(text) for text in texts)
    assert (packed.usage.prompt_tokens, packed.usage.total_tokens) == (tokens, tokens)


def test_embeddings_take_dimensions_and_token_ids(chatgpt):
    answer = chatgpt.embeddings.create(model="embed", input=[[1, 2, 3], [4]], dimensions=8)
    assert [len(item.embedding) for item in answer.data] == [8, 8]
    assert answer.usage.prompt_tokens == 4
    assert len(chatgpt.embeddings.create(model="embed", input="one text").data) == 1


def test_models_are_listed(chatgpt):
    assert [model.id for model in chatgpt.models.list()] == ["small", "large"]


# --- refusals


def test_an_engine_error_reaches_each_client_as_its_own(engine, chatgpt, claude):
    engine.always(ProviderError(429, "slow down"))
    with pytest.raises(openai.RateLimitError, match="slow down"):
        chatgpt.chat.completions.create(model="small", messages=ASK)
    with pytest.raises(openai.RateLimitError, match="slow down"):
        chatgpt.responses.create(model="small", input="x", stream=True)
    with pytest.raises(anthropic.RateLimitError, match="slow down") as caught:
        claude.messages.create(model="small", max_tokens=9, messages=ASK[1:])
    assert caught.value.body["error"]["type"] == "rate_limit_error"


def test_a_call_that_nobody_scripted_is_refused(engine, chatgpt):
    engine.queue(ANSWER, model="large")
    with pytest.raises(openai.BadRequestError, match="nothing is scripted for another call of 'small'"):
        chatgpt.chat.completions.create(model="small", messages=ASK)
    assert engine.queued == 1


def test_an_exception_of_the_engine_is_a_500_and_is_kept(engine, provider, chatgpt):
    engine.queue(lambda request: ProviderAnswer(text=str(1 // 0)))
    with pytest.raises(openai.InternalServerError, match="ZeroDivisionError"):
        chatgpt.chat.completions.create(model="small", messages=ASK)
    assert [type(error) for error in provider.errors] == [ZeroDivisionError]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"messages": ASK},
        {"model": "small"},
        {"model": "small", "messages": []},
        {"model": "small", "messages": ["hello"]},
        {"model": "small", "messages": ASK, "n": 0},
        {"model": "small", "messages": ASK, "max_tokens": -5},
    ],
)
def test_requests_that_make_no_sense_are_refused(chatgpt, body):
    with pytest.raises(openai.BadRequestError):
        chatgpt.post("/chat/completions", body=body, cast_to=object)


def test_messages_need_a_longest_answer(claude):
    with pytest.raises(anthropic.BadRequestError, match="max_tokens"):
        claude.post("/v1/messages", body={"model": "small", "messages": ASK[1:]}, cast_to=object)


def test_unknown_paths_are_not_found(chatgpt):
    with pytest.raises(openai.NotFoundError, match="Unknown request URL"):
        chatgpt.post("/completions", body={"model": "small"}, cast_to=object)
    with pytest.raises(openai.NotFoundError, match="Unknown request URL"):
        chatgpt.get("/files", cast_to=object)
