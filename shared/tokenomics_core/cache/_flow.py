"""Every decision of the cache, for sync and async callers alike: it yields what is to be done."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from hashlib import blake2b
from threading import Lock
from typing import TYPE_CHECKING, Any, Final, TypeVar

from tokenomics_core.cache._answers import AnswerComparer, answer_digest_text
from tokenomics_core.cache._entry import CacheEntry, Selector
from tokenomics_core.cache._events import CacheEvent, Changes, Listeners
from tokenomics_core.cache._hit import Answer, Hit, How, Lookup, MissReason
from tokenomics_core.cache._life import Lifetimes, Room, Uses
from tokenomics_core.cache._money import Costs
from tokenomics_core.cache._objections import Objections
from tokenomics_core.cache._protocols import CachePolicy, Decision, Eviction
from tokenomics_core.cache._stats import Counts
from tokenomics_core.cache._text import key_of, storable
from tokenomics_core.cache._watch import Watch

if TYPE_CHECKING:
    from tokenomics_core.cache._protocols import Vector

__all__ = ["FAILED", "Flow", "Parts", "Step", "Steps"]

_T = TypeVar("_T")
Step = tuple[str, Any, tuple[Any, ...]]
"""`store` and a method, `embed` and texts, `call` and a function, `wait` and a flight, `pause`; arguments."""

Steps = Generator[Step, Any, _T]  # a step's answer is of the step's type

FAILED: Final = object()
_NEIGHBOURS = 10
_PENDING = 1_024
_SAVE_EVERY = 100
_REFRESH_LEASE_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What the decisions are made with."""

    namespace: str
    policy: CachePolicy
    objections: Objections
    comparer: AnswerComparer
    lifetimes: Lifetimes
    room: Room
    eviction: Eviction
    fits: Callable[[str], bool]
    costs: Costs
    clock: Callable[[], float]
    new_id: Callable[[], str]
    uses: Uses
    watch: Watch
    counts: Counts
    changes: Changes
    listeners: Listeners


class Flow:
    """Looks up, stores, learns and invalidates."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self._pending: OrderedDict[tuple[str, str], Lookup] = OrderedDict()
        self._disproved: OrderedDict[tuple[str, str], frozenset[str]] = OrderedDict()
        self._lock = Lock()
        self._unsaved = 0

    def place(self, partition: str) -> str:
        """Name a partition in the store, where namespaces share one."""
        plain = len(partition) <= 512 and partition.isprintable()
        if plain:
            return f"{self.parts.namespace}\x1f{partition}"
        digest = blake2b(partition.encode("utf-8", "surrogatepass"), digest_size=32).hexdigest()
        return f"{self.parts.namespace}\x1e{digest}"

    # -- look-up

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
        if missed.vector is not None:
            self._remember(missed)
        self._tell("miss", asked.partition, reason)
        return missed, None

    def _served(self, asked: Lookup, hit: Hit) -> tuple[Lookup, Hit | None]:
        self.parts.counts.hit(hit)
        self.parts.uses.add(hit.entry_id)
        self._tell("hit", asked.partition, "stale" if hit.stale else hit.kind, hit.entry_id)
        return asked, hit

    def _remember(self, lookup: Lookup) -> None:
        """Keep a look-up for the put that may follow it."""
        with self._lock:
            self._pending[lookup.partition, lookup.key] = lookup
            if len(self._pending) > _PENDING:
                self._pending.popitem(last=False)

    def _recall(self, partition: str, key: str) -> Lookup | None:
        with self._lock:
            return self._pending.pop((partition, key), None)

    # -- put

    def put(
        self,
        partition: str,
        question: str,
        fresh: Answer,
        *,
        lookup: Lookup | None = None,
        how: How = "semantic",
    ) -> Steps[CacheEntry | None]:
        """Store a fresh answer and learn from it; None where it is not kept."""
        parts, key = self.parts, key_of(question)
        remembered = self._recall(partition, key)
        if lookup is None or lookup.key != key or lookup.partition != partition:
            lookup = remembered
        reason, by_guard = self._refusal(question, fresh, how)
        if reason is None:
            entry = yield from self._entry(partition, question, key, fresh, lookup)
            if not parts.room.fits(Room.bytes_of(entry.payload, question, 0)):
                reason = "too_large"
            elif lookup is not None and parts.changes.outdate(entry, lookup.serial):
                reason = "invalidated"
        stored = None
        if reason is None:
            stored = yield from self._store(entry, lookup, how)
        else:
            parts.counts.refused(reason, by_guard=by_guard)
            self._tell("refused", partition, reason)
        if lookup is not None and lookup.claim is not None:
            yield from self.ask_store("release", self.refresh_claim(lookup), lookup.claim)
        return stored

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
            group = yield from self._learn(lookup, text)
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

    def _store(self, entry: CacheEntry, lookup: Lookup | None, how: How) -> Steps[CacheEntry | None]:
        parts = self.parts
        vector: Vector | None = lookup.vector if lookup is not None else None
        if vector is None and how == "semantic":
            vector = yield from self.vector_of(entry.question)
            vector = None if vector is FAILED else vector
        done = yield from self.ask_store("put", entry, vector)
        if done is FAILED:
            parts.counts.refused("failure", by_guard=False)
            return None
        if lookup is not None and parts.changes.outdate(entry, lookup.serial):  # while it was being written
            yield from self.ask_store("invalidate", Selector(id=entry.id))
            parts.counts.refused("invalidated", by_guard=False)
            return None
        parts.counts.add("stored")
        self._tell("stored", lookup.partition if lookup else None, None, entry.id)
        dimension = 0 if vector is None else len(vector)
        if parts.room.grew(Room.bytes_of(entry.payload, entry.question, dimension)):
            yield from self.make_room()
        return entry

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

    # -- learning

    def _learn(self, lookup: Lookup, text: str) -> Steps[str | None]:
        """Compare a fresh answer with those of the near groups; return the group it belongs to."""
        decision, now = lookup.decision, self.parts.clock()
        same: dict[str, bool] = {}
        for group in () if decision is None else decision.compare:
            near = next((item for item in lookup.neighbours if item.group == group), None)
            if near is None:
                continue
            entry = yield from self.ask_store("read", near.id, now)
            if entry is None or entry is FAILED or entry.answer is None:
                continue
            told = yield from self._compare(text, entry.answer)
            if told is not None:
                same[group] = told
        if decision is not None and same:
            yield from self._taught(decision, same, given=False)
            yield from self.save_policy(only_if_due=True)
        return next((group for group, told in same.items() if told), None)

    def _taught(self, decision: Decision, same: dict[str, bool], *, given: bool) -> Steps[None]:
        """Tell the policy, which may take some milliseconds now and then."""
        parts = self.parts
        learn = partial(parts.policy.learn, parts.namespace, decision, same, given=given)
        try:
            yield "call", learn, ()
        except Exception as error:  # noqa: BLE001 - a policy that fails may not break the call
            parts.watch.failed("policy", error, "it did not learn")
            return
        with self._lock:
            self._unsaved += 1

    def _compare(self, fresh: str, stored: str) -> Steps[bool | None]:
        comparer = self.parts.comparer
        told = comparer.by_form(fresh, stored)
        if told is None and comparer.uses_meaning and self.parts.fits(fresh) and self.parts.fits(stored):
            try:
                vectors = yield "embed", [fresh, stored], ()
                told = comparer.by_meaning(float(vectors[0] @ vectors[1]))
            except Exception as error:  # noqa: BLE001 - an embedder that fails may not break the call
                self.parts.watch.failed("embedder", error, "answers were not compared")
        if told is None and comparer.judge is not None:
            try:
                told = yield "call", comparer.judge, (fresh, stored)
            except Exception as error:  # noqa: BLE001 - a judge that fails may not break the call
                self.parts.watch.failed("judge", error, "answers were not compared")
        return told

    def save_policy(self, *, only_if_due: bool) -> Steps[None]:
        """Keep what the policy has learned, now and then or at the end."""
        with self._lock:
            if self._unsaved < (_SAVE_EVERY if only_if_due else 1):
                return
            self._unsaved = 0
        policy, namespace = self.parts.policy, self.parts.namespace
        try:
            state = policy.state(namespace)
        except Exception as error:  # noqa: BLE001 - a policy that fails may not break the call
            self.parts.watch.failed("policy", error, "what it learned was not saved")
            return
        yield from self.ask_store("save_state", self.state_name, state)

    @property
    def state_name(self) -> str:
        """Where the policy's state is kept."""
        return f"policy {self.parts.policy.name} of {self.parts.namespace}"

    def feedback(self, hit: Hit, *, correct: bool) -> Steps[None]:
        """Learn from who read the answer; one that was wrong is not served for this question again."""
        parts, lookup = self.parts, hit.lookup
        parts.counts.add("right" if correct else "wrong")
        if lookup is not None and lookup.decision is not None and hit.kind == "semantic":
            yield from self._taught(lookup.decision, {hit.group: correct}, given=True)
            yield from self.save_policy(only_if_due=True)
        if correct:
            return
        if hit.kind == "exact":
            selector = Selector(id=hit.entry_id)
            parts.changes.add(selector)
            yield "store", "invalidate", (selector,)
        elif lookup is not None:
            place = (lookup.partition, lookup.key)
            with self._lock:
                self._disproved[place] = self._disproved.get(place, frozenset()) | {hit.group}
                if len(self._disproved) > _PENDING:
                    self._disproved.popitem(last=False)

    # -- invalidation

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

    # -- steps

    def ask_store(self, name: str, *arguments: Any) -> Steps[Any]:
        """Have the store do something; `FAILED` where it cannot."""
        try:
            reply = yield "store", name, arguments
        except Exception as error:  # noqa: BLE001 - a store that fails may not break the call
            self.parts.watch.failed("store", error, "calls go on without it")
            return FAILED
        self.parts.watch.worked("store")
        return reply

    def vector_of(self, question: str) -> Steps[Any]:
        """Embed a question; None where the embedder would not see all of it, `FAILED` where it fails."""
        try:
            if not self.parts.fits(question):
                return None
            vectors = yield "embed", [question], ()
        except Exception as error:  # noqa: BLE001 - an embedder that fails may not break the call
            self.parts.watch.failed("embedder", error, "questions are matched word for word only")
            return FAILED
        self.parts.watch.worked("embedder")
        return vectors[0]

    def refresh_claim(self, lookup: Lookup) -> str:
        """Name the lock of who fetches a stale answer anew."""
        return f"refresh {self.place(lookup.partition)} {lookup.key}"

    def _tell(
        self,
        kind: Any,
        partition: str | None,
        reason: str | None,
        entry_id: str | None = None,
        *,
        entries: int = 0,
        selector: Selector | None = None,
    ) -> None:
        if self.parts.listeners:
            self.parts.listeners.tell(
                CacheEvent(
                    kind=kind,
                    at=self.parts.clock(),
                    partition=partition,
                    reason=reason,
                    entry_id=entry_id,
                    entries=entries,
                    selector=selector,
                )
            )


def _group_of(answer: str | None) -> str | None:
    """Name the group of all answers that read the same; None where nobody can tell."""
    if not answer or not answer.strip():
        return None
    text = answer_digest_text(answer).encode("utf-8", "surrogatepass")
    return f"a-{blake2b(text, digest_size=16).hexdigest()}"


def _age_s(entry: CacheEntry, now: float) -> float:
    return max(0.0, now - entry.created_at)
