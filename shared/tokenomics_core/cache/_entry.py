"""What a response cache keeps, and how its parts name it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from tokenomics_core.types import Usage

__all__ = ["CacheEntry", "Neighbour", "Selector", "StoreSize"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheEntry:
    """One stored answer.

    Attributes:
        id: Unique in the store; a new answer to the same question has a new one.
        partition: What must be equal for two requests to share an answer at all.
        key: Digest of the normalised question; unique within the partition.
        question: As it was asked.
        payload: The answer as the caller gave it, in UTF-8 where it was text.
        is_text: Whether it was given as text.
        answer: What the answer says, for comparing answers; None where nobody can tell.
        group: Entries whose answers were found to be the same share it.
        created_at: Seconds since 1970 when it was stored.
        expires_at: When it stops being fresh; None for never.
        stale_until: Until when it may be served while it is fetched anew; at or after `expires_at`.
        model: Which model gave it.
        tenant: Whose it is.
        sources: Ids of the documents it was drawn from.
        tags: Free labels to invalidate by.
        version: The version of whatever the caller versions.
        usage: What the call consumed that gave it.
        cost_nano_usd: What that call cost, rounded up; None where unknown.
    """

    id: str
    partition: str
    key: str
    question: str
    payload: bytes
    is_text: bool
    answer: str | None
    group: str
    created_at: float
    expires_at: float | None = None
    stale_until: float | None = None
    model: str | None = None
    tenant: str | None = None
    sources: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    version: str | None = None
    usage: Usage | None = None
    cost_nano_usd: int | None = None


class Neighbour(NamedTuple):
    """A stored question near the one that is asked.

    Attributes:
        id: Of its entry.
        similarity: Cosine of the two questions' vectors.
        question: As it was asked.
        group: Its answer's group.
    """

    id: str
    similarity: float
    question: str
    group: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Selector:
    """Which entries to invalidate: those that meet every condition that is not None.

    Attributes:
        id: One entry.
        partition: One partition.
        tenant: One tenant.
        source: Drawn from this document.
        tag: Labelled with this tag.
        model: Given by this model.
        version: Stored under this version.
        prefix: Whose normalised question starts with the normalised prefix.
        created_before: Stored before this time, in seconds since 1970.
    """

    id: str | None = None
    partition: str | None = None
    tenant: str | None = None
    source: str | None = None
    tag: str | None = None
    model: str | None = None
    version: str | None = None
    prefix: str | None = None
    created_before: float | None = None


class StoreSize(NamedTuple):
    """How much a store holds.

    Attributes:
        entries: Live entries.
        bytes: What they take: payload, question, vector and a constant for the rest.
    """

    entries: int
    bytes: int
