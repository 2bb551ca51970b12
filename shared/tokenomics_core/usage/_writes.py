"""Complete what a stream leaves out of its writes to a prompt cache."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from tokenomics_core.types import Usage

__all__ = ["split_writes"]


def split_writes(usage: Usage, lifetimes: Collection[str]) -> Usage:
    """Tell cache writes by lifetime, from what the request asked for, where the answer does not.

    The last event of an Anthropic stream names all writes in one sum, and an hour's cost more than five
    minutes'.

    Args:
        usage: What was reported.
        lifetimes: `5m`, `1h`, or both: what the request marked.

    Returns:
        The usage with its writes split; marked as estimated where both lifetimes were asked for.
    """
    if not lifetimes or not usage.cache_write_tokens or usage.cache_write_5m_tokens is not None:
        return usage
    if usage.cache_write_1h_tokens is not None:
        return usage
    if len(lifetimes) > 1:
        return replace(usage, estimated=True)
    if "1h" in lifetimes:
        return replace(usage, cache_write_1h_tokens=usage.cache_write_tokens, cache_write_5m_tokens=0)
    return replace(usage, cache_write_5m_tokens=usage.cache_write_tokens, cache_write_1h_tokens=0)
