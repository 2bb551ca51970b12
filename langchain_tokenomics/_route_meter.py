"""Listens to the model calls of one attempt, so that the router learns what they took."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from langchain_tokenomics._runs import RunTree
from langchain_tokenomics.callbacks import ModelCallHandler
from tokenomics_core.observability import CallTracker
from tokenomics_core.routing import RoutedCall
from tokenomics_core.types import Cost, SpendRecord, Usage

__all__ = ["RouteMeter"]

_UNPRICED = Cost(total_usd=None, source="priced by the router")


class RouteMeter(ModelCallHandler):
    """Tell a routed call what each of its provider calls consumed, however it ends."""

    run_inline = True

    def __init__(self, call: RoutedCall) -> None:
        RunTree.__init__(self)
        self._routed = call
        self._tracker = CallTracker(self._note, prices=_NoPrices())

    def close(self) -> None:
        """Count calls that were cancelled without a word."""
        self._tracker.close()

    def _start(
        self,
        operation: str,
        prompt: Any,
        run_id: UUID,
        parent_run_id: UUID | None,
        metadata: dict[str, Any] | None,
        kwargs: dict[str, Any],
    ) -> None:
        self._guarded(self._begin, operation, prompt, run_id, parent_run_id, metadata or {}, kwargs)

    def _begin(self, *call: Any) -> None:
        self._tracker.start(self._call(*call))

    def _note(self, record: SpendRecord) -> None:
        self._routed.consumed(
            record.usage,
            outcome=record.outcome,
            latency_s=record.latency_s,
            from_cache=record.source == "cache",
        )


class _NoPrices:
    """Prices nothing: the router knows what its tiers cost."""

    def cost(
        self,
        usage: Usage,
        model: str,
        provider: str | None = None,
        at: datetime | None = None,
    ) -> Cost:
        """Return an unknown cost."""
        return _UNPRICED
