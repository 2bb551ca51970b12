"""Minutes, hours, days, weeks and months of a time zone, and windows that roll."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo

from tokenomics_core.errors import ConfigurationError

__all__ = ["ROLLING_BUCKETS", "Window", "from_us", "to_us"]

ROLLING_BUCKETS = 60
"""A rolling window is counted in so many steps: spend leaves it at most 1/60 of it late, never early."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_SECOND_US = 1_000_000
_CLOCK_US = {"minute": 60 * _SECOND_US, "hour": 3600 * _SECOND_US}
_CALENDAR = frozenset({"day", "week", "month"})
_ROLLING = re.compile(r"rolling[ :](\d+) ?(s|min|h|d)")
_UNIT_S = {"s": 1, "min": 60, "h": 3600, "d": 86_400}
_LONGEST_S = 10 * 366 * 86_400


class Window:
    """The stretch of time over which a limit counts.

    Calendar windows follow the clocks on the wall: a day lasts 23 or 25 hours when they change, an hour
    that comes twice is two hours, weeks begin on Monday. A rolling window is the last so many seconds.
    """

    __slots__ = ("_span", "_zone", "bucket_us", "id", "length_us", "name")

    def __init__(self, window: str | timedelta | None, timezone: str = "UTC") -> None:
        """Read a window.

        Args:
            window: None for no window at all, `minute`, `hour`, `day`, `week`, `month`, a timedelta or
                `rolling 24h` (s, min, h, d) for the time just gone.
            timezone: IANA name of the zone whose calendar counts.
        """
        self._zone = _zone_named(timezone)
        self._span: tuple[int, int] = (0, 0)
        self.length_us = self.bucket_us = 0
        length_s = _rolling_seconds(window)
        if length_s is not None:
            self.length_us = length_s * _SECOND_US
            self.bucket_us = -(-self.length_us // ROLLING_BUCKETS)
            self.name = self.id = f"rolling {_written(length_s)}"
        elif window is None:
            self.name = self.id = "total"
        elif window in _CLOCK_US or window in _CALENDAR:
            self.name = str(window)
            self.id = f"{window} {timezone}"
        else:
            raise ConfigurationError(
                "window must be None, 'minute', 'hour', 'day', 'week', 'month', a timedelta or such as "
                f"'rolling 24h', not {window!r}"
            )

    @property
    def is_calendar(self) -> bool:
        """Whether the window begins and ends at set times."""
        return self.name in _CLOCK_US or self.name in _CALENDAR

    def span_us(self, now_us: int) -> tuple[int, int]:
        """Return when the window that holds an instant starts and ends; (0, 0) where nothing ends.

        All in microseconds since 1970; the end belongs to the next window.
        """
        if not self.is_calendar:
            return 0, 0
        start, end = self._span  # one assignment: another thread sees the old pair or the new one
        if not start <= now_us < end:
            self._span = start, end = self._find_span(now_us)
        return start, end

    def _find_span(self, now_us: int) -> tuple[int, int]:
        local = from_us(now_us).astimezone(self._zone)
        if step := _CLOCK_US.get(self.name):
            offset = (local.utcoffset() or timedelta()) // _MICROSECOND
            start = (now_us + offset) // step * step - offset
            return start, start + step
        first = _first_day(local.date(), self.name)
        following = _next_first_day(first, self.name)
        start, end = self._midnight_us(first), self._midnight_us(following)
        if now_us >= end:  # clocks went back over midnight: the date of yesterday came a second time
            return end, self._midnight_us(_next_first_day(following, self.name))
        return start, end

    def _midnight_us(self, day: date) -> int:
        return (datetime.combine(day, time(), self._zone) - _EPOCH) // _MICROSECOND


def from_us(at_us: int) -> datetime:
    """Return microseconds since 1970 as an instant in UTC, exactly."""
    return _EPOCH + timedelta(microseconds=at_us)


def to_us(at: datetime) -> int:
    """Return an instant as microseconds since 1970."""
    if at.tzinfo is None:
        raise ConfigurationError(f"at must have a time zone, not {at!r}; nothing was booked")
    return (at - _EPOCH) // _MICROSECOND


def _zone_named(name: str) -> tzinfo:
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError, TypeError) as error:
        raise ConfigurationError(
            f"timezone must be an IANA name like 'Europe/Berlin', not {name!r}"
        ) from error


def _rolling_seconds(window: str | timedelta | None) -> int | None:
    if isinstance(window, timedelta):
        seconds, rest = divmod(window, timedelta(seconds=1))
        if rest or not 1 <= seconds <= _LONGEST_S:
            raise ConfigurationError(f"a rolling window must be whole seconds up to 10 years, not {window!r}")
        return seconds
    if not isinstance(window, str) or not (found := _ROLLING.fullmatch(window)):
        return None
    seconds = int(found[1]) * _UNIT_S[found[2]]
    if not 1 <= seconds <= _LONGEST_S:
        raise ConfigurationError(f"a rolling window must be whole seconds up to 10 years, not {window!r}")
    return seconds


def _written(seconds: int) -> str:
    if seconds % 86_400 == 0 and seconds > 86_400:
        return f"{seconds // 86_400}d"
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def _first_day(day: date, window: str) -> date:
    if window == "week":
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if window == "month" else day


def _next_first_day(first: date, window: str) -> date:
    if window == "month":
        return (first + timedelta(days=31)).replace(day=1)
    return first + timedelta(days=7 if window == "week" else 1)
