"""What a caller says of the requests in a block, where engines and agents leave no room to say it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from decimal import Decimal
from typing import Any

from tokenomics_core.routing import RouteRequest

__all__ = ["hints_here", "routing"]

_hints: ContextVar[Mapping[str, Any]] = ContextVar("tokenomics_route_hints", default={})  # noqa: B039 - never written to


@contextmanager
def routing(
    *,
    question: str | None = None,
    task: str | None = None,
    max_cost_usd: Decimal | str | None = None,
    quality_floor: float | None = None,
    language: str | None = None,
    needs: Collection[str] | None = None,
    conversation: str | None = None,
    turn: str | None = None,
    max_output_tokens: int | None = None,
    downgrade_to: str | None = None,
) -> Iterator[None]:
    """Say of all requests in a block what a router may want to know; blocks nest, the inner one wins.

    with routing(task="summary", max_cost_usd="0.002"):
        engine.query("What do our contracts say about notice?")

    Args:
        question: What the human asks, where it cannot be told from the prompt.
        task: What kind of task it is.
        max_cost_usd: Most that one call may be expected to cost.
        quality_floor: Least chance of a good answer to accept, in [0, 1].
        language: Of the question, as a code such as `en`.
        needs: What the model must be able to do, besides what is seen from the request.
        conversation: What the requests belong to; that of the attribution in force if None.
        turn: Calls of the same turn get one decision; that of the agent's run if None.
        max_output_tokens: Most tokens that an answer may take.
        downgrade_to: The dearest tier allowed.

    Raises:
        ConfigurationError: A value is out of its range; nothing was routed.
    """
    said: dict[str, Any] = {
        "question": question,
        "task": task,
        "max_cost_usd": max_cost_usd,
        "quality_floor": quality_floor,
        "language": language,
        "needs": None if needs is None else frozenset(needs),
        "conversation": conversation,
        "turn": turn,
        "max_output_tokens": max_output_tokens,
        "downgrade_to": downgrade_to,
    }
    said = {name: value for name, value in said.items() if value is not None}
    RouteRequest(**{"question": "", **said})  # refuses here what would fail every request inside
    token = _hints.set({**_hints.get(), **said})
    try:
        yield
    finally:
        _hints.reset(token)


def hints_here() -> Mapping[str, Any]:
    """Return what was said of requests that begin here."""
    return _hints.get()
