"""Send of some documents what answers a question, word for word and within a budget."""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import TYPE_CHECKING, Literal

import numpy as np

from tokenomics_core.compression._bridge import names_something
from tokenomics_core.compression._corpus import Corpus, corpus_of
from tokenomics_core.compression._document import Document, documents_from
from tokenomics_core.compression._lexical import Floats
from tokenomics_core.compression._render import kept_spans
from tokenomics_core.compression._report import Compressed, CompressionReport, DroppedUnit, KeptSpan, Reason
from tokenomics_core.compression._score import (
    Reading,
    Scorer,
    candidate_texts,
    fuse,
    is_readable,
    likeness,
    read_words,
    spread,
)
from tokenomics_core.compression._select import Choice, Selection, choose
from tokenomics_core.embedding import Embedder, StaticEmbedder
from tokenomics_core.errors import ConfigurationError
from tokenomics_core.tokens import count_tokens

if TYPE_CHECKING:
    from tokenomics_core.compression._original_store import OriginalStore

__all__ = ["acompress", "compress"]

Order = Literal["source", "edges"]
_FLOOR_TOKENS = 150
# What no model's name counts as too, without a look at the text's scripts.
_COUNTED_AS = "gpt-4o"


def compress(
    documents: Iterable[str | Document],
    query: str,
    *,
    max_tokens: int | None = None,
    ratio: float | None = None,
    min_relevance: float | None = None,
    embedder: Embedder | None = None,
    multilingual: bool = False,
    by_meaning: bool = True,
    scorer: Scorer | None = None,
    share_judged: float = 0.5,
    count: Callable[[str], int] | None = None,
    model: str | None = None,
    marker: str = " … ",
    header: Callable[[Document], str] | None = None,
    separator: str = "\n\n",
    order: Order = "source",
    store: OriginalStore | None = None,
) -> Compressed:
    """Keep of documents the sentences, rows, records and blocks that answer a question.

    What is kept is word for word as it was and in its order; what it cannot do without (title, headings, a
    table's header, the sentence that "This" speaks of) comes along and is counted. Sentences that repeat kept
    ones are left out. Where neither `max_tokens` nor `ratio` nor `min_relevance` is given, what is relevant
    is kept and no more. The same input gives the same output.

    An embedder or scorer that fails costs its help only: the report's notes say so.

    Args:
        documents: Texts, or `Document`s; they are not changed.
        query: The question to be answered from them; with an empty one each document keeps its beginning.
        max_tokens: The most tokens to send, headers and separators included.
        ratio: The share of the documents' tokens to send, in (0, 1].
        min_relevance: Leave out what is less likely than this to belong to the answer, in [0, 1].
        embedder: Compares meanings; the built-in one where none is given, which then only picks candidates.
        multilingual: Whether `embedder` reads other languages than English; where not, documents in others
            are judged by their words, which is better than by vectors of the wrong language.
        by_meaning: Whether to ask the built-in embedder.
        scorer: Judges units beside words and embedder: a reranker, a cross-encoder.
        share_judged: The share of the units, best by words and built-in vectors first, that `embedder` and
            `scorer` are shown.
        count: Counts the tokens of a text; by default those of `model`.
        model: Whose tokens to count.
        marker: What stands where something is missing between two kept units; may be empty.
        header: What is sent before a document's text, such as metadata; by default its title on a line of
            its own.
        separator: What is sent between documents.
        order: `"source"` leaves the documents in the order given; `"edges"` puts the best first and last,
            since models read the middle of a long context less well.
        store: Keeps the originals of documents that were cut.

    Raises:
        ConfigurationError: An argument is of a wrong type or size; nothing was compressed.
    """
    job = _Job(
        documents_from(documents),
        query,
        _Limits(max_tokens, ratio, min_relevance),
        _Helpers(embedder, multilingual, by_meaning, scorer, share_judged),
        _Form(count or partial(count_tokens, model=model or _COUNTED_AS), marker, header, separator, order),
        store,
    )
    done = job.begin()
    if done is not None:
        return done
    if embedder is not None and job.asks_embedder:
        job.hear_embedder(lambda: embedder.embed([query, *job.texts]))
    if scorer is not None:
        job.hear_scorer(lambda: scorer.score(query, job.texts))
    return job.finish()


async def acompress(
    documents: Iterable[str | Document],
    query: str,
    *,
    max_tokens: int | None = None,
    ratio: float | None = None,
    min_relevance: float | None = None,
    embedder: Embedder | None = None,
    multilingual: bool = False,
    by_meaning: bool = True,
    scorer: Scorer | None = None,
    share_judged: float = 0.5,
    count: Callable[[str], int] | None = None,
    model: str | None = None,
    marker: str = " … ",
    header: Callable[[Document], str] | None = None,
    separator: str = "\n\n",
    order: Order = "source",
    store: OriginalStore | None = None,
) -> Compressed:
    """Do what `compress` does without blocking the event loop.

    The embedder is awaited; a scorer and the rest, which takes a few milliseconds per 1,000 tokens, run in a
    thread.
    """
    job = _Job(
        documents_from(documents),
        query,
        _Limits(max_tokens, ratio, min_relevance),
        _Helpers(embedder, multilingual, by_meaning, scorer, share_judged),
        _Form(count or partial(count_tokens, model=model or _COUNTED_AS), marker, header, separator, order),
        store,
    )
    done = await asyncio.to_thread(job.begin)
    if done is not None:
        return done
    if embedder is not None and job.asks_embedder:
        try:
            vectors = await embedder.aembed([query, *job.texts])
        except Exception as error:  # noqa: BLE001 - an embedder may fail in any way, and only its help is lost
            job.give_up("embedder", error)
        else:
            job.hear_embedder(lambda: vectors)
    if scorer is not None:
        await asyncio.to_thread(job.hear_scorer, lambda: scorer.score(query, job.texts))
    return await asyncio.to_thread(job.finish)


@dataclass(frozen=True, slots=True)
class _Limits:
    max_tokens: int | None
    ratio: float | None
    min_relevance: float | None

    def __post_init__(self) -> None:
        tokens, ratio, least = self.max_tokens, self.ratio, self.min_relevance
        if tokens is not None and (isinstance(tokens, bool) or not isinstance(tokens, int) or tokens < 0):
            raise ConfigurationError(f"max_tokens must be 0 or more, not {tokens!r}; nothing was compressed")
        if ratio is not None and not (_is_number(ratio) and 0 < ratio <= 1):
            raise ConfigurationError(
                f"ratio must be above 0 and at most 1, not {ratio!r}; nothing was compressed"
            )
        if least is not None and not (_is_number(least) and 0 <= least <= 1):
            raise ConfigurationError(
                f"min_relevance must be from 0 to 1, not {least!r}; nothing was compressed"
            )


@dataclass(frozen=True, slots=True)
class _Helpers:
    embedder: Embedder | None
    multilingual: bool
    by_meaning: bool
    scorer: Scorer | None
    share: float

    def __post_init__(self) -> None:
        if not (_is_number(self.share) and 0 < self.share <= 1):
            raise ConfigurationError(
                f"share_judged must be above 0 and at most 1, not {self.share!r}; nothing was compressed"
            )


@dataclass(frozen=True, slots=True)
class _Form:
    count: Callable[[str], int]
    marker: str
    header: Callable[[Document], str] | None
    separator: str
    order: Order

    def __post_init__(self) -> None:
        if self.order not in {"source", "edges"}:
            raise ConfigurationError(
                f"order must be source or edges, not {self.order!r}; nothing was compressed"
            )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


class _Job:
    """One compression, in the steps between which a caller may wait for others."""

    def __init__(
        self,
        documents: Sequence[Document],
        query: str,
        limits: _Limits,
        helpers: _Helpers,
        form: _Form,
        store: OriginalStore | None,
    ) -> None:
        if not isinstance(query, str):
            raise ConfigurationError(f"query must be a text, not {query!r:.80}; nothing was compressed")
        self._documents, self._query = documents, query
        self._limits, self._helpers, self._form, self._store = limits, helpers, form, store
        self.texts: list[str] = []
        self.corpus: Corpus
        self.reading: Reading

    def begin(self) -> Compressed | None:
        """Count, take apart and read the words; a result where there is nothing more to do."""
        self.corpus = corpus_of(self._documents, self._form.header)
        self._measure()
        if self._budget is not None and self._before <= self._budget:
            return self._whole()
        if self._is_adaptive and (self._before <= _FLOOR_TOKENS or _asks_for_all(self._query)):
            return self._whole()
        self._read()
        self.texts = candidate_texts(self.corpus, self.reading.candidates)
        return None

    def _read(self) -> None:
        self.reading = read_words(self.corpus, self._query)
        self._is_english = is_readable(self.corpus, self._query)
        if self._helpers.by_meaning and self._is_english and self._asks:
            self._hear_built_in()
        self.reading.choose_candidates(self._helpers.share)

    @property
    def asks_embedder(self) -> bool:
        """Whether the caller's embedder can say something about these documents."""
        return self._asks and (self._helpers.multilingual or self._is_english)

    @property
    def _asks(self) -> bool:
        return bool(self._query.strip() and self.corpus.pieces)

    def _hear_built_in(self) -> None:
        everywhere = range(len(self.corpus.pieces))
        try:
            vectors = _built_in().embed([self._query, *candidate_texts(self.corpus, everywhere)])
        except ConfigurationError as error:
            self.give_up("built-in embedder", error)
        else:
            self.reading.meaning = likeness(vectors, everywhere, len(everywhere))

    def hear_embedder(self, ask: Callable[[], object]) -> None:
        """Take in the vectors of the question and the candidates."""
        try:
            vectors = np.asarray(ask(), dtype=np.float64)
            self.reading.embedded = likeness(vectors, self.reading.candidates, len(self.corpus.pieces))
        except Exception as error:  # noqa: BLE001 - an embedder may fail in any way, and only its help is lost
            self.give_up("embedder", error)

    def hear_scorer(self, ask: Callable[[], Sequence[float]]) -> None:
        """Take in a scorer's verdicts on the candidates."""
        try:
            self.reading.judged = spread(ask(), self.reading.candidates, len(self.corpus.pieces))
        except Exception as error:  # noqa: BLE001 - so may a scorer
            self.give_up("scorer", error)

    def give_up(self, helper: str, error: Exception) -> None:
        """Note that a helper failed."""
        self.reading.notes.append(
            f"the {helper} failed ({type(error).__name__}: {error!s:.200}); done without it"
        )

    def finish(self) -> Compressed:
        """Choose and render."""
        done, texts = self._chosen()
        if not any(texts) and self._cut_units():
            done, _ = self._chosen()
        return done

    def _cut_units(self) -> bool:
        """Cut units too long for sentences, where none fits into what may be sent; tell if any was."""
        size = sum(len(document.text) for document in self._documents)
        longest = int(_SHARE_OF_BUDGET * (self._budget or 0) * size / self._before) if self._before else 0
        if longest < _SHORTEST_UNIT:
            return False
        whole = len(self.corpus.pieces)
        self.corpus = corpus_of(self._documents, self._form.header, longest)
        notes = self.reading.notes
        self._read()
        self.reading.notes[:0] = [*notes, "every unit is longer than the budget, so that some were cut"]
        return len(self.corpus.pieces) > whole

    def _chosen(self) -> tuple[Compressed, list[str]]:
        may_bridge = self._is_english and self._has_room_for_two and names_something(self._query)
        scores = fuse(self.corpus, self.reading, self._query, may_bridge=may_bridge)
        ranked = [int(at) for at in np.argsort(-scores, kind="stable")]
        wanted = self._relevant(ranked, scores)
        choice = Choice(wanted, self._fits, self._budget, self._form.count, self._form.marker)
        selection = choose(self.corpus, choice)
        return self._result(scores, ranked, selection, set(wanted)), selection.texts

    def _measure(self) -> None:
        count, separator = self._form.count, self._form.separator
        headers, last = self.corpus.headers, len(self._documents) - 1
        self._before = sum(
            int(count(headers[at] + document.text + (separator if at < last else "")))
            for at, document in enumerate(self._documents)
        )
        # A caller may count without separators, or the texts without their titles: a ratio holds there too.
        between = count(separator) * max(last, 0)
        above = sum(count(header) for header in headers if header)
        self._budget, self._bare_budget = self._limits.max_tokens, None
        if self._limits.ratio is not None:
            share = math.floor(self._limits.ratio * max(self._before - between, 0))
            if self._limits.ratio == 1:
                share = self._before
            self._budget = share if self._budget is None else min(share, self._budget)
            if above:
                self._bare_budget = math.floor(self._limits.ratio * max(self._before - between - above, 0))

    @property
    def _has_room_for_two(self) -> bool:
        """Whether two documents may find room, so that looking for a second costs the first nothing."""
        return self._budget is None or self._budget * len(self._documents) >= 2 * self._before

    @property
    def _is_adaptive(self) -> bool:
        return self._budget is None and self._limits.min_relevance is None

    def _fits(self, texts: Sequence[str]) -> bool:
        budget = self._before if self._budget is None else self._budget
        if self._form.count(self._joined(texts)) > budget:
            return False
        if self._bare_budget is None:
            return True
        return (
            self._form.count(self._form.separator.join(text for text in texts if text)) <= self._bare_budget
        )

    def _joined(self, texts: Sequence[str]) -> str:
        headers = self.corpus.headers
        return self._form.separator.join(headers[at] + text for at, text in enumerate(texts) if text)

    def _relevant(self, ranked: list[int], scores: Floats) -> list[int]:
        """Return what is worth sending, best first: all where a budget decides."""
        least = self._limits.min_relevance
        if least is None:
            if self._budget is not None:
                return ranked
            least = _ENOUGH
            always = _ALWAYS
        else:
            always = 0
        likely = relevance(scores)
        return [at for rank, at in enumerate(ranked) if rank < always or likely[at] >= least]

    def _whole(self) -> Compressed:
        """Send everything; only documents without a word are left out."""
        filled = [(at, document) for at, document in enumerate(self._documents) if document.text.strip()]
        kept = tuple(KeptSpan(at, document.id, 0, len(document.text), None) for at, document in filled)
        blank = tuple(document.id for document in self._documents if not document.text.strip())
        text = self._joined([document.text if document.text.strip() else "" for document in self._documents])
        after = min(int(self._form.count(text)), self._before) if blank else self._before
        report = CompressionReport(self._before, after, self._budget, kept, dropped_documents=blank)
        return Compressed([document for _, document in filled], self._before, after, report, text)

    def _result(
        self, scores: Floats, ranked: list[int], selection: Selection, wanted: set[int]
    ) -> Compressed:
        places = [at for at, text in enumerate(selection.texts) if text]
        if self._form.order == "edges":
            places = self._edges_first(places, selection, scores)
        documents = [
            document if document.text == selection.texts[at] else replace(document, text=selection.texts[at])
            for at in places
            for document in (self._documents[at],)
        ]
        headers = self.corpus.headers
        text = self._form.separator.join(headers[at] + selection.texts[at] for at in places)
        after = int(self._form.count(text)) if text else 0
        report = CompressionReport(
            tokens_before=self._before,
            tokens_after=after,
            budget_tokens=self._budget,
            kept=tuple(self._kept(selection, scores)),
            dropped=tuple(self._dropped(scores, ranked, selection, wanted)),
            dropped_documents=tuple(
                document.id for at, document in enumerate(self._documents) if not selection.texts[at]
            ),
            originals=self._put_away(selection),
            notes=tuple(self.reading.notes),
        )
        return Compressed(documents, self._before, after, report, text)

    def _edges_first(self, places: list[int], selection: Selection, scores: Floats) -> list[int]:
        best = dict.fromkeys(places, -math.inf)
        for at, piece in enumerate(self.corpus.pieces):
            if piece.document in best and piece.unit in set(selection.kept[piece.document]):
                best[piece.document] = max(best[piece.document], float(scores[at]))
        ranked = sorted(places, key=lambda at: (-best[at], at))
        return ranked[0::2] + ranked[1::2][::-1]

    def _kept(self, selection: Selection, scores: Floats) -> Iterable[KeptSpan]:
        by_unit = {
            (piece.document, piece.unit): float(scores[at]) for at, piece in enumerate(self.corpus.pieces)
        }
        for at, kept in enumerate(selection.kept):
            layout = self.corpus.layouts[at]
            for start, end in kept_spans(layout, kept):
                inside = [
                    by_unit[at, unit]
                    for unit in kept
                    if (at, unit) in by_unit and start <= layout.units[unit].start < end
                ]
                yield KeptSpan(at, self._documents[at].id, start, end, max(inside, default=None))

    def _dropped(
        self, scores: Floats, ranked: list[int], selection: Selection, wanted: set[int]
    ) -> Iterable[DroppedUnit]:
        kept = [set(units) for units in selection.kept]
        for at in ranked:
            piece = self.corpus.pieces[at]
            if piece.unit in kept[piece.document]:
                continue
            unit = self.corpus.layouts[piece.document].units[piece.unit]
            reason: Reason = selection.refused.get(at, "budget") if at in wanted else "irrelevant"
            yield DroppedUnit(
                piece.document,
                self._documents[piece.document].id,
                unit.start,
                unit.end,
                float(scores[at]),
                reason,
            )

    def _put_away(self, selection: Selection) -> dict[str, str]:
        if self._store is None:
            return {}
        return {
            document.id: self._store.put(document)
            for at, document in enumerate(self._documents)
            if document.text != selection.texts[at]
        }


# A logistic fit on 900 questions of the sets of benchmarks/compression.py: of the units said to hold the
# answer with a chance of 2 to 5, 5 to 10, 10 to 20 and 40% or more, 3, 6, 11 and 57% did. At 1% and more, 97%
# of the answers of NQ are kept in 11% of the tokens, and all of English XQuAD's in 15%.
_STEEPNESS = 2.24
# Half of the budget in characters, as the documents' tokens have them on average: so one piece fits surely.
_SHARE_OF_BUDGET, _SHORTEST_UNIT = 0.5, 24
_ENOUGH, _ALWAYS = 0.01, 3
_ALL = re.compile(
    r"\b(?:summari[sz]e|summary|overview|outline|everything|list (?:all|every)|translate|rewrite|proofread|"
    r"zusammenfass\w*|fass\w* zusammen|übersetz\w*|résume[rz]?|résumé|resum[ei]\w*|riassum\w*)\b"
    r"|总结|概括|翻译|要約",
    re.IGNORECASE,
)


def _asks_for_all(query: str) -> bool:
    """Tell whether a question is about the whole of the documents, so that nothing is irrelevant."""
    return bool(_ALL.search(query))


def relevance(scores: Floats) -> Floats:
    """Turn scores into the chance of holding the answer, from how far each lies below the best."""
    spread_of_scores = float(scores.std()) if len(scores) else 0.0
    below = (scores - scores.max()) / spread_of_scores if spread_of_scores > 1e-9 else np.zeros_like(scores)
    likely: Floats = 1.0 / (1.0 + np.exp(-_STEEPNESS * below))
    return likely


@cache
def _built_in() -> StaticEmbedder:
    return StaticEmbedder()
