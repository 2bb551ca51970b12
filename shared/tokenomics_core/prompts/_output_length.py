"""Bound the length of answers by how long they were."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import comb

from tokenomics_core.errors import ConfigurationError

__all__ = ["OutputLimit", "fit_output_length"]


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputLimit:
    """A `max_tokens` that the observed answers support.

    Attributes:
        max_tokens: The limit; None where too few answers were seen to tell.
        coverage: Share of answers that stay whole, with the stated confidence.
        confidence: How sure that is.
        answers: How many were looked at.
        needed: How many are needed for this coverage and confidence.
        instruction: What to add to the prompt, so that answers end by themselves before the limit.
    """

    max_tokens: int | None
    coverage: float
    confidence: float
    answers: int
    needed: int
    instruction: str


def fit_output_length(
    output_tokens: Iterable[int], *, coverage: float = 0.99, confidence: float = 0.95
) -> OutputLimit:
    """Find the smallest limit that leaves a share of answers whole, assuming no law of their lengths.

    Args:
        output_tokens: Lengths of answers that ended by themselves, reasoning included.
        coverage: Share of future answers that must not be cut, in (0, 1).
        confidence: With what probability, in (0, 1).

    Raises:
        ConfigurationError: A length or a share cannot be.

    Source:
        Wilks, "Determination of sample sizes for setting tolerance limits", 1941: the k-th of n ordered
        values covers the share with the probability that a binomial of n and the share is below k.
    """
    if not (0 < coverage < 1 and 0 < confidence < 1):
        raise ConfigurationError(
            f"coverage and confidence must lie in (0, 1), not {coverage} and {confidence}; nothing was fitted"
        )
    lengths = sorted(map(_length, output_tokens))
    count = len(lengths)
    place = _order(count, coverage, confidence)
    limit = lengths[place - 1] if place is not None else None
    typical = lengths[count // 2] if lengths else None
    words = None if typical is None else max(10, round(typical * 0.75 / 10) * 10)
    return OutputLimit(
        max_tokens=limit,
        coverage=coverage,
        confidence=confidence,
        answers=count,
        needed=_needed(coverage, confidence),
        instruction="" if words is None else f"Answer in at most {words} words.",
    )


def _order(count: int, coverage: float, confidence: float) -> int | None:
    below = 0.0
    for place in range(1, count + 1):
        below += comb(count, place - 1) * coverage ** (place - 1) * (1 - coverage) ** (count - place + 1)
        if below >= confidence:
            return place
    return None


def _needed(coverage: float, confidence: float) -> int:
    count = 1
    while 1 - coverage**count < confidence:
        count += 1
    return count


def _length(value: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ConfigurationError(f"a length must be tokens of 0 or more, not {value!r}; nothing was fitted")
    return value
