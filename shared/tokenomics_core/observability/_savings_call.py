"""What several mechanisms saved on one call, each told apart."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Context, Decimal, InvalidOperation
from typing import Final

from tokenomics_core.types import Outcome, SpendRecord, Usage

__all__ = ["CombinedSaving", "Saving", "part_tags", "parts_of_record"]

Saving = Callable[[str, Usage, Decimal | None, Outcome], Decimal | None]
"""Tells from a call's key, usage, cost and outcome what was saved on it."""

_EXACT = Context(prec=200)
_TAG: Final = "avoided_{}_usd"
_BUDGET_REASON: Final = "the budget allows nothing above"


class CombinedSaving:
    """The saving of a call on which several mechanisms saved: their sum, and each alone.

    Each is what the call would have cost more without that mechanism alone, so that no dollar is counted
    twice; what they would have cost together without all of them may be more.

    Args:
        ways: Each mechanism and what tells its saving; one that does not know adds nothing.
    """

    def __init__(self, ways: Sequence[tuple[str, Saving]]) -> None:
        self._ways = tuple(ways)

    @property
    def name(self) -> str:
        """The mechanisms as a record's `avoided_by`."""
        return "+".join(name for name, _ in self._ways)

    def parts(self, key: str, usage: Usage, cost_usd: Decimal | None, outcome: Outcome) -> dict[str, Decimal]:
        """Return what each mechanism saved, as far as known."""
        told = ((name, way(key, usage, cost_usd, outcome)) for name, way in self._ways)
        return {name: usd for name, usd in told if usd is not None}

    def __call__(self, key: str, usage: Usage, cost_usd: Decimal | None, outcome: Outcome) -> Decimal | None:
        parts = self.parts(key, usage, cost_usd, outcome)
        return sum(parts.values(), Decimal(0)) if parts else None


def part_tags(parts: Mapping[str, Decimal]) -> dict[str, str]:
    """Return parts of a saving as tags of its record."""
    return {_TAG.format(name): format(usd, "f") for name, usd in parts.items()}


def parts_of_record(record: SpendRecord) -> dict[str, Decimal]:
    """Return what was saved on a call by mechanism; the parts add up to its `avoided_usd` exactly.

    Where several mechanisms saved and their parts are not known, as for a user who was forgotten, the saving
    stands under all their names. A route that a budget's limit lowered is the budget's.
    """
    usd = record.avoided_usd
    if usd is None:
        return {}
    names = (record.avoided_by or "unknown").split("+")
    tags = record.attribution.tags
    told = [_told(tags.get(_TAG.format(name))) for name in names]
    by_budget = _BUDGET_REASON in tags.get("route_reasons", "")
    shown = ["budget" if name == "route" and by_budget else name for name in names]
    if len(names) == 1 or all(one is None for one in told):
        return {"+".join(shown): usd}
    parts = {name: one or Decimal(0) for name, one in zip(shown, told, strict=True)}
    # A ledger rounds the sum; what that moved belongs to the first.
    for name in shown[1:]:
        usd = _EXACT.subtract(usd, parts[name])
    return {**parts, shown[0]: usd}


def _told(text: str | None) -> Decimal | None:
    """Read an amount from a tag, which anybody may have set."""
    try:
        usd = Decimal(text) if text is not None else None
    except InvalidOperation:
        return None
    return usd if usd is not None and usd.is_finite() else None
