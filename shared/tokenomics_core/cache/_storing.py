"""Keep fresh answers, make room for them, and drop what is no longer true."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import TYPE_CHECKING, NamedTuple

from tokenomics_core.cache._answers import answer_digest_text
from tokenomics_core.cache._asking import FAILED, Steps
from tokenomics_core.cache._entry import CacheEntry, Selector
from tokenomics_core.cache._hit import Answer, How, Lookup
from tokenomics_core.cache._learning import Learning
from tokenomics_core.cache._life import Room
from tokenomics_core.cache._text import key_of, storable

if TYPE_CHECKING:
    from tokenomics_core.cache._protocols import Vector

__all__ = ["Kept", "Storing"]


class Kept(NamedTuple):
    """What became of a fresh answer.

    Attributes:
        entry: As it would be served; None where nobody may be served with it.
        is_stored: Whether the store has it.
    """

    entry: CacheEntry | None
    is_stored: bool


class Storing(Learning):
    """Stores and drops."""

    def put(
        self,
        partition: str,
        question: str,
        fresh: Answer,
        *,
        lookup: Lookup | None = None,
        how: How = "semantic",
    ) -> Steps[Kept]:
        """Store a fresh answer and learn from it."""
        parts, key = self.parts, key_of(question)
        if lookup is None or lookup.key != key or lookup.partition != partition:
            lookup = self._recall(partition, key)
        reason, by_guard = self._refusal(question, fresh, how)
        if reason is None:
            entry = yield from self._entry(partition, question, key, fresh, lookup)
            if not parts.room.fits(Room.bytes_of(entry.payload, question, 0)):
                reason = "too_large"
            elif lookup is not None and parts.changes.outdate(entry, lookup.serial):
                reason = "invalidated"
        kept = Kept(None, is_stored=False)
        if reason is None:
            kept = yield from self._store(partition, entry, lookup, how)
        else:
            parts.counts.refused(reason, by_guard=by_guard)
            self._tell("refused", partition, reason)
        if lookup is not None and lookup.claim is not None:
            yield from self.ask_store("release", self.refresh_claim(lookup), lookup.claim)
        return kept

    def _refusal(self, question: str, fresh: Answer, how: How) -> tuple[str | None, bool]:
        if how == "never":
            return "never_served", False
        guard = self.parts.objections.to_storing(question, fresh)
        return guard, guard is not None

    def _entry(
        self, partition: str, question: str, key: str, fresh: Answer, lookup: Lookup | None
    ) -> Steps[CacheEntry]:
        parts, now, text, entry_id = self.parts, self.parts.clock(), fresh.text, self.parts.new_id()
        group = None
        if lookup is not None and lookup.decision is not None and text is not None:
            group = yield from self.learned_group(lookup, text)
        expires_at, stale_until = parts.lifetimes.times(now, fresh.ttl_s, fresh.tags)
        is_text = isinstance(fresh.payload, str)
        if parts.costs.is_loaded or fresh.usage is None:
            cost_nano_usd = parts.costs.cost_nano_usd(fresh.usage, fresh.model)
        else:
            cost_nano_usd = yield "call", parts.costs.cost_nano_usd, (fresh.usage, fresh.model)
        return CacheEntry(
            id=entry_id,
            partition=self.place(partition),
            key=key,
            question=storable(question),
            payload=fresh.payload.encode("utf-8", "surrogatepass")
            if isinstance(fresh.payload, str)
            else bytes(fresh.payload),
            is_text=is_text,
            answer=None if text is None else storable(text),
            group=group or _group_of(text) or entry_id,
            created_at=now,
            expires_at=expires_at,
            stale_until=stale_until,
            model=fresh.model,
            tenant=fresh.tenant,
            sources=fresh.sources,
            tags=fresh.tags,
            version=fresh.version,
            usage=fresh.usage,
            cost_nano_usd=cost_nano_usd,
        )

    def _store(self, partition: str, entry: CacheEntry, lookup: Lookup | None, how: How) -> Steps[Kept]:
        parts = self.parts
        vector: Vector | None = lookup.vector if lookup is not None and how == "semantic" else None
        if vector is None and how == "semantic":
            vector = yield from self.vector_of(entry.question)
            vector = None if vector is FAILED else vector
        done = yield from self.ask_store("put", entry, vector)
        if done is FAILED:
            parts.counts.refused("failure", by_guard=False)
            return Kept(entry, is_stored=False)
        if lookup is not None and parts.changes.outdate(entry, lookup.serial):  # while it was being written
            yield from self.ask_store("invalidate", Selector(id=entry.id))
            parts.counts.refused("invalidated", by_guard=False)
            return Kept(None, is_stored=False)
        parts.counts.add("stored")
        self._tell("stored", partition, None, entry.id)
        dimension = 0 if vector is None else len(vector)
        if parts.room.grew(Room.bytes_of(entry.payload, entry.question, dimension)):
            yield from self.make_room()
        return Kept(entry, is_stored=True)

    def make_room(self) -> Steps[None]:
        """Write down uses, drop what is expired and, where a bound is passed, what is least worth keeping."""
        parts, now = self.parts, self.parts.clock()
        yield from self.flush_uses()
        size = yield from self.ask_store("size", now)
        if size is FAILED:
            return
        target = parts.room.measured(size) or parts.room.bounds
        dropped = yield from self.ask_store("trim", *target, parts.eviction, now)
        if dropped is FAILED or not dropped:
            return
        parts.counts.add("evicted", dropped)
        self._tell("evicted", None, None, entries=dropped)
        size = yield from self.ask_store("size", now)
        if size is not FAILED:
            parts.room.measured(size)

    def flush_uses(self) -> Steps[None]:
        """Write down which entries were used."""
        uses = self.parts.uses.take()
        if uses:
            yield from self.ask_store("touch", uses, self.parts.clock())

    def invalidate(self, selectors: Sequence[Selector]) -> Steps[int]:
        """Drop entries at once, also those that are being computed; a store that fails is an error here."""
        total = 0
        for selector in selectors:
            self.parts.changes.add(selector)
            dropped = yield "store", "invalidate", (selector,)
            total += dropped
            self._tell("invalidated", None, None, entries=dropped, selector=selector)
        self.parts.counts.add("invalidated", total)
        return total


def _group_of(answer: str | None) -> str | None:
    """Name the group of all answers that read the same; None where nobody can tell."""
    if not answer or not answer.strip():
        return None
    text = answer_digest_text(answer).encode("utf-8", "surrogatepass")
    return f"a-{blake2b(text, digest_size=16).hexdigest()}"
