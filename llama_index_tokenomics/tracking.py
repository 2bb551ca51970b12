"""Track what LlamaIndex calls cost, inside a block or in the whole process."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from types import TracebackType
from typing import Self

from llama_index_instrumentation import root_dispatcher

from llama_index_tokenomics._calls import Sink
from llama_index_tokenomics._meter import Meter, sink_of
from tokenomics_core import observability
from tokenomics_core.observability import (
    CallTracker,
    CostReport,
    CostScope,
    LedgerWriter,
    announce_meter,
    current_scope,
)
from tokenomics_core.pricing import PriceBook, default_price_book
from tokenomics_core.protocols import Ledger, Pricer

__all__ = ["CostTracking", "install_cost_tracking", "track_cost"]

_METER = Meter()


class track_cost(observability.track_cost):  # noqa: N801 - reads as a function: `with track_cost() as cost:`
    """Measure what the calls inside a block cost.

    Works as `with` and as `async with`; blocks nest, and a call counts once in each. Everything that
    LlamaIndex runs in the block is counted: models, engines, agents, workflows, streams read later.

    Args:
        title: A heading for the report.
        ledger: Where records are kept besides the report.
        prices: What calls cost; the shared price book where none is given. With
            `PriceBook(unknown="raise")` the block ends with `UnknownModelError` if a call could not be
            priced.
        live: Whether to show the report while the block runs, in a notebook or a terminal.
        keep_content: Whether prompts and answers are kept in the records.
        stream_usage: Whether streams of OpenAI-style models are asked to report what they consumed. Turn it
            off for a server that refuses `stream_options`; such streams are then estimated.
        embeddings: Whether embedding calls are recorded too, their tokens counted here.

    Raises:
        UnknownModelError: At the end of the block, for a strict price book.
    """

    def __init__(
        self,
        *,
        title: str | None = None,
        ledger: Ledger | None = None,
        prices: Pricer | None = None,
        live: bool = False,
        keep_content: bool = False,
        stream_usage: bool = True,
        embeddings: bool = False,
    ) -> None:
        super().__init__(title=title, ledger=ledger, prices=prices, live=live, keep_content=keep_content)
        self._stream_usage, self._embeddings = stream_usage, embeddings

    def __enter__(self) -> CostReport:
        report = super().__enter__()
        scope = current_scope()
        if scope is not None:
            scope.listener("llama_index", self._sink)
        return report

    def _sink(self, scope: CostScope) -> Sink:
        return replace(sink_of(scope), stream_usage=self._stream_usage, embeddings=self._embeddings)


class CostTracking:
    """Cost tracking of the whole process, to be ended with `uninstall()` or as a `with` block.

    Attributes:
        ledger: Where records go.
    """

    def __init__(
        self,
        ledger: Ledger,
        *,
        prices: Pricer | None = None,
        stream_usage: bool = True,
        embeddings: bool = False,
        keep_content: bool = False,
    ) -> None:
        self.ledger = ledger
        prices = prices if prices is not None else default_price_book()
        if isinstance(prices, PriceBook):
            prices.load()
        self._writer = LedgerWriter(ledger)
        self._tracker = CallTracker(self._writer.write, prices=prices, bills=True)
        self._sink = Sink(
            self._tracker,
            stream_usage=stream_usage,
            embeddings=embeddings,
            keep_content=keep_content,
            ledger=ledger,
        )
        _METER.attach(root_dispatcher)
        _METER.install(self._sink)

    @property
    def failures(self) -> int:
        """How many calls could not be recorded."""
        return self._tracker.failures + self._writer.failures

    def flush(self) -> None:
        """Wait for records that are still being written."""
        self._writer.flush()

    async def aflush(self) -> None:
        """Wait for the same without blocking the event loop."""
        await self._writer.aflush()

    def uninstall(self) -> None:
        """Record no further calls, and wait for records that are still being written.

        Streams that are still open are recorded when they end. A second time changes nothing.
        """
        _METER.uninstall(self._sink)
        self._tracker.close()
        self._writer.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.uninstall()


def install_cost_tracking(
    ledger: Ledger,
    *,
    prices: Pricer | None = None,
    stream_usage: bool = True,
    embeddings: bool = False,
    keep_content: bool = False,
) -> CostTracking:
    """Record every LlamaIndex call of this process in a ledger, whoever makes it.

    Calls are attributed from `attribution(...)` and from LlamaIndex's instrument tags.

    Args:
        ledger: Where records go. Inside an event loop a ledger that touches a disk is written from a worker
            thread; `flush` and `aflush` wait for it.
        prices: What calls cost; the shared price book where none is given.
        stream_usage: Whether streams of OpenAI-style models are asked to report what they consumed.
        embeddings: Whether embedding calls are recorded too, their tokens counted here.
        keep_content: Whether prompts and answers are kept in the records.

    Returns:
        A handle that ends the tracking again.
    """
    return CostTracking(
        ledger, prices=prices, stream_usage=stream_usage, embeddings=embeddings, keep_content=keep_content
    )


announce_meter("llama_index", partial(_METER.attach, root_dispatcher))
