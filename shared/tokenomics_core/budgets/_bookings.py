"""What is asked of budgets besides the life of a reservation: late bills, shares, and to forget a user."""

from __future__ import annotations

from datetime import datetime

from tokenomics_core.budgets._flow import Flow
from tokenomics_core.budgets._money import Money
from tokenomics_core.budgets._reservation import Reservation, Settlement
from tokenomics_core.budgets._steps import Steps
from tokenomics_core.budgets._store import Amounts, Hold
from tokenomics_core.budgets._window import to_us
from tokenomics_core.errors import ConfigurationError, StoreError
from tokenomics_core.types import Attribution, current_attribution

__all__ = ["forget", "record", "share_used"]


def record(
    flow: Flow,
    attribution: Attribution | None,
    usd: Money | None,
    tokens: int | None,
    calls: int,
    at: datetime | None,
    bill_id: str | None,
) -> Steps[Settlement]:
    """Book what nobody reserved: the settlement of a hold that never stood."""
    if usd is None and tokens is None and not calls:
        raise ConfigurationError("a bill needs usd, tokens or calls; nothing was booked")
    who = current_attribution() if attribution is None else attribution
    at_us = flow.store.now_us() if at is None else to_us(at)
    touched = flow.limits.touched(who, at_us)
    hold = Hold(flow.new_id() if bill_id is None else bill_id, flow.owner, Amounts(), touched.accounts)
    never_held = Reservation(hold, who, at_us, at_us, guarded=False)
    return (yield from flow.settle(never_held, usd or 0, tokens or 0, calls))


def share_used(flow: Flow, attribution: Attribution | None) -> Steps[float | None]:
    """Read how much of the tightest hard limit is spent or set aside."""
    who = current_attribution() if attribution is None else attribution
    touched = flow.limits.touched(who, flow.store.now_us())
    if not touched.accounts:
        return 0.0
    try:
        _, sums = yield from flow.taken("sums", touched.accounts)
    except StoreError:
        if not flow.is_open:
            raise
        return None
    most = 0.0
    for check, rule in zip(touched.checks, touched.rules, strict=True):
        if rule.downgrade_to is None:
            found = sums[check.account]
            allowed = rule.amount + found.granted[check.unit]
            most = max(most, found.committed(check.unit) / allowed if allowed else 1.0)
    return most


def forget(flow: Flow, user: str) -> Steps[int]:
    """Delete what is kept under a user's name, here and in the store."""
    if not isinstance(user, str) or not user:
        raise ConfigurationError(f"user must be a name, not {user!r}; nothing was forgotten")
    # What waits for the store names users too; it is written first, so that it does not come back later.
    n_deleted: int = yield from flow.taken("forget", user)
    flow.forget_names()
    return n_deleted
