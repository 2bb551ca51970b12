"""Records with the outcomes of every tier, as tables to measure on."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tokenomics_core.errors import ConfigurationError
from tokenomics_core.routing._outcomes import OutcomeRecord, record_of
from tokenomics_core.routing._request import RouteRequest

__all__ = ["OutcomeTable", "outcome_table"]


@dataclass(frozen=True, slots=True)
class OutcomeTable:
    """The questions whose every tier was judged.

    Attributes:
        requests: The questions with their task, history and tools, n of them.
        tiers: Names, the weakest first.
        quality: How good each tier's answer was, shape (n, tiers).
        cost_usd: What each answer cost, shape (n, tiers); None unless every cost is known.
        left_out: How many records lack a tier's outcome.
    """

    requests: list[RouteRequest]
    tiers: tuple[str, ...]
    quality: NDArray[np.float64]
    cost_usd: NDArray[np.float64] | None
    left_out: int

    def __len__(self) -> int:
        return len(self.requests)

    @property
    def texts(self) -> list[str]:
        """The questions alone."""
        return [request.question for request in self.requests]

    @property
    def has_context(self) -> bool:
        """Whether any question came with a history or tools."""
        return any(request.history or request.tools for request in self.requests)


def outcome_table(
    records: Iterable[OutcomeRecord | Mapping[str, Any]], tiers: Sequence[str] | None = None
) -> OutcomeTable:
    """Keep the records that have an outcome of every tier.

    Args:
        records: What is known; costs count where every kept record has one for every tier.
        tiers: Which tiers, the weakest first; None: all that occur, by mean cost, or by mean quality where
            costs are unknown.

    Raises:
        ConfigurationError: A record cannot be read, fewer than two tiers are known, or no record has all.
    """
    read = [record_of(number, raw) for number, raw in enumerate(records, start=1)]
    scores = [record.scores() for record in read]
    named = tuple(dict.fromkeys(tier for row in scores for tier in row)) if tiers is None else tuple(tiers)
    if len(named) < 2 or len(set(named)) < len(named):
        raise ConfigurationError(
            f"a route needs two or more different tiers, not {', '.join(named) or 'none'}; "
            "nothing was measured"
        )
    kept = [at for at, row in enumerate(scores) if all(tier in row for tier in named)]
    if not kept:
        raise ConfigurationError(
            f"none of {len(read)} records has an outcome of every tier ({', '.join(named)}); "
            "nothing was measured"
        )
    quality = np.array([[scores[at][tier] for tier in named] for at in kept])
    costs = np.array([[_cost(read[at], tier) for tier in named] for at in kept])
    known = not np.isnan(costs).any()
    if tiers is None:
        order = np.argsort((costs if known else quality).mean(axis=0), kind="stable")
        named = tuple(named[at] for at in order)
        quality, costs = quality[:, order], costs[:, order]
    return OutcomeTable(
        [_request(read[at]) for at in kept],
        named,
        quality,
        costs if known else None,
        len(read) - len(kept),
    )


def _request(record: OutcomeRecord) -> RouteRequest:
    history = tuple((role, text) for role, text in record.history)
    return RouteRequest(question=record.text, task=record.task, history=history, tools=tuple(record.tools))


def _cost(record: OutcomeRecord, tier: str) -> float:
    raw = record.costs_usd.get(tier)
    if raw is None:
        return math.nan
    try:
        cost = float(raw)
    except (TypeError, ValueError):
        cost = math.inf
    if not 0 <= cost < math.inf:
        raise ConfigurationError(
            f"the cost of tier {tier!r} must be 0 USD or more, not {raw!r}; nothing was measured"
        )
    return cost
