"""A ledger beside a bill: what agrees, what does not, and what nobody may overlook."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, localcontext
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.ledger.samples import call
from tokenomics_core import Attribution, ConfigurationError, StoreError, Usage
from tokenomics_core.economics import Bill, BillLine, plain_name, reconcile
from tokenomics_core.ledger import MemoryLedger, SQLiteLedger

DAY = date(2026, 11, 3)
NOON = datetime(2026, 11, 3, 12, tzinfo=UTC)


def ledger_of(*records) -> MemoryLedger:
    ledger = MemoryLedger()
    for record in records:
        ledger.record(record)
    return ledger


def bill_of(*lines: BillLine, **changes) -> Bill:
    days = [line.day for line in lines] or [DAY]
    values = {"lines": lines, "first_day": min(days), "last_day": max(days), "source": "a bill"}
    return Bill(**(values | changes))


def charge(cost_usd: str | None, model: str = "small", **changes) -> BillLine:
    cost = None if cost_usd is None else Decimal(cost_usd)
    return BillLine(**({"day": DAY, "model": model, "cost_usd": cost} | changes))


def verdicts(result) -> dict[tuple[str, str], str]:
    return {(row.day.isoformat(), row.model): row.verdict for row in result.rows}


models = st.sampled_from(["small-2026-01-15", "openai/small", "large", "Claude Sonnet 4.5"])
instants = st.datetimes(datetime(2026, 10, 20), datetime(2026, 11, 10), timezones=st.just(UTC))


@settings(max_examples=60)
@given(
    calls=st.lists(
        st.tuples(instants, models, st.decimals(0, 100, places=8, allow_nan=False)), min_size=1, max_size=15
    ),
    zone=st.sampled_from(["UTC", "Europe/Berlin", "Asia/Kolkata"]),
    wrong_by=st.sampled_from(["0", "0.011", "-0.011"]),
)
def test_a_bill_made_from_the_records_agrees_and_a_wrong_charge_shows_where(calls, zone, wrong_by):
    ledger = ledger_of(*(call(str(cost), at=at, model=model) for at, model, cost in calls))
    sums: defaultdict[tuple[date, str], Decimal] = defaultdict(Decimal)
    for at, model, cost in calls:
        sums[at.astimezone(ZoneInfo(zone)).date(), plain_name(model)] += cost
    lines = [charge(str(cost), model, day=day) for (day, model), cost in sums.items()]
    lines[0] = replace(lines[0], cost_usd=lines[0].cost_usd + Decimal(wrong_by))
    result = reconcile(ledger, bill_of(*lines, timezone=zone), tolerance_usd="0.01", tolerance_share=0)
    wrong = [row for row in result.rows if row.verdict != "match"]
    assert result.ledger_usd == sum(sums.values())
    assert result.difference_usd == Decimal(wrong_by)
    assert result.agrees is (Decimal(wrong_by) == 0)
    assert [(row.day, row.model) for row in wrong] == (
        [] if result.agrees else [(lines[0].day, lines[0].model)]
    )


@pytest.mark.parametrize(
    ("cost_usd", "billed_usd", "verdict"),
    [
        ("1.00", "1.01", "match"),
        ("1.00", "1.0200001", "differs"),
        ("1.00", "0.98", "differs"),
        ("100", "101", "match"),  # within a per cent
        ("100", "102", "differs"),
        ("0.009", None, "match"),  # too little to matter
        ("0.5", None, "not billed"),
        (None, "0.5", "not recorded"),
        (None, "-0.5", "not recorded"),
    ],
)
def test_a_row_is_judged_by_the_larger_tolerance(cost_usd, billed_usd, verdict):
    ledger = ledger_of(*([call(cost_usd, at=NOON)] if cost_usd else []))
    bill = bill_of(*([charge(billed_usd)] if billed_usd else []))
    result = reconcile(ledger, bill)
    assert [row.verdict for row in result.rows] == [verdict]
    assert result.agrees is (verdict == "match")


def test_many_small_differences_that_each_match_do_not_match_in_sum():
    days = [DAY + timedelta(days=number) for number in range(20)]
    ledger = ledger_of(*(call("0.10", at=NOON + timedelta(days=number)) for number in range(20)))
    result = reconcile(ledger, bill_of(*(charge("0.109", day=day) for day in days)))
    assert {row.verdict for row in result.rows} == {"match"}
    assert not result.agrees
    assert result.difference_usd == Decimal("0.18")


def test_calls_without_a_price_are_listed_and_may_explain_a_gap():
    ledger = ledger_of(
        call("1", at=NOON),
        call(None, at=NOON),
        call(None, at=NOON, model="new"),
        call(None, at=NOON, model="free"),
    )
    result = reconcile(ledger, bill_of(charge("1.5"), charge("1", "new")))
    assert verdicts(result) == {
        ("2026-11-03", "free"): "unpriced",
        ("2026-11-03", "new"): "unpriced",
        ("2026-11-03", "small"): "unpriced",
    }
    assert [(item.model, item.calls) for item in result.unpriced] == [("free", 1), ("new", 1), ("small", 1)]
    assert "2026-11-03: 1 call of new without a known price, not in the sums" in str(result)


def test_a_gap_that_calls_without_a_price_cannot_explain_differs():
    ledger = ledger_of(call("2", at=NOON), call(None, at=NOON))
    assert [row.verdict for row in reconcile(ledger, bill_of(charge("1"))).rows] == ["differs"]


def test_days_missing_on_either_side_are_named():
    ledger = ledger_of(call("1", at=NOON), call("1", at=NOON + timedelta(days=1)))
    result = reconcile(ledger, bill_of(charge("1"), charge("1", day=DAY + timedelta(days=2))))
    assert result.days_not_billed == (DAY + timedelta(days=1),)
    assert result.days_not_recorded == (DAY + timedelta(days=2),)
    assert "the bill has nothing on 2026-11-04" in str(result)
    assert "the ledger has nothing on 2026-11-05" in str(result)


def test_records_outside_the_days_of_the_bill_are_counted_not_compared():
    ledger = ledger_of(call("1", at=NOON), call("5", at=NOON + timedelta(days=1)))
    result = reconcile(ledger, bill_of(charge("1")))
    assert result.agrees
    assert result.notes == ("left out: 1 call outside these days",)


def test_a_span_may_be_narrower_or_wider_than_the_bill():
    ledger = ledger_of(call("1", at=NOON), call("1", at=NOON + timedelta(days=1)))
    bill = bill_of(charge("1"), charge("9", day=DAY - timedelta(days=1)))
    assert reconcile(ledger, bill, since=DAY).agrees
    assert reconcile(ledger, bill, since=DAY, until=DAY + timedelta(days=2)).days_not_billed == (
        DAY + timedelta(days=1),
    )
    assert verdicts(reconcile(ledger, bill, until=DAY)) == {("2026-11-02", "small"): "not recorded"}
    with pytest.raises(ConfigurationError, match="must be before until"):
        reconcile(ledger, bill, since=DAY, until=DAY)


def test_other_providers_are_left_out_of_a_provider_s_bill():
    ledger = ledger_of(
        call("1", at=NOON, provider="openai"),
        call("2", at=NOON),
        call("4", at=NOON, provider="anthropic"),
        call("8", at=NOON, provider="my-gateway"),
    )
    bill = bill_of(charge("3"), provider="openai")
    result = reconcile(ledger, bill)
    assert result.agrees
    assert result.notes == (
        "left out: 1 call of provider anthropic, which did not send this bill",
        "left out: 1 call of provider my-gateway, which did not send this bill",
    )
    assert reconcile(ledger, bill, providers=("openai", "my-gateway")).ledger_usd == 11
    assert reconcile(ledger, bill, provider="openai").ledger_usd == 1


def test_answers_from_a_cache_reach_no_bill():
    ledger = ledger_of(call("0", at=NOON, source="cache"), call("1", at=NOON, model="large"))
    assert verdicts(reconcile(ledger, bill_of(charge("1", "large")))) == {("2026-11-03", "large"): "match"}


def test_a_bill_without_models_is_compared_by_day():
    ledger = ledger_of(call("1", at=NOON), call("2", at=NOON, model="large"))
    result = reconcile(ledger, bill_of(charge("3", "")))
    assert verdicts(result) == {("2026-11-03", ""): "match"}
    assert "all models" in str(result)


def test_charges_that_are_not_itemised_stand_apart_where_others_are():
    result = reconcile(ledger_of(call("1", at=NOON)), bill_of(charge("1"), charge("2", "")))
    assert verdicts(result) == {
        ("2026-11-03", "not itemised"): "not recorded",
        ("2026-11-03", "small"): "match",
    }


def test_items_that_are_no_model_stand_by_themselves():
    result = reconcile(
        ledger_of(call("1", at=NOON)), bill_of(charge("1"), charge("2", "", item="web search"))
    )
    assert verdicts(result) == {
        ("2026-11-03", "small"): "match",
        ("2026-11-03", "web search"): "not recorded",
    }


def test_a_report_of_usage_is_compared_by_tokens():
    ledger = ledger_of(
        call(None, at=NOON, usage=Usage(input_tokens=1000, output_tokens=50)),
        call("9", at=NOON, model="large", usage=Usage(input_tokens=7, output_tokens=1)),
        call("0.001", at=NOON, model="other", usage=Usage(input_tokens=7, output_tokens=1)),
    )
    bill = bill_of(
        charge(None, input_tokens=1005, output_tokens=50),
        charge(None, "large", input_tokens=8, output_tokens=1),
        charge(None, "absent", input_tokens=8, output_tokens=None),
    )
    result = reconcile(ledger, bill)
    assert verdicts(result) == {
        ("2026-11-03", "absent"): "not recorded",
        ("2026-11-03", "large"): "differs",
        ("2026-11-03", "other"): "not billed",
        ("2026-11-03", "small"): "match",
    }
    assert not result.agrees
    assert result.to_dict()["billed_usd"] is None
    assert reconcile(ledger, bill, model="small", since=DAY).rows[2].verdict == "match"


def test_names_can_be_matched_by_a_function_of_one_s_own():
    ledger = ledger_of(call("1", at=NOON, model="prod-deployment-7"))
    result = reconcile(ledger, bill_of(charge("1", "GPT-4o")), name=lambda model: "gpt-4o")
    assert result.agrees


def test_a_ledger_in_a_file_is_compared_the_same_and_filters_apply(tmp_path):
    with SQLiteLedger(tmp_path / "ledger.db") as ledger:
        ledger.record(call("1", at=NOON, attribution=Attribution(project="p", tags={"key": "k1"})))
        ledger.record(call("5", at=NOON))
        assert reconcile(ledger, bill_of(charge("1")), project="p", key="k1").agrees
        assert not reconcile(ledger, bill_of(charge("1"))).agrees


def test_sums_do_not_depend_on_the_ambient_decimal_precision():
    ledger = ledger_of(call("1234.567891", at=NOON), call("0.000009", at=NOON, model="large"))
    bill = bill_of(charge("1234.567891"), charge("0.000009", "large"))
    with localcontext(prec=4):
        result = reconcile(ledger, bill, tolerance_usd=0, tolerance_share=0)
        assert result.agrees
        assert result.billed_usd == Decimal("1234.5679")


def test_nothing_on_either_side_agrees_and_says_so():
    result = reconcile(MemoryLedger(), bill_of())
    assert result.agrees
    assert "neither side has anything on these days" in str(result)


def test_it_reads_as_a_table_in_text_and_on_a_page():
    result = reconcile(ledger_of(call("1.25", at=NOON)), bill_of(charge("2.5")))
    text = str(result)
    assert text.startswith("Ledger and bill differ  a bill; 2026-11-03 to 2026-11-03, days of UTC")
    row = next(line for line in text.splitlines() if line.strip().startswith("2026-11-03"))
    assert row.split() == ["2026-11-03", "small", "$1.25", "$2.50", "$1.25", "differs"]
    assert "rows match within $0.01 or 1% of the bill" in text
    assert "<table" in result._repr_html_()


def test_it_reads_as_plain_json_types():
    result = reconcile(ledger_of(call("1.25", at=NOON)), bill_of(charge("2.5", input_tokens=3)))
    as_dict = result.to_dict()
    assert (as_dict["agrees"], as_dict["difference_usd"]) == (False, "1.25")
    assert as_dict["rows"] == [
        {
            "day": "2026-11-03",
            "model": "small",
            "ledger_usd": "1.25",
            "billed_usd": "2.5",
            "difference_usd": "1.25",
            "ledger_input_tokens": 100,
            "ledger_output_tokens": 10,
            "billed_input_tokens": 3,
            "billed_output_tokens": None,
            "unpriced_calls": 0,
            "verdict": "differs",
        }
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"tolerance_usd": "-1"}, "tolerance_usd must be 0 or more .*'-1'"),
        ({"tolerance_share": "1.5"}, "tolerance_share must be .*'1.5'"),
        ({"tolerance_usd": "much"}, "tolerance_usd must be a number, not 'much'"),
        ({"tolerance_share": "NaN"}, "tolerance_share must be"),
    ],
)
def test_a_wrong_tolerance_is_refused(arguments, message):
    with pytest.raises(ConfigurationError, match=message):
        reconcile(MemoryLedger(), bill_of(), **arguments)


def test_a_bill_may_be_given_by_its_path(tmp_path):
    (tmp_path / "bill.csv").write_text("date,model,cost_usd\n2026-11-03,small,1\n")
    assert reconcile(ledger_of(call("1", at=NOON)), tmp_path / "bill.csv").agrees
    with pytest.raises(StoreError, match="could not be read: No such file"):
        reconcile(MemoryLedger(), tmp_path / "absent.csv")


@pytest.mark.parametrize(
    "changes", [{"first_day": DAY, "last_day": DAY - timedelta(days=1)}, {"last_day": DAY}]
)
def test_a_bill_that_contradicts_itself_is_refused(changes):
    with pytest.raises(ConfigurationError, match="a bill"):
        bill_of(charge("1", day=DAY + timedelta(days=3)), **({"first_day": DAY} | changes))
