"""One score per unit, from its words, its meaning, its document and its neighbours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np

from tokenomics_core.compression._corpus import Corpus
from tokenomics_core.compression._language import is_english
from tokenomics_core.compression._lexical import Floats, query_terms, standard, term_scores
from tokenomics_core.compression._terms import words_of

__all__ = ["Reading", "Scorer", "fuse", "is_readable", "likeness", "read_words", "spread", "texts_to_embed"]

_DOCUMENT = 0.5
_MEANING, _MEANING_OF_DOCUMENT = 1.0, 1.0
_NEIGHBOURS = 0.35


@runtime_checkable
class Scorer(Protocol):
    """Judges how well texts answer a question: a reranker, a cross-encoder, a model of one's own."""

    def score(self, query: str, texts: Sequence[str]) -> Sequence[float]:
        """Return one number per text, higher for better; only their order and distances count."""


@dataclass(slots=True)
class Reading:
    """What is known of the units' worth so far.

    Attributes:
        lexical: From the question's words, standardised.
        candidates: Places of the units worth a closer look, best first.
        meaning: Likeness in meaning by unit, where an embedder was asked.
        judged: A scorer's verdict by unit, where one was asked.
        notes: What was not done, and why.
    """

    lexical: Floats
    candidates: list[int]
    meaning: Floats | None = None
    judged: Floats | None = None
    notes: list[str] = field(default_factory=list)


def read_words(corpus: Corpus, query: str, share: float) -> Reading:
    """Score units by the question's words, and name the share of them that look best."""
    terms = query_terms(query)
    if not terms:
        return _read_beginnings(corpus)
    units, documents = term_scores(corpus, terms)
    lexical = standard(units) + _DOCUMENT * standard(documents)
    order = np.argsort(-lexical, kind="stable")
    most = max(1, int(np.ceil(share * len(order)))) if len(order) else 0
    return Reading(lexical, [int(at) for at in order[:most]])


def _read_beginnings(corpus: Corpus) -> Reading:
    """Without a question, what stands first in its document counts most."""
    lexical = np.fromiter((-float(piece.unit) for piece in corpus.pieces), np.float64, len(corpus.pieces))
    return Reading(lexical, list(range(len(lexical))))


def texts_to_embed(corpus: Corpus, reading: Reading) -> list[str]:
    """Return "Title. Sentence" for each candidate: a sentence alone seldom says what it is about."""
    return [_with_context(corpus, at) for at in reading.candidates]


def is_readable(corpus: Corpus, query: str, *, multilingual: bool) -> bool:
    """Tell whether an embedder may be asked about this question and these documents."""
    if multilingual:
        return True
    return is_english([words_of(query)]) and is_english(piece.words for piece in corpus.pieces)


def spread(reading: Reading, values: Sequence[float], n_units: int) -> Floats:
    """Give candidates their values, and all other units the least of them."""
    given = np.asarray(values, dtype=np.float64)
    full = np.full(n_units, given.min() if len(given) else 0.0)
    full[reading.candidates] = given
    return full


def fuse(corpus: Corpus, reading: Reading) -> Floats:
    """Add up what is known of each unit, and let neighbours share a little."""
    scores = reading.lexical.copy()
    owner = np.fromiter((piece.document for piece in corpus.pieces), np.int64, len(corpus.pieces))
    if reading.meaning is not None:
        scores += _MEANING * standard(reading.meaning)
        if len(corpus.documents) > 1:
            scores += _MEANING_OF_DOCUMENT * _MEANING * standard(_document_means(owner, reading.meaning))
    if reading.judged is not None:
        scores += 2.0 * standard(reading.judged)
    return _smoothed(scores, owner)


def _document_means(owner: np.ndarray, values: Floats) -> Floats:
    totals, sizes = np.bincount(owner, values), np.bincount(owner)
    means: Floats = totals[owner] / sizes[owner]
    return means


def _smoothed(scores: Floats, owner: np.ndarray) -> Floats:
    """Add a share of the mean of the neighbours in the same document; one without neighbours counts twice."""
    if len(scores) < 2:
        return scores
    same = owner[1:] == owner[:-1]
    total, number = np.zeros_like(scores), np.zeros_like(scores)
    total[1:] += np.where(same, scores[:-1], 0.0)
    total[:-1] += np.where(same, scores[1:], 0.0)
    number[1:] += same
    number[:-1] += same
    means = np.where(number > 0, total / np.maximum(number, 1.0), scores)
    smoothed: Floats = scores + _NEIGHBOURS * means
    return smoothed


def _with_context(corpus: Corpus, at: int) -> str:
    piece = corpus.pieces[at]
    return f"{piece.context}. {piece.text}" if piece.context else piece.text


def likeness(vectors: np.ndarray, reading: Reading, n_units: int) -> Floats:
    """Compare the first vector, the question's, with all others, the candidates'."""
    if not np.isfinite(vectors).all():
        raise ValueError("a vector is not finite")
    return spread(reading, vectors[1:] @ vectors[0], n_units)
