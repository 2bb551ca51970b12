"""Agents that turn in circles, and calls that were paid for in vain and sent again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from tokenomics_core.traffic._audit_frame import groups_of, ragged_rows
from tokenomics_core.traffic._waste_found import Found, nothing_found

if TYPE_CHECKING:
    from tokenomics_core.traffic._audit_frame import AuditFrame
    from tokenomics_core.traffic._audit_money import Money

__all__ = ["retries", "runaway_runs"]

_THIRD: Final = 2
_SOON_US: Final = 60 * 1_000_000


def runaway_runs(frame: AuditFrame, money: Money) -> Found:
    """Find calls of a run after the same tool call, or the same answer to a turn, came a third time."""
    runs = frame.column("run")
    if not runs.any():
        return nothing_found()
    values, firsts, counts = frame.ragged("loops")
    of_row = ragged_rows(counts)
    within = np.arange(len(of_row)) - np.repeat(np.cumsum(counts) - counts, counts)
    calls = values[firsts[of_row] + within]
    answers = frame.column("answer")
    told = np.flatnonzero(answers)
    rows, marks = np.concatenate([of_row, told]), np.concatenate([calls, answers[told]])
    kept = runs[rows] != 0
    rows, marks = rows[kept], marks[kept]
    if not len(rows):
        return nothing_found()
    # The same call twice in one answer counts once: models ask for tools side by side.
    _, unique = np.unique(np.stack([rows, marks]), axis=1, return_index=True)
    rows, marks = rows[np.sort(unique)], marks[np.sort(unique)]
    rows, marks = rows[np.argsort(rows, kind="stable")], marks[np.argsort(rows, kind="stable")]
    order, starts = groups_of(runs[rows], marks)
    sizes = np.diff([*starts, len(order)])
    thirds = rows[order[starts[sizes > _THIRD] + _THIRD]]
    stop: dict[int, int] = {}
    for row, run in zip(thirds.tolist(), runs[thirds].tolist(), strict=True):
        stop[run] = min(row, stop.get(run, row))
    if not stop:
        return nothing_found()
    keys = np.array(sorted(stop), np.int64)
    last = np.array([stop[key] for key in keys.tolist()], np.int64)
    place = np.minimum(np.searchsorted(keys, runs), len(keys) - 1)
    after = (keys[place] == runs) & (np.arange(frame.rows) > last[place])
    wasted = np.flatnonzero(after & frame.has("direct") & (money.cost > 0))
    return Found(wasted, money.cost[wasted], details=f"{len(keys):,} runs")


def retries(frame: AuditFrame, money: Money) -> Found:
    """Find paid calls that failed or were cut, and that the same user sent again within a minute."""
    rows = np.flatnonzero(frame.has("content"))
    if len(rows) < 2:
        return nothing_found()
    order, _ = groups_of(frame.column("again")[rows], frame.column("user_request")[rows])
    ordered = rows[order]
    again, users = frame.column("again")[ordered], frame.column("user_request")[ordered]
    follows = (again[1:] == again[:-1]) & (users[1:] == users[:-1])
    waited = frame.at_us[ordered[1:]] - frame.column("end_us")[ordered[:-1]]
    earlier = ordered[:-1][follows & (waited <= _SOON_US)]
    in_vain = frame.lacks("ok") & frame.has("direct") & (money.cost > 0)
    wasted = np.sort(earlier[in_vain[earlier]])
    return Found(wasted, money.cost[wasted])
