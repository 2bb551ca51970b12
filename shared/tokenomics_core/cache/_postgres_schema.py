"""The tables of a cache in PostgreSQL, as the ordered steps that lead to them."""

from __future__ import annotations

import re
from collections.abc import Callable
from hashlib import blake2b
from typing import Final

from tokenomics_core.errors import ConfigurationError, StoreError
from tokenomics_core.postgres_link import Ask, Work

__all__ = [
    "BUCKETS",
    "COLUMNS",
    "MOST_DIMENSIONS",
    "SETTINGS",
    "bucket_of",
    "index_vectors",
    "prepared",
]

COLUMNS: Final = (
    "id, partition, key, question, payload, is_text, answer, grp, created_at, expires_at, stale_until, "
    "model, tenant, sources, tags, version, usage, cost_nano_usd, digest"
)
"""What an entry is read back from, in the order of the codec's rows."""

BUCKETS: Final = 16
"""How many graphs partitions are spread over: a search passes by a sixteenth of the others' entries."""

MOST_DIMENSIONS: Final = 4_000
"""pgvector's graph takes no longer ones in half precision; they are compared one by one."""

SETTINGS: Final = (
    "SET hnsw.iterative_scan = 'strict_order'; SET hnsw.ef_search = 40; SET enable_seqscan = off; "
    "SET plan_cache_mode = force_generic_plan; "
    "SET statement_timeout = {timeout_ms}"
)
"""A search goes on until it has found enough of its partition, in order of distance. Every statement fits one
index whatever its values, so it is planned once."""

_LOCK: Final = 0x746B6E63
_OLDEST_PGVECTOR: Final = (0, 8)


def bucket_of(partition: str) -> int:
    """Say which graph a partition is in."""
    return blake2b(partition.encode(), digest_size=1).digest()[0] % BUCKETS


def _create(schema: str, vectors: str) -> str:
    return f"""
    CREATE TABLE {schema}.entries (
        seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        dies_at float8 NOT NULL,
        bucket int NOT NULL,
        partition text NOT NULL,
        vector {vectors}.halfvec,
        id text NOT NULL UNIQUE,
        key text NOT NULL,
        question text NOT NULL,
        normal text NOT NULL,
        payload bytea NOT NULL,
        is_text int NOT NULL,
        answer text,
        grp text NOT NULL,
        created_at float8 NOT NULL,
        expires_at float8,
        stale_until float8,
        model text,
        tenant text,
        sources text[],
        tags text[],
        version text,
        usage text,
        cost_nano_usd bigint,
        digest bytea NOT NULL,
        UNIQUE (partition, key)
    ) WITH (fillfactor = 90);
    ALTER TABLE {schema}.entries ALTER COLUMN vector SET STORAGE MAIN;
    CREATE INDEX entries_sources ON {schema}.entries USING gin (sources) WITH (fastupdate = off);
    CREATE INDEX entries_tags ON {schema}.entries USING gin (tags) WITH (fastupdate = off);
    CREATE INDEX entries_model ON {schema}.entries (model) WHERE model IS NOT NULL;
    CREATE INDEX entries_tenant ON {schema}.entries (tenant) WHERE tenant IS NOT NULL;
    CREATE INDEX entries_version ON {schema}.entries (version) WHERE version IS NOT NULL;
    CREATE INDEX entries_dies ON {schema}.entries (dies_at) WHERE dies_at < 'infinity';
    CREATE INDEX entries_created ON {schema}.entries (created_at);
    CREATE TABLE {schema}.uses (
        seq bigint PRIMARY KEY REFERENCES {schema}.entries ON DELETE CASCADE,
        uses bigint NOT NULL DEFAULT 0,
        used_at float8 NOT NULL,
        bytes bigint NOT NULL,
        cost bigint
    ) WITH (fillfactor = 80);
    CREATE TABLE {schema}.claims (name text PRIMARY KEY, owner text NOT NULL, until float8 NOT NULL);
    CREATE TABLE {schema}.states (name text PRIMARY KEY, data bytea NOT NULL);
    """


_MIGRATIONS: Final[tuple[Callable[[str, str], str], ...]] = (_create,)


def prepared(schema: str, name: str) -> Work[tuple[int, int, str]]:
    """Bring a schema to the present tables; return the numbers of the type `halfvec` and where it lives.

    Any number of processes may do so at once.

    Raises:
        ConfigurationError: pgvector is missing or too old, or the schema holds something else.
        StoreError: The tables are of a newer release.
    """
    present = yield Ask("SELECT to_regclass(%s) IS NOT NULL", (f"{schema}.meta",))
    version = (yield from _version(schema)) if present.rows[0][0] else 0
    if version < len(_MIGRATIONS):
        yield Ask("BEGIN", None)
        try:
            yield from _migrated(schema, name)
        except BaseException:
            yield Ask("ROLLBACK", None)
            raise
        yield Ask("COMMIT", None)
    elif version > len(_MIGRATIONS):
        raise _newer(schema, name, version)
    return (yield from _vector_type(name))


def _migrated(schema: str, name: str) -> Work[None]:
    yield Ask("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
    yield Ask("SET LOCAL statement_timeout = 0; SET LOCAL client_min_messages = warning", None)
    has_vectors = yield Ask("SELECT 1 FROM pg_available_extensions WHERE name = 'vector'")
    if not has_vectors.rows:
        raise ConfigurationError(
            f"{name} needs the extension pgvector 0.8 or newer, which the server does not have; "
            "nothing was changed"
        )
    yield Ask("CREATE EXTENSION IF NOT EXISTS vector", None)
    _, _, vectors = yield from _vector_type(name)
    # One question: between two of them, or from a memory of names, another process's tables could come up.
    present = yield Ask(
        "SELECT relname::text FROM pg_class WHERE relkind IN ('r', 'p', 'v') "
        "AND relnamespace IN (SELECT oid FROM pg_namespace WHERE nspname = %s) ORDER BY relname",
        (schema,),
    )
    names = [row[0] for row in present.rows]
    if "meta" not in names:
        if names:
            raise ConfigurationError(
                f"{name}: the schema {schema!r} holds {names[0]!r} and is no response cache; "
                "nothing was changed"
            )
        yield Ask(f"CREATE SCHEMA IF NOT EXISTS {schema}", None)
        yield Ask(f"CREATE TABLE {schema}.meta (name text PRIMARY KEY, value text NOT NULL)", None)
    version = yield from _version(schema)
    if version > len(_MIGRATIONS):
        raise _newer(schema, name, version)
    for step in _MIGRATIONS[version:]:
        yield Ask(step(schema, vectors), None)
    yield Ask(
        f"INSERT INTO {schema}.meta VALUES ('version', %s) "  # noqa: S608 - a checked name
        "ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        (str(len(_MIGRATIONS)),),
    )


def _version(schema: str) -> Work[int]:
    found = yield Ask(f"SELECT value FROM {schema}.meta WHERE name = 'version'")  # noqa: S608 - a checked name
    text = found.rows[0][0] if found.rows else "0"
    return int(text) if text.isdecimal() else 0


def _vector_type(name: str) -> Work[tuple[int, int, str]]:
    found = yield Ask(
        "SELECT t.oid, t.typarray, quote_ident(n.nspname), e.extversion FROM pg_extension e "
        "JOIN pg_namespace n ON n.oid = e.extnamespace "
        "LEFT JOIN pg_type t ON t.typnamespace = n.oid AND t.typname = 'halfvec' WHERE e.extname = 'vector'"
    )
    if not found.rows:
        raise ConfigurationError(f"{name} has lost its extension pgvector; nothing was read or written")
    number, array, where, version = found.rows[0]
    if tuple(map(int, re.findall(r"\d+", version)[:2])) < _OLDEST_PGVECTOR or number is None:
        raise ConfigurationError(
            f"{name} needs pgvector 0.8 or newer, not {version}: ALTER EXTENSION vector UPDATE; "
            "nothing was changed"
        )
    return number, array, where


def _newer(schema: str, name: str, version: int) -> StoreError:
    return StoreError(
        name,
        f"schema {schema} has version {version}, and this release knows versions up to {len(_MIGRATIONS)}: "
        "install a newer token-economics; it was left as it is",
    )


def index_vectors(schema: str, vectors: str, dimension: int) -> Work[None]:
    """Make the graphs for vectors of this length anew; there are none yet."""
    for bucket in range(BUCKETS):
        yield Ask(f"DROP INDEX IF EXISTS {schema}.entries_vectors_{bucket}", None)
        if dimension <= MOST_DIMENSIONS:
            yield Ask(
                f"CREATE INDEX entries_vectors_{bucket} ON {schema}.entries USING hnsw "
                f"((vector::{vectors}.halfvec({dimension})) {vectors}.halfvec_ip_ops) "
                f"WITH (m = 16, ef_construction = 64) WHERE bucket = {bucket}",
                None,
            )
