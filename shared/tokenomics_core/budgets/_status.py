"""How much of a budget is spent, held and left, and when it will be gone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from tokenomics_core.budgets._limit import Unit
from tokenomics_core.budgets._money import from_nano
from tokenomics_core.budgets._store import Account, AccountState, OpenHold, Sums
from tokenomics_core.budgets._touched import Rule, Touched
from tokenomics_core.budgets._window import from_us

__all__ = ["BudgetLine", "BudgetStatus", "Left", "left_of", "status_of"]

_HOUR_US = 3_600_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetLine:
    """One limit and what stands against it; amounts are in its unit.

    Attributes:
        window: The limit's window by name.
        unit: `usd`, `tokens` or `calls`.
        limit: The limit, grants included.
        spent: What was settled.
        held: What is set aside for calls that run.
        unconfirmed: What was sent and never settled; it counts at its worst case.
        left: What the next call may take; negative after an overshoot.
        granted: What was granted beyond the limit in this window.
        downgrade_to: The tier beyond a soft limit; None for a hard one.
        burn_per_hour: Spend per hour since the window began or over a rolling one; None at first.
        exhausted_at: When nothing is left if spending goes on like that; None where it lasts for the window.
        starts_at: When the window began; None where it has no beginning.
        resets_at: When the window ends; None where it does not.
    """

    window: str
    unit: Unit
    limit: Decimal | int
    spent: Decimal | int
    held: Decimal | int
    unconfirmed: Decimal | int
    left: Decimal | int
    granted: Decimal | int
    downgrade_to: str | None
    burn_per_hour: Decimal | None
    exhausted_at: datetime | None
    starts_at: datetime | None
    resets_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetStatus:
    """What stands on every limit of one user, feature, run ...

    Every unit is counted, whether or not a limit is in it. Where a scope has limits over several windows, the
    amounts here are those of the first declared; `lines` has all.

    Attributes:
        scope: What the limits are on.
        key: Which of them.
        at: When, by the store's time.
        lines: One per limit, in the order they were declared.
        spent_usd: What was settled.
        held_usd: What is set aside for calls that run.
        unconfirmed_usd: What was sent and never settled.
        left_usd: The least that is left of any hard limit in USD; None where there is none.
        spent_tokens: Tokens settled.
        spent_calls: Calls settled.
        holds: Who holds what.
    """

    scope: str
    key: str
    at: datetime
    lines: tuple[BudgetLine, ...]
    spent_usd: Decimal
    held_usd: Decimal
    unconfirmed_usd: Decimal
    left_usd: Decimal | None
    spent_tokens: int
    held_tokens: int
    unconfirmed_tokens: int
    left_tokens: int | None
    spent_calls: int
    held_calls: int
    unconfirmed_calls: int
    left_calls: int | None
    holds: tuple[OpenHold, ...]

    @property
    def limit_usd(self) -> Decimal | None:
        """The first limit in USD."""
        return next((line.limit for line in self.lines if isinstance(line.limit, Decimal)), None)

    @property
    def burn_usd_per_hour(self) -> Decimal | None:
        """Spend per hour against the first limit in USD."""
        return next((line.burn_per_hour for line in self.lines if line.unit == "usd"), None)

    @property
    def exhausted_at(self) -> datetime | None:
        """When the first hard limit is used up if spending goes on like now; None where all last."""
        times = [line.exhausted_at for line in self.lines if line.exhausted_at and line.downgrade_to is None]
        return min(times, default=None)

    @property
    def resets_at(self) -> datetime | None:
        """When the next window ends."""
        return min((line.resets_at for line in self.lines if line.resets_at), default=None)

    def __str__(self) -> str:
        from tokenomics_core.budgets._status_table import status_text  # noqa: PLC0415 - drawing is rare

        return status_text(self)

    def _repr_html_(self) -> str:
        from tokenomics_core.budgets._status_table import status_html  # noqa: PLC0415 - likewise

        return status_html(self)

    def __rich__(self) -> Any:
        from tokenomics_core.budgets._status_table import status_rich  # noqa: PLC0415 - likewise

        return status_rich(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """The most that one more call may take over all hard limits it touches; None where no limit says.

    Attributes:
        usd: In USD; 0 where a limit is used up or passed.
        tokens: In tokens, input and output together.
        calls: In calls.
        downgrade_to: The tier that a soft limit which is used up asks for.
    """

    usd: Decimal | None = None
    tokens: int | None = None
    calls: int | None = None
    downgrade_to: str | None = None


def left_of(touched: Touched, sums: Sequence[Sums]) -> Left:
    """Take the tightest of all hard limits."""
    least: dict[str, int] = {}
    tier = None
    for rule in touched.request:
        if rule.downgrade_to is None:
            least[rule.unit] = min(least.get(rule.unit, rule.amount), rule.amount)
    for check, rule in zip(touched.checks, touched.rules, strict=True):
        room = _room(rule, sums[check.account])
        if rule.downgrade_to is None:
            least[rule.unit] = max(0, min(least.get(rule.unit, room), room))
        elif room <= 0:
            tier = rule.downgrade_to
    usd = least.get("usd")
    return Left(
        usd=None if usd is None else from_nano(usd),
        tokens=least.get("tokens"),
        calls=least.get("calls"),
        downgrade_to=tier,
    )


def status_of(
    scope: str, key: str, touched: Touched, states: Sequence[AccountState], now_us: int
) -> BudgetStatus:
    """Set out what stands on the accounts of one scope."""
    lines: list[BudgetLine] = []
    left: dict[Unit, int | None] = {"usd": None, "tokens": None, "calls": None}
    for check, rule in zip(touched.checks, touched.rules, strict=True):
        state = states[check.account]
        lines.append(_line(rule, touched.accounts[check.account], state, now_us))
        if rule.downgrade_to is None:
            room = _room(rule, state)
            known = left[rule.unit]
            left[rule.unit] = room if known is None else min(known, room)
    first = states[0]
    return BudgetStatus(
        scope=scope,
        key=key,
        at=from_us(now_us),
        lines=tuple(lines),
        spent_usd=from_nano(first.spent.nano_usd),
        held_usd=from_nano(first.held.nano_usd),
        unconfirmed_usd=from_nano(first.unconfirmed.nano_usd),
        left_usd=None if left["usd"] is None else from_nano(left["usd"]),
        spent_tokens=first.spent.tokens,
        held_tokens=first.held.tokens,
        unconfirmed_tokens=first.unconfirmed.tokens,
        left_tokens=left["tokens"],
        spent_calls=first.spent.calls,
        held_calls=first.held.calls,
        unconfirmed_calls=first.unconfirmed.calls,
        left_calls=left["calls"],
        holds=first.holds,
    )


def _room(rule: Rule, state: AccountState | Sums) -> int:
    unit = rule.unit_index
    return rule.amount + state.granted[unit] - state.committed(unit)


def _line(rule: Rule, account: Account, state: AccountState, now_us: int) -> BudgetLine:
    unit = rule.unit_index
    room = _room(rule, state)
    start_us = account.start_us or (now_us - account.length_us if account.length_us else state.created_us)
    elapsed_us = now_us - start_us if start_us else 0
    burn = Decimal(state.spent[unit]) * _HOUR_US / elapsed_us if elapsed_us > 0 else None
    return BudgetLine(
        window=rule.where.window.name,
        unit=rule.unit,
        limit=rule.shown(rule.amount + state.granted[unit]),
        spent=rule.shown(state.spent[unit]),
        held=rule.shown(state.held[unit]),
        unconfirmed=rule.shown(state.unconfirmed[unit]),
        left=rule.shown(room),
        granted=rule.shown(state.granted[unit]),
        downgrade_to=rule.downgrade_to,
        burn_per_hour=None if burn is None else _per_hour(rule, burn),
        exhausted_at=_exhausted_at(room, burn, account.end_us, now_us),
        starts_at=from_us(start_us) if start_us else None,
        resets_at=from_us(account.end_us) if account.end_us else None,
    )


def _per_hour(rule: Rule, burn: Decimal) -> Decimal:
    return from_nano(round(burn)) if rule.unit == "usd" else round(burn, 3)


def _exhausted_at(room: int, burn: Decimal | None, end_us: int, now_us: int) -> datetime | None:
    if room <= 0:
        return from_us(now_us)
    if not burn:
        return None
    at_us = now_us + int(room * _HOUR_US / burn)
    if (end_us and at_us >= end_us) or at_us >= 2**55:
        return None
    return from_us(at_us)
