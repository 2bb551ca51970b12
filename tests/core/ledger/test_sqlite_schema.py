"""A file of any earlier schema opens with every sum unchanged; one that is no ledger is left alone."""

from __future__ import annotations

import json
import sqlite3
import subprocess
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from tests.core.ledger.programs import python
from tests.core.ledger.samples import NOON, call
from tokenomics_core import Attribution, StoreError, Usage
from tokenomics_core.ledger import MemoryLedger, SQLiteLedger


@pytest.fixture
def path(tmp_path):
    return tmp_path / "ledger.db"


VERSION_1 = """
    CREATE TABLE records (
        seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, at_us INTEGER NOT NULL, model TEXT NOT NULL,
        provider TEXT, user TEXT, feature TEXT, project TEXT, conversation TEXT, run TEXT, tags TEXT,
        source TEXT NOT NULL, operation TEXT NOT NULL, outcome TEXT NOT NULL, cost_pico INTEGER,
        price_source TEXT NOT NULL, avoided_pico INTEGER, avoided_by TEXT, usage TEXT NOT NULL,
        estimated INTEGER NOT NULL, latency_s REAL, notes TEXT, content TEXT
    );
    CREATE INDEX records_at ON records (at_us);
    PRAGMA application_id = 1953197676;
    PRAGMA user_version = 1;
"""


def write_version_1(path: Path) -> MemoryLedger:
    """Write a file as the first schema had it, and return a ledger with the same records."""
    kept = [
        call("0.123456789012", attribution=Attribution(user="ada", tags={"user_tier": "gold"})),
        call(None, at=NOON + timedelta(days=1), usage=Usage()),
        call("0", source="cache", avoided_usd=Decimal("0.5"), avoided_by="cache"),
        call(
            "9223372.036854775807",
            usage=Usage(
                input_tokens=9, cache_read_tokens=0, cache_write_1h_tokens=4, batch=True, extras={"x": 1.5}
            ),
            latency_s=0.25,
            notes=("a note",),
            estimated=True,
        ),
    ]
    rows = sqlite3.connect(path)
    rows.executescript(VERSION_1)
    expected = MemoryLedger()
    for record in kept:
        expected.record(record)
        who, tags = record.attribution, json.dumps(dict(record.attribution.tags))
        rows.execute(
            "INSERT INTO records (id, at_us, model, user, tags, source, operation, outcome, cost_pico,"
            " price_source, avoided_pico, avoided_by, usage, estimated, latency_s, notes)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *(
                    record.id,
                    int(record.at.timestamp()) * 10**6,
                    record.model,
                    who.user,
                    tags if who.tags else None,
                ),
                *(record.source, record.operation, record.outcome),
                None if record.cost_usd is None else int(record.cost_usd * 10**12),
                record.price_source,
                None if record.avoided_usd is None else int(record.avoided_usd * 10**12),
                *(record.avoided_by, json.dumps(record.usage.to_dict()), record.estimated, record.latency_s),
                json.dumps(list(record.notes)) if record.notes else None,
            ),
        )
    rows.commit()
    rows.close()
    return expected


def test_a_file_of_the_first_schema_is_brought_up_with_every_sum_unchanged(path):
    expected = write_version_1(path)
    for _ in range(2):  # the second time it is up to date
        with SQLiteLedger(path) as ledger:
            assert ledger.totals() == expected.totals()
            assert ledger.totals_by(("model", "user"), bucket="day") == expected.totals_by(
                ("model", "user"), bucket="day"
            )
            assert ledger.by("user_tier") == expected.by("user_tier")
            assert list(ledger.records()) == list(expected.records())
    with SQLiteLedger(path) as ledger:
        ledger.record(call("1"))
        assert ledger.total() == expected.total() + 1


def test_processes_that_find_an_old_file_at_once_migrate_it_once(path):
    expected = write_version_1(path)
    code = "sys.stdin.readline()\nSQLiteLedger(sys.argv[1], busy_timeout_s=60).record(call('1'))\n"
    writers = [python(code, path, stdin=subprocess.PIPE) for _ in range(3)]
    for writer in writers:
        writer.stdin.write("go\n")
        writer.stdin.flush()
    for writer in writers:
        writer.communicate()
        assert writer.returncode == 0
    with SQLiteLedger(path) as ledger:
        assert ledger.total() == expected.total() + 3


def test_a_migration_that_fails_leaves_the_old_file_as_it_was(path):
    write_version_1(path)
    damaged = sqlite3.connect(path)
    damaged.execute("UPDATE records SET usage = '{'")
    damaged.commit()
    damaged.close()
    with pytest.raises(StoreError, match=r"failed \(malformed JSON\); nothing was written"):
        SQLiteLedger(path)
    rows = sqlite3.connect(path)
    assert rows.execute("PRAGMA user_version").fetchone() == (1,)
    assert rows.execute("SELECT count(usage) FROM records").fetchone() == (4,)
    rows.close()


def test_a_database_of_another_program_is_refused_and_left_alone(path):
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE records (song TEXT)")
    other.commit()
    other.close()
    before = path.read_bytes()
    with pytest.raises(StoreError, match="is a SQLite database, but no ledger; it was left as it is"):
        SQLiteLedger(path)
    assert path.read_bytes() == before


def test_a_newer_schema_is_refused_and_left_alone(path):
    SQLiteLedger(path).close()
    newer = sqlite3.connect(path)
    newer.execute("PRAGMA user_version = 99")
    newer.commit()
    newer.close()
    before = path.read_bytes()
    with pytest.raises(StoreError, match=r"schema version 99.*install a newer token-economics; it was left"):
        SQLiteLedger(path)
    assert path.read_bytes() == before
