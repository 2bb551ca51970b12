"""A request whose answer was there already is waste from the second time on, and nothing else is."""

import pytest

from tests.core.traffic.audit_samples import DAY, HOUR, call, waste
from tests.prices_by_hand import usd

COST = usd("gpt-4o", input=1_000, output=100)


def test_all_but_the_first_of_equal_requests_are_counted():
    found = waste("exact_repeats", [call(0), call(HOUR), call(2 * HOUR), call(HOUR, "Something else?")])
    assert (found.calls, found.usd, found.confidence) == (2, 2 * COST, "high")


def test_an_answer_is_there_for_seven_days_and_no_longer():
    assert waste("exact_repeats", [call(0), call(7 * DAY)]).calls == 1
    assert waste("exact_repeats", [call(0), call(7 * DAY + 0.001)]) is None


def test_seven_days_begin_anew_with_every_equal_request():
    calls = [call(0), call(6 * DAY), call(12 * DAY)]
    assert waste("exact_repeats", calls).calls == 2


@pytest.mark.parametrize(
    "other",
    [
        {"model": "gpt-4o-mini"},
        {"settings": {"temperature": 0.5, "max_tokens": 500}},
        {"tools": [{"type": "function", "function": {"name": "find", "parameters": {}}}]},
        {"system": "You are the help desk of a bank."},
        {"project": "another"},
        {"tags": {"tenant": "another"}},
        {"text": "How do I reset my passwort?", "answer": "1"},
    ],
    ids=["model", "settings", "tools", "system", "project", "tenant", "text"],
)
def test_requests_that_differ_in_a_part_do_not_repeat_each_other(other):
    assert waste("exact_repeats", [call(0), call(60, **other)]) is None


def test_settings_that_change_no_answer_do_not_tell_requests_apart():
    streamed = {"temperature": 0.0, "max_tokens": 500, "stream": True, "seed": None}
    assert waste("exact_repeats", [call(0), call(60, settings=streamed, user="eva")]).calls == 1


@pytest.mark.parametrize(
    "first",
    [{"outcome": "error"}, {"finish_reason": "length"}, {"tool_calls": [{"function": {"name": "find"}}]}],
    ids=["failed", "cut", "asked for a tool"],
)
def test_what_was_not_answered_cannot_be_served_again(first):
    assert waste("exact_repeats", [call(0, **first), call(300)]) is None


def test_answers_from_a_cache_cost_nothing_and_show_that_the_answer_was_there():
    assert waste("exact_repeats", [call(0), call(60, source="cache")]) is None
    assert waste("exact_repeats", [call(0, source="cache"), call(60)]).usd == COST


def test_a_repeat_without_a_known_price_is_not_counted_as_free():
    unknown = {"model": "model-nobody-knows", "provider": None}
    assert waste("exact_repeats", [call(0, **unknown), call(60, **unknown)]) is None


def test_calls_whose_content_the_log_does_not_keep_repeat_nothing():
    assert waste("exact_repeats", [call(0, messages=()), call(60, messages=())]) is None


def test_the_same_question_in_other_words_is_near_and_not_exact():
    calls = [call(0, "How do I reset my password?"), call(HOUR, "How can I reset my password?")]
    found = waste("near_repeats", calls)
    assert (found.calls, found.usd) == (1, COST)
    assert 0.9 < found.probability <= 1
    assert waste("exact_repeats", calls) is None


def test_near_repeats_go_by_the_caches_own_decision():
    """What a response cache serves in the same order is what is found, no more and no less."""
    from tokenomics_core.cache import FixedThreshold, ResponseCache

    questions = [
        "How do I reset my password?",
        "how can i reset my password",
        "How do I delete my account?",
        "Where is order 1234?",
        "Where is my order 1234?",
        "Where is order 1235?",
        "What is the capital of France?",
        "What was the capital of France?",
        "Do you ship to Norway?",
        "Do you not ship to Norway?",
        "Which documents do I need to open an account?",
        "What documents do I need for opening an account?",
    ]
    cache, served = ResponseCache(policy=FixedThreshold()), []
    for question in questions:
        hit = cache.get("p", question)
        served.append(hit is not None and hit.kind == "semantic")
        cache.put("p", question, "yes")
    found = waste("near_repeats", [call(60.0 * n, text) for n, text in enumerate(questions)])
    assert any(served)
    assert found.calls == sum(served)


def test_a_word_for_word_repeat_of_a_rewording_is_counted_once():
    texts = ["How do I reset my password?", "How can I reset my password?", "How can I reset my password?"]
    calls = [call(60.0 * n, text) for n, text in enumerate(texts)]
    assert waste("near_repeats", calls).calls == 1
    assert waste("exact_repeats", calls).calls == 1


@pytest.mark.parametrize(
    "other",
    [
        {"system": "You are the help desk of a bank."},
        {"settings": {"temperature": 1.5}},
        {"tool_calls": [{"function": {"name": "find"}}]},
    ],
    ids=["another system prompt", "asks for variety", "asks for a tool"],
)
def test_near_repeats_need_all_else_equal_and_an_answer_that_may_be_served(other):
    assert waste("near_repeats", [call(0), call(60, "How can I reset my password?", **other)]) is None


def test_another_wording_is_near_for_seven_days_only():
    anew = "How can I reset my password?"
    assert waste("near_repeats", [call(0), call(7 * DAY, anew)]).calls == 1
    assert waste("near_repeats", [call(0), call(7 * DAY + 1, anew)]) is None


def test_the_same_turn_after_another_conversation_is_no_repeat():
    def talk(at_s, first):
        turns = [("user", first), ("assistant", "Of course."), ("user", "And how long does that take?")]
        return call(at_s, messages=[{"role": role, "content": text} for role, text in turns])

    calls = [talk(0, "Can I return a kettle?"), talk(60, "Can you repair a bicycle?")]
    assert waste("exact_repeats", calls) is None
    assert waste("near_repeats", calls) is None
