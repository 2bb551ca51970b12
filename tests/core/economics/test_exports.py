"""The exports of providers, read to the last digit or refused by line."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal

import pytest

from tokenomics_core import ConfigurationError, StoreError
from tokenomics_core.economics import BillLine, read_bill

OPENAI_COSTS = {
    "object": "page",
    "data": [
        {
            "object": "bucket",
            "start_time": 1736553600,  # 11 January 2025
            "end_time": 1736640000,
            "results": [
                {
                    "object": "organization.costs.result",
                    "amount": {"value": 0.12744, "currency": "usd"},
                    "line_item": "ft-gpt-4o-2024-08-06, input",
                    "project_id": "proj_x",
                },
                {"amount": {"value": "0.003090"}, "line_item": "gpt-4o, cached input"},
                {"amount": {"value": 2.71e-4}, "line_item": "assistants api | file search"},
                {"amount": {"value": 1}, "line_item": "evals | gpt-4o-mini-2024-07-18, input"},
                {"amount": {"value": 2}, "line_item": "text-embedding-3-large"},
                {"amount": {"value": 3}, "line_item": "web search tool call"},
                {"amount": {"value": 4}, "line_item": None, "project_id": None},
            ],
        },
        {"object": "bucket", "start_time": 1736640000, "end_time": 1736726400, "results": []},
    ],
    "has_more": False,
    "next_page": None,
}
ANTHROPIC_COSTS = {
    "data": [
        {
            "starting_at": "2025-08-01T00:00:00Z",
            "ending_at": "2025-08-02T00:00:00Z",
            "results": [
                {
                    "currency": "USD",
                    "amount": "123.78912",
                    "workspace_id": "wrkspc_x",
                    "description": "Claude Sonnet 4 Usage - Input Tokens",
                    "cost_type": "tokens",
                    "context_window": "0-200k",
                    "model": "claude-sonnet-4-20250514",
                    "service_tier": "standard",
                    "token_type": "uncached_input_tokens",
                },
                {
                    "currency": "USD",
                    "amount": "50",
                    "cost_type": "web_search",
                    "model": None,
                    "description": None,
                },
                {"currency": "USD", "amount": "7", "cost_type": None, "model": None, "description": None},
            ],
        }
    ],
    "has_more": True,
    "next_page": "page_x",
}


@pytest.fixture
def read(tmp_path):
    def read_text(text, **options):
        path = tmp_path / "bill"
        path.write_text(text if isinstance(text, str) else json.dumps(text), encoding="utf-8")
        return read_bill(path, **options)

    return read_text


def test_openai_costs_are_dollars_by_line_item(read):
    text = json.dumps(OPENAI_COSTS).replace("0.12744", "0.1274400000000000123")
    bill = read(text)
    day = date(2025, 1, 11)
    assert bill.lines == (
        BillLine(day=day, model="ft-gpt-4o-2024-08-06", cost_usd=Decimal("0.1274400000000000123")),
        BillLine(day=day, model="gpt-4o", cost_usd=Decimal("0.00309")),
        BillLine(day=day, item="assistants api | file search", cost_usd=Decimal("0.000271")),
        BillLine(day=day, model="gpt-4o-mini-2024-07-18", cost_usd=Decimal(1)),
        BillLine(day=day, model="text-embedding-3-large", cost_usd=Decimal(2)),
        BillLine(day=day, item="web search tool call", cost_usd=Decimal(3)),
        BillLine(day=day, cost_usd=Decimal(4)),
    )
    assert (bill.first_day, bill.last_day) == (day, date(2025, 1, 12))  # the empty day counts
    assert (bill.provider, bill.timezone, bill.notes) == ("openai", "UTC", ())


def test_openai_usage_is_read_as_tokens(read):
    result = {
        "object": "organization.usage.completions.result",
        "input_tokens": 1000,
        "input_cached_tokens": 800,
        "output_tokens": 50,
        "model": "gpt-4o",
    }
    embeddings = {"object": "organization.usage.embeddings.result", "input_tokens": 16, "model": None}
    bill = read([{"object": "bucket", "start_time": 1736553600, "results": [result, embeddings]}])
    assert bill.lines == (
        BillLine(day=date(2025, 1, 11), model="gpt-4o", input_tokens=1000, output_tokens=50),
        BillLine(day=date(2025, 1, 11), input_tokens=16),
    )


def test_anthropic_costs_are_cents(read):
    bill = read(ANTHROPIC_COSTS)
    day = date(2025, 8, 1)
    assert bill.lines == (
        BillLine(day=day, model="claude-sonnet-4-20250514", cost_usd=Decimal("1.2378912")),
        BillLine(day=day, item="web_search", cost_usd=Decimal("0.5")),
        BillLine(day=day, cost_usd=Decimal("0.07")),
    )
    assert (bill.provider, bill.first_day, bill.last_day) == ("anthropic", day, day)
    assert bill.notes == ("the export says that more pages follow; they are not in the file",)


def test_a_list_of_pages_is_one_bill(read):
    later = json.loads(json.dumps(OPENAI_COSTS).replace("1736553600", "1736812800"))
    bill = read([OPENAI_COSTS, later])
    assert len(bill.lines) == 14
    assert bill.last_day == date(2025, 1, 14)


def test_the_csv_of_openai_s_dashboard_is_read_by_its_header(read):
    bill = read(
        "\ufeffstart_time,end_time,start_time_iso,end_time_iso,amount_value,amount_currency,line_item,project_id\n"
        "1759622400,1759708800,2025-10-05T00:00:00+00:00,2025-10-06T00:00:00+00:00,0.8958740000000000,usd,,\n"
        '1759708800,1759795200,2025-10-06T00:00:00,2025-10-07T00:00:00,0.5,usd,"gpt-5-nano, input_tokens",p\n'
        "1759795200,1759881600,2025-10-07T00:00:00+00:00,2025-10-08T00:00:00+00:00,,,,\n"
    )
    assert bill.lines == (
        BillLine(day=date(2025, 10, 5), cost_usd=Decimal("0.895874")),
        BillLine(day=date(2025, 10, 6), model="gpt-5-nano", cost_usd=Decimal("0.5")),
    )
    assert (bill.last_day, bill.provider) == (date(2025, 10, 7), "openai")


def test_the_usage_csv_of_openai_holds_tokens(read):
    bill = read(
        "start_time\tstart_time_iso\tnum_model_requests\tmodel\tinput_tokens\toutput_tokens\tinput_cached_tokens\n"
        "1759622400\t2025-10-05T00:00:00+00:00\t3\tgpt-5-mini\t1200\t34\t1000\n"
    )
    assert bill.lines == (
        BillLine(day=date(2025, 10, 5), model="gpt-5-mini", input_tokens=1200, output_tokens=34),
    )
    assert bill.provider == "openai"


def test_the_csv_of_anthropic_s_console_is_read_by_its_header(read):
    bill = read(
        "usage_date_utc,model,workspace,api_key,usage_type,context_window,token_type,cost_usd,list_price_usd\n"
        "2026-08-04,Claude Haiku 4.5,Default,key,message,≤ 200k,input_no_cache,0.05,0.05\n"
        "2026-08-04,Claude Haiku 4.5,Default,key,message,≤ 200k,output,0.02,0.02\n"
    )
    assert [(line.model, line.cost_usd) for line in bill.lines] == [
        ("Claude Haiku 4.5", Decimal("0.05")),
        ("Claude Haiku 4.5", Decimal("0.02")),
    ]
    assert bill.provider == "anthropic"


def test_columns_of_other_names_are_named(read):
    bill = read(
        "Datum;Sorte;Betrag;Ein;Aus\n2026-11-03;small;$1,234.50;1,000;5\n\n",
        columns={
            "date": "datum",
            "model": "Sorte",
            "cost_usd": "Betrag",
            "input_tokens": "Ein",
            "output_tokens": "Aus",
        },
    )
    expected = BillLine(
        day=date(2026, 11, 3), model="small", cost_usd=Decimal("1234.50"), input_tokens=1000, output_tokens=5
    )
    assert bill.lines == (expected,)
    assert bill.provider is None


@pytest.mark.parametrize(
    ("text", "timezone", "day"),
    [
        ("2026-11-03", "America/New_York", date(2026, 11, 3)),
        ("2026-11-03T02:00:00", "America/New_York", date(2026, 11, 3)),
        ("2026-11-03T02:00:00Z", "America/New_York", date(2026, 11, 2)),
        ("2026-11-03T02:00:00+09:00", "UTC", date(2026, 11, 2)),
        ("1793671200", "UTC", date(2026, 11, 3)),
    ],
)
def test_a_day_is_read_from_a_date_a_time_or_seconds(read, text, timezone, day):
    assert read(f"date,cost_usd\n{text},1\n", timezone=timezone).first_day == day


def test_a_credit_lowers_the_bill(read):
    assert read("date,cost_usd\n2026-11-03,-0.5\n").lines[0].cost_usd == Decimal("-0.5")


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        (
            "date,cost_usd\n2026-11-03,1\nyesterday,2\n",
            {},
            "line 3: 'yesterday' is no date; nothing was compared",
        ),
        ("date,cost_usd\n2026-11-03,much\n", {}, "line 2: 'much' is no amount"),
        ("date,cost_usd\n2026-11-03,NaN\n", {}, "'NaN' is no amount"),
        ('date,cost_usd\n2026-11-03,"1,5"\n', {}, "'1,5' is no amount"),
        ("date,input_tokens\n2026-11-03,1.5\n", {}, "'1.5' is no count"),
        ("date,cost,currency\n2026-11-03,1,EUR\n", {}, "amounts are in 'EUR', not in USD"),
        ("when,price\n2026-11-03,1\n", {}, "needs a column for the date .* has when, price; name them"),
        ("date,cost\n2026-11-03,1\n", {"columns": {"cost_usd": "Sum"}}, "no column 'Sum', but date, cost"),
        ("date,cost\n2026-11-03,1\n", {"columns": {"price": "cost"}}, "columns may name .*, not price"),
        ("date,cost\n", {}, "covers no day"),
        ("", {}, "needs a column for the date"),
        ("date,cost\n2026-11-03,1\n", {"timezone": "Mars"}, "not 'Mars'"),
        (
            "date,cost\n2026-11-03,1\n",
            {"format": "pdf"},
            "format must be one of auto, csv, openai, anthropic",
        ),
        ("usage_date_utc,cost_usd\n2026-11-03,1\n", {"timezone": "Asia/Tokyo"}, "days are days of UTC"),
        ("{", {}, "is no JSON"),
        ({"data": []}, {}, "covers no day"),
        (
            {"data": [{"start_time": 0, "results": [{"amount": {"value": "x"}}]}]},
            {},
            "no cost report known here",
        ),
        ({"data": [{"start_time": 0}]}, {}, "no cost report known here"),
        ({"error": {"message": "no key"}}, {}, "no cost report known here"),
        ([1, 2], {}, "no cost report known here"),
        (OPENAI_COSTS, {"format": "anthropic"}, "looks like one of openai"),
        (OPENAI_COSTS, {"format": "csv"}, "is JSON"),
        (OPENAI_COSTS, {"timezone": "Asia/Tokyo"}, "days of UTC"),
        (
            {"data": [{"start_time": 0, "results": [{"amount": {"value": 1, "currency": "eur"}}]}]},
            {},
            "amounts are in 'eur'",
        ),
    ],
)
def test_what_cannot_be_read_is_refused_by_name(read, text, options, message):
    with pytest.raises(ConfigurationError, match=message):
        read(text, **options)


def test_a_file_that_is_no_text_is_refused(tmp_path):
    (tmp_path / "bill").write_bytes(b"\xff\xfe\x00bill")
    with pytest.raises(StoreError, match="is no UTF-8 text"):
        read_bill(tmp_path / "bill")
