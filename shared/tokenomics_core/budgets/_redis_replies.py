"""What the Redis scripts answer, as values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

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


def read_reserve(reply: Sequence[Any]) -> Granted | Refused | Stale:
    """Read the answer to a reservation; the script counts checks from 1."""
    if reply[0] == "granted":
        return Granted(reply[1], reply[2], tuple(check - 1 for check in reply[3:]))
    if reply[0] == "stale":
        return Stale(reply[1])
    return Refused(reply[1], reply[2] - 1, reply[3], reply[4])


def read_end(reply: Sequence[Any]) -> Settled:
    """Read the answer to a settlement or release: nine sums per account, then whether it was late."""
    if reply[0] == "done":
        return Settled(reply[1], repeated=True, late=False)
    sums = reply[2:-1]
    rows = [sums[at : at + 9] for at in range(0, len(sums), 9)]
    return Settled(
        reply[1],
        repeated=False,
        late=bool(reply[-1]),
        spent=tuple(Amounts(*row[:3]) for row in rows),
        granted=tuple(Amounts(*row[6:]) for row in rows),
    )


def read_state(reply: str) -> HoldState:
    """Read the answer to a change of a hold."""
    if reply == "ok":
        return "ok"
    return "done" if reply == "done" else "lapsed"


def read_states(reply: Sequence[Any]) -> tuple[int, tuple[AccountState, ...]]:
    """Read the answer to a question: the time, and each account's hash as a flat list."""
    now_us = reply[0]
    return now_us, tuple(_state(_pairs(flat), now_us) for flat in reply[1:])


def _pairs(flat: Any) -> dict[str, str]:
    if isinstance(flat, dict):
        return flat
    return dict(zip(flat[::2], flat[1::2], strict=True))


def _state(fields: dict[str, str], now_us: int) -> AccountState:
    holds = tuple(_hold(name[2:], value) for name, value in fields.items() if name.startswith("h:"))
    return AccountState(
        spent=_amounts(fields, "s"),
        held=_sum([hold.amounts for hold in holds if now_us < hold.expires_us]),
        unconfirmed=_sum([hold.amounts for hold in holds if now_us >= hold.expires_us]),
        granted=_amounts(fields, "g"),
        created_us=int(fields.get("c", 0)),
        holds=holds,
    )


def _hold(hold_id: str, value: str) -> OpenHold:
    usd, tokens, calls, expires, sent, owner = value.split(" ", 5)
    return OpenHold(hold_id, owner, Amounts(int(usd), int(tokens), int(calls)), int(expires), sent == "1")


def _amounts(fields: dict[str, str], kind: str) -> Amounts:
    return Amounts(*(int(fields.get(f"{kind}{unit}", 0)) for unit in (1, 2, 3)))


def _sum(amounts: Sequence[Amounts]) -> Amounts:
    return Amounts(*(sum(column) for column in zip(*amounts, strict=True))) if amounts else Amounts()
