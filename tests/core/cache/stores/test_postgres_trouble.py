"""A cache in PostgreSQL outlives its connections and serves no row that was tampered with."""

from __future__ import annotations

import asyncio
import multiprocessing
import subprocess
import sys

import pytest

from tests.core.cache.stores.samples import DIMENSION, EMBEDDER, NOW, entry, unit
from tokenomics_core import ConfigurationError, StoreError
from tokenomics_core.cache import Selector

_END_ALL = (
    "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
    "WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
)


@pytest.fixture
def make(postgres_server):
    from tokenomics_core.cache import PostgresCacheStore

    made = []

    def make(schema=None):
        store = PostgresCacheStore(postgres_server.dsn, schema=schema or postgres_server.new_schema())
        made.append(store)
        return store

    yield make
    for store in made:
        store.close()


def test_importing_the_cache_loads_no_driver():
    code = "import sys, tokenomics_core.cache; print('psycopg' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_after_a_lost_connection_the_store_goes_on(postgres_server, make):
    store = make()
    store.bind(EMBEDDER, DIMENSION)
    store.put(entry(), unit(1))
    postgres_server.psql(_END_ALL)
    try:
        store.put(entry("second", number=1), unit(2))
    except StoreError:
        store.put(entry("second", number=1), unit(2))
    assert store.size(NOW).entries == 2


async def test_after_a_lost_connection_a_loop_goes_on(postgres_server, make):
    store = make()
    await store.abind(EMBEDDER, DIMENSION)
    await store.aput(entry(), unit(1))
    await asyncio.to_thread(postgres_server.psql, _END_ALL)
    try:
        found = await store.afind("p", entry().key, NOW)
    except StoreError:
        found = await store.afind("p", entry().key, NOW)
    assert found == entry()
    await store.aclose()


def test_a_server_that_is_not_there_is_a_store_error_that_tells_no_password(make):
    from tokenomics_core.cache import PostgresCacheStore

    store = PostgresCacheStore("postgresql://user:hush@127.0.0.1:1/nothing")
    with pytest.raises(StoreError) as caught:
        store.find("p", "k", NOW)
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize("schema", ["", "a b", 'x"; DROP TABLE y; --', "Upper", "ü"])
def test_a_schema_that_is_no_plain_name_is_refused(postgres_server, schema):
    from tokenomics_core.cache import PostgresCacheStore

    with pytest.raises(ConfigurationError, match="schema"):
        PostgresCacheStore(postgres_server.dsn, schema=schema)


def _fill(url, schema, start, number):
    from tokenomics_core.cache import PostgresCacheStore

    store = PostgresCacheStore(url, schema=schema)
    start.wait()
    store.bind(EMBEDDER, DIMENSION)
    store.put(entry(f"q{number}", number=number), unit(number))
    store.close()


def test_processes_that_begin_at_once_make_one_set_of_tables(postgres_server, make):
    context = multiprocessing.get_context("spawn")
    schema, start = postgres_server.new_schema(), context.Event()
    workers = [
        context.Process(target=_fill, args=(postgres_server.dsn, schema, start, number))
        for number in range(4)
    ]
    for worker in workers:
        worker.start()
    start.set()
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0
    store = make(schema)
    store.bind(EMBEDDER, DIMENSION)
    assert {near.id for near in store.search("p", unit(0), 9, NOW)} == {f"id-{n}" for n in range(4)}


def test_what_one_store_invalidates_no_other_serves(postgres_server, make):
    schema = postgres_server.new_schema()
    first, second = make(schema), make(schema)
    for store in (first, second):
        store.bind(EMBEDDER, DIMENSION)
    first.put(entry(sources=("doc",)), unit(1))
    assert len(second.search("p", unit(1), 3, NOW)) == 1
    assert first.invalidate(Selector(source="doc")) == 1
    assert second.search("p", unit(1), 3, NOW) == []
    assert second.find("p", entry().key, NOW) is None


@pytest.mark.parametrize(
    "crime",
    [
        "payload = '\\x80049500'::bytea",
        'usage = \'{"lc": 1, "type": "constructor", "id": ["os", "system"]}\'',
        "sources = ARRAY['another']",
        "answer = 'another'",
        "digest = ''",
        "expires_at = NULL, stale_until = 'Infinity'",
    ],
)
def test_a_row_that_was_tampered_with_is_a_miss(postgres_server, make, crime):
    schema = postgres_server.new_schema()
    store = make(schema)
    store.bind(EMBEDDER, DIMENSION)
    store.put(entry(expires_at=NOW + 9), unit(1))
    postgres_server.psql(f"UPDATE {schema}.entries SET {crime}")
    assert store.find("p", entry().key, NOW) is None
    assert store.read("id-0", NOW) is None
    assert store.entries(limit=9, now=NOW) == []
