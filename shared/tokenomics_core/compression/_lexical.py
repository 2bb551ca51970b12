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

__all__ = ["Floats", "bm25", "count_terms", "document_weight", "query_words", "standard", "word_scores"]

Floats = NDArray[np.float64]

# Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond", 2009. Over the sets of
# benchmarks/compression.py no value between half and double of these changed a figure by more than its error.
_K1, _B = 1.2, 0.5
_TITLE_IN_DOCUMENT = 2.0
# McNamee and Mayfield, "Character N-Gram Tokenization for European Language Text Retrieval", 2004: four
# characters do best across languages; they find the parts of compounds and the forms that stems miss.
_GRAM = 4
# From so many documents on, a document's score says as much of a unit as its own. On the sets of
# benchmarks/compression.py cut to 2 to 7 documents, 1, 2, 4, 8 and 16 lie within two answers in a hundred.
_MANY_DOCUMENTS = 8


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
    total, weight = np.zeros(len(corpus.pieces)), document_weight(len(corpus.documents))
    for kind, columns in enumerate((slice(0, len(stems)), slice(len(stems), None))):
        units = bm25(counts.units[:, columns], counts.unit_sizes[:, kind])
        documents = bm25(counts.documents[:, columns], counts.document_sizes[:, kind])
        total += 0.5 * (standard(units) + weight * standard(documents[counts.owner]))
    return total


def document_weight(n_documents: int) -> float:
    """Return what a document's score counts beside its units'.

    Scores are standardised, and of two documents one is always a full spread above the other, however little
    they differ: few documents say little of each other.
    """
    return min(1.0, (n_documents - 1) / _MANY_DOCUMENTS)


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


def count_terms(corpus: Corpus, stems: Sequence[str], grams: Sequence[str] = ()) -> _Counts:
    """Count terms in units and documents; a title counts twice in its document."""
    n_units, n_documents, n_terms = len(corpus.pieces), len(corpus.documents), len(stems) + len(grams)
    units, sizes = np.zeros((n_units, n_terms)), np.zeros((n_units, 2))
    documents, document_sizes = np.zeros((n_documents, n_terms)), np.zeros((n_documents, 2))
    owner = np.fromiter((piece.document for piece in corpus.pieces), np.int64, n_units)
    contexts = {piece.context: words_of(piece.context) for piece in corpus.pieces}
    terms = _Terms(stems, grams)
    terms.learn(set().union(*(piece.words for piece in corpus.pieces), *contexts.values()))
    for row, piece in enumerate(corpus.pieces):
        sizes[row, 0], sizes[row, 1] = len(piece.words), terms.size(piece.words)
        for numbers in terms.find(piece.words):
            for number in numbers:
                units[row, number] += 1
    np.add.at(documents, owner, units)
    np.add.at(document_sizes, owner, sizes)
    counted = {context: terms.count(words, n_terms) for context, words in contexts.items()}
    seen: set[tuple[int, str]] = set()
    for row, piece in enumerate(corpus.pieces):
        if not piece.context:
            continue
        known = counted[piece.context]
        units[row] += known[0]
        sizes[row] += known[1]
        if (piece.document, piece.context) not in seen:
            seen.add((piece.document, piece.context))
            documents[piece.document] += _TITLE_IN_DOCUMENT * known[0]
            document_sizes[piece.document] += known[1]
    return _Counts(units, sizes, documents, document_sizes, owner)


class _Terms:
    """What words count for: how many groups of characters they have, and which of the terms."""

    def __init__(self, stems: Sequence[str], grams: Sequence[str]) -> None:
        self._numbers = {term: number for number, term in enumerate(stems)}
        self._gram_numbers = {term: len(stems) + number for number, term in enumerate(grams)}
        self._sizes: dict[str, int] = {}
        self._found: dict[str, tuple[int, ...]] = {}

    def learn(self, words: Iterable[str]) -> None:
        """Look each word up once."""
        numbers, gram_numbers = self._numbers, self._gram_numbers
        asked = frozenset(gram_numbers)
        for word in words:
            own_stem, grams = _shape(word)
            self._sizes[word] = len(grams)
            number = numbers.get(own_stem)
            shared = asked.intersection(grams)
            if number is not None or shared:
                own = () if number is None else (number,)
                self._found[word] = own + tuple(gram_numbers[gram] for gram in sorted(shared))

    def size(self, words: Iterable[str]) -> int:
        """Return how many groups of characters learned words have."""
        return sum(map(self._sizes.__getitem__, words))

    def find(self, words: Iterable[str]) -> list[tuple[int, ...]]:
        """Return the terms of those of the words that are any."""
        found = self._found
        return [found[word] for word in words if word in found]

    def count(self, words: list[str], n_terms: int) -> tuple[Floats, Floats]:
        """Return how often each term is among the words, and their sizes."""
        counts = np.zeros(n_terms)
        for numbers in self.find(words):
            counts[list(numbers)] += 1
        return counts, np.array([len(words), self.size(words)], float)


@lru_cache(maxsize=200_000)
def _shape(word: str) -> tuple[str, tuple[str, ...]]:
    return stem(word), () if word in STOP_WORDS else _grams(word)


def _grams(word: str) -> tuple[str, ...]:
    if not word.isascii():
        parts = unicodedata.normalize("NFD", word)
        word = "".join(char for char in parts if unicodedata.category(char) != "Mn") or word
    if len(word) <= _GRAM:
        return (word,)
    return tuple(word[at : at + _GRAM] for at in range(len(word) - _GRAM + 1))
