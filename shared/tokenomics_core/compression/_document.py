"""What is compressed: a text with its id, title and metadata."""

# ruff: noqa: RUF001 - marks of other scripts are meant

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tokenomics_core.errors import ConfigurationError

__all__ = ["Document", "documents_from", "title_end", "title_of"]

_LONGEST_TITLE = 120
_MOST_TITLE_WORDS = 16
# A line of a list, table, code, log, JSON or Markdown is no title of the text under it.
_NO_TITLE = re.compile(r"\s*(?:[-*+•|#>`~<{}\[\]/$@]|\d{1,3}[.)]\s|\d{2,4}-\d\d-\d\d|\w+(?: ?=|\()|//)")
_SENTENCE_END = re.compile(r"(?:[a-z0-9)\]]{3,}[.]|[:;,。؛،…])[\"'”’)]*$")


@dataclass(frozen=True, slots=True)
class Document:
    """One text of the context, with what must survive its compression.

    Attributes:
        id: Whatever names it to its owner; comes back unchanged.
        text: What would be sent.
        metadata: Comes back unchanged; its `"title"` is used where `title` is None.
        title: What the text is about. It is taken to be sent on a line of its own before the text, and so
            counted, unless the text already begins with it.
    """

    id: str
    text: str
    metadata: Mapping[str, Any] = field(default_factory=dict)
    title: str | None = None


def documents_from(documents: Iterable[str | Document]) -> list[Document]:
    """Give plain texts an id: their place among the documents, counted from 0.

    Raises:
        ConfigurationError: Something is neither a text nor a `Document`, or one text was given where several
            are asked for.
    """
    if isinstance(documents, str | Document):
        raise ConfigurationError(
            f"documents must be a list, not one {type(documents).__name__}; nothing was compressed"
        )
    found: list[Document] = []
    for place, item in enumerate(documents):
        if isinstance(item, Document):
            found.append(item)
        elif isinstance(item, str):
            found.append(Document(str(place), item))
        else:
            raise ConfigurationError(
                f"documents[{place}] must be a text or a Document, not {item!r:.80}; nothing was compressed"
            )
    return found


def title_of(document: Document) -> str | None:
    """Return the title sent before the text; None where there is none, or the text begins with it."""
    title = document.title
    if title is None and isinstance(document.metadata, Mapping):
        title = document.metadata.get("title")
    if not isinstance(title, str) or not title.strip():
        return None
    title = title.strip()
    first_line = document.text.lstrip().partition("\n")[0].strip().lstrip("# ")
    return None if first_line == title else title


def title_end(text: str) -> int:
    """Return where the title in a text's first line ends; 0 where the first line is no title.

    A title is short, does not end like a sentence, and stands over longer lines or a blank one.
    """
    start = len(text) - len(text.lstrip())
    end = text.find("\n", start)
    if end < 0 or end - start > _LONGEST_TITLE:
        return 0
    line = text[start:end].rstrip()
    rest = text[end:]
    if len(line.split()) > _MOST_TITLE_WORDS or _NO_TITLE.match(line) or _SENTENCE_END.search(line):
        return 0
    lines = [other.strip() for other in rest.split("\n") if other.strip()]
    if not lines:
        return 0
    stands_apart = rest.startswith(("\n\n", "\n\r\n"))
    longest = max(map(len, lines[:5]))
    return start + len(line) if stands_apart or longest >= 1.5 * len(line) else 0
