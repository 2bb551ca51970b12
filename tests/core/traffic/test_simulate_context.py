"""A logged prompt is cut where the application would have cut it before the prompt was made."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenomics_core.compression import compress
from tokenomics_core.errors import ConfigurationError
from tokenomics_core.traffic import Compression
from tokenomics_core.traffic._replay_context import _by_template, shortened
from tokenomics_core.traffic._replay_messages import Asked

TEMPLATE = "Context:\n---\n{context}\n---\nQuestion: {question}"
PASSAGES = [
    "Parking costs nine euros a day. It is paid at the gate. The gate is blue.",
    "The canteen opens at noon. Soup is served until two. Bread is free.",
    "Badges are made on floor three. A lost badge costs ten euros. Bring a photo.",
]
QUESTION = "What does a lost badge cost?"

texts = st.text(alphabet=st.characters(blacklist_categories=("Cs",)), max_size=60)


def asked(*messages, **rest):
    return Asked(model="gpt-4.1-nano", provider="openai", messages=messages, **rest)


def user(content):
    return {"role": "user", "content": content}


@given(texts, texts.filter(lambda text: "\n---\nQuestion: " not in text))
def test_what_was_put_into_a_template_is_found_again(context, question):
    content = TEMPLATE.format(context="C", question="Q").replace("C\n---", f"{context}\n---", 1)
    content = content.removesuffix("Q") + question
    found = _by_template(content, TEMPLATE)
    if context.count("\n---\n") == 0:
        assert found is not None
        before, told, after, wanted = found
        assert before + told + after == content
        assert (told, wanted) == (context, question)


def test_a_prompt_of_the_template_is_cut_as_its_passages_are():
    content = TEMPLATE.format(context="\n\n".join(PASSAGES), question=QUESTION)
    cut = shortened(asked(user(content)), Compression(documents={"ratio": 0.4}, template=TEMPLATE))
    kept = "\n\n".join(one.text for one in compress(PASSAGES, QUESTION, ratio=0.4).documents)
    assert cut.messages[0]["content"] == TEMPLATE.format(context=kept, question=QUESTION)
    assert len(kept) < len("\n\n".join(PASSAGES))
    assert "ten euros" in kept


def test_the_question_may_stand_in_another_message():
    template = "Notes:\n{context}\nEnd."
    system = {"role": "system", "content": "Notes:\n" + "\n\n".join(PASSAGES) + "\nEnd."}
    cut = shortened(asked(system, user(QUESTION)), Compression(documents={"ratio": 0.4}, template=template))
    assert "ten euros" in cut.messages[0]["content"]
    assert len(cut.messages[0]["content"]) < len(system["content"])
    assert cut.messages[1] == user(QUESTION)


def test_a_message_of_paragraphs_is_taken_for_passages_where_no_template_is_named():
    content = "\n\n".join([*PASSAGES, QUESTION])
    cut = shortened(asked(user(content)), Compression(documents={"ratio": 0.4}))
    assert cut.messages[0]["content"].endswith(QUESTION)
    assert len(cut.messages[0]["content"]) < len(content)


@pytest.mark.parametrize(
    "message",
    [
        user(QUESTION),
        user(f"{PASSAGES[0]}\n\n{QUESTION}"),
        user([{"type": "text", "text": "\n\n".join([*PASSAGES, QUESTION])}]),
        {"role": "assistant", "content": "\n\n".join([*PASSAGES, QUESTION])},
    ],
)
def test_what_holds_no_passages_stays_the_same_object(message):
    whole = asked(message)
    assert shortened(whole, Compression(documents={"ratio": 0.4})) is whole
    assert shortened(whole, Compression(documents={"ratio": 0.4}, template=TEMPLATE)) is whole


def test_a_conversation_is_cut_to_its_tokens_and_one_that_fits_is_the_same_object():
    talk = [user("My badge number is 77."), {"role": "assistant", "content": "Noted. " * 40}]
    whole = asked(*talk, *talk, *talk, user("What is my badge number?"))
    cut = shortened(whole, Compression(history={"max_tokens": 80}))
    assert len(str(cut.messages)) < len(str(whole.messages))
    assert cut.messages[-1] == whole.messages[-1]
    assert shortened(whole, Compression(history={"max_tokens": 10_000})) is whole
    assert shortened(whole, Compression(history={"max_tokens": 1})) is whole


def test_a_template_needs_a_place_for_the_context():
    with pytest.raises(ConfigurationError, match="context"):
        Compression(template="Question: {question}")
