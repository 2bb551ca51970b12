"""Budgets of a fleet, in Redis or Valkey."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from time import time
from typing import Any, NamedTuple, TypeVar
from weakref import WeakKeyDictionary

from tokenomics_core.budgets import _redis_scripts as scripts
from tokenomics_core.budgets._memory import KEEP_ENDED_US, KEEP_IDLE_S, REMEMBER_S
from tokenomics_core.budgets._redis_replies import read_end, read_reserve, read_state, read_states
from tokenomics_core.budgets._store import (
    Account,
    AccountState,
    Amounts,
    Check,
    Granted,
    Hold,
    HoldState,
    Refused,
    Settled,
    Stale,
)
from tokenomics_core.errors import ConfigurationError, MissingExtraError, StoreError

try:
    import redis
    import redis.asyncio as redis_async
    from redis.asyncio.retry import Retry as AsyncRetry
    from redis.backoff import NoBackoff
    from redis.retry import Retry
except ImportError as error:  # pragma: no cover - needs an environment without the extra
    raise MissingExtraError("redis", "redis") from error

__all__ = ["RedisBudgetStore"]

_KNOWN = 8192
_NEVER_US = 2**52
_KEEP_ENDED_MS = KEEP_ENDED_US // 1000
_Reply = TypeVar("_Reply", Granted | Refused | Stale, Settled)


class _Script:
    def __init__(self, text: str) -> None:
        self.text = text
        self.sha = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


class _Where(NamedTuple):
    """Accounts as the scripts take them, and the time that lies in all their windows."""

    keys: tuple[bytes, ...]
    specs: bytes
    span: str


_Call = tuple[_Script, tuple[bytes, ...], tuple[str | bytes, ...]]
_RESERVE, _MARK, _END = _Script(scripts.RESERVE), _Script(scripts.MARK), _Script(scripts.END)
_GRANT, _CLAIM, _READ = _Script(scripts.GRANT), _Script(scripts.CLAIM), _Script(scripts.READ)


class RedisBudgetStore:
    """Keep budgets in Redis 6.2 or later, or Valkey, for any number of machines.

    Every step is one script in one round trip and goes by the server's clock, so clocks that differ between
    machines do not matter. The async methods use connections of their own per event loop and never block it.
    All keys of a namespace share a hash tag and so one node of a cluster. What a server loses in a crash is
    lost here too: let it append to a file (`appendonly yes`) and evict nothing (`noeviction`).
    """

    def __init__(
        self,
        url: str,
        *,
        namespace: str = "tokenomics",
        timeout_s: float = 5.0,
        keep_idle_s: float | None = KEEP_IDLE_S,
        remember_s: float = REMEMBER_S,
        clock: Callable[[], float] | None = None,
    ) -> None:
        """Name the server; it is connected to when the store is first used.

        Args:
            url: `redis://`, `rediss://` or `unix://`, with options as redis-py reads them.
            namespace: Budgets of different namespaces do not see each other.
            timeout_s: How long to wait for the server before a `StoreError`.
            keep_idle_s: Forget accounts without an end that nobody touched for so long; None keeps them.
            remember_s: How long to know that a hold was settled, so that settling it again books nothing.
            clock: Seconds since 1970 in place of the server's clock, for tests.
        """
        if not namespace or set(namespace) & set("{}"):
            raise ConfigurationError(f"namespace must be a name without braces, not {namespace!r}")
        if not 0 < timeout_s < 86_400:
            raise ConfigurationError(f"timeout_s must be above 0 and below 86400, not {timeout_s!r}")
        self.url = url
        self._name = f"RedisBudgetStore({_without_password(url)!r})"
        self._prefix = f"{{{namespace}}}:budgets"
        self._clock = clock
        self._keep_idle_ms = -1 if keep_idle_s is None else int(keep_idle_s * 1000)
        self._remember_ms = str(int(remember_s * 1000))
        self._ahead_us = 0
        self._known: dict[tuple[Account, ...], _Where] = {}
        self._options: dict[str, Any] = {  # options of many types
            "socket_timeout": timeout_s,
            "socket_connect_timeout": timeout_s,
            "decode_responses": True,
        }
        # One retry: a connection that idled while the server restarted is dead. Two tries count once.
        retry = Retry(NoBackoff(), 1, (redis.ConnectionError,))
        try:
            self._client = redis.Redis.from_url(url, retry=retry, **self._options)
        except ValueError as error:
            raise ConfigurationError(f"url must be redis://, rediss:// or unix://: {error}") from None
        self._async_clients: WeakKeyDictionary[asyncio.AbstractEventLoop, redis_async.Redis] = (
            WeakKeyDictionary()
        )

    def __repr__(self) -> str:
        return self._name

    def close(self) -> None:
        """Close the connections of the sync methods; the next use opens new ones."""
        self._client.close()

    async def aclose(self) -> None:
        """Close the connections that this event loop opened."""
        if client := self._async_clients.pop(asyncio.get_running_loop(), None):
            await client.aclose()

    def now_us(self) -> int:
        """Return the server's time as the last answer told it."""
        return int((self._clock or time)() * 1_000_000) + self._ahead_us

    def reserve(
        self, hold: Hold, checks: Sequence[Check], lease_us: int, sent: bool
    ) -> Granted | Refused | Stale:
        """Set a hold aside in all its accounts or in none; the same hold a second time changes nothing."""
        return self._heard(read_reserve(self._run(self._reserve(hold, checks, lease_us, sent))))

    async def areserve(
        self, hold: Hold, checks: Sequence[Check], lease_us: int, sent: bool
    ) -> Granted | Refused | Stale:
        """Do what `reserve` does."""
        return self._heard(read_reserve(await self._arun(self._reserve(hold, checks, lease_us, sent))))

    def mark_sent(self, hold: Hold) -> HoldState:
        """Note that the call was sent."""
        return read_state(self._run(self._mark(hold, "sent", _sent_flag(hold))))

    async def amark_sent(self, hold: Hold) -> HoldState:
        """Do what `mark_sent` does."""
        return read_state(await self._arun(self._mark(hold, "sent", _sent_flag(hold))))

    def renew(self, hold: Hold, lease_us: int) -> HoldState:
        """Let the lease run anew from now."""
        return read_state(self._run(self._mark(hold, "renew", str(lease_us))))

    async def arenew(self, hold: Hold, lease_us: int) -> HoldState:
        """Do what `renew` does."""
        return read_state(await self._arun(self._mark(hold, "renew", str(lease_us))))

    def settle(self, hold: Hold, spent: Amounts) -> Settled:
        """Replace a hold by what was spent, whether or not the hold still stands."""
        return self._heard(read_end(self._run(self._end(hold, "settled", spent))))

    async def asettle(self, hold: Hold, spent: Amounts) -> Settled:
        """Do what `settle` does."""
        return self._heard(read_end(await self._arun(self._end(hold, "settled", spent))))

    def release(self, hold: Hold) -> HoldState:
        """Free a hold that cost nothing."""
        return _ending(read_end(self._run(self._end(hold, "released", Amounts()))))

    async def arelease(self, hold: Hold) -> HoldState:
        """Do what `release` does."""
        return _ending(read_end(await self._arun(self._end(hold, "released", Amounts()))))

    def grant(self, account: Account, amounts: Amounts) -> None:
        """Allow more on an account for as long as its window lasts."""
        self._run(self._grant(account, amounts))

    async def agrant(self, account: Account, amounts: Amounts) -> None:
        """Do what `grant` does."""
        await self._arun(self._grant(account, amounts))

    def claim(self, account: Account, name: str) -> bool:
        """Return True to exactly one caller per account and name."""
        return bool(self._run(self._claim(account, name)))

    async def aclaim(self, account: Account, name: str) -> bool:
        """Do what `claim` does."""
        return bool(await self._arun(self._claim(account, name)))

    def read(self, accounts: Sequence[Account]) -> tuple[int, tuple[AccountState, ...]]:
        """Return the store's time and what stands on each account."""
        return read_states(self._run(self._read(accounts)))

    async def aread(self, accounts: Sequence[Account]) -> tuple[int, tuple[AccountState, ...]]:
        """Do what `read` does."""
        return read_states(await self._arun(self._read(accounts)))

    def _reserve(self, hold: Hold, checks: Sequence[Check], lease_us: int, sent: bool) -> _Call:
        if len(hold.id.split()) != 1:
            raise ConfigurationError(f"a hold's id must be one word, not {hold.id!r}; nothing was set aside")
        where = self._where(hold.accounts)
        flag = _sent_flag(hold) if sent else "0"
        what = f"{hold.id} {_words(hold.amounts)} {lease_us} {flag} {where.span} {hold.owner}"
        # Lua counts from 1.
        words = [f"{account + 1} {unit + 1} {limit} {soft:d}" for account, unit, limit, soft in checks]
        return _RESERVE, where.keys, (f"{self._given_now()} {what}", " ".join(words), where.specs)

    def _mark(self, hold: Hold, what: str, value: str) -> _Call:
        where = self._where(hold.accounts)
        keys = (self._ending_key(hold), *where.keys)
        return _MARK, keys, (f"{self._given_now()} {hold.id} {what} {value}", where.specs)

    def _end(self, hold: Hold, ending: str, spent: Amounts) -> _Call:
        where = self._where(hold.accounts)
        keys = (self._ending_key(hold), *where.keys)
        what = f"{hold.id} {ending} {_words(hold.amounts)} {_words(spent)} {self._remember_ms}"
        return _END, keys, (f"{self._given_now()} {what}", where.specs)

    def _grant(self, account: Account, amounts: Amounts) -> _Call:
        where = self._where((account,))
        return _GRANT, where.keys, (self._given_now(), *map(str, amounts), where.specs)

    def _claim(self, account: Account, name: str) -> _Call:
        where = self._where((account,))
        return _CLAIM, where.keys, (self._given_now(), name, where.specs)

    def _read(self, accounts: Sequence[Account]) -> _Call:
        where = self._where(tuple(accounts))
        return _READ, where.keys, (self._given_now(), where.specs)

    def _where(self, accounts: tuple[Account, ...]) -> _Where:
        found = self._known.get(accounts)
        if found is None:
            start_us = max((account.start_us for account in accounts), default=0)
            end_us = min((account.end_us for account in accounts if account.end_us), default=_NEVER_US)
            found = _Where(
                tuple(f"{self._prefix}:account:{account.id}".encode() for account in accounts),
                ";".join(map(self._spec, accounts)).encode(),
                f"{start_us} {end_us}",
            )
            if len(self._known) >= _KNOWN:
                self._known.clear()
            self._known[accounts] = found
        return found

    def _spec(self, account: Account) -> str:
        _, _, end_us, length_us, bucket_us = account
        keep_ms = self._keep_idle_ms
        if end_us or length_us:
            keep_ms = 2 * length_us // 1000 + _KEEP_ENDED_MS
        kind = "c" if end_us else "r" if length_us else "t"
        return f"{kind} {end_us} {length_us} {bucket_us} {keep_ms}"

    def _given_now(self) -> str:
        return "" if self._clock is None else str(int(self._clock() * 1_000_000))

    def _ending_key(self, hold: Hold) -> bytes:
        return f"{self._prefix}:ending:{hold.id}".encode()

    def _heard(self, reply: _Reply) -> _Reply:
        if self._clock is None:
            self._ahead_us = reply.now_us - int(time() * 1_000_000)
        return reply

    def _run(self, call: _Call) -> Any:  # what a script answers
        script, keys, arguments = call
        rest = (len(keys), *keys, *arguments)
        command: Callable[..., Any] = self._client.execute_command
        with self._store_errors():
            try:
                return command("EVALSHA", script.sha, *rest)
            except redis.exceptions.NoScriptError:
                return command("EVAL", script.text, *rest)

    async def _arun(self, call: _Call) -> Any:  # likewise
        script, keys, arguments = call
        rest = (len(keys), *keys, *arguments)
        command: Callable[..., Any] = self._async_client().execute_command
        with self._store_errors():
            try:
                return await command("EVALSHA", script.sha, *rest)
            except redis.exceptions.NoScriptError:
                return await command("EVAL", script.text, *rest)

    def _async_client(self) -> redis_async.Redis:
        loop = asyncio.get_running_loop()
        client = self._async_clients.get(loop)
        if client is None:
            retry = AsyncRetry(NoBackoff(), 1, (redis.ConnectionError,))
            client = redis_async.Redis.from_url(self.url, retry=retry, **self._options)
            self._async_clients[loop] = client
        return client

    @contextmanager
    def _store_errors(self) -> Iterator[None]:
        try:
            yield
        except (redis.RedisError, OSError) as error:
            problem = str(error) or type(error).__name__
            raise StoreError(self._name, f"{problem}; the step was not taken") from error


def _sent_flag(hold: Hold) -> str:
    return "0" if hold.lapses else "1"


def _words(amounts: Amounts) -> str:
    return f"{amounts[0]} {amounts[1]} {amounts[2]}"


def _ending(reply: Settled) -> HoldState:
    if reply.repeated:
        return "done"
    return "lapsed" if reply.late else "ok"


def _without_password(url: str) -> str:
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2].partition('?')[0]}"
