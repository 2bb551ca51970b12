"""Words and pairs of words as features, weighted by how rare they are."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

__all__ = ["SparseRows", "Vocabulary", "excerpt", "terms_of"]

_WORD = re.compile(r"\b\w\w+\b")
_MOST = 16_000


def excerpt(text: str) -> str:
    """Return the beginning and the end of a text above 16,000 characters, so that no decision takes long."""
    return text if len(text) <= _MOST else f"{text[: _MOST // 2]}\n{text[-_MOST // 2 :]}"


def terms_of(text: str) -> list[str]:
    """List the lower-cased words of two characters or more, and the pairs of neighbours, of an `excerpt`."""
    words = _WORD.findall(excerpt(text).lower())
    return words + [f"{first} {second}" for first, second in pairwise(words)]


@dataclass(frozen=True, slots=True)
class SparseRows:
    """A sparse matrix by rows.

    Attributes:
        starts: Where each row begins in `columns` and `values`, shape (n + 1,).
        columns: Column of each entry.
        values: Value of each entry.
        width: Number of columns.
    """

    starts: NDArray[np.int64]
    columns: NDArray[np.int64]
    values: NDArray[np.float64]
    width: int

    def __len__(self) -> int:
        return len(self.starts) - 1

    def row_ids(self) -> NDArray[np.int64]:
        """Name the row of each entry."""
        return np.repeat(np.arange(len(self)), np.diff(self.starts))


class Vocabulary:
    """The terms of a training set with their inverse document frequency.

    Weights are `(1 + ln tf) * idf` with `idf = ln((1 + n) / (1 + df)) + 1`, each row scaled to length 1: the
    smoothed, sublinear form of Manning, Raghavan and Schütze, "Introduction to Information Retrieval", 6.4.

    Attributes:
        index_: Column of each term.
        idf_: Inverse document frequency of each column.
    """

    def __init__(self, terms: Sequence[str], idf: Sequence[float]) -> None:
        self.index_ = {term: column for column, term in enumerate(terms)}
        self.idf_ = list(idf)

    @classmethod
    def fit(cls, texts: Sequence[str], *, min_documents: int, most: int) -> Vocabulary:
        """Keep the `most` most frequent terms, of those that stand in at least `min_documents` texts."""
        frequency: Counter[str] = Counter()
        for text in texts:
            frequency.update(set(terms_of(text)))
        ranked = sorted(frequency.items(), key=lambda item: (-item[1], item[0]))
        kept = sorted(item for item in ranked[:most] if item[1] >= min_documents)
        total = len(texts)
        return cls(
            [term for term, _ in kept], [math.log((1 + total) / (1 + number)) + 1 for _, number in kept]
        )

    def __len__(self) -> int:
        return len(self.idf_)

    def row(self, terms: Sequence[str]) -> tuple[list[int], list[float]]:
        """Weigh the terms of one text that are known."""
        index, idf = self.index_, self.idf_
        counts = Counter([column for column in map(index.get, terms) if column is not None])
        values = [
            idf[column] if number == 1 else (1 + math.log(number)) * idf[column]
            for column, number in counts.items()
        ]
        norm = math.sqrt(sum([value * value for value in values])) or 1.0
        return list(counts), [value / norm for value in values]

    def rows(self, texts: Sequence[str]) -> SparseRows:
        """Weigh the known terms of several texts."""
        columns: list[int] = []
        values: list[float] = []
        starts = [0]
        for text in texts:
            found, weights = self.row(terms_of(text))
            columns += found
            values += weights
            starts.append(len(columns))
        return SparseRows(
            np.array(starts), np.array(columns, dtype=np.int64), np.array(values, dtype=float), len(self)
        )

    def coverage(self, terms: Sequence[str]) -> float:
        """Measure which share of a text's terms is known; 0 for a text without terms."""
        index = self.index_
        return sum(map(index.__contains__, terms)) / len(terms) if terms else 0.0
