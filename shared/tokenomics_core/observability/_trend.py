"""This period beside the last: what grew, what drove it, and what a question, a user or a day costs."""

from __future__ import annotations

import shutil
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Context, Decimal
from statistics import median
from typing import Any, Final

from tokenomics_core.errors import ConfigurationError
from tokenomics_core.ledger import BaseLedger, zone_named
from tokenomics_core.observability._anomaly_drivers import CostChange, explain_change
from tokenomics_core.observability._anomaly_sums import CORRECTION, CallSums
from tokenomics_core.observability._trend_table import trend_table
from tokenomics_core.protocols import Pricer
from tokenomics_core.rendering import Table, to_html, to_rich, to_text
from tokenomics_core.types import SpendRecord, Tally, Totals, dimension_reader

__all__ = ["Trend", "TrendLine", "UnitCost", "compare_periods"]

_EXACT = Context(prec=200)
_ZERO = Decimal(0)
_PICO = Decimal("1e-12")
_UNITS: Final = ("user", "feature", "conversation", "run", "project")
_DIMENSIONS: Final = ("feature", "user", "model", "project")


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitCost:
    """What one question, user, conversation or day costs.

    Attributes:
        unit: `query`, `day`, or a dimension.
        count: How many there were.
        mean_usd: The mean; None where there were none.
        median_usd: The median, likewise.
        before_usd: The mean of the last period; None where there were none.
    """

    unit: str
    count: int
    mean_usd: Decimal | None
    median_usd: Decimal | None
    before_usd: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrendLine:
    """One feature, user or model in both periods.

    Attributes:
        dimension: What it is.
        name: Which; `""` for calls without one.
        now: Its sums in this period.
        before: Its sums in the last.
        change: What drove the change between them; its parts add up to it.
    """

    dimension: str
    name: str
    now: Totals
    before: Totals
    change: CostChange


@dataclass(frozen=True, slots=True, kw_only=True)
class Trend:
    """Two periods of the same length.

    Attributes:
        since: Where this period begins; the last one ends there.
        until: Where it ends.
        before_since: Where the last one begins.
        now: All sums of this period.
        before: All sums of the last.
        change: What drove the change of the whole.
        lines: By dimension, the lines with the largest cost in either period first.
        units: What one query, day, user and so on costs.
    """

    since: datetime
    until: datetime
    before_since: datetime
    now: Totals
    before: Totals
    change: CostChange
    lines: Mapping[str, tuple[TrendLine, ...]] = field(hash=False)
    units: tuple[UnitCost, ...]

    def top(self, dimension: str, count: int = 10) -> tuple[TrendLine, ...]:
        """Return the costliest of a dimension in this period."""
        lines = self.lines.get(dimension, ())
        return tuple(sorted(lines, key=lambda line: (-line.now.cost_usd, line.name))[:count])

    def to_table(self, max_rows: int = 8) -> Table:
        """Return the trend as a table with a section per dimension."""
        return trend_table(self, max_rows)

    def to_dict(self) -> dict[str, Any]:
        """Return the trend as plain JSON types, amounts as text with all their digits."""
        return {
            "since": self.since.isoformat(),
            "until": self.until.isoformat(),
            "before_since": self.before_since.isoformat(),
            "calls": self.now.calls,
            "calls_before": self.before.calls,
            "change": self.change.to_dict(),
            "units": [
                {
                    "unit": one.unit,
                    "count": one.count,
                    **{
                        name: None if (usd := getattr(one, name)) is None else format(usd, "f")
                        for name in ("mean_usd", "median_usd", "before_usd")
                    },
                }
                for one in self.units
            ],
            "lines": {
                name: [
                    {
                        "name": line.name,
                        "calls": line.now.calls,
                        "calls_before": line.before.calls,
                        **line.change.to_dict(),
                    }
                    for line in lines
                ]
                for name, lines in self.lines.items()
            },
        }

    def _repr_html_(self) -> str:
        return to_html(self.to_table())

    def __rich__(self) -> Any:
        return to_rich(self.to_table())

    def __str__(self) -> str:
        return to_text(self.to_table(), max(40, shutil.get_terminal_size((100, 24)).columns))


def compare_periods(
    ledger: BaseLedger,
    *,
    period: timedelta = timedelta(days=7),
    until: datetime | None = None,
    by: Sequence[str] = _DIMENSIONS,
    prices: Pricer | None = None,
    timezone: str = "UTC",
    **where: str | None,
) -> Trend:
    """Compare a period with the one of the same length before it.

    Args:
        ledger: What was spent.
        period: How long.
        until: Where this period ends; now if None.
        by: Dimensions or tags with a line per value.
        prices: List prices, by which a change is divided into its drivers; the shared price book if None.
        timezone: IANA name of the zone whose days are counted.
        where: Values that dimensions or tags must have.

    Raises:
        ConfigurationError: The period is no length of time, or `by` holds no names.
    """
    end = datetime.now(UTC) if until is None else until
    if not isinstance(period, timedelta) or period <= timedelta():
        raise ConfigurationError(f"period must be a length of time, not {period!r}; nothing was compared")
    if end.tzinfo is None:
        raise ConfigurationError(f"until needs a time zone, not {until!r}; nothing was compared")
    if isinstance(by, str) or not all(isinstance(name, str) and name for name in by):
        raise ConfigurationError(f"by must be names of dimensions, not {by!r}; nothing was compared")
    middle, start = end - period, end - 2 * period
    if prices is None:
        from tokenomics_core.pricing import default_price_book  # noqa: PLC0415 - loads the price table

        prices = default_price_book()
    names = tuple(dict.fromkeys(by))
    before = _Period.of(ledger.records(since=start, until=middle, **where), names, timezone)
    now = _Period.of(ledger.records(since=middle, until=end, **where), names, timezone)
    return Trend(
        since=middle,
        until=end,
        before_since=start,
        now=now.whole.tally.totals(),
        before=before.whole.tally.totals(),
        change=explain_change(before.whole.sums, now.whole.sums, prices=prices),
        lines={name: _lines(name, before.groups[name], now.groups[name], prices) for name in names},
        units=tuple(_unit(name, before, now) for name in ("query", *_UNITS, "day")),
    )


class _Group:
    """The calls of one value of a dimension in one period."""

    __slots__ = ("sums", "tally")

    def __init__(self) -> None:
        self.sums, self.tally = CallSums(), Tally()

    def add(self, record: SpendRecord) -> None:
        self.sums.add(record)
        self.tally.add(record)


class _Period:
    """All that one pass over a period's records adds up."""

    def __init__(self, names: Sequence[str], timezone: str) -> None:
        self._readers = [(name, dimension_reader(name)) for name in names]
        self._units = [(name, dimension_reader(name)) for name in _UNITS]
        self._zone = zone_named(timezone)
        self.whole = _Group()
        self.groups: dict[str, dict[str, _Group]] = {name: {} for name in names}
        self.queries_usd = array("d")
        self.units: dict[str, dict[str, Decimal]] = {name: {} for name in (*_UNITS, "day")}

    @classmethod
    def of(cls, records: Iterable[SpendRecord], names: Sequence[str], timezone: str) -> _Period:
        period = cls(names, timezone)
        for record in records:
            period.add(record)
        return period

    def add(self, record: SpendRecord) -> None:
        self.whole.add(record)
        for dimension, read in self._readers:
            groups, name = self.groups[dimension], read(record) or ""
            if name not in groups:
                groups[name] = _Group()
            groups[name].add(record)
        usd = record.cost_usd
        if usd is None or record.operation == CORRECTION:
            return
        self.queries_usd.append(float(usd))
        self._add_unit("day", record.at.astimezone(self._zone).date().isoformat(), usd)
        for unit, read in self._units:
            if (key := read(record)) is not None:
                self._add_unit(unit, key, usd)

    def _add_unit(self, unit: str, name: str, usd: Decimal) -> None:
        sums = self.units[unit]
        sums[name] = _EXACT.add(sums.get(name, _ZERO), usd)

    def mean_of(self, unit: str) -> Decimal | None:
        """Return what one costs on average; None where there was none."""
        if unit == "query":
            count, total = len(self.queries_usd), self.whole.tally.cost_usd
        else:
            values = self.units[unit].values()
            count, total = len(values), _sum(values)
        return (total / count).quantize(_PICO) if count else None


def _sum(values: Iterable[Decimal]) -> Decimal:
    total = _ZERO
    for usd in values:
        total = _EXACT.add(total, usd)
    return total


def _unit(name: str, before: _Period, now: _Period) -> UnitCost:
    values = now.queries_usd if name == "query" else [float(usd) for usd in now.units[name].values()]
    return UnitCost(
        unit=name,
        count=len(values),
        mean_usd=now.mean_of(name),
        median_usd=Decimal(median(values)).quantize(_PICO) if values else None,
        before_usd=before.mean_of(name),
    )


def _lines(
    dimension: str, before: Mapping[str, _Group], now: Mapping[str, _Group], prices: Pricer
) -> tuple[TrendLine, ...]:
    nothing = _Group()
    lines = []
    for name in dict.fromkeys([*now, *before]):
        old, new = before.get(name, nothing), now.get(name, nothing)
        lines.append(
            TrendLine(
                dimension=dimension,
                name=name,
                now=new.tally.totals(),
                before=old.tally.totals(),
                change=explain_change(old.sums, new.sums, prices=prices),
            )
        )
    return tuple(sorted(lines, key=lambda line: (-max(line.now.cost_usd, line.before.cost_usd), line.name)))
