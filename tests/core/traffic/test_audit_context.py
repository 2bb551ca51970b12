"""Passages are told from other text in the forms that applications use, and templates from what changes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenomics_core.traffic._facts_context import split_context
from tokenomics_core.traffic._facts_digest import as_bytes, digest
from tokenomics_core.traffic._template_mask import Masker

FIRST = "Refunds reach the account within ten days."
SECOND = "Parcels are picked up on Mondays."
ASKED = "How long do refunds take?"

FORMS = {
    "numbers in brackets": f"Passages:\n\n[1] {FIRST}\n\n[2] {SECOND}\n\nQuestion: {ASKED}",
    "brackets without a heading": f"[1] {FIRST}\n[2] {SECOND}\n\nQuestion: {ASKED}",
    "named documents": f"Document 1: {FIRST}\nDocument 2: {SECOND}\n\nQuestion: {ASKED}",
    "blank lines under a heading": f"Context:\n{FIRST}\n\n{SECOND}\n\nQuestion: {ASKED}",
    "a heading with words": f"Context information is below:\n{FIRST}\n\n{SECOND}\n\nQuery: {ASKED}",
    "rules": f"## Context\n{FIRST}\n---\n{SECOND}\n\n{ASKED}",
    "tags in a tag": (
        f"<documents><document id='1'>{FIRST}</document>"
        f"<document id='2'>{SECOND}</document></documents>\n{ASKED}"
    ),
    "a tag with blank lines": f"<context>\n{FIRST}\n\n{SECOND}\n</context>\n\n{ASKED}",
    "a markdown heading": f"# Context\n\n{FIRST}\n\n{SECOND}\n\n# Question: {ASKED}",
}


@pytest.mark.parametrize("text", FORMS.values(), ids=FORMS)
def test_passages_are_found_in_every_usual_form(text):
    passages, rest = split_context(text)
    assert passages == [FIRST, SECOND]
    assert ASKED in rest
    assert FIRST not in rest


@pytest.mark.parametrize(
    "text",
    [
        ASKED,
        f"Context:\n{FIRST}\n\nQuestion: {ASKED}",
        f"Follow these steps.\n1. {FIRST}\n2. {SECOND}\n(3) Be brief.",
        f"{FIRST}\n\n{SECOND}\n\nPlease translate this.",
        "Write code:\n\ndef f(results):\n    return results[1]",
    ],
    ids=["a question", "one passage", "numbered instructions", "paragraphs", "code"],
)
def test_other_text_holds_no_passages(text):
    assert split_context(text) == ([], text)


@given(st.text(max_size=300))
def test_any_text_can_be_split(text):
    passages, rest = split_context(text)
    assert len(passages) != 1
    assert all(passage.strip() for passage in passages)
    if not passages:
        assert rest == text


def masker():
    return Masker(lambda text, model: len(text.split()), least_chars=10)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("It is 2026-03-02T09:14:07Z. Be brief.", "It is 2027-12-30T23:59:59Z. Be brief."),
        ("Today is Monday, March 2, 2026.", "Today is Friday, October 13, 2025."),
        ("Request 6f1c2d3e-0000-4a5b-8c7d-112233445566 follows", "Request 00112233-aaaa-1b2c follows"),
        ("Call #17 of 20", "Call #18 of 20"),
        ("id: a9f31c77b2 text", "id: 77b2a9f31c text"),
    ],
    ids=["time", "date in words", "uuid", "counter", "hex"],
)
def test_what_changes_from_call_to_call_makes_no_other_template(one, other):
    left, right = masker().mask(one, "m"), masker().mask(other, "m")
    assert left.template == right.template
    assert left.slots != right.slots


def test_other_words_make_another_template():
    assert masker().mask("Be brief.", "m").template != masker().mask("Be kind.", "m").template


def test_the_tokens_behind_a_slot_are_those_that_stay():
    text = "It is 09:14 now and\nthese are five more words\nuntil 10:30 comes two"
    found = masker().mask(text, "m")
    assert len(found.slots) == 2
    assert found.behind == (2 + 5 + 1 + 2, 2)


@given(st.lists(st.text(max_size=80), max_size=12), st.integers(0, 40))
def test_remembering_lines_changes_nothing(lines, digits):
    text = "\n".join([*lines, f"number {digits}", *lines])
    fresh, used = masker(), masker()
    used.mask("\n".join(reversed(lines)), "m")
    used.mask(text, "other")
    assert used.mask(text, "m") == fresh.mask(text, "m") == used.mask(text, "m")


@given(st.lists(st.binary(max_size=6), max_size=5), st.lists(st.binary(max_size=6), max_size=5))
def test_digests_tell_parts_apart(one, other):
    assert (digest(*one) == digest(*other)) == (one == other)
    assert digest(*one) != 0


@given(st.dictionaries(st.text(max_size=5), st.integers(), max_size=5))
def test_the_order_of_keys_does_not_matter(values):
    assert as_bytes(values) == as_bytes(dict(reversed(values.items())))
