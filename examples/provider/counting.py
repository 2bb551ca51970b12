"""Counts the tokens that the stand-in bills, without the network."""

from __future__ import annotations

__all__ = ["count_text_tokens"]


def count_text_tokens(text: str) -> int:
    """Estimate a text's tokens as a quarter of its UTF-8 bytes, rounded up."""
    return -(-len(text.encode()) // 4)
