"""Amounts as whole numbers, so that no sum of them ever drifts."""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_HALF_EVEN, Context, Decimal, InvalidOperation

from tokenomics_core.errors import ConfigurationError

__all__ = ["MAX_AMOUNT", "Money", "from_nano", "nano_for_hold", "nano_for_spend", "whole"]

Money = Decimal | str | int | float

MAX_AMOUNT = 2**53 - 1
"""The largest amount of any unit: what a double holds exactly, for that is what a Redis script counts in."""

_DIGITS = 9
_ZERO = Decimal(0)
# Not the ambient context: a caller may have set a low precision, and a budget does not depend on that.
_UP = Context(prec=200, rounding=ROUND_CEILING, traps=[InvalidOperation])
_EVEN = Context(prec=200, rounding=ROUND_HALF_EVEN, traps=[InvalidOperation])


def nano_for_hold(amount_usd: Money, name: str = "usd") -> int:
    """Return an amount to set aside in units of 10^-9 USD, rounded up."""
    return _nano(amount_usd, name, _UP)


def nano_for_spend(amount_usd: Money, name: str = "usd") -> int:
    """Return an amount spent in units of 10^-9 USD, half a unit rounded to even."""
    return _nano(amount_usd, name, _EVEN)


def _nano(amount_usd: Money, name: str, context: Context) -> int:
    amount = amount_usd if type(amount_usd) is Decimal else _decimal(amount_usd, name)
    try:
        nano = int(context.to_integral_value(context.scaleb(amount, _DIGITS)))
    except (InvalidOperation, ValueError, OverflowError):
        raise _refused(name, amount_usd) from None
    if not 0 <= nano <= MAX_AMOUNT:
        raise _refused(name, amount_usd)
    return nano


def _decimal(amount: Money, name: str) -> Decimal:
    if isinstance(amount, bool) or not isinstance(amount, (Decimal, str, int, float)):
        raise _refused(name, amount)
    try:
        # A float is taken as it is written: 0.1 is ten cents.
        return Decimal(repr(amount) if isinstance(amount, float) else amount)
    except InvalidOperation:
        raise _refused(name, amount) from None


def _refused(name: str, amount: object) -> ConfigurationError:
    return ConfigurationError(
        f"{name} must be USD from 0 to {from_nano(MAX_AMOUNT)}, not {amount!r}; nothing was booked"
    )


def from_nano(nano: int) -> Decimal:
    """Return a whole number of nano-dollars as USD, without superfluous zeros."""
    if not nano:
        return _ZERO
    amount = _EVEN.normalize(_EVEN.scaleb(Decimal(nano), -_DIGITS))
    exponent = amount.as_tuple().exponent
    return _EVEN.quantize(amount, Decimal(1)) if isinstance(exponent, int) and exponent > 0 else amount


def whole(value: int, name: str) -> int:
    """Return a count as it is, once it is known to be one."""
    if type(value) is not int or not 0 <= value <= MAX_AMOUNT:
        raise ConfigurationError(
            f"{name} must be a whole number from 0 to {MAX_AMOUNT}, not {value!r}; nothing was booked"
        )
    return value
