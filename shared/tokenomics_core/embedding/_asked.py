"""Refuse what is no list of texts before a vector is made of it."""

from __future__ import annotations

from collections.abc import Sequence

from tokenomics_core.errors import ConfigurationError

__all__ = ["check_texts", "check_whole_number"]


def check_texts(texts: Sequence[str]) -> list[str]:
    """Return the texts as a list; a bare text would be embedded letter by letter.

    Raises:
        ConfigurationError: It is one text, or holds something that is none.
    """
    if isinstance(texts, str | bytes):
        raise ConfigurationError(f"texts must be a list of texts, not {texts[:80]!r}; nothing was embedded")
    asked = list(texts)
    for text in asked:
        if not isinstance(text, str):
            raise ConfigurationError(f"texts must hold texts only, not {text!r}; nothing was embedded")
    return asked


def check_whole_number(name: str, value: int) -> None:
    """Refuse what is no whole number of 1 or more.

    Raises:
        ConfigurationError: It quotes the value.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ConfigurationError(
            f"{name} must be a whole number of 1 or more, not {value!r}; no embedder was made"
        )
