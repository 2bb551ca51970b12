"""A report's records added up in one pass: the whole, and a line for each value of each dimension."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from tokenomics_core.errors import ConfigurationError
from tokenomics_core.types import SpendRecord, Tally, Totals, dimension_reader

__all__ = ["COUNTS", "Line", "sum_lines", "tally_by"]

COUNTS = ("input_tokens", "cache_read_tokens", "cache_write_tokens", "output_tokens", "reasoning_tokens")
_ALL_KNOWN = (1 << len(COUNTS)) - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """The sums of one row, and which counts nobody reported."""

    name: str
    totals: Totals
    unknown: frozenset[str]
    unpriced_models: tuple[str, ...]
    sources: tuple[str, ...]
    knows_avoided: bool
    is_rest: bool

    @property
    def weight_usd(self) -> Decimal:
        """What the row's bar stands for."""
        return max(self.totals.cost_usd, Decimal(0)) + max(self.totals.avoided_usd, Decimal(0))

    @property
    def is_priced(self) -> bool:
        """Whether any part of the cost is known."""
        return self.totals.unpriced_calls < self.totals.calls or not self.totals.calls


def tally_by(records: Iterable[SpendRecord], dimension: str) -> dict[str, Tally]:
    """Add records up by a dimension's values, those without one under `""`.

    Raises:
        ConfigurationError: The dimension is no name.
    """
    (read,) = _readers((dimension,))
    tallies: dict[str, Tally] = {}
    for record in records:
        name = read(record) or ""
        tally = tallies.get(name)
        if tally is None:
            tally = tallies[name] = Tally()
        tally.add(record)
    return tallies


def sum_lines(
    records: Iterable[SpendRecord], by: Sequence[str], max_rows: int
) -> tuple[Line, list[tuple[str, list[Line]]]]:
    """Return the line of all records, and for each dimension its lines, the costliest first.

    Each record is looked at once; what is added up for the lines are its combinations of values.

    Raises:
        ConfigurationError: A dimension is no name.
    """
    readers = _readers(by)
    combined: dict[tuple[str, ...], _Sums] = {}
    for record in records:
        key = tuple([read(record) or "" for read in readers])
        sums = combined.get(key)
        if sums is None:
            sums = combined[key] = _Sums()
        sums.add(record)
    whole = _merged(combined.values()).line("Total")
    return whole, [(name, _section(combined, at, max_rows)) for at, name in enumerate(by)]


def _readers(by: Sequence[str]) -> list[Callable[[SpendRecord], str | None]]:
    for name in by:
        if not isinstance(name, str) or not name:
            raise ConfigurationError(f"a dimension must be a name, not {name!r}; nothing was summed")
    return [dimension_reader(name) for name in by]


class _Sums:
    """What a line tells, growing record by record."""

    __slots__ = ("_known", "_sources", "_unpriced_models", "knows_avoided", "tally")

    def __init__(self) -> None:
        self.tally = Tally()
        self.knows_avoided = False
        self._known = 0
        self._sources: dict[str, None] = {}
        self._unpriced_models: dict[str, None] = {}

    def add(self, record: SpendRecord) -> None:
        self.tally.add(record)
        if record.avoided_usd is not None:
            self.knows_avoided = True
        if record.cost_usd is None:
            self._unpriced_models[record.model] = None
        if record.source == "cache":
            return
        if record.cost_usd is not None:
            self._sources[record.price_source] = None
        if self._known != _ALL_KNOWN:
            # Written out, in the order of COUNTS: a loop would take longer than all the rest.
            usage = record.usage
            self._known |= (
                (usage.input_tokens is not None)
                | (usage.cache_read_tokens is not None) << 1
                | (usage.cache_write_tokens is not None) << 2
                | (usage.output_tokens is not None) << 3
                | (usage.reasoning_tokens is not None) << 4
            )

    def merge(self, other: _Sums) -> None:
        self.tally.merge(other.tally)
        self.knows_avoided |= other.knows_avoided
        self._known |= other._known
        if other._sources:
            self._sources |= other._sources
        if other._unpriced_models:
            self._unpriced_models |= other._unpriced_models

    def line(self, name: str, *, is_rest: bool = False) -> Line:
        totals = self.tally.totals()
        has_paid = totals.calls > totals.cached_calls
        unknown = [name for at, name in enumerate(COUNTS) if has_paid and not self._known >> at & 1]
        return Line(
            name=name,
            totals=totals,
            unknown=frozenset(unknown),
            unpriced_models=tuple(self._unpriced_models),
            sources=tuple(self._sources),
            knows_avoided=self.knows_avoided,
            is_rest=is_rest,
        )


def _section(combined: Mapping[tuple[str, ...], _Sums], at: int, max_rows: int) -> list[Line]:
    groups: dict[str, _Sums] = {}
    for key, sums in combined.items():
        name = key[at]
        if name not in groups:
            groups[name] = _Sums()
        groups[name].merge(sums)
    ordered = sorted(groups.items(), key=_importance)
    if len(ordered) <= max_rows:
        return [sums.line(name) for name, sums in ordered]
    rest = ordered[max_rows - 1 :]
    shown = [sums.line(name) for name, sums in ordered[: max_rows - 1]]
    return [*shown, _merged(sums for _, sums in rest).line(f"{len(rest):,} more", is_rest=True)]


def _merged(parts: Iterable[_Sums]) -> _Sums:
    whole = _Sums()
    for part in parts:
        whole.merge(part)
    return whole


def _importance(item: tuple[str, _Sums]) -> tuple[Decimal, int, Decimal, str]:
    name, tally = item[0], item[1].tally
    return (-tally.cost_usd, -tally.unpriced_calls, -tally.avoided_usd, name)
