"""The units of all documents side by side, each with what it stands under."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tokenomics_core.compression._document import Document, title_of
from tokenomics_core.compression._terms import words_of
from tokenomics_core.compression._units import Layout, Unit, layout_of, with_short_units

__all__ = ["Corpus", "Piece", "corpus_of"]

_HEADS_ONLY = ("title", "heading", "lead", "table")
_LONGEST_CONTEXT = 200


@dataclass(frozen=True, slots=True)
class Piece:
    """A unit that is scored.

    Attributes:
        document: Place of its document.
        unit: Place among the document's units.
        text: What it says.
        context: Title and headings that it stands under; empty where there are none.
        words: Of its text, as they are compared.
        kind: What it is.
    """

    document: int
    unit: int
    text: str
    context: str
    words: list[str]
    kind: str


@dataclass(frozen=True, slots=True)
class Corpus:
    """Documents taken apart.

    Attributes:
        documents: As they were given.
        headers: What is sent before each document's text; empty where nothing is.
        titles: What each document is about; empty where that is not said.
        layouts: Each document's units.
        pieces: The units that can be chosen, in order; heads come along by themselves.
    """

    documents: Sequence[Document]
    headers: Sequence[str]
    titles: Sequence[str]
    layouts: Sequence[Layout]
    pieces: Sequence[Piece]


def corpus_of(
    documents: Sequence[Document],
    header: Callable[[Document], str] | None = None,
    longest: int | None = None,
) -> Corpus:
    """Take documents apart.

    Args:
        documents: Of any kind of text.
        header: What is sent before a document's text; by default its title and a line break.
        longest: Characters into which units are cut that are too long for sentences; None leaves them whole.
    """
    headers: list[str] = []
    titles: list[str] = []
    layouts: list[Layout] = []
    pieces: list[Piece] = []
    for place, document in enumerate(documents):
        title = title_of(document)
        layout = layout_of(document.text)
        if longest is not None:
            layout = with_short_units(layout, document.text, longest)
        headers.append(header(document) if header else f"{title}\n" if title else "")
        titles.append(_own_title(document, layout) or title or "")
        layouts.append(layout)
        _add_pieces(pieces, place, document.text, layout, title or "")
    return Corpus(documents, headers, titles, layouts, pieces)


def _own_title(document: Document, layout: Layout) -> str:
    for unit in layout.units[:1]:
        if unit.kind in {"title", "heading"}:
            return document.text[unit.start : unit.end].strip("# \t")
    return ""


def _add_pieces(pieces: list[Piece], place: int, text: str, layout: Layout, title: str) -> None:
    contexts: dict[tuple[int, ...], str] = {}
    for at, unit in enumerate(layout.units):
        if unit.kind in _HEADS_ONLY:
            continue
        context = contexts.get(unit.heads)
        if context is None:
            context = contexts[unit.heads] = _context(text, layout.units, unit.heads, title)
        said = text[unit.start : unit.end]
        pieces.append(Piece(place, at, said, context, words_of(said), unit.kind))


def _context(text: str, units: Sequence[Unit], heads: tuple[int, ...], title: str) -> str:
    parts = [title] if title else []
    parts += [text[units[head].start : units[head].end].strip("# \t\n") for head in heads]
    return ". ".join(part.replace("_", " ") for part in parts if part)[:_LONGEST_CONTEXT]
