"""What people and jobs do with an application: talks, questions, runs and nights, as calls with waits."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from random import Random
from typing import Any

from tokenomics_core.traffic import _generate_texts as texts
from tokenomics_core.traffic._generate_call import Call, Talk
from tokenomics_core.traffic._generate_documents import Handbook
from tokenomics_core.traffic._generate_features import (
    AGENT,
    ANALYSIS,
    BRIEFING,
    CODE,
    DOCUMENTS,
    DRAFTING,
    LABELS,
    SUPPORT,
)
from tokenomics_core.traffic._generate_questions import draw_question
from tokenomics_core.types import Attribution

__all__ = ["PASSAGES", "Session", "Sessions", "passages_text"]

Session = Iterator[tuple[float, Call]]
"""Calls of one doing, each with the seconds that it comes after the one before."""

PASSAGES = "Passages:\n\n"


class Sessions:
    """Draws what somebody does next, without any waste in it.

    Args:
        start: When the traffic begins.
        numbers: Gives a number that nothing else bears.
        users: How many people there are.
        handbook: What can be asked about.
    """

    def __init__(self, start: datetime, numbers: Callable[[], int], users: int, handbook: Handbook) -> None:
        self.number, self.handbook = numbers, handbook
        self._start, self._users = start, users
        self.now_s = 0.0

    def time(self, wait_s: float) -> datetime:
        """Tell what time it will be after a wait; whoever takes the calls sets `now_s`."""
        return self._start + timedelta(seconds=self.now_s + wait_s)

    def support(self, random: Random) -> Session:
        """Talk with a customer, in one turn or several."""
        question = draw_question(random, self.number())
        talk = Talk(SUPPORT, self.who(random, "support_chat", "storefront"))
        asked, wait = question.text, 0.0
        for _ in range(min(7, 1 + int(random.expovariate(0.6)))):
            talk.say("user", asked)
            answer = texts.answer_about(random, question.thing, sentences=random.randrange(3, 6))
            yield wait, talk.call(answer)
            talk.say("assistant", answer)
            asked, wait = texts.follow_up(random, question.thing), random.uniform(15, 200)

    def search(self, random: Random) -> Session:
        """Look into the handbook, once or a few times."""
        who, wait = self.who(random, "handbook_search", "intranet"), 0.0
        for _ in range(random.choice((1, 1, 1, 2, 3))):
            question, answer, passages = self.handbook.ask(random, self.number())
            talk = Talk(DOCUMENTS, who)
            talk.say("user", PASSAGES, *passages_text(passages), f"Question: {question}")
            yield wait, talk.call(answer, fails=True)
            wait = random.uniform(90, 900)

    def run(self, random: Random, *, steps: int | None = None) -> Session:
        """Let an agent solve a ticket with tools."""
        talk = self.agent_talk(random)
        wait, done = 0.0, random.randrange(2, 7) if steps is None else steps
        for _ in range(done):
            yield wait, self.use_tool(random, talk, *self.tool_use(random))
            wait = random.uniform(2, 9)
        if steps is None:
            yield wait, talk.call(texts.answer_about(random, "ticket", sentences=3))

    def agent_talk(self, random: Random) -> Talk:
        """Begin a run."""
        run = f"run-{random.getrandbits(48):012x}"
        talk = Talk(AGENT, self.who(random, "order_agent", "operations", run=run))
        talk.say("user", f"Please take care of this. {texts.ticket(random, self.number())}")
        return talk

    def tool_use(self, random: Random) -> tuple[str, dict[str, str]]:
        """Choose a tool and arguments that nobody used before."""
        number = str(self.number())
        return random.choice(
            (
                ("search_orders", {"query": number}),
                ("get_customer", {"customer": number}),
                ("check_stock", {"item": f"part {number}", "place": random.choice(("Porto", "Gdynia"))}),
                ("add_note", {"ticket": number, "note": texts.follow_up(random, "the order")}),
            )
        )

    @staticmethod
    def use_tool(
        random: Random, talk: Talk, name: str, arguments: dict[str, str], *, result: str | None = None
    ) -> Call:
        """Call a tool and take in what it returns."""
        key = f"call_{random.getrandbits(64):016x}"
        asked: dict[str, Any] = {
            "id": key,
            "type": "function",
            "function": {"name": name, "arguments": json.dumps(arguments)},
        }
        before = talk.tokens
        call = talk.call(None, tool_calls=(asked,), finish="tool_calls")
        talk.add({"role": "assistant", "content": None, "tool_calls": [asked]})
        call.output_tokens = talk.tokens - before
        if result is None:
            result = f'{{"found": {random.randrange(1, 9)}, "note": "{texts.ticket(random, 0)[12:]}"}}'
        talk.add({"role": "tool", "tool_call_id": key, "content": result})
        return call

    def code(self, random: Random) -> Session:
        """Help an engineer, in one turn or several."""
        talk, wait = Talk(CODE, self.who(random, "code_assistant", "engineering")), 0.0
        for _ in range(random.choice((1, 1, 2, 2, 3, 4))):
            talk.say("user", texts.code_request(random, self.number()))
            answer = texts.code_reply(random, functions=random.randrange(1, 4))
            yield wait, talk.call(answer)
            talk.say("assistant", answer)
            wait = random.uniform(40, 280)

    def analysis(self, random: Random) -> Session:
        """Weigh a case at length."""
        talk = Talk(ANALYSIS, self.who(random, "contract_analysis", "legal"))
        talk.say("user", texts.hard_case(random, self.number()))
        yield 0.0, talk.call(texts.opinion(random, sentences=random.randrange(10, 40)), fails=True)

    def drafting(self, random: Random) -> Session:
        """Draft a letter."""
        talk = Talk(DRAFTING, self.who(random, "mail_drafting", "storefront"))
        talk.say("user", texts.letter_request(random, self.number()))
        yield 0.0, talk.call(texts.letter(random, sentences=random.randrange(5, 14)), fails=True)

    def briefing(self, random: Random) -> Session:
        """Turn notes into briefings for several people; the date stands at the end of the prompt."""
        who, wait = self.who(random, "morning_briefing", "intranet"), 0.0
        for _ in range(random.randrange(2, 7)):
            talk = Talk(BRIEFING, who)
            today = self.time(wait).date()
            talk.say("user", f"{texts.ticket(random, self.number())}\n\nToday is {today}.")
            yield wait, talk.call(texts.letter(random, sentences=random.randrange(3, 8)))
            wait = random.uniform(15, 110)

    def night(self, random: Random, calls: int, *, batch: bool) -> Session:
        """Label the tickets of a day, all within eight minutes."""
        who = Attribution(feature=LABELS.name, project=LABELS.project)
        for number in range(calls):
            talk = Talk(LABELS, who)
            talk.say("user", texts.ticket(random, self.number()))
            wait = 480.0 / calls * random.uniform(0.2, 1.0) if number else 0.0
            yield wait, talk.call(texts.ticket_label(random), batch=batch)

    def who(self, random: Random, feature: str, project: str, *, run: str | None = None) -> Attribution:
        """Draw a person; a few of them ask much and most of them little."""
        person = int(self._users * random.random() ** 2.5)
        return Attribution(
            user=f"user-{person:05d}",
            feature=feature,
            project=project,
            conversation=f"talk-{random.getrandbits(40):010x}",
            run=run,
        )


def passages_text(passages: list[str]) -> list[str]:
    """Number passages as they stand in a prompt."""
    return [f"[{place}] {passage}\n\n" for place, passage in enumerate(passages, start=1)]
