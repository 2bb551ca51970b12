"""How the bill knows that a call was routed, whoever writes it down."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal

from tokenomics_core.routing import RoutedCall
from tokenomics_core.types import Attribution, Outcome, Usage

__all__ = ["Bill", "bill_here", "own_calls", "routed"]

Role = Literal["answer", "draft", "judge", "router"]


@dataclass(frozen=True, slots=True)
class Bill:
    """What the records of calls say that begin here.

    Attributes:
        call: The attempt that they are part of; None for what routing itself costs.
        tags: The route, or the part that such a call plays in it.
    """

    call: RoutedCall | None = None
    tags: Mapping[str, str] = field(default_factory=dict)

    def saving_usd(
        self, key: str, usage: Usage, cost_usd: Decimal | None, outcome: Outcome
    ) -> Decimal | None:
        """Tell what a call saved; one of the router's own only costs."""
        if self.call is not None:
            return self.call.saving_usd(key, usage, cost_usd, outcome)
        return None if cost_usd is None else -cost_usd

    def over(self, who: Attribution) -> Attribution:
        """Lay the tags over who a call is for."""
        return who.merge(Attribution(tags=self.tags))


_here: ContextVar[Bill | None] = ContextVar("tokenomics_route_bill", default=None)


def bill_here() -> Bill | None:
    """Return what calls that begin here are billed as; None where nobody routed them."""
    return _here.get()


@contextmanager
def routed(call: RoutedCall, role: Role) -> Iterator[None]:
    """Bill calls that begin inside the block as an attempt's."""
    known = {name: str(value) for name, value in call.route.as_metadata().items() if value is not None}
    token = _here.set(Bill(call, {**known, "route_role": role}))
    try:
        yield
    finally:
        _here.reset(token)


@contextmanager
def own_calls(role: Role) -> Iterator[None]:
    """Bill calls inside the block as what routing itself costs."""
    token = _here.set(Bill(tags={"route_role": role}))
    try:
        yield
    finally:
        _here.reset(token)
