"""How a script reaches a Redis server: connections that are kept, and one command written at once."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple, Protocol
from weakref import WeakKeyDictionary

from tokenomics_core.budgets._store import Check
from tokenomics_core.errors import ConfigurationError, MissingExtraError

try:
    import redis
    import redis.asyncio as redis_async
    from redis.asyncio.cluster import RedisCluster as AsyncRedisCluster
    from redis.asyncio.retry import Retry as AsyncRetry
    from redis.backoff import NoBackoff
    from redis.cluster import RedisCluster
    from redis.retry import Retry
except ImportError as error:  # pragma: no cover - needs an environment without the extra
    raise MissingExtraError("redis", "redis") from error

__all__ = ["AsyncLinks", "Call", "Link", "Script", "Where", "link_to", "may_have_been_heard", "redis_errors"]

redis_errors = (redis.RedisError, OSError)
"""What a step may fail with where the server cannot be used."""


def may_have_been_heard(error: BaseException) -> bool:
    """Whether the server may have taken a step whose answer is lost; not where nothing could be connected."""
    seen: BaseException | None = error
    while seen is not None:
        is_lost = isinstance(seen, (redis.ConnectionError, redis.TimeoutError))
        if is_lost and "connecting to" not in str(seen):  # redis-py has no type of its own for that
            return True
        seen = seen.__context__
    return False


class Script:
    """A script, and the hash that the server knows it by."""

    __slots__ = ("sha", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.sha = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


class Where:
    """Accounts as the scripts take them.

    Attributes:
        keys: One per account.
        specs: What the scripts are told of each account.
        start_us: Start of the time that lies in all their windows.
        end_us: End of it.
        plan: The checks last asked for, and what the scripts are told of them after the specs. The limits
            that a call touches are the same tuple from call to call.
    """

    __slots__ = ("_heads", "end_us", "keys", "plan", "specs", "start_us")

    def __init__(self, keys: tuple[bytes, ...], specs: bytes, start_us: int, end_us: int) -> None:
        self.keys, self.specs, self.start_us, self.end_us = keys, specs, start_us, end_us
        self.plan: tuple[tuple[Check, ...], bytes] = ((), specs)
        self._heads: dict[str, bytes] = {}

    def head(self, script: Script, extra_keys: int, arguments: int) -> bytes:
        """Return the part of a command that is the same for every hold on these accounts."""
        found = self._heads.get(script.sha)
        if found is None:
            count = len(self.keys) + extra_keys
            words = (b"EVALSHA", script.sha.encode(), b"%d" % count, *self.keys)
            found = b"*%d\r\n" % (3 + count + arguments) + b"".join(map(_word, words))
            self._heads[script.sha] = found
        return found


class Call(NamedTuple):
    """One step: a script, its accounts, further keys, and arguments."""

    script: Script
    where: Where
    keys: tuple[bytes, ...]
    arguments: tuple[bytes, ...]

    def packed(self) -> bytes:
        """Return it as the bytes that go to the server."""
        script, where, keys, arguments = self
        words = [b"$%d\r\n%b\r\n" % (len(word), word) for word in (*keys, *arguments)]
        return where.head(script, len(keys), len(arguments)) + b"".join(words)

    def words(self, name: str) -> tuple[str | bytes | int, ...]:
        """Return it as words, by its hash for `EVALSHA` or as a whole for `EVAL`."""
        script, where, keys, arguments = self
        text = script.sha if name == "EVALSHA" else script.text
        return name, text, len(where.keys) + len(keys), *where.keys, *keys, *arguments


class Link(Protocol):
    """A way to a server for any number of threads."""

    @property
    def client(self) -> Any:
        """Return redis-py's own client, whose type differs between server and cluster."""

    def run(self, call: Call) -> Any:  # what a script answers
        """Take a step."""

    def close(self) -> None:
        """Close the connections; the next step opens new ones."""


class ServerLink:
    """A way to one server.

    It keeps redis-py's connections itself rather than in its pool: a step writes one ready command and reads
    one answer, and redis-py's client takes longer for that than the server does. As many connections are open
    as steps were ever under way at once; a forked child opens its own.
    """

    def __init__(self, url: str, options: dict[str, Any]) -> None:  # options of many types
        # One retry: a connection that idled while the server restarted is dead. Two tries count once.
        retry = Retry(NoBackoff(), 1, (redis.ConnectionError,))
        self._client = redis.Redis.from_url(url, retry=retry, **options)
        pool = self._client.connection_pool
        self._connect: Callable[[], Any] = lambda: pool.connection_class(**pool.connection_kwargs)
        self._idle: list[Any] = []  # redis-py's connections, typed as several classes
        self._pid = os.getpid()

    @property
    def client(self) -> Any:
        """Return redis-py's client."""
        return self._client

    def run(self, call: Call) -> Any:
        """Take a step."""
        if self._pid != os.getpid():
            self._idle, self._pid = [], os.getpid()
        idle = self._idle
        try:
            connection = idle.pop()
        except IndexError:
            connection = self._connect()
        try:
            try:
                reply = _ask(connection, (call.packed(),))
            except redis.exceptions.NoScriptError:
                reply = _ask(connection, connection.pack_command(*call.words("EVAL")))
        except redis.ResponseError:
            idle.append(connection)
            raise
        except BaseException:
            # An answer may still be on its way: nobody may take it for that of the next step.
            connection.disconnect()
            raise
        idle.append(connection)
        return reply

    def close(self) -> None:
        """Close the connections; the next step opens new ones."""
        idle, self._idle = self._idle, []
        for connection in idle:
            connection.disconnect()
        self._client.close()


class ClusterLink:
    """A way to a cluster, of which redis-py's client knows which node has the keys."""

    def __init__(self, url: str, options: dict[str, Any]) -> None:  # options of many types
        self._make: Callable[[], Any] = lambda: RedisCluster.from_url(url, **options)
        self._made: Any = None  # a RedisCluster, whose constructor connects

    @property
    def client(self) -> Any:
        """Return redis-py's client, which is made when it is first asked for, as it connects at once."""
        if self._made is None:
            self._made = self._make()
        return self._made

    def run(self, call: Call) -> Any:
        """Take a step."""
        command = self.client.execute_command
        try:
            return command(*call.words("EVALSHA"))
        except redis.exceptions.NoScriptError:
            return command(*call.words("EVAL"))

    def close(self) -> None:
        """Close the connections; the next step opens new ones."""
        made, self._made = self._made, None
        if made is not None:
            made.close()


class AsyncLinks:
    """Ways to a server or cluster, one per event loop."""

    def __init__(self, url: str, options: dict[str, Any], cluster: bool) -> None:  # options of many types
        self._url, self._options, self._cluster = url, options, cluster
        self._clients: WeakKeyDictionary[asyncio.AbstractEventLoop, Any] = WeakKeyDictionary()

    async def run(self, call: Call) -> Any:
        """Take a step."""
        command = (await self.client()).execute_command
        try:
            return await _twice(command, call.words("EVALSHA"))
        except redis.exceptions.NoScriptError:
            return await _twice(command, call.words("EVAL"))

    async def client(self) -> Any:  # redis-py's own client, whose type differs between server and cluster
        """Return redis-py's client of this event loop."""
        client = self._client()
        if self._cluster and client.get_default_node() is None:
            await client.initialize()  # before that, redis-py asks any node and is sent elsewhere
        return client

    async def aclose(self) -> None:
        """Close the connections that this event loop opened."""
        if client := self._clients.pop(asyncio.get_running_loop(), None):
            await client.aclose()

    def _client(self) -> Any:
        loop = asyncio.get_running_loop()
        client = self._clients.get(loop)
        if client is None:
            client = self._clients[loop] = self._new_client()
        return client

    def _new_client(self) -> Any:
        if self._cluster:
            return AsyncRedisCluster.from_url(self._url, **self._options)
        retry = AsyncRetry(NoBackoff(), 0)
        return redis_async.Redis.from_url(self._url, retry=retry, **self._options)


def link_to(url: str, options: dict[str, Any], cluster: bool) -> Link:
    """Return the way to a server or cluster; nothing is connected to yet.

    Raises:
        ConfigurationError: The URL is not one that redis-py reads.
    """
    try:
        return ClusterLink(url, options) if cluster else ServerLink(url, options)
    except ValueError as error:
        raise ConfigurationError(f"url must be redis://, rediss:// or unix://: {error}") from None


def _ask(connection: Any, command: Any) -> Any:
    """Send a command and return its answer, once more where the connection turns out to be dead."""
    try:
        connection.send_packed_command(command, check_health=False)
        return connection.read_response(disable_decoding=True)
    except redis.ConnectionError:
        # redis-py has closed the connection; sending opens it again.
        connection.send_packed_command(command, check_health=False)
        return connection.read_response(disable_decoding=True)


async def _twice(command: Callable[..., Awaitable[Any]], words: tuple[str | bytes | int, ...]) -> Any:
    """Do what `_ask` does with a client's own connections."""
    try:
        return await command(*words)
    except redis.ConnectionError:
        return await command(*words)


def _word(word: bytes) -> bytes:
    return b"$%d\r\n%b\r\n" % (len(word), word)
