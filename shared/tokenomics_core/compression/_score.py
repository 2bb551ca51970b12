"""One score per unit, from its words, its meaning, its document and its neighbours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from tokenomics_core.compression._bridge import bridged
from tokenomics_core.compression._corpus import Corpus
from tokenomics_core.compression._language import is_english
from tokenomics_core.compression._lexical import Floats, document_weight, query_words, standard, word_scores
from tokenomics_core.compression._terms import words_of

__all__ = ["Reading", "Scorer", "candidate_texts", "fuse", "is_readable", "likeness", "read_words", "spread"]

# Weights beside words at 1. All were chosen on the sets of benchmarks/compression.py, where half and double
# of each cost at most a point and a half: the built-in embedder knows about as much as the words do, a
# sentence model or a reranker twice as much, and where two documents are needed vectors mislead.
_MEANING, _GIVEN_EMBEDDER, _SCORER = 1.0, 2.0, 2.0
_MEANING_WHEN_BRIDGED = 0.15
_NEIGHBOURS = 0.35
# A row or record says nothing of the one beside it.
_APART = ("row", "record")


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
        meaning: Likeness to the question by the built-in embedder, where it was asked.
        candidates: Places of the units worth a closer look, best first.
        embedded: Likeness by the caller's embedder, where it was asked.
        judged: The scorer's verdict, where one was asked.
        notes: What was not done, and why.
    """

    lexical: Floats
    meaning: Floats | None = None
    candidates: list[int] = field(default_factory=list)
    embedded: Floats | None = None
    judged: Floats | None = None
    notes: list[str] = field(default_factory=list)

    def choose_candidates(self, share: float) -> None:
        """Pick the share of the units that look best so far."""
        so_far = self.lexical if self.meaning is None else self.lexical + standard(self.meaning)
        order = np.argsort(-so_far, kind="stable")
        most = max(1, int(np.ceil(share * len(order)))) if len(order) else 0
        self.candidates = [int(at) for at in order[:most]]


def read_words(corpus: Corpus, query: str) -> Reading:
    """Score units by the question's words; without a question, what stands first in its document is best."""
    words = query_words(query)
    if words:
        return Reading(word_scores(corpus, words))
    return Reading(
        np.fromiter((-float(piece.unit) for piece in corpus.pieces), np.float64, len(corpus.pieces))
    )


def candidate_texts(corpus: Corpus, places: Sequence[int]) -> list[str]:
    """Return "Title. Sentence" for each place: a sentence alone seldom says what it is about."""
    pieces = [corpus.pieces[at] for at in places]
    return [f"{piece.context}. {piece.text}" if piece.context else piece.text for piece in pieces]


def is_readable(corpus: Corpus, query: str) -> bool:
    """Tell whether question and documents are in English."""
    return is_english([words_of(query)]) and is_english(piece.words for piece in corpus.pieces)


def likeness(vectors: NDArray[np.floating], places: Sequence[int], n_units: int) -> Floats:
    """Compare the first vector, the question's, with all others, those of the places.

    Raises:
        ValueError: There are not as many vectors as texts, or they are no finite numbers.
    """
    if vectors.ndim != 2 or len(vectors) != len(places) + 1:
        raise ValueError(f"{len(places) + 1} vectors were asked for, and shape {vectors.shape} came back")
    return spread(vectors[1:] @ vectors[0], places, n_units)


def spread(values: Sequence[float] | Floats, places: Sequence[int], n_units: int) -> Floats:
    """Give the places their values, and all other units the least of them.

    Raises:
        ValueError: There are not as many values as places, or they are no finite numbers.
    """
    given = np.asarray(values, dtype=np.float64)
    if given.shape != (len(places),) or not np.isfinite(given).all():
        raise ValueError(f"{len(places)} finite numbers were asked for, and {given!r:.80} came back")
    full = np.full(n_units, given.min() if len(given) else 0.0)
    full[np.asarray(places, dtype=np.int64)] = given
    return full


def fuse(corpus: Corpus, reading: Reading, query: str, *, may_bridge: bool) -> Floats:
    """Add up what is known of each unit, and let neighbours share a little.

    Args:
        corpus: The units.
        reading: What is known of them.
        query: The question.
        may_bridge: Whether to look for documents that the best ones lead to.
    """
    owner = np.fromiter((piece.document for piece in corpus.pieces), np.int64, len(corpus.pieces))
    meaning, weight = reading.meaning, _MEANING
    if reading.embedded is not None:
        meaning, weight = reading.embedded, _GIVEN_EMBEDDER
    scores = reading.lexical.copy()
    if meaning is not None:
        own = standard(meaning)
        if len(corpus.documents) > 1:
            own = own + document_weight(len(corpus.documents)) * standard(_document_means(owner, meaning))
        scores += (_MEANING_WHEN_BRIDGED if may_bridge else weight) * own
    if reading.judged is not None:
        scores += _SCORER * standard(reading.judged)
    scores = _smoothed(scores, owner, np.array([piece.kind in _APART for piece in corpus.pieces], bool))
    return bridged(corpus, query, scores) if may_bridge else scores


def _document_means(owner: NDArray[np.int64], values: Floats) -> Floats:
    totals, sizes = np.bincount(owner, values), np.bincount(owner)
    means: Floats = totals[owner] / sizes[owner]
    return means


def _smoothed(scores: Floats, owner: NDArray[np.int64], apart: NDArray[np.bool_]) -> Floats:
    """Add a share of the mean of the neighbours in the same document; one without any has itself for one."""
    if len(scores) < 2:
        return scores
    same = (owner[1:] == owner[:-1]) & ~apart[1:] & ~apart[:-1]
    total, number = np.zeros_like(scores), np.zeros_like(scores)
    total[1:] += np.where(same, scores[:-1], 0.0)
    total[:-1] += np.where(same, scores[1:], 0.0)
    number[1:] += same
    number[:-1] += same
    means = np.where(number > 0, total / np.maximum(number, 1.0), scores)
    smoothed: Floats = scores + _NEIGHBOURS * means
    return smoothed
