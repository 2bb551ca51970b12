"""Tell once that a limit is near or reached."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal

from tokenomics_core.budgets._limit import Unit
from tokenomics_core.budgets._store import Account, Amounts
from tokenomics_core.budgets._touched import Place, Rule, Touched
from tokenomics_core.budgets._window import from_us

__all__ = ["Alert", "AlertHandler", "Due", "due_by_refusal", "due_by_spend"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """A threshold of a limit was reached, told once per window whatever number of processes spend.

    Attributes:
        scope: What the limit is on, such as `user` or `user+feature`.
        key: Which of them.
        window: The limit's window by name.
        unit: `usd`, `tokens` or `calls`, in which the amounts are.
        threshold: The share of the limit that was reached.
        limit: The limit, grants included.
        spent: What is spent; where the reason is `refused`, also what is set aside.
        reason: `spent`, or `refused` for a call that did not fit below a threshold of 1.
        at: When, by the store's time.
        resets_at: When the window ends; None where it does not.
    """

    scope: str
    key: str
    window: str
    unit: Unit
    threshold: float
    limit: Decimal | int
    spent: Decimal | int
    reason: Literal["spent", "refused"]
    at: datetime
    resets_at: datetime | None


AlertHandler = Callable[[Alert], Awaitable[None] | None]


@dataclass(frozen=True, slots=True)
class Due:
    """An alert that is due unless somebody has told it: whoever claims the name on the account tells it."""

    account: Account
    name: str
    alert: Alert


def due_by_spend(
    touched: Touched, spent: tuple[Amounts, ...], granted: tuple[Amounts, ...], now_us: int
) -> Iterator[Due]:
    """Yield an alert for every threshold that spend has reached."""
    for check, rule, place in zip(touched.checks, touched.rules, touched.places, strict=True):
        if not rule.alerts:
            continue
        unit = check.unit
        have, more = spent[check.account][unit], granted[check.account][unit]
        if have < rule.alerts[0][1]:
            continue
        for threshold, amount in rule.alerts:
            if more:
                amount += int(Decimal(repr(threshold)) * more)  # noqa: PLW2901 - grants move the threshold
            if have >= amount:
                yield _due(rule, place, threshold, rule.amount + more, have, "spent", now_us)


def due_by_refusal(rule: Rule, place: Place, granted: int, committed: int, now_us: int) -> Iterator[Due]:
    """Yield the alerts at the limit itself, for a call that did not fit."""
    for threshold, _ in rule.alerts:
        if threshold == 1:
            yield _due(rule, place, threshold, rule.amount + granted, committed, "refused", now_us)


def _due(
    rule: Rule,
    place: Place,
    threshold: float,
    limit: int,
    spent: int,
    reason: Literal["spent", "refused"],
    now_us: int,
) -> Due:
    account = place.account
    # A rolling window has no end, so it may tell once per length.
    period = f"@{now_us // account.length_us}" if account.length_us else ""
    kind = f"{rule.unit}>{rule.downgrade_to}" if rule.downgrade_to else rule.unit
    return Due(
        account,
        f"{kind}:{threshold}{period}",
        Alert(
            scope=rule.where.scope,
            key=place.key,
            window=rule.where.window.name,
            unit=rule.unit,
            threshold=threshold,
            limit=rule.shown(limit),
            spent=rule.shown(spent),
            reason=reason,
            at=from_us(now_us),
            resets_at=from_us(account.end_us) if account.end_us else None,
        ),
    )
