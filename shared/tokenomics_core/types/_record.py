"""One line of the bill, and sums of such lines."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from decimal import Context, Decimal, localcontext
from typing import Any, Literal

from tokenomics_core.errors import ConfigurationError
from tokenomics_core.types._attribution import Attribution
from tokenomics_core.types._usage import Usage

__all__ = ["DIMENSIONS", "Outcome", "Source", "SpendRecord", "Totals", "dimension_of"]

Source = Literal["model", "cache", "batch"]
# Not the ambient context: a caller may have set a low precision, and a bill does not depend on that.
_EXACT = Context(prec=200)
Outcome = Literal["ok", "aborted", "cancelled", "error"]

DIMENSIONS = (
    "model",
    "provider",
    "user",
    "feature",
    "project",
    "conversation",
    "run",
    "source",
    "operation",
    "outcome",
    "price_source",
    "avoided_by",
)
"""What a ledger can group by, besides any tag."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpendRecord:
    """One call as it stands on the bill.

    Attributes:
        at: When the call ended, with a time zone.
        model: The model as the provider or the caller named it.
        usage: What it consumed; where nothing was reported, an estimate marked as one.
        cost_usd: What it cost; None where no price is known, 0 for an answer from a cache.
        price_source: Where the price came from, in words.
        attribution: Who the call was for.
        provider: Who served it, where known.
        source: `model` for a paid call, `cache` for an answer that cost nothing, `batch`.
        operation: `chat`, `completion`, `embedding` ...
        outcome: `ok`, or `aborted` (a stream not read to its end), `cancelled`, `error`.
        estimated: Whether the usage was estimated here.
        latency_s: Seconds from start to end of the call.
        avoided_usd: What the call would have cost more without the package; None where unknown.
        avoided_by: What avoided it: `cache`, `route`, `compress`, `prompt_cache`, `batch`.
        notes: What a reader of the bill should know.
        id: The same for the same call wherever it is recorded.
        content: Prompt and answer; None unless its owner asked to keep them.
    """

    at: datetime
    model: str
    usage: Usage
    cost_usd: Decimal | None
    price_source: str
    attribution: Attribution = field(default_factory=Attribution)
    provider: str | None = None
    source: Source = "model"
    operation: str = "chat"
    outcome: Outcome = "ok"
    estimated: bool = False
    latency_s: float | None = None
    avoided_usd: Decimal | None = None
    avoided_by: str | None = None
    notes: tuple[str, ...] = ()
    id: str = field(default_factory=lambda: os.urandom(16).hex())
    content: str | None = None

    def __post_init__(self) -> None:
        if self.at.tzinfo is None:
            raise ConfigurationError(f"a record's time needs a time zone, not {self.at!r}")
        if self.source not in {"model", "cache", "batch"}:
            raise ConfigurationError(f"source must be 'model', 'cache' or 'batch', not {self.source!r}")

    def to_dict(self) -> dict[str, Any]:
        """Return the record as plain JSON types; amounts are strings so that no digit is lost."""
        out: dict[str, Any] = {}
        for item in fields(self):
            value = getattr(self, item.name)
            if isinstance(value, datetime):
                value = value.isoformat()
            elif isinstance(value, Decimal):
                value = format(value, "f")
            elif isinstance(value, (Usage, Attribution)):
                value = value.to_dict()
            elif isinstance(value, tuple):
                value = list(value)
            out[item.name] = value
        return out

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> SpendRecord:
        """Rebuild what `to_dict` returned."""
        values = dict(data)
        values["at"] = datetime.fromisoformat(values["at"])
        values["usage"] = Usage.from_dict(values["usage"])
        values["attribution"] = Attribution(**values.get("attribution", {}))
        values["notes"] = tuple(values.get("notes", ()))
        for name in ("cost_usd", "avoided_usd"):
            if values.get(name) is not None:
                values[name] = Decimal(values[name])
        return cls(**values)


def dimension_of(record: SpendRecord, dimension: str) -> str | None:
    """Return a record's value in a dimension of `DIMENSIONS`, or in the tag of that name."""
    if dimension in {"user", "feature", "project", "conversation", "run"} or dimension not in DIMENSIONS:
        return record.attribution.get(dimension)
    value: str | None = getattr(record, dimension)
    return value


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

    cost_usd: Decimal = Decimal(0)
    avoided_usd: Decimal = Decimal(0)
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
        total = cls()
        for record in records:
            total = total + cls._one(record)
        return total

    @classmethod
    def _one(cls, record: SpendRecord) -> Totals:
        paid = record.usage if record.source != "cache" else Usage()
        return cls(
            cost_usd=record.cost_usd or Decimal(0),
            avoided_usd=record.avoided_usd or Decimal(0),
            calls=1,
            cached_calls=int(record.source == "cache"),
            unpriced_calls=int(record.cost_usd is None),
            estimated_calls=int(record.estimated),
            input_tokens=paid.input_tokens or 0,
            cache_read_tokens=paid.cache_read_tokens or 0,
            cache_write_tokens=paid.cache_write_tokens or 0,
            output_tokens=paid.output_tokens or 0,
            reasoning_tokens=paid.reasoning_tokens or 0,
        )

    def __add__(self, other: Totals) -> Totals:
        with localcontext(_EXACT):
            sums = {item.name: getattr(self, item.name) + getattr(other, item.name) for item in fields(self)}
        return Totals(**sums)
