"""What an audit found: where the money goes, what of it was wasted, and how to stop it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, Literal

from tokenomics_core.errors import ConfigurationError

__all__ = ["AUDIT_DIMENSIONS", "Audit", "AuditLine", "Confidence", "WasteFinding"]

Confidence = Literal["high", "medium", "low"]

AUDIT_DIMENSIONS: Final = ("model", "feature", "user", "template", "hour", "day")
"""What an audit groups by."""
_FORMAT: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditLine:
    """One group of calls: a model, a feature, a user, a prompt template, an hour or a day.

    Attributes:
        key: Its name; None where the log does not tell. Hours are `00` to `23` and days ISO dates, in UTC.
            A template's name is the digest of its text without what changes from call to call.
        label: What to show: the name, or the beginning of a template's text.
        calls: Paid calls.
        usd: Sum of their known costs.
        share: Of all known costs, in [0, 1]; 0 where nothing was paid.
        unpriced_calls: Of the calls, those whose price is unknown; they add nothing to `usd`.
        input_tokens: Sum of known input, cache reads and writes included; likewise the others.
        cache_read_tokens: The part of the input that was read from a provider's cache.
        output_tokens: Reasoning included.
        avoidable_usd: Of `usd`, what the wastes found would have saved; each call once.
        rest: How many further groups this line stands for; 0 for a line of its own.
    """

    key: str | None
    label: str
    calls: int
    usd: Decimal
    share: float = 0.0
    unpriced_calls: int = 0
    input_tokens: int = 0
    cache_read_tokens: int = 0
    output_tokens: int = 0
    avoidable_usd: Decimal = Decimal(0)
    rest: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Return the line as plain JSON types; amounts are strings so that no digit is lost."""
        return _plain_fields(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> AuditLine:
        """Rebuild what `to_dict` returned."""
        return cls(**_known(cls, data, amounts=("usd", "avoidable_usd")))


@dataclass(frozen=True, slots=True, kw_only=True)
class WasteFinding:
    """One kind of waste.

    Attributes:
        kind: `exact_repeats`, `near_repeats`, `unstable_prefix`, `oversized_context`, `dear_model`,
            `runaway_runs`, `retries`, `unbounded_outputs` or `batchable`.
        title: What it is, in a few words.
        calls: How many paid calls it touches.
        usd: What it cost over the whole log, this waste looked at alone.
        usd_per_month: The same at the log's pace.
        confidence: `high` where the log itself proves it by equality, `medium` where a measured model or a
            rule of form judged it, `low` where it rests on what the log does not tell.
        probability: Mean chance that a call counted here is one, where a model states one; None elsewhere.
        fix: The line of code that ends it.
        why: What was counted, and what the fix assumes.
        examples: Where the dearest ones stand in the log, at most five.
        by_feature: Dollars by feature, the dearest first, at most ten; `""` where the log does not tell.
    """

    kind: str
    title: str
    calls: int
    usd: Decimal
    usd_per_month: Decimal
    confidence: Confidence
    probability: float | None = None
    fix: str
    why: str
    examples: tuple[str, ...] = ()
    by_feature: Mapping[str, Decimal] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the finding as plain JSON types; amounts are strings so that no digit is lost."""
        return _plain_fields(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> WasteFinding:
        """Rebuild what `to_dict` returned."""
        values = _known(cls, data, amounts=("usd", "usd_per_month"))
        values["examples"] = tuple(values.get("examples", ()))
        values["by_feature"] = {key: Decimal(usd) for key, usd in values.get("by_feature", {}).items()}
        return cls(**values)


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """Where a log's money went, and what of it need not have been spent.

    Attributes:
        rows: Calls that were read.
        bad: Lines of the log that could not be read.
        paid_calls: Of the rows, calls that a model or a batch endpoint was paid for.
        cached_calls: Of the rows, answers from a cache; they cost nothing.
        unpriced_calls: Of the paid calls, those whose cost nobody knows; they add nothing to any sum.
        unpriced_models: Their models, the most frequent first, at most ten, with the number of calls.
        total_usd: Sum of all known costs.
        avoidable_usd: What the wastes would have saved together: each call's dollars once at most, and never
            more than it cost.
        since: When the first call was made; None for an empty log.
        until: When the last one was.
        span_days: Days from the first call to the last, one at least.
        month_days: Days that count as a month.
        lines: By dimension of `AUDIT_DIMENSIONS`, the groups, the dearest first.
        wastes: Kinds of waste that were found, the dearest first; what was not found is not listed.
        problems: The first lines that could not be read, quoted.
        notes: What a reader of the figures should know.
    """

    rows: int
    bad: int = 0
    paid_calls: int = 0
    cached_calls: int = 0
    unpriced_calls: int = 0
    unpriced_models: Mapping[str, int] = field(default_factory=dict)
    total_usd: Decimal = Decimal(0)
    avoidable_usd: Decimal = Decimal(0)
    since: datetime | None = None
    until: datetime | None = None
    span_days: float = 1.0
    month_days: float = 30.0
    lines: Mapping[str, tuple[AuditLine, ...]] = field(default_factory=dict)
    wastes: tuple[WasteFinding, ...] = ()
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def usd_per_month(self) -> Decimal:
        """What a month costs at the log's pace."""
        return self._monthly(self.total_usd)

    @property
    def avoidable_usd_per_month(self) -> Decimal:
        """What a month would cost less without the wastes."""
        return self._monthly(self.avoidable_usd)

    @property
    def avoidable_share(self) -> float:
        """The avoidable part of all known costs, in [0, 1]; 0 where nothing was paid."""
        return float(self.avoidable_usd / self.total_usd) if self.total_usd else 0.0

    def by(self, dimension: str) -> tuple[AuditLine, ...]:
        """Return the groups of a dimension, the dearest first.

        Raises:
            ConfigurationError: The audit does not group by it.
        """
        if dimension not in AUDIT_DIMENSIONS:
            raise ConfigurationError(
                f"an audit groups by {', '.join(AUDIT_DIMENSIONS)}, not by {dimension!r}; nothing was grouped"
            )
        return self.lines.get(dimension, ())

    def waste(self, kind: str) -> WasteFinding | None:
        """Return the finding of a kind; None where there is none."""
        return next((found for found in self.wastes if found.kind == kind), None)

    def to_dict(self) -> dict[str, Any]:
        """Return the audit as plain JSON types; amounts are strings so that no digit is lost."""
        return {
            "format": _FORMAT,
            **_plain_fields(self),
            "usd_per_month": format(self.usd_per_month, "f"),
            "avoidable_usd_per_month": format(self.avoidable_usd_per_month, "f"),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Audit:
        """Rebuild what `to_dict` returned.

        Raises:
            ConfigurationError: It is no audit, or one of another version.
        """
        if not isinstance(data, Mapping) or data.get("format") != _FORMAT:
            raise ConfigurationError(f"an audit of format {_FORMAT} was expected, not {data!r:.80}")
        values = _known(cls, data, amounts=("total_usd", "avoidable_usd"))
        for name in ("since", "until"):
            if values.get(name) is not None:
                values[name] = datetime.fromisoformat(values[name])
        values["lines"] = {
            dimension: tuple(map(AuditLine.from_dict, lines))
            for dimension, lines in values.get("lines", {}).items()
        }
        values["wastes"] = tuple(map(WasteFinding.from_dict, values.get("wastes", ())))
        for name in ("problems", "notes"):
            values[name] = tuple(values.get(name, ()))
        return cls(**values)

    def _monthly(self, usd: Decimal) -> Decimal:
        return per_month(usd, self.span_days, self.month_days)


def per_month(usd: Decimal, span_days: float, month_days: float) -> Decimal:
    """Scale an amount over a span to a month, to the pico-dollar."""
    return (usd * Decimal(month_days) / Decimal(span_days)).quantize(Decimal("1e-12"))


def _known(cls: type[Any], data: Mapping[str, Any], *, amounts: tuple[str, ...]) -> dict[str, Any]:
    names = {item.name for item in fields(cls)}
    values = {name: value for name, value in data.items() if name in names}
    return {
        name: Decimal(value) if name in amounts and value is not None else value
        for name, value in values.items()
    }


def _plain_fields(value: AuditLine | WasteFinding | Audit) -> dict[str, Any]:
    return {item.name: _plain(getattr(value, item.name)) for item in fields(value)}


def _plain(value: Any) -> Any:
    if isinstance(value, (AuditLine, WasteFinding)):
        return _plain_fields(value)
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    return value
