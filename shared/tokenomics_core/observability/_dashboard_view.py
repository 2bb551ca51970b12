"""What a ledger says of today and of this month, read little by little so that a large one can be watched."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from tokenomics_core.ledger import BaseLedger, start_of_day, zone_named
from tokenomics_core.types import Tally, Totals

__all__ = ["DIMENSIONS", "Line", "Spend", "SpendView"]

DIMENSIONS = ("model", "feature", "project", "user")
_TOGETHER = ("model", "feature", "project", "avoided_by")
_DAYS = 31
_MOST_TODAY_FOR_QUERIES = 100_000


@dataclass(frozen=True, slots=True)
class Line:
    """The sums of one value.

    Attributes:
        name: The value; `""` for calls without one.
        month: Its sums of this month, today included.
        today: Its sums of today.
    """

    name: str
    month: Totals
    today: Totals


@dataclass(frozen=True, slots=True, kw_only=True)
class Spend:
    """What is shown.

    Attributes:
        at: When it was read, in the zone of the days.
        today: Sums since midnight.
        month: Sums since the first of the month.
        queries_today: Runs of chains and agents today, calls outside of any counted as one each; None where
            today has too many calls to tell quickly.
        days: Sums by day, the last 31 days with those without calls.
        by: Lines by dimension, the costliest first; `avoided_by` too.
        is_complete: Whether the days before today have been read yet.
    """

    at: datetime
    today: Totals
    month: Totals
    queries_today: int | None
    days: Mapping[date, Totals]
    by: Mapping[str, tuple[Line, ...]]
    is_complete: bool


@dataclass(slots=True)
class _Sums:
    """Sums of a span of time."""

    whole: Tally = field(default_factory=Tally)
    by: dict[str, dict[str, Tally]] = field(
        default_factory=lambda: {name: {} for name in (*_TOGETHER, "user")}
    )

    def add(self, values: Iterable[tuple[str, str]], totals: Totals) -> None:
        for name, value in values:
            tally = self.by[name].get(value)
            if tally is None:
                tally = self.by[name][value] = Tally()
            tally.merge(totals)


class SpendView:
    """Read a ledger of any size for as long as somebody looks.

    The days before today are read once, then again when a day ends and every `recheck_s`; today is read every
    time. Sums are the ledger's own and exact.

    Args:
        ledger: What is read.
        clock: Tells the time, with a zone.
        timezone: IANA name of the zone whose days count.
        recheck_s: How long what was read of earlier days holds, as records may be added to them late,
            forgotten or pruned; twenty times as long as reading them took, if that is longer.
    """

    def __init__(
        self,
        ledger: BaseLedger,
        *,
        clock: Callable[[], datetime],
        timezone: str = "UTC",
        recheck_s: float = 600.0,
    ) -> None:
        self._ledger, self._clock, self._timezone = ledger, clock, timezone
        self._zone = zone_named(timezone)
        self._recheck_s = recheck_s
        self._before: _Sums | None = None
        self._days: dict[date, Totals] = {}
        self._read_at: datetime | None = None
        self._took_s = 0.0

    @property
    def wants_earlier_days(self) -> bool:
        """Whether the next `read` has to read the days before today, which may take a while."""
        now = self._now()
        read_at = self._read_at
        if self._before is None or read_at is None or read_at.date() != now.date():
            return True
        holds_s = max(self._recheck_s, 20 * self._took_s)
        return not 0 <= (now - read_at).total_seconds() < holds_s

    def read_today(self) -> Spend:
        """Read today alone; what is known of earlier days is added while it holds."""
        now = self._now()
        if self._read_at is not None and self._read_at.date() != now.date():
            self._before, self._days = None, {}
        return self._spend(now)

    def read(self) -> Spend:
        """Read everything that is due.

        Raises:
            StoreError: The ledger cannot be read.
        """
        if self.wants_earlier_days:
            self._read_earlier_days(self._now())
        return self._spend(self._now())

    def _now(self) -> datetime:
        return self._clock().astimezone(self._zone)

    def _midnight(self, day: date) -> datetime:
        return start_of_day(day, self._timezone)

    def _read_earlier_days(self, now: datetime) -> None:
        today, month = now.date(), now.date().replace(day=1)
        first = min(month, today - timedelta(days=_DAYS - 1))
        until = self._midnight(today)
        sums, days = _Sums(), {}
        groups = self._ledger.totals_by(
            _TOGETHER, bucket="day", timezone=self._timezone, since=self._midnight(first), until=until
        )
        tallies: dict[date, Tally] = {}
        for (start, *values), totals in groups.items():
            assert isinstance(start, datetime)  # noqa: S101 - a bucket comes first
            tallies.setdefault(start.date(), Tally()).merge(totals)
            if start.date() >= month:
                sums.whole.merge(totals)
                sums.add(zip(_TOGETHER, map(str, values), strict=True), totals)
        days = {day: tally.totals() for day, tally in tallies.items()}
        for user, totals in self._ledger.totals_by("user", since=self._midnight(month), until=until).items():
            sums.add([("user", user)], totals)
        self._before, self._days, self._read_at = sums, days, now
        self._took_s = max(0.0, (self._now() - now).total_seconds())

    def _read_open_day(self, now: datetime) -> _Sums:
        since = self._midnight(now.date())
        sums = _Sums()
        for values, totals in self._ledger.totals_by(_TOGETHER, since=since).items():
            sums.whole.merge(totals)
            sums.add(zip(_TOGETHER, map(str, values), strict=True), totals)
        for user, totals in self._ledger.totals_by("user", since=since).items():
            sums.add([("user", user)], totals)
        return sums

    def _spend(self, now: datetime) -> Spend:
        opened = self._read_open_day(now)
        before = self._before
        today = opened.whole.totals()
        month = today if before is None else before.whole.totals() + today
        calendar = (now.date() - timedelta(days=back) for back in reversed(range(_DAYS)))
        days = {day: self._days.get(day, Totals()) for day in calendar}
        days[now.date()] = today
        return Spend(
            at=now,
            today=today,
            month=month,
            queries_today=self._queries(now, today),
            days=days,
            by={
                name: _lines({} if before is None else before.by[name], opened.by[name])
                for name in (*DIMENSIONS, "avoided_by")
            },
            is_complete=before is not None,
        )

    def _queries(self, now: datetime, today: Totals) -> int | None:
        if today.calls > _MOST_TODAY_FOR_QUERIES:
            return None
        runs = self._ledger.totals_by("run", since=self._midnight(now.date()))
        alone = runs.pop("", Totals()).calls
        return len(runs) + alone


def _lines(before: Mapping[str, Tally], opened: Mapping[str, Tally]) -> tuple[Line, ...]:
    nothing = Totals()
    lines = []
    for name in {**before, **opened}:
        today = opened[name].totals() if name in opened else nothing
        earlier = before[name].totals() if name in before else nothing
        lines.append(Line(name, earlier + today if today.calls else earlier, today))
    lines.sort(key=lambda line: (-line.month.cost_usd, -line.month.calls, line.name))
    return tuple(lines)
