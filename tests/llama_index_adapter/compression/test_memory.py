"""A conversation is kept whole and sent in part: what is asked about, with calls and results together."""

import pytest
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.base.llms.types import ChatMessage, MessageRole, TextBlock, ToolCallBlock
from llama_index.core.chat_engine import SimpleChatEngine
from llama_index.core.tools import FunctionTool

from examples.provider import ToolCall
from llama_index_tokenomics import CompressedMemory, track_cost
from tests.prices_by_hand import usd
from tokenomics_core.errors import ConfigurationError

TOPICS = ["refunds", "seats", "exports", "invoices", "holidays", "trains", "laptops", "chairs"]


def said(role, text, **more):
    return ChatMessage(role=role, content=text, additional_kwargs=more)


def turn(topic, place):
    """Return a turn in which a tool was called."""
    call = ToolCallBlock(tool_call_id=f"call-{topic}", tool_name="look_up", tool_kwargs={"topic": topic})
    return [
        said("user", f"What do we know about {topic} this year?"),
        ChatMessage(role="assistant", blocks=[TextBlock(text=f"Looking {topic} up."), call]),
        said("tool", f"The budget for {topic} is {place + 11} thousand. " * 8, tool_call_id=f"call-{topic}"),
        said("assistant", f"There are {place + 11} thousand for {topic}."),
    ]


def history():
    return [message for place, topic in enumerate(TOPICS) for message in turn(topic, place)]


def ids(messages):
    return [id(message) for message in messages]


async def test_what_is_asked_about_is_sent_and_everything_is_kept():
    messages = history()
    memory = CompressedMemory.from_defaults(messages, max_tokens=400, keep_last=1)
    for sent in (memory.get(input="seats budget?"), await memory.aget(input="seats budget?")):
        assert any("12 thousand" in (message.content or "") for message in sent)
        results = [message for message in sent if message.role is MessageRole.TOOL]
        assert messages[6] in results
        assert messages[14] not in results
        assert len(sent) < len(messages)
    assert memory.get_all() == messages
    assert memory.stats().tokens_after <= 2 * 400


def test_a_short_conversation_is_sent_as_it_is():
    messages = turn("seats", 1)
    memory = CompressedMemory(max_tokens=5_000)
    memory.put_messages(messages)
    assert memory.get() == messages
    assert memory.stats().tokens_avoided == 0


@pytest.mark.parametrize("most", [250, 400, 700, 1_200])
@pytest.mark.parametrize("topic", TOPICS[:6])
def test_a_call_and_its_result_are_never_parted(most, topic):
    memory = CompressedMemory.from_defaults(history(), max_tokens=most)
    sent = memory.get(input=f"budget for {topic}")
    asked = [b.tool_call_id for m in sent for b in m.blocks if isinstance(b, ToolCallBlock)]
    answered = [m.additional_kwargs["tool_call_id"] for m in sent if m.role is MessageRole.TOOL]
    assert asked == answered


def test_what_was_chosen_stays_while_a_question_is_worked_on():
    memory = CompressedMemory.from_defaults(history(), max_tokens=600)
    memory.put(said("user", "What is the budget for seats?"))
    first = memory.get()
    memory.put(said("assistant", "Twelve thousand, I think."))
    assert ids(memory.get())[: len(first)] == ids(first)
    memory.put(said("user", "And the budget for refunds?"))
    assert any("11 thousand" in (message.content or "") for message in memory.get())


def test_what_does_not_fit_is_sent_with_a_warning_or_refused(caplog):
    messages = history()
    assert CompressedMemory.from_defaults(messages, max_tokens=5).get() == messages
    assert "sent as it is" in caplog.text
    for besides in (0, 500):
        with pytest.raises(ConfigurationError):
            CompressedMemory.from_defaults(messages, max_tokens=5, strict=True).get(
                initial_token_count=besides
            )


def test_a_memory_survives_being_written_down():
    memory = CompressedMemory.from_defaults(history(), max_tokens=400, recency=0.5)
    read = CompressedMemory.from_dict(memory.to_dict())
    assert read.get_all() == memory.get_all()
    assert (read.max_tokens, read.recency) == (400, 0.5)
    assert [m.content for m in read.get("seats")] == [m.content for m in memory.get("seats")]
    memory.reset()
    assert memory.get() == memory.get_all() == []


async def test_a_chat_engine_sends_less_and_the_bill_says_what_that_saved(world):
    memory = CompressedMemory.from_defaults(history(), max_tokens=500, model="gpt-4o")
    engine = SimpleChatEngine.from_defaults(llm=world.like(), memory=memory)
    world.says("Twelve thousand.", input_tokens=100, output_tokens=20)
    with track_cost() as cost:
        assert str(await engine.achat("What is the budget for seats?")) == "Twelve thousand."
    [call] = cost.calls
    spared = memory.stats().tokens_avoided
    assert spared > 0
    assert call.avoided_by == "compress"
    assert call.avoided_usd == usd("gpt-4o", input=100 + spared, output=20) - call.cost_usd
    assert len(memory.get_all()) == len(history()) + 2


@pytest.mark.parametrize("streaming", [True, False])
async def test_an_agent_works_on_a_compressed_memory(world, streaming):
    def look_up(topic: str) -> str:
        """Look a topic up."""
        return f"{topic}: twelve thousand"

    memory = CompressedMemory.from_defaults(history(), max_tokens=500)
    agent = FunctionAgent(tools=[FunctionTool.from_defaults(look_up)], llm=world.like(), streaming=streaming)
    world.says("", tool_calls=(ToolCall(name="look_up", arguments={"topic": "seats"}),), input_tokens=9)
    world.says("Twelve thousand.", input_tokens=9, output_tokens=2)
    assert str(await agent.run("What is the budget for seats?", memory=memory)) == "Twelve thousand."
    for request in world.provider.requests:
        sent = request.body["messages"]
        asked = [call["id"] for message in sent for call in message.get("tool_calls") or []]
        assert asked == [message["tool_call_id"] for message in sent if message["role"] == "tool"]
        assert len(sent) < len(history())
    assert len(memory.get_all()) > len(history())
