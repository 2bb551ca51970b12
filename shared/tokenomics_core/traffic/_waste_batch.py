"""Jobs that run by the clock and for which nobody waits: a batch would do them for less."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from tokenomics_core.traffic._audit_frame import groups_of
from tokenomics_core.traffic._audit_template import follows_talk
from tokenomics_core.traffic._waste_found import Found, nothing_found

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tokenomics_core.traffic._audit_frame import AuditFrame
    from tokenomics_core.traffic._audit_money import Money

    Ints = NDArray[np.int64]

__all__ = ["batchable"]

_MINUTE_US: Final = 60 * 1_000_000
_DAY_US: Final = 86_400 * 1_000_000
_BURST_CALLS: Final = 50
_BURST_US: Final = 10 * _MINUTE_US
_LONGEST_US: Final = 4 * 60 * _MINUTE_US
"""What goes on for longer without a pause of ten minutes is no burst but the usual traffic of a day."""
_EITHER_WAY_US: Final = 15 * _MINUTE_US
_LEAST_DAYS: Final = 3


def batchable(frame: AuditFrame, money: Money, templates: Ints) -> Found:
    """Find bursts of one template that come at the same time of day; the difference to the batch price.

    Args:
        frame: All calls.
        money: What they cost.
        templates: Each row's template.
    """
    alone = frame.has("direct") & frame.lacks("talk") & ~follows_talk(frame) & (money.cost > 0)
    rows = np.flatnonzero(alone)
    if len(rows) < _BURST_CALLS * _LEAST_DAYS:
        return nothing_found()
    order, starts = groups_of(frame.column("feature")[rows], templates[rows])
    scheduled: list[Ints] = []
    for members in np.split(rows[order], starts[1:]):
        if len(members) >= _BURST_CALLS * _LEAST_DAYS:
            scheduled += _scheduled(frame.at_us[members], members)
    if not scheduled:
        return nothing_found()
    found = np.sort(np.concatenate(scheduled))
    batch = money.cost_as(found, batch=True)
    saved = np.where(batch >= 0, np.maximum(money.cost[found] - batch, 0), 0)
    return Found(found[saved > 0], saved[saved > 0], details=f"{len(scheduled):,} bursts")


def _scheduled(at_us: Ints, members: Ints) -> list[Ints]:
    """Return the bursts that come at the same time of day on three days or more."""
    bursts = [part for part in _bursts(at_us) if _is_dense(at_us[part])]
    if len(bursts) < _LEAST_DAYS:
        return []
    began = np.array([int(at_us[part[0]]) for part in bursts], np.int64)
    days, times = began // _DAY_US, began % _DAY_US
    kept: list[Ints] = []
    for place, part in enumerate(bursts):
        # Some half hour with this burst in it holds bursts of three days.
        apart = (times - times[place] + _DAY_US // 2) % _DAY_US - _DAY_US // 2
        close = np.flatnonzero(np.abs(apart) <= 2 * _EITHER_WAY_US)
        windows = [
            days[close[(apart[close] >= first) & (apart[close] <= first + 2 * _EITHER_WAY_US)]]
            for first in apart[close][apart[close] <= 0]
        ]
        if any(len(np.unique(window)) >= _LEAST_DAYS for window in windows):
            kept.append(members[part])
    return kept


def _bursts(at_us: Ints) -> list[Ints]:
    """Part calls where ten minutes pass without one; leave out what goes on for hours."""
    breaks = np.flatnonzero(np.diff(at_us) > _BURST_US) + 1
    parts = np.split(np.arange(len(at_us)), breaks)
    return [
        part
        for part in parts
        if len(part) >= _BURST_CALLS and at_us[part[-1]] - at_us[part[0]] <= _LONGEST_US
    ]


def _is_dense(at_us: Ints) -> bool:
    """Tell whether fifty calls came within ten minutes."""
    return bool((at_us[_BURST_CALLS - 1 :] - at_us[: len(at_us) - _BURST_CALLS + 1] <= _BURST_US).any())
