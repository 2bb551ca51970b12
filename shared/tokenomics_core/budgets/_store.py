"""What a store of budgets is asked, and what it answers.

A store keeps *accounts*: what one limit counts, one window at a time. It knows nothing of scopes and zones.
Every amount is a whole number in the order of `UNITS`; every time is microseconds since 1970.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple, Protocol

from tokenomics_core.errors import StoreError

__all__ = [
    "Account",
    "AccountState",
    "Amounts",
    "BudgetStore",
    "Check",
    "Granted",
    "Hold",
    "HoldState",
    "OpenHold",
    "Refused",
    "Settled",
    "Stale",
    "Sums",
    "UncertainStepError",
]


class UncertainStepError(StoreError):
    """The store was asked and its answer was lost: the step may have been taken or not."""


class Amounts(NamedTuple):
    """One amount per unit."""

    nano_usd: int = 0
    tokens: int = 0
    calls: int = 0


class Account(NamedTuple):
    """One window of what a limit counts.

    Attributes:
        id: The same for the same scope, key and window everywhere.
        start_us: When the window starts.
        end_us: When it ends; 0 where it never does.
        length_us: How long a rolling window is; 0 for any other.
        bucket_us: In steps of what length spend leaves a rolling window.
    """

    id: str
    start_us: int = 0
    end_us: int = 0
    length_us: int = 0
    bucket_us: int = 0


class Hold(NamedTuple):
    """An amount set aside in several accounts at once.

    Attributes:
        id: The same in all of them; what makes settling it twice settle it once.
        owner: Who holds it, for people to read.
        amounts: What is set aside in each account.
        accounts: Where.
        lapses: Whether it is freed at its lease even after it was sent.
    """

    id: str
    owner: str
    amounts: Amounts
    accounts: tuple[Account, ...]
    lapses: bool = False


class Check(NamedTuple):
    """A limit on one account.

    Attributes:
        account: Index of the account in the hold.
        unit: Index of the unit.
        limit: The most that may be committed, before grants.
        soft: Whether a hold beyond it is only reported.
    """

    account: int
    unit: int
    limit: int
    soft: bool = False


class Granted(NamedTuple):
    """The hold stands in every account; `soft` lists the soft checks that it passes over."""

    now_us: int
    expires_us: int
    soft: tuple[int, ...] = ()


class Refused(NamedTuple):
    """The hold stands nowhere: it does not fit the first check named here.

    Attributes:
        now_us: The store's time.
        check: Index of the check.
        committed: What is spent or set aside on its account, in its unit.
        granted: What was granted beyond the limit.
    """

    now_us: int
    check: int
    committed: int
    granted: int


class Stale(NamedTuple):
    """The hold stands nowhere: by the store's time a window has ended or not begun."""

    now_us: int


class Settled(NamedTuple):
    """What settling did.

    Attributes:
        now_us: The store's time.
        repeated: Whether the hold was settled before; then nothing was booked now.
        late: Whether the hold had already been freed.
        spent: What each account has spent now.
        granted: What was granted on each account.
    """

    now_us: int
    repeated: bool
    late: bool
    spent: tuple[Amounts, ...] = ()
    granted: tuple[Amounts, ...] = ()


HoldState = Literal["ok", "lapsed", "done"]


class OpenHold(NamedTuple):
    """A hold as it stands on one account."""

    id: str
    owner: str
    amounts: Amounts
    expires_us: int
    sent: bool


class AccountState(NamedTuple):
    """What stands on one account.

    Attributes:
        spent: What was settled.
        held: What is set aside under a running lease.
        unconfirmed: What was sent, never settled, and is past its lease.
        granted: What was granted beyond the limit in this window.
        created_us: When the account was first used; 0 where it never was.
        holds: Every hold on it.
    """

    spent: Amounts = Amounts()
    held: Amounts = Amounts()
    unconfirmed: Amounts = Amounts()
    granted: Amounts = Amounts()
    created_us: int = 0
    holds: tuple[OpenHold, ...] = ()

    def committed(self, unit: int) -> int:
        """Return what is spent, held or unconfirmed."""
        return self.spent[unit] + self.held[unit] + self.unconfirmed[unit]


class Sums(NamedTuple):
    """What stands on one account, without its holds one by one.

    Attributes:
        spent: What was settled.
        held: What is set aside, under a running lease or unconfirmed.
        granted: What was granted beyond the limit in this window.
    """

    spent: Amounts = Amounts()
    held: Amounts = Amounts()
    granted: Amounts = Amounts()

    def committed(self, unit: int) -> int:
        """Return what is spent, held or unconfirmed."""
        return self.spent[unit] + self.held[unit]


class BudgetStore(Protocol):
    """Where budgets are kept. Each method is one atomic step; each has an async twin.

    Every method raises `StoreError` where the store cannot be used.
    """

    def now_us(self) -> int:
        """Return the store's time as well as it is known here."""

    def reserve(
        self, hold: Hold, checks: Sequence[Check], lease_us: int, sent: bool
    ) -> Granted | Refused | Stale:
        """Set a hold aside in all its accounts or in none; the same hold a second time changes nothing."""

    def mark_sent(self, hold: Hold) -> HoldState:
        """Note that the call was sent, so that the hold outlives its lease unless it says otherwise."""

    def renew(self, hold: Hold, lease_us: int) -> HoldState:
        """Let the lease run anew from now."""

    def settle(self, hold: Hold, spent: Amounts) -> Settled:
        """Replace a hold by what was spent, whether or not the hold still stands."""

    def release(self, hold: Hold) -> HoldState:
        """Free a hold that cost nothing."""

    def grant(self, account: Account, amounts: Amounts) -> None:
        """Allow more on an account for as long as its window lasts."""

    def claim(self, account: Account, name: str) -> bool:
        """Return True to exactly one caller per account and name."""

    def read(self, accounts: Sequence[Account]) -> tuple[int, tuple[AccountState, ...]]:
        """Return the store's time and what stands on each account."""

    def sums(self, accounts: Sequence[Account]) -> tuple[int, tuple[Sums, ...]]:
        """Return the store's time and the sums of each account."""

    def forget(self, user: str) -> int:
        """Delete every account that counts what a user spends, and return how many there were."""

    async def areserve(
        self, hold: Hold, checks: Sequence[Check], lease_us: int, sent: bool
    ) -> Granted | Refused | Stale:
        """Do what `reserve` does."""

    async def amark_sent(self, hold: Hold) -> HoldState:
        """Do what `mark_sent` does."""

    async def arenew(self, hold: Hold, lease_us: int) -> HoldState:
        """Do what `renew` does."""

    async def asettle(self, hold: Hold, spent: Amounts) -> Settled:
        """Do what `settle` does."""

    async def arelease(self, hold: Hold) -> HoldState:
        """Do what `release` does."""

    async def agrant(self, account: Account, amounts: Amounts) -> None:
        """Do what `grant` does."""

    async def aclaim(self, account: Account, name: str) -> bool:
        """Do what `claim` does."""

    async def aread(self, accounts: Sequence[Account]) -> tuple[int, tuple[AccountState, ...]]:
        """Do what `read` does."""

    async def asums(self, accounts: Sequence[Account]) -> tuple[int, tuple[Sums, ...]]:
        """Do what `sums` does."""

    async def aforget(self, user: str) -> int:
        """Do what `forget` does."""
