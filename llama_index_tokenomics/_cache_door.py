"""From a call to a place in the cache, and back; what fails on the way never reaches the caller."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

from llama_index_tokenomics._cache_event import mark_of, tell_of_hit
from tokenomics_core.cache import Answer, ChatRequest, Hit, KeyRule, ResponseCache
from tokenomics_core.cache._hit import How

if TYPE_CHECKING:
    from tokenomics_core.cache._turn import Turn

__all__ = ["CachedCall", "Door", "Place"]

_T = TypeVar("_T")
_log = logging.getLogger("tokenomics")
_HOWS = ("semantic", "exact", "never")
_MOST_TOLD = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where the answer to a call is looked for.

    Attributes:
        partition: What must be equal.
        question: What is compared.
        how: How it may be served at most.
        why: Why not by meaning; empty where it may be.
        operation: `chat`, `completion`, `structured` or `query`.
        model: Which model is asked.
        provider: Whose it is.
        tenant: Who asks.
    """

    partition: str
    question: str
    how: How
    why: str = ""
    operation: str = "chat"
    model: str | None = None
    provider: str | None = None
    tenant: str | None = None


class Door:
    """Finds places, and keeps what fails from whoever calls.

    Attributes:
        cache: Where answers live.
        rule: What must be equal, and which requests are served how.
        tenant: Tells whose answers these are.
        failures: How many calls went on without the cache, as something here failed.
    """

    def __init__(self, cache: ResponseCache, rule: KeyRule, tenant: Callable[[], str | None]) -> None:
        self.cache, self.rule, self.tenant = cache, rule, tenant
        self.failures = 0
        self._told: set[str] = set()
        self._lock = threading.Lock()

    def place(
        self,
        request: ChatRequest,
        *,
        most: How,
        why: str,
        operation: str,
        provider: str | None,
    ) -> Place:
        """Say where the answer to a request is looked for."""
        key = self.rule.key_of(request)
        how, reason = key.how, key.why
        if _HOWS.index(most) > _HOWS.index(how):
            how, reason = most, why
        if how == "never":
            self.tell_once(f"a call is not cached: {reason}")
        return Place(
            partition=key.partition,
            question=key.question,
            how=how,
            why=reason,
            operation=operation,
            model=request.model,
            provider=provider,
            tenant=request.tenant,
        )

    def watching(self) -> _Watching:
        """Count and log what fails in a block and would otherwise break a call that it only serves."""
        return _Watching(self)

    def failed(self, error: Exception) -> None:
        """Count and log a failure."""
        with self._lock:
            self.failures += 1
        _log.warning("the response cache was left out of a call: %r", error)

    def tell_once(self, what: str) -> None:
        """Log something the first time it is said."""
        with self._lock:
            if what in self._told or len(self._told) >= _MOST_TOLD:
                return
            self._told.add(what)
        _log.info("%s", what)


class _Watching:
    def __init__(self, door: Door) -> None:
        self._door = door

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if isinstance(error, Exception):
            self._door.failed(error)
            return True
        return False


class CachedCall(Generic[_T]):
    """One call: an answer to say again, or a fresh one to keep.

    Attributes:
        found: The answer to say again; None where the model is to be asked.
        mark: What the answer says of itself then.
    """

    def __init__(self, door: Door, place: Place | None) -> None:
        self.found: _T | None = None
        self.mark: Mapping[str, Any] = {}
        self._door, self._place = door, place
        self._turn: Turn | None = None

    @classmethod
    def begin(cls, door: Door, place: Place | None, read: Callable[[bytes | str], _T | None]) -> Self:
        """Look a call up, and wait where another one computes the same."""
        call = cls(door, place)
        if place is not None and place.how != "never":
            with door.watching():
                call._turn = door.cache.begin(
                    place.partition, place.question, how=place.how, tenant=place.tenant
                )
                call._take(place, read)
        return call

    @classmethod
    async def abegin(cls, door: Door, place: Place | None, read: Callable[[bytes | str], _T | None]) -> Self:
        """Do the same without blocking the event loop."""
        call = cls(door, place)
        if place is not None and place.how != "never":
            with door.watching():
                call._turn = await door.cache.abegin(
                    place.partition, place.question, how=place.how, tenant=place.tenant
                )
                call._take(place, read)
        return call

    def keep(self, answer: Answer | None) -> None:
        """Store a complete answer and serve those who wait."""
        with self._door.watching():
            if (plan := self._plan(answer)) is None:
                return
            turn, place, fresh, how = plan
            if how is None:
                turn.finish(fresh)
            else:
                self._door.cache.put(place.partition, place.question, fresh, how=how, lookup=turn.lookup)

    async def akeep(self, answer: Answer | None) -> None:
        """Store a complete answer without blocking the event loop."""
        with self._door.watching():
            if (plan := self._plan(answer)) is None:
                return
            turn, place, fresh, how = plan
            if how is None:
                await turn.afinish(fresh)
            else:
                await self._door.cache.aput(
                    place.partition, place.question, fresh, how=how, lookup=turn.lookup
                )

    def abandon(self) -> None:
        """Let another caller take over; nothing happens after an answer was kept."""
        with self._door.watching():
            if self._turn is not None:
                self._turn.abandon()

    async def aabandon(self) -> None:
        """Do the same without blocking the event loop."""
        with self._door.watching():
            if self._turn is not None:
                await self._turn.aabandon()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.abandon()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aabandon()

    def _take(self, place: Place, read: Callable[[bytes | str], _T | None]) -> None:
        """Read the answer of a hit; whoever is to fetch it anew is told that there is none."""
        hit: Hit | None = None if self._turn is None else self._turn.hit
        if hit is None or hit.refresh:
            return
        found = read(hit.payload)
        if found is None:
            self._door.tell_once("a stored answer could not be read and is left out")
            return
        self.mark = mark_of(hit)
        self.found = found
        tell_of_hit(hit, operation=place.operation, model=place.model, provider=place.provider)

    def _plan(self, answer: Answer | None) -> tuple[Turn, Place, Answer, How | None] | None:
        """Return what is stored and how; None for `how` where the turn does it."""
        turn, place = self._turn, self._place
        if answer is None or turn is None or place is None or self.found is not None:
            return None
        # Calls of tools to questions that are only alike have other arguments.
        how: How = "exact" if answer.has_tool_calls and place.how == "semantic" else place.how
        by_hand = how != place.how or turn.hit is not None
        return turn, place, answer, how if by_hand else None
