"""Windows follow the clocks on the wall: every instant lies in one, and none has a gap."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.core.budgets.conftest import Clock
from tokenomics_core import Attribution, BudgetExceededError, ConfigurationError
from tokenomics_core.budgets import Budgets, Limit
from tokenomics_core.budgets._window import Window, from_us

ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "America/Havana",  # changes at midnight
    "Asia/Kathmandu",  # 45 minutes off
    "Australia/Lord_Howe",  # changes by half an hour
    "America/St_Johns",  # changed a minute after midnight until 2011
    "Pacific/Apia",  # left out a day in 2011
]
LENGTH_H = {"minute": (1 / 60, 1 / 60), "hour": (1, 1), "day": (22.9, 25.1), "week": (24 * 6.9, 24 * 7.1)}


def us(at: datetime) -> int:
    return round(at.timestamp()) * 1_000_000


def span(window: str, zone: str, *local: int, fold: int = 0) -> tuple[datetime, datetime]:
    at = datetime(*local, tzinfo=ZoneInfo(zone), fold=fold)
    return tuple(from_us(edge).astimezone(ZoneInfo(zone)) for edge in Window(window, zone).span_us(us(at)))


@given(
    zone=st.sampled_from(ZONES),
    window=st.sampled_from(["minute", "hour", "day", "week", "month"]),
    seconds=st.integers(1_262_304_000, 1_893_456_000),
)
@example(zone="America/St_Johns", window="day", seconds=1_289_097_900)  # 6 November 2010, again
@example(zone="America/St_Johns", window="week", seconds=1_289_097_900)
def test_every_instant_lies_in_its_window_and_the_next_one_begins_where_it_ends(zone, window, seconds):
    made = Window(window, zone)
    start, end = made.span_us(seconds * 1_000_000)
    assert start <= seconds * 1_000_000 < end
    for inside in (start, end - 1):
        assert Window(window, zone).span_us(inside) == (start, end)
    if window in {"day", "week", "month"}:
        assert Window(window, zone).span_us(end)[0] == end
        assert Window(window, zone).span_us(start - 1)[1] == start
    # The same window, asked again in any order, is the same.
    assert made.span_us(end)[0] >= end or window == "hour"
    assert made.span_us(seconds * 1_000_000) == (start, end)
    if window in LENGTH_H and zone != "Pacific/Apia":
        low, high = LENGTH_H[window]
        assert low - 1e-9 <= (end - start) / 3.6e9 <= high + 1e-9


def test_a_day_has_23_hours_when_clocks_go_forward_and_25_when_they_go_back():
    spring = Window("day", "Europe/Berlin").span_us(us(datetime(2026, 3, 29, 12, tzinfo=UTC)))
    autumn = Window("day", "Europe/Berlin").span_us(us(datetime(2026, 10, 25, 12, tzinfo=UTC)))
    assert [(end - start) / 3.6e9 for start, end in (spring, autumn)] == [23, 25]


def test_a_day_whose_midnight_does_not_exist_begins_when_the_clocks_arrive():
    start, end = span("day", "America/Havana", 2026, 3, 8, 12)
    assert (start.hour, start.day) == (1, 8)
    assert (end.astimezone(UTC) - start.astimezone(UTC)) == timedelta(hours=23)


def test_a_day_with_two_midnights_begins_at_the_first():
    start, end = span("day", "America/Havana", 2026, 11, 1, 12)
    assert (end.astimezone(UTC) - start.astimezone(UTC)) == timedelta(hours=25)


def test_the_hour_that_comes_twice_is_two_hours():
    first = span("hour", "Europe/Berlin", 2026, 10, 25, 2, 30)
    second = span("hour", "Europe/Berlin", 2026, 10, 25, 2, 30, fold=1)
    assert first[1].astimezone(UTC) == second[0].astimezone(UTC)


def test_hours_of_a_zone_with_a_part_of_an_hour_begin_on_its_own_full_hour():
    start, _ = span("hour", "Asia/Kathmandu", 2026, 5, 5, 9, 50)
    assert (start.hour, start.minute) == (9, 0)


def test_weeks_begin_on_monday_and_months_on_the_first():
    start, end = span("week", "Europe/Berlin", 2026, 11, 22, 23)
    assert (start.strftime("%a %d"), end.strftime("%a %d")) == ("Mon 16", "Mon 23")
    start, end = span("month", "Europe/Berlin", 2026, 12, 31, 23)
    assert (start.month, start.day, end.year, end.month) == (12, 1, 2027, 1)


@pytest.mark.parametrize(
    ("given", "name", "length_s"),
    [
        ("rolling 24h", "rolling 24h", 86_400),
        ("rolling:90min", "rolling 90min", 5400),
        ("rolling 7d", "rolling 7d", 7 * 86_400),
        (timedelta(seconds=45), "rolling 45s", 45),
        (timedelta(hours=1), "rolling 1h", 3600),
    ],
)
def test_rolling_windows_are_read_and_named(given, name, length_s):
    window = Window(given)
    assert (window.name, window.length_us) == (name, length_s * 1_000_000)
    assert window.span_us(0) == (0, 0)
    assert window.bucket_us * 60 >= window.length_us


def test_no_window_never_ends():
    assert Window(None).name == "total"
    assert Window(None).span_us(10**15) == (0, 0)


@pytest.mark.parametrize(
    "window", ["year", "rolling", "rolling 0s", "24h", 24, timedelta(0), timedelta(seconds=0.5)]
)
def test_windows_that_are_none_are_refused(window):
    with pytest.raises(ConfigurationError, match="window must be"):
        Window(window)


def test_a_zone_that_does_not_exist_is_refused():
    with pytest.raises(
        ConfigurationError, match="timezone must be an IANA name like 'Europe/Berlin', not 'Mars'"
    ):
        Window("day", "Mars")


def test_a_limit_whose_window_is_changed_counts_anew_and_settles_what_the_old_one_reserved(make_store):
    clock = Clock()
    store = make_store(clock)
    daily = Budgets([Limit("user", usd=1, window="day")], store=store)
    ada = Attribution(user="ada")
    daily.settle(daily.reserve(ada, usd="0.40"), usd="0.40")
    in_flight = daily.reserve(ada, usd="0.50", sent=True)
    monthly = Budgets([Limit("user", usd=1, window="month")], store=store)
    kept = monthly.reserve(ada, usd="0.90", sent=True)
    monthly.settle(in_flight, usd="0.60")
    assert monthly.status("user", "ada").spent_usd == 0
    assert monthly.status("user", "ada").held_usd == Decimal("0.90")
    daily.settle(kept, usd="0.80")
    assert monthly.status("user", "ada").spent_usd == Decimal("0.80")
    assert daily.status("user", "ada").spent_usd == 1
    with pytest.raises(BudgetExceededError):
        daily.reserve(ada, usd="0.01")
