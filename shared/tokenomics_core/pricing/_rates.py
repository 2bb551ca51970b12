"""Prices as data: a rate by unit, with steps for long inputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import MAX_EMAX, MIN_EMIN, ROUND_HALF_EVEN, Context, Decimal

__all__ = ["EXACT", "Rate", "Sheet", "as_integer", "decimals_of"]

EXACT = Context(prec=400, rounding=ROUND_HALF_EVEN, Emin=MIN_EMIN, Emax=MAX_EMAX)
"""Wide enough that no product or sum of prices and counts is ever rounded."""


@dataclass(frozen=True, slots=True)
class Rate:
    """A price that may depend on how long the whole input is.

    Attributes:
        base: USD for as many of a unit as its `per` says, a million for tokens.
        tiers: Pairs of a threshold and a price, thresholds rising; where the whole input has more tokens
            than the threshold, the price holds for all of them.
    """

    base: Decimal
    tiers: tuple[tuple[int, Decimal], ...] = ()

    def at(self, input_tokens: float | Decimal) -> Decimal:
        """Return the price where the whole input has this many tokens."""
        for start, price in reversed(self.tiers):
            if input_tokens > start:
                return price
        return self.base

    def times(self, factor: Decimal) -> Rate:
        """Return the rate with every price multiplied, exactly."""
        return Rate(
            EXACT.multiply(self.base, factor),
            tuple((start, EXACT.multiply(price, factor)) for start, price in self.tiers),
        )

    @property
    def prices(self) -> tuple[Decimal, ...]:
        """Every price that the rate can take."""
        return (self.base, *(price for _, price in self.tiers))

    @property
    def is_free(self) -> bool:
        """Whether it is 0 at every length."""
        return not any(self.prices)


Sheet = Mapping[str, Rate]
"""Rates by the name of the unit, in the order in which they are summed."""


def decimals_of(value: Decimal) -> int:
    """Return how many digits after the point a price needs."""
    exponent = value.as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def as_integer(value: Decimal, decimals: int) -> int:
    """Return a price in units of `10 ** -decimals`, which it must be a multiple of."""
    return int(EXACT.scaleb(value, decimals))
