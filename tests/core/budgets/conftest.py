from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
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


def redis_program() -> str:
    program = shutil.which("redis-server")
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


@pytest.fixture
def durable_redis():
    with tempfile.TemporaryDirectory() as folder:
        server = RedisServer(redis_program(), Path(folder), "--appendonly", "yes", "--appendfsync", "always")
        yield server
        server.kill()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture(params=["memory", "sqlite", "redis"])
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
            url = request.getfixturevalue("redis_server").url
            from tokenomics_core.budgets import RedisBudgetStore

            store = RedisBudgetStore(url, namespace=name, **options)
        made.append(store)
        return store

    yield make
    for store in made:
        store.close()


@pytest.fixture
def store(make_store, clock):
    return make_store(clock)
