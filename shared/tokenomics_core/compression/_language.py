"""Whether texts are English, for embedders that read nothing else."""

# ruff: noqa: SIM905 - lists of words read better as text

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["is_english"]

# Words that make up about a fifth of English prose and are rare in other languages.
_ENGLISH = frozenset(
    "the of and to is was for that with as by on are from his her were which this have has had not "
    "their they".split()
)
_ENOUGH_WORDS = 500
_LEAST_SHARE = 0.08
_LEAST_ASCII = 0.9


def is_english(texts: Iterable[list[str]]) -> bool:
    """Tell from the first 500 words whether texts are English; texts of few words count as English."""
    words: list[str] = []
    for some in texts:
        words += some
        if len(words) >= _ENOUGH_WORDS:
            break
    if not words:
        return False
    plain = sum(map(str.isascii, words)) / len(words)
    if plain < _LEAST_ASCII:
        return False
    return len(words) < 20 or sum(word in _ENGLISH for word in words) / len(words) >= _LEAST_SHARE
