"""Processes that share a file make one call together, see one another's answers, and survive one another."""

from __future__ import annotations

import multiprocessing
import os
import time
from concurrent.futures import ThreadPoolExecutor

from tests.core.cache.facade.fakes import NearPolicy, WordEmbedder
from tokenomics_core.cache import ResponseCache, SQLiteCacheStore

SPAWN = multiprocessing.get_context("spawn")
Q = "How do I reset my password?"
PROCESSES, THREADS = 4, 13


def cache_on(path, **settings) -> ResponseCache:
    return ResponseCache(SQLiteCacheStore(path), WordEmbedder(), NearPolicy(), **settings)


def ask_at_once(path, start, let_go, calls, answers):
    def compute():
        with calls.get_lock():
            calls.value += 1
        assert let_go.wait(60)
        return "Click reset."

    with cache_on(path) as cache:
        start.wait(60)
        with ThreadPoolExecutor(THREADS) as pool:
            fetched = [pool.submit(cache.fetch, "p", Q, compute) for _ in range(THREADS)]
            let_go.set()
            for future in fetched:
                answers.put(future.result(60).payload)


def test_four_processes_make_one_call(tmp_path):
    path = str(tmp_path / "cache.db")
    cache_on(path).close()
    start, let_go = SPAWN.Barrier(PROCESSES), SPAWN.Event()
    calls, answers = SPAWN.Value("i", 0), SPAWN.Queue()
    workers = [
        SPAWN.Process(target=ask_at_once, args=(path, start, let_go, calls, answers))
        for _ in range(PROCESSES)
    ]
    for worker in workers:
        worker.start()
    told = [answers.get(timeout=60) for _ in range(PROCESSES * THREADS)]
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0] * PROCESSES
    assert calls.value == 1
    assert set(told) == {"Click reset."}


def lead_and_stay(path, leads):
    turn = cache_on(path).begin("p", Q)
    leads.put(turn.leads)
    time.sleep(600)  # until it is killed


def test_a_leader_that_was_killed_is_replaced_when_its_lock_lapses(tmp_path):
    path = str(tmp_path / "cache.db")
    cache_on(path).close()
    leads = SPAWN.Queue()
    leader = SPAWN.Process(target=lead_and_stay, args=(path, leads))
    leader.start()
    assert leads.get(timeout=60)
    with cache_on(path) as waiting:
        late = waiting.fetch("p", "Another question?", lambda: "not held up", wait_s=1)
        assert late.payload == "not held up"
    leader.kill()
    leader.join(60)
    with cache_on(path, clock=lambda: time.time() + 11) as cache:
        turn = cache.begin("p", Q, wait_s=30)
        assert turn.leads
        assert cache.stats().waits_given_up == 0
        assert turn.finish("Click reset.")
        assert cache.get("p", Q).payload == "Click reset."


def put_and_leave(path):
    with cache_on(path) as cache:
        cache.put("p", Q, f"from {os.getpid()}", sources="doc")


def test_what_one_process_stores_and_drops_all_see(tmp_path):
    path = str(tmp_path / "cache.db")
    with cache_on(path) as cache:
        assert cache.get("p", Q) is None
        worker = SPAWN.Process(target=put_and_leave, args=(path,))
        worker.start()
        worker.join(60)
        assert cache.get("p", Q).payload == f"from {worker.pid}"
        with cache_on(path) as other:
            assert other.on_source_changed("doc") == 1
        assert cache.get("p", Q) is None
