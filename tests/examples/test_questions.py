"""The questions can be answered from the corpus of this Python, and the judge tells right from wrong."""

from __future__ import annotations

import json
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from examples.judge import is_right, normalise
from examples.main_job.questions import Question, load_questions, share_out
from examples.stdlib_corpus import build_corpus

QUESTIONS = load_questions()
BY_ID = {question.id: question for question in QUESTIONS}
TEXTS = {document.id: document.text for document in build_corpus()}


def _wordings(question: Question) -> str:
    """The shortest right answer."""
    return " / ".join(wordings[0] for wordings in question.facts)


# --- the questions


def test_there_are_about_two_hundred_of_every_kind():
    kinds = Counter(question.kind for question in QUESTIONS)
    assert 190 <= len(QUESTIONS) <= 280
    assert min(kinds[kind] for kind in ("easy", "hard", "paraphrase", "near_miss")) >= 30
    assert kinds["follow_up"] >= 20
    assert kinds["plain"] >= 80


def test_ids_and_texts_are_unique():
    assert len(BY_ID) == len(QUESTIONS)
    follow_ups = [question for question in QUESTIONS if question.kind == "follow_up"]
    alone = [question.text for question in QUESTIONS if question not in follow_ups]
    assert len(set(alone)) == len(alone)


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.id)
def test_every_fact_stands_in_the_documents_it_is_taken_from(question):
    text = "\n".join(TEXTS[source] for source in question.sources)
    assert is_right(text, question.facts)


def test_no_question_gives_its_answer_away():
    assert not [question.id for question in QUESTIONS if is_right(question.text, question.facts)]


def test_a_paraphrase_asks_for_the_same_facts_in_other_words():
    for question in QUESTIONS:
        if question.kind == "paraphrase":
            original = BY_ID[question.of]
            assert question.facts == original.facts
            assert normalise(question.text) != normalise(original.text)


def test_a_near_miss_has_another_answer():
    for question in QUESTIONS:
        if question.kind == "near_miss":
            original = BY_ID[question.of]
            assert not is_right(_wordings(original), question.facts), question.id
            assert not is_right(_wordings(question), original.facts), question.id


def test_variants_and_follow_ups_come_after_what_they_refer_to():
    place = {question.id: at for at, question in enumerate(QUESTIONS)}
    opened = set()
    for question in QUESTIONS:
        if question.kind in {"paraphrase", "near_miss"}:
            assert place[question.of] < place[question.id]
        if question.kind == "follow_up":
            assert question.conversation in opened
        elif question.conversation:
            opened.add(question.conversation)


def test_hard_questions_need_two_documents_or_a_long_one():
    for question in QUESTIONS:
        if question.kind == "hard":
            assert len(question.sources) > 1 or len(TEXTS[question.sources[0]]) > 450, question.id


def test_users_features_and_conversations_are_spread():
    assert set(Counter(question.user for question in QUESTIONS)) == {"ada", "bo", "chen", "dara"}
    assert set(Counter(question.feature for question in QUESTIONS)) == {"search", "tutor", "review"}
    speakers = {}
    for question in QUESTIONS:
        if question.conversation:
            assert speakers.setdefault(question.conversation, question.user) == question.user
    assert len(speakers) == 10


def test_apps_share_questions_without_tearing_topics_apart():
    shares = share_out(QUESTIONS, 2)
    assert abs(Counter(shares.values())[0] - len(QUESTIONS) / 2) < len(QUESTIONS) / 10
    for question in QUESTIONS:
        if question.of:
            assert shares[question.id] == shares[question.of]


# --- reading them


def test_lines_that_are_no_questions_are_refused(tmp_path):
    good = json.loads(json.dumps(_plain(QUESTIONS[0])))
    for change in ({"kind": "odd"}, {"facts": []}, {"facts": [[]]}, {"colour": "red"}, {"text": None}):
        path = tmp_path / "questions.jsonl"
        line = {key: value for key, value in {**good, **change}.items() if value is not None}
        path.write_text(f"\n{json.dumps(line)}\n")
        with pytest.raises(ValueError, match=r"questions\.jsonl:2 is no question"):
            load_questions(path)


def _plain(question: Question) -> dict:
    return {name: getattr(question, name) for name in Question.__slots__}


# --- the judge


wordings = st.from_regex(r"[A-Za-z0-9]+( [A-Za-z0-9]+)?", fullmatch=True)


@given(st.text(), st.lists(wordings, min_size=1, max_size=3))
def test_an_answer_that_says_every_fact_is_right(noise, facts):
    answer = f"{noise} " + " and ".join(facts) + f" {noise}"
    assert is_right(answer, [[fact] for fact in facts])


@pytest.mark.parametrize(
    ("answer", "fact", "right"),
    [
        ("It raises a `ValueError`.", "ValueError", True),
        ("It raises a UnicodeValueError.", "ValueError", False),
        ("Return -1 on failure.", "-1", True),
        ("Return -10 on failure.", "-1", False),
        ("Sends SIGKILL!", "sigkill", True),
        ("Just  BEFORE\nthe leftmost.", "just before the leftmost", True),
        ("before the leftmost", "just before the leftmost", False),
        ("in O(len(heap)) time", "O(len(heap))", True),
        ("", "anything", False),
    ],
)
def test_facts_are_found_as_whole_words(answer, fact, right):
    assert is_right(answer, [[fact]]) is right


def test_one_wording_of_every_fact_is_enough_and_needed():
    facts = [["MD5", "md-5"], ["SHA-1"]]
    assert is_right("First md-5, then SHA-1.", facts)
    assert not is_right("Only MD5.", facts)
