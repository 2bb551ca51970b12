from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

from tokenomics_core.budgets import MemoryBudgetStore, SQLiteBudgetStore

START_S = 1_763_730_000.0
"""2025-11-21 13:00 UTC, away from any end of a window."""


class Clock:
    """A clock that only tests move."""

    def __init__(self) -> None:
        self.now_s = START_S

    def __call__(self) -> float:
        return self.now_s

    def pass_s(self, seconds: float) -> None:
        self.now_s += seconds


class RedisServer:
    """A redis-server of our own on a socket file, that can be killed and started again."""

    def __init__(self, program: str, folder: Path, *options: str) -> None:
        self._command = [
            program,
            "--port",
            "0",
            "--unixsocket",
            str(folder / "redis.sock"),
            "--dir",
            str(folder),
        ]
        self._command += ["--save", "", *options]
        self.url = f"unix://{folder / 'redis.sock'}"
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if "ready to accept connections" in line.lower():
                return
        raise RuntimeError(f"redis-server ended with status {self._process.wait()}")

    def kill(self) -> None:
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        self._process.stdout.close()


class RedisCluster:
    """Three nodes of our own that share the slots."""

    def __init__(self, program: str, folder: Path) -> None:
        self._nodes = [self._start(program, folder / str(index)) for index in range(3)]
        self._join()
        self.url = f"redis://127.0.0.1:{self._nodes[0][1]}"

    def _start(self, program: str, folder: Path) -> tuple[subprocess.Popen, int]:
        folder.mkdir()
        for _ in range(20):
            port = _free_port()
            command = [
                program,
                "--port",
                str(port),
                "--bind",
                "127.0.0.1",
                "--dir",
                str(folder),
                "--save",
                "",
            ]
            process = subprocess.Popen(
                [*command, "--cluster-enabled", "yes"], stdout=subprocess.PIPE, text=True
            )
            for line in process.stdout:
                if "ready to accept connections" in line.lower():
                    return process, port
            process.wait()
        raise RuntimeError("no node of a cluster could be started")

    def _join(self) -> None:
        import redis

        clients = [redis.Redis(port=port) for _, port in self._nodes]
        for index, client in enumerate(clients):
            slots = range(16384 * index // 3, 16384 * (index + 1) // 3)
            client.execute_command("CLUSTER ADDSLOTS", *slots)
            client.execute_command("CLUSTER SET-CONFIG-EPOCH", index + 1)
            client.execute_command("CLUSTER MEET", "127.0.0.1", self._nodes[0][1])
        deadline = time.monotonic() + 30
        while not all(_knows_three_nodes(client) for client in clients):
            assert time.monotonic() < deadline, "the nodes do not find each other"
        for client in clients:
            client.close()

    def kill(self) -> None:
        for process, _ in self._nodes:
            process.kill()
            process.wait()
            process.stdout.close()


def _knows_three_nodes(client) -> bool:
    state = client.execute_command("CLUSTER INFO")
    state = (
        state
        if isinstance(state, dict)
        else dict(line.split(":") for line in state.decode().split("\r\n") if line)
    )
    nodes = client.execute_command("CLUSTER SLOTS")
    return state["cluster_state"] == "ok" and len(nodes) == 3


def _free_port() -> int:
    # Nodes talk on a second port, 10,000 above the first.
    while True:
        with socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", 0))
            port = first.getsockname()[1]
            if port + 10_000 > 65_535:
                continue
            try:
                second.bind(("127.0.0.1", port + 10_000))
            except OSError:
                continue
            return port


def redis_program() -> str:
    """Return the server to start: the one that the environment names, or the first on the PATH."""
    named = os.environ.get("TOKENOMICS_REDIS_SERVER")
    program = shutil.which(named or "redis-server") or (None if named else shutil.which("valkey-server"))
    if named and program is None:
        pytest.fail(f"TOKENOMICS_REDIS_SERVER is {named!r}, which is no program")
    try:
        import redis  # noqa: F401 - whether it is there
    except ImportError:
        program = None
    if program is None:
        if os.environ.get("CI") == "true":
            pytest.fail("redis-server and the extra `redis` are needed under CI=true")
        pytest.skip("redis-server or the extra `redis` is missing: install them to run this test")
    return program


@pytest.fixture(scope="session")
def redis_server():
    # Not tmp_path: the path of a socket may have at most 107 characters.
    with tempfile.TemporaryDirectory() as folder:
        server = RedisServer(redis_program(), Path(folder))
        yield server
        server.kill()


@pytest.fixture(scope="session")
def redis_cluster():
    with tempfile.TemporaryDirectory() as folder:
        cluster = RedisCluster(redis_program(), Path(folder))
        yield cluster
        cluster.kill()


@pytest.fixture
def durable_redis():
    with tempfile.TemporaryDirectory() as folder:
        server = RedisServer(redis_program(), Path(folder), "--appendonly", "yes", "--appendfsync", "always")
        yield server
        server.kill()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture(params=["memory", "sqlite", "redis", "redis cluster"])
def make_store(request, tmp_path):
    """Make a store of each kind that starts empty; without a clock it goes by its own time."""
    made = []

    def make(clock=None):
        name = f"{request.node.name}-{len(made)}"
        options = {} if clock is None else {"clock": clock}
        if request.param == "memory":
            return MemoryBudgetStore(**options)
        if request.param == "sqlite":
            store = SQLiteBudgetStore(tmp_path / f"{len(made)}.db", **options)
        else:
            is_cluster = request.param == "redis cluster"
            url = request.getfixturevalue("redis_cluster" if is_cluster else "redis_server").url
            from tokenomics_core.budgets import RedisBudgetStore

            store = RedisBudgetStore(url, namespace=name, cluster=is_cluster, **options)
        made.append(store)
        return store

    yield make
    for store in made:
        store.close()


@pytest.fixture
def store(make_store, clock):
    return make_store(clock)
