"""Tool results are sent shorter from their first call on, with the same bytes ever after."""

import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain.agents import create_agent
from langchain.agents.middleware import ContextEditingMiddleware
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.tools import tool

from examples.provider import ProviderAnswer, ProviderUsage, ToolCall
from langchain_tokenomics import CompressionEdit, track_cost
from langchain_tokenomics.compressors import restore_tool
from tests.prices_by_hand import usd
from tokenomics_core.compression import MemoryOriginalStore, restore_json
from tokenomics_core.errors import ConfigurationError

USAGE = ProviderUsage(input_tokens=900, output_tokens=20)


def flights(seed, rows=12):
    draw = random.Random(seed)
    return json.dumps(
        [
            {
                "flight_number": f"HAT{draw.randrange(999)}",
                "status": "available",
                "price": draw.randrange(900),
            }
            for _ in range(rows)
        ],
        indent=2,
    )


def log(lines=60):
    return (
        "\n".join(f"2026-11-21 10:00:{at % 60:02d} INFO worker {at} took job {at * 7}" for at in range(lines))
        + "\n2026-11-21 10:01:00 ERROR disk full on node 3"
    )


def step(at, content, **more):
    call = {"name": "search", "args": {"day": at}, "id": f"call_{at}"}
    return [
        AIMessage("", tool_calls=[call], id=f"ai_{at}"),
        ToolMessage(content, tool_call_id=f"call_{at}", id=f"tool_{at}", name="search", **more),
    ]


def trajectory(calls, *, seed=0):
    messages = [HumanMessage("Find a flight.", id="ask")]
    for at in range(calls):
        messages += step(at, flights(seed + at))
    return messages


def sent(edit, messages):
    edited = list(messages)
    edit.apply(edited, count_tokens=len)
    return edited


def texts(messages):
    return [message.content for message in messages]


def test_json_comes_back_to_the_digit_and_the_thread_is_not_changed():
    messages = trajectory(3)
    before = [message.model_copy(deep=True) for message in messages]
    edit = CompressionEdit(lossless=True)
    edited = sent(edit, messages)
    assert messages == before
    for old, new in zip(messages, edited, strict=True):
        assert new.id == old.id
        if isinstance(old, ToolMessage):
            assert len(new.content) < len(old.content)
            assert json.loads(restore_json(new.content)) == json.loads(old.content)
            assert new.tool_call_id == old.tool_call_id
        else:
            assert new is old
    assert edit.stats().tokens_avoided > 0.4 * edit.stats().tokens_before


@settings(deadline=None, max_examples=25)
@given(calls=st.integers(1, 12), seed=st.integers(0, 99), clear=st.booleans(), lossless=st.booleans())
def test_what_was_sent_once_is_sent_alike_ever_after_also_by_another_process(calls, seed, clear, lossless):
    whole = trajectory(calls, seed=seed)
    more = {"clear_old": True, "model": "gpt-4o"} if clear else {}
    edit = CompressionEdit(lossless=lossless, **more)
    for end in range(3, len(whole) + 1, 2):
        live = sent(edit, whole[:end])
        assert texts(live) == texts(sent(CompressionEdit(lossless=lossless, **more), whole[:end]))


def prefix_cost(requests, *, read, write):
    """Price requests by hand where the provider caches every prefix."""
    total, earlier = 0, []
    for request in requests:
        same = 0
        for old, new in zip(earlier, request, strict=False):
            if old != new:
                break
            same += 1
        total += read * sum(map(len, request[:same])) + write * sum(map(len, request[same:]))
        earlier = request
    return total


@pytest.mark.parametrize("calls", [5, 20, 40])
def test_under_provider_caching_it_never_costs_more_than_leaving_all_alone(calls):
    whole = trajectory(calls)
    ends = range(3, len(whole) + 1, 2)
    plain = [texts(whole[:end]) for end in ends]
    on_arrival, cleared = (
        CompressionEdit(count=len),
        CompressionEdit(count=len, clear_old=True, model="claude-sonnet-4-5"),
    )
    prices = {"read": 0.1, "write": 1.25}
    base = prefix_cost(plain, **prices)
    arrived = prefix_cost([texts(sent(on_arrival, whole[:end])) for end in ends], **prices)
    pruned = prefix_cost([texts(sent(cleared, whole[:end])) for end in ends], **prices)
    assert arrived < 0.8 * base
    assert pruned < base
    if calls == 40:
        assert any("cleared" in text for text in texts(sent(cleared, whole)))


def test_errors_exclusions_short_texts_and_pictures_stay_as_they_are():
    picture = [{"type": "image", "url": "x"}, {"type": "text", "text": flights(1)}]
    messages = [
        HumanMessage("Find a flight."),
        *step(1, flights(1), status="error"),
        *step(2, "found"),
        *step(3, picture),
        *step(4, flights(4)),
    ]
    edited = sent(CompressionEdit(), messages)
    assert edited[2] is messages[2]
    assert edited[4] is messages[4]
    assert edited[6].content[0] == picture[0]
    assert len(edited[6].content[1]["text"]) < len(picture[1]["text"])
    left = sent(CompressionEdit(exclude_tools=["search"]), messages)
    assert all(one is other for one, other in zip(left, messages, strict=True))


def test_what_a_log_lost_is_said_and_can_be_asked_for():
    store = MemoryOriginalStore()
    [_, _, result] = sent(CompressionEdit(store=store), [HumanMessage("Why?"), *step(1, log())])
    assert "disk full on node 3" in result.content
    handle = result.content.rpartition(": ")[2].rstrip("]")
    assert restore_tool(store).invoke({"handle": handle}) == log()
    assert result.response_metadata["tokenomics_compression"]["lossless"] is False
    [_, _, whole] = sent(CompressionEdit(lossless=True), [HumanMessage("Why?"), *step(1, log())])
    assert whole.content == log()


@tool
def search(day: int) -> str:
    """Search flights."""
    return flights(day)


@pytest.mark.parametrize("how", ["invoke", "ainvoke"])
async def test_an_agents_calls_are_credited_with_the_tokens_that_were_not_sent(world, how):
    def answer(request):
        done = sum(turn.role == "tool" for turn in request.turns)
        if done == 2:
            return ProviderAnswer(text="Flight 3.", usage=USAGE)
        call = ToolCall(name="search", arguments={"day": done}, id=f"call_{done}")
        return ProviderAnswer(text="", usage=USAGE, tool_calls=(call,))

    world.engine.always(answer)
    edit = CompressionEdit()
    agent = create_agent(world.openai(), tools=[search], middleware=[ContextEditingMiddleware(edits=[edit])])
    with track_cost() as cost:
        done = getattr(agent, how)({"messages": [("human", "Find a flight.")]})
        done = await done if how == "ainvoke" else done
    results = [message.content for message in done["messages"] if message.type == "tool"]
    assert results == [flights(0), flights(1)]
    requests = [[one["content"] for one in seen.body["messages"]] for seen in world.provider.requests]
    assert requests[2][: len(requests[1])] == requests[1]
    assert len(requests[2][2]) < len(flights(0))
    first, second, third = cost.calls
    assert first.avoided_by is None
    for record in (second, third):
        spared = int(record.attribution.tags["compress_tokens_avoided"])
        assert record.avoided_usd == usd("gpt-4o", input=spared)
        assert record.avoided_by == "compress"
    assert third.avoided_usd > second.avoided_usd


async def test_tokens_that_would_have_been_read_from_the_providers_cache_are_credited_as_such(world):
    usage = ProviderUsage(input_tokens=3000, output_tokens=10, cache_read_tokens=2000)
    world.engine.always(ProviderAnswer(text="Flight 3.", usage=usage))
    old, new = trajectory(1), step(5, flights(5))
    edited = sent(CompressionEdit(), [*old, *new])
    with track_cost() as cost:
        world.openai().invoke(edited)
    spared = [
        told["tokens_before"] - told["tokens_after"]
        for message in edited
        if (told := message.response_metadata.get("tokenomics_compression"))
    ]
    assert cost.calls[0].avoided_usd == usd("gpt-4o", read=spared[0], input=spared[1])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"min_tokens": -1}, "min_tokens must be 0"),
        ({"exclude_tools": "search"}, "exclude_tools must be a list"),
        ({"lossless": True, "max_tokens": 10}, "lossless=True forbids"),
        ({"clear_old": True}, "none is known for model=None"),
        ({"clear_old": True, "model": "nobody-knows-it"}, "nobody-knows-it"),
        ({"clear_old": True, "model": "gpt-4o", "keep_results": -1}, "keep_results"),
    ],
)
def test_settings_that_cannot_be_are_refused(arguments, said):
    with pytest.raises(ConfigurationError, match=said):
        CompressionEdit(**arguments)
