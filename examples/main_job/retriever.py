"""Finds the documents of a corpus that a question is about, by words and nothing else."""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Sequence

from examples.stdlib_corpus import Document

__all__ = ["BM25Index"]

_WORD = re.compile(r"[a-z0-9]+")
_NAME = re.compile(r"[a-z_][\w.]*[\w]")
_TITLE_WEIGHT = 3


class BM25Index:
    """An inverted index with Okapi BM25; words of a document's path count three times.

    Args:
        documents: What can be found.
        k1: How soon a word that occurs again stops adding.
        b: How much long documents are marked down.

    Source:
        Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond", 2009.
    """

    def __init__(self, documents: Sequence[Document], *, k1: float = 1.2, b: float = 0.75) -> None:
        self._documents = list(documents)
        counts = [
            Counter(_terms(document.text) + _terms(document.id) * _TITLE_WEIGHT)
            for document in self._documents
        ]
        lengths = [sum(count.values()) for count in counts]
        mean = sum(lengths) / max(1, len(lengths))
        self._postings: dict[str, list[tuple[int, float]]] = defaultdict(list)
        for at, count in enumerate(counts):
            for term, times in count.items():
                damped = times + k1 * (1 - b + b * lengths[at] / mean)
                self._postings[term].append((at, times * (k1 + 1) / damped))

    def search(self, query: str, most: int) -> list[tuple[Document, float]]:
        """Return the best documents with their scores, best first; ties go by the order of the corpus."""
        scores: dict[int, float] = defaultdict(float)
        for term in set(_terms(query)):
            postings = self._postings.get(term, ())
            rarity = math.log(1 + (len(self._documents) - len(postings) + 0.5) / (len(postings) + 0.5))
            for at, weight in postings:
                scores[at] += rarity * weight
        ranked = sorted(scores, key=lambda at: (-scores[at], at))[:most]
        return [(self._documents[at], scores[at]) for at in ranked]


def _terms(text: str) -> list[str]:
    """Return the words of a text, and every dotted or underscored name as one word too."""
    lowered = text.lower()
    names = [name for name in _NAME.findall(lowered) if "." in name or "_" in name]
    return _WORD.findall(lowered) + names
