"""Passages that were sent twice or that had nothing to do with what was asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tokenomics_core.traffic._waste_found import Found

if TYPE_CHECKING:
    from tokenomics_core.traffic._audit_frame import AuditFrame
    from tokenomics_core.traffic._audit_money import Money

__all__ = ["oversized_context"]


def oversized_context(frame: AuditFrame, money: Money) -> Found:
    """Find calls with needless passages; each costs its tokens at the price of input."""
    needless = frame.column("repeated_tokens").astype(np.int64) + frame.column("unused_tokens")
    rows = np.flatnonzero((needless > 0) & frame.has("direct", "content") & (money.cost > 0))
    tokens = np.minimum(needless[rows], money.uncached_input[rows])
    pico = np.zeros(len(rows), np.int64)
    for place, row in enumerate(rows.tolist()):
        rate = money.rates(row).input
        if rate is not None:
            pico[place] = round(float(tokens[place]) * rate)
    pico = np.minimum(pico, money.cost[rows])
    return Found(rows[pico > 0], pico[pico > 0])
