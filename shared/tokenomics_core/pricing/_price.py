"""What a model costs, for reading, comparing and planning."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from tokenomics_core.errors import ConfigurationError
from tokenomics_core.pricing._entries import read_amount
from tokenomics_core.pricing._rates import EXACT, Rate
from tokenomics_core.pricing._units import KINDS, load_units
from tokenomics_core.types import Cost

__all__ = ["Price", "ResolvedModel", "provider_cost"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedModel:
    """The model that a name was understood to mean.

    Attributes:
        model: As the price data, or the user's override, names it.
        provider: Whose price it is.
        notes: How it was found, where that is worth a remark.
    """

    model: str
    provider: str | None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """The rates of a model at a time.

    Attributes:
        model: The model as the price data names it.
        provider: Whose price it is.
        source: Where it came from, in words.
        price_date: The day it took effect, where the data tells.
        rates: By the unit that genai-prices bills, the rate for as many as its `per` says: a million tokens,
            a thousand searches or requests, an hour of audio.
        notes: What a reader should know.
    """

    model: str
    provider: str | None
    source: str
    price_date: date | None
    rates: Mapping[str, Rate]
    notes: tuple[str, ...] = ()

    def usd_per_mtok(self, kind: str, *, input_tokens: int = 0) -> Decimal | None:
        """Return what a million tokens of a kind are charged.

        A kind without a price of its own costs what the kind costs that it is a part of.

        Args:
            kind: `input`, `output`, `cache_read`, `cache_write`, `cache_write_1h`, `reasoning`,
                `input_audio` ...
            input_tokens: The length of the whole input, where long inputs have other prices.

        Raises:
            ConfigurationError: There is no such kind.
        """
        if kind not in KINDS:
            raise ConfigurationError(f"kind must be one of {', '.join(KINDS)}, not {kind!r}")
        known = load_units()
        wanted = known[KINDS[kind]]
        priced = [known[key] for key in self.rates if known[key].includes(wanted)]
        if not priced:
            return None
        nearest = max(priced, key=lambda unit: len(unit.dimensions))
        return self.rates[nearest.key].at(input_tokens)

    @property
    def input_usd_per_mtok(self) -> Decimal | None:
        """Uncached input, short inputs; None where input is not charged by the token."""
        return self.usd_per_mtok("input")

    @property
    def output_usd_per_mtok(self) -> Decimal | None:
        """Output after short inputs; None where output is not charged by the token."""
        return self.usd_per_mtok("output")

    @property
    def cache_read_usd_per_mtok(self) -> Decimal | None:
        """Input read from the provider's cache."""
        return self.usd_per_mtok("cache_read")

    @property
    def cache_write_usd_per_mtok(self) -> Decimal | None:
        """Input written to the provider's cache for the usual time."""
        return self.usd_per_mtok("cache_write")

    @property
    def cache_write_1h_usd_per_mtok(self) -> Decimal | None:
        """Input written to the provider's cache for an hour."""
        return self.usd_per_mtok("cache_write_1h")

    @property
    def usd_per_request(self) -> Decimal:
        """The fee that every request pays besides its tokens."""
        fee = self.rates.get("requests")
        return Decimal(0) if fee is None else EXACT.divide(fee.base, Decimal(1000))


def provider_cost(
    amount_usd: Decimal | float | str,
    *,
    provider: str | None = None,
    model: str | None = None,
    estimated: bool = False,
    notes: tuple[str, ...] = (),
) -> Cost:
    """Take over what a provider says a call cost, such as OpenRouter's `usage.cost`.

    Args:
        amount_usd: The amount; a float counts as the digits it is printed with.
        provider: Who reported it.
        model: The model that was charged.
        estimated: Whether the provider marks it as an estimate.
        notes: Remarks for the reader of the bill.

    Raises:
        ConfigurationError: The amount is negative or no number.
    """
    amount = read_amount(amount_usd, "the cost reported by the provider")
    source = f"reported by the provider {provider}" if provider else "reported by the provider"
    return Cost(
        total_usd=amount, model=model, provider=provider, source=source, estimated=estimated, notes=notes
    )
