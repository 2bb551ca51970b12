"""A ledger that writes later holds nothing back from sums, and loses nothing it can keep."""

from __future__ import annotations

import sqlite3
from decimal import Decimal

import pytest

from tests.core.ledger.programs import python
from tests.core.ledger.samples import by_user, call
from tokenomics_core import StoreError
from tokenomics_core.ledger import SQLiteLedger


@pytest.fixture
def path(tmp_path):
    return tmp_path / "ledger.db"


def test_what_is_held_back_is_in_every_sum_and_export(path):
    with SQLiteLedger(path, flush_every_s=3600) as ledger:
        ledger.record(by_user("ada", "1"))
        assert ledger.total() == 1
        ledger.record(by_user("ada", "2"))
        assert [record.cost_usd for record in ledger.records()] == [1, 2]
        ledger.record(by_user("ada", "4"))
        assert ledger.forget(user="ada") == 3
        ledger.record(call("8"))
    with SQLiteLedger(path) as ledger:
        assert ledger.total() == 15


def test_the_thread_writes_without_being_asked(path):
    with SQLiteLedger(path, flush_every_s=0.001) as ledger, SQLiteLedger(path) as reader:
        for round_ in range(1, 4):  # it must wake again after each pause
            ledger.record(call("1"))
            while reader.total() < round_:
                pass


def test_an_unclosed_ledger_writes_what_it_holds_when_the_program_ends(path):
    program = python("SQLiteLedger(sys.argv[1], flush_every_s=3600).record(call('1'))\n", path)
    assert program.wait() == 0
    program.stdout.close()
    with SQLiteLedger(path) as ledger:
        assert ledger.total() == 1


def test_what_could_not_be_written_is_kept_and_tried_again(path):
    ledger = SQLiteLedger(path, flush_every_s=3600, busy_timeout_s=0.01)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    ledger.record(call("1"))
    with pytest.raises(StoreError, match="locked"):
        ledger.flush()
    with pytest.raises(StoreError, match="locked"):
        ledger.total()
    other.execute("COMMIT")
    assert ledger.total() == 1
    other.close()
    ledger.close()


def test_more_records_than_may_wait_are_written_by_whoever_brings_them(path):
    with SQLiteLedger(path, flush_every_s=3600) as ledger, SQLiteLedger(path) as reader:
        for _ in range(10_001):
            ledger.record(call("0.01"))
        assert reader.totals().calls == 10_000
    with SQLiteLedger(path) as ledger:
        assert ledger.total() == Decimal("100.01")


def test_a_record_after_closing_is_refused(path):
    for options in ({}, {"flush_every_s": 1}):
        ledger = SQLiteLedger(path, **options)
        ledger.close()
        record = call("1")
        with pytest.raises(StoreError, match=f"is closed; record '{record.id}' was not written"):
            ledger.record(record)
        with pytest.raises(StoreError, match="is closed; nothing was read"):
            ledger.total()
