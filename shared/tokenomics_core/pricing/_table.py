"""One price sheet as integers, so that pricing a usage is a handful of multiplications."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from tokenomics_core.errors import ConfigurationError
from tokenomics_core.pricing._rates import EXACT, Sheet, as_integer, decimals_of
from tokenomics_core.pricing._reckoning import LIMIT, Reckoning, reckon
from tokenomics_core.pricing._units import Unit, load_units
from tokenomics_core.types import Cost, Usage

__all__ = ["Label", "Table"]

_INPUT_KEYS = (
    "input_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "cache_write_5m_tokens",
    "cache_write_1h_tokens",
)
_OUTPUT_KEYS = ("output_tokens", "output_reasoning_tokens")
_POWERS = {10**exponent: exponent for exponent in range(10)}


@dataclass(frozen=True, slots=True)
class Label:
    """Whose price a table holds and where it came from; see `Cost` for the fields."""

    model: str
    provider: str | None
    source: str
    price_date: date | None = None
    notes: tuple[str, ...] = ()


class Table:
    """A price sheet, compiled.

    Every price becomes an integer multiple of `10 ** -scale` USD per single unit, so sums are exact. Counts
    that are parts of one another (cache reads are input) turn into coefficients: a cache read adds the
    difference between its price and the input price.

    Args:
        sheet: The rates; every unit must be one of `load_units()`.
        label: What each cost says about its price.
        guarded: Whether a usage that reports none of the units billed here has no known cost. Without it
            such a usage costs 0, as it does in genai-prices.
        own: Whether output (or input) tokens without a price have no known cost. Price data leaves a price
            out where nothing is charged; an override that does so has forgotten one.
        minimum_audio_s: The least number of seconds that is charged for a call with audio.
    """

    def __init__(
        self, sheet: Sheet, label: Label, *, guarded: bool, own: bool = False, minimum_audio_s: int = 0
    ) -> None:
        self.sheet, self.label = sheet, label
        self.guarded, self.own, self.minimum_audio_s = guarded, own, minimum_audio_s
        known = load_units()
        self.units: list[Unit] = [known[key] for key in sheet]
        self._order_parts()
        self._scale_prices()
        self._compile_text()

    def _order_parts(self) -> None:
        counted = [index for index, unit in enumerate(self.units) if unit.key != "requests"]
        counted.sort(key=lambda index: (-len(self.units[index].dimensions), self.units[index].key))
        self.parts: list[tuple[int, list[int]]] = [
            (index, [other for other in counted if other != index and self._includes(index, other)])
            for index in counted
        ]

    def _includes(self, index: int, other: int) -> bool:
        return self.units[index].includes(self.units[other])

    def _scale_prices(self) -> None:
        rates = list(self.sheet.values())
        powers = [_POWERS.get(unit.per) for unit in self.units]
        needed = [
            decimals_of(price) + power
            for rate, power in zip(rates, powers, strict=True)
            for price in rate.prices
            if power is not None
        ]
        self.scale = max(needed, default=0)
        self.quantum_usd = Decimal(1).scaleb(-self.scale)
        self.thresholds = sorted({start for rate in rates for start, _ in rate.tiers})
        probes = [0, *(start + 1 for start in self.thresholds)]
        self.rows: list[list[int | None]] = [
            [
                None if power is None else as_integer(rate.at(probe), self.scale - power)
                for rate, power in zip(rates, powers, strict=True)
            ]
            for probe in probes
        ]

    def _compile_text(self) -> None:
        keys = list(self.sheet)
        self._has_read = "cache_read_tokens" in keys
        self._has_write = "cache_write_tokens" in keys
        self._has_reasoning = "output_reasoning_tokens" in keys
        self.has_1h = "cache_write_1h_tokens" in keys
        self._is_text = "input_tokens" in keys and "output_tokens" in keys
        if not self._is_text:
            return
        positions = [
            [keys.index(key) if key in keys else None for key in wanted]
            for wanted in (_INPUT_KEYS, _OUTPUT_KEYS)
        ]
        fee_at = keys.index("requests") if "requests" in keys else None
        self._text_rows = [
            (
                [self._coefficient(row, at) for at in positions[0]],
                [self._coefficient(row, at) for at in positions[1]],
                0 if fee_at is None else (row[fee_at] or 0),
            )
            for row in self.rows
        ]

    def _coefficient(self, row: Sequence[int | None], at: int | None) -> int:
        """Return what one more of a unit adds where the counts that include it stay as they are."""
        if at is None:
            return 0
        leaves = self.leaves([int(index == at) for index in range(len(self.units))])
        return sum(leaf * (price or 0) for leaf, price in zip(leaves, row, strict=True))

    def leaves(self, counts: Sequence[int]) -> list[int]:
        """Split counts so that nothing is in two of them; a count less than its parts comes out negative."""
        leaves = [0] * len(counts)
        for index, parts in self.parts:
            leaves[index] = counts[index] - sum(leaves[part] for part in parts)
        return leaves

    def row_for(self, input_tokens: float | Decimal) -> list[int | None]:
        """Return the integer prices where the whole input has this many tokens."""
        return self.rows[bisect_left(self.thresholds, input_tokens)]

    def cost(self, usage: Usage) -> Cost:
        """Price a usage.

        Raises:
            ConfigurationError: A part exceeds its whole, or an extra is no count.
        """
        i, o = usage.input_tokens, usage.output_tokens
        if (
            i is None
            or o is None
            or not self._is_text
            or usage.extras
            or usage.input_audio_tokens
            or usage.output_audio_tokens
            or usage.cache_read_audio_tokens
        ):
            return self._cost_in_general(usage)
        read = usage.cache_read_tokens or 0
        write = usage.cache_write_tokens or 0
        hour = usage.cache_write_1h_tokens or 0
        reasoning = usage.reasoning_tokens or 0
        if read * self._has_read + write * self._has_write > i or reasoning * self._has_reasoning > o:
            return self._cost_in_general(usage)
        ins, outs, fee = self._text_rows[bisect_left(self.thresholds, i) if self.thresholds else 0]
        input_units = i * ins[0] + read * ins[1] + write * ins[2] + hour * ins[4]
        if usage.cache_write_5m_tokens:
            input_units += usage.cache_write_5m_tokens * ins[3]
        output_units = o * outs[0] + reasoning * outs[1]
        total_units = input_units + output_units + fee
        if total_units >= LIMIT:
            return self._cost_in_general(usage)
        label, quantum = self.label, self.quantum_usd
        multiply = EXACT.multiply
        return Cost(
            total_usd=multiply(total_units, quantum),
            input_usd=multiply(input_units, quantum),
            output_usd=multiply(output_units, quantum),
            model=label.model,
            provider=label.provider,
            source=label.source,
            price_date=label.price_date,
            estimated=usage.estimated,
            notes=label.notes if self.has_1h or not hour else (*label.notes, self.hour_note()),
        )

    def hour_note(self) -> str:
        """Say what a cache write for an hour was charged as where it has no price of its own."""
        charged_as = "other cache writes" if self._has_write else "plain input"
        return f"no price for cache writes that live an hour; charged as {charged_as}"

    def _cost_in_general(self, usage: Usage) -> Cost:
        try:
            return self._labelled(reckon(self, usage), usage)
        except ConfigurationError as problem:
            raise ConfigurationError(f"{self.label.model}: {problem}; nothing was priced") from problem

    def _labelled(self, reckoning: Reckoning, usage: Usage) -> Cost:
        label = self.label
        return Cost(
            total_usd=reckoning.total_usd,
            input_usd=reckoning.input_usd,
            output_usd=reckoning.output_usd,
            model=label.model,
            provider=label.provider,
            source=label.source,
            price_date=label.price_date,
            estimated=usage.estimated or reckoning.assumed,
            notes=(*label.notes, *reckoning.notes),
        )
