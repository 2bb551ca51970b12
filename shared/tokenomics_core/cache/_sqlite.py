"""A cache in one SQLite file, for all processes of one machine."""

from __future__ import annotations

import logging
import math
import os
import sqlite3
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

import numpy as np

from tokenomics_core.cache._codec import entry_of, from_half, from_halves, row_of, storable_entry, to_half
from tokenomics_core.cache._entry import CacheEntry, Neighbour, Selector, StoreSize
from tokenomics_core.cache._index import VectorIndex
from tokenomics_core.cache._protocols import LONGEST_LEASE_S, Eviction
from tokenomics_core.cache._select import dies_at, living, size_of
from tokenomics_core.cache._sqlite_schema import COLUMNS, prepare
from tokenomics_core.cache._text import normalised, storable, storable_name
from tokenomics_core.errors import ConfigurationError, StoreError
from tokenomics_core.sqlite_file import Database

if sys.platform != "win32":
    import fcntl

if TYPE_CHECKING:
    from tokenomics_core.cache._protocols import Vector

__all__ = ["SQLiteCacheStore"]

_T = TypeVar("_T")
_log = logging.getLogger("tokenomics")
_OPENINGS: Final = 4
_NEVER: Final = 1e300
_CHANGES_KEPT: Final = 20_000
_PARTITIONS_LOADED: Final = 10_000
_PUT: Final = (
    f"INSERT INTO entries ({COLUMNS}, normal, dies_at, vector, bytes, used_at) "  # noqa: S608 - constants only
    f"VALUES ({', '.join('?' * 24)})"
)
_BY_KEY: Final = f"SELECT {COLUMNS} FROM entries WHERE partition = ? AND key = ? AND dies_at > ?"  # noqa: S608
_BY_ID: Final = f"SELECT {COLUMNS} FROM entries WHERE id = ? AND dies_at > ?"  # noqa: S608 - likewise

# As `Use.worth` has it, step by step, so that all stores agree to the last bit.
_SAVING: Final = (
    "CAST(uses + 1 AS REAL) * coalesce(cost_nano_usd, (SELECT CAST(sum(cost_nano_usd) AS REAL) / "
    "count(cost_nano_usd) FROM entries), 1) / max(bytes, 1) / max(:now - used_at, 1.0)"
)


class _Seen(NamedTuple):
    """What of an entry a search needs."""

    question: str
    group: str
    dies_at: float


class _Partition:
    """One partition's vectors in memory."""

    def __init__(self, dimension: int) -> None:
        self.index = VectorIndex(dimension)
        self.seen: dict[str, _Seen] = {}
        self.first_death = math.inf

    def see(self, entry_id: str, question: str, group: str, dies: Any) -> None:
        """Note what a search needs of an entry."""
        if not isinstance(dies, float):  # a file takes anything
            dies = -math.inf
        self.seen[entry_id] = _Seen(question, group, dies)
        if dies < _NEVER:
            self.first_death = min(self.first_death, dies)

    def load(self, ids: list[str], halves: bytes) -> None:
        """Take vectors in half precision, one behind the other; what holds no numbers is left out."""
        rows = from_halves(halves, self.index.dimension)
        sound = np.isfinite(rows).all(axis=1)
        if not sound.all():
            for entry_id in np.array(ids, object)[~sound]:
                del self.seen[entry_id]
            ids, rows = np.array(ids, object)[sound].tolist(), rows[sound]
        self.index.load(ids, rows)


class SQLiteCacheStore:
    """Keep answers in a SQLite file that any number of threads and processes of one machine share.

    The file is the truth, in WAL mode; a partition's vectors are loaded when it is first searched and follow
    the file from then on: before every search a look at the file's version tells whether another process has
    changed anything, so what one process invalidates no other serves afterwards. Killing a process at any
    moment loses at most the entry that it was writing. Reads write nothing.

    The async methods run in one thread of the store's own, since SQLite has no other way.

    Args:
        path: The file; it is created, readable by its owner only. A damaged one is set aside under another
            name and a new one begun; the database of another program is refused.
        busy_timeout_s: How long to wait for other processes that write.

    Raises:
        ConfigurationError: The file belongs to another program, or to a newer release.
        StoreError: It cannot be opened.
    """

    def __init__(self, path: str | os.PathLike[str], *, busy_timeout_s: float = 5.0) -> None:
        if not math.isfinite(busy_timeout_s) or busy_timeout_s < 0:
            raise ConfigurationError(
                f"busy_timeout_s must be 0 or more, not {busy_timeout_s!r}; nothing was opened"
            )
        self.path = str(Path(path).absolute())
        self._busy_timeout_s = busy_timeout_s
        self._lock = threading.RLock()
        self._thread: ThreadPoolExecutor | None = None
        self._partitions: OrderedDict[str, _Partition] = OrderedDict()
        self._bound: dict[str, str] | None = None
        self._version: tuple[int, int] | None = None
        self._change = 0
        self._puts = 0
        self._found: tuple[int, int] | None = None
        self._database = self._open()

    def bind(self, embedder: str, dimension: int) -> None:
        """Remember whose vectors are kept; a `ConfigurationError` where another's are there already."""
        with self._changing("nothing was bound") as connection:
            kept = _bound_in(connection)
            has_vectors = connection.execute(
                "SELECT 1 FROM entries WHERE vector IS NOT NULL LIMIT 1"
            ).fetchone()
            if (
                kept
                and kept != {"embedder": storable_name(embedder), "dimension": str(dimension)}
                and has_vectors
            ):
                raise ConfigurationError(
                    f"{self.path!r} holds vectors of {kept.get('embedder')!r} with {kept.get('dimension')} "
                    f"dimensions, not of {embedder!r} with {dimension}; nothing was changed"
                )
            connection.executemany(
                "INSERT OR REPLACE INTO meta (name, value) VALUES (?, ?)",
                [("embedder", storable_name(embedder)), ("dimension", str(dimension))],
            )
        self._bound = {"embedder": storable_name(embedder), "dimension": str(dimension)}

    def find(self, partition: str, key: str, now: float) -> CacheEntry | None:
        """Return the live entry of exactly this key."""
        return self._one(_BY_KEY, (storable_name(partition), storable_name(key), now), now)

    def read(self, entry_id: str, now: float) -> CacheEntry | None:
        """Return one live entry."""
        return self._one(_BY_ID, (storable_name(entry_id), now), now)

    def search(self, partition: str, vector: Vector, k: int, now: float) -> list[Neighbour]:
        """Return at most `k` live entries of the partition, the nearest first."""
        partition = storable_name(partition)
        with self._lock, self._reading() as connection:
            self._follow(connection)
            held = self._partitions.get(partition)
            if held is None or held.index.dimension != len(vector):
                held = self._load(connection, partition, len(vector))
            else:
                self._partitions.move_to_end(partition)
            seen = held.seen
            may_be_dead = now >= held.first_death
            found = held.index.search(
                vector, k, (lambda entry_id: now < seen[entry_id].dies_at) if may_be_dead else None
            )
            return [
                Neighbour(entry_id, min(1.0, max(-1.0, near)), seen[entry_id].question, seen[entry_id].group)
                for entry_id, near in found
            ]

    def put(self, entry: CacheEntry, vector: Vector | None) -> None:
        """Store an entry in place of its key's; without a vector it is found exactly only."""
        entry = storable_entry(entry)
        dimension = 0 if vector is None else len(vector)
        dies = min(dies_at(entry), _NEVER)
        row = (
            *row_of(entry),
            normalised(entry.question),
            dies,
            None if vector is None else to_half(vector),
            size_of(entry, dimension),
            entry.created_at,
        )
        with self._changing("the answer was not kept") as connection:
            if vector is not None:
                self._check_bound(connection)
            connection.execute(
                "DELETE FROM entries WHERE (partition = ? AND key = ?) OR id = ?",
                (entry.partition, entry.key, entry.id),
            )
            seq = connection.execute(_PUT, row).lastrowid
            labels = [("source", name, seq) for name in set(entry.sources)]
            labels += [("tag", name, seq) for name in set(entry.tags)]
            if labels:
                connection.executemany("INSERT INTO labels (kind, name, seq) VALUES (?, ?, ?)", labels)
            self._puts += 1
            if self._puts % 256 == 0:
                self._forget_changes(connection)

    def regroup(self, entry_id: str, group: str) -> None:
        """Say that an entry's answer is the same as that of another group."""
        with self._changing("the entry's group was not changed") as connection:
            entry_id = storable_name(entry_id)
            row = connection.execute("SELECT partition FROM entries WHERE id = ?", (entry_id,)).fetchone()
            if row is not None:
                connection.execute("UPDATE entries SET grp = ? WHERE id = ?", (storable(group), entry_id))
                connection.execute(
                    "INSERT INTO changes (id, partition, is_gone) VALUES (?, ?, 0)", (entry_id, row[0])
                )

    def invalidate(self, selector: Selector) -> int:
        """Drop what the selector names, at once for every reader; return how many live entries it was."""
        where, values = _where(selector)
        with self._changing("nothing was invalidated") as connection:
            return connection.execute(f"DELETE FROM entries WHERE {where}", values).rowcount  # noqa: S608

    def touch(self, uses: Mapping[str, int], now: float) -> None:
        """Count uses of entries, many at once; it is what eviction goes by."""
        with self._changing("uses were not counted") as connection:
            connection.executemany(
                "UPDATE entries SET uses = uses + ?, used_at = max(used_at, ?) WHERE id = ?",
                [(count, now, storable_name(entry_id)) for entry_id, count in uses.items()],
            )

    def trim(self, max_entries: int | None, max_bytes: int | None, by: Eviction, now: float) -> int:
        """Drop expired entries, then the least worth keeping until both bounds hold; return how many."""
        order = "used_at, seq"
        if by == "saving":
            order = f"{_SAVING}, used_at, seq"
        with self._changing("nothing was dropped") as connection:
            dropped = connection.execute("DELETE FROM entries WHERE dies_at <= ?", (now,)).rowcount
            entries, n_bytes = connection.execute("SELECT entries, bytes FROM totals").fetchone()
            gone = []
            if _is_over(entries, n_bytes, max_entries, max_bytes):
                rows = connection.execute(
                    f"SELECT seq, bytes FROM entries ORDER BY {order}",  # noqa: S608 - constants only
                    {"now": now} if by == "saving" else (),
                )
                for seq, size in rows:
                    gone.append((seq,))
                    entries, n_bytes = entries - 1, n_bytes - size
                    if not _is_over(entries, n_bytes, max_entries, max_bytes):
                        break
                rows.close()
                connection.executemany("DELETE FROM entries WHERE seq = ?", gone)
            self._forget_changes(connection)
            return dropped + len(gone)

    def size(self, now: float) -> StoreSize:
        """Say how much is held."""
        with self._reading() as connection:
            dead = connection.execute(
                "SELECT count(*), coalesce(sum(bytes), 0) FROM entries WHERE dies_at <= ?", (now,)
            ).fetchone()
            entries, n_bytes = connection.execute("SELECT entries, bytes FROM totals").fetchone()
            return StoreSize(entries - dead[0], n_bytes - dead[1])

    def entries(self, partition: str | None = None, *, limit: int, now: float) -> list[CacheEntry]:
        """List live entries, the newest first."""
        where, values = (
            ("partition = ? AND ", (storable_name(partition),)) if partition is not None else ("", ())
        )
        query = (
            f"SELECT {COLUMNS} FROM entries WHERE {where}dies_at > ? "  # noqa: S608 - constants only
            "ORDER BY created_at DESC, id DESC LIMIT ?"
        )
        with self._reading() as connection:
            rows = connection.execute(query, (*values, now, limit)).fetchall()
        return [entry for row in rows if (entry := living(entry_of(row), now)) is not None]

    def claim(self, name: str, owner: str, lease_s: float, now: float) -> bool:
        """Take or extend a named lock; False while somebody else holds it."""
        with self._changing("no lock was taken") as connection:
            connection.execute(
                "DELETE FROM claims WHERE until <= ? OR until > ?", (now, now + LONGEST_LEASE_S)
            )
            taken = connection.execute(
                "INSERT INTO claims (name, owner, until) VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE "
                "SET until = excluded.until WHERE claims.owner = excluded.owner",
                (storable_name(name), storable_name(owner), now + lease_s),
            )
            return taken.rowcount == 1

    def release(self, name: str, owner: str) -> None:
        """Give the lock back; nothing happens where it is not held by `owner`."""
        with self._changing("the lock was not given back") as connection:
            connection.execute(
                "DELETE FROM claims WHERE name = ? AND owner = ?", (storable_name(name), storable_name(owner))
            )

    def load_state(self, name: str) -> bytes | None:
        """Return what was saved under a name."""
        with self._reading() as connection:
            row = connection.execute(
                "SELECT data FROM states WHERE name = ?", (storable_name(name),)
            ).fetchone()
        return row[0] if row is not None and isinstance(row[0], bytes) else None

    def save_state(self, name: str, data: bytes) -> None:
        """Keep a few kilobytes under a name, such as what a policy has learned."""
        with self._changing("the state was not kept") as connection:
            connection.execute(
                "INSERT OR REPLACE INTO states (name, data) VALUES (?, ?)", (storable_name(name), data)
            )

    def close(self) -> None:
        """Close the file; the store cannot be used afterwards."""
        self._database.close()
        with self._lock:
            self._partitions.clear()
        if self._thread is not None:
            self._thread.shutdown(wait=False)

    # The file

    def _open(self) -> Database:
        for _ in range(_OPENINGS - 1):
            try:
                return self._opened()
            except StoreError as error:
                if _is_damage(error):
                    self._set_aside(error, self._found)
                elif not self._is_another_by_now():
                    raise
        return self._opened()

    def _is_another_by_now(self) -> bool:
        """Tell whether another process has set the file aside while it was being opened."""
        folder = Path(self.path).parent
        if not folder.is_dir():
            return False
        with _alone_in(folder):
            return _identity(self.path) != self._found

    def _opened(self) -> Database:
        path = Path(self.path)
        if path.parent.is_dir() and not path.exists():
            os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))
        self._found = _identity(self.path)
        database = self._database_at()
        try:
            with database.writing("nothing was opened") as connection:
                connection.execute("SELECT entries FROM totals").fetchone()
        except BaseException:
            database.close()
            raise
        return database

    def _database_at(self) -> Database:
        database = Database(self.path, prepare, busy_timeout_s=self._busy_timeout_s, synchronous="normal")
        database.on_child = self._begin_as_child
        return database

    def _begin_as_child(self) -> None:
        self._lock = threading.RLock()
        self._thread = None
        self._version = None

    def _set_aside(self, error: BaseException, damaged: tuple[int, int] | None) -> None:
        """Move a damaged file out of the way, with what belongs to it, unless another process has done so."""
        aside = f"{self.path}.damaged-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"
        with _alone_in(Path(self.path).parent):
            if _identity(self.path) != damaged:
                return
            for ending in ("-wal", "-shm", ""):  # the file last: a new one must find no old log beside it
                with suppress(FileNotFoundError):  # the last process to close a file removes its logs itself
                    Path(self.path + ending).replace(aside + ending)
        _log.warning(
            "the cache %s is damaged (%s); it was set aside as %s and a new one begun",
            self.path,
            error,
            aside,
        )

    @contextmanager
    def _changing(self, not_done: str) -> Iterator[sqlite3.Connection]:
        with self._starting_anew_if_damaged(), self._database.changing(not_done) as connection:
            yield connection

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with self._starting_anew_if_damaged(), self._database.reading() as connection:
            yield connection

    @contextmanager
    def _starting_anew_if_damaged(self) -> Iterator[None]:
        """Let one call fail over a file that is damaged, deleted or replaced, and the next find a new one."""
        database = self._database
        try:
            yield
        except StoreError as error:
            is_damage = _is_damage(error)
            if is_damage or database.is_replaced:
                with self._lock:
                    if self._database is database:
                        self._begin_anew(error if is_damage else None)
            raise

    def _begin_anew(self, damage: StoreError | None) -> None:
        self._database.close()
        self._partitions.clear()
        self._version, self._change = None, 0
        if damage is not None:
            self._set_aside(damage, self._found)
        else:
            _log.warning("the cache %s was deleted or replaced; what is there now is used", self.path)
        self._database = self._open()
        self._bind_again()

    def _bind_again(self) -> None:
        """Tell a new file whose vectors this store brings."""
        if self._bound is not None:
            self.bind(self._bound["embedder"], int(self._bound["dimension"]))

    def _check_bound(self, connection: sqlite3.Connection) -> None:
        """Refuse vectors of this store's embedder where another process has bound another one since."""
        if self._bound is not None and _bound_in(connection) != self._bound:
            raise ConfigurationError(
                f"{self.path!r} was bound to another embedder than {self._bound['embedder']!r}; "
                "the answer was not kept"
            )

    def _one(self, query: str, values: tuple[Any, ...], now: float) -> CacheEntry | None:
        with self._reading() as connection:
            row = connection.execute(query, values).fetchone()
        return None if row is None else living(entry_of(row), now)

    # What is loaded

    def _load(self, connection: sqlite3.Connection, partition: str, dimension: int) -> _Partition:
        held = _Partition(dimension)
        rows = connection.execute(
            "SELECT id, question, grp, dies_at, vector FROM entries "
            "WHERE partition = ? AND vector IS NOT NULL",
            (partition,),
        )
        ids, halves = [], []
        for entry_id, question, group, dies, data in rows:
            if isinstance(data, bytes) and len(data) == 2 * dimension:
                held.see(entry_id, question, group, dies)
                ids.append(entry_id)
                halves.append(data)
        held.load(ids, b"".join(halves))
        self._partitions[partition] = held
        while len(self._partitions) > _PARTITIONS_LOADED:
            self._partitions.popitem(last=False)
        return held

    def _follow(self, connection: sqlite3.Connection) -> None:
        """Take over what was changed since the last look, by whomever."""
        version = int(connection.execute("PRAGMA data_version").fetchone()[0])
        mark = (id(connection), version)
        if mark == self._version:
            return
        first, last = connection.execute(
            "SELECT coalesce(min(number), 0), coalesce(max(number), 0) FROM changes"
        ).fetchone()
        if self._version is None or first > self._change + 1 or last < self._change:
            self._partitions.clear()  # too much has changed since to follow it one by one
        elif self._partitions and last > self._change:
            self._apply(connection)
        self._version, self._change = mark, last

    def _apply(self, connection: sqlite3.Connection) -> None:
        changes = connection.execute(
            "SELECT id, partition, is_gone FROM changes WHERE number > ? ORDER BY number", (self._change,)
        ).fetchall()
        for entry_id, partition, is_gone in changes:
            held = self._partitions.get(partition)
            if held is None:
                continue
            row = None
            if not is_gone:
                row = connection.execute(
                    "SELECT question, grp, dies_at, vector FROM entries WHERE id = ? AND partition = ?",
                    (entry_id, partition),
                ).fetchone()
            vector = None if row is None else from_half(row[3], held.index.dimension)
            if row is None or vector is None:
                held.index.remove(entry_id)
                held.seen.pop(entry_id, None)
            else:
                held.see(entry_id, *row[:3])
                held.index.add(entry_id, vector)

    def _forget_changes(self, connection: sqlite3.Connection) -> None:
        connection.execute(
            "DELETE FROM changes WHERE number <= (SELECT max(number) FROM changes) - ?", (_CHANGES_KEPT,)
        )

    # In a thread

    async def _in_thread(self, function: Callable[..., _T], *arguments: Any, **named: Any) -> _T:
        import asyncio  # noqa: PLC0415 - sync users need none
        import contextvars  # noqa: PLC0415 - likewise

        with self._lock:
            if self._thread is None:
                self._thread = ThreadPoolExecutor(1, thread_name_prefix="tokenomics-cache")
            thread = self._thread
        context = contextvars.copy_context()
        return await asyncio.get_running_loop().run_in_executor(
            thread, lambda: context.run(function, *arguments, **named)
        )

    async def abind(self, embedder: str, dimension: int) -> None:
        """Remember whose vectors are kept."""
        await self._in_thread(self.bind, embedder, dimension)

    async def afind(self, partition: str, key: str, now: float) -> CacheEntry | None:
        """Return the live entry of exactly this key."""
        return await self._in_thread(self.find, partition, key, now)

    async def asearch(self, partition: str, vector: Vector, k: int, now: float) -> list[Neighbour]:
        """Return at most `k` live entries of the partition, the nearest first."""
        return await self._in_thread(self.search, partition, vector, k, now)

    async def aread(self, entry_id: str, now: float) -> CacheEntry | None:
        """Return one live entry."""
        return await self._in_thread(self.read, entry_id, now)

    async def aput(self, entry: CacheEntry, vector: Vector | None) -> None:
        """Store an entry in place of its key's."""
        await self._in_thread(self.put, entry, vector)

    async def aregroup(self, entry_id: str, group: str) -> None:
        """Say that an entry's answer is the same as that of another group."""
        await self._in_thread(self.regroup, entry_id, group)

    async def ainvalidate(self, selector: Selector) -> int:
        """Drop what the selector names."""
        return await self._in_thread(self.invalidate, selector)

    async def atouch(self, uses: Mapping[str, int], now: float) -> None:
        """Count uses of entries."""
        await self._in_thread(self.touch, uses, now)

    async def atrim(self, max_entries: int | None, max_bytes: int | None, by: Eviction, now: float) -> int:
        """Drop expired entries, then the least worth keeping."""
        return await self._in_thread(self.trim, max_entries, max_bytes, by, now)

    async def asize(self, now: float) -> StoreSize:
        """Say how much is held."""
        return await self._in_thread(self.size, now)

    async def aentries(self, partition: str | None = None, *, limit: int, now: float) -> list[CacheEntry]:
        """List live entries, the newest first."""
        return await self._in_thread(self.entries, partition, limit=limit, now=now)

    async def aclaim(self, name: str, owner: str, lease_s: float, now: float) -> bool:
        """Take or extend a named lock."""
        return await self._in_thread(self.claim, name, owner, lease_s, now)

    async def arelease(self, name: str, owner: str) -> None:
        """Give the lock back."""
        await self._in_thread(self.release, name, owner)

    async def aload_state(self, name: str) -> bytes | None:
        """Return what was saved under a name."""
        return await self._in_thread(self.load_state, name)

    async def asave_state(self, name: str, data: bytes) -> None:
        """Keep a few kilobytes under a name."""
        await self._in_thread(self.save_state, name, data)

    async def aclose(self) -> None:
        """Close the file."""
        await self._in_thread(self._database.close)
        self.close()


def _bound_in(connection: sqlite3.Connection) -> dict[str, str]:
    return dict(connection.execute("SELECT name, value FROM meta WHERE name IN ('embedder', 'dimension')"))


def _where(selector: Selector) -> tuple[str, list[Any]]:
    """Return a selector as a condition and its values."""
    conditions: list[str] = []
    values: list[Any] = []
    for column in ("id", "partition", "tenant", "model", "version"):
        value = getattr(selector, column)
        if value is not None:
            conditions.append(f"{column} = ?")
            values.append((storable_name if column in {"id", "partition"} else storable)(value))
    for kind in ("source", "tag"):
        name = getattr(selector, kind)
        if name is not None:
            conditions.append("seq IN (SELECT seq FROM labels WHERE kind = ? AND name = ?)")
            values += [kind, storable(name)]
    if selector.prefix is not None:
        prefix = normalised(storable(selector.prefix))
        conditions.append("substr(normal, 1, ?) = ?")
        values += [len(prefix), prefix]
    if selector.created_before is not None:
        conditions.append("created_at < ?")
        values.append(selector.created_before)
    return " AND ".join(conditions) or "1", values


def _is_over(entries: int, n_bytes: int, max_entries: int | None, max_bytes: int | None) -> bool:
    return entries > 0 and (
        (max_entries is not None and entries > max_entries) or (max_bytes is not None and n_bytes > max_bytes)
    )


def _identity(path: str) -> tuple[int, int] | None:
    """Return what tells a file from another of the same name."""
    try:
        status = Path(path).stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Keep other processes of this package out of the block, where the system can lock a folder."""
    if sys.platform == "win32":  # where a file that is in use cannot be renamed anyway
        yield
        return
    lock = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _is_damage(error: StoreError) -> bool:
    cause = error.__cause__
    code = getattr(cause, "sqlite_errorcode", 0) & 0xFF
    return code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
