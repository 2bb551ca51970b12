"""Learn on one half of the questions which answers of the weak model will do, for the other half."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

from examples.main_job.arms import Outcome
from examples.main_job.questions import Question
from tokenomics_core.routing.acceptors import Answer, AnswerAcceptor
from tokenomics_core.types import current_attribution

__all__ = ["HalvesAcceptor", "Recorder", "half_of"]


class Recorder:
    """Accepts every answer and keeps it, so that what it saw can be judged by the facts later."""

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {}

    def accept_probability(self, question: str, answer: Answer) -> float:  # noqa: ARG002 - the protocol's signature
        """Keep an answer under the question that is being asked; its last one counts."""
        self.answers[_asked()] = answer
        return 1.0


class HalvesAcceptor:
    """Judges a question's answer by what was learned from the other half; no question helps to judge itself.

    Args:
        questions: All that will be asked.
        answers: What the weak model said, by question.
        weak: How its answers were judged.
        strong: How the strong model's were.

    Raises:
        ConfigurationError: A half has too few answers to learn from, or only right ones.
    """

    def __init__(
        self,
        questions: Iterable[Question],
        answers: Mapping[str, Answer],
        weak: Iterable[Outcome],
        strong: Iterable[Outcome],
    ) -> None:
        known = {question.id: question for question in questions if question.id in answers}
        right = {outcome.question.id: float(outcome.right) for outcome in weak}
        better = {outcome.question.id: float(outcome.right) for outcome in strong}
        self._halves = {question.id: half_of(question) for question in known.values()}
        self._judges: list[AnswerAcceptor] = []
        for half in (0, 1):
            others = [name for name in known if self._halves[name] != half]
            self._judges.append(
                AnswerAcceptor().fit(
                    [known[name].text for name in others],
                    [answers[name] for name in others],
                    [right[name] for name in others],
                    next_right=[better[name] for name in others],
                )
            )

    def accept_probability(self, question: str, answer: Answer) -> float:
        """Return 1 where asking the strong model is not likely to be worth it, else 0."""
        judge = self._judges[self._halves.get(_asked(), 0)]
        view = judge.assess(question, answer)
        if view.gain is None or judge.least_gain_ is None or view.out_of_domain:
            return 0.0
        return float(view.gain < judge.least_gain_)


def half_of(question: Question) -> int:
    """Return 0 or 1; questions of one conversation, and all wordings of one question, are in one half."""
    group = question.conversation or question.of or question.id
    return hashlib.sha256(group.encode()).digest()[0] % 2


def _asked() -> str:
    return current_attribution().tags.get("question", "")
