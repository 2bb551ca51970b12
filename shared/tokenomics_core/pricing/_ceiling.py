"""The most that a call can cost, so that money can be set aside before it is sent."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from tokenomics_core.pricing._rates import EXACT, Rate
from tokenomics_core.pricing._table import Table
from tokenomics_core.pricing._units import Unit

__all__ = ["ceiling_usd"]

_MODALITIES = frozenset({"audio", "image", "video"})


def ceiling_usd(
    table: Table, input_tokens: int, max_output_tokens: int, *, n: int, audio: bool
) -> Decimal | None:
    """Return a bound that no call with at most so many tokens can pass.

    Every input token is taken at the dearest kind there is (plain, cache read, cache write, write for an
    hour) and every output token at the dearest kind of output; where prices depend on the length of the
    input, every length up to the one given is considered, since a shorter input need not be cheaper.

    Args:
        table: The prices.
        input_tokens: The whole input.
        max_output_tokens: What each answer may have at most.
        n: How many answers are asked for.
        audio: Whether input and output may be audio.

    Returns:
        USD; None where tokens have no price, 0 for a model that charges nothing.
    """
    if not table.sheet:
        return Decimal(0)
    known = [
        (unit, rate) for unit, rate in zip(table.units, table.sheet.values(), strict=True) if unit.is_tokens
    ]
    if not known:
        return None
    inputs = [rate for unit, rate in known if unit.direction == "input" and _may_occur(unit, audio=audio)]
    outputs = [rate for unit, rate in known if unit.direction == "output" and _may_occur(unit, audio=audio)]
    if table.own and ((input_tokens and not inputs) or (max_output_tokens and not outputs)):
        return None
    bound = max(
        EXACT.add(
            EXACT.multiply(_dearest(inputs, length), Decimal(length)),
            EXACT.multiply(_dearest(outputs, length), Decimal(max_output_tokens * n)),
        )
        for length in _lengths(inputs + outputs, input_tokens)
    )
    fee = table.sheet.get("requests")
    fee_usd = Decimal(0) if fee is None else EXACT.divide(fee.base, Decimal(1000))
    return EXACT.add(EXACT.scaleb(bound, -6), fee_usd)


def _may_occur(unit: Unit, *, audio: bool) -> bool:
    modality = dict(unit.dimensions).get("modality")
    return modality not in _MODALITIES or (audio and modality == "audio")


def _lengths(rates: list[Rate], input_tokens: int) -> Iterator[int]:
    """Yield the greatest length at each step of the prices, up to the one given."""
    starts = {start for rate in rates for start, _ in rate.tiers}
    yield from sorted(start for start in starts if start < input_tokens)
    yield input_tokens


def _dearest(rates: list[Rate], length: int) -> Decimal:
    return max((rate.at(length) for rate in rates), default=Decimal(0))
