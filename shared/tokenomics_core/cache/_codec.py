"""Write an entry as a row and read it back; what was tampered with or damaged is no entry."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import numpy as np

from tokenomics_core.cache._entry import CacheEntry
from tokenomics_core.cache._text import storable, storable_name
from tokenomics_core.errors import ConfigurationError
from tokenomics_core.types import Usage

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tokenomics_core.cache._protocols import Vector

__all__ = ["entry_of", "from_half", "from_halves", "row_of", "storable_entry", "to_half"]

_MOST_LABELS = 10_000


def row_of(entry: CacheEntry) -> tuple[Any, ...]:
    """Return an entry's values in the order of `COLUMNS`."""
    values = (
        entry.id,
        entry.partition,
        entry.key,
        entry.question,
        entry.payload,
        int(entry.is_text),
        entry.answer,
        entry.group,
        float(entry.created_at),
        None if entry.expires_at is None else float(entry.expires_at),
        None if entry.stale_until is None else float(entry.stale_until),
        entry.model,
        entry.tenant,
        json.dumps(entry.sources) if entry.sources else None,
        json.dumps(entry.tags) if entry.tags else None,
        entry.version,
        json.dumps(entry.usage.to_dict()) if entry.usage is not None else None,
        entry.cost_nano_usd,
    )
    return (*values, _digest(values))


def entry_of(row: Sequence[Any]) -> CacheEntry | None:
    """Read a row back; None where it is not what was written."""
    try:
        *values, digest = row
        if digest != _digest(values):
            return None
        (id_, partition, key, question, payload, is_text, answer, group, created, expires, stale, *rest) = (
            values
        )
        model, tenant, sources, tags, version, usage, cost = rest
        if not math.isfinite(created):
            return None
        return CacheEntry(
            id=id_,
            partition=partition,
            key=key,
            question=question,
            payload=bytes(payload),
            is_text=bool(is_text),
            answer=answer,
            group=group,
            created_at=created,
            expires_at=expires,
            stale_until=stale,
            model=model,
            tenant=tenant,
            sources=_names(sources),
            tags=_names(tags),
            version=version,
            usage=None if usage is None else Usage.from_dict(json.loads(usage)),
            cost_nano_usd=cost,
        )
    except (ValueError, TypeError, KeyError, RecursionError, ConfigurationError):
        return None


def storable_entry(entry: CacheEntry) -> CacheEntry:
    """Return the entry with what a database refuses in texts replaced."""
    names = ("question", "answer", "group", "model", "tenant", "version")
    texts: dict[str, Any] = {
        name: storable(value)
        for name in names
        if isinstance(value := getattr(entry, name), str) and storable(value) != value
    }
    for name in ("id", "partition", "key"):
        if storable_name(getattr(entry, name)) != getattr(entry, name):
            texts[name] = storable_name(getattr(entry, name))
    for name in ("sources", "tags"):
        kept = tuple(map(storable, getattr(entry, name)))
        if kept != getattr(entry, name):
            texts[name] = kept
    return replace(entry, **texts) if texts else entry


def to_half(vector: Vector) -> bytes:
    """Write a vector in half precision."""
    return vector.astype("<f2").tobytes()


def from_half(data: Any, dimension: int) -> Vector | None:
    """Read a vector; None where it has another length or holds what is no number."""
    if not isinstance(data, bytes) or len(data) != 2 * dimension:
        return None
    vector = np.frombuffer(data, "<f2").astype(np.float32)
    return vector if bool(np.isfinite(vector).all()) else None


def from_halves(data: bytes, dimension: int) -> NDArray[np.float32]:
    """Read vectors that lie one behind the other, shape (n, dimension)."""
    return np.frombuffer(data, "<f2").astype(np.float32).reshape(-1, dimension)


def _names(data: str | None) -> tuple[str, ...]:
    if data is None:
        return ()
    names = json.loads(data)
    if (
        not isinstance(names, list)
        or len(names) > _MOST_LABELS
        or not all(isinstance(name, str) for name in names)
    ):
        raise ValueError("no list of names")
    return tuple(names)


def _digest(values: Sequence[Any]) -> bytes:
    """Digest everything but the group, which may change."""
    digest = blake2b(digest_size=16)
    for place, value in enumerate(values):
        if place == 7:
            continue
        data = value if isinstance(value, bytes) else repr(value).encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8, "little"))
        digest.update(data)
    return digest.digest()
