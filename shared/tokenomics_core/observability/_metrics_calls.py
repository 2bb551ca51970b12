"""Turn the record of a call into OpenTelemetry measurements."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from tokenomics_core.observability._metrics_names import (
    DURATION_BUCKETS_S,
    TOKEN_BUCKETS,
    Vocabulary,
    error_type_of,
    operation_of,
    provider_of,
)
from tokenomics_core.types import SpendRecord, dimension_reader

if TYPE_CHECKING:
    from opentelemetry.metrics import Meter

__all__ = ["CallMeter"]

_MOST_PREPARED = 4096
_PARTS = ("cache_read", "cache_write", "reasoning")
Labels = dict[str, str]


class _Prepared(NamedTuple):
    """The attributes of calls that are alike."""

    calls: Labels
    cost: Labels
    unpriced: Labels
    avoided: Labels
    route: Labels | None
    input: Labels
    output: Labels
    duration: Labels
    parts: tuple[Labels, ...]


class CallMeter:
    """Measure calls one by one; each takes microseconds and waits for nothing.

    Args:
        meter: Makes the instruments.
        dimensions: Whose values become attributes, besides model, provider and what happened.
        most_values: How many values of each attribute get a series of their own.
    """

    def __init__(self, meter: Meter, *, dimensions: Sequence[str], most_values: int) -> None:
        self._dimensions = tuple(dimensions)
        self._readers = tuple(map(dimension_reader, self._dimensions))
        self._most_values = most_values
        self._vocabularies: dict[str, Vocabulary] = {}
        self._prepared: dict[tuple[str | None, ...], _Prepared] = {}
        self._lock = threading.Lock()
        self._tokens = meter.create_histogram(
            "gen_ai.client.token.usage",
            unit="{token}",
            description="Number of input and output tokens used.",
            explicit_bucket_boundaries_advisory=TOKEN_BUCKETS,
        )
        self._duration = meter.create_histogram(
            "gen_ai.client.operation.duration",
            unit="s",
            description="GenAI operation duration.",
            explicit_bucket_boundaries_advisory=DURATION_BUCKETS_S,
        )
        self._calls = meter.create_counter("tokenomics.calls", "{call}", "Calls that were recorded.")
        self._unpriced = meter.create_counter(
            "tokenomics.calls.unpriced", "{call}", "Of these, calls whose price is unknown: not in the cost."
        )
        self._cost = meter.create_counter(
            "tokenomics.cost.usd", "{USD}", "What calls cost, as far as it is known."
        )
        self._avoided = meter.create_counter(
            "tokenomics.avoided.usd", "{USD}", "What calls would have cost more."
        )
        self._added = meter.create_counter(
            "tokenomics.added.usd", "{USD}", "What was meant to save and cost more, such as a rejected draft."
        )
        self._token_parts = meter.create_counter(
            "tokenomics.tokens.part", "{token}", "Parts of input and output tokens that are priced apart."
        )
        self._routed = meter.create_counter("tokenomics.route.calls", "{call}", "Calls that were routed.")

    def record(self, record: SpendRecord, asked_model: str | None = None) -> None:
        """Measure one call; an answer from a cache used no tokens and no provider's time."""
        labels = self._labels(record, asked_model)
        self._calls.add(1, labels.calls)
        if record.cost_usd is None:
            self._unpriced.add(1, labels.unpriced)
        elif record.cost_usd > 0:
            self._cost.add(float(record.cost_usd), labels.cost)
        if record.avoided_usd:
            instrument = self._avoided if record.avoided_usd > 0 else self._added
            instrument.add(float(abs(record.avoided_usd)), labels.avoided)
        if labels.route is not None:
            self._routed.add(1, labels.route)
        if record.source == "cache":
            return
        usage = record.usage
        if usage.input_tokens is not None:
            self._tokens.record(usage.input_tokens, labels.input)
        if usage.output_tokens is not None:
            self._tokens.record(usage.output_tokens, labels.output)
        if record.latency_s is not None:
            self._duration.record(record.latency_s, labels.duration)
        counts = (usage.cache_read_tokens, usage.cache_write_tokens, usage.reasoning_tokens)
        for count, part in zip(counts, labels.parts, strict=True):
            if count:
                self._token_parts.add(count, part)

    def seen(self, dimension: str) -> tuple[str, ...]:
        """Return the values of a dimension that have a series of their own so far."""
        found = self._vocabularies.get(dimension)
        return () if found is None else found.values

    def _labels(self, record: SpendRecord, asked_model: str | None) -> _Prepared:
        key = (
            record.model,
            asked_model,
            record.provider,
            record.operation,
            record.source,
            record.outcome,
            record.avoided_by,
            record.attribution.tags.get("route_tier"),
            record.attribution.tags.get("route_role"),
            *(read(record) for read in self._readers),
        )
        found = self._prepared.get(key)
        if found is None:
            found = self._prepare(record, asked_model, key[9:])
            with self._lock:
                if len(self._prepared) >= _MOST_PREPARED:
                    self._prepared.clear()
                self._prepared[key] = found
        return found

    def _prepare(
        self, record: SpendRecord, asked_model: str | None, values: Sequence[str | None]
    ) -> _Prepared:
        who = {
            f"tokenomics.{name}": self._admit(name, value)
            for name, value in zip(self._dimensions, values, strict=True)
            if value
        }
        base = {
            "gen_ai.provider.name": self._admit("provider", provider_of(record)),
            "gen_ai.response.model": self._admit("model", record.model),
            **who,
        }
        genai = {**base, "gen_ai.operation.name": self._admit("operation", operation_of(record))}
        if asked_model:
            genai["gen_ai.request.model"] = self._admit("model", asked_model)
        error_type = error_type_of(record)
        tags = record.attribution.tags
        tier, role = tags.get("route_tier"), tags.get("route_role")
        return _Prepared(
            calls={**genai, "tokenomics.source": record.source, "tokenomics.outcome": record.outcome},
            cost={**base, "tokenomics.source": record.source},
            unpriced=base,
            avoided={
                **base,
                "tokenomics.avoided_by": self._admit("avoided_by", record.avoided_by or "unknown"),
            },
            route=self._route(tier, role, who),
            input={**genai, "gen_ai.token.type": "input"},
            output={**genai, "gen_ai.token.type": "output"},
            duration={**genai, "error.type": error_type} if error_type else genai,
            parts=tuple({**base, "tokenomics.token.part": part} for part in _PARTS),
        )

    def _route(self, tier: str | None, role: str | None, who: Labels) -> Labels | None:
        if tier is None and role is None:
            return None
        route = dict(who)
        if tier is not None:
            route["tokenomics.route.tier"] = self._admit("route_tier", tier)
        if role is not None:
            route["tokenomics.route.role"] = self._admit("route_role", role)
        return route

    def _admit(self, name: str, value: str) -> str:
        vocabulary = self._vocabularies.get(name)
        if vocabulary is None:
            vocabulary = self._vocabularies.setdefault(name, Vocabulary(self._most_values))
        return vocabulary.admit(value)
