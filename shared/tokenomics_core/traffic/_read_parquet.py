"""Read Parquet files through DuckDB, a batch of rows at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tokenomics_core.errors import MissingExtraError, StoreError

__all__ = ["count_parquet_rows", "parquet_rows"]

_BATCH = 1024
_MEMORY = "512MB"


def parquet_rows(
    name: str, path: str, *, start: int = 0, stop: int | None = None
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the rows from `start` to before `stop`; what is null is left out.

    Raises:
        MissingExtraError: DuckDB is not installed.
        StoreError: The file is damaged.
    """
    duckdb = _duckdb()
    connection = duckdb.connect(config={"memory_limit": _MEMORY, "threads": 2})
    try:
        told = connection.execute("DESCRIBE SELECT * FROM read_parquet(?)", [path]).fetchall()
        names = [column[0] for column in told]
        # A time with a zone would need pytz to come out of DuckDB; its microseconds since 1970 do not.
        columns = ", ".join(
            f"epoch_us({_quoted(column)})" if kind == "TIMESTAMP WITH TIME ZONE" else _quoted(column)
            for column, kind, *_ in told
        )
        last = "" if stop is None else f" AND file_row_number < {int(stop)}"
        cursor = connection.execute(
            f"SELECT file_row_number, {columns} FROM read_parquet(?, file_row_number = true) "  # noqa: S608 - names are quoted
            f"WHERE file_row_number >= {int(start)}{last}",
            [path],
        )
        while batch := cursor.fetchmany(_BATCH):
            for number, *values in batch:
                row = {
                    key: value
                    for key, value in zip(names, values, strict=True)
                    if value is not None and not (type(value) is float and value != value)  # noqa: PLR0124 - NaN
                }
                yield f"{name} row {number + 1}", row
    except duckdb.Error as error:
        raise StoreError(name, f"could not be read as Parquet: {error}; the rest was not read") from error
    finally:
        connection.close()


def count_parquet_rows(path: str) -> int:
    """Return how many rows a file has, from its footer.

    Raises:
        MissingExtraError: DuckDB is not installed.
        StoreError: The file is damaged.
    """
    duckdb = _duckdb()
    connection = duckdb.connect()
    try:
        return int(connection.execute("SELECT count(*) FROM read_parquet(?)", [path]).fetchone()[0])
    except duckdb.Error as error:
        raise StoreError(path, f"could not be read as Parquet: {error}; nothing was read of it") from error
    finally:
        connection.close()


def _duckdb() -> Any:
    try:
        import duckdb  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise MissingExtraError("duckdb", "traffic") from error
    return duckdb


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
