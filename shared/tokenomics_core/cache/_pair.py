"""What two questions share and what each has alone."""

from __future__ import annotations

from typing import Final, NamedTuple

from tokenomics_core.cache._lexicon import synonyms
from tokenomics_core.cache._question import Question
from tokenomics_core.cache._rarity import is_common, rarity

__all__ = ["Pair", "compare"]

_SHORTEST_TYPO: Final = 5


class Pair(NamedTuple):
    """Two questions held against each other.

    Attributes:
        a: One question.
        b: The other one.
        shared: Stems that both have.
        alike: Pairs of stems, one of each question, that mean the same: synonyms, slips of the pen.
        only_a: Stems of `a` without a partner.
        only_b: Stems of `b` without a partner.
        shared_weight: Rarity of what is shared, that of a synonym counted by eight tenths.
        weight_a: Rarity of what only `a` has.
        weight_b: Rarity of what only `b` has.
    """

    a: Question
    b: Question
    shared: frozenset[str]
    alike: tuple[tuple[str, str], ...]
    only_a: tuple[str, ...]
    only_b: tuple[str, ...]
    shared_weight: float
    weight_a: float
    weight_b: float

    @property
    def overlap(self) -> float:
        """Share of the rarity of all stems that both questions have, in [0, 1]; 1 where neither has any."""
        total = 2 * self.shared_weight + self.weight_a + self.weight_b
        return 2 * self.shared_weight / total if total else 1.0


def compare(a: Question, b: Question) -> Pair:
    """Hold two questions against each other; the order of the two does not matter but for the names."""
    shared = a.stems & b.stems
    left, right = sorted(a.stems - shared), sorted(b.stems - shared)
    alike = _partners(left, right, a, b) if left and right else ()
    if alike:
        left = [word for word in left if all(word != one for one, _ in alike)]
        right = [word for word in right if all(word != other for _, other in alike)]
    return Pair(
        a,
        b,
        shared,
        alike,
        tuple(left),
        tuple(right),
        sum(map(rarity, shared)) + 0.8 * sum(min(rarity(one), rarity(other)) for one, other in alike),
        sum(map(rarity, left)),
        sum(map(rarity, right)),
    )


def _partners(left: list[str], right: list[str], a: Question, b: Question) -> tuple[tuple[str, str], ...]:
    found: list[tuple[str, str]] = []
    free = dict.fromkeys(right)
    for one in left:
        for other in free:
            if (one, other) in synonyms() or _is_slip(one, other) or _is_slip(a.words[one], b.words[other]):
                found.append((one, other))
                del free[other]
                break
    return tuple(found)


def _is_slip(one: str, other: str) -> bool:
    """Tell a slip of the pen from another word: one of the two is no common word, one letter apart."""
    if min(len(one), len(other)) < _SHORTEST_TYPO or abs(len(one) - len(other)) > 1:
        return False
    if one[0] != other[0] or (is_common(one) and is_common(other)):
        return False
    if not (one.isalpha() and other.isalpha()):
        return False
    return _one_edit_apart(*sorted((one, other), key=len))


def _one_edit_apart(short: str, long: str) -> bool:
    first = next((i for i, (x, y) in enumerate(zip(short, long, strict=False)) if x != y), len(short))
    if len(short) == len(long):
        swapped = (
            short[first : first + 2] == long[first : first + 2][::-1]
            and short[first + 2 :] == long[first + 2 :]
        )
        return swapped or short[first + 1 :] == long[first + 1 :]
    return short[first:] == long[first + 1 :]
