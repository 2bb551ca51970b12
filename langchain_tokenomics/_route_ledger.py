"""How the bill knows that a call was routed, whichever handler writes it down."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, Literal
from uuid import uuid4

from tokenomics_core.types import Outcome, Usage

if TYPE_CHECKING:
    from tokenomics_core.routing import RoutedCall

__all__ = ["CALL_KEY", "announced", "own_calls", "routed_by"]

CALL_KEY: Final = "route_call"
"""The key in a run's metadata that names the attempt to answer which the run is part of."""

Saving = Callable[[str, Usage, Decimal | None, Outcome], Decimal | None]
Credited = Callable[[object, Callable[[Decimal], None]], None]
Role = Literal["router", "judge"]

_open: weakref.WeakValueDictionary[str, RoutedCall] = weakref.WeakValueDictionary()
_own: ContextVar[Role | None] = ContextVar("tokenomics_route_own", default=None)


def announced(call: RoutedCall, **role: str) -> dict[str, Any]:
    """Return the metadata of runs that belong to a routed call; it is known as long as somebody holds it."""
    name = uuid4().hex
    _open[name] = call
    known = {key: value for key, value in call.route.as_metadata().items() if value is not None}
    return {**known, **role, CALL_KEY: name}


@contextmanager
def own_calls(role: Role) -> Iterator[None]:
    """Mark calls inside the block as what routing itself costs."""
    token = _own.set(role)
    try:
        yield
    finally:
        _own.reset(token)


def routed_by(metadata: Mapping[str, Any]) -> tuple[Saving | None, Credited | None, Mapping[str, str]]:
    """Return what tells the saving of a run, who is told of its credit, and the tags of its record.

    For a run that nobody routed there is nothing of it.
    """
    role = _own.get()
    if role is not None:
        return _only_cost, None, {"route_role": role}
    name = metadata.get(CALL_KEY)
    call = _open.get(name) if isinstance(name, str) else None
    if call is None:
        return None, None, {}
    tags = {
        key: str(value)
        for key, value in metadata.items()
        if key.startswith("route_") and key != CALL_KEY and value is not None
    }
    return call.saving_usd, call.credited, tags


def _only_cost(key: str, usage: Usage, cost_usd: Decimal | None, outcome: Outcome) -> Decimal | None:  # noqa: ARG001 - the signature of a saving
    return None if cost_usd is None else -cost_usd
