"""What a compression kept and what it left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from tokenomics_core.compression._document import Document

__all__ = ["Compressed", "CompressionReport", "DroppedUnit", "KeptSpan"]

Reason = Literal["budget", "irrelevant", "repeated"]


@dataclass(frozen=True, slots=True)
class KeptSpan:
    """A stretch of a document that was kept word for word.

    Attributes:
        document: Place among the documents given.
        document_id: Its id.
        start: Where it begins in the document's text, in characters.
        end: Where it ends.
        score: The best score of a unit in it; None for headings and where nothing was scored.
    """

    document: int
    document_id: str
    start: int
    end: int
    score: float | None


@dataclass(frozen=True, slots=True)
class DroppedUnit:
    """A piece of a document that was left out.

    Attributes:
        document: Place among the documents given.
        document_id: Its id.
        start: Where it begins in the document's text, in characters.
        end: Where it ends.
        score: How well it answers the question, comparable within one compression only.
        reason: Whether it found no room, said too little about the question, or repeated what was kept.
    """

    document: int
    document_id: str
    start: int
    end: int
    score: float
    reason: Reason


@dataclass(frozen=True, slots=True)
class CompressionReport:
    """What a compression did.

    Attributes:
        tokens_before: Tokens of all documents as they would be sent, titles and separators included.
        tokens_after: Tokens of what is sent instead; never more.
        budget_tokens: The most that was allowed; None where relevance decided.
        kept: What was kept, in order.
        dropped: What was left out, best first.
        dropped_documents: Ids of documents of which nothing was kept.
        originals: Under which handle the store holds each document that was cut, by its id.
        notes: What was not done as asked for, and why; empty where all went well.
    """

    tokens_before: int
    tokens_after: int
    budget_tokens: int | None = None
    kept: tuple[KeptSpan, ...] = ()
    dropped: tuple[DroppedUnit, ...] = ()
    dropped_documents: tuple[str, ...] = ()
    originals: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def tokens_avoided(self) -> int:
        """Tokens that need not be sent."""
        return self.tokens_before - self.tokens_after

    @property
    def ratio(self) -> float:
        """Share of the tokens that is sent; 1 where there was nothing to send."""
        return self.tokens_after / self.tokens_before if self.tokens_before else 1.0

    def __str__(self) -> str:
        first = (
            f"{self.tokens_before:,} tokens before, {self.tokens_after:,} after ({self.ratio:.0%}); "
            f"{len(self.kept)} spans kept, {len(self.dropped)} units and "
            f"{len(self.dropped_documents)} whole documents left out"
        )
        return "\n".join([first, *self.notes])


@dataclass(frozen=True, slots=True)
class Compressed:
    """What to send in place of the documents.

    Attributes:
        documents: In the order given, with their ids, titles and metadata; one of which nothing was kept is
            not among them.
        tokens_before: Tokens of all documents as they would be sent, titles and separators included.
        tokens_after: Tokens of these documents; never more.
        report: What was kept and left out.
        text: The documents as they are sent: each after its header, with the separator between them.
    """

    documents: Sequence[Document]
    tokens_before: int
    tokens_after: int
    report: CompressionReport
    text: str
