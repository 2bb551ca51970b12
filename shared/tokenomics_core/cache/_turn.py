"""Whose turn it is to compute an answer that several ask for at the same time."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Self

from tokenomics_core.cache._asking import Steps
from tokenomics_core.cache._flight import Flight, Flights, Leases, Outcome
from tokenomics_core.cache._flow import Flow
from tokenomics_core.cache._hit import Answer, Hit, How, Lookup, as_answer
from tokenomics_core.cache._runner import Runner

if TYPE_CHECKING:
    from types import TracebackType

    from tokenomics_core.cache._storing import Kept

__all__ = ["LEASE_S", "Turn", "Turns"]

LEASE_S: Final = 10.0
_FIRST_PAUSE_S: Final = 0.005
_LONGEST_PAUSE_S: Final = 0.25


class Turn:
    """What a caller got that asked for an answer: a hit, or the task to compute it.

    Without a hit, compute the answer and `finish` with it; those who wait are served by it. Used as a context
    manager, a turn that was not finished is abandoned, and one of those who wait takes over.

    Attributes:
        hit: The answer, where there is one.
        lookup: Why there is none.
        leads: Whether others may be waiting for this caller. Without a hit it is False where waiting took too
            long, where the answer may not be kept, or inside the very computation that it would wait for.
    """

    def __init__(
        self, lookup: Lookup, hit: Hit | None, flight: Flight | None, owner: str | None, turns: Turns
    ) -> None:
        self.lookup, self.hit = lookup, hit
        self.leads = flight is not None
        self._flight, self._owner, self._turns = flight, owner, turns
        self._is_over = hit is not None

    def finish(self, payload: bytes | str | Answer, **about: Any) -> bool:
        """Hand in the fresh answer; tell whether it is kept. Takes what `ResponseCache.put` takes."""
        fresh = as_answer(payload, about)
        return self._turns.runner.run(self._finish(fresh))

    async def afinish(self, payload: bytes | str | Answer, **about: Any) -> bool:
        """Hand in the fresh answer without blocking the event loop; see `finish`."""
        fresh = as_answer(payload, about)
        return await self._turns.runner.run_async(self._finish(fresh))

    def abandon(self) -> None:
        """Let one of those who wait take over; nothing happens after `finish`."""
        if not self._is_over:
            self._turns.runner.run(self._abandon())

    async def aabandon(self) -> None:
        """Let one of those who wait take over, without blocking the event loop."""
        if not self._is_over:
            await self._turns.runner.run_async(self._abandon())

    def __del__(self) -> None:
        if not self._is_over and self._flight is not None:
            self._end("failed", None)
            self._turns.let_lapse(self._flight.name, self._owner or "")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.abandon()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aabandon()

    def _finish(self, fresh: Answer) -> Steps[bool]:
        if self._is_over:
            return False
        self._is_over = True
        outcome: Outcome = "failed"
        hit = None
        try:
            kept = yield from self._turns.put(self.lookup, fresh)
            # What a guard refused is for nobody else; what only the store could not keep is.
            outcome = "private" if kept.entry is None else "shared"
            if kept.entry is not None:
                hit = Hit(
                    entry=kept.entry,
                    kind="exact",
                    probability=1.0,
                    age_s=0.0,
                    shared=True,
                    lookup=self.lookup,
                )
        finally:
            self._end(outcome, hit)
            if self._flight is not None and self._owner is not None:  # also where storing is interrupted
                self._turns.let_lapse(self._flight.name, self._owner)
        yield from self._release()
        return kept.is_stored

    def _abandon(self) -> Steps[None]:
        self._is_over = True
        self._end("failed", None)
        yield from self._release()

    def _end(self, outcome: Outcome, hit: Hit | None) -> None:
        if self._flight is not None:
            self._turns.flights.end(self._flight, outcome, hit)

    def _release(self) -> Steps[None]:
        if self._flight is not None and self._owner is not None:
            yield from self._turns.give_back(self._flight.name, self._owner)


class Turns:
    """Hands out turns: in this process by flights, among processes by a lock in the store that is kept alive.

    Args:
        flow: What looks up and stores.
        runner: Takes the steps.
        leases: Keeps the locks alive; None where no other process can see the store.
        monotonic: A clock that never goes back, in seconds.
    """

    def __init__(
        self,
        flow: Flow,
        runner: Runner,
        leases: Leases | None,
        monotonic: Callable[[], float],
    ) -> None:
        self.flow, self.runner = flow, runner
        self.flights = Flights()
        self._leases, self._monotonic = leases, monotonic

    def begin(
        self,
        partition: str,
        question: str,
        timeout_s: float,
        how: How,
        version: str | None,
        tenant: str | None,
    ) -> Steps[Turn]:
        """Look up; on a miss become the one who computes, or wait for who does."""
        deadline = self._monotonic() + timeout_s
        lookup, hit = yield from self.flow.look_up(
            partition, question, how=how, version=version, tenant=tenant
        )
        name = f"flight {self.flow.place(partition)} {lookup.key} {tenant!r} {version!r}"
        if hit is not None or how == "never" or _asked_in_vain(lookup) or self.flights.leads_already(name):
            return Turn(lookup, hit, None, None, self)
        while True:
            flight, leads = self.flights.join(name)
            if leads:
                return (yield from self._lead(lookup, flight, deadline, version, tenant))
            left_s = deadline - self._monotonic()
            ended = left_s > 0 and (yield "wait", flight, (left_s,))
            if not ended:
                self.flow.parts.counts.add("waits_given_up")
                return Turn(lookup, None, None, None, self)
            if flight.outcome == "shared" and flight.hit is not None:
                return Turn(lookup, self._shared(lookup, flight.hit), None, None, self)
            if flight.outcome != "failed":
                return Turn(lookup, None, None, None, self)

    def _lead(
        self, lookup: Lookup, flight: Flight, deadline: float, version: str | None, tenant: str | None
    ) -> Steps[Turn]:
        """Take the lock that other processes see; whoever had it may have stored the answer by now."""
        handed_over = False
        owner = self.flow.parts.new_id()
        try:
            pause_s = _FIRST_PAUSE_S
            while True:
                granted = yield from self._claim(flight.name, owner)
                hit = yield from self.flow.find_again(lookup, version, tenant)
                if hit is not None:
                    if granted:
                        yield from self.give_back(flight.name, owner)
                    self.flights.end(flight, "shared", hit)
                    return Turn(lookup, self._shared(lookup, hit), None, None, self)
                if granted or self._monotonic() >= deadline:
                    handed_over = True
                    return Turn(lookup, None, flight, owner if granted else None, self)
                yield "pause", pause_s, ()
                pause_s = min(_LONGEST_PAUSE_S, pause_s * 2)
        finally:
            if not handed_over:
                self.flights.end(flight, "failed")
                self.let_lapse(flight.name, owner)

    def _claim(self, name: str, owner: str) -> Steps[bool]:
        """Take the lock; a store that cannot lock leaves every process to itself."""
        if self._leases is None:
            return True
        granted = yield from self.flow.ask_store("claim", name, owner, LEASE_S, self.flow.parts.clock())
        if granted is True:
            self._leases.hold(name, owner)
        return granted is not False

    def let_lapse(self, name: str, owner: str) -> None:
        """Keep the lock alive no longer."""
        if self._leases is not None:
            self._leases.drop(name, owner)

    def give_back(self, name: str, owner: str) -> Steps[None]:
        """Give the lock back."""
        self.let_lapse(name, owner)
        if self._leases is not None:
            yield from self.flow.ask_store("release", name, owner)

    def put(self, lookup: Lookup, fresh: Answer) -> Steps[Kept]:
        """Store what was computed."""
        return (
            yield from self.flow.put(lookup.partition, lookup.question, fresh, lookup=lookup, how=lookup.how)
        )

    def _shared(self, lookup: Lookup, hit: Hit) -> Hit:
        self.flow.parts.counts.taken_back(lookup)
        self.flow.parts.counts.hit(hit)
        self.flow.parts.uses.add(hit.entry_id)
        return hit


def _asked_in_vain(lookup: Lookup) -> bool:
    """Whether a guard objects to the question itself, so that no answer to it will be kept."""
    return lookup.reason == "guard" and lookup.decision is None and lookup.vector is None
