"""What keeps two questions apart whatever a policy thinks of them, and which are too long to tell."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from tokenomics_core.cache._text import normalised

if TYPE_CHECKING:
    from tokenomics_core.cache._entry import Neighbour

__all__ = ["apart", "is_too_long", "not_apart"]

_LONGEST_CHARS: Final = 1_000
_SENTENCE: Final = re.compile(r"[^.!?\n。！？؟।]+")  # noqa: RUF001 - marks of several scripts
_PASSAGE_WORDS: Final = 6
_PASSAGE_CHARS: Final = 30
_NUMBER: Final = re.compile(r"\d+(?:[.,:/]\d+)*")
_WORD: Final = re.compile(r"\w+")
_TURNED: Final = frozenset(
    {
        *(frozenset({"to", "from"}), frozenset({"into", "from"})),
        *(frozenset({"is", "was"}), frozenset({"are", "were"})),
        *(frozenset({"do", "did"}), frozenset({"does", "did"})),
        *(frozenset({"in", "out"}), frozenset({"on", "off"}), frozenset({"up", "down"})),
        *(frozenset({"over", "under"}), frozenset({"above", "below"})),
    }
)


def is_too_long(question: str) -> bool:
    """Whether a question is so long that one vector says nothing of a single word in it."""
    return len(question) > _LONGEST_CHARS


def not_apart(question: str, neighbours: Sequence[Neighbour]) -> tuple[Sequence[Neighbour], str | None]:
    """Leave out the nearest questions that are kept apart; say why where there were any."""
    why = None
    for place, neighbour in enumerate(neighbours):
        told = apart(question, neighbour.question)
        if told is None:
            return neighbours[place:], why
        why = why or told
    return (), why


def apart(one: str, other: str) -> str | None:
    """Name what keeps two questions apart; None where only their meaning can tell.

    `case`: they differ in nothing but what the exact tier holds to tell them apart, such as mW and MW.
    `passage`: they share a sentence or line of six words or more and ask something else beside it; so near
    are all questions about one text. `number_order`: they have the same numbers in another order. `turned`:
    one word is all that differs, and it turns the question: to and from, is and was.
    """
    left, right = normalised(one), normalised(other)
    if left == right:
        return None
    if left.lower().split() == right.lower().split():
        return "case"
    if _share_a_passage(left, right):
        return "passage"
    numbers = _NUMBER.findall(left), _NUMBER.findall(right)
    if numbers[0] != numbers[1] and sorted(numbers[0]) == sorted(numbers[1]):
        return "number_order"
    return "turned" if _is_turned(_WORD.findall(left), _WORD.findall(right)) else None


def _share_a_passage(left: str, right: str) -> bool:
    if min(len(left), len(right)) < _PASSAGE_CHARS:
        return False
    sentences = _sentences(left), _sentences(right)
    if max(map(len, sentences)) < 2 or sentences[0] == sentences[1]:
        return False
    return any(len(each) >= _PASSAGE_CHARS or each.count(" ") >= _PASSAGE_WORDS - 1
               for each in sentences[0] & sentences[1])  # fmt: skip


def _sentences(text: str) -> frozenset[str]:
    return frozenset(stripped for found in _SENTENCE.findall(text) if (stripped := found.strip().lower()))


def _is_turned(left: list[str], right: list[str]) -> bool:
    if len(left) != len(right):
        return False
    others = [(a, b) for a, b in zip(left, right, strict=True) if a != b]
    return len(others) == 1 and frozenset(word.lower() for word in others[0]) in _TURNED
