"""A forecast says how sure it is, and what it cannot know."""

from __future__ import annotations

import math
import random
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.observability.records import spend
from tokenomics_core import ConfigurationError
from tokenomics_core.ledger import MemoryLedger
from tokenomics_core.observability.watching import forecast_days, forecast_month

FIRST = date(2026, 9, 1)
WEEK = (1.0, 1.1, 1.1, 1.0, 0.9, 0.3, 0.25)


def series(count, *, seed, sigma=0.15, wild=0.0):
    rng = random.Random(seed)
    days = {}
    for number in range(count):
        day = FIRST + timedelta(days=number)
        usd = 100 * WEEK[day.weekday()] * math.exp(rng.gauss(0, sigma))
        days[day] = Decimal(repr(round(usd * (3 if rng.random() < wild else 1), 6)))
    return days


def forecast(days, *, known, ahead=15, **more):
    """Forecast a span that begins with the day after `known` days."""
    today = FIRST + timedelta(days=known)
    past = {day: usd for day, usd in days.items() if day < today}
    span = {"first": today, "last": today + timedelta(days=ahead - 1), "today": today}
    return forecast_days(past, **span, at=datetime(2026, 11, 1, tzinfo=UTC), **more)


def truth(days, *, known, ahead=15):
    return sum((days[FIRST + timedelta(days=number)] for number in range(known, known + ahead)), Decimal(0))


@pytest.mark.parametrize("known", [14, 30, 60])
def test_the_interval_holds_the_truth_as_often_as_it_says(known):
    held = 0
    for seed in range(25):
        days = series(known + 15, seed=seed, wild=0.02)
        said = forecast(days, known=known)
        held += said.low_usd <= truth(days, known=known) <= said.high_usd
    assert held >= 19  # 22.5 expected; fewer than 19 has a chance of 1%


def test_weekdays_are_told_apart_once_there_are_two_weeks():
    days = series(60, seed=1, sigma=0.02)
    said = forecast(days, known=28, ahead=14)
    sunday, tuesday = date(2026, 10, 4), date(2026, 10, 6)
    assert said.by_day[sunday] < said.by_day[tuesday] / 2
    assert said.expected_usd == pytest.approx(truth(days, known=28, ahead=14), rel=Decimal("0.05"))


@settings(max_examples=30, deadline=None)
@given(
    amounts=st.lists(st.decimals(min_value=0, max_value=1000, places=6), max_size=40),
    ahead=st.integers(1, 31),
    left=st.floats(0, 1),
)
def test_whatever_the_past_the_ends_enclose_what_is_expected(amounts, ahead, left):
    days = {FIRST + timedelta(days=number): usd for number, usd in enumerate(amounts)}
    said = forecast(days, known=len(amounts), ahead=ahead, left_of_today=left)
    if said.low_usd is not None:
        assert said.spent_usd <= said.low_usd <= said.expected_usd <= said.high_usd
    if said.expected_usd is not None:
        assert sum(said.by_day.values()) == said.expected_usd


def test_the_same_seed_says_the_same():
    days = series(40, seed=3)
    assert forecast(days, known=30) == forecast(days, known=30)


@pytest.mark.parametrize(
    ("known", "words"),
    [
        (0, "no complete day is known"),
        (2, "no interval can be given"),
        (5, "weekdays cannot be told apart"),
        (20, "growth and decline cannot be told"),
    ],
)
def test_what_cannot_be_known_is_said(known, words):
    said = forecast(series(60, seed=1), known=known)
    assert any(words in note for note in said.notes)
    assert (said.low_usd is None) is (known < 3)


def test_fewer_days_make_a_wider_interval():
    days = series(80, seed=5)
    widths = [
        float((said.high_usd - said.low_usd) / said.expected_usd)
        for said in (forecast(days, known=known) for known in (4, 14, 60))
    ]
    assert widths[0] > widths[1] > widths[2]


# -- a month of a ledger


def month(hours_per_day=range(8, 20), usd="1", until=datetime(2026, 11, 12, 12, tzinfo=UTC)):
    ledger = MemoryLedger()
    at = datetime(2026, 10, 1, tzinfo=UTC)
    while at < until:
        if at.hour in hours_per_day:
            ledger.record(spend(cost=usd, at=at, id=at.isoformat()))
        at += timedelta(hours=1)
    return ledger


def test_today_adds_what_came_after_this_hour_on_other_days():
    said = forecast_month(month(), now=datetime(2026, 11, 12, 12, tzinfo=UTC))
    assert said.spent_usd == 11 * 12 + 4
    assert float(said.by_day[date(2026, 11, 12)]) == pytest.approx(12, abs=0.01)
    assert float(said.expected_usd) == pytest.approx(30 * 12, rel=0.001)
    assert (said.first, said.last) == (date(2026, 11, 1), date(2026, 11, 30))


def test_a_budget_has_days_on_which_its_shares_are_reached():
    said = forecast_month(month(), now=datetime(2026, 11, 12, 12, tzinfo=UTC))
    half, most, whole = said.outlook("240")
    assert (half.reached_on, half.expected_on) == (date(2026, 11, 10), None)
    assert (most.reached_on, most.expected_on) == (None, date(2026, 11, 16))
    assert (whole.usd, whole.expected_on) == (Decimal(240), date(2026, 11, 20))
    assert half.chance == 1
    assert whole.chance > 0.95
    assert said.outlook("1000")[2].chance < 0.05


def test_days_are_those_of_the_zone():
    ledger = MemoryLedger()
    ledger.record(spend(cost="1", at=datetime(2026, 10, 31, 23, 30, tzinfo=UTC)))
    now = datetime(2026, 11, 1, 12, tzinfo=UTC)
    assert forecast_month(ledger, now=now).spent_usd == 0
    assert forecast_month(ledger, now=now, timezone="Europe/Berlin").spent_usd == 1


def test_only_what_is_asked_for_is_forecast():
    ledger = month()
    now = datetime(2026, 11, 12, 12, tzinfo=UTC)
    assert forecast_month(ledger, now=now, feature="search").expected_usd is None


def test_it_reads_as_a_sentence_and_as_json():
    said = forecast_month(month(), now=datetime(2026, 11, 12, 12, tzinfo=UTC))
    assert str(said).startswith("2026-11-01 to 2026-11-30: $136.00 spent, $360.00 expected, $")
    assert said.to_dict()["spent_usd"] == "136"


def test_settings_that_cannot_be_are_refused():
    with pytest.raises(ConfigurationError, match="now needs a time zone"):
        forecast_month(MemoryLedger(), now=datetime(2026, 11, 1))
    with pytest.raises(ConfigurationError, match=r"confidence must be between 0 and 1, not 1\.0"):
        forecast({}, known=3, confidence=1.0)
    with pytest.raises(ConfigurationError, match="today, 2026-09-09, must lie in"):
        forecast_days(
            {}, first=FIRST, last=FIRST, at=datetime(2026, 9, 1, tzinfo=UTC), today=date(2026, 9, 9)
        )
    said = forecast_month(month(), now=datetime(2026, 11, 12, 12, tzinfo=UTC))
    with pytest.raises(ConfigurationError, match="a budget must be an amount above 0"):
        said.outlook("0")
