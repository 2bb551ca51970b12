"""What an entry weighs, when it dies, and whether a selector names it: the same in every store."""

from __future__ import annotations

import math

from tokenomics_core.cache._entry import CacheEntry, Selector
from tokenomics_core.cache._text import normalised

__all__ = ["dies_at", "living", "meets", "size_of"]

_FIXED_BYTES = 512
"""What an entry takes beside its texts and its vector, measured on a store of 100,000 and rounded up."""


def dies_at(entry: CacheEntry) -> float:
    """Return until when an entry may be served; infinity for one that never dies."""
    end = entry.stale_until if entry.stale_until is not None else entry.expires_at
    return math.inf if end is None else end


def living(entry: CacheEntry | None, now: float) -> CacheEntry | None:
    """Return an entry that lives by its own word, whatever the columns beside it say."""
    return entry if entry is not None and now < dies_at(entry) else None


def size_of(entry: CacheEntry, dimension: int) -> int:
    """Return what an entry takes, in bytes."""
    texts = len(entry.question) + len(entry.answer or "" if entry.answer != entry.question else "")
    return len(entry.payload) + 2 * texts + 4 * dimension + _FIXED_BYTES


def meets(selector: Selector, entry: CacheEntry) -> bool:
    """Tell whether an entry meets every condition of a selector."""
    return (
        selector.id in {None, entry.id}
        and selector.partition in {None, entry.partition}
        and selector.tenant in {None, entry.tenant}
        and (selector.source is None or selector.source in entry.sources)
        and (selector.tag is None or selector.tag in entry.tags)
        and selector.model in {None, entry.model}
        and selector.version in {None, entry.version}
        and (selector.prefix is None or normalised(entry.question).startswith(normalised(selector.prefix)))
        and (selector.created_before is None or entry.created_at < selector.created_before)
    )
