"""Send a chain's model of the retrieved documents what answers the question."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from langchain_core.callbacks import Callbacks
from langchain_core.documents import BaseDocumentCompressor, Document
from langchain_core.embeddings import Embeddings
from langchain_core.runnables import Runnable, RunnableLambda
from langchain_core.tools import BaseTool, StructuredTool
from pydantic import ConfigDict, PrivateAttr

from langchain_tokenomics._context_ledger import cut_documents
from langchain_tokenomics.embedders import LangChainEmbedder, as_embedder
from tokenomics_core.compression import (
    Compressed,
    OriginalStore,
    Scorer,
    acompress,
    compress,
    restore_original,
)
from tokenomics_core.compression import Document as Text
from tokenomics_core.compression import restore_tool as restore_tool_schema
from tokenomics_core.compression.stats import COST_TAG, CompressionStats, CompressionTally
from tokenomics_core.embedding import Embedder
from tokenomics_core.errors import ConfigurationError
from tokenomics_core.tokens import count_tokens
from tokenomics_core.types import HoldOut, attribution

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["CompressionStats", "ContextCompressor", "query_first", "restore_tool"]


class ContextCompressor(BaseDocumentCompressor):
    """Keeps of retrieved documents the sentences, rows and blocks that answer the question, word for word.

    ContextualCompressionRetriever(base_compressor=ContextCompressor(ratio=0.25), base_retriever=retriever)
    {"context": retriever, "question": itemgetter("question")} | ContextCompressor().as_runnable() | prompt

    No model is asked and nothing is downloaded. What is kept stays in its order, with class, id and metadata
    of its document, in which `metadata["compression"]` says what was kept; documents of which nothing is kept
    are left out. The documents given are not changed. Where neither `ratio` nor `max_tokens` nor
    `min_relevance` is set, what is relevant is kept and no more.

    An open `track_cost` block credits the calls in whose prompts the documents stand with the tokens and
    dollars avoided; what an embedder costs is on the bill under the tag `compress_role`, where it is metered
    (`MeteredEmbeddings`).

    Attributes:
        ratio: The share of the documents' tokens to send, in (0, 1].
        max_tokens: The most tokens to send, titles and separators included.
        min_relevance: Leave out what is less likely than this to belong to the answer, in [0, 1].
        embedder: Any LangChain `Embeddings`, or one of the core's; the built-in one where none is given.
        multilingual: Whether `embedder` reads other languages than English.
        by_meaning: Whether to ask an embedder at all.
        scorer: Judges units beside words and embedder.
        share_judged: The share of the units, best by words first, that embedder and scorer are shown.
        count: Counts the tokens of a text; by default those of `model`.
        model: Whose tokens to count.
        marker: What stands where something is missing between two kept units; may be empty.
        header: What the chain's prompt puts before a document's text; by default its title, where it has one.
        separator: What the chain's prompt puts between documents.
        order: `source` leaves the documents in the order given; `edges` puts the best first and last.
        store: Keeps the originals of documents that were cut; `metadata["compression"]["original"]` is then
            the handle by which `restore_original` finds one.
        hold_out: Whose calls are left alone: they are sent all there is, so that what compressing saves can
            be measured.
    """

    ratio: float | None = None
    max_tokens: int | None = None
    min_relevance: float | None = None
    embedder: Any = None  # Embeddings or Embedder: pydantic cannot check a protocol that has properties
    multilingual: bool = False
    by_meaning: bool = True
    scorer: Scorer | None = None
    share_judged: float | None = None
    count: Callable[[str], int] | None = None
    model: str | None = None
    marker: str = " … "
    header: Callable[[Document], str] | None = None
    separator: str = "\n\n"
    order: Literal["source", "edges"] = "source"
    store: OriginalStore | None = None
    hold_out: HoldOut | None = None

    model_config = ConfigDict(arbitrary_types_allowed=True, extra="forbid")

    _embedder: Embedder | None = PrivateAttr(None)
    _tally: CompressionTally = PrivateAttr(default_factory=CompressionTally)

    def __init__(self, **settings: Any) -> None:
        """Take the settings that the class names.

        Raises:
            ConfigurationError: One of them cannot be.
        """
        super().__init__(**settings)
        if self.embedder is not None:
            self._embedder = query_first(self.embedder)
        compress([], "", **self._settings({}))

    def compress_documents(
        self, documents: Sequence[Document], query: str, callbacks: Callbacks | None = None
    ) -> list[Document]:
        """Keep of the documents what answers the query."""
        if self.hold_out is not None and self.hold_out.leaves_alone():
            return list(documents)
        job = _Job.of(documents)
        with attribution(tags=COST_TAG):
            done = compress(job.texts, query, **self._settings(job.given))
        return self._finish(job, done)

    async def acompress_documents(
        self, documents: Sequence[Document], query: str, callbacks: Callbacks | None = None
    ) -> list[Document]:
        """Do the same without blocking the event loop."""
        if self.hold_out is not None and self.hold_out.leaves_alone():
            return list(documents)
        job = _Job.of(documents)
        with attribution(tags=COST_TAG):
            done = await acompress(job.texts, query, **self._settings(job.given))
        return self._finish(job, done)

    def as_runnable(
        self, *, question: str = "question", context: str = "context"
    ) -> Runnable[dict[str, Any], dict[str, Any]]:
        """Return a step of a chain: a mapping in, the same mapping with its context compressed out.

        Args:
            question: The key that holds the question.
            context: The key that holds the documents, or texts, which stay texts.
        """

        def read(given: Mapping[str, Any]) -> tuple[list[Document], str, bool]:
            documents, asked = _documents_in(given, context), given.get(question)
            if not isinstance(asked, str):
                raise ConfigurationError(
                    f"{question!r} must hold the question in words, not {asked!r:.80}; nothing was compressed"
                )
            return documents, asked, any(isinstance(one, str) for one in given[context])

        def write(given: Mapping[str, Any], kept: list[Document], *, as_texts: bool) -> dict[str, Any]:
            return {**given, context: [one.page_content for one in kept] if as_texts else kept}

        def run(given: dict[str, Any]) -> dict[str, Any]:
            documents, asked, as_texts = read(given)
            return write(given, self.compress_documents(documents, asked), as_texts=as_texts)

        async def arun(given: dict[str, Any]) -> dict[str, Any]:
            documents, asked, as_texts = read(given)
            return write(given, await self.acompress_documents(documents, asked), as_texts=as_texts)

        return RunnableLambda(run, arun, name="ContextCompressor")

    def stats(self) -> CompressionStats:
        """Return what was done so far, by any thread."""
        return self._tally.stats()

    def _settings(self, given: Mapping[str, Document]) -> dict[str, Any]:
        header = self.header
        settings = {
            "ratio": self.ratio,
            "max_tokens": self.max_tokens,
            "min_relevance": self.min_relevance,
            "embedder": self._embedder,
            "multilingual": self.multilingual,
            "by_meaning": self.by_meaning,
            "scorer": self.scorer,
            "share_judged": self.share_judged,
            "count": self.count,
            "model": self.model,
            "marker": self.marker,
            "header": None if header is None else (lambda text: header(given[text.id])),
            "separator": self.separator,
            "order": self.order,
            "store": self.store,
        }
        return {name: value for name, value in settings.items() if value is not None}

    def _finish(self, job: _Job, done: Compressed) -> list[Document]:
        self._tally.add(done.tokens_before, done.tokens_after)
        report = done.report
        cut_documents.note(
            (job.stretch(span.document, span.start, span.end) for span in report.kept),
            (job.stretch(unit.document, unit.start, unit.end) for unit in report.dropped),
            report.tokens_avoided,
            source=[text.text for text in job.texts],
        )
        spans: dict[str, list[list[int]]] = {}
        for span in report.kept:
            spans.setdefault(span.document_id, []).append([span.start, span.end])
        return [
            self._described(job.given[text.id], text, spans.get(text.id), report.originals.get(text.id))
            for text in done.documents
        ]

    def _described(
        self, given: Document, text: Text, spans: list[list[int]] | None, handle: str | None
    ) -> Document:
        count = self.count or (lambda said: int(count_tokens(said, self.model)))
        before = count(given.page_content)
        is_whole = text.text == given.page_content
        said: dict[str, Any] = {
            "tokens_before": before,
            "tokens_after": before if is_whole else count(text.text),
            "kept_spans": spans if spans and not is_whole else [[0, len(given.page_content)]],
        }
        if handle is not None:
            said["original"] = handle
        return given.model_copy(
            update={"page_content": text.text, "metadata": {**given.metadata, "compression": said}}
        )


@dataclass(frozen=True, slots=True)
class _Job:
    """Documents under names that tell them apart, also where their ids do not."""

    texts: list[Text]
    given: dict[str, Document]

    @classmethod
    def of(cls, documents: Iterable[Document]) -> _Job:
        texts: list[Text] = []
        given: dict[str, Document] = {}
        for place, document in enumerate(documents):
            name = document.id if document.id and document.id not in given else f"{place}"
            while name in given:
                name += "'"
            given[name] = document
            texts.append(Text(name, document.page_content, document.metadata))
        return cls(texts, given)

    def stretch(self, place: int, start: int, end: int) -> str:
        return self.texts[place].text[start:end]


class _QueryFirst(LangChainEmbedder):
    """A LangChain embedding for a question and the texts it is compared with, each embedded as what it is."""

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        query = self.embeddings.embed_query(texts[0])
        return self._unit([query, *self.embeddings.embed_documents(list(texts[1:]))])

    async def aembed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        query = await self.embeddings.aembed_query(texts[0])
        return self._unit([query, *await self.embeddings.aembed_documents(list(texts[1:]))])


def query_first(embedder: Embeddings | Embedder) -> Embedder:
    """Return what compares a question, the first text, with the others.

    Raises:
        ConfigurationError: It does not embed.
    """
    return _QueryFirst(embedder) if isinstance(embedder, Embeddings) else as_embedder(embedder)


def restore_tool(store: OriginalStore) -> BaseTool:
    """Return a tool by which an agent asks for what was cut from a document or a tool's result.

    Args:
        store: Where `ContextCompressor` or `CompressionEdit` keeps originals.
    """

    def restore(**arguments: Any) -> str:
        return restore_original(store, arguments)

    described = restore_tool_schema()["function"]
    return StructuredTool(
        name=described["name"],
        description=described["description"],
        args_schema=described["parameters"],
        func=restore,
    )


def _documents_in(given: Mapping[str, Any], key: str) -> list[Document]:
    found = given.get(key) if isinstance(given, Mapping) else None
    if not isinstance(found, Sequence) or isinstance(found, str):
        raise ConfigurationError(
            f"{key!r} must hold a list of documents or texts, not {found!r:.80}; nothing was compressed"
        )
    return [one if isinstance(one, Document) else Document(page_content=one) for one in found]
