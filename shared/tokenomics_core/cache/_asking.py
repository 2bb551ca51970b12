"""What every decision of the cache is made with, and what it may ask for."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from hashlib import blake2b
from threading import Lock
from typing import Any, Final, TypeVar

from tokenomics_core.cache._answers import AnswerComparer
from tokenomics_core.cache._apart import is_too_long
from tokenomics_core.cache._entry import Selector
from tokenomics_core.cache._events import CacheEvent, Changes, Listeners
from tokenomics_core.cache._hit import Lookup
from tokenomics_core.cache._life import Lifetimes, Room, Uses
from tokenomics_core.cache._money import Costs
from tokenomics_core.cache._objections import Objections
from tokenomics_core.cache._protocols import CachePolicy, Eviction
from tokenomics_core.cache._stats import Counts
from tokenomics_core.cache._watch import Watch

__all__ = ["FAILED", "PENDING", "Asking", "Parts", "Step", "Steps"]

_T = TypeVar("_T")
Step = tuple[str, Any, tuple[Any, ...]]
"""`store` and a method, `embed` and texts, `call` and a function, `wait` and a flight, `pause`; arguments."""

Steps = Generator[Step, Any, _T]  # a step's answer is of the step's type

FAILED: Final = object()
PENDING: Final = 1_024
_MOST_WAITING: Final = 8


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


class Asking:
    """Asks store and embedder, and goes on where they fail."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self._pending: OrderedDict[tuple[str, str], tuple[Lookup, int]] = OrderedDict()
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
        """Embed a question; None where it is too long for one vector, `FAILED` where the embedder fails."""
        try:
            if is_too_long(question) or not self.parts.fits(question):
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

    def _remember(self, lookup: Lookup) -> None:
        """Keep a look-up for the put that may follow it; of several for one question, the first one's serial.

        Nobody can tell which put follows which of them, so what was dropped since the first is not stored.
        """
        place, waiting = (lookup.partition, lookup.key), 1
        with self._lock:
            earlier = self._pending.pop(place, None)
            if earlier is not None:
                lookup = replace(lookup, serial=min(lookup.serial, earlier[0].serial))
                waiting = min(earlier[1] + 1, _MOST_WAITING)
            self._pending[place] = lookup, waiting
            if len(self._pending) > PENDING:
                self._pending.popitem(last=False)

    def _recall(self, partition: str, key: str) -> Lookup | None:
        place = partition, key
        with self._lock:
            lookup, waiting = self._pending.pop(place, (None, 0))
            if lookup is not None and waiting > 1:
                self._pending[place] = lookup, waiting - 1
            return lookup
