"""A period is compared with the last: sums that are exact, and what drove the change."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Context, Decimal, localcontext

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.observability.records import hit, records, spend
from tokenomics_core import ConfigurationError
from tokenomics_core.ledger import MemoryLedger
from tokenomics_core.observability.watching import compare_periods

END = datetime(2026, 11, 15, tzinfo=UTC)
DAY = timedelta(days=1)


def ledger_of(*some):
    ledger = MemoryLedger()
    for record in some:
        ledger.record(record)
    return ledger


def exact_sum(amounts):
    with localcontext(Context(prec=200)):
        return sum(amounts, Decimal(0))


@settings(max_examples=40, deadline=None)
@given(
    some=records,
    end=st.datetimes(min_value=datetime(2, 1, 1), timezones=st.just(UTC)),
    days=st.integers(1, 300),
)
def test_every_line_adds_up_and_all_lines_are_the_whole(some, end, days):
    ledger = ledger_of(*some)
    trend = compare_periods(ledger, until=end, period=days * DAY, by=("feature", "model"))
    assert trend.now.cost_usd == ledger.total(since=end - days * DAY, until=end)
    for lines in trend.lines.values():
        assert exact_sum(line.now.cost_usd for line in lines) == trend.now.cost_usd
        for line in lines:
            assert exact_sum(line.change.parts.values()) == line.change.change_usd
    assert exact_sum(trend.change.parts.values()) == trend.change.change_usd


def test_what_grew_is_told_with_its_driver():
    before = [
        spend(cost="0.01", tokens=(100, 0), feature="chat", at=END - 10 * DAY, id=f"b{n}") for n in range(5)
    ]
    now = [
        spend(cost="0.03", tokens=(300, 0), feature="chat", at=END - 3 * DAY, id=f"n{n}") for n in range(5)
    ]
    trend = compare_periods(ledger_of(*before, *now), until=END)
    (line,) = trend.lines["feature"]
    assert (line.before.cost_usd, line.now.cost_usd) == (Decimal("0.05"), Decimal("0.15"))
    assert line.change.main_driver == "tokens"
    assert "3.0x" in str(trend)
    assert "length of calls" in str(trend)


def test_one_query_user_conversation_and_day_have_a_cost():
    some = [
        spend(cost="0.02", user="ada", at=END - 3 * DAY, id="1"),
        spend(cost="0.04", user="ada", at=END - 2 * DAY, id="2"),
        spend(cost="0.03", user="bob", at=END - 2 * DAY, id="3"),
        hit(user="bob", at=END - 2 * DAY, id="4"),
        spend(cost=None, user="eve", at=END - 2 * DAY, id="5"),
    ]
    units = {one.unit: one for one in compare_periods(ledger_of(*some), until=END).units}
    assert (units["query"].count, units["query"].mean_usd) == (4, Decimal("0.0225"))
    assert (units["user"].count, units["user"].mean_usd) == (2, Decimal("0.045"))
    assert (units["day"].count, units["day"].mean_usd) == (2, Decimal("0.045"))
    assert units["conversation"].mean_usd is None
    assert units["query"].median_usd == Decimal("0.025")


def test_the_top_are_the_costliest_of_now():
    some = [spend(cost=f"0.0{n}", user=f"u{n}", at=END - DAY, id=str(n)) for n in range(1, 6)]
    some += [spend(cost="9", user="gone", at=END - 9 * DAY, id="gone")]
    trend = compare_periods(ledger_of(*some), until=END)
    assert [line.name for line in trend.top("user", 2)] == ["u5", "u4"]
    assert trend.lines["user"][0].name == "gone"


def test_days_are_those_of_the_zone():
    some = [spend(at=datetime(2026, 11, 13, hour, 30, tzinfo=UTC), id=str(hour)) for hour in (20, 23)]
    for zone, days in (("UTC", 1), ("Europe/Berlin", 2)):
        units = {one.unit: one for one in compare_periods(ledger_of(*some), until=END, timezone=zone).units}
        assert units["day"].count == days


def test_it_shows_itself_without_any_calls():
    trend = compare_periods(MemoryLedger(), until=END)
    assert "Trend" in str(trend)
    assert trend.to_dict()["change"]["main_driver"] is None


@pytest.mark.parametrize(
    ("given_settings", "message"),
    [
        ({"period": timedelta()}, "period must be a length of time"),
        ({"period": 7}, "period must be a length of time, not 7"),
        ({"until": datetime(2026, 1, 1)}, "until needs a time zone"),
        ({"by": "user"}, "by must be names of dimensions, not 'user'"),
    ],
)
def test_settings_that_cannot_be_are_refused(given_settings, message):
    with pytest.raises(ConfigurationError, match=message):
        compare_periods(MemoryLedger(), **given_settings)
