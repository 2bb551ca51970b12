"""A cache file that cannot be used says so, and serves nothing that it did not write."""

from __future__ import annotations

import asyncio
import multiprocessing
import resource
import signal
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from tests.core.cache.stores.samples import DIMENSION, EMBEDDER, NOW, entry, unit
from tokenomics_core import ConfigurationError, StoreError
from tokenomics_core.cache import Selector, SQLiteCacheStore

spawn = multiprocessing.get_context("spawn")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "cache.db"


@pytest.fixture
def store(path):
    store = SQLiteCacheStore(path, busy_timeout_s=0.05)
    store.bind(EMBEDDER, DIMENSION)
    yield store
    store.close()


# Files that are not ours


def test_another_programs_database_is_refused_and_left_as_it_is(path):
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE entries (mine TEXT)")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(StoreError, match="no response cache"):
        SQLiteCacheStore(path)
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == ["cache.db"]


def test_a_file_of_a_newer_release_is_refused_and_left_as_it_is(path):
    SQLiteCacheStore(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(StoreError, match="newer"):
        SQLiteCacheStore(path)
    assert path.read_bytes() == before


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(StoreError, match="there is no directory"):
        SQLiteCacheStore(tmp_path / "nowhere" / "cache.db")


# Files that cannot be written


def test_a_file_that_another_process_holds_is_a_store_error_and_is_used_again_afterwards(path, store):
    store.put(entry(), unit(1))
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(StoreError, match=r"locked.*the answer was not kept"):
        store.put(entry("second", number=1), unit(2))
    with pytest.raises(StoreError, match="locked"):
        asyncio.run(store.aclaim("lock", "me", 5.0, NOW))
    assert store.find("p", entry().key, NOW) is not None  # who writes does not keep readers out
    assert store.search("p", unit(1), 1, NOW)[0].id == "id-0"
    other.execute("ROLLBACK")
    other.close()
    store.put(entry("second", number=1), unit(2))
    assert store.size(NOW).entries == 2


def _fill_a_small_disk(path, result):
    # A limit on the size of a file is the full disk that needs no rights.
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    store = SQLiteCacheStore(path)
    store.bind(EMBEDDER, DIMENSION)
    store.put(entry(), unit(1))
    resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, resource.RLIM_INFINITY))
    problem = ""
    try:
        for number in range(1, 100):
            store.put(entry(f"q{number}", number=number, payload=b"x" * 50_000), unit(number))
    except StoreError as error:
        problem = str(error)
    served = store.find("p", entry().key, NOW) is not None and bool(store.search("p", unit(1), 1, NOW))
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    store.put(entry("there is room again", number=200), unit(200))
    result.put((problem, served, store.find("p", entry("there is room again").key, NOW) is not None))
    store.close()


def test_a_full_disk_is_a_store_error_that_leaves_what_was_kept(path):
    result = spawn.Queue()
    worker = spawn.Process(target=_fill_a_small_disk, args=(path, result))
    worker.start()
    problem, served, goes_on = result.get(timeout=60)
    worker.join()
    assert "the answer was not kept" in problem
    assert served
    assert goes_on
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()


def test_a_file_that_is_damaged_while_in_use_is_set_aside_and_the_new_one_knows_its_embedder(path, store):
    for number in range(200):
        store.put(entry(f"q{number}", number=number, payload=b"x" * 2_000), unit(number))
    store.close()
    store = SQLiteCacheStore(path)
    store.bind(EMBEDDER, DIMENSION)
    size = path.stat().st_size
    with path.open("r+b") as file:  # all but the header and the list of tables
        file.seek(8_192)
        file.write(b"\xff" * (size - 8_192))
    with pytest.raises(StoreError, match="damaged"):
        store.entries(limit=500, now=NOW)
    assert len(list(path.parent.glob("cache.db.damaged-*"))) >= 1
    store.put(entry(), unit(1))
    assert store.search("p", unit(1), 3, NOW)[0].id == "id-0"
    with pytest.raises(ConfigurationError, match="nothing was changed"):
        store.bind("other/2", 5)
    store.close()


def damage(path):
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(100)
        file.write(b"\xff" * (size - 100))


def test_of_many_who_open_a_damaged_file_one_sets_it_aside_and_all_use_the_new_one(path):
    SQLiteCacheStore(path).close()
    damage(path)
    start = threading.Barrier(8)

    def open_it(number):
        start.wait(10)
        store = SQLiteCacheStore(path)
        store.bind(EMBEDDER, DIMENSION)
        store.put(entry(f"q{number}", number=number), unit(number))
        return store

    with ThreadPoolExecutor(8) as pool:
        stores = list(pool.map(open_it, range(8)))
    assert len(list(path.parent.glob("cache.db.damaged-*[0-9]"))) == 1
    assert all(store.size(NOW).entries == 8 for store in stores)
    assert path.stat().st_mode & 0o777 == 0o600
    for store in stores:
        store.close()


@pytest.mark.parametrize("deed", ["damaged", "deleted"])
def test_whoever_has_the_file_open_goes_on_with_the_new_one(path, store, deed):
    others = SQLiteCacheStore(path)
    others.bind(EMBEDDER, DIMENSION)
    store.put(entry("old"), unit(1))
    assert others.search("p", unit(1), 3, NOW)
    if deed == "damaged":
        others.close()
        store.close()
        store, others = SQLiteCacheStore(path), SQLiteCacheStore(path)
        damage(path)
    else:
        for found in path.parent.glob("cache.db*"):
            found.unlink()
    for each in (store, others):
        with pytest.raises(StoreError, match=r"damaged|deleted or replaced"):
            each.put(entry("lost", number=1), None)
    store.bind(EMBEDDER, DIMENSION)
    store.put(entry("new", number=2), unit(2))
    assert others.search("p", unit(2), 3, NOW)[0].id == "id-2"
    assert len(list(path.parent.glob("cache.db.damaged-*[0-9]"))) == (deed == "damaged")
    others.close()


# Rows that were tampered with

_LC = '{"lc": 1, "type": "constructor", "id": ["os", "system"], "kwargs": {"command": "true"}}'
_PICKLE = "X'80049525000000000000008C05706F736978948C0673797374656D9493948C047472756594859452942E'"


@pytest.mark.parametrize(
    "crime",
    [
        "payload = 'another answer'",
        f"payload = {_PICKLE}",
        f"usage = '{_LC}'",
        f"usage = {_PICKLE}",
        "usage = '{'",
        "usage = '[" + "[" * 5_000 + "'",
        f"sources = '{_LC}'",
        "tags = '[1, 2]'",
        "answer = NULL, model = 'another'",
        "tenant = 'another'",
        "digest = X''",
        "digest = zeroblob(16)",
        "stale_until = 9e300, expires_at = NULL",
        "cost_nano_usd = 9223372036854775807",
        "cost_nano_usd = 'a word'",
        "created_at = 9e999",
        "is_text = X'00'",
        "question = 'What is the secret?'",
        "id = 'id-1', partition = 'q'",
    ],
)
def test_a_row_that_was_tampered_with_is_a_miss(path, store, crime):
    store.put(entry(usage=None, sources=("s",), answer="yes"), unit(1))
    with sqlite3.connect(path) as connection:
        connection.execute(f"UPDATE entries SET {crime}")
    connection.close()
    for partition in ("p", "q"):
        assert store.find(partition, entry().key, NOW) is None
    assert store.read("id-0", NOW) is None
    assert store.read("id-1", NOW) is None
    assert store.entries(limit=9, now=NOW) == []
    store.put(entry(payload=b"right"), unit(1))
    assert store.find("p", entry().key, NOW).payload == b"right"


@pytest.mark.parametrize(
    "vector",
    [
        b"",
        b"\0",
        np.full(DIMENSION, np.nan, "<f2").tobytes(),
        np.full(DIMENSION, np.inf, "<f2").tobytes(),
        unit(1, DIMENSION + 1).astype("<f2").tobytes(),
        "a text",
        7,
        b"\x80\x04." * 100_000,
    ],
    ids=["empty", "odd", "no number", "infinite", "too long", "text", "number", "huge"],
)
@pytest.mark.parametrize("is_loaded", [False, True], ids=["before loading", "after loading"])
def test_a_vector_that_was_tampered_with_is_not_found_and_hides_no_other(path, store, vector, is_loaded):
    store.put(entry("sound", number=0), unit(1))
    store.put(entry("crafted", number=1), unit(2))
    if is_loaded:
        assert len(store.search("p", unit(2), 5, NOW)) == 2
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE entries SET vector = ? WHERE id = 'id-1'", (vector,))
        connection.execute("INSERT INTO changes (id, partition, is_gone) VALUES ('id-1', 'p', 0)")
    connection.close()
    assert [item.id for item in store.search("p", unit(2), 5, NOW)] == ["id-0"]


@pytest.mark.parametrize("until", ["1e300", "'for ever'", "NULL + 1", "9e999"])
def test_an_end_that_was_moved_brings_nothing_back(path, store, until):
    store.put(entry(expires_at=NOW + 1), unit(1))
    store.put(entry("sound", number=1), unit(2))
    with sqlite3.connect(path) as connection:
        connection.execute(f"UPDATE OR IGNORE entries SET dies_at = {until} WHERE id = 'id-0'")
    connection.close()
    assert store.find("p", entry().key, NOW + 2) is None
    assert store.read("id-0", NOW + 2) is None
    assert [item.id for item in store.entries(limit=5, now=NOW + 2)] == ["id-1"]
    assert "id-1" in [item.id for item in store.search("p", unit(2), 5, NOW + 2)]


def test_a_state_that_is_no_bytes_is_none(path, store):
    store.save_state("policy", b"learned")
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE states SET data = 'text'")
    connection.close()
    assert store.load_state("policy") is None


# Several processes


def test_another_embedder_is_refused_over_processes(path, store):
    second = SQLiteCacheStore(path)
    second.bind(EMBEDDER, DIMENSION)
    store.put(entry(), unit(1))
    with pytest.raises(ConfigurationError, match="nothing was changed"):
        second.bind("other/2", 5)
    store.invalidate(Selector())
    second.bind("other/2", 5)  # now that it is empty
    with pytest.raises(ConfigurationError, match="the answer was not kept"):
        store.put(entry(), unit(1))  # it was made with the first one's vectors
    second.put(entry("new"), unit(1, 5))
    assert len(second.search("p", unit(1, 5), 3, NOW)) == 1
    second.close()


def _serve(path, questions, answers):
    store = SQLiteCacheStore(path)
    store.bind(EMBEDDER, DIMENSION)
    answers.put("ready")
    while (asked := questions.get(timeout=60)) is not None:
        kind, number = asked
        if kind == "search":
            answers.put([item.id for item in store.search("p", unit(number), 3, NOW)])
        elif kind == "find":
            answers.put(store.find("p", entry(f"q{number}").key, NOW) is not None)
        else:
            answers.put(store.claim("leader", f"process-{number}", 30.0, NOW))
    store.close()


@pytest.fixture
def processes(path):
    started = []
    for _ in range(4):
        questions, answers = spawn.Queue(), spawn.Queue()
        worker = spawn.Process(target=_serve, args=(path, questions, answers))
        worker.start()
        started.append((worker, questions, answers))
    for _, _, answers in started:
        assert answers.get(timeout=60) == "ready"
    yield started
    for worker, questions, _ in started:
        questions.put(None)
        worker.join()
        assert worker.exitcode == 0


def ask(processes, *question):
    for _, questions, _ in processes:
        questions.put(question)
    return [answers.get(timeout=60) for _, _, answers in processes]


def test_processes_see_what_is_put_and_serve_nothing_that_was_invalidated(store, processes):
    for number in range(12):
        store.put(entry(f"q{number}", number=number, sources=(f"s{number}",)), unit(number))
        assert all(near[0] == f"id-{number}" for near in ask(processes, "search", number))
        assert all(ask(processes, "find", number))
        store.invalidate(Selector(source=f"s{number}"))
        assert not any(ask(processes, "find", number))
        assert not any(f"id-{number}" in near for near in ask(processes, "search", number))


def test_one_of_several_processes_gets_a_claim(processes):
    for number, (_, questions, _) in enumerate(processes):
        questions.put(("claim", number))
    assert sorted(answers.get(timeout=60) for _, _, answers in processes) == [False, False, False, True]


def test_reading_writes_nothing(path, store):
    for number in range(20):
        store.put(entry(f"q{number}", number=number), unit(number))
    before = {
        file.name: file.read_bytes() for file in path.parent.iterdir() if not file.name.endswith("-shm")
    }
    for number in range(20):
        store.find("p", entry(f"q{number}").key, NOW)
        store.search("p", unit(number), 3, NOW)
        store.read(f"id-{number}", NOW)
    store.entries(limit=5, now=NOW)
    store.size(NOW)
    after = {file.name: file.read_bytes() for file in path.parent.iterdir() if not file.name.endswith("-shm")}
    assert after == before
