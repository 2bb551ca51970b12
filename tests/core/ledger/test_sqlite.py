"""A ledger in a file survives crashes, forks, full disks and other processes, or says what did not happen."""

from __future__ import annotations

import gc
import itertools
import os
import sqlite3
from decimal import Decimal
from typing import ClassVar

import pytest

from tests.core.ledger.contract import LedgerContract
from tests.core.ledger.samples import by_user, call
from tokenomics_core import Attribution, ConfigurationError, StoreError
from tokenomics_core.ledger import SQLiteLedger

has_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
is_posix = pytest.mark.skipif(os.name != "posix", reason="needs signals and limits of POSIX")


class TestSQLiteLedger(LedgerContract):
    options: ClassVar = {}

    @pytest.fixture(autouse=True)
    def directory(self, tmp_path):
        self.paths = (tmp_path / f"ledger {number}.db" for number in itertools.count())

    def make(self, **options):
        return SQLiteLedger(next(self.paths), **(self.options | options))


class TestSQLiteLedgerThatWritesLater(TestSQLiteLedger):
    options: ClassVar = {"flush_every_s": 0.005}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "ledger.db"


# What is on disk


def test_records_are_there_when_the_file_is_opened_again(path):
    with SQLiteLedger(path) as ledger:
        ledger.record(by_user("ada", "0.000000000001"))
    with SQLiteLedger(path) as ledger:
        assert ledger.by("user") == {"ada": Decimal("0.000000000001")}


@pytest.mark.parametrize("name", ["a b.db", "a#b.db", "a?b.db", "a%20b.db", "日本.db"])
def test_any_file_name_names_that_file(tmp_path, name):
    with SQLiteLedger(tmp_path / name) as ledger:
        ledger.record(call("1"))
        assert ledger.total() == 1
    assert [file.name for file in tmp_path.iterdir()] == [name]


def test_a_relative_path_keeps_its_meaning_when_the_directory_changes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ledger = SQLiteLedger("ledger.db")
    monkeypatch.chdir("/")
    with ledger:
        ledger.record(call("1"))
    assert ledger.path == str(tmp_path / "ledger.db")


def test_amounts_stand_in_the_file_as_whole_pico_dollars(path):
    with SQLiteLedger(path) as ledger:
        ledger.record(call("0.1"))
    rows = sqlite3.connect(path)
    assert rows.execute("SELECT cost_pico, typeof(cost_pico) FROM records").fetchall() == [
        (10**11, "integer")
    ]
    rows.close()


def test_what_a_forgotten_user_said_is_in_no_file_any_more(tmp_path, path):
    secret = Attribution(user="ada-lovelace", conversation="conv-4711", tags={"mail": "ada@example.org"})
    with SQLiteLedger(path, keep_content=True) as ledger:
        for index in range(200):
            ledger.record(call("1", attribution=secret, content=f"my secret {index}"))
            ledger.record(by_user("bob", "1", content="other"))
        everything = b"".join(file.read_bytes() for file in tmp_path.iterdir())
        assert b"ada-lovelace" in everything
        assert b"my secret 7" in everything
        assert ledger.forget(user="ada-lovelace") == 200
        everything = b"".join(file.read_bytes() for file in tmp_path.iterdir())
        for trace in (b"ada-lovelace", b"conv-4711", b"ada@example.org", b"my secret"):
            assert trace not in everything
        assert b"other" in everything
        assert ledger.total() == 400


def test_ledgers_that_are_not_closed_close_themselves(tmp_path):
    for number in range(20):
        SQLiteLedger(tmp_path / f"{number}.db").record(call("1"))
    gc.collect()
    assert sorted(file.suffix for file in tmp_path.iterdir()) == [".db"] * 20  # no log is left behind


# Files that cannot be used


def test_a_file_that_is_no_database_is_refused_and_left_alone(path):
    path.write_text("a shopping list, long enough to be read as a header of a database file " * 20)
    before = path.read_bytes()
    with pytest.raises(
        StoreError, match=r"ledger\.db: is damaged or no SQLite database .*nothing was written"
    ):
        SQLiteLedger(path)
    assert path.read_bytes() == before


def test_damage_inside_the_file_is_a_store_error(path):
    with SQLiteLedger(path) as ledger:
        for _ in range(300):
            ledger.record(call("1"))
    content = bytearray(path.read_bytes())
    content[4096 * 2 :] = b"\xff" * (len(content) - 4096 * 2)
    path.write_bytes(content)
    ledger = SQLiteLedger(path)
    with pytest.raises(StoreError, match=r"ledger\.db: is damaged .*nothing was read"):
        ledger.total()
    with pytest.raises(StoreError, match=r"is damaged .*was not written"):
        ledger.record(call("1"))
    ledger.close()


@is_posix
def test_a_file_deleted_while_in_use_is_noticed_instead_of_written_into_nothing(path):
    ledger = SQLiteLedger(path)
    ledger.record(call("1"))
    path.unlink()
    with pytest.raises(
        StoreError, match=r"was deleted or replaced while in use; record '.*' was not written"
    ):
        ledger.record(call("1"))
    ledger.close()


def test_a_missing_directory_is_named(tmp_path):
    with pytest.raises(StoreError, match=f"there is no directory {tmp_path / 'absent'}"):
        SQLiteLedger(tmp_path / "absent" / "ledger.db")


def test_a_directory_is_no_ledger(tmp_path):
    with pytest.raises(StoreError, match="nothing was written"):
        SQLiteLedger(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"path": ":memory:"}, "MemoryLedger"),
        ({"path": ""}, "path must name a file"),
        ({"path": "file:x?mode=memory"}, "path must name a file"),
        ({"busy_timeout_s": -1}, "busy_timeout_s must be 0 or more, not -1"),
        ({"flush_every_s": 0}, "flush_every_s must be more than 0, or None, not 0"),
        ({"synchronous": "off"}, "synchronous must be 'normal' or 'full', not 'off'"),
    ],
)
def test_a_wrong_setting_is_refused(tmp_path, arguments, message):
    with pytest.raises(ConfigurationError, match=message):
        SQLiteLedger(**({"path": tmp_path / "ledger.db"} | arguments))
    assert list(tmp_path.iterdir()) == []
