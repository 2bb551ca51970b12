"""What an agent's checkpoint knows of its budget."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Annotated, Any, NotRequired

from langchain.agents.middleware.types import AgentState, PrivateStateAttr

from langchain_tokenomics._budget_gate import BudgetExceededError, Spent
from tokenomics_core.errors import BudgetExceededError as CoreBudgetExceededError

__all__ = [
    "HINT",
    "RUN",
    "SPENT",
    "STOP",
    "BudgetState",
    "add_spent",
    "error_of",
    "spent_of",
    "written_error",
    "written_spent",
]

RUN = "tokenomics_run"
HINT = "tokenomics_hint"
STOP = "tokenomics_stop"
SPENT = "tokenomics_spent"


def add_spent(one: Mapping[str, Any] | None, other: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return two amounts as one; tools that run at once each add theirs."""
    a, b = spent_of(one), spent_of(other)
    return written_spent(Spent(a.usd + b.usd, a.tokens + b.tokens, a.calls + b.calls))


def _later(_: Any, later: Any) -> Any:
    return later


class BudgetState(AgentState[Any]):
    """An agent's state with its budget's; all of it is plain JSON.

    Attributes:
        tokenomics_run: The run that calls belong to.
        tokenomics_hint: After which message the model was told to wrap up.
        tokenomics_stop: The rule that ends the run before the next call of the model.
        tokenomics_spent: What the whole thread has spent, its tools and sub-agents included.
    """

    tokenomics_run: NotRequired[Annotated[str, PrivateStateAttr]]
    tokenomics_hint: NotRequired[Annotated[str | None, PrivateStateAttr]]
    tokenomics_stop: NotRequired[Annotated[list[str] | None, PrivateStateAttr, _later]]
    tokenomics_spent: NotRequired[Annotated[dict[str, Any], PrivateStateAttr, add_spent]]


def spent_of(written: Mapping[str, Any] | None) -> Spent:
    """Read what `written_spent` returned; nothing where there is none."""
    if not written:
        return Spent()
    return Spent(Decimal(written["usd"]), int(written["tokens"]), int(written["calls"]))


def written_spent(spent: Spent) -> dict[str, Any]:
    """Return an amount as plain JSON."""
    return {"usd": format(spent.usd, "f"), "tokens": spent.tokens, "calls": spent.calls}


def written_error(error: CoreBudgetExceededError) -> list[str]:
    """Return a refusal as plain JSON."""
    return [str(value) for value in error.args]


def error_of(written: Sequence[str]) -> BudgetExceededError:
    """Read what `written_error` returned."""
    scope, key, window, unit, *amounts, rule = written
    number = Decimal if unit == "usd" else int
    limit, committed, requested = (number(amount) for amount in amounts)
    return BudgetExceededError(scope, key, window, unit, limit, committed, requested, rule)
