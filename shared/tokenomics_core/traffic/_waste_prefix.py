"""Instructions that a provider could keep, were it not for a time or an id in front of them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

import numpy as np

from tokenomics_core.traffic._audit_frame import groups_of
from tokenomics_core.traffic._waste_found import Found, nothing_found

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tokenomics_core.traffic._audit_frame import AuditFrame
    from tokenomics_core.traffic._audit_money import Money

    Ints = NDArray[np.int64]

__all__ = ["unstable_prefix"]

_KEPT_US: Final = 5 * 60 * 1_000_000
"""How long providers keep a prefix after its last use, at the least."""
_LEAST_TOKENS: Final = 1_024
"""Shorter prefixes are not kept by any provider that says so."""


def unstable_prefix(frame: AuditFrame, money: Money) -> Found:
    """Find calls whose stable instructions stand behind something that changed since the call before.

    Calls of one template and model are looked at in the order of time. One that comes within five minutes of
    the one before would have read what stands behind the change from the provider's cache; one that comes
    later would have written it, at the premium that the provider asks, which is taken off its template's sum.
    """
    layout = frame.column("layout")
    rows = np.flatnonzero((layout >= 0) & frame.has("direct", "content") & (money.cost > 0))
    if len(rows) < 2:
        return nothing_found()
    behind = [np.array(json.loads(text), np.int64) for text in frame.names["layouts"]]
    slots, firsts, counts = frame.ragged("slots")
    order, starts = groups_of(frame.column("template")[rows], money.models[rows], layout[rows], counts[rows])
    found_rows: list[Ints] = []
    found_pico: list[Ints] = []
    for members in np.split(rows[order], starts[1:]):
        tokens = behind[layout[members[0]]]
        if len(members) < 2 or not len(tokens) or tokens.max() < _LEAST_TOKENS:
            continue
        places = firsts[members][:, None] + np.arange(counts[members[0]])
        lost = _lost_tokens(slots[places], tokens)
        wasted = _template(frame, money, members, lost)
        found_rows.append(members[wasted > 0])
        found_pico.append(wasted[wasted > 0])
    if not found_rows:
        return nothing_found()
    found, pico = np.concatenate(found_rows), np.concatenate(found_pico)
    sequence = np.argsort(found)
    return Found(found[sequence], pico[sequence])


def _lost_tokens(slots: Ints, behind: Ints) -> Ints:
    """Return, per call, the stable tokens behind the first slot that changed since the call before."""
    changed = slots[1:] != slots[:-1]
    first = np.argmax(changed, axis=1)
    lost = np.where(changed.any(axis=1), behind[np.minimum(first, len(behind) - 1)], 0)
    lost[lost < _LEAST_TOKENS] = 0
    # The first call of all writes what the second one changes.
    return np.concatenate([lost[:1], lost])


def _template(frame: AuditFrame, money: Money, members: Ints, lost: Ints) -> Ints:
    """Return what each call of a template would have saved, the premiums of all taken off evenly."""
    at_us = frame.at_us[members]
    warm = np.zeros(len(members), np.bool_)
    warm[1:] = at_us[1:] - at_us[:-1] <= _KEPT_US
    tokens = np.minimum(lost, money.uncached_input[members])
    saved, premium = np.zeros(len(members)), 0.0
    for place in np.flatnonzero(tokens > 0).tolist():
        rates = money.rates(int(members[place]))
        if rates.input is None or rates.cache_read is None or rates.cache_read >= rates.input:
            continue
        if warm[place]:
            saved[place] = float(tokens[place]) * (rates.input - rates.cache_read)
        elif rates.cache_write is not None:
            premium += float(tokens[place]) * max(rates.cache_write - rates.input, 0.0)
    total = float(saved.sum())
    if total <= premium:
        return np.zeros(len(members), np.int64)
    net = np.rint(saved * (1 - premium / total)).astype(np.int64)
    return np.minimum(net, money.cost[members])
