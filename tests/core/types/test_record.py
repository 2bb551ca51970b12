"""A record keeps every digit, and sums of records are exact."""

from datetime import UTC, datetime
from decimal import Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenomics_core import Attribution, ConfigurationError, SpendRecord, Totals, Usage
from tokenomics_core.types import DIMENSIONS, Tally, dimension_of

money = st.one_of(st.none(), st.decimals(0, 10, places=12))
records = st.builds(
    SpendRecord,
    at=st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC)),
    model=st.sampled_from(["a", "b"]),
    usage=st.builds(Usage, input_tokens=st.integers(0, 999), output_tokens=st.none() | st.integers(0, 9)),
    cost_usd=money,
    price_source=st.just("test"),
    attribution=st.builds(Attribution, user=st.sampled_from([None, "ada"])),
    source=st.sampled_from(["model", "cache", "batch"]),
    avoided_usd=money,
    notes=st.just(("a note",)),
)


@given(records)
def test_a_record_survives_its_dict_to_the_last_digit(record):
    assert SpendRecord.from_dict(record.to_dict()) == record


@given(st.lists(records, max_size=30), st.integers(0, 30))
def test_totals_are_exact_and_do_not_depend_on_grouping(some, cut):
    total = Totals.of(some)
    assert total == Totals.of(some[:cut]) + Totals.of(some[cut:])
    assert total.cost_usd == sum((r.cost_usd for r in some if r.cost_usd is not None), Decimal(0))
    assert total.unpriced_calls == sum(r.cost_usd is None for r in some)
    assert total.input_tokens == sum(r.usage.input_tokens for r in some if r.source != "cache")


def test_every_dimension_and_tag_can_be_read():
    record = SpendRecord(
        at=datetime(2026, 1, 1, tzinfo=UTC),
        model="m",
        usage=Usage(),
        cost_usd=None,
        price_source="unknown model",
        attribution=Attribution(user="ada", tags={"team": "red"}),
    )
    assert dimension_of(record, "user") == "ada"
    assert dimension_of(record, "team") == "red"
    assert dimension_of(record, "model") == "m"
    assert dimension_of(record, "absent") is None
    assert {dimension for dimension in DIMENSIONS if dimension_of(record, dimension) is None} == {
        "provider",
        "feature",
        "project",
        "conversation",
        "run",
        "avoided_by",
    }


def test_a_time_without_zone_and_an_unknown_source_are_refused():
    with pytest.raises(ConfigurationError, match="needs a time zone"):
        SpendRecord(at=datetime(2026, 1, 1), model="m", usage=Usage(), cost_usd=None, price_source="")
    with pytest.raises(ConfigurationError, match="source must be"):
        SpendRecord(
            at=datetime(2026, 1, 1, tzinfo=UTC),
            model="m",
            usage=Usage(),
            cost_usd=None,
            price_source="",
            source="magic",
        )


def test_sums_do_not_depend_on_the_callers_precision():
    one = Totals(cost_usd=Decimal("123456.789"), calls=1)
    with localcontext(prec=3):
        assert (one + one).cost_usd == Decimal("246913.578")


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("at", "2026-01-01", "at must be a datetime, not '2026-01-01'"),
        ("model", 5, "model must be a name, not 5"),
        ("usage", "x", "usage must be a Usage, not 'x'"),
        ("cost_usd", 0.5, "cost_usd must be a finite Decimal or None, not 0.5"),
        ("cost_usd", Decimal("NaN"), "cost_usd must be a finite Decimal or None, not .*NaN"),
        ("avoided_usd", Decimal("Infinity"), "avoided_usd must be a finite Decimal or None"),
        ("attribution", {"user": "ada"}, "attribution must be an Attribution, not {'user': 'ada'}"),
        ("source", ["model"], "source must be 'model', 'cache' or 'batch'"),
    ],
)
def test_a_field_of_a_wrong_type_is_refused_with_its_name(field, value, message):
    right = {"at": datetime(2026, 1, 1, tzinfo=UTC), "model": "m", "usage": Usage(), "cost_usd": None}
    with pytest.raises(ConfigurationError, match=message):
        SpendRecord(**{"price_source": "", **right, field: value})


@given(st.lists(records, max_size=20))
def test_a_tally_that_grows_is_the_totals_of_what_was_added(some):
    tally = Tally()
    for number, record in enumerate(some, 1):
        tally.add(record)
        assert tally.totals() == Totals.of(some[:number])
