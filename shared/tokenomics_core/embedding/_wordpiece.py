"""Split text into the word pieces of BERT's uncased vocabulary (Wu et al. 2016, arXiv:1609.08144)."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping
from functools import lru_cache

__all__ = ["WordPieces", "split_words"]

_LONGEST_WORD = 100
_WORDS_KNOWN = 50_000
_CJK = (
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0x20000, 0x2FA1F),
)


class WordPieces:
    """Rows of a table by text: the pieces of its words, and pairs of neighbouring words that have a row.

    Args:
        rows: Row by token; continuations begin with `##`, pairs of words have a space between them.
        unknown: Row of words that cannot be put together.
    """

    def __init__(self, rows: Mapping[str, int], unknown: int) -> None:
        self._rows, self._unknown = rows, unknown
        self._known: dict[str, tuple[int, ...]] = {}
        self._has_pairs = any(" " in token for token in rows)

    def rows(self, text: str) -> list[int]:
        """Return the rows of a text, in its order; linear in its length."""
        found: list[int] = []
        before = ""
        for word in split_words(text):
            found += self._known.get(word) or self._pieces(word)
            if self._has_pairs:
                pair = self._rows.get(f"{before} {word}")
                if pair is not None:
                    found.append(pair)
                before = word
        return found

    def _pieces(self, word: str) -> tuple[int, ...]:
        pieces = self._longest_first(word)
        if len(self._known) >= _WORDS_KNOWN:
            self._known.clear()
        self._known[word] = pieces
        return pieces

    def _longest_first(self, word: str) -> tuple[int, ...]:
        if len(word) > _LONGEST_WORD:
            return (self._unknown,)
        pieces: list[int] = []
        start = 0
        while start < len(word):
            prefix = "##" if start else ""
            for end in range(len(word), start, -1):
                row = self._rows.get(prefix + word[start:end])
                if row is not None:
                    break
            else:
                return (self._unknown,)
            pieces.append(row)
            start = end
        return tuple(pieces)


def split_words(text: str) -> Iterator[str]:
    """Yield lower-case words without accents; punctuation and Chinese characters stand alone."""
    if text.isascii():
        plain = text.lower()
    else:
        decomposed = unicodedata.normalize("NFD", text.lower())
        plain = "".join(char for char in decomposed if unicodedata.category(char) != "Mn")
    for chunk in plain.split():
        if chunk.isalnum() and chunk.isascii():
            yield chunk
        else:
            yield from _cut(chunk)


def _cut(chunk: str) -> Iterator[str]:
    start = 0
    for index, char in enumerate(chunk):
        kind = _kind(char)
        if kind == "w":
            continue
        if index > start:
            yield chunk[start:index]
        if kind == "p":
            yield char
        start = index + 1
    if start < len(chunk):
        yield chunk[start:]


@lru_cache(maxsize=4096)
def _kind(char: str) -> str:
    """Return `w` for a part of a word, `p` for what stands alone, `x` for what is left out."""
    code = ord(char)
    if 33 <= code <= 47 or 58 <= code <= 64 or 91 <= code <= 96 or 123 <= code <= 126:
        return "p"
    if any(low <= code <= high for low, high in _CJK):
        return "p"
    category = unicodedata.category(char)
    if category.startswith("P"):
        return "p"
    return "x" if category.startswith("C") or code == 0xFFFD else "w"
