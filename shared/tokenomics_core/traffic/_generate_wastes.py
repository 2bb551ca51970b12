"""Doings with a known waste in them; each call that wastes is marked."""

from __future__ import annotations

import math
from random import Random
from typing import Any

from tokenomics_core.embedding import StaticEmbedder
from tokenomics_core.traffic import _generate_texts as texts
from tokenomics_core.traffic._generate_call import Call, Mark, Talk, text_tokens
from tokenomics_core.traffic._generate_features import DOCUMENTS, DRAFTING, EDITS, INCIDENTS, SUPPORT
from tokenomics_core.traffic._generate_questions import draw_question, reword
from tokenomics_core.traffic._generate_sessions import PASSAGES, Session, Sessions, passages_text

__all__ = ["Wastes"]

_LOOPS_FROM = 3
_EMBEDDER = StaticEmbedder()  # loads its weights when it is first used


class Wastes:
    """Draws doings that waste, out of the same material as those that do not.

    Args:
        sessions: Draws what is not wasted in them.
        longest_wait_s: How long after a question its repeat may come.
    """

    def __init__(self, sessions: Sessions, longest_wait_s: float) -> None:
        self._sessions, self._longest_s = sessions, longest_wait_s

    def exact_repeats(self, random: Random) -> Session:
        """Ask something that others ask later word for word."""
        first = self._repeatable(random)
        yield 0.0, first
        for _ in range(random.randrange(1, 5)):
            who = self._sessions.who(random, first.feature.name, first.feature.project)
            yield (
                self._wait(random),
                Call(
                    feature=first.feature,
                    who=who,
                    messages=first.messages,
                    input_tokens=first.input_tokens,
                    answer=first.answer,
                    output_tokens=first.output_tokens,
                    marks=(Mark("exact_repeats"),),
                ),
            )

    def _repeatable(self, random: Random) -> Call:
        doing = self._sessions.support if random.random() < 0.6 else self._sessions.search
        _, call = next(doing(random))
        call.fails = False
        return call

    def near_repeats(self, random: Random) -> Session:
        """Ask something that others ask later in other words, whether or not a cache would see that."""
        wait = 0.0
        for text, answer, marks in self._wordings(random):
            talk = Talk(SUPPORT, self._sessions.who(random, SUPPORT.name, SUPPORT.project))
            talk.say("user", text)
            yield wait, talk.call(answer, marks=marks)
            wait = self._wait(random)

    def _wordings(self, random: Random) -> list[tuple[str, str, tuple[Mark, ...]]]:
        """Draw wordings of one question with its answer; those that a cache doubts are marked as such.

        None is left out for that: what is the same question is known from how it was made.
        """
        from tokenomics_core.cache import FixedThreshold, ResponseCache  # noqa: PLC0415 - loads numpy

        question, used = draw_question(random, self._sessions.number()), set[str]()
        answer = texts.answer_about(random, question.thing, sentences=random.randrange(3, 6))
        cache = ResponseCache(embedder=_EMBEDDER, policy=FixedThreshold())
        found: list[tuple[str, str, tuple[Mark, ...]]] = []
        for number in range(random.randrange(2, 5)):
            is_doubted = bool(number) and cache.get("support", question.text) is None
            marks = (Mark("near_repeats", is_doubted=is_doubted),) if number else ()
            found.append((question.text, answer, marks))
            cache.put("support", question.text, answer)
            used.add(question.text)
            question = reword(random, question, used)
        return found

    def unstable_prefix(self, random: Random) -> Session:
        """Send the same long instructions behind a time and an id, one report after another."""
        who, wait = self._sessions.who(random, INCIDENTS.name, INCIDENTS.project), 0.0
        mark = Mark("unstable_prefix", tokens=text_tokens(INCIDENTS.system, INCIDENTS.model))
        for _ in range(random.randrange(4, 13)):
            now = self._sessions.time(wait).isoformat(timespec="seconds")
            head = f"Current time: {now}\nRequest id: {random.getrandbits(128):032x}\n\n"
            talk = Talk(INCIDENTS, who, system=head + INCIDENTS.system)
            talk.say("user", texts.ticket(random, self._sessions.number()))
            yield wait, talk.call(texts.letter(random, sentences=random.randrange(3, 8)), marks=(mark,))
            wait = random.uniform(15, 110)

    def oversized_context(self, random: Random) -> Session:
        """Ask about passages of which some are there twice, or have nothing to do with it."""
        question, answer, passages = self._sessions.handbook.ask(random, self._sessions.number())
        if random.random() < 0.5:
            wasted = [random.choice(passages) for _ in range(random.randrange(1, 4))]
        else:
            wasted = self._sessions.handbook.stray(random, random.randrange(2, 5), question, answer)
        for passage in wasted:  # never before the one that it repeats
            first = passages.index(passage) + 1 if passage in passages else 0
            passages.insert(random.randrange(first, len(passages) + 1), passage)
        tokens = sum(text_tokens(passage, DOCUMENTS.model) for passage in wasted)
        talk = Talk(DOCUMENTS, self._sessions.who(random, DOCUMENTS.name, DOCUMENTS.project))
        talk.say("user", PASSAGES, *passages_text(passages), f"Question: {question}")
        yield 0.0, talk.call(answer, marks=(Mark("oversized_context", tokens=tokens),))

    def dear_model(self, random: Random) -> Session:
        """Ask the dear model for what any model can do."""
        asked, text = texts.easy_edit(random, self._sessions.number())
        talk = Talk(EDITS, self._sessions.who(random, EDITS.name, EDITS.project))
        talk.say("user", asked)
        yield 0.0, talk.call(texts.edited(text), marks=(Mark("dear_model"),))

    def runaway_runs(self, random: Random) -> Session:
        """Let an agent call the same tool with the same arguments again and again."""
        talk = self._sessions.agent_talk(random)
        wait = 0.0
        for _ in range(random.randrange(0, 4)):
            yield wait, self._sessions.use_tool(random, talk, *self._sessions.tool_use(random))
            wait = random.uniform(2, 9)
        tool, arguments = self._sessions.tool_use(random)
        for time in range(1, _LOOPS_FROM + random.randrange(5, 18)):
            call = self._sessions.use_tool(random, talk, tool, arguments, result='{"found": 0}')
            if time > _LOOPS_FROM:
                call.marks = (Mark("runaway_runs"),)
            yield wait, call
            wait = random.uniform(2, 9)

    def retries(self, random: Random) -> Session:
        """Send a call that fails after it was paid for once or twice more."""
        _, good = next(
            (self._sessions.drafting if random.random() < 0.5 else self._sessions.analysis)(random)
        )
        good.fails = False
        earlier: Call | None = None
        wait = 0.0
        for _ in range(random.choice((1, 1, 1, 2))):
            failed = self._failed(random, good)
            failed.marks = (Mark("retries", earlier=earlier),) if earlier else ()
            yield wait, failed
            earlier, wait = failed, random.uniform(2, 45)
        good.marks = (Mark("retries", earlier=earlier),)
        yield wait, good

    @staticmethod
    def _failed(random: Random, good: Call) -> Call:
        answer = good.answer or ""
        part = answer[: random.randrange(len(answer) // 3, max(len(answer) * 4 // 5, 2))]
        how: dict[str, Any] = random.choice(
            (
                {"outcome": "aborted", "finish": None},
                {"outcome": "error", "finish": None, "error": "the connection was closed by the server"},
            )
        )
        return Call(
            feature=good.feature,
            who=good.who,
            messages=good.messages,
            input_tokens=good.input_tokens,
            answer=part,
            output_tokens=text_tokens(part, good.feature.model),
            **how,
        )

    def unbounded_outputs(self, random: Random) -> Session:
        """Get a letter that does not come to an end."""
        talk = Talk(DRAFTING, self._sessions.who(random, DRAFTING.name, DRAFTING.project))
        talk.say("user", texts.letter_request(random, self._sessions.number()))
        answer = texts.letter(random, sentences=random.randrange(90, 180))
        yield 0.0, talk.call(answer, marks=(Mark("unbounded_outputs"),))

    def _wait(self, random: Random) -> float:
        """Draw a wait of which short ones are as usual as long ones."""
        return math.exp(random.uniform(math.log(120.0), math.log(max(self._longest_s, 240.0))))
