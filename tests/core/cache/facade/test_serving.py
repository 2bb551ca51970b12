"""A request is split into what must be equal and what may be said in other words, by a plain rule."""

from __future__ import annotations

from itertools import pairwise

import pytest

from tokenomics_core.cache import ChatRequest, KeyRule, ServingRule
from tokenomics_core.errors import ConfigurationError


def chat(*contents, **more) -> ChatRequest:
    roles = ["system", *(["user", "assistant"] * 9)]
    messages = [{"role": role, "content": text} for role, text in zip(roles, contents, strict=False)]
    return ChatRequest(messages=messages, **{"model": "m", **more})


SYSTEM, FIRST, REPLY, NEXT = "Be brief.", "How tall is K2?", "8,611 m.", "And in feet?"


def test_only_the_last_question_may_differ():
    rule = KeyRule()
    one, other = rule.key_of(chat(SYSTEM, FIRST)), rule.key_of(chat(SYSTEM, "How high is K2?"))
    assert one.partition == other.partition
    assert (one.question, other.question) == (FIRST, "How high is K2?")
    assert one.how == "semantic"
    assert one.why == ""


@pytest.mark.parametrize(
    "changed",
    [
        chat("Be long.", FIRST, REPLY, NEXT),
        chat(SYSTEM, "How tall is K3?", REPLY, NEXT),
        chat(SYSTEM, FIRST, "8,612 m.", NEXT),
        chat(SYSTEM, FIRST, REPLY, NEXT, model="n"),
        chat(SYSTEM, FIRST, REPLY, NEXT, settings={"temperature": 0.5}),
        chat(SYSTEM, FIRST, REPLY, NEXT, tools=[{"name": "look"}]),
        chat(SYSTEM, FIRST, REPLY, NEXT, response_schema={"type": "object"}),
        chat(SYSTEM, FIRST, REPLY, NEXT, tenant="ada"),
        chat(SYSTEM, FIRST, REPLY, NEXT, source_versions={"doc": 2}),
        chat(SYSTEM, FIRST, REPLY, NEXT, extra="x"),
    ],
)
def test_any_other_difference_is_another_partition(changed):
    rule = KeyRule()
    assert rule.key_of(changed).partition != rule.key_of(chat(SYSTEM, FIRST, REPLY, NEXT)).partition


def test_history_may_count_whole_in_part_or_not_at_all():
    one = chat(SYSTEM, FIRST, REPLY, "Who climbed it first?", "Two Italians.", NEXT)
    other = chat(SYSTEM, "How tall is K3?", REPLY, "Who climbed it first?", "Two Italians.", NEXT)
    third = chat(SYSTEM, FIRST, REPLY, "Who climbed it first?", "Three Italians.", NEXT)

    def equal(rule, a, b):
        return rule.key_of(a).partition == rule.key_of(b).partition

    assert not equal(KeyRule(), one, other)
    assert equal(KeyRule(history=2), one, other)
    assert not equal(KeyRule(history=2), one, third)
    assert not equal(KeyRule(history=4), one, other)
    assert equal(KeyRule(history="none"), one, third)
    assert equal(KeyRule(history=0), one, third)


def test_models_of_one_class_answer_for_one_another_and_for_no_other():
    rule = KeyRule(model_classes={"small-1": "small", "small-2": "small"})
    partitions = {
        name: rule.key_of(chat(SYSTEM, FIRST, model=name)).partition for name in ("small-1", "small-2")
    }
    assert partitions["small-1"] == partitions["small-2"]
    for name in ("small", "class:small", "large"):
        assert rule.key_of(chat(SYSTEM, FIRST, model=name)).partition != partitions["small-1"]


def test_settings_that_change_no_answer_do_not_count():
    rule = KeyRule()
    plain = rule.key_of(chat(SYSTEM, FIRST)).partition
    assert (
        rule.key_of(chat(SYSTEM, FIRST, settings={"stream": True, "timeout": 3, "stop": None})).partition
        == plain
    )
    assert rule.key_of(chat(SYSTEM, FIRST, settings={"stop": ["x"]})).partition != plain


def test_a_question_in_parts_is_the_question_in_one():
    parts = [{"type": "text", "text": FIRST}]
    rule = KeyRule()
    assert rule.key_of(chat(SYSTEM, parts)) == rule.key_of(chat(SYSTEM, FIRST))


IMAGE = [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": "data:x"}}]
OTHER_IMAGE = [
    {"type": "text", "text": "What is this?"},
    {"type": "image_url", "image_url": {"url": "data:y"}},
]


def test_an_image_is_served_exactly_and_never_for_another_image():
    one, other = KeyRule().key_of(chat(SYSTEM, IMAGE)), KeyRule().key_of(chat(SYSTEM, OTHER_IMAGE))
    assert one.how == "exact"
    assert "more than text" in one.why
    assert (one.partition, one.question) != (other.partition, other.question)
    earlier = KeyRule().key_of(chat(SYSTEM, IMAGE, "A cat.", "What colour is it?"))
    assert earlier.how == "exact"


def test_a_tools_result_at_the_end_is_served_exactly():
    request = ChatRequest(
        messages=[
            {"role": "user", "content": FIRST},
            {"role": "assistant", "content": "", "tool_calls": [{"name": "look", "args": {}}]},
            {"role": "tool", "content": "8,611"},
        ]
    )
    key = KeyRule().key_of(request)
    assert key.how == "exact"
    changed = ChatRequest(messages=[*request.messages[:2], {"role": "tool", "content": "8,612"}])
    assert KeyRule().key_of(changed).partition != key.partition


@pytest.mark.parametrize(
    ("temperature", "how"), [(None, "semantic"), (0, "semantic"), (1.0, "semantic"), (1.3, "exact")]
)
def test_above_a_temperature_variety_is_wanted(temperature, how):
    assert KeyRule().key_of(chat(SYSTEM, FIRST, settings={"temperature": temperature})).how == how


def test_what_cannot_be_read_is_never_served():
    for request in (
        chat(SYSTEM, FIRST, settings=None),
        chat(SYSTEM, FIRST, settings={"logit_processor": lambda x: x}),
        chat(SYSTEM, FIRST, tools=[object()]),
    ):
        key = KeyRule().key_of(request)
        assert key.how == "never"
        assert key.why
        assert key.partition == ""


def test_the_rule_can_be_set_case_by_case():
    rule = KeyRule(rule=ServingRule(media="never", hot="semantic", max_temperature=0.2))
    assert rule.key_of(chat(SYSTEM, IMAGE)).how == "never"
    assert rule.key_of(chat(SYSTEM, FIRST, settings={"temperature": 0.9})).how == "semantic"
    assert rule.key_of(chat(SYSTEM, FIRST, settings={"n": 2})).how == "exact"


def test_the_strictest_case_counts():
    hows = ["semantic", "exact", "never"]
    rule = ServingRule(media="never", tool_result="exact")
    told = [
        rule.judge()[0],
        rule.judge(ends_in_tool_result=True)[0],
        rule.judge(ends_in_tool_result=True, has_media=True)[0],
    ]
    assert told == hows
    assert all(hows.index(a) < hows.index(b) for a, b in pairwise(told))


def test_no_messages_ask_nothing():
    assert KeyRule().key_of(ChatRequest(messages=[])).how == "exact"


def test_wrong_rules_are_refused():
    with pytest.raises(ConfigurationError, match="history must be"):
        KeyRule(history=-1)
    with pytest.raises(ConfigurationError, match="history must be"):
        KeyRule(history="all")
    with pytest.raises(ConfigurationError, match="media must be one of"):
        ServingRule(media="sometimes")
    with pytest.raises(ConfigurationError, match="unreadable must be 'never'"):
        ServingRule(unreadable="exact")
    with pytest.raises(ConfigurationError, match="max_temperature"):
        ServingRule(max_temperature=-1)
