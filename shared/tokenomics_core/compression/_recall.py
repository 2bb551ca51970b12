"""Which earlier turns a question is about."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from tokenomics_core.compression._language import is_english
from tokenomics_core.compression._lexical import Floats, bm25, query_words, standard
from tokenomics_core.compression._terms import STOP_WORDS, stem, words_of

__all__ = ["Recall"]

# Weights by hand, not fitted; on benchmarks/compression_history.py none of them moves the share of evidence
# kept by more than 0.01 where it is halved or doubled.
_WORDS, _WORDS_IN_PLACE, _COMPANY = 1.0, 1.0, 0.6
_MEANING, _MEANING_IN_PLACE = 0.7, 1.0
_SPEAKER = 0.4
_NEIGHBOUR, _SESSION, _STRETCH = 0.25, 0.5, 2.0
_STRETCH_TURNS = 7
# The words that keep company with a question's words in the turns that answer it best.
_BEST_TURNS, _COMPANY_WORDS, _COMMON = 5, 10, 0.1
_READ_CHARACTERS = 2_000


class Recall:
    """Scores turns by a question: by words and meaning, alone and with the turn before, and by company.

    Args:
        turns: What each turn says, in order.
        about: What each turn stands under, such as the date of its session; equal neighbours are a session.
        query: What is asked now.
        recency: How many spreads of the scores the newest turn is ahead of the oldest.
        multilingual: Whether an embedder reads other languages than English.
    """

    def __init__(
        self, turns: Sequence[str], about: Sequence[str], query: str, *, recency: float, multilingual: bool
    ) -> None:
        self._n = len(turns)
        self._query, self._recency = query, recency
        self._session = np.array(_sessions(about), dtype=np.int64)
        before = [
            turns[at - 1] if at and self._session[at - 1] == self._session[at] else ""
            for at in range(self._n)
        ]
        words = list(map(words_of, turns))
        self._stems = [list(map(stem, found)) for found in words]
        under = {text: list(map(stem, words_of(text))) for text in set(about)}
        self._in_place = [
            under[about[at]] + (self._stems[at - 1] if before[at] else []) + self._stems[at]
            for at in range(self._n)
        ]
        asked = set(words_of(query))
        self._is_by_one_named = np.array([_is_by_one_of(asked, turn) for turn in turns], dtype=np.float64)
        self._terms = list(dict.fromkeys(map(stem, query_words(query))))
        reads = multilingual or (is_english([words_of(query)]) and is_english(words))
        self.texts: list[str] = []
        if self._n and reads and query.strip():
            alone = [turn[:_READ_CHARACTERS] for turn in turns]
            placed = [f"{said[-_READ_CHARACTERS:]} {turn}" for said, turn in zip(before, alone, strict=True)]
            self.texts = [query, *alone, *placed]

    def scores(self, vectors: NDArray[np.float32] | None) -> Floats:
        """Score each turn; higher is more to the point, and only comparable within one call.

        Args:
            vectors: Of `texts`, in their order; None to do without.
        """
        total = np.zeros(self._n)
        if self._terms:
            total += _WORDS * standard(self._by_terms(self._stems, self._terms))
            placed = self._by_terms(self._in_place, self._terms)
            total += _WORDS_IN_PLACE * standard(placed)
            total += _COMPANY * standard(self._by_terms(self._stems, self._company(placed)))
            total += _SPEAKER * standard(self._is_by_one_named)
        if vectors is not None and self._n:
            likeness = np.asarray(vectors[1:], dtype=np.float64) @ np.asarray(vectors[0], dtype=np.float64)
            total += _MEANING * standard(likeness[: self._n])
            total += _MEANING_IN_PLACE * standard(likeness[self._n :])
        total = self._shared(total)
        return total + self._recency * np.linspace(0.0, 1.0, self._n) if self._n else total

    def _shared(self, scores: Floats) -> Floats:
        """Let neighbours, sessions and the stretch around a turn speak for it."""
        same = self._session[1:] == self._session[:-1]
        shared = scores.copy()
        shared[1:] += _NEIGHBOUR * np.where(same, scores[:-1], 0.0)
        shared[:-1] += _NEIGHBOUR * np.where(same, scores[1:], 0.0)
        if self._terms and self._n and self._session[-1] > 0:
            sessions: list[list[str]] = [[] for _ in range(int(self._session[-1]) + 1)]
            for stems, session in zip(self._stems, self._session, strict=True):
                sessions[session] += stems
            shared += _SESSION * standard(self._by_terms(sessions, self._terms))[self._session]
        return shared + _STRETCH * standard(_means(shared, _STRETCH_TURNS))

    def _by_terms(self, texts: Sequence[Sequence[str]], terms: Sequence[str]) -> Floats:
        number = {term: at for at, term in enumerate(terms)}
        counts = np.zeros((len(texts), len(terms)))
        for row, stems in enumerate(texts):
            for found in stems:
                if (at := number.get(found)) is not None:
                    counts[row, at] += 1
        return bm25(counts, np.array([float(max(len(stems), 1)) for stems in texts]))

    def _company(self, placed: Floats) -> list[str]:
        held = [set(stems) for stems in self._stems]
        holders = Counter(term for stems in held for term in stems)
        weight: dict[str, float] = {}
        for at in np.argsort(-placed, kind="stable")[:_BEST_TURNS]:
            if placed[at] <= 0:
                break
            for term in held[at]:
                if holders[term] <= _COMMON * self._n and term not in STOP_WORDS:
                    weight[term] = weight.get(term, 0.0) + math.log(self._n / holders[term])
        for term in self._terms:
            weight.pop(term, None)
        return sorted(weight, key=lambda term: (-weight[term], term))[:_COMPANY_WORDS]


def _is_by_one_of(names: set[str], turn: str) -> bool:
    """Tell whether a turn begins with its speaker, as `Ada: ...`, and a question names that one."""
    speaker, colon, _ = turn[:_LONGEST_NAME].partition(":")
    words = words_of(speaker) if colon else []
    return bool(words) and names.issuperset(words)


_LONGEST_NAME = 40


def _sessions(about: Sequence[str]) -> list[int]:
    return [number for number, (_, run) in enumerate(groupby(about)) for _ in run]


def _means(values: Floats, reach: int) -> Floats:
    """Average each value with as many neighbours on either side as there are, up to `reach`."""
    n = len(values)
    sums = np.concatenate([[0.0], np.cumsum(values)])
    start = np.maximum(np.arange(n) - reach, 0)
    end = np.minimum(np.arange(n) + reach + 1, n)
    means: Floats = (sums[end] - sums[start]) / np.maximum(end - start, 1)
    return means
