"""A conversation is sent in part: whole turns, the messages themselves, tool calls with their results."""

import json
import logging

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain.agents import create_agent
from langchain.agents.middleware import ContextEditingMiddleware
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    HumanMessageChunk,
    SystemMessage,
    SystemMessageChunk,
    ToolMessage,
    ToolMessageChunk,
)
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.tools import tool

from examples.provider import ProviderAnswer, ProviderUsage, ToolCall
from langchain_tokenomics import CompressionEdit, HistoryCompressor, track_cost
from langchain_tokenomics.history import as_mapping
from tests.prices_by_hand import usd
from tokenomics_core.errors import ConfigurationError
from tokenomics_core.tokens import count_tokens

USAGE = ProviderUsage(input_tokens=200, output_tokens=20)


def conversation(turns, question="What was decided on topic 7?"):
    messages = [SystemMessage("You help with projects.", id="system")]
    for at in range(turns):
        call = {"name": "look", "args": {"topic": at}, "id": f"call_{at}"}
        messages += [
            HumanMessage(f"Question {at}: what about topic {at}?", id=f"human_{at}"),
            AIMessage("", tool_calls=[call], id=f"calls_{at}"),
            ToolMessage(f"note {at} on topic {at}. " * 15, tool_call_id=f"call_{at}", id=f"result_{at}"),
            AIMessage(f"Topic {at} is decided: use option {at}.", id=f"answer_{at}"),
        ]
    return [*messages, HumanMessage(question, id="question")]


def ids(messages):
    return [message.id for message in messages]


def is_note(message):
    return message.id.startswith("left-out-")


@settings(deadline=None, max_examples=40)
@given(turns=st.integers(5, 40), max_tokens=st.integers(250, 3000), asked=st.integers(0, 39))
def test_messages_stay_themselves_in_order_within_budget_and_calls_with_their_results(
    turns, max_tokens, asked
):
    messages = conversation(turns, f"What was decided on topic {asked}?")
    kept = HistoryCompressor(max_tokens).compress(messages)
    assert int(count_tokens(kept)) <= max_tokens
    given_ones = iter(messages)
    assert all(any(one is other for other in given_ones) for one in kept if not is_note(one))
    calls = {call["id"] for one in kept if isinstance(one, AIMessage) for call in one.tool_calls}
    assert calls == {one.tool_call_id for one in kept if isinstance(one, ToolMessage)}
    assert kept[0] is messages[0]
    assert kept[-1] is messages[-1]


async def test_what_is_asked_about_is_kept_alike_in_every_form():
    messages = conversation(40)
    forms = [HistoryCompressor(600) for _ in range(6)]
    kept = forms[0].compress(messages)
    assert {"human_7", "calls_7", "result_7", "answer_7"} <= set(ids(kept))
    assert forms[1].invoke(messages) == kept
    assert await forms[2].ainvoke(messages) == kept
    assert forms[3]({"messages": messages}) == {"llm_input_messages": kept}
    edited = list(messages)
    forms[4].apply(edited, count_tokens=len)
    assert edited == kept
    prompt = ChatPromptTemplate([("placeholder", "{messages}")])
    assert (prompt | forms[5]).invoke({"messages": messages}) == kept
    assert forms[0].stats().tokens_before > forms[0].stats().tokens_after


def test_while_a_question_is_worked_on_the_beginning_stays_the_same():
    messages = conversation(40)
    compressor = HistoryCompressor(800)
    first = compressor.compress(messages)
    call = {"name": "look", "args": {"topic": 39}, "id": "more"}
    step = [
        AIMessage("", tool_calls=[call], id="step"),
        ToolMessage("topic 39", tool_call_id="more", id="new"),
    ]
    assert compressor.compress([*messages, *step]) == [*first, *step]
    asked = [*messages, *step, AIMessage("Option 7.", id="said"), HumanMessage("And on topic 21?", id="next")]
    second = compressor.compress(asked)
    assert "answer_21" in ids(second)
    assert "answer_21" not in ids(first)
    steady = HistoryCompressor(800, reselect="full")
    first = steady.compress(messages)
    assert steady.compress(asked) == [*first, *asked[len(messages) :]]


def test_what_fits_is_sent_as_it_is():
    messages = conversation(3)
    compressor = HistoryCompressor(10_000)
    assert compressor.compress(messages) == messages
    assert compressor.stats().tokens_avoided == 0
    assert compressor.compress([]) == []


def test_a_turn_that_cannot_fit_is_sent_and_warned_of_or_refused(caplog):
    messages = [SystemMessage("You help."), HumanMessage("word " * 500)]
    with caplog.at_level(logging.WARNING, "tokenomics"):
        assert HistoryCompressor(100).compress(messages) == messages
    assert "is sent as it is" in caplog.text
    with pytest.raises(ConfigurationError, match="100"):
        HistoryCompressor(100, strict=True).compress(messages)


@tool
def look(topic: int) -> str:
    """Look a topic up."""
    return f"Topic {topic} is open."


@pytest.mark.parametrize("how", ["invoke", "ainvoke"])
async def test_an_agents_thread_keeps_everything_and_its_model_reads_less(world, how):
    def step(request):
        if request.turns[-1].role == "tool":
            return ProviderAnswer(text="Option 7.", usage=USAGE)
        call = ToolCall(name="look", arguments={"topic": 7}, id="call_new")
        return ProviderAnswer(text="", usage=USAGE, tool_calls=(call,))

    world.engine.always(step)
    messages = conversation(30)
    edit = HistoryCompressor(600)
    agent = create_agent(world.openai(), tools=[look], middleware=[ContextEditingMiddleware(edits=[edit])])
    with track_cost() as cost:
        done = getattr(agent, how)({"messages": messages})
        done = await done if how == "ainvoke" else done
    assert ids(done["messages"])[: len(messages)] == ids(messages)
    assert len(done["messages"]) == len(messages) + 3
    first, second = (seen.body["messages"] for seen in world.provider.requests)
    assert len(first) < 40
    assert second[: len(first)] == first
    assert [record.avoided_by for record in cost.calls] == ["compress", "compress"]
    spared = int(cost.calls[0].attribution.tags["compress_tokens_avoided"])
    assert cost.calls[0].avoided_usd == usd("gpt-4o", input=spared)
    assert spared > 1_000


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"max_tokens": 0}, "max_tokens must be 1"),
        ({"max_tokens": 10, "compress_to": 0}, "compress_to must be above 0"),
        ({"max_tokens": 10, "reselect": "never"}, "reselect must be"),
        ({"max_tokens": 10, "recency": -1}, "recency must be 0"),
        ({"max_tokens": 10, "note_role": "tool"}, "note_role must be"),
    ],
)
def test_settings_that_cannot_be_are_refused(arguments, said):
    with pytest.raises(ConfigurationError, match=said):
        HistoryCompressor(**arguments)


def test_what_is_no_conversation_is_refused():
    with pytest.raises(ConfigurationError, match="nothing was compressed"):
        HistoryCompressor(100).invoke("one text")


@pytest.mark.parametrize(
    ("message", "role"),
    [
        (AIMessageChunk("x"), "assistant"),
        (HumanMessageChunk("x"), "user"),
        (SystemMessageChunk("x"), "system"),
        (ToolMessageChunk("x", tool_call_id="a"), "tool"),
        (FunctionMessage("x", name="f"), "function"),
        (ChatMessage("x", role="assistant"), "assistant"),
        (ChatMessage("x", role="critic"), "user"),
    ],
)
def test_what_was_streamed_is_read_as_what_it_is(message, role):
    assert as_mapping(message)["role"] == role


def test_instructions_stay_where_messages_are_chunks_of_streams():
    messages = [SystemMessageChunk(content="You help.", id="system"), *conversation(40)[1:]]
    assert HistoryCompressor(600).compress(messages)[0] is messages[0]


def test_a_question_that_fits_only_the_whole_room_is_sent(caplog):
    question = HumanMessage("What was decided on topic 7? " + "Mind the details. " * 80, id="question")
    call = {"name": "look", "args": {"topic": 7}, "id": "more"}
    loop = [
        AIMessage("", tool_calls=[call], id="step"),
        ToolMessage("A note. " * 60, tool_call_id="more", id="new"),
    ]
    messages = [*conversation(20)[:-1], question, *loop]
    most = int(count_tokens([as_mapping(one) for one in (messages[0], question, *loop)]))
    with caplog.at_level(logging.WARNING, logger="tokenomics"):
        assert question in HistoryCompressor(most).compress(messages)
    assert not caplog.records
    with caplog.at_level(logging.WARNING, logger="tokenomics"):
        assert question not in HistoryCompressor(most - 1).compress(messages)
    assert "without the user's last message" in caplog.text


def test_what_was_taken_out_is_credited_where_no_message_says_so_and_a_tool_result_was_shortened(world):
    note = json.dumps([{"id": at, "name": f"thing {at}", "is_open": True} for at in range(30)])
    call = {"name": "look", "args": {"topic": 7}, "id": "more"}
    messages = [
        *conversation(40),
        AIMessage("", tool_calls=[call], id="step"),
        ToolMessage(note, tool_call_id="more", id="new"),
    ]
    CompressionEdit(min_tokens=10).apply(messages)
    assert messages[-1].text != note
    shortened = mark_tokens(messages[-1])
    world.says(input_tokens=900, output_tokens=5)
    with track_cost() as report:
        world.openai().invoke(HistoryCompressor(900, notes=False).compress(messages))
    assert int(report.calls[0].attribution.tags["compress_tokens_avoided"]) > shortened


def mark_tokens(message):
    told = message.response_metadata["tokenomics_compression"]
    return told["tokens_before"] - told["tokens_after"]
