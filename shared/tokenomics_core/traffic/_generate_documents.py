"""Passages of a handbook for synthetic traffic, questions about them, and passages of nothing like them."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from importlib.resources import files
from random import Random

__all__ = ["Handbook", "content_words"]


class Handbook:
    """Passages by subject, the same for the same seed.

    Args:
        random: Draws the numbers in the passages.
        variants: How many passages there are of a subject and an aspect.
    """

    def __init__(self, random: Random, *, variants: int = 4) -> None:
        self._passages = {
            (subject, aspect): [_passage(random, subject, aspect, number) for number in range(variants)]
            for subject in _SUBJECTS
            for aspect in _ASPECTS
        }

    def ask(self, random: Random, number: int) -> tuple[str, str, list[str]]:
        """Draw a question with a number of its own, its answer, and passages that have to do with both."""
        subject, aspect = random.choice(_SUBJECTS), random.choice(tuple(_ASPECTS))
        right = random.choice(self._passages[subject, aspect])
        others = [
            random.choice(self._passages[subject, other])
            for other in random.sample(
                [other for other in _ASPECTS if other != aspect], random.randrange(2, 5)
            )
        ]
        place = random.randrange(len(others) + 1)
        question = random.choice(_QUESTIONS).format(subject=subject, aspect=aspect, n=number)
        sentences = right.split(". ")
        told = random.randrange(1, 3)
        answer = ". ".join(sentences[: 1 + told]).rstrip(".") + "."
        return question, answer, [*others[:place], right, *others[place:]]

    @staticmethod
    def stray(random: Random, count: int, *texts: str) -> list[str]:
        """Draw passages that share no word of any meaning with the texts."""
        taken = content_words(texts)
        free = [line for line in _STRAY if not content_words([line]) & taken]
        lines = random.sample(free, _STRAY_LINES * count)
        return [" ".join(lines[at : at + _STRAY_LINES]) for at in range(0, len(lines), _STRAY_LINES)]


def content_words(texts: Sequence[str]) -> set[str]:
    """Return the beginnings of all words of three letters or more, so that forms of a word are one."""
    return {word[:5] for text in texts for word in _WORD.findall(text.lower())} - _EMPTY


def _passage(random: Random, subject: str, aspect: str, number: int) -> str:
    lines = [
        line.format(subject=subject, n=random.randrange(2, 60), m=random.randrange(100, 999))
        for line in (_ASPECTS[aspect], *random.sample(_GENERAL, 3))
    ]
    return f"{subject.capitalize()}, edition {number + 1}: {' '.join(lines)}"


_WORD = re.compile(r"[a-z]{3,}")
_EMPTY = {"the", "and", "for", "from", "with", "that", "which"}
_STRAY_LINES = 4
_BANK = json.loads(
    files("tokenomics_core.traffic").joinpath("data", "handbook.json").read_text(encoding="utf-8")
)
_SUBJECTS: list[str] = _BANK["subjects"]
_ASPECTS: dict[str, str] = _BANK["aspects"]
_GENERAL: list[str] = _BANK["general"]
_QUESTIONS: list[str] = _BANK["questions"]
_STRAY: list[str] = _BANK["stray"]  # none of their words stands in a question or a passage
