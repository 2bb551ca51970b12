"""Counts the tokens that the stand-in bills, with a real vocabulary and without the network."""

from __future__ import annotations

from tokenomics_core.tokens import count_tokens

__all__ = ["count_text_tokens"]

_COUNTS_IN_O200K = "gpt-4o"


def count_text_tokens(text: str) -> int:
    """Count a text in o200k, of which llama-index-core brings a copy; without one, estimate it."""
    return int(count_tokens(text, _COUNTS_IN_O200K, download="never"))
