"""The budget of the main job: one limit for every user, and one user who does not stop asking."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import ROUND_CEILING, Decimal
from itertools import cycle, islice

from examples.main_job.arms import ArmResult
from examples.main_job.questions import Question

__all__ = ["RUNAWAY", "add_runaway", "limit_for"]

RUNAWAY = "mallory"

_ROOM = Decimal("1.5")
_STEP_USD = Decimal("0.0001")


def add_runaway(questions: Sequence[Question], count: int) -> list[Question]:
    """Mix questions of one more user into a stream: the features that cost most, over and over again."""
    dear = [question for question in questions if question.conversation is None]
    dear = [question for question in dear if question.feature != "search"] or dear or list(questions)
    asked = [
        replace(question, id=f"x{number:03}", user=RUNAWAY, conversation=None, of=None)
        for number, question in enumerate(islice(cycle(dear), count), start=1)
    ]
    mixed: list[Question] = []
    for at, question in enumerate(questions):
        mixed.append(question)
        mixed += asked[at * count // len(questions) : (at + 1) * count // len(questions)]
    return mixed


def limit_for(plain: ArmResult) -> Decimal:
    """Return half as much again as the dearest user of the plain pass spent, in USD, rounded up."""
    dearest = max(plain.report.by("user").values(), default=Decimal(0))
    return max((dearest * _ROOM).quantize(_STEP_USD, rounding=ROUND_CEILING), _STEP_USD)
