"""The common case made fast: text in, text out, caches and reasoning, nothing else."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from tokenomics_core.pricing._rates import EXACT
from tokenomics_core.types import Cost, Usage

__all__ = ["Coefficients", "Label", "compile_text"]


@dataclass(frozen=True, slots=True)
class Label:
    """Whose price a table holds and where it came from; see `Cost` for the fields."""

    model: str
    provider: str | None
    source: str
    price_date: date | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Coefficients:
    """What one more of a count adds, in units of the table's quantum, all other counts unchanged.

    A cache read is input already, so it adds the difference between its price and the input price.

    Attributes:
        tokens: Input, cache read, cache write, five-minute write, one-hour write, output, reasoning.
        fee: What every request adds.
    """

    tokens: Sequence[int]
    fee: int


_new = object.__new__
_set_total, _set_input, _set_output, _set_model, _set_provider, _set_source, _set_date = (
    Cost.__dict__[name].__set__
    for name in ("total_usd", "input_usd", "output_usd", "model", "provider", "source", "price_date")
)
_set_estimated, _set_notes = (Cost.__dict__[name].__set__ for name in ("estimated", "notes"))


def compile_text(
    rows: Sequence[Coefficients],
    thresholds: Sequence[int],
    quantum_usd: Decimal,
    label: Label,
    *,
    counted: tuple[bool, bool, bool],
    limit: int,
    hour_note: str | None,
    in_general: Callable[[Usage], Cost],
) -> Callable[[Usage], Cost]:
    """Return a function that prices usages with one table.

    Everything that does not change from call to call is bound once, and the `Cost` is filled slot by slot:
    its constructor takes as long as all the rest.

    Args:
        rows: Coefficients by length of the input, one more than there are thresholds.
        thresholds: Lengths above which the next row holds, rising.
        quantum_usd: What one unit of the coefficients is worth.
        label: What each cost says about its price.
        counted: Whether reads, writes and reasoning have prices of their own, so that they are taken out of
            the counts that include them.
        limit: From which amount on this way is not exact.
        hour_note: A remark for usages with writes that live an hour.
        in_general: What prices every other usage.
    """
    rows_of = [(*row.tokens, row.fee) for row in rows]
    first_row, multiply = rows_of[0], EXACT.multiply
    reads, writes, thinks = counted
    model, provider, source = label.model, label.provider, label.source
    day, plain_notes = label.price_date, label.notes
    hour_notes = plain_notes if hour_note is None else (*plain_notes, hour_note)

    def cost(usage: Usage) -> Cost:
        tokens_in, tokens_out = usage.input_tokens, usage.output_tokens
        if (
            tokens_in is None
            or tokens_out is None
            or usage.extras
            or usage.input_audio_tokens
            or usage.output_audio_tokens
            or usage.cache_read_audio_tokens
        ):
            return in_general(usage)
        c_in, c_read, c_write, c_5m, c_1h, c_out, c_reasoning, fee = (
            rows_of[bisect_left(thresholds, tokens_in)] if thresholds else first_row
        )
        input_units, parts, notes = tokens_in * c_in, 0, plain_notes
        if read := usage.cache_read_tokens:
            input_units += read * c_read
            parts = read if reads else 0
        if write := usage.cache_write_tokens:
            input_units += write * c_write
            parts += write if writes else 0
            if hour := usage.cache_write_1h_tokens:
                input_units += hour * c_1h
                notes = hour_notes
            if five := usage.cache_write_5m_tokens:
                input_units += five * c_5m
        output_units = tokens_out * c_out
        if reasoning := usage.reasoning_tokens:
            output_units += reasoning * c_reasoning
            if thinks and reasoning > tokens_out:
                return in_general(usage)
        total_units = input_units + output_units + fee
        if parts > tokens_in or total_units >= limit:
            return in_general(usage)
        result = _new(Cost)
        _set_total(result, multiply(total_units, quantum_usd))
        _set_input(result, multiply(input_units, quantum_usd))
        _set_output(result, multiply(output_units, quantum_usd))
        _set_model(result, model)
        _set_provider(result, provider)
        _set_source(result, source)
        _set_date(result, day)
        _set_estimated(result, usage.estimated)
        _set_notes(result, notes)
        return result

    return cost
