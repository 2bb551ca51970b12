"""Vectors by digest in a SQLite file."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tokenomics_core.sqlite_file import Database, migrate

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float32]

__all__ = ["VectorFile"]

_APPLICATION_ID: Final = 0x746B6E65
"""Marks a SQLite file as an embedding cache of this package ("tkne")."""

_AT_ONCE: Final = 500


class VectorFile:
    """Any number of threads and processes read and write it; a row of another length counts as absent.

    Raises:
        StoreError: From every method, where the file cannot be used.
    """

    def __init__(self, path: Path, *, busy_timeout_s: float = 5.0) -> None:
        self._path = path.absolute()
        self._database = Database(
            str(self._path), _prepare, busy_timeout_s=busy_timeout_s, synchronous="normal"
        )

    def read(self, keys: Sequence[bytes], dimension: int) -> dict[bytes, Vector]:
        """Return the vectors that are there; nothing is created, and no writer is waited for."""
        import numpy as np  # noqa: PLC0415 - importing the package must not load numpy

        found: dict[bytes, Vector] = {}
        if not self._path.exists():
            return found
        with self._database.reading() as connection:
            if _is_blank(connection):
                return found
            _prepare(connection)  # a present file is only looked at
            for start in range(0, len(keys), _AT_ONCE):
                some = list(keys[start : start + _AT_ONCE])
                marks = ",".join("?" * len(some))
                rows = connection.execute(
                    f"SELECT key, vector FROM vectors WHERE key IN ({marks})",  # noqa: S608 - question marks
                    some,
                )
                for key, data in rows:
                    if isinstance(data, bytes) and len(data) == 2 * dimension:
                        vector = np.frombuffer(data, "<f2").astype(np.float32)
                        length = float(np.sqrt(vector @ vector))
                        if 0.9 < length < 1.1:  # false for what is no number
                            found[key] = vector / np.float32(length)
        return found

    def write(self, vectors: Mapping[bytes, Vector]) -> None:
        """Keep vectors."""
        rows = [(key, vector.astype("<f2").tobytes()) for key, vector in vectors.items()]
        with self._database.changing("vectors were not kept") as connection:
            connection.executemany("INSERT OR REPLACE INTO vectors (key, vector) VALUES (?, ?)", rows)

    def close(self) -> None:
        """Close the file."""
        self._database.close()


def _create(connection: sqlite3.Connection) -> None:
    connection.execute("CREATE TABLE vectors (key BLOB PRIMARY KEY, vector BLOB NOT NULL) WITHOUT ROWID")


def _is_blank(connection: sqlite3.Connection) -> bool:
    """Whether another process has made the file and no table in it yet."""
    if connection.execute("PRAGMA application_id").fetchone() != (0,):
        return False
    return connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone() is None


def _prepare(connection: sqlite3.Connection) -> None:
    migrate(connection, _APPLICATION_ID, (_create,), "embedding cache")
