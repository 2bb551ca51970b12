"""What the cache saved, what it missed and why, and how sure it is of its answers."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from tokenomics_core.cache._hit import Hit, Lookup
from tokenomics_core.cache._money import from_nano
from tokenomics_core.cache._protocols import PolicyReport

__all__ = ["CacheStats", "Counts"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheStats:
    """What a cache did since it was made; it draws itself in notebooks and terminals.

    Attributes:
        hits_exact: Answers to the same text, those past their time included.
        hits_semantic: Answers to another question of the same meaning.
        hits_stale: Of the exact ones, those served past their time while they were fetched anew.
        hits_shared: Answers taken from a call in flight.
        waits_given_up: Callers that waited too long for a call in flight and made their own.
        misses: Look-ups without an answer, by reason.
        guards: Objections by guard, when asked, served or stored.
        stored: Answers kept.
        refused: Answers not kept, by reason.
        avoided_input_tokens: Input of the calls that hits replaced, where known.
        avoided_output_tokens: Output of them, where known.
        avoided_usd: What they cost, where known.
        unpriced_hits: Hits whose cost nobody knows.
        mean_hit_age_s: Of the answers served, in seconds; None before the first.
        max_hit_age_s: Of the oldest answer served.
        entries: Live entries in the store; None where it cannot be reached.
        bytes: What they take.
        evicted: Entries dropped to make room.
        invalidated: Entries dropped because they were no longer true.
        wrong_reported: Hits that feedback called wrong.
        right_reported: Hits that feedback called right.
        policy: What the policy knows of its own error.
        failures: Failures of store, embedder, policy ... that no caller saw.
    """

    hits_exact: int = 0
    hits_semantic: int = 0
    hits_stale: int = 0
    hits_shared: int = 0
    waits_given_up: int = 0
    misses: Mapping[str, int] = field(default_factory=dict)
    guards: Mapping[str, int] = field(default_factory=dict)
    stored: int = 0
    refused: Mapping[str, int] = field(default_factory=dict)
    avoided_input_tokens: int = 0
    avoided_output_tokens: int = 0
    avoided_usd: Decimal = Decimal(0)
    unpriced_hits: int = 0
    mean_hit_age_s: float | None = None
    max_hit_age_s: float | None = None
    entries: int | None = None
    bytes: int | None = None
    evicted: int = 0
    invalidated: int = 0
    wrong_reported: int = 0
    right_reported: int = 0
    policy: PolicyReport = field(default_factory=PolicyReport)
    failures: Mapping[str, int] = field(default_factory=dict)

    @property
    def hits(self) -> int:
        """Answers that needed no call of their own."""
        return self.hits_exact + self.hits_semantic + self.hits_shared

    @property
    def requests(self) -> int:
        """Look-ups."""
        return self.hits + sum(self.misses.values())

    @property
    def hit_rate(self) -> float | None:
        """Share of look-ups that were answered; None before the first."""
        return self.hits / self.requests if self.requests else None

    def __str__(self) -> str:
        from tokenomics_core.cache._stats_table import stats_text  # noqa: PLC0415 - drawing is rare

        return stats_text(self)

    def _repr_html_(self) -> str:
        from tokenomics_core.cache._stats_table import stats_html  # noqa: PLC0415 - likewise

        return stats_html(self)

    def __rich__(self) -> Any:
        from tokenomics_core.cache._stats_table import stats_rich  # noqa: PLC0415 - likewise

        return stats_rich(self)


class Counts:
    """Adds up what happens, from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._numbers: Counter[str] = Counter()
        self._misses: Counter[str] = Counter()
        self._guards: Counter[str] = Counter()
        self._refused: Counter[str] = Counter()
        self._avoided_nano_usd = 0
        self._age_s = self._max_age_s = 0.0

    def hit(self, hit: Hit) -> None:
        """Count an answer served."""
        usage = hit.avoided_usage
        with self._lock:
            self._numbers["shared" if hit.shared else hit.kind] += 1
            self._numbers["stale"] += hit.stale
            self._age_s += hit.age_s
            self._max_age_s = max(self._max_age_s, hit.age_s)
            if hit.refresh:  # the call is made all the same
                return
            if usage is not None:
                self._numbers["input"] += usage.input_tokens or 0
                self._numbers["output"] += usage.output_tokens or 0
            if hit.entry.cost_nano_usd is None:
                self._numbers["unpriced"] += 1
            else:
                self._avoided_nano_usd += hit.entry.cost_nano_usd

    def miss(self, lookup: Lookup) -> None:
        """Count a look-up without an answer."""
        with self._lock:
            self._misses[lookup.reason or "unsure"] += 1
            if lookup.guard is not None:
                self._guards[lookup.guard] += 1

    def taken_back(self, lookup: Lookup) -> None:
        """Count a miss no longer, as it was answered by a call in flight."""
        with self._lock:
            self._misses[lookup.reason or "unsure"] -= 1

    def refused(self, reason: str, *, by_guard: bool) -> None:
        """Count an answer not kept."""
        with self._lock:
            self._refused[reason] += 1
            if by_guard:
                self._guards[reason] += 1

    def add(self, name: str, count: int = 1) -> None:
        """Count something else."""
        with self._lock:
            self._numbers[name] += count

    def stats(
        self,
        *,
        entries: int | None,
        n_bytes: int | None,
        policy: PolicyReport,
        failures: Mapping[str, int],
    ) -> CacheStats:
        """Return all of it."""
        with self._lock:
            number = dict(self._numbers)
            served = sum(number.get(name, 0) for name in ("exact", "semantic", "shared"))
            return CacheStats(
                hits_exact=number.get("exact", 0),
                hits_semantic=number.get("semantic", 0),
                hits_stale=number.get("stale", 0),
                hits_shared=number.get("shared", 0),
                waits_given_up=number.get("waits_given_up", 0),
                misses={reason: count for reason, count in self._misses.items() if count},
                guards=dict(self._guards),
                stored=number.get("stored", 0),
                refused=dict(self._refused),
                avoided_input_tokens=number.get("input", 0),
                avoided_output_tokens=number.get("output", 0),
                avoided_usd=from_nano(self._avoided_nano_usd) or Decimal(0),
                unpriced_hits=number.get("unpriced", 0),
                mean_hit_age_s=self._age_s / served if served else None,
                max_hit_age_s=self._max_age_s if served else None,
                entries=entries,
                bytes=n_bytes,
                evicted=number.get("evicted", 0),
                invalidated=number.get("invalidated", 0),
                wrong_reported=number.get("wrong", 0),
                right_reported=number.get("right", 0),
                policy=policy,
                failures=dict(failures),
            )
