"""What the provider calls of one route consumed, and what each of them saved on the bill."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from tokenomics_core.routing._route import Route
from tokenomics_core.types import Outcome, Usage

if TYPE_CHECKING:
    from tokenomics_core.routing._router import Router

__all__ = ["RoutedCall"]

TakeBack = Callable[[Decimal], None]
_ZERO = Decimal(0)
_COUNTS = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens")


class RoutedCall:
    """One attempt to answer in the tier of a route: a call of its model, or several where that is a scaffold.

    On the bill every record is credited with what its call saved at the time. The bill only grows, so where a
    draft turns out to be rejected its credit is taken back from the record of the call that follows it; where
    none follows that is paid for, by a record of its own from whoever gave the credit. The records' costs and
    savings then add up to what the dearest tier would have cost, drafts and failures included.

    Args:
        router: Who decided; what is consumed is reported to it.
        route: The decision.
        after: The attempt whose answer was rejected, or that failed.
    """

    def __init__(self, router: Router, route: Route, *, after: RoutedCall | None = None) -> None:
        self.route = route
        self._router = router
        self._withdrawn_usd = _ZERO if after is None else after.owed_usd
        self._creditors: dict[object, TakeBack] = {}
        if after is not None:
            self._creditors.update(after._creditors)  # noqa: SLF001 - one of its own kind
        self._lock = threading.Lock()
        self._first: str | None = None
        self._usages: list[Usage] = []
        self._is_whole = True
        self._latency_s = 0.0
        self._credit_usd = _ZERO
        self._hits = 0

    def saving_usd(
        self, key: str, usage: Usage, cost_usd: Decimal | None, outcome: Outcome = "ok"
    ) -> Decimal | None:
        """Tell what one provider call saved, however many ledgers ask; None where a price is unknown.

        What is taken back from it is known, whatever it cost.

        Args:
            key: Names the provider call.
            usage: What it consumed.
            cost_usd: What it cost.
            outcome: How it ended; one that failed saved nothing and cost what it did.
        """
        with self._lock:
            self._first = self._first or key
            withdrawn = self._withdrawn_usd if key == self._first else _ZERO
        if cost_usd is None:
            return -withdrawn if withdrawn else None
        if outcome == "error":
            return -cost_usd - withdrawn
        counterfactual = self._router.counterfactual_usd(self.route, usage, cost_usd)
        return None if counterfactual is None else counterfactual - cost_usd - withdrawn

    def credited(self, creditor: object, take_back: TakeBack) -> None:
        """Remember who has credited a call here, and how it takes an amount back if no answer comes of it."""
        with self._lock:
            self._creditors[creditor] = take_back

    def consumed(
        self,
        usage: Usage,
        *,
        outcome: Outcome = "ok",
        latency_s: float | None = None,
        from_cache: bool = False,
    ) -> None:
        """Note what one provider call took; an answer from a cache took nothing."""
        if from_cache:
            saved = self._router.price_usd(self.route, usage)
            with self._lock:
                self._hits += 1
                self._credit_usd += saved or _ZERO
            return
        credit = None if outcome == "error" else self._router.counterfactual_usd(self.route, usage)
        with self._lock:
            self._usages.append(usage)
            self._is_whole = self._is_whole and outcome == "ok"
            self._latency_s += latency_s or 0.0
            self._credit_usd += credit or _ZERO

    @property
    def owed_usd(self) -> Decimal:
        """What the bill is credited with in vain if no answer comes of this."""
        return self._credit_usd + self._unclaimed_usd

    def answered(self) -> Decimal | None:
        """Report that the answer was used; return what it saved, None where that cannot be told."""
        self._settle(self._unclaimed_usd)
        return self._report("answer")

    def rejected(self) -> None:
        """Report that the answer was a draft that was not good enough; another attempt follows."""
        self._report("draft")

    def abandoned(self) -> None:
        """Report what was paid for an answer that nobody waited for; the tier is not to blame."""
        self._settle(self._unclaimed_usd)
        if self._usages:
            self._report("answer")

    def failed(self, error: BaseException) -> None:
        """Report that no answer came; what was paid for it is booked like a rejected draft."""
        self._router.report(self.route, usage=_sum(self._usages) if self._usages else None, error=error)

    def given_up(self) -> None:
        """Have the credit taken back, as no attempt follows that failed or was rejected."""
        self._settle(self.owed_usd)

    @property
    def _unclaimed_usd(self) -> Decimal:
        return self._withdrawn_usd if self._first is None else _ZERO

    def _settle(self, owed_usd: Decimal) -> None:
        with self._lock:
            creditors, self._creditors = tuple(self._creditors.values()), {}
        if owed_usd:
            for take_back in creditors:
                take_back(owed_usd)

    def _report(self, kind: str) -> Decimal | None:
        with self._lock:
            usages, hits = tuple(self._usages), self._hits
            latency_s = self._latency_s
        if not usages:
            if hits == 0:
                self._router.report(self.route, kind="answer" if kind == "answer" else "draft")
            return None
        return self._router.report(
            self.route,
            usage=_sum(usages),
            latency_s=latency_s or None,
            kind="answer" if kind == "answer" else "draft",
            is_whole=self._is_whole,
        )


def _sum(usages: Sequence[Usage]) -> Usage:
    """Add the counts of several calls; a count that one of them lacks is that of the others."""
    if len(usages) == 1:
        return usages[0]
    counts: dict[str, Any] = {}
    for name in _COUNTS:
        known = [value for usage in usages if (value := getattr(usage, name)) is not None]
        counts[name] = sum(known) if known else None
    return replace(usages[0], cache_write_5m_tokens=None, cache_write_1h_tokens=None, **counts)
