"""The tables of a ledger in PostgreSQL, as the ordered steps that lead to them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from tokenomics_core.errors import ConfigurationError, StoreError
from tokenomics_core.postgres_link import Ask, Work

__all__ = ["MIGRATIONS", "prepared"]

_LOCK: Final = 0x746B6E6C


def _create(schema: str) -> str:
    return f"""
    CREATE TABLE {schema}.records (
        seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        id text NOT NULL UNIQUE,
        at_us bigint NOT NULL,
        model text NOT NULL,
        provider text,
        "user" text,
        feature text,
        project text,
        conversation text,
        run text,
        tags json,
        source text NOT NULL,
        operation text NOT NULL,
        outcome text NOT NULL,
        cost_pico bigint,
        price_source text NOT NULL,
        avoided_pico bigint,
        avoided_by text,
        input_tokens bigint,
        cache_read_tokens bigint,
        cache_write_tokens bigint,
        output_tokens bigint,
        reasoning_tokens bigint,
        usage_rest text,
        estimated boolean NOT NULL,
        latency_s float8,
        notes text,
        content text
    );
    CREATE INDEX records_at ON {schema}.records (at_us, seq);
    CREATE INDEX records_user ON {schema}.records ("user") WHERE "user" IS NOT NULL;
    """


MIGRATIONS: Final[tuple[Callable[[str], str], ...]] = (_create,)
"""The step at position n leads from version n to n + 1; a released step is never edited."""


def prepared(schema: str, name: str, steps: Sequence[Callable[[str], str]] = MIGRATIONS) -> Work[None]:
    """Bring a schema to the present tables; any number of processes may do so at once.

    Raises:
        ConfigurationError: The schema holds something else; it is left as it is.
        StoreError: The tables are of a newer release; likewise.
    """
    version = yield from _version(schema, name, len(steps))
    if version == len(steps):
        return
    yield Ask("BEGIN", None)
    try:
        yield Ask("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        yield Ask("SET LOCAL statement_timeout = 0; SET LOCAL client_min_messages = warning", None)
        version = yield from _version(schema, name, len(steps))  # another process may have come first
        if version == 0:
            yield Ask(f"CREATE SCHEMA IF NOT EXISTS {schema}", None)
            yield Ask(f"CREATE TABLE IF NOT EXISTS {schema}.ledger_version (version int NOT NULL)", None)
        for step in steps[version:]:
            yield Ask(step(schema), None)
        yield Ask(f"DELETE FROM {schema}.ledger_version", None)  # noqa: S608 - a checked name
        yield Ask(f"INSERT INTO {schema}.ledger_version VALUES (%s)", (len(steps),))  # noqa: S608 - likewise
    except BaseException:
        yield Ask("ROLLBACK", None)
        raise
    yield Ask("COMMIT", None)


def _version(schema: str, name: str, newest: int) -> Work[int]:
    """Return the version of the tables that are there, 0 for none."""
    # One question: between two of them, or from a memory of names, another process's tables could come up.
    present = yield Ask(
        "SELECT relname::text FROM pg_class WHERE relkind IN ('r', 'p', 'v', 'm', 'f') "
        "AND relnamespace IN (SELECT oid FROM pg_namespace WHERE nspname = %s) ORDER BY relname",
        (schema,),
    )
    names = [row[0] for row in present.rows]
    if "ledger_version" not in names:
        if names:
            raise ConfigurationError(
                f"{name}: the schema {schema!r} holds {names[0]!r} and is no ledger; nothing was changed"
            )
        return 0
    found = yield Ask(f"SELECT version FROM {schema}.ledger_version")  # noqa: S608 - a checked name
    version = int(found.rows[0][0]) if found.rows else 0
    if version > newest:
        raise StoreError(
            name,
            f"schema {schema} has version {version}, and this release knows versions up to "
            f"{newest}: install a newer token-economics; it was left as it is",
        )
    return version
