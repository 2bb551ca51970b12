"""What calls of one stream consumed and cost, by model, in a bounded space."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Context, Decimal
from typing import Final

from tokenomics_core.types import SpendRecord

__all__ = ["CORRECTION", "CallSums", "ModelSums", "Name"]

# Not the ambient context: a caller may have set a low precision, and a bill does not depend on that.
_EXACT = Context(prec=200)
_ZERO = Decimal(0)
_PICO = Decimal("1e-12")
_OTHERS = ("other models", None)

CORRECTION: Final = "correction"
"""The operation of a line that takes back a saving; no call was made."""

Name = tuple[str, str | None]
"""A model and its provider."""


class ModelSums:
    """Paid calls of one model, their tokens and their cost."""

    __slots__ = (
        "cache_read_tokens",
        "cache_write_tokens",
        "calls",
        "cost_usd",
        "input_tokens",
        "output_tokens",
    )

    def __init__(self) -> None:
        self.calls = self.input_tokens = self.output_tokens = 0
        self.cache_read_tokens = self.cache_write_tokens = 0
        self.cost_usd = _ZERO

    def merge(self, other: ModelSums) -> None:
        """Add other sums."""
        self.calls += other.calls
        self.input_tokens += other.input_tokens
        self.output_tokens += other.output_tokens
        self.cache_read_tokens += other.cache_read_tokens
        self.cache_write_tokens += other.cache_write_tokens
        self.cost_usd = _EXACT.add(self.cost_usd, other.cost_usd)

    @property
    def tokens(self) -> int:
        """Input and output together."""
        return self.input_tokens + self.output_tokens


class CallSums:
    """Sums over calls with a known cost, by model; answers from a cache are counted apart.

    Not safe for threads by itself.

    Args:
        most_models: Models kept apart; further ones are added up under one name.
    """

    __slots__ = ("_most_models", "hits", "models", "unpriced_calls")

    def __init__(self, most_models: int = 16) -> None:
        self._most_models = most_models
        self.models: dict[Name, ModelSums] = {}
        self.hits = 0
        self.unpriced_calls = 0

    @classmethod
    def of(cls, records: Iterable[SpendRecord], most_models: int = 16) -> CallSums:
        """Add up records."""
        sums = cls(most_models)
        for record in records:
            sums.add(record)
        return sums

    def add(self, record: SpendRecord) -> None:
        """Add one record."""
        if record.operation == CORRECTION:
            return
        cost_usd = record.cost_usd
        if record.source == "cache" and not cost_usd:
            self.hits += 1
            return
        if cost_usd is None:
            self.unpriced_calls += 1
            return
        one = self._sums((record.model, record.provider))
        usage = record.usage
        one.calls += 1
        one.input_tokens += usage.input_tokens or 0
        one.output_tokens += usage.output_tokens or 0
        if count := usage.cache_read_tokens:
            one.cache_read_tokens += count
        if count := usage.cache_write_tokens:
            one.cache_write_tokens += count
        one.cost_usd = _EXACT.add(one.cost_usd, cost_usd)

    def merge(self, other: CallSums) -> None:
        """Add other sums."""
        self.hits += other.hits
        self.unpriced_calls += other.unpriced_calls
        for name, sums in other.models.items():
            self._sums(name).merge(sums)

    def halve(self) -> None:
        """Let what is old weigh half, so that these sums follow what is usual now."""
        self.hits //= 2
        self.unpriced_calls //= 2
        for name, one in list(self.models.items()):
            if one.calls < 2:
                del self.models[name]
                continue
            share = _EXACT.divide(Decimal(one.calls // 2), Decimal(one.calls))
            one.cost_usd = _EXACT.quantize(_EXACT.multiply(one.cost_usd, share), _PICO)
            for count in ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens"):
                setattr(one, count, int(getattr(one, count) * share))
            one.calls //= 2

    @property
    def paid_calls(self) -> int:
        """Calls that a model answered for a known cost."""
        return sum(one.calls for one in self.models.values())

    @property
    def calls(self) -> int:
        """Paid calls and answers from a cache."""
        return self.paid_calls + self.hits

    @property
    def cost_usd(self) -> Decimal:
        """The sum of all known costs, exact."""
        total = _ZERO
        for one in self.models.values():
            total = _EXACT.add(total, one.cost_usd)
        return total

    def _sums(self, name: Name) -> ModelSums:
        sums = self.models.get(name)
        if sums is None:
            if len(self.models) >= self._most_models:
                name = _OTHERS
                if (sums := self.models.get(name)) is not None:
                    return sums
            sums = self.models[name] = ModelSums()
        return sums
