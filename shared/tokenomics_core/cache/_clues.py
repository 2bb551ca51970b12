"""What is seen of a request beside the verifier's word: margins, agreement, guards."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from tokenomics_core.cache._features import background_of

if TYPE_CHECKING:
    from tokenomics_core.cache._entry import Neighbour
    from tokenomics_core.cache._verifier import Judgement

__all__ = ["CLUES", "CluePrior", "clues_of"]

_CLUE_GUARDS: Final = (
    "swap",
    "insertion",
    "scope",
    "order",
    "tense",
    "question_word",
    "negation",
    "word_order",
)
CLUES: Final = (
    "one",
    "log_odds",
    "above_background",
    "margin",
    "agreement",
    "group_share",
    "log_group_size",
    "overlap",
    "above_tail",
    *_CLUE_GUARDS,
    "least_weight",
    "few",
    "few_log_odds",
)
"""Names of what `clues_of` returns, in its order; the first nine are 0 where `few` is 1."""

_FEW: Final = 4
"""Among fewer neighbours nothing is said by how far away the others are or how many agree."""

_SHARPNESS: Final = 12.0


class CluePrior(NamedTuple):
    """How the clues are weighed in a namespace that has taught nothing yet.

    Attributes:
        weights: One for each of `CLUES`; their sum with the clues is a log-odds.
        trusted_from: From which log-odds upwards it is believed before outcomes are known.
    """

    weights: tuple[float, ...]
    trusted_from: float


def clues_of(judged: Judgement, neighbours: Sequence[Neighbour], background: float) -> tuple[float, ...]:
    """Describe a request for what is learned online: the verifier's log-odds, margins and agreement."""
    pair = judged.pair
    sure = min(max(judged.probability, 1e-9), 1 - 1e-9)
    log_odds = min(max(math.log(sure / (1 - sure)), -8.0), 8.0)
    guards = tuple(float(name in judged.fired) for name in _CLUE_GUARDS)
    least_weight = min(pair.weight_a, pair.weight_b)
    if len(neighbours) < _FEW:
        return (*(0.0,) * 9, *guards, least_weight, 1.0, log_odds)
    first = neighbours[0]
    others = [neighbour.similarity for neighbour in neighbours if neighbour.group != first.group]
    rival = max(others, default=min(neighbours[-1].similarity, 0.3))
    weights = [math.exp(_SHARPNESS * (neighbour.similarity - first.similarity)) for neighbour in neighbours]
    inside = [neighbour.group == first.group for neighbour in neighbours]
    agreement = sum(weight for weight, own in zip(weights, inside, strict=True) if own) / sum(weights)
    tail = background_of(neighbours)
    return (
        1.0,
        log_odds,
        first.similarity - background,
        first.similarity - rival,
        agreement if sum(inside) > 1 else 0.0,
        sum(inside) / len(neighbours),
        math.log(sum(inside)),
        pair.overlap,
        0.0 if tail is None else first.similarity - tail,
        *guards,
        least_weight,
        0.0,
        0.0,
    )
