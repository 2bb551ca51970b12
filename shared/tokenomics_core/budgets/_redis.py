"""Budgets of a fleet, in Redis or Valkey."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from struct import Struct
from time import time
from typing import Any, TypeVar

from tokenomics_core.budgets import _redis_scripts as scripts
from tokenomics_core.budgets._account_id import belongs_to
from tokenomics_core.budgets._memory import KEEP_ENDED_US, KEEP_IDLE_S, REMEMBER_S
from tokenomics_core.budgets._redis_link import (
    AsyncLinks,
    Call,
    Script,
    Where,
    link_to,
    may_have_been_heard,
    redis_errors,
)
from tokenomics_core.budgets._redis_replies import read_end, read_reserve, read_state, read_states, read_sums
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
    Sums,
    UncertainStepError,
)
from tokenomics_core.errors import ConfigurationError, StoreError

__all__ = ["RedisBudgetStore"]

_KNOWN = 8192
_PAGE = 1000
_NEVER_US = 2**52
_KEEP_ENDED_MS = KEEP_ENDED_US // 1000
_SERVERS_TIME = -1
_SENT, _RENEW = 1, 2
_Reply = TypeVar("_Reply", Granted | Refused | Stale, Settled)

_RESERVE, _MARK, _END = Script(scripts.RESERVE), Script(scripts.MARK), Script(scripts.END)
_GRANT, _CLAIM = Script(scripts.GRANT), Script(scripts.CLAIM)
_READ, _SUMS = Script(scripts.READ), Script(scripts.SUMS)
_one, _three, _four, _five, _eight = (Struct(f"<{count}d").pack for count in (1, 3, 4, 5, 8))


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
        cluster: bool = False,
        timeout_s: float = 5.0,
        keep_idle_s: float | None = KEEP_IDLE_S,
        remember_s: float = REMEMBER_S,
        clock: Callable[[], float] | None = None,
    ) -> None:
        """Name the server; it is connected to when the store is first used.

        Args:
            url: `redis://`, `rediss://` or `unix://`, with options as redis-py reads them.
            namespace: Budgets of different namespaces do not see each other.
            cluster: Whether the server is a node of a cluster; the other nodes are found through it.
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
        self._prefix = f"{{{namespace}}}:budgets:{scripts.LAYOUT}"
        self._clock = clock
        self._keep_idle_ms = -1 if keep_idle_s is None else int(keep_idle_s * 1000)
        self._remember_ms = b"%d" % int(remember_s * 1000)
        self._ahead_us = 0
        self._known: dict[tuple[Account, ...], Where] = {}
        options = {"socket_timeout": timeout_s, "socket_connect_timeout": timeout_s}
        self._link = link_to(url, options, cluster)
        self._async_links = AsyncLinks(url, options, cluster)

    def __repr__(self) -> str:
        return self._name

    def close(self) -> None:
        """Close the connections of the sync methods; the next use opens new ones."""
        self._link.close()

    async def aclose(self) -> None:
        """Close the connections that this event loop opened."""
        await self._async_links.aclose()

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
        return read_state(self._run(self._mark(hold, _SENT, not hold.lapses)))

    async def amark_sent(self, hold: Hold) -> HoldState:
        """Do what `mark_sent` does."""
        return read_state(await self._arun(self._mark(hold, _SENT, not hold.lapses)))

    def renew(self, hold: Hold, lease_us: int) -> HoldState:
        """Let the lease run anew from now."""
        return read_state(self._run(self._mark(hold, _RENEW, lease_us)))

    async def arenew(self, hold: Hold, lease_us: int) -> HoldState:
        """Do what `renew` does."""
        return read_state(await self._arun(self._mark(hold, _RENEW, lease_us)))

    def settle(self, hold: Hold, spent: Amounts) -> Settled:
        """Replace a hold by what was spent, whether or not the hold still stands."""
        return self._heard(read_end(self._run(self._end(hold, True, spent)), len(hold.accounts)))

    async def asettle(self, hold: Hold, spent: Amounts) -> Settled:
        """Do what `settle` does."""
        return self._heard(read_end(await self._arun(self._end(hold, True, spent)), len(hold.accounts)))

    def release(self, hold: Hold) -> HoldState:
        """Free a hold that cost nothing."""
        return _ending(read_end(self._run(self._end(hold, False, Amounts())), len(hold.accounts)))

    async def arelease(self, hold: Hold) -> HoldState:
        """Do what `release` does."""
        return _ending(read_end(await self._arun(self._end(hold, False, Amounts())), len(hold.accounts)))

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
        return read_states(self._run(self._ask(_READ, accounts)))

    async def aread(self, accounts: Sequence[Account]) -> tuple[int, tuple[AccountState, ...]]:
        """Do what `read` does."""
        return read_states(await self._arun(self._ask(_READ, accounts)))

    def sums(self, accounts: Sequence[Account]) -> tuple[int, tuple[Sums, ...]]:
        """Return the store's time and the sums of each account."""
        return read_sums(self._run(self._ask(_SUMS, accounts)))

    async def asums(self, accounts: Sequence[Account]) -> tuple[int, tuple[Sums, ...]]:
        """Do what `sums` does."""
        return read_sums(await self._arun(self._ask(_SUMS, accounts)))

    def forget(self, user: str) -> int:
        """Delete every account that counts what a user spends, and return how many there were.

        It looks through all keys of the server, which is slow where there are millions.
        """
        self._known.clear()
        client, n_deleted = self._link.client, 0
        try:
            for key in client.scan_iter(self._pattern(), _PAGE):
                n_deleted += client.unlink(key) if self._is_of(key, user) else 0
        except redis_errors as error:
            raise StoreError(self._name, f"{_said(error)}; not everything was forgotten") from error
        return n_deleted

    async def aforget(self, user: str) -> int:
        """Do what `forget` does."""
        self._known.clear()
        n_deleted = 0
        try:
            client = await self._async_links.client()
            async for key in client.scan_iter(self._pattern(), _PAGE):
                n_deleted += await client.unlink(key) if self._is_of(key, user) else 0
        except redis_errors as error:
            raise StoreError(self._name, f"{_said(error)}; not everything was forgotten") from error
        return n_deleted

    def _pattern(self) -> str:
        return re.sub(r"([][*?\\])", r"\\\1", f"{self._prefix}:account:") + "*"

    def _is_of(self, key: bytes, user: str) -> bool:
        return belongs_to(key[len(f"{self._prefix}:account:".encode()) :].decode(), "user", user)

    def _reserve(self, hold: Hold, checks: Sequence[Check], lease_us: int, sent: bool) -> Call:
        where = self._where(hold.accounts)
        known, plan = where.plan  # one reference: another thread sees the old pair or the new one
        if known is not checks:
            # Lua counts from 1.
            words = [_four(account + 1, unit + 1, limit, soft) for account, unit, limit, soft in checks]
            plan = where.specs + b"".join(words)
            where.plan = tuple(checks), plan
        numbers = _eight(
            self._given_now(),
            *hold.amounts,
            lease_us,
            sent and not hold.lapses,
            where.start_us,
            where.end_us,
        )
        return Call(_RESERVE, where, (), (numbers + plan, hold.id.encode(), hold.owner.encode()))

    def _mark(self, hold: Hold, what: int, value: int) -> Call:
        where = self._where(hold.accounts)
        numbers = _three(self._given_now(), what, value)
        return Call(_MARK, where, (self._ending_key(hold),), (numbers + where.specs, hold.id.encode()))

    def _end(self, hold: Hold, is_settled: bool, spent: Amounts) -> Call:
        where = self._where(hold.accounts)
        numbers = _five(self._given_now(), is_settled, *spent)
        arguments = (numbers + where.specs, hold.id.encode(), self._remember_ms)
        return Call(_END, where, (self._ending_key(hold),), arguments)

    def _grant(self, account: Account, amounts: Amounts) -> Call:
        where = self._where((account,))
        return Call(_GRANT, where, (), (_four(self._given_now(), *amounts) + where.specs,))

    def _claim(self, account: Account, name: str) -> Call:
        where = self._where((account,))
        return Call(_CLAIM, where, (), (_one(self._given_now()) + where.specs, name.encode()))

    def _ask(self, script: Script, accounts: Sequence[Account]) -> Call:
        where = self._where(tuple(accounts))
        return Call(script, where, (), (_one(self._given_now()) + where.specs,))

    def _where(self, accounts: tuple[Account, ...]) -> Where:
        found = self._known.get(accounts)
        if found is None:
            found = Where(
                tuple(f"{self._prefix}:account:{account.id}".encode() for account in accounts),
                b"".join(map(self._spec, accounts)),
                max((account.start_us for account in accounts), default=0),
                min((account.end_us for account in accounts if account.end_us), default=_NEVER_US),
            )
            if len(self._known) >= _KNOWN:
                self._known.clear()
            self._known[accounts] = found
        return found

    def _spec(self, account: Account) -> bytes:
        _, _, end_us, length_us, bucket_us = account
        keep_ms = self._keep_idle_ms
        if end_us or length_us:
            keep_ms = 2 * length_us // 1000 + _KEEP_ENDED_MS
        return _four(end_us, length_us, bucket_us, keep_ms)

    def _given_now(self) -> int:
        return _SERVERS_TIME if self._clock is None else int(self._clock() * 1_000_000)

    def _ending_key(self, hold: Hold) -> bytes:
        return f"{self._prefix}:ending:{hold.id}".encode()

    def _heard(self, reply: _Reply) -> _Reply:
        if self._clock is None:
            self._ahead_us = reply.now_us - int(time() * 1_000_000)
        return reply

    def _run(self, call: Call) -> Any:  # what a script answers
        try:
            return self._link.run(call)
        except redis_errors as error:
            raise self._step_error(error) from error

    async def _arun(self, call: Call) -> Any:  # likewise
        try:
            return await self._async_links.run(call)
        except redis_errors as error:
            raise self._step_error(error) from error

    def _step_error(self, error: Exception) -> StoreError:
        if may_have_been_heard(error):
            return UncertainStepError(self._name, f"{_said(error)}; whether the step was taken is unknown")
        return StoreError(self._name, f"{_said(error)}; the step was not taken")


def _said(error: Exception) -> str:
    return str(error) or type(error).__name__


def _ending(reply: Settled) -> HoldState:
    if reply.repeated:
        return "done"
    return "lapsed" if reply.late else "ok"


def _without_password(url: str) -> str:
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2].partition('?')[0]}"
