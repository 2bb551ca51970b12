"""Count the provider calls that equal questions in flight make, with and without single flight.

Method: 50 callers ask the same question at the same moment; the provider takes 50 ms and counts its calls.
They ask `ResponseCache.fetch`, then the same cache by `get` and `put` as one does without single flight, and
langchain-core's `InMemoryCache` the way its models do (`lookup`, call, `update`). From threads, from tasks of
one event loop, and from 4 processes of 13 callers on one `SQLiteCacheStore`. Once more from threads the first
leader fails: one more call is made. Then what `fetch` costs where nobody else asks: median time of a miss
(`fetch` against `get` and `put`) and of an exact hit (`fetch` against `get`), taking turns, 2,000 each.
Questions are matched word for word, so no embedding is timed. No randomness.
Run: python benchmarks/cache_single_flight.py
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import multiprocessing
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import Any

from langchain_core.caches import InMemoryCache
from langchain_core.outputs import Generation

from tokenomics_core.cache import MemoryCacheStore, ResponseCache, SQLiteCacheStore

CALLERS, PROCESSES, ROUNDS = 50, 4, 2_000
PROVIDER_S = 0.05
QUESTION = "How do I reset my password?"


class Provider:
    """Answers after a while and counts how often it was asked."""

    def __init__(self, fail_first: int = 0) -> None:
        self.calls = 0
        self._fail_first = fail_first
        self._lock = threading.Lock()

    def _count(self) -> int:
        with self._lock:
            self.calls += 1
            return self.calls

    def __call__(self) -> str:
        number = self._count()
        time.sleep(PROVIDER_S)
        if number <= self._fail_first:
            raise ConnectionError
        return "Open the settings."

    async def slowly(self) -> str:
        self._count()
        await asyncio.sleep(PROVIDER_S)
        return "Open the settings."


def cache_in_memory() -> ResponseCache:
    return ResponseCache(MemoryCacheStore())


def threads(ask: Callable[[], Any]) -> float:
    """Let all ask at once; return the seconds until the last has its answer."""
    start = threading.Barrier(CALLERS + 1)

    def one() -> None:
        start.wait()
        with contextlib.suppress(ConnectionError):  # the caller whose call failed
            ask()

    with ThreadPoolExecutor(CALLERS) as pool:
        for _ in range(CALLERS):
            pool.submit(one)
        start.wait()
        begun = time.perf_counter()
    return time.perf_counter() - begun


def tell(where: str, way: str, calls: int, took_s: float) -> None:
    print(f"  {where:10} {way:45} {calls:3} provider calls, {took_s / PROVIDER_S:5.2f}x one call's time")


def by_fetch(cache: ResponseCache, provider: Provider) -> Callable[[], Any]:
    return lambda: cache.fetch("p", QUESTION, provider, how="exact")


def by_hand(cache: ResponseCache, provider: Provider) -> Callable[[], str]:
    def ask() -> str:
        hit = cache.get("p", QUESTION, how="exact")
        if hit is not None:
            return str(hit.payload)
        answer = provider()
        cache.put("p", QUESTION, answer, how="exact")
        return answer

    return ask


def by_langchain(provider: Provider) -> Callable[[], str]:
    cache = InMemoryCache()

    def ask() -> str:
        found = cache.lookup(QUESTION, "model")
        if found is not None:
            return str(found[0].text)
        answer = provider()
        cache.update(QUESTION, "model", [Generation(text=answer)])
        return answer

    return ask


def in_threads() -> None:
    rows: list[tuple[str, Callable[[Provider], Callable[[], Any]]]] = [
        ("fetch", lambda p: by_fetch(cache_in_memory(), p)),
        ("get and put", lambda p: by_hand(cache_in_memory(), p)),
        (f"langchain-core {version('langchain-core')} InMemoryCache", by_langchain),
    ]
    for name, make in rows:
        provider = Provider()
        took_s = threads(make(provider))
        tell("threads", name, provider.calls, took_s)
    provider = Provider(fail_first=1)
    took_s = threads(by_fetch(cache_in_memory(), provider))
    tell("threads", "fetch, the first leader fails", provider.calls, took_s)


async def in_tasks() -> None:
    async def fetch(cache: ResponseCache, provider: Provider) -> None:
        await cache.afetch("p", QUESTION, provider.slowly, how="exact")

    async def hand(cache: ResponseCache, provider: Provider) -> None:
        if await cache.aget("p", QUESTION, how="exact") is None:
            await cache.aput("p", QUESTION, await provider.slowly(), how="exact")

    for name, ask in (("fetch", fetch), ("get and put", hand)):
        cache, provider = cache_in_memory(), Provider()
        begun = time.perf_counter()
        await asyncio.gather(*(ask(cache, provider) for _ in range(CALLERS)))
        took_s = time.perf_counter() - begun
        tell("tasks", name, provider.calls, took_s)


def one_process(path: str, way: str, start: Any, calls: Any) -> None:
    cache = ResponseCache(SQLiteCacheStore(path))

    def provider() -> str:
        with calls.get_lock():
            calls.value += 1
        time.sleep(PROVIDER_S)
        return "Open the settings."

    def fetch() -> None:
        cache.fetch("p", QUESTION, provider, how="exact")

    def hand() -> None:
        if cache.get("p", QUESTION, how="exact") is None:
            cache.put("p", QUESTION, provider(), how="exact")

    start.wait()
    with ThreadPoolExecutor(13) as pool:
        for future in [pool.submit(fetch if way == "fetch" else hand) for _ in range(13)]:
            future.result()
    cache.close()


def in_processes() -> None:
    spawn = multiprocessing.get_context("spawn")
    for way in ("fetch", "get and put"):
        with tempfile.TemporaryDirectory() as folder:
            start, calls = spawn.Barrier(PROCESSES + 1), spawn.Value("i", 0)
            arguments = (str(Path(folder) / "cache.db"), way, start, calls)
            workers = [spawn.Process(target=one_process, args=arguments) for _ in range(PROCESSES)]
            for worker in workers:
                worker.start()
            start.wait()
            begun = time.perf_counter()
            for worker in workers:
                worker.join()
            took_s = time.perf_counter() - begun
            tell("processes", way, calls.value, took_s)


def timed(*actions: Callable[[], object]) -> list[float]:
    """Return each action's median in microseconds; the actions take turns."""
    times: list[list[float]] = [[] for _ in actions]
    for _ in range(ROUNDS):
        for action, kept in zip(actions, times, strict=True):
            begun = time.perf_counter()
            action()
            kept.append((time.perf_counter() - begun) * 1e6)
    return [statistics.median(kept) for kept in times]


def alone() -> None:
    fetching, plain = cache_in_memory(), cache_in_memory()
    numbers = itertools.count()

    def fetch_miss() -> None:
        fetching.fetch("p", f"Question {next(numbers)}?", lambda: "an answer", how="exact")

    def plain_miss() -> None:
        question = f"Question {next(numbers)}?"
        if plain.get("p", question, how="exact") is None:
            plain.put("p", question, "an answer", how="exact")

    missed = timed(fetch_miss, plain_miss)
    for cache in (fetching, plain):
        cache.put("p", QUESTION, "an answer", how="exact")
    hits = timed(
        lambda: fetching.fetch("p", QUESTION, lambda: "an answer", how="exact"),
        lambda: plain.get("p", QUESTION, how="exact"),
    )
    for name, (fetch_us, plain_us) in (("miss", missed), ("exact hit", hits)):
        ratio = fetch_us / plain_us
        print(f"  alone      {name:10} fetch {fetch_us:6.1f} us, by hand {plain_us:6.1f} us: {ratio:.2f}x")


def main() -> None:
    python = sys.version.split()[0]
    print(f"{CALLERS} equal calls in flight, a provider of {PROVIDER_S * 1e3:.0f} ms, Python {python}")
    in_threads()
    asyncio.run(in_tasks())
    in_processes()
    alone()


if __name__ == "__main__":
    main()
