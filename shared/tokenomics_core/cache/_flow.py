"""Every decision of the cache, for sync and async callers alike: it yields what is to be done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from tokenomics_core.cache._apart import not_apart
from tokenomics_core.cache._asking import FAILED, Steps
from tokenomics_core.cache._entry import CacheEntry
from tokenomics_core.cache._hit import Hit, How, Lookup, MissReason
from tokenomics_core.cache._protocols import Decision
from tokenomics_core.cache._storing import Storing
from tokenomics_core.cache._text import key_of

__all__ = ["Flow"]

_NEIGHBOURS: Final = 10
_REFRESH_LEASE_S: Final = 30.0
_CLOCKS_APART_S: Final = 60.0
"""How far the clocks of machines that share a store may differ."""


class Flow(Storing):
    """Looks up, stores, learns and invalidates."""

    def look_up(
        self,
        partition: str,
        question: str,
        *,
        how: How = "semantic",
        version: str | None = None,
        tenant: str | None = None,
    ) -> Steps[tuple[Lookup, Hit | None]]:
        """Find an answer: the exact one, else one of the same meaning."""
        parts = self.parts
        asked = Lookup(
            partition=partition, question=question, key=key_of(question), how=how, serial=parts.changes.serial
        )
        guard = parts.objections.to_question(question)
        if guard is not None:
            return self._missed(asked, "guard", guard)
        if how == "never":
            return self._missed(asked, "never_served")
        place, now = self.place(partition), parts.clock()
        entry = yield from self.ask_store("find", place, asked.key, now)
        if entry is FAILED:
            return self._missed(asked, "failure")
        unfit: tuple[MissReason, str | None] | None = None
        if entry is not None:
            unfit = self._unfit(entry, asked, version, tenant)
            if unfit is None:
                return (yield from self._exact_hit(asked, entry, now))
        if how == "exact":
            return self._missed(asked, *(unfit or ("exact_only", None)))
        found = yield from self._by_meaning(asked, place, now, version, tenant)
        return found

    def _exact_hit(self, asked: Lookup, entry: CacheEntry, now: float) -> Steps[tuple[Lookup, Hit | None]]:
        stale = entry.expires_at is not None and entry.expires_at <= now
        claim = None
        if stale:
            owner = self.parts.new_id()
            name = self.refresh_claim(asked)
            granted = yield from self.ask_store("claim", name, owner, _REFRESH_LEASE_S, now)
            claim = owner if granted is True else None
            asked = replace(asked, claim=claim)
        try:
            self.parts.policy.count_exact(self.parts.namespace)
        except Exception as error:  # noqa: BLE001 - a policy that fails may not break the call
            self.parts.watch.failed("policy", error, "nothing is served by meaning")
        hit = Hit(
            entry=entry,
            kind="exact",
            probability=1.0,
            age_s=_age_s(entry, now),
            stale=stale,
            refresh=claim is not None,
            lookup=asked,
        )
        if claim is not None:
            self._remember(asked)
        return self._served(asked, hit)

    def _by_meaning(  # noqa: PLR0911 - one line per way to miss
        self, asked: Lookup, place: str, now: float, version: str | None, tenant: str | None
    ) -> Steps[tuple[Lookup, Hit | None]]:
        vector = yield from self.vector_of(asked.question)
        if vector is None or vector is FAILED:
            return self._missed(asked, "too_long" if vector is None else "failure")
        neighbours = yield from self.ask_store("search", place, vector, _NEIGHBOURS, now)
        if neighbours is FAILED:
            return self._missed(replace(asked, vector=vector), "failure")
        neighbours, kept_apart = not_apart(asked.question, neighbours)
        if kept_apart is not None and not neighbours:
            return self._missed(replace(asked, vector=vector), "guard", kept_apart)
        decision = self.decide(asked.question, neighbours)
        asked = replace(asked, vector=vector, neighbours=tuple(neighbours), decision=decision)
        if decision is None:
            return self._missed(asked, "failure")
        if not decision.serve or decision.neighbour is None:
            reason = "unsure" if decision.reason == "verified" else decision.reason
            return self._missed(asked, reason, decision.guard)
        if decision.neighbour.group in self._disproved.get((asked.partition, asked.key), frozenset()):
            return self._missed(asked, "disproved")
        entry = yield from self.ask_store("read", decision.neighbour.id, now)
        if entry is None or entry is FAILED:
            return self._missed(asked, "expired" if entry is None else "failure")
        if entry.partition != place:  # a store that mixes partitions up is not believed
            return self._missed(asked, "failure")
        unfit = self._unfit(entry, asked, version, tenant)
        if unfit is None and entry.expires_at is not None and entry.expires_at <= now:
            unfit = "expired", None
        if unfit is not None:
            return self._missed(asked, *unfit)
        probability = decision.probability if decision.probability is not None else 0.0
        return self._served(
            asked,
            Hit(
                entry=entry,
                kind="semantic",
                probability=probability,
                age_s=_age_s(entry, now),
                lookup=asked,
            ),
        )

    def find_again(self, asked: Lookup, version: str | None, tenant: str | None) -> Steps[Hit | None]:
        """Find the exact answer that somebody else may have stored since; counts nothing."""
        now = self.parts.clock()
        entry = yield from self.ask_store("find", self.place(asked.partition), asked.key, now)
        if entry is None or entry is FAILED or (entry.expires_at is not None and entry.expires_at <= now):
            return None
        if self._unfit(entry, asked, version, tenant) is not None:
            return None
        return Hit(
            entry=entry,
            kind="exact",
            probability=1.0,
            age_s=_age_s(entry, now),
            shared=True,
            lookup=asked,
        )

    def _unfit(
        self, entry: CacheEntry, asked: Lookup, version: str | None, tenant: str | None
    ) -> tuple[MissReason, str | None] | None:
        if version is not None and entry.version != version:
            return "version", None
        if tenant is not None and entry.tenant is not None and entry.tenant != tenant:
            return "tenant", None
        if entry.expires_at is not None and entry.created_at > self.parts.clock() + _CLOCKS_APART_S:
            return "expired", None  # the clock was set back: nobody knows how old it is
        guard = self.parts.objections.to_serving(asked.question, entry)
        return None if guard is None else ("guard", guard)

    def decide(self, question: str, neighbours: Sequence[Any]) -> Decision | None:
        """Ask the policy; None where it fails."""
        try:
            decision = self.parts.policy.decide(self.parts.namespace, question, neighbours)
        except Exception as error:  # noqa: BLE001 - a policy that fails may not break the call
            self.parts.watch.failed("policy", error, "nothing is served by meaning")
            return None
        self.parts.watch.worked("policy")
        return decision

    def _missed(
        self, asked: Lookup, reason: MissReason, guard: str | None = None
    ) -> tuple[Lookup, Hit | None]:
        missed = replace(asked, reason=reason, guard=guard)
        self.parts.counts.miss(missed)
        if asked.how != "never":
            self._remember(missed)
        self._tell("miss", asked.partition, reason)
        return missed, None

    def _served(self, asked: Lookup, hit: Hit) -> tuple[Lookup, Hit | None]:
        self.parts.counts.hit(hit)
        self.parts.uses.add(hit.entry_id)
        self._tell("hit", asked.partition, "stale" if hit.stale else hit.kind, hit.entry_id)
        return asked, hit


def _age_s(entry: CacheEntry, now: float) -> float:
    return max(0.0, now - entry.created_at)
