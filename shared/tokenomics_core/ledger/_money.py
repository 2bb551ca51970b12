"""Dollars as whole pico-dollars, so that every sum of them is exact."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Context, Decimal, InvalidOperation

from tokenomics_core.errors import ConfigurationError

__all__ = ["MAX_PICO", "from_pico", "to_pico"]

MAX_PICO = 2**63 - 1
_DIGITS = 12
_STEP = Decimal(1).scaleb(-_DIGITS)
# Not the ambient context: a caller may have set a low precision, and a bill does not depend on that.
_EXACT = Context(prec=200, rounding=ROUND_HALF_EVEN, traps=[InvalidOperation])


def to_pico(amount_usd: Decimal, name: str) -> int:
    """Return an amount in units of 10^-12 USD, half a unit rounded to even.

    Raises:
        ConfigurationError: The amount is no finite Decimal, or does not fit 64 bits (9.2 million USD).
    """
    if not isinstance(amount_usd, Decimal) or not amount_usd.is_finite():
        raise ConfigurationError(
            f"{name} must be a finite Decimal or None, not {amount_usd!r}; nothing was recorded"
        )
    try:
        pico = int(_EXACT.scaleb(_EXACT.quantize(amount_usd, _STEP), _DIGITS))
    except InvalidOperation:
        pico = MAX_PICO + 1
    if abs(pico) > MAX_PICO:
        raise ConfigurationError(
            f"{name} must be within {from_pico(MAX_PICO)} USD on either side of 0, not {amount_usd!r}; "
            "nothing was recorded"
        )
    return pico


def from_pico(pico: int) -> Decimal:
    """Return a whole number of pico-dollars as USD, without superfluous zeros."""
    amount = _EXACT.normalize(_EXACT.scaleb(Decimal(pico), -_DIGITS))
    exponent = amount.as_tuple().exponent
    return _EXACT.quantize(amount, Decimal(1)) if isinstance(exponent, int) and exponent > 0 else amount
