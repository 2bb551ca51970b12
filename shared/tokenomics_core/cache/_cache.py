"""Answers that were paid for once, served again where they are right."""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypedDict, Unpack

from tokenomics_core.cache._answers import AnswerComparer
from tokenomics_core.cache._asking import Parts, Steps
from tokenomics_core.cache._background_work import BackgroundWork
from tokenomics_core.cache._events import Changes, Listeners, SeenVersions
from tokenomics_core.cache._flight import Leases
from tokenomics_core.cache._flow import Flow
from tokenomics_core.cache._hit import Answer, Fetched, Hit, How, Lookup, as_answer, checked_question
from tokenomics_core.cache._life import Lifetimes, Room, Uses, checked_seconds
from tokenomics_core.cache._money import Costs
from tokenomics_core.cache._objections import Objections
from tokenomics_core.cache._protocols import CachePolicy, CacheStore, Eviction
from tokenomics_core.cache._runner import Runner
from tokenomics_core.cache._stats import Counts
from tokenomics_core.cache._turn import LEASE_S, Turn, Turns
from tokenomics_core.cache._upkeep import Upkeep
from tokenomics_core.cache._watch import Watch
from tokenomics_core.cache.content_guards import DEFAULT_GUARDS, ContentGuard
from tokenomics_core.errors import ConfigurationError
from tokenomics_core.steps import call, call_async

if TYPE_CHECKING:
    from tokenomics_core.embedding import Embedder
    from tokenomics_core.protocols import Pricer
    from tokenomics_core.types import HoldOut, Usage

__all__ = ["ResponseCache"]

Computed = bytes | str | Answer


class Narrow(TypedDict, total=False):
    """What a look-up may be narrowed by."""

    how: How
    version: str | None
    tenant: str | None


class About(TypedDict, total=False):
    """What may be said about a fresh answer; see `Answer`."""

    answer: str | None
    usage: Usage | None
    model: str | None
    tenant: str | None
    sources: Iterable[str] | str
    tags: Iterable[str] | str
    version: str | None
    ttl_s: float | None
    finish_reason: str | None
    has_tool_calls: bool
    is_error: bool
    judge_score: float | None


class ResponseCache(Upkeep):
    """Serves an answer again to the same question, or to another that has the same answer.

    Only requests of one partition share answers; see `partition_of` and `KeyRule`. The same text always finds
    its answer, without an embedding. Another text finds it where the policy is sure enough and no guard
    objects. What fails inside (store, embedder, policy, a guard, a listener) is counted and logged once, and
    the call goes on as after a miss. Safe from any number of threads and tasks.

    Args:
        store: Where entries live; None for memory.
        embedder: What says how near questions are; None for the one that is shipped.
        policy: What decides whether near is near enough; None for `BoundedError(0.02)`.
        guards: What is never stored or served; `DEFAULT_GUARDS` from `tokenomics_core.cache.content_guards`.
        ttl_s: Seconds that an answer stays fresh; None for ever.
        tag_ttl_s: The same for entries with a tag.
        ttl_jitter: Share of it that is taken away at most, at random, so that not all expires at once.
        stale_s: Seconds after it in which the old answer is served while a new one is fetched; None for none.
        max_entries: Most entries; None for no bound.
        max_bytes: Most bytes; None for no bound.
        eviction: What goes first: `lru` the longest unused, `saving` the least saved per byte.
        namespace: Caches of different namespaces share nothing in a store but space.
        prices: What knows what a call cost; None for a `PriceBook` that is loaded when first needed.
        comparer: What tells whether two answers say the same.
        wait_s: How long a caller waits at most for another's call in flight.
        hold_out: Whose calls are left alone: nothing is served to them and nothing of theirs is kept, so that
            what the cache saves can be measured.
        clock: Seconds since 1970.
        monotonic: Seconds that never go back.
        rng: Where randomness comes from.
        new_id: Where ids come from.

    Raises:
        ConfigurationError: A setting is wrong, or the store holds another embedder's vectors.
    """

    def __init__(
        self,
        store: CacheStore | None = None,
        embedder: Embedder | None = None,
        policy: CachePolicy | None = None,
        *,
        guards: Iterable[ContentGuard] = DEFAULT_GUARDS,
        ttl_s: float | None = None,
        tag_ttl_s: Mapping[str, float] | None = None,
        ttl_jitter: float = 0.0,
        stale_s: float | None = None,
        max_entries: int | None = 100_000,
        max_bytes: int | None = 2**30,
        eviction: Eviction = "lru",
        namespace: str = "default",
        prices: Pricer | None = None,
        comparer: AnswerComparer | None = None,
        wait_s: float = 60.0,
        hold_out: HoldOut | None = None,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        rng: random.Random | None = None,
        new_id: Callable[[], str] = lambda: uuid.uuid4().hex,
    ) -> None:
        if eviction not in {"lru", "saving"}:
            raise ConfigurationError(
                f"eviction must be 'lru' or 'saving', not {eviction!r}; no cache was made"
            )
        if not isinstance(namespace, str) or not namespace.isprintable() or not 1 <= len(namespace) <= 128:
            raise ConfigurationError(
                f"namespace must be 1 to 128 printable characters, not {namespace!r}; no cache was made"
            )
        self.store = _memory() if store is None else store
        self.embedder = _static() if embedder is None else embedder
        self.policy = _bounded() if policy is None else policy
        self.namespace = namespace
        self._wait_s = checked_seconds("wait_s", wait_s) or 0.0
        self._hold_out = hold_out
        self._watch = Watch()
        self._counts = Counts()
        self._versions = SeenVersions()
        self._flow = Flow(
            Parts(
                namespace=namespace,
                policy=self.policy,
                objections=Objections(guards, self._guard_failed),
                comparer=comparer or AnswerComparer(),
                lifetimes=Lifetimes(ttl_s, tag_ttl_s, ttl_jitter, stale_s, rng or random.Random()),  # noqa: S311 - no secret
                room=Room(max_entries, max_bytes),
                eviction=eviction,
                fits=self.embedder.fits,
                costs=Costs(prices, self._prices_failed),
                clock=clock,
                new_id=new_id,
                uses=Uses(),
                watch=self._watch,
                counts=self._counts,
                changes=Changes(),
                listeners=Listeners(self._listener_failed),
            )
        )
        self._runner = Runner(self.store, self.embedder)
        leases = None if _is_private(self.store) else Leases(self._renew, self._let_go, LEASE_S / 3)
        self._turns = Turns(self._flow, self._runner, leases, monotonic)
        self._work = BackgroundWork()
        self._open()

    # -- look up and store

    def get(self, partition: str, question: str, **narrow: Unpack[Narrow]) -> Hit | None:
        """Return an answer, or None.

        Args:
            partition: What must be equal, as `partition_of` makes it.
            question: What is compared, word for word and by meaning.
            narrow: `how` (`semantic`, `exact` or `never`: how it may be served at most), `version` (only
                answers stored under it), `tenant` (never another one's answer, whatever the partition).
        """
        return self._runner.run(self._looked_up(partition, question, narrow))[1]

    async def aget(self, partition: str, question: str, **narrow: Unpack[Narrow]) -> Hit | None:
        """Return an answer, or None, without blocking the event loop; see `get`."""
        return (await self._runner.run_async(self._looked_up(partition, question, narrow)))[1]

    def look_up(self, partition: str, question: str, **narrow: Unpack[Narrow]) -> Lookup:
        """Return a hit, or why there is none; see `get`. Hand it to the `put` that follows a miss."""
        return _with_hit(*self._runner.run(self._looked_up(partition, question, narrow)))

    async def alook_up(self, partition: str, question: str, **narrow: Unpack[Narrow]) -> Lookup:
        """Return a hit, or why there is none, without blocking the event loop; see `look_up`."""
        return _with_hit(*await self._runner.run_async(self._looked_up(partition, question, narrow)))

    def put(
        self,
        partition: str,
        question: str,
        payload: Computed,
        *,
        how: How = "semantic",
        lookup: Lookup | None = None,
        **about: Unpack[About],
    ) -> bool:
        """Store a fresh answer in place of an older one to the same question, and learn from it.

        After a miss the answer is compared with those that were near; whether they say the same teaches the
        policy. The look-up is remembered for that, or is handed in.

        Args:
            partition: As it was looked up.
            question: As it was looked up.
            payload: What a hit will return; an `Answer` brings what is known about it.
            how: `exact` keeps it from being found by meaning; `never` keeps nothing.
            lookup: What `look_up` returned.
            about: `sources`, `tags`, `model`, `tenant`, `ttl_s`, `usage`, `version`, `answer`,
                `finish_reason`, `has_tool_calls`, `is_error`, `judge_score`; see `Answer`.

        Returns:
            Whether it is kept; `stats().refused` counts why not.
        """
        return self._runner.run(self._put(partition, question, payload, how, lookup, about))

    async def aput(
        self,
        partition: str,
        question: str,
        payload: Computed,
        *,
        how: How = "semantic",
        lookup: Lookup | None = None,
        **about: Unpack[About],
    ) -> bool:
        """Store a fresh answer without blocking the event loop; see `put`."""
        return await self._runner.run_async(self._put(partition, question, payload, how, lookup, about))

    # -- one call for many

    def begin(
        self, partition: str, question: str, *, wait_s: float | None = None, **narrow: Unpack[Narrow]
    ) -> Turn:
        """Return a hit or the task to compute it; wait where another caller computes it already.

        What `fetch` does, for those who hand out their answer piece by piece. Use it with `with`, and
        `finish` what it returns without a hit.

        Args:
            partition: See `get`.
            question: See `get`.
            wait_s: How long to wait at most for somebody else; afterwards compute it yourself.
            narrow: See `get`.
        """
        return self._runner.run(self._begun(partition, question, wait_s, narrow))

    async def abegin(
        self, partition: str, question: str, *, wait_s: float | None = None, **narrow: Unpack[Narrow]
    ) -> Turn:
        """Return a hit or the task to compute it, without blocking the event loop; see `begin`."""
        return await self._runner.run_async(self._begun(partition, question, wait_s, narrow))

    def fetch(
        self,
        partition: str,
        question: str,
        compute: Callable[[], Computed | Awaitable[Computed]],
        *,
        wait_s: float | None = None,
        how: How = "semantic",
        **about: Unpack[About],
    ) -> Fetched:
        """Return an answer from the cache, or compute it once for all who ask at the same time.

        Where the one who computes fails or is interrupted, one of those who wait takes over; its error goes
        to its own caller only. An answer past its time is returned at once and fetched anew behind it,
        where the cache has `stale_s`.

        Args:
            partition: See `get`.
            question: See `get`.
            compute: Returns the payload, or an `Answer` with what is known about it.
            wait_s: How long to wait at most for somebody else; afterwards this caller computes.
            how: See `get`.
            about: See `put`; `version` and `tenant` also narrow what is found.
        """
        with self.begin(partition, question, wait_s=wait_s, **_narrow(how, about)) as turn:
            hit = turn.hit
            if hit is not None:
                if hit.refresh:
                    self._work.in_thread(lambda: self._refresh(hit, compute, about))
                return Fetched(payload=hit.payload, hit=hit)
            fresh = as_answer(call(compute), dict(about))
            return Fetched(payload=fresh.payload, lookup=turn.lookup, is_stored=turn.finish(fresh))

    async def afetch(
        self,
        partition: str,
        question: str,
        compute: Callable[[], Computed | Awaitable[Computed]],
        *,
        wait_s: float | None = None,
        how: How = "semantic",
        **about: Unpack[About],
    ) -> Fetched:
        """Return an answer from the cache, or compute it once, without blocking the event loop; see `fetch`.

        A `compute` that is not async runs in a thread.
        """
        turn = await self.abegin(partition, question, wait_s=wait_s, **_narrow(how, about))
        async with turn:
            if turn.hit is not None:
                if turn.hit.refresh:
                    self._work.in_task(self._arefresh(turn.hit, compute, about))
                return Fetched(payload=turn.hit.payload, hit=turn.hit)
            fresh = as_answer(await call_async(compute), dict(about))
            return Fetched(payload=fresh.payload, lookup=turn.lookup, is_stored=await turn.afinish(fresh))

    # -- inside

    def _looked_up(self, partition: str, question: str, narrow: Narrow) -> Steps[tuple[Lookup, Hit | None]]:
        how = narrow.get("how", "semantic")
        checked_question(partition, question, how)
        allowed: Narrow = {**narrow, "how": self._allowed(how)}
        return self._flow.look_up(partition, question, **allowed)

    def _put(
        self,
        partition: str,
        question: str,
        payload: Computed,
        how: How,
        lookup: Lookup | None,
        about: About,
    ) -> Steps[bool]:
        checked_question(partition, question, how)
        fresh = as_answer(payload, dict(about))
        kept = yield from self._flow.put(partition, question, fresh, lookup=lookup, how=self._allowed(how))
        return kept.is_stored

    def _begun(self, partition: str, question: str, wait_s: float | None, narrow: Narrow) -> Steps[Turn]:
        how = narrow.get("how", "semantic")
        checked_question(partition, question, how)
        patience_s = self._wait_s if wait_s is None else checked_seconds("wait_s", wait_s) or 0.0
        return self._turns.begin(
            partition, question, patience_s, self._allowed(how), narrow.get("version"), narrow.get("tenant")
        )

    def _allowed(self, how: How) -> How:
        """Return how the call at hand may be served at most; not at all where it is left alone."""
        return "never" if self._hold_out is not None and self._hold_out.leaves_alone() else how

    def _refresh(self, hit: Hit, compute: Callable[[], Any], about: About) -> None:
        try:
            self._runner.run(self._renewed(hit, as_answer(call(compute), dict(about))))
        except Exception as error:  # noqa: BLE001 - nobody waits for it; the next caller tries again
            self._watch.failed("refresh", error, "the old answer stays until its time is up")

    async def _arefresh(self, hit: Hit, compute: Callable[[], Any], about: About) -> None:
        try:
            await self._runner.run_async(
                self._renewed(hit, as_answer(await call_async(compute), dict(about)))
            )
        except Exception as error:  # noqa: BLE001 - nobody waits for it; the next caller tries again
            self._watch.failed("refresh", error, "the old answer stays until its time is up")

    def _renewed(self, hit: Hit, fresh: Answer) -> Steps[Any]:
        lookup = hit.lookup
        if lookup is not None:
            yield from self._flow.put(lookup.partition, lookup.question, fresh, lookup=lookup, how=lookup.how)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()


def _with_hit(lookup: Lookup, hit: Hit | None) -> Lookup:
    return lookup if hit is None else replace(lookup, hit=hit)


def _narrow(how: How, about: About) -> Narrow:
    return Narrow(how=how, version=about.get("version"), tenant=about.get("tenant"))


def _memory() -> CacheStore:
    from tokenomics_core.cache import MemoryCacheStore  # noqa: PLC0415 - loads numpy

    return MemoryCacheStore()


def _is_private(store: CacheStore) -> bool:
    """Whether no other process can see the store, so that no lock in it is needed."""
    from tokenomics_core.cache import MemoryCacheStore  # noqa: PLC0415 - as above

    return isinstance(store, MemoryCacheStore)


def _static() -> Embedder:
    from tokenomics_core.embedding import StaticEmbedder  # noqa: PLC0415 - loads numpy

    return StaticEmbedder()


def _bounded() -> CachePolicy:
    from tokenomics_core.cache import BoundedError  # noqa: PLC0415 - loads numpy

    return BoundedError()
