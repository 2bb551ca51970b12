"""What the content of a message is made of: words, or parts that need more than words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

__all__ = ["NEEDED_BY_PART", "TEXT_PARTS", "only_text"]

TEXT_PARTS: Final = frozenset({"text", "input_text", "output_text"})
"""Types of the parts that are words, in the Chat, Responses and Messages APIs."""

NEEDED_BY_PART: Final = {
    "image": "images",
    "image_url": "images",
    "input_image": "images",
    "audio": "audio",
    "input_audio": "audio",
    "video": "videos",
    "file": "files",
    "document": "files",
    "input_file": "files",
}
"""What a model has to be able to read for a part of this type."""


def only_text(content: Any) -> str | None:
    """Return the words of a content that has nothing else; None otherwise."""
    if isinstance(content, str):
        return content
    if not isinstance(content, Sequence) or isinstance(content, bytes):
        return None
    texts = []
    for part in content:
        if isinstance(part, str):
            texts.append(part)
        elif (
            isinstance(part, Mapping) and part.get("type") in TEXT_PARTS and isinstance(part.get("text"), str)
        ):
            texts.append(part["text"])
        else:
            return None
    return "\n".join(texts) if texts else None
