"""Processes that share a cache in PostgreSQL see each other and lead one at a time."""

from __future__ import annotations

import asyncio
import multiprocessing
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.core.cache.stores.samples import DIMENSION, EMBEDDER, NOW, entry, unit
from tests.core.conftest import PostgresServer, postgres_package
from tokenomics_core import ConfigurationError, StoreError
from tokenomics_core.cache import Selector

spawn = multiprocessing.get_context("spawn")


def _serve(dsn, schema, questions, answers):
    from tokenomics_core.cache import PostgresCacheStore

    store = PostgresCacheStore(dsn, schema=schema)
    store.bind(EMBEDDER, DIMENSION)
    answers.put("ready")
    while (asked := questions.get(timeout=60)) is not None:
        kind, number = asked
        if kind == "search":
            answers.put([item.id for item in store.search("p", unit(number), 3, NOW)])
        elif kind == "find":
            answers.put(store.find("p", entry(f"q{number}").key, NOW) is not None)
        elif kind == "put":
            store.put(entry("the same", number=number, payload=str(number).encode()), unit(1))
            answers.put(number)
        else:
            answers.put(store.claim(kind, f"process-{number}", 30.0, NOW))
    store.close()


@pytest.fixture
def schema(postgres_server):
    return postgres_server.new_schema()


@pytest.fixture
def store(postgres_server, schema):
    from tokenomics_core.cache import PostgresCacheStore

    store = PostgresCacheStore(postgres_server.dsn, schema=schema)
    store.bind(EMBEDDER, DIMENSION)
    yield store
    store.close()


@pytest.fixture
def processes(postgres_server, schema):
    started = []
    for _ in range(4):
        questions, answers = spawn.Queue(), spawn.Queue()
        worker = spawn.Process(target=_serve, args=(postgres_server.dsn, schema, questions, answers))
        worker.start()
        started.append((worker, questions, answers))
    for _, _, answers in started:
        assert answers.get(timeout=60) == "ready"
    yield started
    for worker, questions, _ in started:
        questions.put(None)
        worker.join()
        assert worker.exitcode == 0


def ask_each(processes, kind):
    """Ask all at once, each with its own number."""
    for number, (_, questions, _) in enumerate(processes):
        questions.put((kind, number))
    return [answers.get(timeout=60) for _, _, answers in processes]


def ask_all(processes, kind, number):
    for _, questions, _ in processes:
        questions.put((kind, number))
    return [answers.get(timeout=60) for _, _, answers in processes]


def test_processes_see_what_is_put_and_serve_nothing_that_was_invalidated(store, processes):
    for number in range(8):
        store.put(entry(f"q{number}", number=number, sources=(f"s{number}",)), unit(number))
        assert all(near[0] == f"id-{number}" for near in ask_all(processes, "search", number))
        assert all(ask_all(processes, "find", number))
        store.invalidate(Selector(source=f"s{number}"))
        assert not any(ask_all(processes, "find", number))
        assert not any(f"id-{number}" in near for near in ask_all(processes, "search", number))


def test_of_processes_that_claim_at_once_one_leads_and_all_others_are_told(processes):
    for turn in range(10):
        assert sorted(ask_each(processes, f"leader-{turn}")) == [False, False, False, True]


def test_processes_that_answer_one_question_at_once_leave_one_answer(store, processes):
    for _ in range(10):
        ask_each(processes, "put")
        kept = store.entries(limit=9, now=NOW)
        assert len(kept) == 1
        assert kept[0].payload == kept[0].id.removeprefix("id-").encode()
        assert len(store.search("p", unit(1), 9, NOW)) == 1


def test_the_heir_of_a_dead_leader_leads_when_its_lease_ends(store):
    assert store.claim("leader", "dead", 5.0, NOW)
    assert not store.claim("leader", "heir", 5.0, NOW + 4.9)
    assert store.claim("leader", "heir", 5.0, NOW + 5.0)
    assert not store.claim("leader", "dead", 5.0, NOW + 5.0)
    store.release("leader", "dead")
    assert not store.claim("leader", "third", 5.0, NOW + 6.0)


def test_a_server_that_is_stopped_is_a_store_error_and_used_again_when_it_is_back(tmp_path_factory):
    package = postgres_package()
    with tempfile.TemporaryDirectory() as folder:
        server = PostgresServer(package, Path(folder))
        from tokenomics_core.cache import PostgresCacheStore

        store = PostgresCacheStore(server.dsn, timeout_s=5.0)
        store.bind(EMBEDDER, DIMENSION)
        store.put(entry(), unit(1))
        server.stop()
        for _ in range(2):
            with pytest.raises(StoreError, match="the answer was not kept"):
                store.put(entry("second", number=1), unit(2))
        server.start()
        assert store.find("p", entry().key, NOW) == entry()
        store.put(entry("second", number=1), unit(2))
        assert store.size(NOW).entries == 2
        store.close()
        server.stop()


def test_tables_that_somebody_dropped_are_made_anew_by_the_call_after(postgres_server, store, schema):
    store.put(entry(), unit(1))
    postgres_server.psql(f"DROP SCHEMA {schema} CASCADE")
    with pytest.raises(StoreError, match="nothing was read"):
        store.find("p", entry().key, NOW)
    assert store.find("p", entry().key, NOW) is None
    store.bind(EMBEDDER, DIMENSION)
    store.put(entry(), unit(1))
    assert store.size(NOW).entries == 1


def test_another_programs_schema_is_refused_and_left_as_it_is(postgres_server):
    from tokenomics_core.cache import PostgresCacheStore

    schema = postgres_server.new_schema()
    postgres_server.psql(f"CREATE SCHEMA {schema} CREATE TABLE mine (a int)")
    store = PostgresCacheStore(postgres_server.dsn, schema=schema)
    with pytest.raises(ConfigurationError, match="no response cache"):
        store.find("p", "k", NOW)
    tables = postgres_server.psql(
        f"SELECT string_agg(relname, ',') FROM pg_class WHERE relnamespace = '{schema}'::regnamespace"
    )
    assert "mine" in tables
    assert "entries" not in tables
    store.close()


def test_tables_of_a_newer_release_are_refused(postgres_server, schema, store):
    from tokenomics_core.cache import PostgresCacheStore

    postgres_server.psql(f"UPDATE {schema}.meta SET value = '99' WHERE name = 'version'")
    later = PostgresCacheStore(postgres_server.dsn, schema=schema)
    with pytest.raises(StoreError, match=r"version 99.*newer"):
        later.find("p", "k", NOW)
    later.close()


def test_vectors_of_another_embedder_are_refused_also_after_it_was_bound_elsewhere(
    postgres_server, store, schema
):
    from tokenomics_core.cache import PostgresCacheStore

    second = PostgresCacheStore(postgres_server.dsn, schema=schema)
    second.bind("other/2", 5)  # while there is nothing yet
    with pytest.raises(ConfigurationError, match="the answer was not kept"):
        store.put(entry(), unit(1))
    second.put(entry(), unit(1, 5))
    with pytest.raises(ConfigurationError, match="'other/2'"):
        store.bind(EMBEDDER, DIMENSION)
    second.close()


def test_reading_writes_nothing(postgres_server, store, schema):
    store.put(entry(), unit(1))
    count = (
        f"SELECT 'at ' || xmin FROM {schema}.entries; "
        "SELECT 'next ' || pg_snapshot_xmax(pg_current_snapshot())"
    )
    before = postgres_server.psql(count)
    for _ in range(10):
        store.find("p", entry().key, NOW)
        store.search("p", unit(1), 3, NOW)
        store.read("id-0", NOW)
        store.entries(limit=3, now=NOW)
        store.size(NOW)
        store.load_state("policy")
    assert postgres_server.psql(count) == before  # no transaction had to be numbered


def test_a_dsn_that_cannot_be_read_is_refused_and_not_repeated():
    postgres_package()
    from tokenomics_core.cache import PostgresCacheStore

    for dsn in ("postgresql//ada:hush@host/db", "host=a port=b=hush c"):
        with pytest.raises(ConfigurationError, match="dsn must be") as caught:
            PostgresCacheStore(dsn)
        assert "hush" not in str(caught.value)


@pytest.mark.parametrize(
    "options",
    [{"max_connections": 0}, {"max_connections": True}, {"timeout_s": 0}, {"timeout_s": float("nan")}],
)
def test_bounds_that_allow_nothing_are_refused(options):
    postgres_package()
    from tokenomics_core.cache import PostgresCacheStore

    with pytest.raises(ConfigurationError, match=next(iter(options))):
        PostgresCacheStore("postgresql://host/db", **options)


def test_more_threads_than_connections_wait_for_each_other(postgres_server, schema):
    from tokenomics_core.cache import PostgresCacheStore

    store = PostgresCacheStore(postgres_server.dsn, schema=schema, max_connections=2)
    store.bind(EMBEDDER, DIMENSION)
    with ThreadPoolExecutor(12) as pool:
        list(pool.map(lambda n: store.put(entry(f"q{n}", number=n), unit(n)), range(60)))
    assert store.size(NOW).entries == 60
    open_ones = postgres_server.psql(
        "SELECT 'open ' || count(*) FROM pg_stat_activity "
        f"WHERE query LIKE '%{schema}.%' AND pid <> pg_backend_pid()"
    )
    assert "open 1" in open_ones or "open 2" in open_ones
    store.close()


async def test_a_task_that_is_cancelled_leaves_no_answer_for_the_next(postgres_server, schema):
    from tokenomics_core.cache import PostgresCacheStore

    store = PostgresCacheStore(postgres_server.dsn, schema=schema, max_connections=1)
    await store.abind(EMBEDDER, DIMENSION)
    await store.aput(entry(), unit(1))
    for _ in range(20):
        task = asyncio.create_task(store.asearch("p", unit(1), 3, NOW))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await store.afind("p", entry().key, NOW) == entry()
    await store.aclose()


def test_without_its_driver_the_store_names_what_to_install():
    code = (
        "import sys; sys.modules['psycopg'] = None\n"
        "import tokenomics_core.cache as cache\n"
        "try:\n    cache.PostgresCacheStore\nexcept ImportError as error:\n    print(repr(error), error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "MissingExtraError" in done.stdout
    assert "pip install 'token-economics[postgres]'" in done.stdout
