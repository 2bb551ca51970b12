"""A PostgreSQL database that threads, event loops and forked children reach over connections of their own."""

from __future__ import annotations

import asyncio
import os
import re
import threading
from collections.abc import Callable, Coroutine, Generator
from typing import Any, Final, NamedTuple, TypeVar

from tokenomics_core.errors import ConfigurationError, MissingExtraError, StoreError
from tokenomics_core.steps import drive, drive_async

try:
    import psycopg
    from psycopg.conninfo import conninfo_to_dict
except ImportError as error:  # pragma: no cover - needs an environment without the extra
    raise MissingExtraError("psycopg", "postgres") from error

__all__ = ["Ask", "Link", "Reply", "UniqueViolation", "Work", "checked_schema", "database_of"]

UniqueViolation = psycopg.errors.UniqueViolation

_T = TypeVar("_T")
_TRIES: Final = 5
_again = (psycopg.errors.DeadlockDetected, psycopg.errors.SerializationFailure)
"""What happens to one of two who write the same thing at once; the second try finds what the other wrote."""

_left_by_parents: Final[list[Any]] = []
"""Connections of a parent process: closing or collecting one here would end it there."""


class Ask(NamedTuple):
    """A statement and its values; None for a script without any."""

    query: str
    values: tuple[Any, ...] | None = ()


class Reply(NamedTuple):
    """What a statement gave: rows, and how many it touched."""

    rows: list[tuple[Any, ...]]
    touched: int


Work = Generator[Ask, Reply, _T]


class Link:
    """Connections to one database, as many as calls were ever under way at once, up to a bound.

    A connection that breaks takes the idle ones with it, so the next call opens a new one. A forked child
    opens its own.

    Args:
        dsn: As libpq reads it.
        name: What the store is called in errors.
        settings: A script for every new connection.
        prepare: Makes the tables and returns what `greet` is to know; asked for once.
        max_connections: For all threads together, and for each event loop.
        timeout_s: How long to wait for a connection, and for an answer.
        greet: Tells every new connection what `prepare` returned.
    """

    def __init__(
        self,
        dsn: str,
        name: str,
        *,
        settings: str,
        prepare: Callable[[], Work[Any]],
        max_connections: int,
        timeout_s: float,
        greet: Callable[[Any, Any], None] | None = None,
    ) -> None:
        self._dsn, self._name, self._settings = dsn, name, settings
        self._prepare, self._greet = prepare, greet
        self._max_connections, self._timeout_s = max_connections, timeout_s
        self._is_closed = False
        self._told: tuple[Any] | None = None
        self._loops: dict[asyncio.AbstractEventLoop, _LoopLink] = {}
        self._begin()

    def run(self, work: Callable[[], Work[_T]], not_done: str, *, atomic: bool = False) -> _T:
        """Do the work, all of it or nothing; `not_done` says what a failure leaves undone."""
        self._check_usable(not_done)
        if not self._slots.acquire(timeout=self._timeout_s):
            raise self._busy(not_done)
        try:
            for tries_left in reversed(range(_TRIES)):
                try:
                    return self._run_once(work, atomic)
                except _again as error:
                    if not tries_left:
                        raise self._failed(error, not_done) from error
                except psycopg.Error as error:
                    raise self._failed(error, not_done) from error
            raise AssertionError("the last try returns or raises")
        finally:
            self._slots.release()

    async def run_async(self, work: Callable[[], Work[_T]], not_done: str, *, atomic: bool = False) -> _T:
        """Do the work over a connection of this event loop."""
        self._check_usable(not_done)
        loop = self._loop_link()
        try:
            async with asyncio.timeout(self._timeout_s):
                await loop.slots.acquire()
        except TimeoutError:
            raise self._busy(not_done) from None
        try:
            for tries_left in reversed(range(_TRIES)):
                try:
                    return await self._run_once_async(loop, work, atomic)
                except _again as error:
                    if not tries_left:
                        raise self._failed(error, not_done) from error
                except psycopg.Error as error:
                    raise self._failed(error, not_done) from error
            raise AssertionError("the last try returns or raises")
        finally:
            loop.slots.release()

    def close(self) -> None:
        """Close the connections that nobody is using; none is opened any more."""
        self._is_closed = True
        if self._pid == os.getpid():
            self._drop_idle()
            for loop in list(self._loops.values()):
                loop.finish()
            self._loops.clear()

    async def aclose(self) -> None:
        """Close the connections of this event loop, and the rest."""
        mine = self._loops.pop(asyncio.get_running_loop(), None)
        if mine is not None and self._pid == os.getpid():
            await mine.close()
        self.close()

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._idle: list[psycopg.Connection[Any]] = []
        self._slots = threading.BoundedSemaphore(self._max_connections)
        self._preparing = threading.Lock()

    def _check_usable(self, not_done: str) -> None:
        if self._is_closed:
            raise StoreError(self._name, f"is closed; {not_done}")
        if self._pid != os.getpid():
            _left_by_parents.extend(self._idle)
            _left_by_parents.extend(self._loops.values())
            self._loops = {}
            self._begin()

    def _run_once(self, work: Callable[[], Work[_T]], atomic: bool) -> _T:
        connection = self._take_idle()
        try:
            if connection is None:
                connection = self._connect()
            lent = connection

            def take(ask: Ask) -> Reply:
                return _ask(lent, ask)

            if not atomic:
                result = drive(work(), take)
            else:
                with lent.transaction():
                    result = drive(work(), take)
        except BaseException as error:
            self._give_back(connection, error)
            raise
        self._give_back(connection, None)
        return result

    def _take_idle(self) -> psycopg.Connection[Any] | None:
        try:
            return self._idle.pop()
        except IndexError:
            return None

    def _connect(self) -> psycopg.Connection[Any]:
        connection: psycopg.Connection[Any] = psycopg.connect(
            self._dsn, autocommit=True, connect_timeout=max(2, round(self._timeout_s))
        )
        try:
            _ask(connection, Ask(self._settings, None))
            with self._preparing:
                if self._told is None:
                    self._told = (drive(self._prepare(), lambda ask: _ask(connection, ask)),)
            if self._greet is not None:
                self._greet(connection, self._told[0])
        except BaseException:
            connection.close()
            raise
        return connection

    def _give_back(self, connection: psycopg.Connection[Any] | None, error: BaseException | None) -> None:
        if connection is None:
            return
        if isinstance(error, psycopg.errors.UndefinedTable | psycopg.errors.UndefinedObject):
            self._told = None  # somebody dropped the tables: the next connection makes them anew
            connection.close()
            self._drop_idle()
        elif connection.broken or connection.closed or self._is_closed:
            connection.close()
            self._drop_idle()
        elif error is not None and not isinstance(error, Exception):
            connection.close()  # interrupted: an answer may still be on its way
        else:
            self._idle.append(connection)

    def _drop_idle(self) -> None:
        while (connection := self._take_idle()) is not None:
            connection.close()

    # Event loops

    def _loop_link(self) -> _LoopLink:
        running = asyncio.get_running_loop()
        link = self._loops.get(running)
        if link is None:
            for loop in [loop for loop in self._loops if loop.is_closed()]:
                self._loops.pop(loop).finish()
            link = self._loops[running] = _LoopLink(self._max_connections)
        return link

    async def _run_once_async(self, loop: _LoopLink, work: Callable[[], Work[_T]], atomic: bool) -> _T:
        connection = loop.idle.pop() if loop.idle else None
        try:
            if connection is None:
                connection = await self._connect_async(loop)
            lent = connection

            def take(ask: Ask) -> Coroutine[Any, Any, Reply]:
                return _ask_async(lent, ask)

            if not atomic:
                result = await drive_async(work(), take)
            else:
                async with lent.transaction():
                    result = await drive_async(work(), take)
        except BaseException as error:
            await self._give_back_async(loop, connection, error)
            raise
        await self._give_back_async(loop, connection, None)
        return result

    async def _connect_async(self, loop: _LoopLink) -> psycopg.AsyncConnection[Any]:
        connection: psycopg.AsyncConnection[Any] = await psycopg.AsyncConnection.connect(
            self._dsn, autocommit=True, connect_timeout=max(2, round(self._timeout_s))
        )
        try:
            await _ask_async(connection, Ask(self._settings, None))
            async with loop.preparing:
                if self._told is None:
                    told = await drive_async(self._prepare(), lambda ask: _ask_async(connection, ask))
                    self._told = (told,)
            if self._greet is not None:
                self._greet(connection, self._told[0])
        except BaseException:
            await connection.close()
            raise
        return connection

    async def _give_back_async(
        self, loop: _LoopLink, connection: psycopg.AsyncConnection[Any] | None, error: BaseException | None
    ) -> None:
        if connection is None:
            return
        is_undefined = isinstance(error, psycopg.errors.UndefinedTable | psycopg.errors.UndefinedObject)
        if is_undefined:
            self._told = None
        if is_undefined or connection.broken or connection.closed or self._is_closed:
            await connection.close()
            await loop.close()
        elif error is not None and not isinstance(error, Exception):
            await connection.close()
        else:
            loop.idle.append(connection)

    # Errors

    def _failed(self, error: psycopg.Error, not_done: str) -> StoreError:
        lines = str(error).strip().splitlines()
        return StoreError(self._name, f"failed ({lines[0] if lines else type(error).__name__}); {not_done}")

    def _busy(self, not_done: str) -> StoreError:
        return StoreError(
            self._name,
            f"had all {self._max_connections} connections in use for more than {self._timeout_s} s; "
            f"{not_done}",
        )


class _LoopLink:
    """What one event loop holds."""

    def __init__(self, max_connections: int) -> None:
        self.idle: list[psycopg.AsyncConnection[Any]] = []
        self.slots = asyncio.Semaphore(max_connections)
        self.preparing = asyncio.Lock()

    async def close(self) -> None:
        while self.idle:
            await self.idle.pop().close()

    def finish(self) -> None:
        """Close from outside the loop, which may have ended."""
        while self.idle:
            connection = self.idle.pop()  # held until it is closed, or its end would be called a leak
            connection.pgconn.finish()


def database_of(dsn: str) -> str:
    """Name the database of a dsn without its password.

    Raises:
        ConfigurationError: libpq does not read it.
    """
    try:
        told = conninfo_to_dict(dsn)
    except psycopg.Error:  # its text may hold the password
        raise ConfigurationError(
            "dsn must be as libpq reads it, such as postgresql://user@host/database; nothing was opened"
        ) from None
    host, database = told.get("host") or "localhost", told.get("dbname") or told.get("user") or "postgres"
    return f"{host}/{database}"


def checked_schema(schema: str) -> str:
    """Return a name for a schema that needs no quotes.

    Raises:
        ConfigurationError: It is none.
    """
    if not re.fullmatch(r"[a-z_][a-z0-9_]{0,62}", schema):
        raise ConfigurationError(
            f"schema must be lower-case letters, digits and underscores, at most 63, not {schema!r}; "
            "nothing was opened"
        )
    return schema


def _ask(connection: psycopg.Connection[Any], ask: Ask) -> Reply:
    query: Any = ask.query  # psycopg asks for literals; these are constants and the schema's checked name
    cursor = connection.execute(query, ask.values, binary=ask.values is not None)
    return Reply(cursor.fetchall() if cursor.description else [], cursor.rowcount)


async def _ask_async(connection: psycopg.AsyncConnection[Any], ask: Ask) -> Reply:
    query: Any = ask.query  # as above
    cursor = await connection.execute(query, ask.values, binary=ask.values is not None)
    return Reply(await cursor.fetchall() if cursor.description else [], cursor.rowcount)
