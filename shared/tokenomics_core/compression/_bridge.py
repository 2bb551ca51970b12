"""Questions that take two documents: the second is found through what the first one names."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from tokenomics_core.compression._corpus import Corpus
from tokenomics_core.compression._lexical import Floats, bm25, count_terms, standard
from tokenomics_core.compression._terms import STOP_WORDS, stem, words_of

__all__ = ["bridged", "names_something"]

# Chosen on the questions of HotpotQA in benchmarks/compression.py, near the middle of a plateau: of 250
# settings drawn around these, the mean lost 2 points and the worst 8.
_FROM = 2
_NAMED_IN_QUESTION, _NAMED_BY_BEST, _NAMES_BEST = 1.5, 2.0, 1.0
_SHARED_NAMES = 0.35
_BEGINNING = 1.2
_MOST_UNITS, _MOST_DOCUMENTS = 3_000, 200
_SHORTEST_TITLE = 4

_NAME = re.compile(r"(?<=\s)[\"“(]?[A-Z0-9][\w'’-]+")  # noqa: RUF001 - the apostrophe as it is typeset
_CAPITAL = re.compile(r"(?<=[\w,;:)\"”'’] )[\"“'‘(]?[A-ZÀ-ÖØ-Þ]")  # noqa: RUF001 - likewise
_BRACKETS = re.compile(r"\s*\([^)]*\)\s*$")


def names_something(query: str) -> bool:
    """Tell whether a question names a person, place or work, as far as capital letters show it."""
    return bool(_CAPITAL.search(query))


def bridged(corpus: Corpus, query: str, scores: Floats) -> Floats:
    """Raise what the best units lead to: documents that they name, that name theirs, that share their names.

    Args:
        corpus: Several documents with titles; any other comes back as it is.
        query: Titles in it raise their documents.
        scores: One per unit.
    """
    titles = [_plain(title) for title in corpus.titles]
    n_documents = len(corpus.documents)
    too_much = len(corpus.pieces) > _MOST_UNITS or n_documents > _MOST_DOCUMENTS
    if n_documents < 3 or too_much or sum(map(bool, titles)) < 2:
        return scores
    owner = np.fromiter((piece.document for piece in corpus.pieces), np.int64, len(corpus.pieces))
    asked = query.lower()
    in_question = np.array([float(_mentions(asked, title)) for title in titles])
    start = standard(scores) + _NAMED_IN_QUESTION * in_question[owner]
    best = np.argsort(-start, kind="stable")[:_FROM]
    near = np.unique(owner[best])
    said = [piece.text.lower() for piece in corpus.pieces]
    forward, back = np.zeros(n_documents), np.zeros(n_documents)
    for document, title in enumerate(titles):
        if any(owner[at] != document and _mentions(said[at], title) for at in best):
            forward[document] = 1.0
    for document in near:
        for at, text in enumerate(said):
            if owner[at] != document and _mentions(text, titles[document]):
                back[owner[at]] = 1.0
    reached = np.maximum(np.maximum(forward, 0.5 * back), in_question)
    reached[near] = 1.0
    raised: Floats = start + (_NAMED_BY_BEST * forward + _NAMES_BEST * back)[owner]
    raised += _shared_names(corpus, query, owner, best)
    raised += _BEGINNING * reached[owner] * _is_first(owner)
    return raised


def _shared_names(corpus: Corpus, query: str, owner: np.ndarray, best: Sequence[int] | np.ndarray) -> Floats:
    """Score the other documents by the names that the best units bring up."""
    known = {stem(word) for word in words_of(query)}
    names = [
        stem(word)
        for at in best
        for name in _NAME.findall(corpus.pieces[at].text)
        for word in words_of(name)
        if word not in STOP_WORDS
    ]
    terms = [term for term in dict.fromkeys(names) if term not in known]
    if not terms:
        return np.zeros(len(owner))
    counts = count_terms(corpus, terms)
    near = np.unique(owner[best])
    units = bm25(counts.units, counts.unit_sizes[:, 0])
    units[np.isin(owner, near)] = 0.0
    documents = bm25(counts.documents, counts.document_sizes[:, 0])
    documents[near] = 0.0
    return _SHARED_NAMES * (standard(units) + standard(documents[owner]))


def _is_first(owner: np.ndarray) -> Floats:
    first = np.ones(len(owner))
    first[1:] = owner[1:] != owner[:-1]
    return first


def _plain(title: str) -> str:
    title = _BRACKETS.sub("", title.replace("_", " ")).strip().lower()
    return title if len(title) >= _SHORTEST_TITLE else ""


def _mentions(text: str, title: str) -> bool:
    """Tell whether a text holds a title as whole words."""
    at = text.find(title) if title else -1
    while at >= 0:
        end = at + len(title)
        if not (at and text[at - 1].isalnum()) and not (end < len(text) and text[end].isalnum()):
            return True
        at = text.find(title, at + 1)
    return False
