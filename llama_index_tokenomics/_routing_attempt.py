"""One attempt to answer in a tier: its calls are billed as the route's, and what they took is reported."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from llama_index_instrumentation.dispatcher import active_instrument_tags, instrument_tags

from llama_index_tokenomics._cache_spent import Spent
from llama_index_tokenomics._routing_bill import routed
from tokenomics_core.routing import Route, RoutedCall, Router
from tokenomics_core.types import SpendRecord

__all__ = ["ROLE", "Attempt"]

ROLE: Final = "tokenomics_route_role"
"""The tag of the events of calls whose answer may yet be rejected; its value is `draft`."""


class Attempt:
    """The calls of a tier's model up to an answer, and exactly one report of them, however it ends.

    Attributes:
        route: Why this tier.
        is_held: Whether its answer may still be rejected, so that nobody may see it before it is judged.
        after: The attempt that failed or was rejected before.
    """

    def __init__(self, router: Router, route: Route, *, is_held: bool, after: Attempt | None = None) -> None:
        self.route, self.is_held = route, is_held
        self._call: RoutedCall = RoutedCall(router, route, after=None if after is None else after._call)  # noqa: SLF001 - its own kind
        self._calls = _Calls()
        self._is_over = False

    @contextmanager
    def billing(self) -> Iterator[None]:
        """Take the calls that begin inside the block for this attempt's."""
        with routed(self._call, "draft" if self.is_held else "answer"), self._calls.watching():
            if not self.is_held:
                yield
                return
            with instrument_tags({**active_instrument_tags.get(), ROLE: "draft"}):
                yield

    def answered(self) -> None:
        """Report that the answer was used."""
        if self._ends():
            self._call.answered()

    def rejected(self) -> None:
        """Report that the answer was a draft."""
        if self._ends():
            self._call.rejected()

    def failed(self, error: Exception) -> None:
        """Report that no answer came."""
        if self._ends():
            self._call.failed(error)

    def withdrawn(self) -> None:
        """Report what was paid where nobody waits for the answer any more; that is not the tier's fault."""
        if self._ends():
            self._call.abandoned()

    def given_up(self) -> None:
        """Have credit taken back that was given on the way to an answer that never came."""
        self._call.given_up()

    def _ends(self) -> bool:
        """Hand over what the calls took; false where that was done before."""
        if self._is_over:
            return False
        self._is_over = True
        for record in self._calls.records:
            self._call.consumed(
                record.usage,
                outcome=record.outcome,
                latency_s=record.latency_s,
                from_cache=record.source == "cache",
            )
        return True


class _Calls(Spent):
    """The records of an attempt's calls."""

    @property
    def records(self) -> list[SpendRecord]:
        return [record for report in self._reports for record in report.calls]
