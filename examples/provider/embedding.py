"""Vectors without a model: texts that share words lie close together."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from hashlib import blake2b

from examples.provider.counting import count_text_tokens
from examples.provider.exchange import EmbeddingRequest

__all__ = ["HashedWordEmbedder", "embed_words"]

_WORD = re.compile(r"[a-z0-9]+")


class HashedWordEmbedder:
    """Embeds by hashing words, so that a run needs neither weights nor network.

    It knows nothing of meaning: synonyms are strangers to it.

    Args:
        dimensions: Length of the vectors where the caller asks for none.
        count_tokens: Counts what a text is billed as.
    """

    def __init__(
        self, *, dimensions: int = 256, count_tokens: Callable[[str], int] = count_text_tokens
    ) -> None:
        self._dimensions = dimensions
        self._count_tokens = count_tokens

    def embed(self, request: EmbeddingRequest) -> list[list[float]]:
        """Return one vector of length 1 per input; a text without words gets zeros."""
        size = request.dimensions or self._dimensions
        return [embed_words(_words_of(text), size) for text in request.inputs]

    def count_tokens(self, text: str) -> int:
        """Count what a text is billed as."""
        return self._count_tokens(text)


def embed_words(words: list[str], dimensions: int) -> list[float]:
    """Add up each word's direction, damped by how often it occurs, and scale to length 1."""
    counts: dict[str, int] = {}
    for word in words:
        counts[word] = counts.get(word, 0) + 1
    vector = [0.0] * dimensions
    for word, times in counts.items():
        drawn = int.from_bytes(blake2b(word.encode(), digest_size=8).digest())
        vector[(drawn >> 1) % dimensions] += (1 + math.log(times)) * (1 if drawn & 1 else -1)
    length = math.sqrt(sum(value * value for value in vector))
    return [value / length for value in vector] if length else vector


def _words_of(given: str | tuple[int, ...]) -> list[str]:
    return _WORD.findall(given.lower()) if isinstance(given, str) else [str(token) for token in given]
