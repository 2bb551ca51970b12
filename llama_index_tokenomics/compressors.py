"""Send an engine's model of the retrieved nodes what answers the question."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.schema import (
    BaseNode,
    ImageNode,
    MediaResource,
    MetadataMode,
    Node,
    NodeWithScore,
    QueryBundle,
)
from pydantic import ConfigDict, Field, PrivateAttr

from llama_index_tokenomics._context_ledger import cut_texts
from llama_index_tokenomics.embedders import LlamaIndexEmbedder, as_embedder
from tokenomics_core.compression import (
    Compressed,
    Document,
    OriginalStore,
    Scorer,
    acompress,
    compress,
)
from tokenomics_core.compression.stats import COST_TAG, CompressionStats, CompressionTally
from tokenomics_core.embedding import Embedder
from tokenomics_core.tokens import count_tokens
from tokenomics_core.types import HoldOut, attribution

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["ORIGINAL_KEY", "CompressionStats", "ContextCompressionPostprocessor", "query_first"]

ORIGINAL_KEY = "compression"
"""The key in a node's metadata that says how to restore it; models and embeddings are not shown it."""

_log = logging.getLogger("tokenomics")


class ContextCompressionPostprocessor(BaseNodePostprocessor):
    """Keeps of retrieved nodes the sentences, rows and blocks that answer the question, word for word.

    index.as_query_engine(node_postprocessors=[ContextCompressionPostprocessor(ratio=0.25)])

    No model is asked and nothing is downloaded. Nodes come back in their order, with class, id,
    relationships, metadata and score; those that were cut are copies without places in the source text,
    which would not describe them any more. A node of which nothing is kept is left out, and none is ever
    emptied. What a model is shown of a node's metadata is counted and left as it is. Without a question
    nodes come back unchanged.
    Where neither `ratio` nor `max_tokens` nor `min_relevance` is set, what is relevant is kept and no more.

    An open `track_cost` block credits the calls in whose prompts the nodes stand with the tokens and dollars
    avoided; with `embeddings=True` what an embedder costs is on the bill under the tag `compress_role`.

    Attributes:
        ratio: The share of the nodes' tokens to send, in (0, 1]; exceeded where otherwise nothing were left.
        max_tokens: The most tokens to send, metadata and separators included; never exceeded.
        min_relevance: Leave out what is less likely than this to belong to the answer, in [0, 1].
        embedder: Any LlamaIndex `BaseEmbedding`, or one of the core's; the built-in one where none is given.
        multilingual: Whether `embedder` reads other languages than English.
        by_meaning: Whether to ask an embedder at all.
        scorer: Judges units beside words and embedder.
        share_judged: The share of the units, best by words first, that embedder and scorer are shown.
        count: Counts the tokens of a text; by default those of `model`.
        model: Whose tokens to count.
        marker: What stands where something is missing between two kept units; may be empty.
        separator: What the engine puts between nodes.
        order: `source` leaves the nodes in the order given; `edges` puts the best first and last.
        store: Keeps the originals of nodes that were cut; `metadata["compression"]["original"]` is then the
            handle by which `restore_original` finds one, hidden from models and embeddings.
        hold_out: Whose calls are left alone: they are sent all there is, so that what compressing saves can
            be measured.
    """

    ratio: float | None = None
    max_tokens: int | None = None
    min_relevance: float | None = None
    embedder: Any = Field(default=None, exclude=True)  # pydantic cannot check a protocol that has properties
    multilingual: bool = False
    by_meaning: bool = True
    scorer: Scorer | None = Field(default=None, exclude=True)
    share_judged: float | None = None
    count: Callable[[str], int] | None = Field(default=None, exclude=True)
    model: str | None = None
    marker: str = " … "
    separator: str = "\n\n"
    order: Literal["source", "edges"] = "source"
    store: OriginalStore | None = Field(default=None, exclude=True)
    hold_out: HoldOut | None = Field(default=None, exclude=True)

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
        compress([], "", **self._settings())

    @classmethod
    def class_name(cls) -> str:
        """Return the name under which LlamaIndex keeps this class."""
        return "ContextCompressionPostprocessor"

    def stats(self) -> CompressionStats:
        """Return what was done so far, by any thread."""
        return self._tally.stats()

    def _postprocess_nodes(
        self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None = None
    ) -> list[NodeWithScore]:
        job = self._job(nodes, query_bundle)
        if job is None:
            return list(nodes)
        settings = self._settings(job)
        with attribution(tags=COST_TAG):
            done = compress(job.documents, job.query, **settings)
            while (wider := self._wider(done)) is not None:
                done = compress(job.documents, job.query, **{**settings, **wider})
        return self._finish(job, done)

    async def _apostprocess_nodes(
        self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None = None
    ) -> list[NodeWithScore]:
        job = self._job(nodes, query_bundle)
        if job is None:
            return list(nodes)
        settings = self._settings(job)
        with attribution(tags=COST_TAG):
            done = await acompress(job.documents, job.query, **settings)
            while (wider := self._wider(done)) is not None:
                done = await acompress(job.documents, job.query, **{**settings, **wider})
        return self._finish(job, done)

    def _job(self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None) -> _Job | None:
        """Return what is to be compressed; None for nothing, or where the call is left alone."""
        if self.hold_out is not None and self.hold_out.leaves_alone():
            return None
        return _Job.of(nodes, query_bundle)

    def _settings(self, job: _Job | None = None) -> dict[str, Any]:
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
            "header": None if job is None else job.header,
            "separator": self.separator,
            "order": self.order,
            "store": self.store,
        }
        return {name: value for name, value in settings.items() if value is not None}

    def _wider(self, done: Compressed) -> dict[str, Any] | None:
        """Return a budget twice as wide where the share asked for has room for nothing."""
        if done.documents or not done.tokens_before:
            return None
        budget, most = done.report.budget_tokens, self.max_tokens
        if budget is None or budget >= done.tokens_before or (most is not None and budget >= most):
            if most is not None:
                _log.warning(
                    "no unit of %d tokens of nodes fits %d tokens; none is sent", done.tokens_before, most
                )
            return None
        wider = min(max(2 * budget, 16), done.tokens_before)
        return {"ratio": None, "max_tokens": wider if most is None else min(wider, most)}

    def _finish(self, job: _Job, done: Compressed) -> list[NodeWithScore]:
        self._tally.add(done.tokens_before, done.tokens_after)
        self._note(job, done)
        kept = {int(one.id): one for one in done.documents}
        found: list[tuple[int, NodeWithScore]] = []
        for place, given in enumerate(job.nodes):
            if place in job.apart:
                found.append((place, given))
            elif place in kept:
                found.append((place, self._cut(given, kept[place], done.report.originals.get(f"{place}"))))
        if self.order == "edges":
            ranks = {int(one.id): rank for rank, one in enumerate(done.documents)}
            found.sort(key=lambda each: ranks.get(each[0], len(ranks)))
        return [node for _, node in found]

    def _cut(self, given: NodeWithScore, kept: Document, handle: str | None) -> NodeWithScore:
        if kept.text == _text_of(given.node):
            return given
        node = given.node.model_copy(deep=True)
        node.set_content(kept.text)
        for name in ("start_char_idx", "end_char_idx"):
            if getattr(node, name, None) is not None:
                setattr(node, name, None)
        if handle is not None:
            node.metadata[ORIGINAL_KEY] = {"original": handle}
            for keys in (node.excluded_llm_metadata_keys, node.excluded_embed_metadata_keys):
                if ORIGINAL_KEY not in keys:
                    keys.append(ORIGINAL_KEY)
        return NodeWithScore(node=node, score=given.score)

    def _note(self, job: _Job, done: Compressed) -> None:
        """Let the bill know, node by node: an engine may show a model some of them only."""
        if done.report.tokens_avoided <= 0:
            return
        count = self.count or (lambda text: int(count_tokens(text, self.model)))
        after = {int(one.id): one.text for one in done.documents}
        kept: dict[int, list[str]] = {}
        gone: dict[int, list[str]] = {}
        for span in done.report.kept:
            kept.setdefault(span.document, []).append(job.stretch(span.document, span.start, span.end))
        everywhere = "\n".join(stretch for stretches in kept.values() for stretch in stretches)
        for unit in done.report.dropped:
            stretch = job.stretch(unit.document, unit.start, unit.end)
            if stretch not in everywhere:  # another node that says the same may stand in the prompt
                gone.setdefault(unit.document, []).append(stretch)
        spared = {
            place: count(job.documents[place].text) - count(after[int(job.documents[place].id)])
            for place in kept
            if job.documents[place].text != after.get(int(job.documents[place].id))
            and int(job.documents[place].id) in after
        }
        # Nodes of which nothing is left stand in no prompt: what they spared goes with the first that does.
        rest = done.report.tokens_avoided - sum(spared.values())
        whole = [unit for place, units in gone.items() if place not in kept for unit in units]
        for rank, place in enumerate(sorted(kept)):
            more, lost = (rest, whole) if rank == 0 else (0, [])
            cut_texts.note(
                kept[place],
                [*gone.get(place, []), *lost],
                spared.get(place, 0) + more,
                source=[job.documents[place].text],
            )


@dataclass(frozen=True, slots=True)
class _Job:
    """Nodes as documents, named by their place.

    Attributes:
        nodes: As they were given.
        query: The question.
        documents: Those that have a text.
        frames: What a model is shown of each around its text, by name.
        apart: Places of nodes that say something without a text, such as images.
    """

    nodes: Sequence[NodeWithScore]
    query: str
    documents: list[Document]
    frames: dict[str, str]
    apart: frozenset[int]

    @classmethod
    def of(cls, nodes: Sequence[NodeWithScore], query: QueryBundle | None) -> _Job | None:
        """Return None where there is no question."""
        if query is None or not query.query_str.strip():
            return None
        documents: list[Document] = []
        frames: dict[str, str] = {}
        apart: set[int] = set()
        for place, given in enumerate(nodes):
            node, name = given.node, f"{place}"
            text = _text_of(node)
            if text.strip():
                frames[name] = _frame_of(node, text)
                documents.append(Document(name, text, node.metadata))
            elif _has_media(node) or node.get_content(metadata_mode=MetadataMode.LLM).strip():
                apart.add(place)
        return cls(nodes, query.query_str, documents, frames, frozenset(apart))

    def header(self, document: Document) -> str:
        return self.frames[document.id]

    def stretch(self, place: int, start: int, end: int) -> str:
        return self.documents[place].text[start:end]


class _QueryFirst(LlamaIndexEmbedder):
    """A LlamaIndex embedding for a question and the texts it is compared with, in batches."""

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        query = self.embed_model.get_query_embedding(texts[0])
        return self._unit([query, *self.embed_model.get_text_embedding_batch(list(texts[1:]))])

    async def aembed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        query = await self.embed_model.aget_query_embedding(texts[0])
        return self._unit([query, *await self.embed_model.aget_text_embedding_batch(list(texts[1:]))])


def query_first(embedder: BaseEmbedding | Embedder) -> Embedder:
    """Return what compares a question, the first text, with the others.

    Raises:
        ConfigurationError: It does not embed.
    """
    return _QueryFirst(embedder) if isinstance(embedder, BaseEmbedding) else as_embedder(embedder)


def _text_of(node: BaseNode) -> str:
    return node.get_content(metadata_mode=MetadataMode.NONE)


def _frame_of(node: BaseNode, text: str) -> str:
    """Return what stands around a node's text where a model reads it; it is counted, not compressed."""
    shown = node.get_content(metadata_mode=MetadataMode.LLM)
    before, found, after = shown.rpartition(text.strip())
    return before + after if found else ""


def _has_media(node: BaseNode) -> bool:
    if isinstance(node, ImageNode):
        return bool(node.image or node.image_path or node.image_url)
    resources: Iterable[MediaResource | None] = (
        (node.image_resource, node.audio_resource, node.video_resource) if isinstance(node, Node) else ()
    )
    return any(resource is not None for resource in resources)
