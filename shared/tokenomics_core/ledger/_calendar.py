"""Hours, days, weeks and months of a time zone, for sums over time."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from datetime import timezone as fixed_offset
from typing import Literal, get_args
from zoneinfo import ZoneInfo

from tokenomics_core.errors import ConfigurationError

__all__ = ["Bucket", "Calendar", "from_us", "start_of_day", "to_us", "zone_named"]

Bucket = Literal["hour", "day", "week", "month"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_HOUR_US = 3_600_000_000


def to_us(at: datetime) -> int:
    """Return an instant as microseconds since 1970, exactly."""
    return (at - _EPOCH) // _MICROSECOND


def from_us(at_us: int) -> datetime:
    """Return microseconds since 1970 as an instant in UTC, exactly."""
    return _EPOCH + timedelta(microseconds=at_us)


def zone_named(name: str) -> tzinfo:
    """Return a time zone of the IANA database; `UTC` needs no database.

    Raises:
        ConfigurationError: No zone has that name.
    """
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError, TypeError) as error:
        raise ConfigurationError(
            f"timezone must be an IANA name such as 'Europe/Berlin', not {name!r}"
        ) from error


def start_of_day(day: date, timezone: str = "UTC") -> datetime:
    """Return the first instant of a day in a zone, for use as `since` or `until`.

    Raises:
        ConfigurationError: No zone has that name.
    """
    return from_us(to_us(datetime.combine(day, time(), zone_named(timezone))))


class Calendar:
    """Tells in which hour, day, week or month of a zone an instant lies.

    A day runs from its first midnight to the next day's first midnight, so it has 23 or 25 hours when
    clocks change; hours are counted from midnight in elapsed time; weeks begin on Monday. Every instant
    lies in exactly one of each.
    """

    def __init__(self, bucket: Bucket, timezone: str = "UTC") -> None:
        if bucket not in get_args(Bucket):
            raise ConfigurationError(f"bucket must be one of {', '.join(get_args(Bucket))}, not {bucket!r}")
        self._bucket = bucket
        self._zone = zone_named(timezone)
        self._start_us, self._end_us = 0, 0

    def start_us(self, at_us: int) -> int:
        """Return the start of the bucket that holds an instant, both in microseconds since 1970."""
        if not self._start_us <= at_us < self._end_us:  # records mostly come in the order of time
            self._start_us, self._end_us = self._span(at_us)
        return self._start_us

    def starts_in(self, first_us: int, end_us: int) -> Iterator[int]:
        """Go through the starts of all buckets that share an instant with a span, the end not included."""
        while first_us < end_us:
            yield self.start_us(first_us)
            first_us = self._end_us

    def label(self, start_us: int) -> datetime:
        """Return a bucket's start as local time of fixed offset, so that 02:00 and its repetition differ."""
        local = from_us(start_us).astimezone(self._zone)
        return local.replace(tzinfo=fixed_offset(local.utcoffset() or timedelta()), fold=0)

    def _span(self, at_us: int) -> tuple[int, int]:
        first = _first_day(from_us(at_us).astimezone(self._zone).date(), self._bucket)
        following = _next_first_day(first, self._bucket)
        start, end = self._midnight_us(first), self._midnight_us(following)
        if at_us >= end:  # clocks went back over midnight: the date of yesterday came a second time
            start, end = end, self._midnight_us(_next_first_day(following, self._bucket))
        if self._bucket != "hour":
            return start, end
        start += (at_us - start) // _HOUR_US * _HOUR_US
        return start, min(start + _HOUR_US, end)

    def _midnight_us(self, day: date) -> int:
        return to_us(datetime.combine(day, time(), self._zone))


def _first_day(day: date, bucket: Bucket) -> date:
    if bucket == "week":
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if bucket == "month" else day


def _next_first_day(first: date, bucket: Bucket) -> date:
    if bucket == "month":
        return (first + timedelta(days=31)).replace(day=1)
    return first + timedelta(days=7 if bucket == "week" else 1)
