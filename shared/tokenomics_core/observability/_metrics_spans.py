"""Write what calls cost on the application's own span."""

from __future__ import annotations

import threading
import weakref
from decimal import Decimal
from typing import Any

from opentelemetry import trace

from tokenomics_core.types import SpendRecord, Tally

__all__ = ["SpanWriter"]

_SEVERAL = "several"


class SpanWriter:
    """Add each call to the span that is current where it ends, if that span is recording.

    A span with several calls carries their sums. What differs among them is `several`; the event of each
    call says it for itself.
    """

    def __init__(self) -> None:
        self._sums: weakref.WeakKeyDictionary[Any, _Sums] = weakref.WeakKeyDictionary()
        self._lock = threading.Lock()

    def record(self, record: SpendRecord) -> None:
        """Write a call on the current span."""
        span = trace.get_current_span()
        if not span.is_recording():
            return
        facts = _facts_of(record)
        with self._lock:
            sums = self._sums.get(span)
            if sums is None:
                sums = self._sums[span] = _Sums()
            attributes = sums.add(record, facts)
        span.set_attributes(attributes)
        span.add_event("tokenomics.call", _event_of(record, facts))


class _Sums:
    """What stands on one span."""

    def __init__(self) -> None:
        self._tally = Tally()
        self._facts: dict[str, str] = {}

    def add(self, record: SpendRecord, facts: dict[str, str]) -> dict[str, Any]:
        """Add a call and return the attributes that stand on the span then."""
        tally = self._tally
        tally.add(record)
        for name, value in facts.items():
            known = self._facts.setdefault(name, value)
            if known != value:
                self._facts[name] = _SEVERAL
        return {
            "tokenomics.calls": tally.calls,
            "tokenomics.calls.unpriced": tally.unpriced_calls,
            "tokenomics.cost.usd": float(tally.cost_usd),
            "tokenomics.avoided.usd": float(tally.avoided_usd),
            **self._facts,
        }


def _facts_of(record: SpendRecord) -> dict[str, str]:
    tags = record.attribution.tags
    facts = {
        "tokenomics.source": record.source,
        "tokenomics.avoided_by": record.avoided_by,
        "tokenomics.route.tier": tags.get("route_tier"),
        "tokenomics.route.id": tags.get("route_id"),
    }
    return {name: value for name, value in facts.items() if value}


def _event_of(record: SpendRecord, facts: dict[str, str]) -> dict[str, Any]:
    """Return one call; an unknown amount or count is left out, for it is not zero."""
    numbers: dict[str, Decimal | int | None] = {
        "tokenomics.cost.usd": record.cost_usd,
        "tokenomics.avoided.usd": record.avoided_usd,
        "gen_ai.usage.input_tokens": record.usage.input_tokens,
        "gen_ai.usage.output_tokens": record.usage.output_tokens,
    }
    known = {
        name: float(value) if isinstance(value, Decimal) else value
        for name, value in numbers.items()
        if value is not None
    }
    return {
        "gen_ai.response.model": record.model,
        "tokenomics.record.id": record.id,
        "tokenomics.price_source": record.price_source,
        **known,
        **facts,
    }
