"""Time what a budget adds to a call: reserve and settle over four scopes, on every store.

Method: one call reserves in four limits at once (user a day, feature over a rolling day, project a month,
run in tokens) and settles. Memory and SQLite: time of the pair, median and 99th percentile of 5,000 after
500 to warm up. Redis, on a server of its own: pairs alternate with two bare round trips (`incrby` of
redis-py, the client that people use), so that both see the same machine, over a socket file, over TCP, and
over TCP through a relay in a process of its own that keeps every message for 0.1 ms, as a network between
machines of one place does; the ratio is that of the medians. What the pair takes beyond the round trips does
not grow with the network, so the round trip from which on the ratio is below 1.3 follows. For comparison the
same INCRBY is written to the bare socket, which no client is faster than. Throughput: 16 processes start
together, each does 1,500 steps; a pair counts as two steps, against the same number of INCRBY; three rounds,
best of each. No randomness.
Run: python benchmarks/budget_latency.py  (Redis parts need redis-server and the extra `redis`)
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tokenomics_core import Attribution
from tokenomics_core.budgets import Budgets, BudgetStore, Limit, MemoryBudgetStore, SQLiteBudgetStore

WARM_UP, PAIRS = 500, 5000
PROCESSES, STEPS = 16, 1500
ONE_WAY_S = 0.0001
LIMITS = [
    Limit("user", usd=1_000_000, window="day"),
    Limit("feature", usd=1_000_000, window="rolling 24h"),
    Limit("project", usd=1_000_000, window="month", timezone="Europe/Berlin"),
    Limit("run", tokens=10**12),
]
WHO = Attribution(user="ada", feature="chat", project="shop", run="r1")


def one_call(store: BudgetStore) -> Callable[[], None]:
    budgets = Budgets(LIMITS, store=store)

    def call() -> None:
        reservation = budgets.reserve(WHO, usd="0.10", tokens=1200, sent=True)
        budgets.settle(reservation, usd="0.07", tokens=900)

    return call


def timed(*actions: Callable[[], object]) -> list[list[float]]:
    """Return each action's times in microseconds; the actions take turns."""
    times: list[list[float]] = [[] for _ in actions]
    for turn in range(WARM_UP + PAIRS):
        for action, into in zip(actions, times, strict=True):
            start = time.perf_counter_ns()
            action()
            if turn >= WARM_UP:
                into.append((time.perf_counter_ns() - start) / 1000)
    return times


def show(name: str, times: list[float]) -> None:
    ordered = sorted(times)
    middle, late = statistics.median(ordered), ordered[len(ordered) * 99 // 100]
    print(f"  {name:<46} p50 {middle:8.1f} us   p99 {late:9.1f} us")


def memory_and_sqlite() -> None:
    print("reserve + settle over four scopes, one thread")
    (memory,) = timed(one_call(MemoryBudgetStore()))
    show("memory", memory)
    with tempfile.TemporaryDirectory() as folder:
        store = SQLiteBudgetStore(Path(folder) / "budgets.db")
        (sqlite,) = timed(one_call(store))
        store.close()
    show("SQLite (WAL, file of its own)", sqlite)
    median = statistics.median(memory)
    print(f"  memory p50 is {median:.1f} us, {'below' if median < 25 else 'NOT below'} 25 us")


class Server:
    """A redis-server of our own that ends with the block."""

    def __init__(self, program: str) -> None:
        self._program = program

    def __enter__(self) -> tuple[str, str]:
        self._folder = tempfile.TemporaryDirectory()
        path = Path(self._folder.name) / "redis.sock"
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        command = [self._program, "--port", str(port), "--unixsocket", str(path), "--save", ""]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        next(line for line in self._process.stdout if "ready to accept connections" in line.lower())
        return f"unix://{path}", f"redis://127.0.0.1:{port}"

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        self._folder.cleanup()


def _relay(port: int, ready: Any) -> None:
    """Pass messages on to a port of this machine and back, each of them late."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        ready.send(listening.getsockname()[1])
        while True:
            near, _ = listening.accept()
            threading.Thread(target=_pass_on, args=(near, port), daemon=True).start()


def _pass_on(near: socket.socket, port: int) -> None:
    far = socket.create_connection(("127.0.0.1", port))
    for end in (near, far):
        end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    while True:  # a client asks and waits, so one message is under way at a time
        for source, target in ((near, far), (far, near)):
            message = source.recv(1 << 16)
            if not message:
                return
            time.sleep(ONE_WAY_S)
            target.sendall(message)


@contextmanager
def late(url: str) -> Iterator[str]:
    """Put a network between us and a server, as far as that goes on one machine."""
    context = multiprocessing.get_context("spawn")
    told, ready = context.Pipe(duplex=False)
    process = context.Process(target=_relay, args=(int(url.rpartition(":")[2]), ready), daemon=True)
    process.start()
    try:
        yield f"redis://127.0.0.1:{told.recv()}"
    finally:
        process.kill()
        process.join()


def _bare_socket(url: str) -> Callable[[], None]:
    if url.startswith("unix://"):
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(url.removeprefix("unix://"))
    else:
        connection = socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def two() -> None:
        for _ in range(2):
            connection.sendall(b"*3\r\n$6\r\nINCRBY\r\n$4\r\nbare\r\n$1\r\n1\r\n")
            connection.recv(1024)

    return two


def redis_latency(url: str, over: str) -> None:
    import redis

    from tokenomics_core.budgets import RedisBudgetStore

    client = redis.Redis.from_url(url)
    print(f"\nRedis {client.info()['redis_version']} over {over}, redis-py {redis.__version__}, one thread")

    def two_bare() -> None:
        client.incrby("bare", 1)
        client.incrby("bare", 1)

    client.config_resetstat()
    times = timed(one_call(RedisBudgetStore(url)), two_bare, _bare_socket(url))
    ours, bare, raw = map(statistics.median, times)
    in_server = 2 * client.info("commandstats")["cmdstat_evalsha"]["usec_per_call"]
    print(f"  reserve + settle over four scopes   p50 {ours:7.1f} us, of which in the server {in_server:.1f}")
    print(f"  two bare round trips (INCRBY)       p50 {bare:7.1f} us")
    print(f"  the same on the bare socket         p50 {raw:7.1f} us")
    beyond = ours - bare
    from_us = max(0.0, beyond / 0.6)
    print(f"  ratio {ours / bare:.2f}; {beyond:.0f} us beyond the round trips, so a ratio below 1.3 ", end="")
    print(f"from a round trip of {from_us:.0f} us on (here {bare / 2:.0f} us)")


def _pairs(address: str, kind: str) -> Callable[[], None]:
    if kind == "sqlite":
        return one_call(SQLiteBudgetStore(address, busy_timeout_s=60))
    from tokenomics_core.budgets import RedisBudgetStore

    return one_call(RedisBudgetStore(address))


def _incrby(address: str, _: str) -> Callable[[], None]:
    import redis

    client = redis.Redis.from_url(address)

    def two() -> None:
        client.incrby("bare", 1)
        client.incrby("bare", 1)

    return two


def _work(
    make: Callable[[str, str], Callable[[], None]], address: str, kind: str, start: Any, done: Any
) -> None:
    action = make(address, kind)
    action()
    start.wait()
    for _ in range(STEPS // 2):
        action()
    done.wait()


def throughput(make: Callable[[str, str], Callable[[], None]], address: str, kind: str) -> float:
    """Return steps per second of all processes together."""
    context = multiprocessing.get_context("spawn")
    start, done = context.Barrier(PROCESSES + 1), context.Barrier(PROCESSES + 1)
    workers = [
        context.Process(target=_work, args=(make, address, kind, start, done)) for _ in range(PROCESSES)
    ]
    for worker in workers:
        worker.start()
    start.wait()
    begun = time.perf_counter()
    done.wait()
    took = time.perf_counter() - begun
    for worker in workers:
        worker.join()
    return PROCESSES * STEPS / took


def main() -> None:
    print(f"Python {sys.version.split()[0]}, {os.cpu_count()} cores")
    memory_and_sqlite()
    with tempfile.TemporaryDirectory() as folder:
        steps = throughput(_pairs, str(Path(folder) / "budgets.db"), "sqlite")
    print(f"\n{PROCESSES} processes on one budget\n  SQLite                {steps:9,.0f} steps a second")
    program = shutil.which("redis-server")
    if program is None:
        print("\nSKIPPED: Redis, as there is no redis-server on the PATH")
        return
    with Server(program) as (url, tcp):
        rounds = [(throughput(_incrby, url, "redis"), throughput(_pairs, url, "redis")) for _ in range(3)]
        bare, ours = max(pair[0] for pair in rounds), max(pair[1] for pair in rounds)
        print(f"  Redis                 {ours:9,.0f} steps a second")
        print(f"  Redis, plain INCRBY   {bare:9,.0f} steps a second; ours is {ours / bare:.2f} of it")
        redis_latency(url, "a socket file")
        redis_latency(tcp, "TCP on loopback")
        with late(tcp) as relayed:
            redis_latency(relayed, "TCP through a relay")


if __name__ == "__main__":
    main()
