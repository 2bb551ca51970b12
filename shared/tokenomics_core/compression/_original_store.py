"""Where the originals of compressed documents are kept, so that what was cut can be asked for."""

from __future__ import annotations

import json
import os
import sqlite3
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from hashlib import blake2b
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Protocol, Self, runtime_checkable

from tokenomics_core.compression._document import Document
from tokenomics_core.errors import ConfigurationError
from tokenomics_core.sqlite_file import Database, migrate

__all__ = ["MemoryOriginalStore", "OriginalStore", "SQLiteOriginalStore", "restore_original", "restore_tool"]

_APPLICATION_ID: Final = 0x746B6E6F
"""Marks a SQLite file as a store of originals of this package ("tkno")."""

_TOOL_NAME: Final = "restore_original"


@runtime_checkable
class OriginalStore(Protocol):
    """Keeps documents by handle."""

    def put(self, document: Document) -> str:
        """Keep a document and return its handle; equal documents have the same one."""

    def get(self, handle: str) -> Document | None:
        """Return the document, or None where it is not kept (any more)."""


class MemoryOriginalStore:
    """Keeps originals in this process; any number of threads may use it.

    Args:
        max_entries: Most documents kept; the longest unused leave first.
    """

    def __init__(self, *, max_entries: int = 10_000) -> None:
        self._max_entries = _checked_size(max_entries)
        self._kept: OrderedDict[str, Document] = OrderedDict()
        self._lock = threading.Lock()

    def put(self, document: Document) -> str:
        """Keep a document and return its handle; equal documents have the same one."""
        handle = handle_of(document)
        with self._lock:
            self._kept[handle] = document
            self._kept.move_to_end(handle)
            while len(self._kept) > self._max_entries:
                self._kept.popitem(last=False)
        return handle

    def get(self, handle: str) -> Document | None:
        """Return the document, or None where it is not kept (any more)."""
        with self._lock:
            document = self._kept.get(handle)
            if document is not None:
                self._kept.move_to_end(handle)
        return document

    def __len__(self) -> int:
        return len(self._kept)


class SQLiteOriginalStore:
    """Keeps originals in a file that any number of threads and processes share.

    Metadata is kept as JSON; what JSON cannot say comes back as text.

    Args:
        path: The file; it is created where there is none.
        max_entries: Most documents kept; those put longest ago leave first.
        clock: Seconds since the epoch.
        busy_timeout_s: How long to wait for other processes.

    Raises:
        StoreError: From every method, where the file cannot be used.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        max_entries: int = 100_000,
        clock: Callable[[], float] = time.time,
        busy_timeout_s: float = 5.0,
    ) -> None:
        self._max_entries, self._clock = _checked_size(max_entries), clock
        self._database = Database(
            str(Path(path).absolute()), _prepare, busy_timeout_s=busy_timeout_s, synchronous="normal"
        )

    def put(self, document: Document) -> str:
        """Keep a document and return its handle; equal documents have the same one."""
        handle = handle_of(document)
        row = (handle, document.id, document.text, _as_json(document.metadata), document.title, self._clock())
        with self._database.changing("the original was not kept") as connection:
            connection.execute(
                "INSERT INTO originals (handle, id, text, metadata, title, put_at) VALUES (?, ?, ?, ?, ?, ?) "
                "ON CONFLICT (handle) DO UPDATE SET put_at = excluded.put_at",
                row,
            )
            connection.execute(
                "DELETE FROM originals WHERE seq <= (SELECT seq FROM originals ORDER BY put_at DESC, "
                "seq DESC LIMIT 1 OFFSET ?) AND (SELECT COUNT(*) FROM originals) > ?",
                (self._max_entries, self._max_entries),
            )
        return handle

    def get(self, handle: str) -> Document | None:
        """Return the document, or None where it is not kept (any more)."""
        with self._database.writing("nothing was read"):
            pass  # creates the tables of a new file, so that reading finds them
        with self._database.reading() as connection:
            row = connection.execute(
                "SELECT id, text, metadata, title FROM originals WHERE handle = ?", (handle,)
            ).fetchone()
        return None if row is None else Document(row[0], row[1], json.loads(row[2]), row[3])

    def __len__(self) -> int:
        with self._database.writing("nothing was counted"):
            pass
        with self._database.reading() as connection:
            return int(connection.execute("SELECT COUNT(*) FROM originals").fetchone()[0])

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def handle_of(document: Document) -> str:
    """Name a document by its content; equal documents have equal handles."""
    said = "\0".join((document.id, document.title or "", _as_json(document.metadata), document.text))
    return blake2b(said.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def restore_tool() -> dict[str, Any]:
    """Describe, as an OpenAI function, the tool by which an agent asks for what was cut."""
    return {
        "type": "function",
        "function": {
            "name": _TOOL_NAME,
            "description": (
                "Return the full text of a document that was shortened in the context. Use it when the kept "
                "passages do not answer the question. Each shortened document is named by its handle."
            ),
            "parameters": {
                "type": "object",
                "properties": {
                    "handle": {"type": "string", "description": "The handle of the shortened document."},
                    "start": {
                        "type": "integer",
                        "description": "Where to begin, in characters; 0 for the beginning.",
                    },
                    "max_characters": {"type": "integer", "description": "The most characters to return."},
                },
                "required": ["handle"],
            },
        },
    }


def restore_original(store: OriginalStore, arguments: Mapping[str, Any]) -> str:
    """Answer a call of the tool that `restore_tool` describes; what is wrong with it is said in words."""
    handle, start, most = arguments.get("handle"), arguments.get("start", 0), arguments.get("max_characters")
    if not isinstance(handle, str):
        return "Nothing was returned: `handle` must be the handle of a shortened document."
    if not _is_count(start) or not (most is None or _is_count(most)):
        return "Nothing was returned: `start` and `max_characters` must be whole numbers of 0 or more."
    document = store.get(handle.strip())
    if document is None:
        return f"Nothing was returned: no document is kept under the handle {handle.strip()[:64]!r}."
    end = len(document.text) if most is None else min(start + most, len(document.text))
    rest = len(document.text) - end
    more = f"\n[{rest} more characters: call again with start={end}]" if rest > 0 else ""
    return document.text[start:end] + more


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _checked_size(max_entries: int) -> int:
    if isinstance(max_entries, bool) or not isinstance(max_entries, int) or max_entries < 1:
        raise ConfigurationError(f"max_entries must be a whole number of 1 or more, not {max_entries!r}")
    return max_entries


def _as_json(metadata: Mapping[str, Any]) -> str:
    return json.dumps(dict(metadata), sort_keys=True, default=str, ensure_ascii=True)


def _create(connection: sqlite3.Connection) -> None:
    connection.execute(
        "CREATE TABLE originals (seq INTEGER PRIMARY KEY, handle TEXT NOT NULL UNIQUE, id TEXT NOT NULL, "
        "text TEXT NOT NULL, metadata TEXT NOT NULL, title TEXT, put_at REAL NOT NULL)"
    )
    connection.execute("CREATE INDEX originals_put ON originals (put_at)")


def _prepare(connection: sqlite3.Connection) -> None:
    migrate(connection, _APPLICATION_ID, (_create,), "store of originals")
