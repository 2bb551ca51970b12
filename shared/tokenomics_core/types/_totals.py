"""Sums over lines of the bill."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from decimal import Context, Decimal

from tokenomics_core.types._record import SpendRecord

__all__ = ["Tally", "Totals"]

# Not the ambient context: a caller may have set a low precision, and a bill does not depend on that.
_EXACT = Context(prec=200)
_add = _EXACT.add
_ZERO = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """Sums over records.

    Attributes:
        cost_usd: Sum of all known costs.
        avoided_usd: Sum of all known avoided costs.
        calls: Number of records.
        cached_calls: Of these, answers from a cache.
        unpriced_calls: Of these, calls whose price is unknown; they add nothing to `cost_usd`.
        estimated_calls: Of these, calls whose usage was estimated.
        input_tokens: Sum of known input, cache reads and writes included; likewise the others.
            Answers from a cache add no tokens.
    """

    cost_usd: Decimal = _ZERO
    avoided_usd: Decimal = _ZERO
    calls: int = 0
    cached_calls: int = 0
    unpriced_calls: int = 0
    estimated_calls: int = 0
    input_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0

    @classmethod
    def of(cls, records: Iterable[SpendRecord]) -> Totals:
        """Sum records; sums of amounts are exact."""
        tally = Tally()
        for record in records:
            tally.add(record)
        return tally.totals()

    def __add__(self, other: Totals) -> Totals:
        tally = Tally()
        tally.merge(self)
        tally.merge(other)
        return tally.totals()


_NAMES = tuple(item.name for item in fields(Totals))


class Tally:
    """Sums that grow record by record, under the names that `Totals` has; not safe for threads by itself."""

    __slots__ = _NAMES

    def __init__(self) -> None:
        self.cost_usd = self.avoided_usd = _ZERO
        self.calls = self.cached_calls = self.unpriced_calls = self.estimated_calls = 0
        self.input_tokens = self.cache_read_tokens = self.cache_write_tokens = 0
        self.output_tokens = self.reasoning_tokens = 0

    def add(self, record: SpendRecord) -> None:
        """Add one record."""
        self.calls += 1
        cost_usd, avoided_usd = record.cost_usd, record.avoided_usd
        if cost_usd is None:
            self.unpriced_calls += 1
        elif cost_usd:
            self.cost_usd = _add(self.cost_usd, cost_usd)
        if avoided_usd:
            self.avoided_usd = _add(self.avoided_usd, avoided_usd)
        if record.estimated:
            self.estimated_calls += 1
        if record.source == "cache":
            self.cached_calls += 1
            return
        usage = record.usage
        self.input_tokens += usage.input_tokens or 0
        self.output_tokens += usage.output_tokens or 0
        if count := usage.cache_read_tokens:
            self.cache_read_tokens += count
        if count := usage.cache_write_tokens:
            self.cache_write_tokens += count
        if count := usage.reasoning_tokens:
            self.reasoning_tokens += count

    def merge(self, other: Tally | Totals) -> None:
        """Add other sums."""
        self.calls += other.calls
        self.input_tokens += other.input_tokens
        self.output_tokens += other.output_tokens
        if other.cost_usd:
            self.cost_usd = _add(self.cost_usd, other.cost_usd)
        if other.avoided_usd:
            self.avoided_usd = _add(self.avoided_usd, other.avoided_usd)
        if other.cached_calls:
            self.cached_calls += other.cached_calls
        if other.unpriced_calls:
            self.unpriced_calls += other.unpriced_calls
        if other.estimated_calls:
            self.estimated_calls += other.estimated_calls
        if other.cache_read_tokens:
            self.cache_read_tokens += other.cache_read_tokens
        if other.cache_write_tokens:
            self.cache_write_tokens += other.cache_write_tokens
        if other.reasoning_tokens:
            self.reasoning_tokens += other.reasoning_tokens

    def totals(self) -> Totals:
        """Return the sums so far."""
        return Totals(**{name: getattr(self, name) for name in _NAMES})
