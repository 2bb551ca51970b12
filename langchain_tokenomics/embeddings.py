"""Meter embedding calls, which LangChain's callbacks do not show."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from uuid import uuid4

from langchain_core.embeddings import Embeddings

from tokenomics_core.observability import CallEnd, CallStart, CallTracker, LedgerWriter, current_scope
from tokenomics_core.pricing import default_price_book
from tokenomics_core.protocols import Ledger, Pricer
from tokenomics_core.tokens import count_tokens
from tokenomics_core.types import SpendRecord, Usage, current_attribution

__all__ = ["MeteredEmbeddings"]


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

    @contextmanager
    def _metered(self, texts: Sequence[str]) -> Iterator[None]:
        scope = current_scope()
        sinks = [sink for sink in (scope and scope.accept, self._writer and self._writer.write) if sink]
        prices = self._prices or (scope.prices if scope is not None else default_price_book())
        tracker = CallTracker(lambda record: _send(record, sinks), prices=prices)
        call = CallStart(
            key=uuid4().hex,
            model=self.model,
            provider=self.provider,
            attribution=current_attribution(),
            prompt="\n".join(texts),
            operation="embedding",
        )
        tracker.start(call)
        try:
            yield
        except BaseException as error:
            tracker.fail(call.key, error)
            raise
        tokens = sum(int(count_tokens(text, self.model, provider=self.provider)) for text in texts)
        tracker.finish(call.key, CallEnd(usage=Usage(input_tokens=tokens, estimated=True)))


def _send(record: SpendRecord, sinks: Iterable[Callable[[SpendRecord], None]]) -> None:
    for sink in sinks:
        sink(record)


def _name_of(embeddings: Embeddings) -> str | None:
    for attribute in ("model", "model_name", "model_id"):
        name = getattr(embeddings, attribute, None)
        if isinstance(name, str) and name:
            return name
    return None
