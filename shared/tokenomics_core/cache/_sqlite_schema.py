"""The tables of a cache file, as the ordered steps that lead to them."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Final

from tokenomics_core.sqlite_file import migrate

__all__ = ["APPLICATION_ID", "COLUMNS", "prepare"]

APPLICATION_ID: Final = 0x746B6E63
"""Marks a SQLite file as a response cache of this package ("tknc")."""

COLUMNS: Final = (
    "id, partition, key, question, payload, is_text, answer, grp, created_at, expires_at, stale_until, "
    "model, tenant, sources, tags, version, usage, cost_nano_usd, digest"
)
"""What an entry is read back from."""


def _create(connection: sqlite3.Connection) -> None:
    connection.execute("CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID")
    connection.execute(
        """
        CREATE TABLE entries (
            seq INTEGER PRIMARY KEY,
            id TEXT NOT NULL UNIQUE,
            partition TEXT NOT NULL,
            key TEXT NOT NULL,
            question TEXT NOT NULL,
            normal TEXT NOT NULL,
            payload BLOB NOT NULL,
            is_text INTEGER NOT NULL,
            answer TEXT,
            grp TEXT NOT NULL,
            created_at REAL NOT NULL,
            expires_at REAL,
            stale_until REAL,
            dies_at REAL NOT NULL,
            model TEXT,
            tenant TEXT,
            sources TEXT,
            tags TEXT,
            version TEXT,
            usage TEXT,
            cost_nano_usd INTEGER,
            digest BLOB NOT NULL,
            vector BLOB,
            bytes INTEGER NOT NULL,
            uses INTEGER NOT NULL DEFAULT 0,
            used_at REAL NOT NULL,
            UNIQUE (partition, key)
        )
        """
    )
    for column in ("model", "tenant", "version"):
        connection.execute(f"CREATE INDEX entries_{column} ON entries ({column}) WHERE {column} IS NOT NULL")
    connection.execute("CREATE INDEX entries_used ON entries (used_at)")
    connection.execute("CREATE INDEX entries_dies ON entries (dies_at)")
    connection.execute(
        "CREATE TABLE labels (kind TEXT NOT NULL, name TEXT NOT NULL, seq INTEGER NOT NULL, "
        "PRIMARY KEY (kind, name, seq)) WITHOUT ROWID"
    )
    connection.execute("CREATE INDEX labels_seq ON labels (seq)")
    connection.execute(
        "CREATE TABLE changes (number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL, "
        "partition TEXT NOT NULL, is_gone INTEGER NOT NULL)"
    )
    connection.execute(
        "CREATE TABLE claims (name TEXT PRIMARY KEY, owner TEXT NOT NULL, until REAL NOT NULL)"
    )
    connection.execute("CREATE TABLE states (name TEXT PRIMARY KEY, data BLOB NOT NULL)")
    connection.execute("CREATE TABLE totals (entries INTEGER NOT NULL, bytes INTEGER NOT NULL)")
    connection.execute("INSERT INTO totals VALUES (0, 0)")
    connection.execute(
        """
        CREATE TRIGGER entries_gone AFTER DELETE ON entries BEGIN
            DELETE FROM labels WHERE seq = old.seq;
            INSERT INTO changes (id, partition, is_gone) VALUES (old.id, old.partition, 1);
            UPDATE totals SET entries = entries - 1, bytes = bytes - old.bytes;
        END
        """
    )
    connection.execute(
        """
        CREATE TRIGGER entries_come AFTER INSERT ON entries BEGIN
            INSERT INTO changes (id, partition, is_gone) VALUES (new.id, new.partition, 0);
            UPDATE totals SET entries = entries + 1, bytes = bytes + new.bytes;
        END
        """
    )


_MIGRATIONS: tuple[Callable[[sqlite3.Connection], None], ...] = (_create,)


def prepare(connection: sqlite3.Connection) -> None:
    """Bring a database to the present schema; see `sqlite_file.migrate`."""
    migrate(connection, APPLICATION_ID, _MIGRATIONS, "response cache")
