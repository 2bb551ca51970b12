"""Answers that say the same are told from answers that do not, and doubt is no label."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenomics_core.cache import AnswerComparer
from tokenomics_core.errors import ConfigurationError

compare = AnswerComparer().by_form
LONG = "You can reset your password in the settings of your account under the tab named security and login"


@given(st.text(max_size=60), st.text(max_size=60))
def test_comparing_is_symmetric_and_every_answer_equals_itself(one, other):
    assert compare(one, other) == compare(other, one)
    assert compare(one, one) is True


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
).filter(lambda value: isinstance(value, dict | list))


@given(json_values, json_values)
def test_json_is_the_same_exactly_where_its_values_are(one, other):
    spaced, dense = json.dumps(one, indent=2), json.dumps(other)
    assert compare(spaced, dense) is (json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True))
    assert compare(spaced, json.dumps(one)) is True


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Paris", "paris."),
        ("**Paris**", "Paris"),
        ("42", "42.0"),
        ("1,000", "1000"),
        ('{"a": 1}', '```json\n{"a": 1.0}\n```'),
        (f"{LONG}.", f"  {LONG.upper()}"),
    ],
)
def test_spelling_makes_no_difference(one, other):
    assert compare(one, other) is True


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Paris", "Rome"),
        ("42", "43"),
        ("42", LONG),
        ('{"a": 1}', '{"a": 2}'),
        ('{"a": 1}', LONG),
        ("Yes", LONG),
        (f"{LONG} within 30 days", f"{LONG} within 60 days"),
        (f"{LONG} and you should", f"{LONG} and you should not"),
    ],
)
def test_short_structured_and_contradicting_answers_are_different(one, other):
    assert compare(one, other) is False


def test_longer_answers_are_left_open_by_their_words():
    assert (
        compare(
            LONG, f"Go to security, where a new password is set in a moment, and confirm it there, {LONG}"
        )
        is None
    )


def test_numbers_of_a_list_are_no_content():
    one = "1. Open the settings of the app\n2. Choose security there\n3. Press the reset button"
    other = "- Open the settings of the app\n- Choose security there\n- Press the reset button once"
    assert compare(one, other) is None


def test_meaning_tells_beyond_two_thresholds_and_not_between():
    by_meaning = AnswerComparer(same_above=0.9, different_below=0.5).by_meaning
    assert [by_meaning(value) for value in (1.0, 0.9, 0.89, 0.5, 0.49)] == [True, True, None, None, False]
    assert AnswerComparer(same_above=None, different_below=None).by_meaning(1.0) is None


def test_thresholds_in_the_wrong_order_are_refused():
    with pytest.raises(ConfigurationError, match="in this order"):
        AnswerComparer(same_above=0.5, different_below=0.9)
    with pytest.raises(ConfigurationError, match="short_words"):
        AnswerComparer(short_words=-1)
