"""Price any usage whatsoever, step for step as genai-prices does where rounding comes in."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import TYPE_CHECKING

from tokenomics_core.errors import ConfigurationError
from tokenomics_core.pricing._rates import EXACT
from tokenomics_core.pricing._units import Unit, load_units
from tokenomics_core.types import Usage

if TYPE_CHECKING:
    from tokenomics_core.pricing._table import Table

__all__ = ["LIMIT", "Reckoning", "reckon"]

Count = int | float | Decimal

LIMIT = 10**28
"""An amount below this, in units of the table's scale, has at most 28 digits: no step rounded it."""
_STEPWISE = Context(prec=28, rounding=ROUND_HALF_EVEN)
"""The default context of `decimal`, whatever the caller has set: genai-prices computes in it."""
_FIELDS = (
    ("input_tokens", "input_tokens"),
    ("output_tokens", "output_tokens"),
    ("cache_read_tokens", "cache_read_tokens"),
    ("cache_write_tokens", "cache_write_tokens"),
    ("cache_write_5m_tokens", "cache_write_5m_tokens"),
    ("cache_write_1h_tokens", "cache_write_1h_tokens"),
    ("reasoning_tokens", "output_reasoning_tokens"),
    ("input_audio_tokens", "input_audio_tokens"),
    ("output_audio_tokens", "output_audio_tokens"),
    ("cache_read_audio_tokens", "cache_audio_read_tokens"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reckoning:
    """What a usage costs; amounts are None where that is not known, and the notes say why."""

    total_usd: Decimal | None = None
    input_usd: Decimal | None = None
    output_usd: Decimal | None = None
    notes: tuple[str, ...] = ()
    assumed: bool = False


def reckon(table: Table, usage: Usage) -> Reckoning:
    """Price a usage with a table.

    Raises:
        ConfigurationError: A part exceeds its whole, a whole is missing, or an extra is no count.
    """
    counts = _reported(usage)
    if reason := _reason_unknown(table, counts):
        return Reckoning(notes=(reason,))
    notes = [*_notes(table, counts)]
    counts = _at_least(table, counts)
    counts, assumption = _with_joins(table, counts)
    if assumption:
        notes.append(assumption)
    leaves = _leaves(table, counts)
    total, ins, outs = _amounts(table, leaves, counts.get("input_tokens", 0))
    return Reckoning(
        total_usd=total, input_usd=ins, output_usd=outs, notes=tuple(notes), assumed=bool(assumption)
    )


def _reported(usage: Usage) -> dict[str, Count]:
    """Collect what is known, by the name of the billed unit."""
    counts: dict[str, Count] = {}
    for field, key in _FIELDS:
        value = getattr(usage, field)
        if value is not None:
            counts[key] = value
    for key, value in usage.extras.items():
        counted = _checked(key, value)
        if counts.get(key, counted) != counted:
            raise ConfigurationError(f"extras say {key}={value!r} but the usage says {counts[key]!r}")
        counts[key] = counted
    return counts


def _checked(key: str, value: object) -> Count:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    if isinstance(value, float) and math.isfinite(value) and value >= 0:
        return value
    if isinstance(value, Decimal) and value.is_finite() and value >= 0:
        return value
    raise ConfigurationError(f"{key} must be a finite number of 0 or more, not {value!r}")


def _reason_unknown(table: Table, counts: Mapping[str, Count]) -> str | None:
    """Say why no cost is known, or None where one is."""
    known = load_units()
    if any(key in known and known[key].is_tokens for key in counts):
        for whole, name in (("input_tokens", "input"), ("output_tokens", "output")):
            rate = table.sheet.get(whole)
            if whole not in counts and rate is not None and not rate.is_free:
                return f"the number of {name} tokens is not known"
            if table.own and rate is None and counts.get(whole):
                return f"{counts[whole]} {name} tokens have no price here"
    elif not any(unit.key in counts for unit in table.units):
        return "the usage reports nothing that this model is billed by"
    billed = [unit.key for unit in table.units if unit.key != "requests"]
    if table.guarded and billed and not any(key in counts for key in billed):
        return f"billed by {', '.join(billed)}, which the usage does not report"
    return None


def _notes(table: Table, counts: Mapping[str, Count]) -> Iterator[str]:
    """Yield what the reader of the bill should know about counts that have no price of their own."""
    known = load_units()
    if not table.sheet:
        yield "the price data charges nothing for this model"
        return
    for key, count in counts.items():
        if not count:
            continue
        if key not in known or key == "requests":
            yield f"{key}={count} was not priced: no such unit is known"
        elif not any(unit.includes(known[key]) for unit in table.units):
            yield f"{key}={count} was not charged: the price data has no price for it"
    if counts.get("cache_write_1h_tokens") and not table.has_1h:
        yield table.hour_note()
    for key in ("input_audio_tokens", "output_audio_tokens"):
        whole = key.replace("audio_", "")
        if counts.get(key) and key not in table.sheet and whole in table.sheet:
            yield f"no price for audio; {key}={counts[key]} was charged as text"


def _at_least(table: Table, counts: dict[str, Count]) -> dict[str, Count]:
    """Raise the seconds of a call with audio to the least that is charged for."""
    seconds = counts.get("audio_seconds") or counts.get("input_audio_seconds")
    if not table.minimum_audio_s or not seconds:
        return counts
    billed = max(seconds, table.minimum_audio_s)
    return {**counts, "audio_seconds": billed, "input_audio_seconds": billed}


def _with_joins(table: Table, counts: dict[str, Count]) -> tuple[dict[str, Count], str | None]:
    """Fill in a count of what is two things at once, such as cached audio, where only the two are known.

    The least that is possible is taken, since the rest is then charged at the higher of the two prices.
    """
    known, assumption = load_units(), None
    reported = [known[key] for key, count in counts.items() if count and key in known]
    filled = dict(counts)
    for unit in table.units:
        if unit.key in counts or unit.key == "requests":
            continue
        for left, right in _pairs(reported):
            if left.dimensions | right.dimensions != unit.dimensions or not left.is_compatible_with(right):
                continue
            least = _excess(counts[left.key], counts[right.key], _whole_of(left, right, counts))
            filled[unit.key] = least
            assumption = f"{unit.key} is not known; {least} was assumed, the least that is possible"
    return filled, assumption


def _pairs(units: Sequence[Unit]) -> Iterator[tuple[Unit, Unit]]:
    for index, left in enumerate(units):
        for right in units[index + 1 :]:
            if not left.includes(right) and not right.includes(left):
                yield left, right


def _whole_of(left: Unit, right: Unit, counts: Mapping[str, Count]) -> Count:
    common = left.dimensions & right.dimensions
    known = load_units()
    return next((count for key, count in counts.items() if known[key].dimensions == common), 0)


def _leaves(table: Table, counts: Mapping[str, Count]) -> list[Count]:
    """Split counts so that nothing is in two of them.

    Raises:
        ConfigurationError: The parts exceed the whole, or a whole is not known.
    """
    leaves: list[Count] = [0] * len(table.units)
    for index, parts in table.parts:
        unit = table.units[index]
        if unit.key not in counts:
            _refuse_missing(unit, counts)
        whole = counts.get(unit.key, 0)
        leaf = _subtract(whole, [leaves[part] for part in parts])
        if leaf < 0:
            named = (table.units[part].key for part in parts)
            listed = ", ".join(f"{key}={counts[key]}" for key in named if counts.get(key))
            raise ConfigurationError(f"{unit.key}={whole} is less than its parts: {listed}")
        leaves[index] = leaf
    for index, unit in enumerate(table.units):
        if unit.key == "requests":
            leaves[index] = 1
    return leaves


def _refuse_missing(unit: Unit, counts: Mapping[str, Count]) -> None:
    known = load_units()
    for key, count in counts.items():
        if count and key in known and unit.includes(known[key]):
            raise ConfigurationError(f"{unit.key} is not known although its part {key} is {count}")


def _subtract(whole: Count, parts: Sequence[Count]) -> Count:
    """Subtract as genai-prices does: integers and decimals exactly, floats to the nearest float."""
    operands = (whole, *parts)
    integers = [value for value in operands if isinstance(value, int)]
    if len(integers) == len(operands):
        return integers[0] - sum(integers[1:])
    exact = _decimal(whole)
    for part in parts:
        exact = EXACT.subtract(exact, _decimal(part))
    return exact if any(isinstance(value, Decimal) for value in operands) else float(exact)


def _excess(left: Count, right: Count, whole: Count) -> Count:
    """Return by how much two parts exceed the whole, at least 0."""
    excess = EXACT.subtract(EXACT.add(_decimal(left), _decimal(right)), _decimal(whole))
    least = max(Decimal(0), excess)
    return int(least) if least == int(least) else least


def _decimal(value: Count) -> Decimal:
    if isinstance(value, Decimal):
        return value
    return Decimal(value) if isinstance(value, int) else Decimal(repr(value))


def _amounts(table: Table, leaves: Sequence[Count], input_tokens: Count) -> tuple[Decimal, Decimal, Decimal]:
    """Return the whole, the input part and the output part, in USD."""
    row = table.row_for(input_tokens)
    sums = {"input": 0, "output": 0, None: 0}
    for unit, leaf, price in zip(table.units, leaves, row, strict=True):
        if leaf == 0:
            continue
        if not isinstance(leaf, int) or price is None:
            return _stepwise(table, leaves, input_tokens)
        sums[unit.direction] += leaf * price
    total = sum(sums.values())
    if total >= LIMIT:
        return _stepwise(table, leaves, input_tokens)
    quantum = table.quantum_usd
    return (
        EXACT.multiply(total, quantum),
        EXACT.multiply(sums["input"], quantum),
        EXACT.multiply(sums["output"], quantum),
    )


def _stepwise(table: Table, leaves: Sequence[Count], input_tokens: Count) -> tuple[Decimal, Decimal, Decimal]:
    """Multiply, divide and add in genai-prices' order, rounding where it rounds."""
    total, sums = Decimal(0), {"input": Decimal(0), "output": Decimal(0)}
    for unit, leaf, rate in zip(table.units, leaves, table.sheet.values(), strict=True):
        product = _STEPWISE.multiply(rate.at(input_tokens), _decimal(leaf))
        amount = _STEPWISE.divide(product, Decimal(unit.per))
        total = _STEPWISE.add(total, amount)
        if unit.direction in sums:
            sums[unit.direction] = _STEPWISE.add(sums[unit.direction], amount)
    return total, sums["input"], sums["output"]
