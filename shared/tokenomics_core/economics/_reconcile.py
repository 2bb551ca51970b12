"""Comparing what a ledger recorded with what a provider charged."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from os import PathLike
from typing import Any

from tokenomics_core.economics._bill import Bill
from tokenomics_core.economics._exports import read_bill
from tokenomics_core.economics._names import plain_name
from tokenomics_core.economics._reconciliation import Reconciliation, Unpriced, counted
from tokenomics_core.economics._rows import Amounts, ReconciliationRow, Tolerance
from tokenomics_core.errors import ConfigurationError
from tokenomics_core.ledger import BaseLedger, start_of_day
from tokenomics_core.types import Totals

__all__ = ["reconcile"]

_DAY = timedelta(days=1)
_Key = tuple[date, str]


def reconcile(
    ledger: BaseLedger,
    bill: Bill | str | PathLike[str],
    *,
    tolerance_usd: Decimal | str = "0.01",
    tolerance_share: Decimal | str = "0.01",
    since: date | None = None,
    until: date | None = None,
    providers: Collection[str] | None = None,
    name: Callable[[str], str] = plain_name,
    **where: str | None,
) -> Reconciliation:
    """Compare a ledger with a provider's bill, by day and model.

    Two amounts agree when they differ by no more than `tolerance_usd` or by no more than
    `tolerance_share` of the bill, whichever allows more; the totals are held to the same. Where the
    bill names no models, days are compared as a whole; where it holds usage only, tokens are.

    Args:
        ledger: What was recorded.
        bill: What was charged: a bill, or the path of an export that `read_bill` knows.
        tolerance_usd: USD by which a row may differ.
        tolerance_share: Share of the bill by which a row may differ, in [0, 1].
        since: First day to compare, by default the bill's first.
        until: Day after the last one to compare, by default the day after the bill's last.
        providers: Names under which the ledger knows who sent the bill; by default the bill's own.
            Records without a provider are always compared.
        name: Turns a model's name into one that both sides share.
        where: Values that dimensions or tags of the ledger must have.

    Raises:
        StoreError: The bill or the ledger cannot be read.
        ConfigurationError: The bill is no known export, or a tolerance is out of range.
    """
    if not isinstance(bill, Bill):
        bill = read_bill(bill)
    tolerance = Tolerance.of(tolerance_usd, tolerance_share)
    first, end = since or bill.first_day, until or bill.last_day + _DAY
    if first >= end:
        raise ConfigurationError(f"since={first} must be before until={end}; nothing was compared")
    if providers is None and bill.provider is not None:
        providers = (bill.provider,)
    has_costs = not bill.lines or any(line.cost_usd is not None for line in bill.lines)
    has_models = any(line.model or line.item for line in bill.lines)
    charged = _charged(bill, first, end, name, has_models=has_models)
    cells = list(_ledger_cells(ledger, bill.timezone, first, end, where))
    ours = [cell for cell in cells if providers is None or cell.provider in {"", *providers}]
    recorded = _recorded(ours, name if has_models else lambda _: "")
    rows = tuple(
        ReconciliationRow.of(key, recorded.get(key), charged.get(key), tolerance, has_costs=has_costs)
        for key in sorted(recorded.keys() | charged.keys())
    )
    return Reconciliation(
        rows=rows,
        unpriced=_unpriced(ours),
        first_day=first,
        last_day=end - _DAY,
        timezone=bill.timezone,
        has_costs=has_costs,
        source=bill.source,
        tolerance=tolerance,
        notes=(*bill.notes, *_left_out(ledger, cells, ours, where)),
    )


@dataclass(frozen=True, slots=True)
class _LedgerCell:
    day: date
    model: str
    provider: str
    totals: Totals


def _ledger_cells(
    ledger: BaseLedger, timezone: str, first: date, end: date, where: Mapping[str, str | None]
) -> Iterator[_LedgerCell]:
    filters: dict[str, Any] = {
        "since": start_of_day(first, timezone),
        "until": start_of_day(end, timezone),
        **where,
    }
    groups = ledger.totals_by(("model", "provider"), bucket="day", timezone=timezone, **filters)
    for (start, model, provider), totals in groups.items():
        if isinstance(start, datetime):
            yield _LedgerCell(start.date(), str(model), str(provider), totals)


def _recorded(cells: Iterable[_LedgerCell], name: Callable[[str], str]) -> dict[_Key, Amounts]:
    parts: defaultdict[_Key, list[Amounts]] = defaultdict(list)
    for cell in cells:
        totals = cell.totals
        if totals.calls > totals.cached_calls:  # answers from a cache reach no provider
            parts[cell.day, name(cell.model)].append(
                Amounts(
                    cost_usd=totals.cost_usd,
                    input_tokens=totals.input_tokens,
                    output_tokens=totals.output_tokens,
                    unpriced_calls=totals.unpriced_calls,
                )
            )
    return {key: Amounts.sum(theirs) for key, theirs in parts.items()}


def _charged(
    bill: Bill, first: date, end: date, name: Callable[[str], str], *, has_models: bool
) -> dict[_Key, Amounts]:
    unnamed = "not itemised" if has_models else ""
    parts: defaultdict[_Key, list[Amounts]] = defaultdict(list)
    for line in bill.lines:
        if first <= line.day < end:
            model = name(line.model) if line.model else line.item or unnamed
            parts[line.day, model].append(
                Amounts(
                    cost_usd=line.cost_usd, input_tokens=line.input_tokens, output_tokens=line.output_tokens
                )
            )
    return {key: Amounts.sum(theirs) for key, theirs in parts.items()}


def _unpriced(cells: Iterable[_LedgerCell]) -> tuple[Unpriced, ...]:
    return tuple(
        Unpriced(cell.day, cell.model, cell.totals.unpriced_calls)
        for cell in cells
        if cell.totals.unpriced_calls
    )


def _left_out(
    ledger: BaseLedger,
    cells: Sequence[_LedgerCell],
    ours: Sequence[_LedgerCell],
    where: Mapping[str, str | None],
) -> Iterator[str]:
    others: Counter[str] = Counter()
    for cell in cells:
        if cell not in ours:
            others[cell.provider] += cell.totals.calls
    for provider, n_calls in sorted(others.items()):
        yield f"left out: {counted(n_calls)} of provider {provider}, which did not send this bill"
    n_outside = ledger.totals(since=None, until=None, **where).calls - sum(
        cell.totals.calls for cell in cells
    )
    if n_outside:
        yield f"left out: {counted(n_outside)} outside these days"
