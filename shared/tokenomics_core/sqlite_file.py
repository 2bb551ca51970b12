"""A SQLite file that several threads and processes write to."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from tokenomics_core.errors import StoreError

__all__ = ["Database", "Synchronous", "UnusableFileError", "migrate"]

Synchronous = Literal["normal", "full"]

_RETRY_S = 0.01
_open_databases: weakref.WeakSet[Database] = weakref.WeakSet()
_registry_lock = threading.Lock()
_held_over_fork: list[Database] = []


class UnusableFileError(Exception):
    """A file is a sound database, but not one that may be written here."""


class Database:
    """Two connections to one file, opened when needed: one writes, one reads, each under a lock.

    Readers do not hold up writers. Before a fork both are closed, and parent and child open their own:
    SQLite forbids to carry one over. `on_child` is called in the child.

    Args:
        path: Absolute.
        prepare: Creates or migrates the tables over a fresh connection; raises `UnusableFileError` for a file
            that it must not touch.
        busy_timeout_s: How long to wait for other processes.
        synchronous: SQLite's setting of that name.
    """

    def __init__(
        self,
        path: str,
        prepare: Callable[[sqlite3.Connection], None],
        *,
        busy_timeout_s: float,
        synchronous: Synchronous,
    ) -> None:
        self.path, self._prepare = path, prepare
        self._busy_timeout_s, self._synchronous = busy_timeout_s, synchronous
        self._write_lock, self._read_lock = threading.RLock(), threading.RLock()
        self._writer: sqlite3.Connection | None = None
        self._reader: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None
        self._is_closed = False
        self.on_child: Callable[[], None] | None = None
        with _registry_lock:
            _open_databases.add(self)

    @contextmanager
    def writing(self, not_done: str) -> Iterator[sqlite3.Connection]:
        """Lend the writing connection; `not_done` says what a failure leaves undone."""
        with self._write_lock, self._explaining(not_done):
            yield self._open_writer(not_done)

    @contextmanager
    def changing(self, not_done: str) -> Iterator[sqlite3.Connection]:
        """Lend the writing connection for one transaction, all or nothing."""
        with self.writing(not_done) as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Lend the reading connection."""
        not_done = "nothing was read"
        with self._read_lock, self._explaining(not_done):
            self._check_usable(not_done)
            if self._reader is None:
                self._reader = self._connect(mode="rw")
                self._reader.execute("PRAGMA query_only = ON")
            yield self._reader

    def close(self) -> None:
        """Close both connections; what was committed is safe."""
        with self._write_lock, self._read_lock:
            self._is_closed = True
            self._disconnect()

    @property
    def is_replaced(self) -> bool:
        """Whether the file that is open is no longer the one of its name: it was deleted or moved."""
        return self._writer is not None and self._identity() != self._file

    def _open_writer(self, not_done: str) -> sqlite3.Connection:
        self._check_usable(not_done)
        if self._writer is None:
            connection = self._connect(mode="rwc")
            try:
                self._prepare(connection)
                self._enter_wal_mode(connection)
                connection.execute(f"PRAGMA synchronous = {self._synchronous}")
                connection.execute("PRAGMA secure_delete = ON")
            except BaseException:
                connection.close()
                raise
            self._writer, self._file = connection, self._identity()
        return self._writer

    def _connect(self, *, mode: str) -> sqlite3.Connection:
        # Autocommit, so that one INSERT is one transaction; the locks here replace the check of threads.
        return sqlite3.connect(
            f"{Path(self.path).as_uri()}?mode={mode}",
            uri=True,
            timeout=self._busy_timeout_s,
            isolation_level=None,
            check_same_thread=False,
        )

    def _enter_wal_mode(self, connection: sqlite3.Connection) -> None:
        deadline = time.monotonic() + self._busy_timeout_s
        while True:  # SQLite does not wait by itself while another process changes the mode
            try:
                connection.execute("PRAGMA journal_mode = WAL")
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                    raise
                time.sleep(_RETRY_S)
            else:
                return

    def _check_usable(self, not_done: str) -> None:
        if self._is_closed:
            raise StoreError(self.path, f"is closed; {not_done}")
        if self.is_replaced:
            raise StoreError(self.path, f"was deleted or replaced while in use; {not_done}")

    def _identity(self) -> tuple[int, int] | None:
        try:
            status = os.stat(self.path)  # noqa: PTH116 - on the path of every call, and Path takes as long again
        except FileNotFoundError:
            return None
        return status.st_dev, status.st_ino

    @contextmanager
    def _explaining(self, not_done: str) -> Iterator[None]:
        try:
            yield
        except UnusableFileError as error:
            raise StoreError(self.path, f"{error}; it was left as it is, and {not_done}") from error
        except sqlite3.Error as error:
            raise StoreError(self.path, f"{self._reason(error)}; {not_done}") from error

    def _reason(self, error: sqlite3.Error) -> str:
        code = (
            getattr(error, "sqlite_errorcode", 0) & 0xFF
        )  # the rest of the bits say the same in more detail
        if code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
            return f"was locked by another process for more than {self._busy_timeout_s} s"
        if code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}:
            return f"is damaged or no SQLite database ({error})"
        if code == sqlite3.SQLITE_CANTOPEN and not Path(self.path).parent.is_dir():
            return f"could not be opened: there is no directory {Path(self.path).parent}"
        return f"failed ({error})"

    def _disconnect(self) -> None:
        for connection in (self._reader, self._writer):
            if connection is not None:
                connection.close()
        self._reader = self._writer = self._file = None

    def _before_fork(self) -> None:
        self._write_lock.acquire()
        self._read_lock.acquire()
        self._disconnect()

    def _after_fork(self) -> None:
        self._read_lock.release()
        self._write_lock.release()


def migrate(
    connection: sqlite3.Connection,
    application_id: int,
    migrations: Sequence[Callable[[sqlite3.Connection], None]],
    kind: str,
) -> None:
    """Bring a database to the present schema in one transaction; a present one is only looked at.

    Args:
        connection: In autocommit mode.
        application_id: Marks files of this kind.
        migrations: The step at position n leads from version n to n + 1.
        kind: What such a file is called.

    Raises:
        UnusableFileError: The file is of another kind, or of a newer version; it was not changed.
    """
    connection.execute("BEGIN")  # what is looked at together must be of one moment: others may be at it too
    try:
        version = _version(connection, application_id, len(migrations), kind)
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
    if version == len(migrations):
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        # Looked at again: another process may have come first.
        for step in migrations[_version(connection, application_id, len(migrations), kind) :]:
            step(connection)
        connection.execute(f"PRAGMA application_id = {application_id}")
        connection.execute(f"PRAGMA user_version = {len(migrations)}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _version(connection: sqlite3.Connection, application_id: int, newest: int, kind: str) -> int:
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    application = int(connection.execute("PRAGMA application_id").fetchone()[0])
    is_empty = not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if application != application_id and not (application == 0 and version == 0 and is_empty):
        raise UnusableFileError(f"is a SQLite database, but no {kind}")
    if version > newest:
        raise UnusableFileError(
            f"has schema version {version}, and this release knows versions up to {newest}: "
            "install a newer token-economics"
        )
    return version


def _before_fork() -> None:
    _registry_lock.acquire()
    _held_over_fork.extend(_open_databases)
    for database in _held_over_fork:
        database._before_fork()  # noqa: SLF001 - this module's own


def _after_fork() -> None:
    for database in _held_over_fork:
        database._after_fork()  # noqa: SLF001 - this module's own
    _held_over_fork.clear()
    _registry_lock.release()


def _after_fork_in_child() -> None:
    for database in _held_over_fork:
        if database.on_child is not None:
            database.on_child()
    _after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork_in_child)
