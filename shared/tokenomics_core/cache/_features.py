"""What a pair of questions looks like to the verifier, as numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from tokenomics_core.cache._entry import Neighbour
from tokenomics_core.cache._pair import Pair
from tokenomics_core.cache._pair_guards import PAIR_GUARDS, fired_guards
from tokenomics_core.cache._rarity import rarity

__all__ = ["FEATURES", "background_of", "pair_features"]

_NOT_LEARNED: Final = ("identifier", "aspect", "word_added", "swap", "insertion")
_GUARDS: Final = tuple(name for name in PAIR_GUARDS if name not in _NOT_LEARNED)
FEATURES: Final = (
    "similarity",
    "similarity_squared",
    "above_background",
    "above_tail",
    "overlap",
    "overlap_squared",
    "token_overlap",
    "trigram_overlap",
    "unmatched_less",
    "unmatched_more",
    "rarest_less",
    "rarest_more",
    "count_less",
    "count_more",
    "shared_weight",
    "alike",
    "words_less",
    "words_more",
    "swap",
    "insertion",
    "added",
    "asks_one",
    *_GUARDS,
)


def background_of(neighbours: Sequence[Neighbour]) -> float | None:
    """Return the mean similarity of the second half of the neighbours; None under four."""
    if len(neighbours) < 4:
        return None
    tail = neighbours[len(neighbours) // 2 :]
    return sum(neighbour.similarity for neighbour in tail) / len(tail)


def pair_features(
    pair: Pair,
    similarity: float,
    background: float,
    tail: float | None,
    *,
    fired: frozenset[str] | None = None,
) -> list[float]:
    """Describe a pair in the order of `FEATURES`; swapping the two questions changes nothing.

    Args:
        pair: The two questions.
        similarity: Cosine of their vectors.
        background: Mean similarity of farther neighbours in the namespace so far.
        tail: The same for this question alone; None where it has too few neighbours.
        fired: Guards that object, where that is known already.
    """
    fired = fired_guards(pair) if fired is None else fired
    a, b = pair.a, pair.b
    weight_less, weight_more = sorted((pair.weight_a, pair.weight_b))
    rare_less, rare_more = sorted((_rarest(pair.only_a), _rarest(pair.only_b)))
    count_less, count_more = sorted((len(pair.only_a), len(pair.only_b)))
    words_less, words_more = sorted((len(a.tokens), len(b.tokens)))
    overlap = pair.overlap
    return [
        similarity,
        similarity * similarity,
        similarity - background,
        0.0 if tail is None else similarity - tail,
        overlap,
        overlap * overlap,
        _jaccard(frozenset(a.tokens), frozenset(b.tokens)),
        _jaccard(a.trigrams, b.trigrams),
        weight_less,
        weight_more,
        rare_less,
        rare_more,
        count_less,
        count_more,
        pair.shared_weight,
        len(pair.alike),
        math.log1p(words_less),
        math.log1p(words_more),
        float("swap" in fired),
        float("insertion" in fired),
        float(count_more == 1 and count_less == 0),
        float(bool(a.asks) != bool(b.asks)),
        *(float(name in fired) for name in _GUARDS),
    ]


def _rarest(words: tuple[str, ...]) -> float:
    return max(map(rarity, words), default=0.0)


def _jaccard(one: frozenset[str], other: frozenset[str]) -> float:
    union = len(one | other)
    return len(one & other) / union if union else 1.0
