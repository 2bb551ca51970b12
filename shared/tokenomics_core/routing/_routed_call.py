"""What the provider calls of one route consumed, and what each of them saved on the bill."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from tokenomics_core.routing._route import Route
from tokenomics_core.types import Outcome, Usage

if TYPE_CHECKING:
    from tokenomics_core.routing._router import Router

__all__ = ["RoutedCall"]

_ZERO = Decimal(0)
_COUNTS = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens")


class RoutedCall:
    """One attempt to answer in the tier of a route: a call of its model, or several where that is a scaffold.

    On the bill every record is credited with what its call saved at the time. The bill only grows, so where a
    draft turns out to be rejected its credit is taken back from the record of the call that follows it. The
    records' costs and savings then add up to what the dearest tier would have cost, drafts and failures
    included.

    Args:
        router: Who decided; what is consumed is reported to it.
        route: The decision.
        withdrawn_usd: The credit of rejected drafts, taken back from the first call here.
    """

    def __init__(self, router: Router, route: Route, *, withdrawn_usd: Decimal = _ZERO) -> None:
        self.route = route
        self._router = router
        self._withdrawn_usd = withdrawn_usd
        self._lock = threading.Lock()
        self._first: str | None = None
        self._usages: list[Usage] = []
        self._latency_s = 0.0
        self._credit_usd = _ZERO
        self._hits = 0

    def saving_usd(
        self, key: str, usage: Usage, cost_usd: Decimal | None, outcome: Outcome = "ok"
    ) -> Decimal | None:
        """Tell what one provider call saved, however many ledgers ask; None where a price is unknown.

        Args:
            key: Names the provider call.
            usage: What it consumed.
            cost_usd: What it cost.
            outcome: How it ended; one that failed saved nothing and cost what it did.
        """
        if cost_usd is None:
            return None
        with self._lock:
            self._first = self._first or key
            withdrawn = self._withdrawn_usd if key == self._first else _ZERO
        if outcome == "error":
            return -cost_usd - withdrawn
        counterfactual = self._router.counterfactual_usd(self.route, usage, cost_usd)
        return None if counterfactual is None else counterfactual - cost_usd - withdrawn

    def consumed(
        self,
        usage: Usage,
        *,
        outcome: Outcome = "ok",
        latency_s: float | None = None,
        from_cache: bool = False,
    ) -> None:
        """Note what one provider call took; an answer from a cache took nothing."""
        with self._lock:
            if from_cache:
                self._hits += 1
                return
            self._usages.append(usage)
            self._latency_s += latency_s or 0.0
        if outcome != "error":
            credit = self._router.counterfactual_usd(self.route, usage)
            with self._lock:
                self._credit_usd += credit or _ZERO

    @property
    def credit_usd(self) -> Decimal:
        """What the bill was credited with, to be taken back if the answer is rejected."""
        return self._credit_usd

    def answered(self) -> Decimal | None:
        """Report that the answer was used; return what it saved, None where that cannot be told."""
        return self._report("answer")

    def rejected(self) -> None:
        """Report that the answer was a draft that was not good enough."""
        self._report("draft")

    def abandoned(self) -> None:
        """Report what was paid for an answer that nobody waited for; the tier is not to blame."""
        if self._usages:
            self._report("answer")

    def failed(self, error: BaseException) -> None:
        """Report that no answer came; what was paid for it is booked like a rejected draft."""
        if self._usages:
            self._report("draft")
        self._router.report(self.route, error=error)

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
