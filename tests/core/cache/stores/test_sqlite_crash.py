"""A cache file survives a killed writer, and its processes see each other."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import stat

import pytest

from tests.core.cache.stores.samples import DIMENSION, EMBEDDER, NOW, entry, unit
from tokenomics_core.cache import Selector, SQLiteCacheStore

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="the platform has no fork")


def _put_until_killed(path, run: int, acknowledged: int) -> None:
    store = SQLiteCacheStore(path)
    store.bind(EMBEDDER, DIMENSION)
    number = 0
    while True:
        key = run * 1_000_000 + number
        store.put(entry(f"q{key}", number=key, sources=(f"s{run}",)), unit(key))
        os.write(acknowledged, b".")
        number += 1


@needs_fork
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_killing_the_writer_at_any_instant_loses_nothing_that_was_acknowledged(tmp_path):
    path, rng, kept = tmp_path / "cache.db", random.Random(7), 0
    for run in range(60):
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reading)
            try:
                _put_until_killed(path, run, writing)
            finally:
                os._exit(1)
        os.close(writing)
        n_acknowledged, wanted = 0, rng.randrange(1, 25)
        while n_acknowledged < wanted:
            got = os.read(reading, wanted - n_acknowledged)
            assert got, "the writer ended by itself"
            n_acknowledged += len(got)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        while got := os.read(reading, 4096):
            n_acknowledged += len(got)
        os.close(reading)
        store = SQLiteCacheStore(path)
        for number in range(n_acknowledged):
            assert store.read(f"id-{run * 1_000_000 + number}", NOW) is not None
        total = store.size(NOW).entries
        assert kept + n_acknowledged <= total <= kept + n_acknowledged + 1
        assert store.search("p", unit(run * 1_000_000), 1, NOW)[0].id == f"id-{run * 1_000_000}"
        kept = total
        store.close()
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()
    assert list(tmp_path.glob("*.damaged*")) == []


def test_what_one_process_puts_and_drops_another_sees_at_once(tmp_path):
    path = tmp_path / "cache.db"
    first, second = SQLiteCacheStore(path), SQLiteCacheStore(path)
    for store in (first, second):
        store.bind(EMBEDDER, DIMENSION)
    assert second.search("p", unit(1), 3, NOW) == []
    first.put(entry(sources=("doc",)), unit(1))
    assert [near.id for near in second.search("p", unit(1), 3, NOW)] == ["id-0"]
    first.regroup("id-0", "another")
    assert second.search("p", unit(1), 3, NOW)[0].group == "another"
    assert first.invalidate(Selector(source="doc")) == 1
    assert second.search("p", unit(1), 3, NOW) == []
    assert second.find("p", entry().key, NOW) is None
    first.close()
    second.close()


@pytest.mark.parametrize("damage", ["random bytes", "truncated", "empty header"])
def test_a_damaged_file_is_set_aside_and_the_next_use_goes_on(tmp_path, damage, caplog):
    path = tmp_path / "cache.db"
    store = SQLiteCacheStore(path)
    store.bind(EMBEDDER, DIMENSION)
    for number in range(50):
        store.put(entry(f"q{number}", number=number), unit(number))
    store.close()
    content = path.read_bytes()
    bad = {
        "random bytes": random.Random(3).randbytes(len(content)),
        "truncated": content[:1000],
        "empty header": b"\0" * 100 + content[100:],
    }[damage]
    path.write_bytes(bad)
    store = SQLiteCacheStore(path)
    store.bind(EMBEDDER, DIMENSION)
    store.put(entry(), unit(1))
    assert store.size(NOW).entries == 1
    store.close()
    aside = list(tmp_path.glob("cache.db.damaged-*"))
    assert [kept.read_bytes() for kept in aside] == [bad]
    assert "set aside" in caplog.text


def test_the_file_is_its_owners_only(tmp_path):
    path = tmp_path / "cache.db"
    store = SQLiteCacheStore(path)
    store.put(entry(), None)
    for file in tmp_path.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
    store.close()
