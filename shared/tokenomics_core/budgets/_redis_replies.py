"""What the Redis scripts answer, as values."""

from __future__ import annotations

from collections.abc import Sequence

from tokenomics_core.budgets._store import (
    AccountState,
    Amounts,
    Granted,
    HoldState,
    OpenHold,
    Refused,
    Settled,
    Stale,
)

__all__ = ["read_end", "read_reserve", "read_state", "read_states"]

_PER_ACCOUNT = 6


def read_reserve(reply: str) -> Granted | Refused | Stale:
    """Read the answer to a reservation; the script counts checks from 1."""
    kind, *words = reply.split(" ")
    numbers = list(map(int, words))
    if kind == "granted":
        return Granted(numbers[0], numbers[1], tuple(check - 1 for check in numbers[2:]))
    if kind == "stale":
        return Stale(numbers[0])
    now_us, check, committed, granted = numbers
    return Refused(now_us, check - 1, committed, granted)


def read_end(reply: str) -> Settled:
    """Read the answer to a settlement or release: six sums per account."""
    kind, *words = reply.split(" ")
    numbers = list(map(int, words))
    if kind == "done":
        return Settled(numbers[0], repeated=True, late=False)
    rows = [numbers[at : at + _PER_ACCOUNT] for at in range(2, len(numbers), _PER_ACCOUNT)]
    return Settled(
        numbers[0],
        False,
        bool(numbers[1]),
        tuple([Amounts(*row[:3]) for row in rows]),
        tuple([Amounts(*row[3:]) for row in rows]),
    )


def read_state(reply: str) -> HoldState:
    """Read the answer to a change of a hold."""
    if reply == "ok":
        return "ok"
    return "done" if reply == "done" else "lapsed"


def read_states(reply: Sequence[str | Sequence[str]]) -> tuple[int, tuple[AccountState, ...]]:
    """Read the answer to a question: the time, then each account's sums and holds."""
    now_us = int(str(reply[0]))
    return now_us, tuple(_state(found, now_us) for found in reply[1:])


def _state(found: Sequence[str], now_us: int) -> AccountState:
    sums, *rest = found
    numbers = list(map(int, sums.split(" ")))
    holds = tuple(map(_hold, rest))
    return AccountState(
        spent=Amounts(*numbers[:3]),
        held=_sum([hold.amounts for hold in holds if now_us < hold.expires_us]),
        unconfirmed=_sum([hold.amounts for hold in holds if now_us >= hold.expires_us]),
        granted=Amounts(*numbers[3:6]),
        created_us=numbers[6],
        holds=holds,
    )


def _hold(words: str) -> OpenHold:
    hold_id, usd, tokens, calls, expires, sent, owner = words.split(" ", 6)
    return OpenHold(hold_id, owner, Amounts(int(usd), int(tokens), int(calls)), int(expires), sent == "1")


def _sum(amounts: Sequence[Amounts]) -> Amounts:
    return Amounts(*(sum(column) for column in zip(*amounts, strict=True))) if amounts else Amounts()
