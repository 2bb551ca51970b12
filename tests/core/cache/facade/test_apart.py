"""What keeps two questions apart, whatever the policy thinks of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.cache.facade.fakes import NearPolicy
from tokenomics_core.cache._apart import apart
from tokenomics_core.cache._text import normalised

TEXT = (
    "The warranty of laptops lasts for two years and that of accessories for one. "
    "Whatever was not opened may be returned within thirty days."
)

APART = [
    ("case", "how much is 5 mW", "how much is 5 MW"),
    ("case", "what does chmod -r do", "what does chmod -R do"),
    ("case", "What is IT?", "what is it?"),
    ("case", "decode aGVsbG8x", "decode AGVSBG8X"),
    ("passage", f"{TEXT}\nHow long is the warranty?", f"{TEXT}\nMay I return it?"),
    ("passage", f"What is this about? {TEXT}", TEXT),
    ("number_order", "is x above y if x is 5 and y is 4", "is x above y if x is 4 and y is 5"),
    ("turned", "who is the president of France", "who was the president of France"),
    ("turned", "do you ship to Canada", "do you ship from Canada"),
]
NOT_APART = [
    ("How do I reset my password?", "how do I  reset my PASSWORD?"),
    ("How do I reset my password?", "What must I do to reset my password?"),
    ("Hello there. How do I pay?", "Hello there. How can I pay?"),
    (f"{TEXT}\nHow long is it?", f"{TEXT}\nhow long is it?"),
    ("may 2 people share 10 GB", "can 2 persons share 10 GB"),
]


@pytest.mark.parametrize(("why", "one", "other"), APART)
def test_they_are_kept_apart_both_ways(why, one, other):
    assert apart(one, other) == apart(other, one) == why


@pytest.mark.parametrize(("one", "other"), NOT_APART)
def test_other_words_for_the_same_are_left_to_the_policy(one, other):
    assert apart(one, other) is None


@given(st.text(max_size=60), st.text(max_size=60))
def test_it_is_the_same_both_ways_and_never_objects_to_the_same_text(one, other):
    assert apart(one, other) == apart(other, one)
    assert apart(one, normalised(one)) is None


@pytest.mark.parametrize(("why", "one", "other"), APART)
def test_not_even_a_policy_that_serves_everything_serves_them(made, why, one, other):
    parts = made(policy=NearPolicy(threshold=-1.0), guards=())
    parts.cache.put("p", one, "an answer")
    missed = parts.cache.look_up("p", other)
    assert (missed.hit, missed.reason, missed.guard) == (None, "guard", why)
    explained = parts.cache.explain("p", other)
    assert (explained.outcome, explained.guard) == ("guard", why)
    assert parts.cache.get("p", one).kind == "exact"


def test_behind_what_is_kept_apart_the_next_one_is_found(made):
    parts = made(policy=NearPolicy(threshold=0.2), guards=())
    parts.cache.put("p", "do you ship from Canada", "No.")
    parts.cache.put("p", "do you ship goods to Canada", "Yes.")
    assert parts.cache.get("p", "do you ship to Canada").payload == "Yes."
    assert parts.cache.explain("p", "do you ship to Canada").outcome == "semantic"


def test_texts_of_many_words_are_matched_word_for_word_only(made):
    parts = made(policy=NearPolicy(threshold=-1.0), guards=())
    long = "tell me what the third word of this is " * 40
    parts.cache.put("p", long, "me")
    assert parts.cache.look_up("p", f"{long} please").reason == "too_long"
    assert parts.cache.get("p", long).payload == "me"
    assert not parts.embedder.texts
