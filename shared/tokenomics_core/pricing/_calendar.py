"""When a price holds: from a day on, at some hours, on some weekdays, not on some days."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from tokenomics_core.errors import ConfigurationError

__all__ = ["ALWAYS", "Calendar", "Window", "as_utc"]

Moment = tuple[int, int, int, date | None]
"""Part of the history, part of the day, weekday, special day: times that share it share a price."""


@dataclass(frozen=True, slots=True)
class Window:
    """The times at which a price holds, all in UTC; what is not given does not restrict.

    Attributes:
        start: First instant.
        end: First instant after it.
        daily: Hours of the day, each from a time to before another; past midnight where the second is less.
        weekdays: Monday is 0.
        except_dates: Days on which it does not hold.
    """

    start: datetime | None = None
    end: datetime | None = None
    daily: tuple[tuple[time, time], ...] = ()
    weekdays: frozenset[int] = frozenset()
    except_dates: frozenset[date] = frozenset()

    def is_open(self, at: datetime) -> bool:
        """Whether the price holds at a time, which must be in UTC."""
        if (self.start is not None and at < self.start) or (self.end is not None and at >= self.end):
            return False
        if self.weekdays and at.weekday() not in self.weekdays:
            return False
        if self.except_dates and at.date() in self.except_dates:
            return False
        return not self.daily or any(_within(at.time(), first, last) for first, last in self.daily)


ALWAYS = Window()
_FIRST = datetime.min.replace(tzinfo=UTC)
_LAST = datetime.max.replace(tzinfo=UTC)


def _within(now: time, first: time, last: time) -> bool:
    if last < first:
        return now >= first or now < last
    return first <= now < last


class Calendar:
    """Tells which times share a price, so that a compiled table serves all of them and no other."""

    def __init__(self, windows: Iterable[Window]) -> None:
        windows = list(windows)
        edges = (edge for window in windows for edge in (window.start, window.end))
        self._instants = sorted({edge for edge in edges if edge is not None})
        self._times = sorted({edge for window in windows for span in window.daily for edge in span})
        self._by_weekday = any(window.weekdays for window in windows)
        self._special = frozenset[date]().union(*(window.except_dates for window in windows))
        self.is_constant = not (self._instants or self._times or self._by_weekday or self._special)

    def moment(self, at: datetime) -> Moment:
        """Return what tells this time, in UTC, from times with another price."""
        day = at.date() if self._special else None
        return (
            bisect_right(self._instants, at),
            bisect_right(self._times, at.time()) if self._times else 0,
            at.weekday() if self._by_weekday else 0,
            day if day in self._special else None,
        )

    def span(self, at: datetime) -> tuple[datetime, datetime]:
        """Return the first instant and the one after the last that surely share a price with this one."""
        edges = [_FIRST, *self._instants, _LAST]
        if self._times or self._by_weekday or self._special:
            start = datetime.combine(at.date(), time(), UTC)
            edges += [datetime.combine(at.date(), edge, UTC) for edge in self._times]
            edges += [start, start + timedelta(days=1)]
        return max(edge for edge in edges if edge <= at), min(edge for edge in edges if edge > at)

    def changes_between(self, first: datetime, last: datetime) -> list[datetime]:
        """Return every instant in (first, last] at which a price may change, both in UTC."""
        inside = {edge for edge in self._instants if first < edge <= last}
        times = {time(0), *self._times} if (self._times or self._by_weekday or self._special) else set()
        for ordinal in range(first.toordinal(), last.toordinal() + 1 if times else first.toordinal()):
            at_times = (datetime.combine(date.fromordinal(ordinal), edge, UTC) for edge in times)
            inside.update(edge for edge in at_times if first < edge <= last)
        return sorted(inside)


def as_utc(at: datetime) -> datetime:
    """Return a time in UTC.

    Raises:
        ConfigurationError: It is no time, or has no time zone, so that the day and hour of its price are not
            known.
    """
    if not isinstance(at, datetime):
        raise ConfigurationError(f"the time of a call must be a datetime, not {at!r}; nothing was priced")
    if at.tzinfo is UTC:
        return at
    if at.utcoffset() is None:
        raise ConfigurationError(f"the time of a call needs a time zone, not {at!r}; nothing was priced")
    return at.astimezone(UTC)
