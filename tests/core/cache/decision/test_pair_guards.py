"""Guards name what sets two questions apart that look alike, and say nothing of one question said twice."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenomics_core.cache._lexicon import words_in
from tokenomics_core.cache._pair import compare
from tokenomics_core.cache._pair_guards import (
    DEFAULT_GUARDS,
    PAIR_GUARDS,
    STRICT_GUARDS,
    chosen_guards,
    objection,
)
from tokenomics_core.cache._question import analyze
from tokenomics_core.errors import ConfigurationError

WORDS = st.lists(
    st.sampled_from(
        words_in(
            "how do can i you my the a card order 12 paris London not before after all refund open close "
            "lock unlock will did from to is who when 5 mg g monday cheap my his"
        )
    ),
    max_size=9,
).map(" ".join)


def pair_of(one: str, other: str):
    return compare(analyze(one), analyze(other))


@given(WORDS | st.text(max_size=80), WORDS | st.text(max_size=80))
def test_the_order_of_the_two_does_not_matter(one, other):
    for name, guard in PAIR_GUARDS.items():
        assert guard(pair_of(one, other)) == guard(pair_of(other, one)), name


@given(WORDS | st.text(max_size=80))
def test_nothing_objects_to_the_same_question(text):
    assert objection(pair_of(text, text), STRICT_GUARDS) is None


@given(WORDS, WORDS, st.sets(st.sampled_from(sorted(PAIR_GUARDS))), st.sampled_from(sorted(PAIR_GUARDS)))
def test_one_guard_more_never_objects_less(one, other, names, further):
    pair = pair_of(one, other)
    if objection(pair, chosen_guards(names)) is not None:
        assert objection(pair, chosen_guards(names | {further})) is not None


@pytest.mark.parametrize(
    ("guard", "one", "other"),
    [
        ("number", "refund for order 1123", "refund for order 1124"),
        ("number", "我的订单1123在哪里", "我的订单1124在哪里"),
        ("unit", "is 5 mg enough", "is 5 g enough"),
        ("date", "open on Monday?", "open on Tuesday?"),
        ("negation", "can I cancel", "can't I cancel"),
        ("antonym", "cheapest flight", "most expensive flight"),
        ("antonym", "lock my card", "unlock my card"),
        ("antonym", "turn the light on", "turn the light off"),
        ("name", "hotels in Paris", "hotels in London"),
        ("order", "flights from Paris to London", "flights from London to Paris"),
        ("order", "can you call me", "can I call you"),
        ("scope", "delete only my drafts", "delete my drafts"),
        ("person", "where is my seat", "where is his seat"),
        ("tense", "did it rain", "will it rain"),
        ("tense", "can I leave", "must I leave"),
        ("question_word", "when was it built", "why was it built"),
        (
            "aspect",
            "How many matches does difflib.get_close_matches return by default?",
            "What is the cutoff of difflib.get_close_matches by default?",
        ),
        ("aspect", "How many seats has it?", "What is the price of it?"),
        ("swap", "how do I sort a list", "how do I sort a dictionary"),
        ("insertion", "how do I cook rice", "how do I cook brown rice"),
    ],
)
def test_each_guard_sees_what_it_is_named_for(guard, one, other):
    assert PAIR_GUARDS[guard](pair_of(one, other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("How do I reset my password?", "my password, how do I reset it?"),
        ("what is your refund policy", "What's the policy for refunds?"),
        ("difference between TCP and UDP", "difference between UDP and TCP"),
        ("it costs $5", "it costs 5 dollars"),
        ("how can I delete my account", "how do I remove my account"),
        ("How many calories are in an apple?", "What is the number of calories in an apple?"),
        ("What is the price of the pass?", "How much does the pass cost?"),
        ("How many parts has urlsplit?", "What is the number of components of urllib.parse.urlsplit?"),
        ("how do I conect to the vpn", "how do I connect to the VPN"),
    ],
)
def test_nothing_objects_to_saying_the_same_otherwise(one, other):
    assert objection(pair_of(one, other), DEFAULT_GUARDS) is None


def test_guards_of_english_words_can_be_switched_off():
    pair = pair_of("can I cancel", "can't I cancel")
    assert objection(pair, chosen_guards("default")) == "negation"
    assert objection(pair, chosen_guards("default", english=False)) is None
    assert "number" in chosen_guards("default", english=False)


def test_an_unknown_guard_is_refused():
    with pytest.raises(ConfigurationError, match="'numbr'"):
        chosen_guards(["numbr"])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("What does date.isoformat return?", "What does datetime.datetime.isoformat return?"),
        ("What does math.comb compute?", "What does math.perm compute?"),
        ("How is max_retries set?", "How is max_tokens set?"),
        ("Is shop.example.com down?", "Is blog.example.com down?"),
        ("Where is report.pdf?", "Where is invoice.pdf?"),
        ("What does str.split do?", "What does it do?"),
        ("What does openFile do?", "What does closeFile do?"),
    ],
)
def test_what_is_named_in_code_must_be_the_same(one, other):
    assert PAIR_GUARDS["identifier"](pair_of(one, other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("What does date.weekday give?", "what does datetime.date.weekday give"),
        ("How many parts has urllib.parse.urlsplit?", "how many parts does urlsplit have"),
        ("Is 3.5 more than 3.4?", "is 3.5 greater than 3.4"),
        ("May I use it, e.g. abroad?", "may I use it abroad"),
        ("How do I charge my iPhone?", "how do i charge my iphone"),
    ],
)
def test_a_name_in_code_may_be_shortened(one, other):
    assert not PAIR_GUARDS["identifier"](pair_of(one, other))
