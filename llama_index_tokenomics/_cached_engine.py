"""Serve whole queries from the cache: retrieval, synthesis and every model call of both are spared."""

from __future__ import annotations

import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from llama_index.core.base.base_query_engine import BaseQueryEngine
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.base.response.schema import (
    RESPONSE_TYPE,
    AsyncStreamingResponse,
    PydanticResponse,
    Response,
    StreamingResponse,
)
from llama_index.core.schema import NodeWithScore, QueryBundle

from llama_index_tokenomics._cache_door import CachedCall, Door, Place
from llama_index_tokenomics._cache_open import Tenant, open_cache, teller_of
from llama_index_tokenomics._cache_spent import Spent
from llama_index_tokenomics._cached_response import (
    Shape,
    StoredResponse,
    read_response,
    sources_of,
    write_response,
)
from llama_index_tokenomics._cached_run import QueryRun
from llama_index_tokenomics._cached_setup import setup_of, synthesizer_of
from tokenomics_core.cache import Answer, KeyRule, MemoryCacheStore, ResponseCache, partition_of
from tokenomics_core.errors import ConfigurationError

if TYPE_CHECKING:
    from tokenomics_core.cache import CachePolicy, CacheStats
    from tokenomics_core.cache.content_guards import ContentGuard
    from tokenomics_core.embedding import Embedder

__all__ = ["CachingQueryEngine"]

_NO_ANSWERS = frozenset({"", "None", "Empty Response"})
"""What LlamaIndex says where nothing was retrieved, or where it swallowed what its model raised."""


class CachingQueryEngine(BaseQueryEngine):
    """Answers a question from an earlier query with the same question, or with one that means the same.

    engine = CachingQueryEngine(index.as_query_engine(), ResponseCache(), name="handbook")

    The question is compared before anything is retrieved, so other words find the answer although they would
    retrieve other nodes. A hit brings the source nodes back, with scores and metadata. Ids of the nodes and
    of their documents become the answer's sources: `cache.invalidate(source=doc_id)` drops it when they
    change.

    Part of what must be equal are `name`, the tenant, the engine's prompts, the settings of its model, and
    the plain settings of its retriever, postprocessors and synthesizer, filters included, as they stand when
    a question is asked. What an index holds is not seen, nor what engines of other make keep elsewhere:
    change `version` when that changes, or invalidate by source.
    """

    def __init__(
        self,
        engine: BaseQueryEngine,
        cache: ResponseCache | None = None,
        *,
        name: str | None = None,
        version: str | None = None,
        path: str | Path | None = None,
        tenant: Tenant = None,
        embedding: Embedder | BaseEmbedding | None = None,
        policy: CachePolicy | None = None,
        guards: Iterable[ContentGuard] | None = None,
        ttl_s: float | None = None,
        tags: Sequence[str] = (),
    ) -> None:
        """Put a cache before a query engine.

        Args:
            engine: Any LlamaIndex query engine.
            cache: A cache that is set up already; a new one where none is given.
            name: What distinguishes this engine's answers from those of others in the cache. A cache in
                memory needs none: the engine then shares with nobody.
            version: Of whatever the answers depend on that is not seen here.
            path: A SQLite file for the answers; None keeps them in memory.
            tenant: Whose answers these are, or a function that tells for each query; None asks the tag
                `tenant` of the attribution in force.
            embedding: What says how near questions are: LlamaIndex's or the core's; None for the shipped one.
            policy: What decides whether near is near enough; None for a bound of 2% wrong answers.
            guards: What is never stored or served; None for the core's default.
            ttl_s: Seconds that an answer stays fresh; None for what the cache says.
            tags: Labels of every answer, to invalidate by.

        Raises:
            ConfigurationError: The answers outlive the process and `name` is missing, or settings contradict
                one another.
        """
        if not isinstance(engine, BaseQueryEngine):
            raise ConfigurationError(
                f"engine must be a LlamaIndex query engine, not {type(engine).__name__}; nothing was cached"
            )
        super().__init__(callback_manager=engine.callback_manager)
        opened = open_cache(
            cache,
            path=path,
            embedding=embedding,
            policy=policy,
            guards=guards,
            ttl_s=ttl_s if cache is None else None,
        )
        if not name and (name is not None or not isinstance(opened.store, MemoryCacheStore)):
            raise ConfigurationError(
                f"name must say whose answers these are in {type(opened.store).__name__}, not {name!r}: "
                "another engine's would be found; nothing was cached"
            )
        self.engine, self.name, self.version = engine, name or f"only {uuid.uuid4().hex}", version
        self._tags, self._ttl_s = tuple(tags), ttl_s
        self._door = Door(opened, KeyRule(), teller_of(tenant))

    @property
    def cache(self) -> ResponseCache:
        """Where answers live."""
        return self._door.cache

    @property
    def failures(self) -> int:
        """How many queries went on without the cache as something in this adapter failed."""
        return self._door.failures

    def stats(self) -> CacheStats:
        """Tell what was hit, missed and avoided."""
        return self.cache.stats()

    # -- LlamaIndex's interface

    def retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        """Retrieve as the engine does; nothing of it is cached."""
        return self.engine.retrieve(query_bundle)

    def synthesize(
        self,
        query_bundle: QueryBundle,
        nodes: list[NodeWithScore],
        additional_source_nodes: Sequence[NodeWithScore] | None = None,
    ) -> RESPONSE_TYPE:
        """Synthesize as the engine does; nothing of it is cached."""
        return self.engine.synthesize(query_bundle, nodes, additional_source_nodes)

    async def asynthesize(
        self,
        query_bundle: QueryBundle,
        nodes: list[NodeWithScore],
        additional_source_nodes: Sequence[NodeWithScore] | None = None,
    ) -> RESPONSE_TYPE:
        """Synthesize as the engine does; nothing of it is cached."""
        return await self.engine.asynthesize(query_bundle, nodes, additional_source_nodes)

    def _get_prompts(self) -> dict[str, Any]:
        return self.engine._get_prompts()  # noqa: SLF001 - LlamaIndex's way to forward prompts

    def _update_prompts(self, prompts: dict[str, Any]) -> None:
        self.engine._update_prompts(prompts)  # noqa: SLF001 - likewise

    def _get_prompt_modules(self) -> dict[str, Any]:
        return dict(self.engine._get_prompt_modules())  # noqa: SLF001 - likewise

    def _query(self, query_bundle: QueryBundle) -> RESPONSE_TYPE:
        place, shape = self._place(query_bundle), self._shape(is_async=False)
        read = partial(read_response, shape=shape)
        call: CachedCall[StoredResponse] = CachedCall.begin(self._door, place, read)
        if call.found is not None:
            return call.found.response(shape, dict(call.mark))
        run, spent = QueryRun(), Spent()
        try:
            with spent.watching(), run.watching():
                response = self.engine._query(replace(query_bundle))  # noqa: SLF001 - `query` would tell of two queries
            if isinstance(response, StreamingResponse):
                given = cast("Iterator[str]", response.response_gen)
                response.response_gen = self._noted(call, place, response, given, run, spent)  # type: ignore[assignment]  # a generator
                return response
            call.keep(self._answer(place, shape, response, run, spent))
        except BaseException:
            call.abandon()
            raise
        call.abandon()
        return response

    async def _aquery(self, query_bundle: QueryBundle) -> RESPONSE_TYPE:
        place, shape = self._place(query_bundle), self._shape(is_async=True)
        read = partial(read_response, shape=shape)
        call: CachedCall[StoredResponse] = await CachedCall.abegin(self._door, place, read)
        if call.found is not None:
            return call.found.response(shape, dict(call.mark))
        run, spent = QueryRun(), Spent()
        try:
            with spent.watching(), run.watching():
                response = await self.engine._aquery(replace(query_bundle))  # noqa: SLF001 - likewise
            if isinstance(response, AsyncStreamingResponse):
                later = cast("AsyncIterator[str]", response.response_gen)
                response.response_gen = self._anoted(call, place, response, later, run, spent)  # type: ignore[assignment]  # a generator
                return response
            if isinstance(response, StreamingResponse):
                given = cast("Iterator[str]", response.response_gen)
                response.response_gen = self._noted(call, place, response, given, run, spent)  # type: ignore[assignment]  # a generator
                return response
            await call.akeep(self._answer(place, shape, response, run, spent))
        except BaseException:
            await call.aabandon()
            raise
        await call.aabandon()
        return response

    # -- inside

    def _shape(self, *, is_async: bool) -> Shape:
        synthesizer = synthesizer_of(self.engine)
        return Shape(
            output_cls=getattr(synthesizer, "_output_cls", None),
            streams=bool(getattr(synthesizer, "_streaming", False)),
            is_async=is_async,
        )

    def _place(self, query: QueryBundle) -> Place | None:
        """Say where a question is looked for; nowhere, where it holds more than words."""
        question = query.query_str
        if not question.strip() or query.image_path:
            return None
        with self._door.watching():
            tenant = self._door.tenant()
            partition = partition_of(
                tenant=tenant,
                extra={
                    "llama_index": "query",
                    "name": self.name,
                    "version": self.version,
                    "setup": setup_of(self.engine),
                    "embedded": query.custom_embedding_strs,
                },
            )
            return Place(
                partition=partition,
                question=question,
                # Vectors that a caller brings along decide what is retrieved, and are no part of the words.
                how="never" if query.embedding is not None else "semantic",
                operation="query",
                tenant=tenant,
            )
        return None

    def _answer(
        self, place: Place | None, shape: Shape, response: object, run: QueryRun, spent: Spent
    ) -> Answer | None:
        if isinstance(response, PydanticResponse):
            kind = shape.output_cls
            if kind is None or not isinstance(response.response, kind):
                return None
            text = response.response.model_dump_json()
        elif isinstance(response, Response):
            text = response.response or ""
        else:
            return None
        return self._written(place, text, (), response, run, spent)

    def _written(
        self,
        place: Place | None,
        text: str,
        pieces: tuple[str, ...],
        response: Response | PydanticResponse | StreamingResponse | AsyncStreamingResponse,
        run: QueryRun,
        spent: Spent,
    ) -> Answer | None:
        """Return what is kept; nothing, where something inside went wrong, or nothing was answered."""
        if place is None or run.failed or text in _NO_ANSWERS or text == self._says_nothing():
            return None
        try:
            payload = write_response(text, pieces, response.source_nodes, response.metadata)
        except (TypeError, ValueError) as error:
            self._door.tell_once(f"an answer of {self.name!r} is not kept: {error}")
            return None
        model, usage, _ = spent.total
        return Answer(
            payload=payload,
            answer=text,
            usage=usage,
            model=model,
            tenant=place.tenant,
            sources=sources_of(response.source_nodes),
            tags=self._tags,
            ttl_s=self._ttl_s,
            finish_reason=run.finish_reason,
        )

    def _says_nothing(self) -> str | None:
        return getattr(synthesizer_of(self.engine), "_empty_response", None)

    def _noted(
        self,
        call: CachedCall[StoredResponse],
        place: Place | None,
        response: StreamingResponse,
        stream: Iterator[str],
        run: QueryRun,
        spent: Spent,
    ) -> Iterator[str]:
        """Pass a stream on and keep it when it was read to its end."""
        with call:
            pieces: list[str] = []
            try:
                while True:
                    with spent.watching(), run.watching():
                        piece = next(stream, None)
                    if piece is None:
                        break
                    pieces.append(piece)
                    yield piece
            finally:
                if isinstance(stream, Generator):
                    stream.close()
            with self._door.watching():
                call.keep(self._written(place, "".join(pieces), tuple(pieces), response, run, spent))

    async def _anoted(
        self,
        call: CachedCall[StoredResponse],
        place: Place | None,
        response: AsyncStreamingResponse,
        stream: AsyncIterator[str],
        run: QueryRun,
        spent: Spent,
    ) -> AsyncIterator[str]:
        """Do the same without blocking the event loop."""
        async with call:
            pieces: list[str] = []
            try:
                while True:
                    with spent.watching(), run.watching():
                        piece = await anext(stream, None)
                    if piece is None:
                        break
                    pieces.append(piece)
                    yield piece
            finally:
                if isinstance(stream, AsyncGenerator):
                    await stream.aclose()
            with self._door.watching():
                await call.akeep(self._written(place, "".join(pieces), tuple(pieces), response, run, spent))
