"""What a store's look-up costs beside a bare FAISS search, and what storing and invalidating cost.

Method: vectors are drawn around random centres with the seed below (8 entries a centre, unit length);
questions are stored vectors with noise. Everything is in one partition, the hardest case for an index. `bare
flat` is faiss.IndexFlatIP, `bare graph` faiss.IndexHNSWSQ with the same links, precision and beam as the
stores'; both return ids and similarities only. The stores return neighbours with their questions and groups,
live ones only. Searches of all contestants are interleaved, question by question, in an order shuffled each
time, with one FAISS thread; the median counts. A ratio is ours by the faster of the two bare searches.
`found` is the share of questions whose nearest neighbour is that of the exact search. Storing is timed over
all entries, the graph's building included. Memory is what the process's resident size grew by, per entry,
the entry included.
SQLite lies in a temporary directory; its data file and log are compared before and after the searches.

Run: OMP_NUM_THREADS=1 python benchmarks/cache_lookup.py [--sizes 1000 10000] [--dimension 256]
100,000 entries (add 100000 to --sizes) take some minutes, one million about an hour, most of it for the
graphs.
"""

from __future__ import annotations

import argparse
import os
import platform
import random
import resource
import statistics
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import faiss
import numpy as np

from tokenomics_core.cache import CacheEntry, MemoryCacheStore, Selector, SQLiteCacheStore
from tokenomics_core.cache._text import key_of

SEED = 20261121
NOW = 1_763_730_000.0
N_QUESTIONS = 300
PER_SOURCE = 10
K = 10


def draw_vectors(count: int, dimension: int, rng: np.random.Generator) -> np.ndarray:
    centres = rng.standard_normal((max(count // 8, 1), dimension), np.float32)
    vectors = centres[rng.integers(0, len(centres), count)]
    vectors += 0.6 * rng.standard_normal((count, dimension), np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def draw_entry(number: int) -> CacheEntry:
    question = f"How do I change setting {number} of my account?"
    return CacheEntry(
        id=f"{number:032x}",
        partition="p",
        key=key_of(question),
        question=question,
        payload=b"Open the settings, choose the account and press the button. " * 8,
        is_text=True,
        answer=None,
        group=f"{number // 8:032x}",
        created_at=NOW,
        model="model",
        sources=(f"document-{number // PER_SOURCE}",),
    )


def resident_bytes() -> int:
    pages = Path("/proc/self/statm")
    if pages.exists():
        return int(pages.read_text(encoding="ascii").split()[1]) * resource.getpagesize()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def fill(store, vectors: np.ndarray) -> tuple[float, float, float]:
    """Store everything; return seconds, the slowest single call in seconds, and bytes per entry."""
    entries = [draw_entry(number) for number in range(len(vectors))]
    before, slowest = resident_bytes(), 0.0
    started = time.perf_counter()
    for entry, vector in zip(entries, vectors, strict=True):
        at = time.perf_counter()
        store.put(entry, vector)
        slowest = max(slowest, time.perf_counter() - at)
    took = time.perf_counter() - started
    return took, slowest, (resident_bytes() - before) / len(vectors)


def bare_indexes(vectors: np.ndarray) -> dict[str, object]:
    dimension = vectors.shape[1]
    flat = faiss.IndexFlatIP(dimension)
    flat.add(vectors)
    graph = faiss.IndexHNSWSQ(dimension, faiss.ScalarQuantizer.QT_fp16, 32, faiss.METRIC_INNER_PRODUCT)
    graph.hnsw.efConstruction, graph.hnsw.efSearch = 80, 64
    graph.add(vectors)
    return {"bare flat": flat, "bare graph": graph}


def settle(store: SQLiteCacheStore, questions: np.ndarray) -> None:
    """Search until the graph that is built along with the searches has taken over."""
    index, times = store._partitions["p"].index, []
    while index._next is not None:
        at = time.perf_counter()
        store.search("p", questions[len(times) % len(questions)], K, NOW)
        times.append(time.perf_counter() - at)
    if times:
        print(
            f"  {'sqlite':<11} the next {len(times):,} searches build the graph too: "
            f"p50 {statistics.median(times) * 1e3:.2f} ms, slowest {max(times) * 1e3:.1f} ms"
        )


def time_searches(searches: dict[str, object], questions: np.ndarray, rng: random.Random) -> dict[str, list]:
    for search in searches.values():
        for question in questions[:20]:
            search(question)
    times = {name: [] for name in searches}
    names = list(searches)
    for question in questions:
        rng.shuffle(names)
        for name in names:
            at = time.perf_counter()
            searches[name](question)
            times[name].append(time.perf_counter() - at)
    return times


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def file_state(path: Path) -> list[tuple[str, int, int]]:
    return [(p.name, p.stat().st_size, p.stat().st_mtime_ns) for p in sorted(path.parent.glob("*.db*"))
            if not p.name.endswith("-shm")]  # fmt: skip


def run(count: int, dimension: int, folder: Path) -> None:
    rng, order = np.random.default_rng(SEED), random.Random(SEED)
    vectors = draw_vectors(count, dimension, rng)
    questions = vectors[rng.integers(0, count, N_QUESTIONS)]
    questions = questions + 0.02 * rng.standard_normal(questions.shape, np.float32)
    questions /= np.linalg.norm(questions, axis=1, keepdims=True)
    bare = bare_indexes(vectors)
    path = folder / f"{count}.db"
    stores = {"memory": MemoryCacheStore(), "sqlite": SQLiteCacheStore(path)}
    print(f"\n{count:,} entries in one partition, {dimension} dimensions")
    for name, store in stores.items():
        store.bind("benchmark", dimension)
        took, slowest, n_bytes = fill(store, vectors)
        print(
            f"  {name:<11} store {took / count * 1e3:7.3f} ms an entry, slowest {slowest * 1e3:7.1f} ms; "
            f"{n_bytes:,.0f} bytes of memory an entry"
        )
    at = time.perf_counter()
    stores["sqlite"].search("p", questions[0], K, NOW)
    loading = time.perf_counter() - at
    size = sum(p.stat().st_size for p in folder.glob(f"{count}.db*"))
    print(
        f"  {'sqlite':<11} first search, loading: {loading:.2f} s; {size / count:,.0f} bytes of disk an entry"
    )
    settle(stores["sqlite"], questions)
    searches = {name: (lambda q, i=index: i.search(q[None], K)) for name, index in bare.items()}
    searches |= {name: (lambda q, s=store: s.search("p", q, K, NOW)) for name, store in stores.items()}
    before = file_state(path)
    times = time_searches(searches, questions, order)
    written = "nothing was written" if file_state(path) == before else "THE FILE WAS WRITTEN TO"
    medians = {name: statistics.median(values) for name, values in times.items()}
    fastest = min(medians["bare flat"], medians["bare graph"])
    exact = bare["bare flat"].search(questions, 1)[1][:, 0]
    for name, median in medians.items():
        note = ""
        if name in stores:
            found = [int(stores[name].search("p", q, 1, NOW)[0].id, 16) for q in questions]
            note = f"; {median / fastest:5.2f} of the faster bare one; found {np.mean(found == exact):.3f}"
        print(
            f"  {name:<11} search p50 {median * 1e3:7.3f} ms, "
            f"p99 {percentile(times[name], 0.99) * 1e3:7.3f} ms{note}"
        )
    print(f"  sqlite: {written} by these searches")
    time_exact(stores, count, order)
    time_invalidation(stores, count, order)
    for store in stores.values():
        store.close()


def time_exact(stores: dict[str, object], count: int, order: random.Random) -> None:
    keys = [draw_entry(order.randrange(count)).key for _ in range(2_000)]
    for name, store in stores.items():
        times = []
        for key in keys:
            at = time.perf_counter()
            found = store.find("p", key, NOW)
            times.append(time.perf_counter() - at)
            assert found is not None
        print(f"  {name:<11} exact  p50 {statistics.median(times) * 1e6:7.2f} us, "
              f"p99 {percentile(times, 0.99) * 1e6:7.2f} us")  # fmt: skip


def time_invalidation(stores: dict[str, object], count: int, order: random.Random) -> None:
    sources = order.sample(range(count // PER_SOURCE), min(40, count // PER_SOURCE))
    for name, store in stores.items():
        times = []
        for source in sources:
            at = time.perf_counter()
            dropped = store.invalidate(Selector(source=f"document-{source}"))
            times.append(time.perf_counter() - at)
            assert dropped == PER_SOURCE
            assert store.find("p", draw_entry(source * PER_SOURCE).key, NOW) is None
        print(f"  {name:<11} drop a source of {PER_SOURCE} p50 {statistics.median(times) * 1e3:6.3f} ms, "
              f"slowest {max(times) * 1e3:6.3f} ms")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description="Time look-ups of the cache's stores beside bare FAISS.")
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 10_000])
    parser.add_argument("--dimension", type=int, default=256)
    options = parser.parse_args()
    faiss.omp_set_num_threads(1)
    print(
        f"Python {platform.python_version()}, FAISS {faiss.__version__}, seed {SEED}, "
        f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    )
    with tempfile.TemporaryDirectory() as folder:
        for count in options.sizes:
            run(count, options.dimension, Path(folder))


if __name__ == "__main__":
    main()
