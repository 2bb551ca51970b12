"""A ledger in memory keeps what every ledger keeps, for one process."""

from __future__ import annotations

import os
import threading
from datetime import timedelta

import pytest

from tests.core.ledger.contract import LedgerContract
from tests.core.ledger.samples import NOON, call
from tokenomics_core import ConfigurationError
from tokenomics_core.ledger import MemoryLedger


class TestMemoryLedger(LedgerContract):
    def make(self, **options):
        return MemoryLedger(**options)


def test_beyond_its_size_the_oldest_records_go_and_are_counted():
    ledger = MemoryLedger(max_records=2)
    for cost_usd in ("1", "2", "4"):
        ledger.record(call(cost_usd))
    assert ledger.total() == 6
    assert ledger.dropped_records == 1


def test_a_repeated_record_drops_nothing():
    ledger = MemoryLedger(max_records=1)
    record = call("1")
    ledger.record(record)
    ledger.record(record)
    assert ledger.dropped_records == 0


def test_an_import_is_bounded_too(tmp_path):
    source = MemoryLedger()
    for hours in range(5):
        source.record(call("1", at=NOON + timedelta(hours=hours)))
    source.to_jsonl(tmp_path / "records.jsonl")
    ledger = MemoryLedger(max_records=2)
    assert ledger.import_jsonl(tmp_path / "records.jsonl") == 5
    assert (ledger.totals().calls, ledger.dropped_records) == (2, 3)


@pytest.mark.parametrize("max_records", [0, -1])
def test_a_size_below_one_is_refused(max_records):
    with pytest.raises(ConfigurationError, match="max_records must be 1 or more"):
        MemoryLedger(max_records=max_records)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning")
def test_a_forked_child_is_refused_instead_of_losing_records():
    ledger = MemoryLedger()
    ledger.record(call("1"))
    child = os.fork()
    if child == 0:
        refused = 0
        for use in (lambda: ledger.record(call("1")), ledger.total, lambda: ledger.forget(user="a")):
            try:
                use()
            except ConfigurationError as error:
                refused += "SQLiteLedger" in str(error)
        os._exit(refused)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 3
    assert ledger.total() == 1


def test_reading_while_others_record_sees_whole_records():
    ledger = MemoryLedger()
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            ledger.record(call("1", avoided_usd=call("2").cost_usd))

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(50):
            totals = ledger.totals()
            assert totals.cost_usd == totals.calls
            assert totals.avoided_usd == 2 * totals.calls
    finally:
        stop.set()
        writer.join()
