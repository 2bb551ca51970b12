"""A ledger is read as traffic, from its file and from its exports."""

from __future__ import annotations

import gzip
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.ledger.samples import NOON, call, records
from tokenomics_core import Attribution, ConfigurationError
from tokenomics_core.ledger import MemoryLedger, SQLiteLedger
from tokenomics_core.traffic import read_traffic


def sums_of(reader):
    read = list(reader)
    known = [record.cost_usd for record in read if record.cost_usd is not None]
    with localcontext(prec=100):
        return len(read), sum(known, Decimal(0)), len(read) - len(known)


@given(kept=st.lists(records(), max_size=5))
def test_exports_give_the_sums_of_the_ledger(kept, tmp_path_factory):
    ledger = MemoryLedger()
    for number, record in enumerate(kept):
        ledger.record(replace(record, id=str(number), latency_s=None))
    totals = ledger.totals()
    path = tmp_path_factory.mktemp("ledger") / "export"
    for export in (ledger.to_jsonl, ledger.to_csv):
        export(path)
        reader = read_traffic(path)
        assert sums_of(reader) == (totals.calls, totals.cost_usd, totals.unpriced_calls)
        assert (reader.bad, reader.problems) == (0, ())


@given(kept=st.lists(records(), min_size=1, max_size=3))
def test_nothing_of_a_record_is_lost_but_what_traffic_does_not_hold(kept, tmp_path_factory):
    ledger = MemoryLedger()
    for number, record in enumerate(kept):
        ledger.record(replace(record, id=str(number), latency_s=None))
    path = tmp_path_factory.mktemp("ledger") / "export.jsonl"
    ledger.to_jsonl(path)
    for read, record in zip(read_traffic(path, strict=True), ledger.records(), strict=True):
        for name in ("at", "model", "cost_usd", "provider", "attribution", "operation", "source", "outcome"):
            assert getattr(read, name) == getattr(record, name)
        assert replace(read.usage, extras={}) == replace(record.usage, extras={})
        assert set(read.usage.extras) == set(record.usage.extras)
        assert read.id == record.id


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_ledger_file_is_known_by_its_content(tmp_path, pack):
    with_file = tmp_path / "ledger.db"
    ledger = SQLiteLedger(with_file, keep_content=True)
    who = Attribution(user="ada", tags={"plan": "free"})
    ledger.record(call("0.25", attribution=who, latency_s=2.0, content="user: hi\nthere\nassistant: hello"))
    ledger.record(call(None, at=NOON + timedelta(hours=1), source="cache", content="bare"))
    ledger.close()
    path = tmp_path / "copy"
    path.write_bytes(pack(with_file.read_bytes()))
    reader = read_traffic(path, strict=True)
    first, second = reader
    assert reader.formats == {"ledger": 2}
    assert first.at == NOON - timedelta(seconds=2)  # when it was sent
    assert first.attribution == who
    assert first.messages == ({"role": "user", "content": "hi\nthere"},)
    assert first.answer == "hello"
    assert (second.cost_usd, second.source) == (None, "cache")
    assert second.messages == ({"role": "user", "content": "bare"},)
    assert first.where == f"{path if pack is bytes else first.where.split(' ')[0]} record 1"


@pytest.mark.parametrize(
    ("content", "messages", "answer"),
    [
        (
            "System: Be brief.\nHuman: hi\nAI: hello\nHuman: more\nAI: ok",
            ["system", "user", "assistant", "user"],
            "ok",
        ),
        ("system: Be brief.\nuser: hi\nuser: there\nassistant: ok", ["system", "user", "user"], "ok"),
        ("Once upon a time\nAI: there was", ["user"], "there was"),
        ("Once upon a time\nassistant: ", ["user"], ""),
        ("user: never answered", ["user"], None),
    ],
)
def test_content_is_split_where_frameworks_name_roles(tmp_path, content, messages, answer):
    with SQLiteLedger(tmp_path / "ledger.db", keep_content=True) as ledger:
        ledger.record(call("0.25", content=content))
    (record,) = read_traffic(tmp_path / "ledger.db")
    assert [message["role"] for message in record.messages] == messages
    assert record.answer == answer
    assert "".join(message["content"] for message in record.messages).count(": ") == 0


def test_another_database_is_no_log(tmp_path):
    import sqlite3

    from tokenomics_core import StoreError

    path = tmp_path / "other.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE t (a)")
    connection.commit()
    connection.close()
    with pytest.raises(StoreError, match="is a SQLite database, but no ledger"):
        list(read_traffic(path))
    with pytest.raises(ConfigurationError, match="is a SQLite file, not openai"):
        list(read_traffic(path, format="openai"))
