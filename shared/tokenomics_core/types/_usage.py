"""What one call consumed, in one convention for every provider."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from decimal import Decimal
from typing import Any

from tokenomics_core.errors import ConfigurationError

__all__ = ["Usage"]

_COUNTS = (
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "cache_write_5m_tokens",
    "cache_write_1h_tokens",
    "reasoning_tokens",
    "input_audio_tokens",
    "output_audio_tokens",
    "cache_read_audio_tokens",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Token counts of one provider call; counts that nobody reported are `None`.

    Attributes:
        input_tokens: All input, cache reads and writes included.
        output_tokens: All output, reasoning included.
        cache_read_tokens: The part of the input that was read from the provider's prompt cache.
        cache_write_tokens: The part of the input that was written to it, whatever the lifetime;
            where only the parts by lifetime are given, their sum.
        cache_write_5m_tokens: The part of the writes that lives five minutes.
        cache_write_1h_tokens: The part of the writes that lives an hour.
        reasoning_tokens: The part of the output that was hidden reasoning.
        input_audio_tokens: The part of the input that was audio.
        output_audio_tokens: The part of the output that was audio.
        cache_read_audio_tokens: The part of the cache reads that was audio.
        service_tier: `flex`, `priority`, `fast`, `standard` ... as the provider names it.
        batch: Whether the call went through a batch endpoint.
        extras: Further billed units by the name that genai-prices gives them, such as
            `web_searches`, `rerank_searches`, `audio_seconds`, `input_image_tokens`.
        context: Further request facts that change the price, as genai-prices names them.
        estimated: Whether a count was estimated here and not reported by the provider.
        notes: How counts that cannot be true were mended; two usages with the same counts are equal whatever
            they say. A record's own notes repeat them.
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    cache_write_5m_tokens: int | None = None
    cache_write_1h_tokens: int | None = None
    reasoning_tokens: int | None = None
    input_audio_tokens: int | None = None
    output_audio_tokens: int | None = None
    cache_read_audio_tokens: int | None = None
    service_tier: str | None = None
    batch: bool = False
    extras: Mapping[str, int | float | Decimal] = field(default_factory=dict, hash=False)
    context: Mapping[str, str] = field(default_factory=dict, hash=False)
    estimated: bool = False
    notes: tuple[str, ...] = field(default=(), compare=False)

    def __post_init__(self) -> None:
        counts = (
            self.input_tokens,
            self.output_tokens,
            self.cache_read_tokens,
            self.cache_write_tokens,
            self.cache_write_5m_tokens,
            self.cache_write_1h_tokens,
            self.reasoning_tokens,
            self.input_audio_tokens,
            self.output_audio_tokens,
            self.cache_read_audio_tokens,
        )
        for value in counts:
            if value is not None and (type(value) is not int or value < 0):
                name = next(name for name, count in zip(_COUNTS, counts, strict=True) if count is value)
                raise ConfigurationError(f"{name} must be a whole number of 0 or more, not {value!r}")
        if self.extras:
            object.__setattr__(self, "extras", _copy("extras", self.extras))
        if self.context:
            object.__setattr__(self, "context", _copy("context", self.context))
        if self.notes:
            object.__setattr__(self, "notes", tuple(self.notes))
        tier: object = self.service_tier
        if tier is not None and not isinstance(tier, str):
            raise ConfigurationError(f"service_tier must be a name or None, not {tier!r:.80}")
        self._complete_writes()

    def _complete_writes(self) -> None:
        five, hour = self.cache_write_5m_tokens, self.cache_write_1h_tokens
        if five is None and hour is None:
            return
        parts = (five or 0) + (hour or 0)
        if self.cache_write_tokens is None:
            object.__setattr__(self, "cache_write_tokens", parts)
        elif self.cache_write_tokens < parts:
            raise ConfigurationError(
                f"cache_write_tokens={self.cache_write_tokens} is less than its parts by lifetime, {parts}"
            )

    @property
    def is_reported(self) -> bool:
        """Whether any count or billed unit is known at all."""
        return bool(self.extras) or any(getattr(self, name) is not None for name in _COUNTS)

    @property
    def total_tokens(self) -> int | None:
        """Input plus output, or None where neither is known."""
        if self.input_tokens is None and self.output_tokens is None:
            return None
        return (self.input_tokens or 0) + (self.output_tokens or 0)

    def to_dict(self) -> dict[str, Any]:
        """Return what is known as plain JSON types; what is unknown is left out."""
        out: dict[str, Any] = {}
        for item in fields(self):
            value = getattr(self, item.name)
            if value is None or value is False or value in ({}, ()):
                continue
            value = list(value) if isinstance(value, tuple) else value
            out[item.name] = _plain(value) if isinstance(value, Mapping) else value
        return out

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Usage:
        """Rebuild what `to_dict` returned; names that are not known here are refused."""
        if not isinstance(data, Mapping):
            raise ConfigurationError(f"a usage is read from a mapping, not from {data!r:.80}")
        known = {item.name for item in fields(cls)}
        if unknown := sorted(set(data) - known):
            raise ConfigurationError(
                f"a usage has no {', '.join(unknown)}; it has {', '.join(sorted(known))}"
            )
        return cls(**data)


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: float(value) if isinstance(value, Decimal) else value for key, value in values.items()}


def _copy(name: str, value: object) -> dict[Any, Any]:
    if not isinstance(value, Mapping):
        raise ConfigurationError(f"{name} must be a mapping, not {value!r:.80}")
    return dict(value)
