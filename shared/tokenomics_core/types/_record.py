"""One line of the bill."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from operator import attrgetter
from types import NoneType
from typing import Any, Literal

from tokenomics_core.errors import ConfigurationError
from tokenomics_core.types._attribution import Attribution
from tokenomics_core.types._usage import Usage

__all__ = ["DIMENSIONS", "Outcome", "Source", "SpendRecord", "dimension_of", "dimension_reader"]

Source = Literal["model", "cache", "batch"]
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
_WHO = frozenset({"user", "feature", "project", "conversation", "run"})

_CHECKED = ("at", "model", "usage", "cost_usd", "avoided_usd", "attribution")
_AMOUNT = (Decimal, NoneType)
_KINDS: tuple[type | tuple[type, ...], ...] = (datetime, str, Usage, _AMOUNT, _AMOUNT, Attribution)
_WORDS = (
    *("a datetime", "a name", "a Usage"),
    *("a finite Decimal or None", "a finite Decimal or None", "an Attribution"),
)


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
        held: tuple[object, ...] = (
            self.at,
            self.model,
            self.usage,
            self.cost_usd,
            self.avoided_usd,
            self.attribution,
        )
        if not all(map(isinstance, held, _KINDS)) or not (
            (self.cost_usd is None or self.cost_usd.is_finite())
            and (self.avoided_usd is None or self.avoided_usd.is_finite())
        ):
            self._refuse(held)
        if self.at.tzinfo is None:
            raise ConfigurationError(f"a record's time needs a time zone, not {self.at!r}")
        if self.source not in ("model", "cache", "batch"):
            raise ConfigurationError(f"source must be 'model', 'cache' or 'batch', not {self.source!r}")

    def _refuse(self, held: tuple[object, ...]) -> None:
        """Name the field that holds something of a wrong type."""
        for name, value, kind, words in zip(_CHECKED, held, _KINDS, _WORDS, strict=True):
            if not isinstance(value, kind) or (isinstance(value, Decimal) and not value.is_finite()):
                raise ConfigurationError(f"{name} must be {words}, not {value!r:.80}; nothing was recorded")

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
    return dimension_reader(dimension)(record)


@lru_cache(maxsize=256)
def dimension_reader(dimension: str) -> Callable[[SpendRecord], str | None]:
    """Return a function that reads a dimension or tag, for going through many records."""
    if dimension in _WHO:
        return attrgetter(f"attribution.{dimension}")
    if dimension in DIMENSIONS:
        return attrgetter(dimension)
    return lambda record: record.attribution.tags.get(dimension)
