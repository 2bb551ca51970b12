"""A model to choose from: what it can do, how much it reads, what it costs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from tokenomics_core.errors import ConfigurationError

__all__ = ["Tier", "TierPrice", "effort_tiers"]

TierPrice = Mapping[str, Any] | tuple[Decimal | float | str, ...]
"""A tier's own price: USD per million tokens as (input, output) or (input, cached input, output), or a table
as `PriceBook(overrides=...)` takes it, such as `{"gpu_hour_usd": "2.50", "tokens_per_s": 1800}`."""

_POSITIVE_COUNTS = ("window", "max_output", "typical_output_tokens")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tier:
    """One model, hosted or self-hosted, that requests may be sent to.

    Attributes:
        name: What routes and reports call it.
        model: As the provider names it; priced by the price book.
        provider: Who serves it.
        price: Its own price; None to look it up in the router's `prices`. See `TierPrice`.
        window: Tokens of input and output together that it can take; None where that is no concern.
        max_output: Most tokens that it writes.
        capabilities: What it can do: `tools`, `images`, `json_schema` ...; None for everything.
        languages: What it understands, as codes such as `en`; None for all.
        effort: Reasoning effort to ask it for; a model at two efforts makes two tiers.
        quality: Chance that its answer is good enough where nothing was learned about it, in [0, 1].
        typical_output_tokens: What an answer usually takes, reasoning included; learned from reports if None.
        input_factor: Input tokens of all calls that one answer takes, over those of one plain call: about 4
            for a scaffold of four steps.
        output_factor: The same for output tokens.
        labels: Anything else to know it by.
    """

    name: str
    model: str
    provider: str | None = None
    price: TierPrice | None = None
    window: int | None = None
    max_output: int | None = None
    capabilities: frozenset[str] | None = None
    languages: frozenset[str] | None = None
    effort: str | None = None
    quality: float | None = None
    typical_output_tokens: int | None = None
    input_factor: float = 1.0
    output_factor: float = 1.0
    labels: Mapping[str, str] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        for name in ("name", "model"):
            value = getattr(self, name)
            if not isinstance(value, str) or not value.strip():
                raise ConfigurationError(f"a tier's {name} must be a name, not {value!r:.80}")
        for name in _POSITIVE_COUNTS:
            value = getattr(self, name)
            if value is not None and (type(value) is not int or value < 1):
                raise ConfigurationError(
                    f"{name} of tier {self.name!r} must be a whole number of 1 or more, not {value!r:.80}"
                )
        if self.quality is not None and not 0 <= self.quality <= 1:
            raise ConfigurationError(f"quality of tier {self.name!r} must be in [0, 1], not {self.quality!r}")
        for name in ("input_factor", "output_factor"):
            value = getattr(self, name)
            if not (isinstance(value, (int, float)) and math.isfinite(value) and value > 0):
                raise ConfigurationError(f"{name} of tier {self.name!r} must be above 0, not {value!r:.80}")
        for name in ("capabilities", "languages"):
            object.__setattr__(self, name, _names(self.name, name, getattr(self, name)))
        object.__setattr__(self, "labels", dict(self.labels))
        if self.price is not None and not isinstance(self.price, (Mapping, tuple)):
            raise ConfigurationError(
                f"price of tier {self.name!r} must be a tuple or a table, not {self.price!r:.80}"
            )
        self.price_table()

    def lacks(self, needs: frozenset[str], language: str | None) -> str | None:
        """Say what a request needs that this tier cannot do; None if nothing."""
        if self.capabilities is not None and (missing := needs - self.capabilities):
            return f"cannot do {', '.join(sorted(missing))}"
        if language is not None and self.languages is not None and language not in self.languages:
            return f"does not understand {language}"
        return None

    def price_table(self) -> dict[str, Any] | None:
        """Return its own price as a table that `PriceBook(overrides=...)` takes; None without one.

        Raises:
            ConfigurationError: The price has neither 2 nor 3 amounts.
        """
        if self.price is None:
            return None
        if isinstance(self.price, Mapping):
            return dict(self.price)
        if len(self.price) not in (2, 3):
            raise ConfigurationError(
                f"price of tier {self.name!r} must be (input, output), (input, cached input, output) or a "
                f"table, not {self.price!r:.80}"
            )
        amounts = [str(amount) for amount in self.price]
        table = {"input": amounts[0], "output": amounts[-1]}
        return table if len(amounts) == 2 else {**table, "cache_read": amounts[1]}


def effort_tiers(tier: Tier, efforts: Sequence[str] | Mapping[str, int]) -> tuple[Tier, ...]:
    """Make one tier per reasoning effort of a model, named `NAME/EFFORT`, for the router to weigh.

    Args:
        tier: The model at no effort in particular.
        efforts: The efforts from low to high; as a mapping, with the output tokens that an answer usually
            takes at each, reasoning included, which is what makes a higher effort dearer.
    """
    usual = efforts if isinstance(efforts, Mapping) else {}
    return tuple(
        replace(
            tier,
            name=f"{tier.name}/{effort}",
            effort=effort,
            typical_output_tokens=usual.get(effort, tier.typical_output_tokens),
        )
        for effort in efforts
    )


def _names(tier: str, what: str, value: object) -> frozenset[str] | None:
    if value is None:
        return None
    if isinstance(value, str) or not isinstance(value, (frozenset, set, tuple, list)):
        raise ConfigurationError(f"{what} of tier {tier!r} must be a set of names, not {value!r:.80}")
    if not all(isinstance(item, str) for item in value):
        raise ConfigurationError(f"{what} of tier {tier!r} must be a set of names, not {value!r:.80}")
    return frozenset(value)
