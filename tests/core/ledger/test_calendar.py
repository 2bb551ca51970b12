"""Days, weeks and months of any zone share no instant and leave none out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tokenomics_core.ledger._calendar import Calendar, from_us, to_us

HOUR_US = 3_600_000_000
ODD_ZONES = (
    "UTC",
    "Europe/Berlin",
    "Asia/Kathmandu",  # 5:45 ahead
    "Australia/Lord_Howe",  # changes by half an hour
    "America/Sao_Paulo",  # changed at midnight
    "America/St_Johns",  # changed at one past midnight
    "Pacific/Apia",  # skipped 30 December 2011
    "America/Havana",
)
instants_us = st.integers(to_us(datetime(2005, 1, 1, tzinfo=UTC)), to_us(datetime(2030, 1, 1, tzinfo=UTC)))


@settings(max_examples=400)
@given(
    at_us=instants_us,
    step_us=st.integers(1, 40 * 24 * HOUR_US),
    bucket=st.sampled_from(["hour", "day", "week", "month"]),
    zone=st.sampled_from(ODD_ZONES),
)
def test_starts_rise_with_time_and_a_start_is_its_own(at_us, step_us, bucket, zone):
    start_us = Calendar(bucket, zone).start_us(at_us)
    assert start_us <= at_us
    assert Calendar(bucket, zone).start_us(start_us) == start_us
    assert Calendar(bucket, zone).start_us(at_us + step_us) >= start_us
    if start_us < at_us:
        assert Calendar(bucket, zone).start_us((start_us + at_us) // 2) == start_us


@pytest.mark.parametrize(
    ("zone", "middle"),
    [
        ("Europe/Berlin", datetime(2026, 10, 25, 1, tzinfo=UTC)),  # 02:00 comes a second time
        ("Australia/Lord_Howe", datetime(2026, 4, 5, 13, 30, tzinfo=UTC)),  # the end of a day of 24.5 hours
        ("America/St_Johns", datetime(2010, 11, 7, 2, 31, tzinfo=UTC)),  # 23:01 comes after midnight
    ],
)
@given(order=st.permutations([n * HOUR_US // 4 for n in range(-4, 5)]))
def test_the_answer_does_not_depend_on_what_was_asked_before(order, zone, middle):
    asked = Calendar("hour", zone)
    for offset_us in order:
        at_us = to_us(middle) + offset_us
        assert asked.start_us(at_us) == Calendar("hour", zone).start_us(at_us)


def test_a_day_that_has_begun_stays_when_clocks_go_back_over_midnight():
    calendar = Calendar("day", "America/St_Johns")
    before, after = datetime(2010, 11, 7, 2, 30, tzinfo=UTC), datetime(2010, 11, 7, 2, 45, tzinfo=UTC)
    assert [at.astimezone(ZoneInfo("America/St_Johns")).day for at in (before, after)] == [7, 6]
    assert calendar.start_us(to_us(after)) == calendar.start_us(to_us(before)) == to_us(before)


@given(at_us=instants_us, zone=st.sampled_from(["Europe/Berlin", "Asia/Kathmandu", "America/Havana"]))
def test_a_day_has_the_date_that_the_local_clock_shows(at_us, zone):
    local = from_us(at_us).astimezone(ZoneInfo(zone))
    label = Calendar("day", zone)
    assert label.label(label.start_us(at_us)).date() == local.date()


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Europe/Berlin", datetime(2026, 3, 29, 12), 23),
        ("Europe/Berlin", datetime(2026, 10, 25, 12), 25),
        ("Australia/Lord_Howe", datetime(2026, 4, 5, 12), 24.5),
        ("America/Sao_Paulo", datetime(2018, 11, 4, 12), 23),
        ("Asia/Kathmandu", datetime(2026, 4, 5, 12), 24),
    ],
)
def test_a_day_is_as_long_as_its_clocks_say(zone, day, hours):
    calendar = Calendar("day", zone)
    start_us = calendar.start_us(to_us(day.replace(tzinfo=ZoneInfo(zone))))
    next_us = calendar.start_us(start_us + 30 * HOUR_US)
    assert next_us - start_us == hours * HOUR_US


def test_weeks_begin_on_monday_and_months_on_their_first():
    at_us = to_us(datetime(2026, 11, 1, 12, tzinfo=UTC))  # a Sunday
    assert from_us(Calendar("week").start_us(at_us)) == datetime(2026, 10, 26, tzinfo=UTC)
    assert from_us(Calendar("month").start_us(at_us)) == datetime(2026, 11, 1, tzinfo=UTC)
    assert from_us(Calendar("month").start_us(at_us - 24 * HOUR_US)) == datetime(2026, 10, 1, tzinfo=UTC)


@given(st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)))
def test_microseconds_hold_an_instant_exactly(at):
    assert from_us(to_us(at)) == at


def test_an_hour_bucket_counts_elapsed_hours_from_midnight():
    calendar = Calendar("hour", "Asia/Kathmandu")
    label = calendar.label(calendar.start_us(to_us(datetime(2026, 1, 1, 0, 10, tzinfo=UTC))))
    assert label.isoformat() == "2026-01-01T05:00:00+05:45"
    assert label.utcoffset() == timedelta(hours=5, minutes=45)
