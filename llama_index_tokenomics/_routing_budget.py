"""Read which tier a used-up limit asks for, before a request is routed."""

from __future__ import annotations

from llama_index_tokenomics._budget_gate import GATE
from llama_index_tokenomics.budgets import BudgetGuard
from tokenomics_core.budgets import Budgets
from tokenomics_core.errors import StoreError

__all__ = ["DowngradeReader"]


class DowngradeReader:
    """Asks the budgets that are given, or else those of the guards that are open where a request begins.

    Args:
        budgets: What to ask; None for the open guards.
        known: Tiers and models that a limit may name; a guard's limit that names others is for others.
    """

    def __init__(self, budgets: Budgets | BudgetGuard | None, known: frozenset[str]) -> None:
        self._budgets = budgets.budgets if isinstance(budgets, BudgetGuard) else budgets
        self._known = known

    def read(self) -> str | None:
        """Return the tier; None where no limit asks for one, and where the store cannot be used."""
        for budgets in self._asked():
            try:
                found = budgets.left(GATE.meter.attribution_here()).downgrade_to
            except StoreError:
                continue  # the reservation of the call decides what that means
            if self._is_for_us(found):
                return found
        return None

    async def aread(self) -> str | None:
        """Do what `read` does."""
        for budgets in self._asked():
            try:
                found = (await budgets.aleft(GATE.meter.attribution_here())).downgrade_to
            except StoreError:
                continue  # likewise
            if self._is_for_us(found):
                return found
        return None

    def _asked(self) -> list[Budgets]:
        if self._budgets is not None:
            return [self._budgets]
        guards = [sink.guard for sink in GATE.meter.installed_here if isinstance(sink.guard, BudgetGuard)]
        return [
            guard.budgets
            for guard in guards
            if any(limit.downgrade_to in self._known for limit in guard.budgets.limits)
        ]

    def _is_for_us(self, tier: str | None) -> bool:
        return tier is not None and (self._budgets is not None or tier in self._known)
