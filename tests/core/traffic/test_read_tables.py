"""A table of any tool is read once its columns are named."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from tests.core.traffic.read_samples import lines
from tokenomics_core import Attribution, ConfigurationError, Usage
from tokenomics_core.traffic import read_traffic, split_traffic

MAPPING = {
    "When": {"field": "at", "format": "%d/%m/%Y %H:%M", "timezone": "Europe/Berlin"},
    "Model": "model",
    "In": "input_tokens",
    "Out": "output_tokens",
    "Price": {"field": "cost_usd", "unit": "cents"},
    "Took": {"field": "latency_s", "unit": "ms"},
    "Who": "user",
    "Plan": "tags.plan",
    "Heat": "settings.temperature",
    "Asked": "prompt",
    "Said": "answer",
    "State": "outcome",
}
TABLE = (
    "When;Model;In;Out;Price;Took;Who;Plan;Heat;Asked;Said;State\n"
    '03/11/2026 12:30;small;100;10;0.25;1500;ada;free;0.2;"Where, and\nwhen?";"In ""Paris""";success\n'
    "03/11/2026 12:31;small;;;;;;;;;;failed\n"
)


def read(tmp_path, content, mapping=MAPPING, **options):
    path = tmp_path / "table"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    reader = read_traffic(path, mapping=mapping, **options)
    return list(reader), reader


def test_every_column_is_read_in_its_unit(tmp_path):
    (full, empty), reader = read(tmp_path, TABLE, strict=True)
    assert full.at == datetime(2026, 11, 3, 12, 30, tzinfo=ZoneInfo("Europe/Berlin"))
    assert full.model == "small"
    assert full.usage == Usage(input_tokens=100, output_tokens=10)
    assert full.cost_usd == Decimal("0.0025")
    assert full.latency_s == 1.5
    assert full.attribution == Attribution(user="ada", tags={"plan": "free"})
    assert full.settings == {"temperature": "0.2"}
    assert full.messages == ({"role": "user", "content": "Where, and\nwhen?"},)
    assert full.answer == 'In "Paris"'
    assert full.outcome == "ok"
    assert reader.formats == {"csv": 2}
    assert (empty.usage, empty.cost_usd, empty.messages, empty.outcome) == (Usage(), None, None, "error")
    assert [full.where.rsplit(":", 1)[1], empty.where.rsplit(":", 1)[1]] == ["2", "4"]


@pytest.mark.parametrize("mark", [",", ";", "\t", "|"])
def test_the_delimiter_is_found(tmp_path, mark):
    table = (
        TABLE.replace(";", mark)
        if mark != ","
        else TABLE.replace("Where, and", "Where and").replace(";", ",")
    )
    (full, _), _ = read(tmp_path, table, strict=True)
    assert full.usage.output_tokens == 10


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_what_spreadsheets_save_is_read(tmp_path, encoding):
    content = TABLE.replace("\n0", "\r\n0").replace("ada", "Zoë").encode(encoding)
    (full, _), _ = read(tmp_path, content, strict=True)
    assert full.attribution.user == "Zoë"


def test_a_mapping_may_lie_in_a_file_with_constants_and_a_zone(tmp_path):
    mapping = tmp_path / "mapping.toml"
    mapping.write_text(
        'timezone = "America/New_York"\n[columns]\nt = "at"\nfresh = "uncached_input_tokens"\n'
        'hit = "cache_read_tokens"\n'
        'written = "cache_write_tokens"\nout = "output_tokens"\nmessages = "messages"\n'
        '[constants]\nmodel = "small"\nproject = "shop"\n'
    )
    asked = '"[{""role"":""user"",""content"":""hi""}]"'
    table = f"t,fresh,hit,written,out,messages\n2026-11-03T12:00:00,10,100,20,5,{asked}\n"
    (record,), _ = read(tmp_path, table, mapping, strict=True)
    assert record.at == datetime(2026, 11, 3, 17, tzinfo=UTC)
    assert record.usage == Usage(
        input_tokens=130, output_tokens=5, cache_read_tokens=100, cache_write_tokens=20
    )
    assert record.messages == ({"role": "user", "content": "hi"},)
    assert record.attribution == Attribution(project="shop")


def test_lines_of_json_are_mapped_too_and_names_reach_inside(tmp_path):
    row = {"meta": {"t": 1793707200, "llm": {"name": "small"}}, "done": 1793707201.5, "tokens.in": 7}
    mapping = {"meta.t": "at", "meta.llm.name": "model", "done": "ended_at", "tokens.in": "input_tokens"}
    (record,), _ = read(tmp_path, lines(row), mapping, strict=True)
    assert (record.model, record.usage.input_tokens, record.latency_s) == ("small", 7, 1.5)


def test_parquet_is_read_and_cut_by_rows(tmp_path):
    duckdb = pytest.importorskip("duckdb")
    path = tmp_path / "table.parquet"
    duckdb.sql(
        "SELECT TIMESTAMPTZ '2026-11-03 12:00:00+00' + INTERVAL (i) SECOND AS t, 'small' AS m, i AS tokens, "
        "CASE WHEN i % 2 = 0 THEN 0.5 END AS price, repeat('x', 100) || i AS asked FROM range(5000) r(i)"
    ).write_parquet(str(path))
    mapping = {"t": "at", "m": "model", "tokens": "output_tokens", "price": "cost_usd", "asked": "prompt"}
    whole = list(read_traffic(path, format="parquet", mapping=mapping, strict=True))
    assert len(whole) == 5000
    assert whole[7].at == datetime(2026, 11, 3, 12, 0, 7, tzinfo=UTC)
    assert (whole[7].cost_usd, whole[8].cost_usd) == (None, Decimal("0.5"))
    assert whole[7].where == f"{path} row 8"
    parts = split_traffic([path] * 3, 6)
    assert [
        record for part in parts[: len(parts) // 3] for record in read_traffic(part, mapping=mapping)
    ] == whole


def test_a_row_with_too_many_or_too_few_cells_is_bad(tmp_path):
    table = "t,m\n2026-11-03,small\n2026-11-03\n2026-11-03,small,more\n"
    records, reader = read(tmp_path, table, {"t": "at", "m": "model"})
    assert len(records) == 1
    assert [problem.split(": ", 1)[1] for problem in reader.problems] == [
        "1 cells under 2 names: '2026-11-03'",
        "3 cells under 2 names: '2026-11-03,small,more'",
    ]


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        ("3 November,small,1", "does not match format"),
        ("03/11/2026 12:30,,1", "it names no model"),
        (",small,1", "it tells no time"),
        ("03/11/2026 12:30,small,cheap", "'cheap' is no amount"),
        ("03/11/2026 12:30,small,-1", "'-1' is no amount"),
    ],
)
def test_a_value_that_its_field_cannot_hold_makes_the_row_bad(tmp_path, cell, reason):
    mapping = {"t": MAPPING["When"], "m": "model", "c": "cost_usd"}
    records, reader = read(tmp_path, f"t,m,c\n{cell}\n", mapping)
    assert records == []
    assert reason in reader.problems[0]
    assert ":2: " in reader.problems[0]


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ({"t": "at"}, "a mapping must name the column of 'model'"),
        ({"m": "model"}, "a mapping must name the column of 'at'"),
        ({"t": "at", "m": "modle"}, "column 'm' is mapped to 'modle', which is none of"),
        ({"t": "at", "m": "model", "n": "model"}, "two columns are mapped to model"),
        ({"t": {"field": "at", "timezone": "Mars/Olympus"}, "m": "model"}, "timezone must name a zone"),
        (
            {"t": {"field": "at", "zone": "UTC"}, "m": "model"},
            "column 't' has field, format, timezone and unit",
        ),
        ({"t": "at", "m": {"field": "model", "format": "%Y"}}, "column 'm' is model, which has no format"),
        ({"t": "at", "m": {"field": "model", "unit": "usd"}}, "the unit of column 'm' must be left out"),
        ({"t": "at", "m": "model", "c": {"field": "cost_usd", "unit": "eur"}}, "must be one of usd, cents"),
        ({"t": "at", "m": 7}, "column 'm' must name a field, not 7"),
        ({"columns": {"t": "at"}, "constants": {"modell": "x"}}, "constant 'modell' is mapped to 'modell'"),
        ({"columns": {"t": "at"}, "rows": {}}, "a mapping has columns, constants and timezone, not rows"),
        ("absent.toml", "the mapping 'absent.toml' could not be read"),
    ],
)
def test_a_wrong_mapping_is_refused_before_anything_is_read(tmp_path, mapping, message):
    with pytest.raises(ConfigurationError, match=message):
        read(tmp_path, TABLE, mapping)


def test_a_file_that_is_no_toml_or_has_no_columns_is_refused(tmp_path):
    mapping = tmp_path / "mapping.toml"
    for text, message in (("[columns", "is no TOML"), ("a = 1", r"has no table \[columns\]")):
        mapping.write_text(text)
        with pytest.raises(ConfigurationError, match=message):
            read(tmp_path, TABLE, mapping)


def test_a_table_without_the_named_column_is_refused_with_the_columns_it_has(tmp_path):
    with pytest.raises(
        ConfigurationError, match="has no column 'When', but 'a', 'Model'; nothing was read of it"
    ):
        read(tmp_path, "a,Model\n1,small\n")
    with pytest.raises(ConfigurationError, match="has no column 'Model', but 'When'"):
        read(tmp_path, "When;b\n03/11/2026 12:30;small\n")
