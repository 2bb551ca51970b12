"""How well units answer to a question's words."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from tokenomics_core.compression._corpus import Corpus
from tokenomics_core.compression._terms import STOP_WORDS, stem, words_of

__all__ = ["Floats", "bm25", "count_terms", "query_terms", "query_words", "standard", "word_scores"]

Floats = NDArray[np.float64]

# Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond", 2009. Over the sets of
# benchmarks/compression.py no value between half and double of these changed a figure by more than its error.
_K1, _B = 1.2, 0.5
_TITLE_IN_DOCUMENT = 2.0
# McNamee and Mayfield, "Character N-Gram Tokenization for European Language Text Retrieval", 2004: four
# characters do best across languages; they find the parts of compounds and the forms that stems miss.
_GRAM = 4
_DOCUMENT = 1.0


@dataclass(frozen=True, slots=True)
class _Counts:
    """How often each term stands where, terms being stems first, then groups of characters.

    Attributes:
        units: By unit, its context included, shape (units, terms).
        unit_sizes: Words, and groups of characters, of each unit and its context, shape (units, 2).
        documents: By document, shape (documents, terms).
        document_sizes: The same of each document, shape (documents, 2).
        owner: Each unit's document.
    """

    units: Floats
    unit_sizes: Floats
    documents: Floats
    document_sizes: Floats
    owner: NDArray[np.int64]


def query_words(query: str) -> list[str]:
    """Return a question's words, each once, without those that say nothing."""
    words = list(dict.fromkeys(words_of(query)))
    return [word for word in words if word not in STOP_WORDS] or words


def query_terms(query: str) -> list[str]:
    """Return the stems of a question's words, each once."""
    return list(dict.fromkeys(map(stem, query_words(query))))


def standard(values: Floats) -> Floats:
    """Shift and scale to a mean of 0 and a spread of 1; all equal become 0."""
    spread = float(values.std()) if len(values) else 0.0
    return (values - values.mean()) / spread if spread > 1e-9 else np.zeros_like(values)


def word_scores(corpus: Corpus, words: Sequence[str]) -> Floats:
    """Score each unit, read with its title and headings, and its document, by stems and by characters.

    Returns:
        One score per unit: the mean of the standardised BM25 scores by either kind of term.
    """
    stems = list(dict.fromkeys(map(stem, words)))
    grams = list(dict.fromkeys(gram for word in words for gram in _grams(word)))
    counts = count_terms(corpus, stems, grams)
    total = np.zeros(len(corpus.pieces))
    for kind, columns in enumerate((slice(0, len(stems)), slice(len(stems), None))):
        units = bm25(counts.units[:, columns], counts.unit_sizes[:, kind])
        documents = bm25(counts.documents[:, columns], counts.document_sizes[:, kind])
        total += 0.5 * (standard(units) + _DOCUMENT * standard(documents[counts.owner]))
    return total


def bm25(counts: Floats, sizes: Floats) -> Floats:
    """Score rows by how often they hold rare terms, for their size."""
    if not counts.size:
        return np.zeros(len(counts))
    holders = (counts > 0).sum(axis=0)
    rarity = np.log1p((len(counts) - holders + 0.5) / (holders + 0.5))
    mean = float(sizes.mean()) or 1.0
    soft = _K1 * (1 - _B + _B * sizes / mean)
    scores: Floats = (rarity * counts * (_K1 + 1) / (counts + soft[:, None])).sum(axis=1)
    return scores


_bm25 = bm25


def count_terms(corpus: Corpus, stems: Sequence[str], grams: Sequence[str] = ()) -> _Counts:
    """Count terms in units and documents; a title counts twice in its document."""
    n_units, n_documents, n_terms = len(corpus.pieces), len(corpus.documents), len(stems) + len(grams)
    units, sizes = np.zeros((n_units, n_terms)), np.zeros((n_units, 2))
    documents, document_sizes = np.zeros((n_documents, n_terms)), np.zeros((n_documents, 2))
    owner = np.fromiter((piece.document for piece in corpus.pieces), np.int64, n_units)
    terms = _Terms(stems, grams)
    for row, piece in enumerate(corpus.pieces):
        found, sizes[row, 1] = terms.find(piece.words)
        sizes[row, 0] = len(piece.words)
        for number in found:
            units[row, number] += 1
    np.add.at(documents, owner, units)
    np.add.at(document_sizes, owner, sizes)
    contexts: dict[str, tuple[Floats, Floats]] = {}
    seen: set[tuple[int, str]] = set()
    for row, piece in enumerate(corpus.pieces):
        if not piece.context:
            continue
        known = contexts.get(piece.context)
        if known is None:
            known = contexts[piece.context] = terms.count(words_of(piece.context), n_terms)
        units[row] += known[0]
        sizes[row] += known[1]
        if (piece.document, piece.context) not in seen:
            seen.add((piece.document, piece.context))
            documents[piece.document] += _TITLE_IN_DOCUMENT * known[0]
            document_sizes[piece.document] += known[1]
    return _Counts(units, sizes, documents, document_sizes, owner)


class _Terms(dict[str, tuple[int, tuple[int, ...]]]):
    """What a word counts for: how many groups of characters it has, and which of the terms."""

    def __init__(self, stems: Sequence[str], grams: Sequence[str]) -> None:
        super().__init__()
        self._stems = {term: number for number, term in enumerate(stems)}
        self._grams = {term: len(stems) + number for number, term in enumerate(grams)}

    def __missing__(self, word: str) -> tuple[int, tuple[int, ...]]:
        number = self._stems.get(stem(word))
        numbers = [] if number is None else [number]
        size = 0
        if self._grams and word not in STOP_WORDS:
            grams = _grams(word)
            size = len(grams)
            numbers += [self._grams[gram] for gram in grams if gram in self._grams]
        known = self[word] = size, tuple(numbers)
        return known

    def find(self, words: Iterable[str]) -> tuple[list[int], int]:
        found: list[int] = []
        size = 0
        for word in words:
            grams, numbers = self[word]
            size += grams
            if numbers:
                found += numbers
        return found, size

    def count(self, words: list[str], n_terms: int) -> tuple[Floats, Floats]:
        found, size = self.find(words)
        return np.bincount(found, minlength=n_terms).astype(np.float64), np.array([len(words), size], float)


@lru_cache(maxsize=100_000)
def _grams(word: str) -> tuple[str, ...]:
    if not word.isascii():
        parts = unicodedata.normalize("NFD", word)
        word = "".join(char for char in parts if unicodedata.category(char) != "Mn") or word
    if len(word) <= _GRAM:
        return (word,)
    return tuple(word[at : at + _GRAM] for at in range(len(word) - _GRAM + 1))
