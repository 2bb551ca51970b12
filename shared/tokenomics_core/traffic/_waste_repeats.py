"""Requests whose answer was there already: word for word, or in other words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from tokenomics_core.traffic._audit_frame import groups_of
from tokenomics_core.traffic._near_search import find_near
from tokenomics_core.traffic._waste_found import Found, nothing_found

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tokenomics_core.traffic._audit_frame import AuditFrame
    from tokenomics_core.traffic._audit_money import Money

__all__ = ["WINDOW_US", "exact_repeats", "near_repeats"]

WINDOW_US: Final = 7 * 86_400 * 1_000_000
"""How long an answer is taken to stay right."""


def exact_repeats(frame: AuditFrame, money: Money) -> tuple[Found, NDArray[np.bool_]]:
    """Find calls whose equal was answered within seven days before; return which rows they are, too."""
    answered = frame.has("content", "ok") & frame.lacks("calls_tools")
    rows = np.flatnonzero(answered)
    repeated = np.zeros(frame.rows, np.bool_)
    if len(rows) > 1:
        requests = frame.column("request")[rows]
        order, _ = groups_of(requests)
        ordered, at_us = requests[order], frame.at_us[rows][order]
        again = (ordered[1:] == ordered[:-1]) & (at_us[1:] - at_us[:-1] <= WINDOW_US)
        repeated[rows[order[1:][again]]] = True
    wasted = np.flatnonzero(repeated & frame.has("direct") & (money.cost > 0))
    return Found(wasted, money.cost[wasted]), repeated


def near_repeats(frame: AuditFrame, money: Money, repeated: NDArray[np.bool_]) -> Found:
    """Find calls whose question was answered in other words, as the response cache would tell.

    Args:
        frame: All calls.
        money: What they cost.
        repeated: Which rows repeat a request word for word; they are not counted here again.
    """
    rows = np.flatnonzero(frame.has("near", "ok") & frame.lacks("calls_tools"))
    if len(rows) < 2:
        return nothing_found()
    near, probability = find_near(frame, rows, repeated[rows], window_us=WINDOW_US)
    counted = frame.has("direct")[near] & (money.cost[near] > 0)
    near, probability = near[counted], probability[counted]
    return Found(near, money.cost[near], float(probability.mean()) if len(near) else None)
