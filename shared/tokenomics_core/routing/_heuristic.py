"""Judge a question by its length, its wording and its parts: nothing to learn, nothing to download."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from tokenomics_core.routing._protocols import Assessment
from tokenomics_core.routing._request import RouteRequest
from tokenomics_core.routing._tier import Tier

__all__ = ["HeuristicClassifier"]

_LONG = math.log1p(4_000)
_WORD = re.compile(r"[a-z]+")
_REASONING = frozenset(
    [
        "analyse",
        "analyze",
        "assume",
        "assumed",
        "assumes",
        "assuming",
        "assumption",
        "assumptions",
        "compare",
        "conclude",
        "consequence",
        "consequences",
        "contrast",
        "deduce",
        "derive",
        "design",
        "determine",
        "evaluate",
        "explain",
        "implies",
        "imply",
        "infer",
        "justify",
        "likely",
        "optimise",
        "optimize",
        "prove",
        "suppose",
        "tradeoff",
        "tradeoffs",
        "which",
        "why",
    ]
)
_CONDITIONS = frozenset(
    [
        "although",
        "because",
        "but",
        "cannot",
        "except",
        "given",
        "however",
        "if",
        "must",
        "not",
        "only",
        "unless",
        "when",
        "while",
        "without",
    ]
)
_STEPS = frozenset(["also", "finally", "first", "next", "second", "then", "third"])
_ITEM = re.compile(r"^[ \t]*(?:\d+[.)]|[-*•])[ \t]", re.MULTILINE)
# Log odds between the easiest and the hardest question, of the weakest and of the strongest tier.
_WEAK_SLOPE, _STRONG_SLOPE = 3.0, 1.0


class HeuristicClassifier:
    """Score difficulty from length, words of reasoning, conditions and parts.

    The score orders questions and is no chance: its parts have fixed shares (0.55 and three of 0.15). Chances
    are given only for tiers with a stated `quality`, which the score moves down for hard questions and up for
    easy ones, the weaker the tier the more. Whoever has outcomes does better with `DifficultyClassifier`.
    """

    name = "heuristic"

    def difficulty(self, text: str) -> float:
        """Score one question, in [0, 1]; higher is harder."""
        words = _WORD.findall(text.lower())
        parts = text.count("?") + len(_ITEM.findall(text)) + _among(_STEPS, words)
        return (
            0.55 * min(1.0, math.log1p(len(text)) / _LONG)
            + 0.15 * min(1.0, _among(_REASONING, words) / 3)
            + 0.15 * min(1.0, _among(_CONDITIONS, words) / 5)
            + 0.15 * min(1.0, parts / 4)
        )

    def assess(self, request: RouteRequest, tiers: Sequence[Tier]) -> Assessment:
        """Score a request; chances only for tiers whose quality is stated."""
        difficulty = self.difficulty(request.question)
        chances = {
            tier.name: _moved(tier.quality, (0.5 - difficulty) * _slope(place, len(tiers)))
            for place, tier in enumerate(tiers)
            if tier.quality is not None
        }
        return Assessment(
            name=self.name,
            score=difficulty,
            probabilities=chances,
            reasons=(f"difficulty {difficulty:.2f} by length and wording",),
        )


def _among(known: frozenset[str], words: list[str]) -> int:
    return sum([word in known for word in words])


def _slope(place: int, number: int) -> float:
    share = place / (number - 1) if number > 1 else 0.0
    return _WEAK_SLOPE + share * (_STRONG_SLOPE - _WEAK_SLOPE)


def _moved(quality: float, odds: float) -> float:
    """Multiply the odds of a chance by `exp(odds)`."""
    good = quality * math.exp(odds)
    return good / (good + (1 - quality))
