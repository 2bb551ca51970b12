"""What the Redis scripts answer, as values."""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct

from tokenomics_core.budgets._store import (
    AccountState,
    Amounts,
    Granted,
    HoldState,
    OpenHold,
    Refused,
    Settled,
    Stale,
    Sums,
)

__all__ = ["read_end", "read_reserve", "read_state", "read_states", "read_sums"]

_STALE, _GRANTED, _NUMBER = 0, 1, 8
_NONE = Amounts()
_HOLD = Struct("<5d")
# The scripts answer in doubles; every one is a whole number.
_numbers_of = [Struct(f"<{count}d").unpack for count in range(40)]


def read_reserve(reply: bytes) -> Granted | Refused | Stale:
    """Read the answer to a reservation."""
    kind, now_us, *rest = _numbers(reply)
    if kind == _GRANTED:
        return Granted(now_us, rest[0], tuple(rest[1:]) if len(rest) > 1 else ())
    return Stale(now_us) if kind == _STALE else Refused(now_us, *rest)


def read_end(reply: bytes, accounts: int) -> Settled:
    """Read the answer to a settlement or release: sums spent per account, then those granted if there are."""
    done, now_us, *rest = _numbers(reply)
    if not done:
        return Settled(now_us, True, False)
    late, *sums = rest
    spent = _amounts(sums[: 3 * accounts])
    granted = _amounts(sums[3 * accounts :]) or (_NONE,) * accounts
    return Settled(now_us, False, late == 1, spent, granted)


def read_state(reply: bytes) -> HoldState:
    """Read the answer to a change of a hold."""
    if reply == b"ok":
        return "ok"
    return "done" if reply == b"done" else "lapsed"


def read_sums(reply: bytes) -> tuple[int, tuple[Sums, ...]]:
    """Read the answer to a question for sums: the time, then nine per account."""
    now_us, *numbers = _numbers(reply)
    return now_us, tuple(map(Sums._make, zip(*[iter(_amounts(numbers))] * 3, strict=True)))


def read_states(reply: Sequence[bytes | Sequence[bytes]]) -> tuple[int, tuple[AccountState, ...]]:
    """Read the answer to a question: the time, then each account's sums and holds."""
    (now_us,) = _numbers(bytes(reply[0]))  # type: ignore[arg-type]  # the first is never a list
    return now_us, tuple(_state(found, now_us) for found in reply[1:])  # type: ignore[arg-type]  # the rest are


def _numbers(reply: bytes) -> list[int]:
    count = len(reply) // _NUMBER
    unpack = _numbers_of[count] if count < len(_numbers_of) else Struct(f"<{count}d").unpack
    return list(map(int, unpack(reply)))


def _amounts(numbers: Sequence[int]) -> tuple[Amounts, ...]:
    triples = zip(numbers[::3], numbers[1::3], numbers[2::3], strict=True)
    return tuple(
        [tuple.__new__(Amounts, triple) for triple in triples]
    )  # a third of what `Amounts(...)` takes


def _state(found: Sequence[bytes], now_us: int) -> AccountState:
    numbers = _numbers(found[0])
    holds = tuple(map(_hold, found[1::2], found[2::2]))
    return AccountState(
        spent=Amounts(*numbers[:3]),
        held=_sum([hold.amounts for hold in holds if now_us < hold.expires_us]),
        unconfirmed=_sum([hold.amounts for hold in holds if now_us >= hold.expires_us]),
        granted=Amounts(*numbers[3:6]),
        created_us=numbers[6],
        holds=holds,
    )


def _hold(hold_id: bytes, stored: bytes) -> OpenHold:
    usd, tokens, calls, expires, sent = map(int, _HOLD.unpack_from(stored))
    owner = stored[_HOLD.size :].decode()
    return OpenHold(hold_id.decode(), owner, Amounts(usd, tokens, calls), expires, sent == 1)


def _sum(amounts: Sequence[Amounts]) -> Amounts:
    return Amounts(*(sum(column) for column in zip(*amounts, strict=True))) if amounts else Amounts()
