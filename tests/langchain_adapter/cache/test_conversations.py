"""A follow-up is answered within its conversation, however it is said, and never by another one."""

import json
from pathlib import Path

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from pydantic import PrivateAttr

from langchain_tokenomics import SemanticCache
from tokenomics_core.cache import FixedThreshold

FILE = Path(__file__).parent / "follow_ups.jsonl"
ROWS = [json.loads(line) for line in FILE.read_text("utf-8").splitlines()]


class Counting(BaseChatModel):
    """Answers each conversation otherwise, and counts."""

    _calls: int = PrivateAttr(0)

    @property
    def _llm_type(self):
        return "counting"

    def _generate(self, messages, stop=None, run_manager=None, **kwargs):
        self._calls += 1
        said = AIMessage(f"About {messages[1].content}", response_metadata={"finish_reason": "stop"})
        return ChatResult(generations=[ChatGeneration(message=said)])


def asked(row, place, words):
    question, answer = row[place]
    return [
        SystemMessage("You are a helpful assistant."),
        HumanMessage(question),
        AIMessage(answer),
        HumanMessage(row[words]),
    ]


@pytest.fixture
def cache():
    # A threshold that does not move: how soon the default policy trusts itself is tested where it is made.
    made = SemanticCache(policy=FixedThreshold())
    yield made
    made.close()


def test_there_are_a_hundred_pairs_and_each_is_one():
    assert len(ROWS) == len({(row["here"][0], row["follow_up"]) for row in ROWS}) == 100
    assert all(row["here"] != row["there"] and row["follow_up"] != row["in_other_words"] for row in ROWS)


@pytest.mark.parametrize("by", ["cache", "cached"])
def test_no_follow_up_is_served_across_conversations(cache, by):
    model = Counting(cache=cache) if by == "cache" else cache.cached(Counting())
    for row in ROWS:
        for place in ("here", "there"):
            answer = model.invoke(asked(row, place, "follow_up"))
            assert answer.content == f"About {row[place][0]}"
    assert model._calls == 200


@pytest.mark.parametrize("by", ["cache", "cached"])
def test_at_least_four_in_five_follow_ups_are_served_within_theirs(cache, by):
    model = Counting(cache=cache) if by == "cache" else cache.cached(Counting())
    for row in ROWS:
        model.invoke(asked(row, "here", "follow_up"))
    assert model._calls == 100
    for row in ROWS:
        answer = model.invoke(asked(row, "here", "in_other_words"))
        assert answer.content == f"About {row['here'][0]}"
    assert model._calls - 100 <= 20
