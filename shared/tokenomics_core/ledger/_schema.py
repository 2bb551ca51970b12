"""The tables of a ledger file, as the ordered steps that lead to them."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

from tokenomics_core.sqlite_file import migrate

__all__ = ["APPLICATION_ID", "MIGRATIONS", "SCHEMA_VERSION", "prepare"]

APPLICATION_ID = 0x746B6E6C
"""Marks a SQLite file as a ledger of this package ("tknl")."""


_KEPT = (
    "seq, id, at_us, model, provider, user, feature, project, conversation, run, tags, "
    "source, operation, outcome, cost_pico, price_source, avoided_pico, avoided_by, "
    "estimated, latency_s, notes, content"
)


def _create(connection: sqlite3.Connection) -> None:
    connection.execute(
        """
        CREATE TABLE records (
            seq INTEGER PRIMARY KEY,
            id TEXT NOT NULL UNIQUE,
            at_us INTEGER NOT NULL,
            model TEXT NOT NULL,
            provider TEXT,
            user TEXT,
            feature TEXT,
            project TEXT,
            conversation TEXT,
            run TEXT,
            tags TEXT,
            source TEXT NOT NULL,
            operation TEXT NOT NULL,
            outcome TEXT NOT NULL,
            cost_pico INTEGER,
            price_source TEXT NOT NULL,
            avoided_pico INTEGER,
            avoided_by TEXT,
            usage TEXT NOT NULL,
            estimated INTEGER NOT NULL,
            latency_s REAL,
            notes TEXT,
            content TEXT
        )
        """
    )
    connection.execute("CREATE INDEX records_at ON records (at_us)")


def _give_counts_columns(connection: sqlite3.Connection) -> None:
    """Take the counts that are summed out of the usage's JSON, so that sums parse none."""
    connection.execute("ALTER TABLE records RENAME TO records_1")
    connection.execute("DROP INDEX records_at")
    connection.execute(
        """
        CREATE TABLE records (
            seq INTEGER PRIMARY KEY,
            id TEXT NOT NULL UNIQUE,
            at_us INTEGER NOT NULL,
            model TEXT NOT NULL,
            provider TEXT,
            user TEXT,
            feature TEXT,
            project TEXT,
            conversation TEXT,
            run TEXT,
            tags TEXT,
            source TEXT NOT NULL,
            operation TEXT NOT NULL,
            outcome TEXT NOT NULL,
            cost_pico INTEGER,
            price_source TEXT NOT NULL,
            avoided_pico INTEGER,
            avoided_by TEXT,
            input_tokens INTEGER,
            cache_read_tokens INTEGER,
            cache_write_tokens INTEGER,
            output_tokens INTEGER,
            reasoning_tokens INTEGER,
            usage_rest TEXT,
            estimated INTEGER NOT NULL,
            latency_s REAL,
            notes TEXT,
            content TEXT
        )
        """
    )
    counts = ("input_tokens", "cache_read_tokens", "cache_write_tokens", "output_tokens", "reasoning_tokens")
    taken = ", ".join(f"json_extract(usage, '$.{name}')" for name in counts)
    rest = ", ".join(f"'$.{name}'" for name in counts)
    connection.execute(
        f"INSERT INTO records ({_KEPT}, {', '.join(counts)}, usage_rest) "  # noqa: S608 - constants only
        f"SELECT {_KEPT}, {taken}, nullif(json_remove(usage, {rest}), '{{}}') FROM records_1 ORDER BY seq"
    )
    connection.execute("DROP TABLE records_1")
    connection.execute("CREATE INDEX records_at ON records (at_us)")
    connection.execute("CREATE INDEX records_user ON records (user) WHERE user IS NOT NULL")


MIGRATIONS: tuple[Callable[[sqlite3.Connection], None], ...] = (_create, _give_counts_columns)
"""The step at position n leads from version n to n + 1; a released step is never edited."""

SCHEMA_VERSION = len(MIGRATIONS)


def prepare(connection: sqlite3.Connection) -> None:
    """Bring a database to the present schema; see `sqlite_file.migrate`."""
    migrate(connection, APPLICATION_ID, MIGRATIONS, "ledger")
