"""What must never be stored is recognised, and what only looks like it is not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenomics_core.cache.content_guards import (
    DEFAULT_GUARDS,
    Content,
    EmptyAnswers,
    Errors,
    JudgedBelow,
    PersonalData,
    Refusals,
    TimeDependent,
    ToolCalls,
    Truncated,
    guard,
)
from tokenomics_core.errors import ConfigurationError


def stored(answer="Fine.", question="How?", **more) -> Content:
    return Content(stage="store", question=question, answer=answer, payload=answer, **more)


def asked(question: str) -> Content:
    return Content(stage="ask", question=question)


def luhn(digits: str) -> str:
    total = 0
    for index, char in enumerate(reversed(digits + "0")):
        value = int(char) * (2 if index % 2 else 1)
        total += value - 9 if value > 9 else value
    return digits + str(-total % 10)


@given(st.from_regex(r"[2-6]\d{14}", fullmatch=True).filter(lambda digits: len(set(digits)) > 2))
def test_every_card_number_is_seen_and_none_with_a_wrong_last_digit(digits):
    number = luhn(digits)
    wrong = number[:-1] + str((int(number[-1]) + 1) % 10)
    written = " ".join(number[i : i + 4] for i in range(0, 16, 4))
    for text in (number, written, written.replace(" ", "-")):
        assert PersonalData(["card"]).objects(asked(f"my card is {text}, help"))
    assert not PersonalData(["card"]).objects(asked(f"my card is {wrong}, help"))


@given(st.text(max_size=300))
def test_no_text_is_too_odd_for_a_guard(text):
    for one in DEFAULT_GUARDS:
        assert one.objects(stored(text, text)) in {True, False}


@pytest.mark.parametrize(
    "text",
    [
        "write to ada.lovelace@mail.co.uk please",
        "ring +49 170 1234567",
        "ring +1 (415) 555-2671 now",
        "0049 30 901820",
        "my number is 415-555-2671",
        "call 030/901820-12",
        "IBAN DE89 3704 0044 0532 0130 00 is mine",
        "GB82WEST12345698765432",
        "card 4111 1111 1111 1111",
        "ssn 078-05-1120",
    ],
)
def test_personal_data_is_seen_in_question_and_answer(text):
    assert PersonalData().objects(asked(text))
    assert PersonalData().objects(stored(text))
    assert not PersonalData(where="answer").objects(asked(text))
    assert not PersonalData(where="question").objects(stored(text))


@pytest.mark.parametrize(
    "text",
    [
        "write to support@shop.com",
        "an address like someone@example.com",
        "call 1-800-555-0199 free of charge",
        "it costs 1,234,567.89 dollars",
        "from 2024-01-15 to 2025-12-31",
        "on 15.01.2024 at 10:30",
        "version 10.0.19041.1234",
        "address 192.168.100.200",
        "ISBN 978-3-16-148410-0",
        "order 4111111111111112",
        "pi is 3.14159265358979",
        "commit 1234567890123456789012",
        "DE00 3704 1144 1532 1130 11",
        "@dataclass and a@b",
        "from 1000000 to 2000000",
        "2**31 is 2147483648",
    ],
)
def test_numbers_and_offices_are_no_personal_data(text):
    assert not PersonalData().objects(stored(text, text))


def test_what_is_public_can_be_named():
    guarded = PersonalData(allowed=["ada@mail.net", "shop.com", "491701234567"])
    assert not guarded.objects(asked("ada@mail.net, bob@shop.com or +49 170 1234567"))
    assert guarded.objects(asked("bob@mail.net"))


@pytest.mark.parametrize(
    "answer",
    [
        "I'm sorry, but I can't help with that.",
        "I\u2019m sorry, but I can\u2019t assist with that request.",
        "I am unable to answer this.",
        "Sorry, I cannot provide that.",
        "As an AI language model, I don't have opinions.",
        "I don't know.",
        "Let me see. I cannot help with this.",
        "**I'm sorry**, I won't do that.",
        "Es tut mir leid, aber ich kann dabei nicht helfen.",
        "Leider kann ich diese Frage nicht beantworten.",
        "Désolé, je ne peux pas répondre à cette question.",
        "Lo siento, no puedo ayudarte con eso.",
        "Mi dispiace, ma non posso aiutarti.",
        "Desculpe, não posso ajudar com isso.",
        "Helaas kan ik daar niet bij helpen.",
        "Przepraszam, nie mogę w tym pomóc.",
        "К сожалению, я не могу помочь.",  # noqa: RUF001 - Cyrillic
        "抱歉，我无法回答这个问题。",  # noqa: RUF001 - Chinese marks
        "申し訳ありませんが、お答えできません。",
    ],
)
def test_refusals_are_seen_in_many_languages(answer):
    assert Refusals().objects(stored(answer))


@pytest.mark.parametrize(
    "answer",
    [
        "Unfortunately, we cannot change the name after booking.",
        "You cannot help but notice it.",
        "Click 'I cannot help' to skip.",
        "The function returns None if it is unable to assist the parser.",
        "Sorry means regret.",
        "Leider ist der Laden heute geschlossen.",
        "Yes, you can.",
        "",
    ],
)
def test_facts_are_no_refusals(answer):
    assert not Refusals().objects(stored(answer))


def test_refusals_can_be_limited_to_languages():
    assert not Refusals(["de"]).objects(stored("I'm sorry, but I can't help with that."))
    with pytest.raises(ConfigurationError, match="'tlh' must be one of"):
        Refusals(["tlh"])


@pytest.mark.parametrize(
    "question",
    [
        "What is the weather today?",
        "who won last night",
        "latest version of python",
        "current price of gold",
        "What time is it?",
        "Is the shop open right now?",
        "how much did I spend last week?",
        "What is on this weekend?",
        "What is he doing now?",
    ],
)
def test_questions_for_what_is_true_only_for_a_while_are_seen(question):
    assert TimeDependent().objects(asked(question))


@pytest.mark.parametrize(
    "question",
    [
        "How do I know my balance?",
        "I found my card this morning, can I reactivate it?",
        "Is my card here by now?",
        "What does now() return?",
        "What is a currency?",
        "Who was the first president?",
        "How do I get a refund?",
        "What is electric current?",
    ],
)
def test_questions_for_what_stays_true_are_not(question):
    assert not TimeDependent().objects(asked(question))


def test_time_words_of_other_languages_are_seen_where_they_are_named():
    assert TimeDependent(["de"]).objects(asked("Wie ist das Wetter heute?"))
    assert not TimeDependent().objects(asked("Wie ist das Wetter heute?"))
    assert TimeDependent(["en", "zh"]).objects(asked("今天天气怎么样"))


@pytest.mark.parametrize("reason", ["length", "max_tokens", "model_length", "incomplete"])
def test_answers_cut_short_are_seen_by_any_providers_word(reason):
    assert Truncated().objects(stored(finish_reason=reason))
    assert not Truncated().objects(stored(finish_reason="stop"))
    assert not Truncated().objects(stored())


def test_errors_tool_calls_and_empty_answers_are_seen():
    assert Errors().objects(stored(is_error=True))
    assert not Errors().objects(stored())
    assert ToolCalls().objects(stored(has_tool_calls=True))
    assert EmptyAnswers().objects(stored("  \n"))
    assert EmptyAnswers().objects(Content(stage="store", question="q", payload=b""))
    assert not EmptyAnswers().objects(Content(stage="store", question="q", payload=b"x"))
    assert not EmptyAnswers().objects(stored("", has_tool_calls=True))


def test_what_a_judge_scored_too_low_is_seen_and_what_nobody_judged_passes():
    bar = JudgedBelow(0.7)
    assert bar.objects(stored(judge_score=0.69))
    assert not bar.objects(stored(judge_score=0.7))
    assert not bar.objects(stored())
    with pytest.raises(ConfigurationError, match=r"score must be in \[0, 1\], not 7"):
        JudgedBelow(7)


class TestCombining:
    short = guard("short", lambda content: len(content.answer or "") < 3)
    loud = guard("loud", lambda content: content.question.isupper(), on_question=True)

    @pytest.mark.parametrize("answer", ["ab", "abc"])
    @pytest.mark.parametrize("question", ["UP", "down"])
    def test_guards_combine_as_logic_does(self, answer, question):
        content = stored(answer, question)
        a, b = self.short.objects(content), self.loud.objects(content)
        assert (self.short | self.loud).objects(content) == (a or b)
        assert (self.short & self.loud).objects(content) == (a and b)
        assert (~self.short).objects(content) == (not a)

    def test_names_tell_how_they_were_combined(self):
        assert (self.short | ~self.loud).name == "(short or not loud)"

    def test_a_question_alone_is_judged_only_by_guards_that_can(self):
        assert (self.short | self.loud).objects(asked("UP"))
        assert not (self.short | self.loud).objects(asked("down"))
        assert (self.short | self.loud).on_question
        assert not (self.short & self.loud).on_question


def test_wrong_settings_are_refused():
    with pytest.raises(ConfigurationError, match="'name' must be one of email"):
        PersonalData(["name"])
    with pytest.raises(ConfigurationError, match="where must be"):
        PersonalData(where="nowhere")
    with pytest.raises(ConfigurationError, match="choose at least one"):
        Refusals([])
