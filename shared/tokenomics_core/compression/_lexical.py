"""How well units answer to a question's words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tokenomics_core.compression._corpus import Corpus
from tokenomics_core.compression._terms import STOP_WORDS, stem, words_of

__all__ = ["Floats", "Lexicon", "query_terms", "standard", "term_scores"]

Floats = NDArray[np.float64]

# Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond", 2009; the values are those
# that did best over all sets of benchmarks/compression.py, where no value between half and double of them
# changed a figure by more than its error.
_K1, _B = 1.2, 0.5
_TITLE_IN_DOCUMENT = 2.0


@dataclass(frozen=True, slots=True)
class Lexicon:
    """How often each term of a question stands where.

    Attributes:
        units: Counts by unit, its context included, shape (units, terms).
        unit_words: Words of each unit and its context.
        documents: Counts by document, shape (documents, terms).
        document_words: Words of each document.
        owner: Each unit's document.
    """

    units: Floats
    unit_words: Floats
    documents: Floats
    document_words: Floats
    owner: NDArray[np.int64]


def query_terms(query: str) -> list[str]:
    """Return a question's stems, each once, without words that say nothing."""
    words = words_of(query)
    return list(dict.fromkeys(stem(word) for word in words if word not in STOP_WORDS)) or list(
        dict.fromkeys(map(stem, words))
    )


def standard(values: Floats) -> Floats:
    """Shift and scale to a mean of 0 and a spread of 1; all equal become 0."""
    spread = float(values.std()) if len(values) else 0.0
    return (values - values.mean()) / spread if spread > 1e-9 else np.zeros_like(values)


def term_scores(corpus: Corpus, terms: Sequence[str]) -> tuple[Floats, Floats]:
    """Score by BM25 each unit, read with its title and headings, and each document.

    Returns:
        One score per unit, and the score of its document per unit.
    """
    lexicon = _count(corpus, terms)
    units = _bm25(lexicon.units, lexicon.unit_words)
    documents = _bm25(lexicon.documents, lexicon.document_words)
    return units, documents[lexicon.owner]


class _Ids(dict[str, int]):
    """Number of the term that a word is a form of, or -1."""

    def __init__(self, terms: Sequence[str]) -> None:
        super().__init__()
        self._terms = {term: number for number, term in enumerate(terms)}

    def __missing__(self, word: str) -> int:
        number = self[word] = self._terms.get(stem(word), -1)
        return number


def _count(corpus: Corpus, terms: Sequence[str]) -> Lexicon:
    n_units, n_documents = len(corpus.pieces), len(corpus.documents)
    units, words = np.zeros((n_units, len(terms))), np.zeros(n_units)
    documents, document_words = np.zeros((n_documents, len(terms))), np.zeros(n_documents)
    owner = np.fromiter((piece.document for piece in corpus.pieces), np.int64, n_units)
    ids = _Ids(terms)
    contexts: dict[str, tuple[list[int], int]] = {}
    for row, piece in enumerate(corpus.pieces):
        for number in _found(ids, piece.words):
            units[row, number] += 1
        words[row] = len(piece.words)
    np.add.at(documents, owner, units)
    np.add.at(document_words, owner, words)
    for row, piece in enumerate(corpus.pieces):
        if not piece.context:
            continue
        known = contexts.get(piece.context)
        if known is None:
            of_context = words_of(piece.context)
            known = contexts[piece.context] = _found(ids, of_context), len(of_context)
            for number in known[0]:
                documents[piece.document, number] += _TITLE_IN_DOCUMENT
            document_words[piece.document] += known[1]
        for number in known[0]:
            units[row, number] += 1
        words[row] += known[1]
    return Lexicon(units, words, documents, document_words, owner)


def _found(ids: _Ids, words: Iterable[str]) -> list[int]:
    return [number for word in words if (number := ids[word]) >= 0]


def _bm25(counts: Floats, lengths: Floats) -> Floats:
    if not counts.size:
        return np.zeros(len(counts))
    holders = (counts > 0).sum(axis=0)
    rarity = np.log1p((len(counts) - holders + 0.5) / (holders + 0.5))
    mean = float(lengths.mean()) or 1.0
    soft = _K1 * (1 - _B + _B * lengths / mean)
    scores: Floats = (rarity * counts * (_K1 + 1) / (counts + soft[:, None])).sum(axis=1)
    return scores
