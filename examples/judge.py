"""Says whether an answer is right, outside the provider: do the facts of the docstrings stand in it?

The judge is strict about the facts and blind to everything else; an answer that says too much is
right as long as the facts are there. It measures change between runs of one model on one set of
questions, and is no measure of quality in general.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

__all__ = ["is_right", "normalise"]

_NOISE = re.compile(r"[^a-z0-9<>=+\-*/$%._]+")
_EDGES = re.compile(r"(?:^|(?<= ))[._]+|[._]+(?=$| )")


def is_right(answer: str, facts: Sequence[Sequence[str]]) -> bool:
    """Tell whether every fact stands in the answer, as whole words, in one of its wordings."""
    text = normalise(answer)
    return all(any(normalise(wording) in text for wording in wordings) for wordings in facts)


def normalise(text: str) -> str:
    """Reduce a text to lower-case words and operators with one space around each word."""
    words = _EDGES.sub("", _NOISE.sub(" ", text.lower()))
    return f" {' '.join(words.split())} "
