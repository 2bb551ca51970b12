"""A question is taken apart the same way however it is written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenomics_core.cache._lexicon import opposites, stem, synonyms
from tokenomics_core.cache._question import analyze


@given(st.text(max_size=300))
def test_any_text_can_be_read(text):
    read = analyze(text)
    assert read.stems == frozenset(read.content)
    assert set(read.words) == read.stems


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("order 1,123", {"1123"}),
        ("Python 3.11", {"3.11"}),
        ("Python 3.1", {"3.1"}),
        ("it costs $5.00", {"5"}),
        ("the 5th of June", {"5"}),
        ("two eggs", {"2"}),
        ("twice", {"2"}),
        ("ticket AB-1042", {"ab-1042"}),
        ("at 10:30", {"10:30"}),
        ("订单1123在哪里", {"1123"}),
        ("٣ تذاكر", {"3"}),
        ("which one is it", set()),
    ],
)
def test_numbers_and_ids_are_read_in_every_script(text, numbers):
    found = analyze(text).numbers
    assert {number for number in found if any(c.isdigit() for c in number)} >= numbers
    assert bool(found) == bool(numbers)


@pytest.mark.parametrize(
    ("one", "other"),
    [("$5", "5 dollars"), ("5mg", "5 milligrams"), ("10 km", "10 kilometers"), ("3 €", "3 euros")],
)
def test_a_unit_is_the_same_however_it_is_written(one, other):
    assert analyze(one).units == analyze(other).units != frozenset()
    assert analyze(one).numbers == analyze(other).numbers


@pytest.mark.parametrize(
    "text", ["can't", "cannot", "can not", "cant", "CAN\u2019T", "don't", "never", "without"]
)
def test_negation_is_seen_in_every_spelling(text):
    assert analyze(f"{text} I pay").negations == 1


@pytest.mark.parametrize(
    ("text", "asks"),
    [
        ("How many are there", "how many"),
        ("how come it fails", "why"),
        ("Whose is it", "who"),
        ("what time is it", "when"),
        ("pay now", ""),
    ],
)
def test_the_question_word_says_what_is_asked_for(text, asks):
    assert analyze(text).asks == asks


def test_a_sentence_s_first_word_is_no_name_for_its_capital():
    assert analyze("Hotels in Paris").names == {"paris"}
    assert analyze("WHERE IS MY CARD").names == frozenset()
    assert analyze("does it run on iOS").names == {"ios"}


@pytest.mark.parametrize(
    "forms", ["cancel cancels canceled canceling", "city cities", "stop stopped stopping", "pay paid"]
)
def test_forms_of_a_word_share_a_stem(forms):
    assert len({stem(form) for form in forms.split()}) == 1


def test_no_two_words_mean_the_same_and_the_opposite():
    assert not opposites() & synonyms()
    assert all((other, one) in opposites() for one, other in opposites())
    assert all((other, one) in synonyms() for one, other in synonyms())


@pytest.mark.parametrize(
    "text", ["Am I able to change it?", "I'm able to change it", "Good evening, may I change it?"]
)
def test_am_and_a_greeting_are_no_times(text):
    assert (analyze(text).units, analyze(text).dates) == (frozenset(), frozenset())
    assert analyze(text).content == ("chang",)


def test_am_after_a_number_and_an_evening_that_is_asked_for_are_times():
    assert analyze("is it open at 5 am").units == analyze("is it open at 5am").units == {"am"}
    assert analyze("is it open tomorrow evening").dates == {"tomorrow", "evening"}
