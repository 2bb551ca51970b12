"""Limits that calls cannot overspend: the worst case is reserved before, the real cost settled after."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tokenomics_core.budgets._alerts import Alert
from tokenomics_core.budgets._budgets import Budgets
from tokenomics_core.budgets._limit import Limit, Refusal
from tokenomics_core.budgets._loop import LoopGuard
from tokenomics_core.budgets._memory import MemoryBudgetStore
from tokenomics_core.budgets._outage import BudgetCounters
from tokenomics_core.budgets._plan import BudgetPlan, PlanCheck, UserTier, plan_budgets
from tokenomics_core.budgets._reservation import Reservation, Settlement
from tokenomics_core.budgets._sqlite import SQLiteBudgetStore
from tokenomics_core.budgets._status import BudgetLine, BudgetStatus, Left
from tokenomics_core.budgets._store import BudgetStore
from tokenomics_core.budgets._worst_case import CallShape, Ceiling, fit_output, worst_case_usd

if TYPE_CHECKING:
    from tokenomics_core.budgets._redis import RedisBudgetStore

__all__ = [
    "Alert",
    "BudgetCounters",
    "BudgetLine",
    "BudgetPlan",
    "BudgetStatus",
    "BudgetStore",
    "Budgets",
    "CallShape",
    "Ceiling",
    "Left",
    "Limit",
    "LoopGuard",
    "MemoryBudgetStore",
    "PlanCheck",
    "RedisBudgetStore",
    "Refusal",
    "Reservation",
    "SQLiteBudgetStore",
    "Settlement",
    "UserTier",
    "fit_output",
    "plan_budgets",
    "worst_case_usd",
]


def __getattr__(name: str) -> Any:  # the names of a module
    if name == "RedisBudgetStore":
        from tokenomics_core.budgets._redis import RedisBudgetStore  # noqa: PLC0415 - needs the extra `redis`

        return RedisBudgetStore
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
