"""What stands on one account, and whether a hold still fits: plain arithmetic, no clock, no store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from tokenomics_core.budgets._store import Account, AccountState, Amounts, Check, Hold, OpenHold, Sums

__all__ = ["NEVER_US", "Standing", "Tally", "judge", "lapse_us", "leaves_us", "open_hold"]

NEVER_US = 2**62
"""Later than any time a store works with."""


class Tally:
    """Spend, holds and grants of one account.

    `held` sums all holds that count, those under lease and the unconfirmed ones alike: only who asks for the
    state needs them apart.
    """

    __slots__ = (
        "account",
        "buckets",
        "created_us",
        "granted",
        "held",
        "holds",
        "next_us",
        "spent",
        "touched_us",
    )

    def __init__(self, account: Account, now_us: int) -> None:
        self.account = account
        self.created_us = self.touched_us = now_us
        self.next_us = NEVER_US
        self.spent, self.held, self.granted = [0, 0, 0], [0, 0, 0], [0, 0, 0]
        self.holds: dict[str, OpenHold] = {}
        self.buckets: dict[int, list[int]] = {}

    def add(self, hold: OpenHold, lapses_us: int) -> None:
        """Set a hold aside."""
        self.holds[hold.id] = hold
        usd, tokens, calls = hold.amounts
        held = self.held
        held[0] += usd
        held[1] += tokens
        held[2] += calls
        self.next_us = min(self.next_us, lapses_us)

    def drop(self, hold_id: str) -> bool:
        """Take a hold away; return whether it was there."""
        hold = self.holds.pop(hold_id, None)
        if hold is None:
            return False
        usd, tokens, calls = hold.amounts
        held = self.held
        held[0] -= usd
        held[1] -= tokens
        held[2] -= calls
        return True

    def book(self, amounts: Amounts, now_us: int) -> None:
        """Add to what is spent."""
        usd, tokens, calls = amounts
        spent = self.spent
        spent[0] += usd
        spent[1] += tokens
        spent[2] += calls
        if self.account.length_us:
            index = now_us // self.account.bucket_us
            bucket = self.buckets.setdefault(index, [0, 0, 0])
            for unit in range(3):
                bucket[unit] += amounts[unit]
            self.next_us = min(self.next_us, leaves_us(index, self.account))

    def sweep(self, now_us: int) -> None:
        """Drop holds that lapsed and spend that left a rolling window."""
        following = NEVER_US
        for hold in list(self.holds.values()):
            at = lapse_us(hold, self.account)
            if at <= now_us:
                self.drop(hold.id)
            else:
                following = min(following, at)
        for index in list(self.buckets):
            at = leaves_us(index, self.account)
            if at <= now_us:
                gone = self.buckets.pop(index)
                self.spent = [have - less for have, less in zip(self.spent, gone, strict=True)]
            else:
                following = min(following, at)
        self.next_us = following

    def sums(self) -> Sums:
        """Return the sums as a value."""
        return Sums(Amounts(*self.spent), Amounts(*self.held), Amounts(*self.granted))

    def state(self, now_us: int) -> AccountState:
        """Return everything as a value, holds under lease apart from unconfirmed ones."""
        held, unconfirmed = [0, 0, 0], [0, 0, 0]
        for hold in self.holds.values():
            into = held if now_us < hold.expires_us else unconfirmed
            for unit in range(3):
                into[unit] += hold.amounts[unit]
        return AccountState(
            Amounts(*self.spent),
            Amounts(*held),
            Amounts(*unconfirmed),
            Amounts(*self.granted),
            self.created_us,
            tuple(self.holds.values()),
        )


def lapse_us(hold: OpenHold, account: Account) -> int:
    """Return when a hold stops counting: at its lease, or where it was sent when the window is over."""
    if not hold.sent:
        return hold.expires_us
    return hold.expires_us + account.length_us if account.length_us else NEVER_US


def leaves_us(bucket: int, account: Account) -> int:
    """Return when spend of a bucket leaves a rolling window: with its last moment, so never early."""
    return (bucket + 1) * account.bucket_us + account.length_us


class Standing(Protocol):
    """The sums of an account, one number per unit."""

    spent: list[int]
    held: list[int]
    granted: list[int]


def judge(
    checks: Sequence[Check], tallies: Sequence[Standing], amounts: Amounts
) -> tuple[int | None, tuple[int, ...]]:
    """Return the first check that refuses, or None, and the soft checks that are passed over."""
    soft: tuple[int, ...] = ()
    for index, (account, unit, limit, is_soft) in enumerate(checks):
        tally = tallies[account]
        if tally.spent[unit] + tally.held[unit] + amounts[unit] > limit + tally.granted[unit]:
            if not is_soft:
                return index, ()
            soft += (index,)
    return None, soft


def open_hold(hold: Hold, expires_us: int, sent: bool) -> OpenHold:
    """Return a hold as it stands on each of its accounts."""
    return OpenHold(hold.id, hold.owner, hold.amounts, expires_us, sent and not hold.lapses)
