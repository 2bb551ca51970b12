"""Meter embedding calls, which LangChain's callbacks do not show."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from uuid import uuid4

from langchain_core.embeddings import Embeddings

from tokenomics_core.observability import (
    CallEnd,
    CallStart,
    CallTracker,
    CostScope,
    LedgerWriter,
    current_scope,
    was_sent,
)
from tokenomics_core.pricing import default_price_book
from tokenomics_core.protocols import Ledger, Pricer
from tokenomics_core.tokens import count_tokens
from tokenomics_core.types import SpendRecord, Usage, current_attribution

__all__ = ["MeteredEmbeddings"]

_log = logging.getLogger("tokenomics")


class MeteredEmbeddings(Embeddings):
    """Embed with another model and record what it costs.

    LangChain's embedding classes drop the provider's usage, so tokens are counted here and the record is
    marked as estimated. Records go to the open `track_cost` block and to `ledger`.

    Args:
        embeddings: The model that embeds.
        model: Its name for the price; read from the model where it is not given.
        provider: Its provider for the price.
        ledger: Where records are kept besides the open block.
        prices: What calls cost; the block's, or the shared price book.
    """

    def __init__(
        self,
        embeddings: Embeddings,
        *,
        model: str | None = None,
        provider: str | None = None,
        ledger: Ledger | None = None,
        prices: Pricer | None = None,
    ) -> None:
        self.embeddings = embeddings
        self.model = model or _name_of(embeddings)
        self.provider = provider
        self._writer = LedgerWriter(ledger) if ledger is not None else None
        self._prices = prices
        self._failures = 0

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Embed documents and record the call."""
        with self._metered(texts):
            return self.embeddings.embed_documents(texts)

    def embed_query(self, text: str) -> list[float]:
        """Embed a question and record the call."""
        with self._metered([text]):
            return self.embeddings.embed_query(text)

    async def aembed_documents(self, texts: list[str]) -> list[list[float]]:
        """Embed documents and record the call."""
        with self._metered(texts):
            return await self.embeddings.aembed_documents(texts)

    async def aembed_query(self, text: str) -> list[float]:
        """Embed a question and record the call."""
        with self._metered([text]):
            return await self.embeddings.aembed_query(text)

    @property
    def failures(self) -> int:
        """How many calls could not be counted, priced, recorded or written to the ledger as they should."""
        return self._failures + (self._writer.failures if self._writer is not None else 0)

    @contextmanager
    def _metered(self, texts: Sequence[str]) -> Iterator[None]:
        """Record what happens inside; nothing that fails here keeps the vectors from their owner."""
        key = uuid4().hex
        tracker = self._started(key)
        try:
            yield
        except BaseException as error:
            if tracker is not None:
                end = self._end_of(texts, tracker) if was_sent(error) else None
                tracker.fail(key, error, end=end)
            raise
        if tracker is not None:
            tracker.finish(key, self._end_of(texts, tracker))

    def _started(self, key: str) -> CallTracker | None:
        try:
            scope = current_scope()
            sinks = [sink for sink in (scope and scope.accept, self._writer and self._writer.write) if sink]
            prices = self._prices or (scope.prices if scope is not None else default_price_book())
            failed = partial(self._count_failure, scope)
            tracker = CallTracker(
                lambda record: _send(record, sinks), prices=prices, on_failure=failed, bills=True
            )
            tracker.start(
                CallStart(
                    key=key,
                    model=self.model,
                    provider=self.provider,
                    attribution=current_attribution(),
                    operation="embedding",
                )
            )
        except Exception:  # noqa: BLE001 - an observer may not break the call it watches
            _log.exception("an embedding call will not be recorded; the call itself is not affected")
            self._count_failure(None)
            return None
        return tracker

    def _end_of(self, texts: Sequence[str], tracker: CallTracker) -> CallEnd:
        """Count what was embedded; where that fails the call is recorded with an unknown count."""
        try:
            tokens = sum(int(count_tokens(text, self.model, provider=self.provider)) for text in texts)
        except Exception:  # noqa: BLE001 - an observer may not break the call it watches
            tracker.count_failure()
            return CallEnd(usage=Usage())
        return CallEnd(usage=Usage(input_tokens=tokens, estimated=True))

    def _count_failure(self, scope: CostScope | None) -> None:
        self._failures += 1
        if scope is not None:
            scope.report.count_failure()


def _send(record: SpendRecord, sinks: Iterable[Callable[[SpendRecord], None]]) -> None:
    for sink in sinks:
        sink(record)


def _name_of(embeddings: Embeddings) -> str | None:
    for attribute in ("model", "model_name", "model_id"):
        name = getattr(embeddings, attribute, None)
        if isinstance(name, str) and name:
            return name
    return None
