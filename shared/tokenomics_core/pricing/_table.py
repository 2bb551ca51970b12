"""One price sheet as integers, so that pricing a usage is a handful of multiplications."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from decimal import Decimal

from tokenomics_core.errors import ConfigurationError
from tokenomics_core.pricing._rates import Sheet, as_integer, decimals_of
from tokenomics_core.pricing._reckoning import LIMIT, reckon
from tokenomics_core.pricing._text import Coefficients, Label, compile_text
from tokenomics_core.pricing._units import Unit, load_units
from tokenomics_core.types import Cost, Usage

__all__ = ["Table"]

_TEXT_KEYS = (
    "input_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "cache_write_5m_tokens",
    "cache_write_1h_tokens",
    "output_tokens",
    "output_reasoning_tokens",
)
_POWERS = {10**exponent: exponent for exponent in range(10)}


class Table:
    """A price sheet, compiled.

    Every price becomes an integer multiple of `10 ** -scale` USD per single unit, so sums are exact. Counts
    that are parts of one another (cache reads are input) are split, so that no token is charged twice.

    `cost(usage)` prices a usage; it raises a ConfigurationError where a part exceeds its whole or an extra
    is no count.

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
        self.has_1h = "cache_write_1h_tokens" in sheet
        self._order_parts()
        self._scale_prices()
        self.cost: Callable[[Usage], Cost] = self._compile_text()

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

    def _compile_text(self) -> Callable[[Usage], Cost]:
        sheet, keys = self.sheet, list(self.sheet)
        if "input_tokens" not in sheet or "output_tokens" not in sheet:
            return self._cost_in_general
        wanted = [keys.index(key) if key in sheet else None for key in (*_TEXT_KEYS, "requests")]
        fee_at = wanted.pop()
        rows = [
            Coefficients(
                [self._coefficient(row, at) for at in wanted], 0 if fee_at is None else row[fee_at] or 0
            )
            for row in self.rows
        ]
        return compile_text(
            rows,
            self.thresholds,
            self.quantum_usd,
            self.label,
            counted=(
                "cache_read_tokens" in sheet,
                "cache_write_tokens" in sheet,
                "output_reasoning_tokens" in sheet,
            ),
            limit=LIMIT,
            hour_note=None if self.has_1h else self.hour_note(),
            in_general=self._cost_in_general,
        )

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

    def hour_note(self) -> str:
        """Say what a cache write for an hour was charged as where it has no price of its own."""
        charged_as = "other cache writes" if "cache_write_tokens" in self.sheet else "plain input"
        return f"no price for cache writes that live an hour; charged as {charged_as}"

    def _cost_in_general(self, usage: Usage) -> Cost:
        label = self.label
        try:
            reckoning = reckon(self, usage)
        except ConfigurationError as problem:
            raise ConfigurationError(f"{label.model}: {problem}; nothing was priced") from problem
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
