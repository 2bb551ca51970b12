"""Two questions are the same text only where they mean the same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenomics_core.cache._text import key_of, normalised, storable

anything = st.text(st.characters(), max_size=80)


@given(anything)
def test_normalising_twice_is_normalising_once(text):
    assert normalised(normalised(text)) == normalised(text)


@given(anything, anything)
def test_keys_are_equal_exactly_where_normalised_texts_are(one, other):
    assert (key_of(one) == key_of(other)) == (normalised(one) == normalised(other))


@given(anything)
def test_what_can_be_stored_is_valid_and_changes_only_what_cannot(text):
    kept = storable(text)
    kept.encode()
    assert "\0" not in kept
    assert len(kept) == len(text)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("How do I reset my password?", "  how do I  RESET\n my password? "),
        ("caf\u00e9 hours", "cafe\u0301 hours"),
        ("\uff21\uff22\uff23 \uff11\uff12", "abc 12"),
        ("What is the o\ufb03ce address?", "What is the office address?"),
        ("open\u00a0on\u2009Sunday", "open on Sunday"),
        ("re\u00adset", "reset"),
        ("wake me at 5 PM", "wake me at 5 pm"),
        ("WHAT IS IT?", "what is it?"),
        ("Is TCP/IP covered by COVID-19 rules?", "is tcp/ip covered by covid-19 rules?"),
        ("do NOT use PayPal", "do not use paypal"),
    ],
)
def test_spelling_alone_makes_no_difference(one, other):
    assert key_of(one) == key_of(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("order 1123", "order 1124"),
        ("what is 10\u00b2", "what is 102"),
        ("add 1\u00bd cups", "add 11/2 cups"),
        ("how much is 5 mW", "how much is 5 MW"),
        ("download 5 Mb", "download 5 MB"),
        ("version 1.2", "version 12"),
        ("is it -5", "is it 5"),
        ("what does `List` do", "what does `list` do"),
        ('translate "Polish"', 'translate "polish"'),
        ("len('a b') of `a  b`", "len('a b') of `a b`"),
        ("if a:\n    b()\n    c()", "if a:\n    b()\nc()"),
        ("Ma\u00dfe", "Masse"),
        ("really?", "really!"),
        ("C", "C++"),
        ("What is IT?", "What is it?"),
        ("Do US rules apply?", "Do us rules apply?"),
        ("decode aGVsbG8x", "decode AGVSBG8X"),
        ("open https://a.example/AbC", "open https://a.example/abc"),
        ("(see /etc/X)", "(see /etc/x)"),
        ("print $HOME", "print $home"),
        ("set MAX_SIZE", "set max_size"),
        ("what does chmod -R do", "what does chmod -r do"),
    ],
)
def test_what_changes_the_meaning_stays(one, other):
    assert key_of(one) != key_of(other)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("What does str.partition return?", "what does str.partition return", True),
        ("How many are there ?", "how many are there??", True),
        ("Wie alt ist er?", "wie alt ist er", True),
        ("Is the server down?", "Is the server down", True),
        ("The server is down?", "The server is down", False),
        ("Delete the file?", "Delete the file", False),
        ("What is 5!", "What is 5", False),
        ("What?", "What", False),
    ],
)
def test_a_final_mark_counts_unless_the_first_word_asks(one, other, same):
    assert (key_of(one) == key_of(other)) is same
