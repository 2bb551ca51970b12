"""Serve a whole chain from the response cache: retrieval, prompt and model are spared together."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from langchain_core.callbacks import (
    AsyncCallbackManagerForChainRun,
    CallbackManagerForChainRun,
    adispatch_custom_event,
    dispatch_custom_event,
)
from langchain_core.runnables import Runnable, RunnableConfig
from langchain_core.runnables.config import merge_configs

from langchain_tokenomics._cache_door import default_tenant
from langchain_tokenomics._cache_mark import HIT_EVENT, mark_of
from langchain_tokenomics._chain_codec import NotPlainError, plain_input, read_output, write_output
from langchain_tokenomics._chain_watch import ChainWatch
from tokenomics_core.cache import Answer, Hit, ResponseCache, partition_of
from tokenomics_core.errors import ConfigurationError

if TYPE_CHECKING:
    from tokenomics_core.cache._turn import Turn

__all__ = ["CachedChain"]

_In = TypeVar("_In")
_Out = TypeVar("_Out")
_Place = tuple[str, str, str | None]
_log = logging.getLogger("tokenomics")


class CachedChain(Runnable[_In, _Out]):
    """Answers a chain's question from an earlier run with the same question, or one that means the same.

    rag = CachedChain(chain, ResponseCache(), name="handbook", question="question")
    rag.invoke({"question": "How long do refunds take?", "history": []})

    Everything of the input but the question must be equal, and so must `name` and the tenant. The question is
    compared before anything is retrieved, so a question in other words finds its answer although it would
    retrieve other documents. Ids and `source` metadata of the documents that retrievers found become the
    answer's sources: `cache.invalidate(source=...)` drops it when they change. Equal questions at the same
    time run the chain once. Answers that a model cut off are not kept.

    What the chain reads besides its input is not seen: give it another `name` when its prompt, model or index
    changes, or when it answers by who asks (use `tenant` for that).

    Args:
        chain: What answers: text, or data of text, numbers, lists, mappings and documents.
        cache: Where answers live; a new one in memory where none is given.
        name: What distinguishes this chain's answers from those of others in the cache.
        question: The input's key that holds the question, or a function that finds it; None where the input
            itself is the question.
        tenant: Whose answers these are, or a function that tells for each run; None asks the tag `tenant`
            of the attribution in force.
        tags: Labels of every answer, to invalidate by.
        ttl_s: Seconds that an answer stays fresh; None for what the cache says.

    Raises:
        ConfigurationError: `name` is empty.
    """

    def __init__(
        self,
        chain: Runnable[_In, _Out],
        cache: ResponseCache | None = None,
        *,
        name: str,
        question: str | Callable[[_In], str] | None = "question",
        tenant: str | Callable[[], str | None] | None = None,
        tags: tuple[str, ...] = (),
        ttl_s: float | None = None,
    ) -> None:
        if not isinstance(name, str) or not name:
            raise ConfigurationError(
                f"name must say whose answers these are, not {name!r}; nothing was cached"
            )
        self.chain, self.name = chain, name
        self.cache = cache if cache is not None else ResponseCache()
        self._question, self._tags, self._ttl_s = question, tags, ttl_s
        self._tenant = (
            tenant if callable(tenant) else (lambda: tenant) if tenant is not None else default_tenant
        )

    def invoke(self, input: _In, config: RunnableConfig | None = None, **kwargs: Any) -> _Out:  # noqa: A002
        """Answer from the cache, or run the chain and keep its answer."""
        return self._call_with_config(self._invoke, input, config, **kwargs)

    async def ainvoke(self, input: _In, config: RunnableConfig | None = None, **kwargs: Any) -> _Out:  # noqa: A002
        """Answer from the cache, or run the chain and keep its answer."""
        return await self._acall_with_config(self._ainvoke, input, config, **kwargs)

    def stream(
        self,
        input: _In,  # noqa: A002
        config: RunnableConfig | None = None,
        **kwargs: Any,
    ) -> Iterator[_Out]:
        """Stream the chain's answer and keep it when it was read to its end; a hit comes in one piece."""
        yield from self._transform_stream_with_config(iter([input]), self._stream, config, **kwargs)

    async def astream(
        self,
        input: _In,  # noqa: A002
        config: RunnableConfig | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[_Out]:
        """Stream the chain's answer and keep it when it was read to its end; a hit comes in one piece."""

        async def given() -> AsyncIterator[_In]:
            yield input

        async for piece in self._atransform_stream_with_config(given(), self._astream, config, **kwargs):
            yield piece

    def _invoke(
        self,
        input: _In,  # noqa: A002 - the base class's
        run_manager: CallbackManagerForChainRun,
        config: RunnableConfig,
        **kwargs: Any,
    ) -> _Out:
        place = self._place(input)
        if place is None:
            return self.chain.invoke(input, config, **kwargs)
        with self.cache.begin(*place[:2], tenant=place[2]) as turn:
            if turn.hit is not None and (found := _found(turn.hit)) is not None:
                dispatch_custom_event(HIT_EVENT, _told(turn.hit), config=config)
                return found[0]  # type: ignore[no-any-return]  # what the chain returned
            watch = ChainWatch()
            output = self.chain.invoke(input, _watched(config, watch), **kwargs)
            self._keep(turn, place, self._answer(output, watch, place[2]))
            return output

    async def _ainvoke(
        self,
        input: _In,  # noqa: A002
        run_manager: AsyncCallbackManagerForChainRun,
        config: RunnableConfig,
        **kwargs: Any,
    ) -> _Out:
        place = self._place(input)
        if place is None:
            return await self.chain.ainvoke(input, config, **kwargs)
        async with await self.cache.abegin(*place[:2], tenant=place[2]) as turn:
            if turn.hit is not None and (found := _found(turn.hit)) is not None:
                await adispatch_custom_event(HIT_EVENT, _told(turn.hit), config=config)
                return found[0]  # type: ignore[no-any-return]  # what the chain returned
            watch = ChainWatch()
            output = await self.chain.ainvoke(input, _watched(config, watch), **kwargs)
            await self._akeep(turn, place, self._answer(output, watch, place[2]))
            return output

    def _stream(
        self,
        inputs: Iterator[_In],
        run_manager: CallbackManagerForChainRun,
        config: RunnableConfig,
        **kwargs: Any,
    ) -> Iterator[_Out]:
        input_ = next(inputs)
        place = self._place(input_)
        if place is None:
            yield from self.chain.stream(input_, config, **kwargs)
            return
        with self.cache.begin(*place[:2], tenant=place[2]) as turn:
            if turn.hit is not None and (found := _found(turn.hit)) is not None:
                dispatch_custom_event(HIT_EVENT, _told(turn.hit), config=config)
                yield found[0]
                return
            watch, pieces = ChainWatch(), []
            for piece in self.chain.stream(input_, _watched(config, watch), **kwargs):
                pieces.append(piece)
                yield piece
            self._keep(turn, place, self._answer(_joined(pieces), watch, place[2]))

    async def _astream(
        self,
        inputs: AsyncIterator[_In],
        run_manager: AsyncCallbackManagerForChainRun,
        config: RunnableConfig,
        **kwargs: Any,
    ) -> AsyncIterator[_Out]:
        input_ = await anext(inputs)
        place = self._place(input_)
        if place is None:
            async for piece in self.chain.astream(input_, config, **kwargs):
                yield piece
            return
        async with await self.cache.abegin(*place[:2], tenant=place[2]) as turn:
            if turn.hit is not None and (found := _found(turn.hit)) is not None:
                await adispatch_custom_event(HIT_EVENT, _told(turn.hit), config=config)
                yield found[0]
                return
            watch, pieces = ChainWatch(), []
            async for piece in self.chain.astream(input_, _watched(config, watch), **kwargs):
                pieces.append(piece)
                yield piece
            await self._akeep(turn, place, self._answer(_joined(pieces), watch, place[2]))

    def _keep(self, turn: Turn, place: _Place, answer: Answer | None) -> None:
        if answer is None:
            return
        if turn.hit is None:
            turn.finish(answer)
        else:  # it is past its time or cannot be read, and this run's answer takes its place
            self.cache.put(*place[:2], answer, lookup=turn.lookup)

    async def _akeep(self, turn: Turn, place: _Place, answer: Answer | None) -> None:
        if answer is None:
            return
        if turn.hit is None:
            await turn.afinish(answer)
        else:
            await self.cache.aput(*place[:2], answer, lookup=turn.lookup)

    def _place(self, given: _In) -> _Place | None:
        """Return partition, question and tenant; None where the input cannot be read."""
        tenant = self._tenant()
        try:
            question, rest = self._split(given)
            partition = partition_of(
                tenant=tenant, extra={"langchain": "chain", "name": self.name, "input": plain_input(rest)}
            )
        except (NotPlainError, ConfigurationError, KeyError, TypeError) as error:
            _log.debug("a run of %r is not cached: its input cannot be read (%s)", self.name, error)
            return None
        return partition, question, tenant

    def _split(self, given: _In) -> tuple[str, Any]:
        """Return the question and everything else; raises where there is no question in words."""
        rest: Any = None
        if self._question is None:
            question: Any = given
        elif callable(self._question):
            question = self._question(given)
            rest = (
                {key: None if item == question else [item] for key, item in given.items()}
                if isinstance(given, Mapping)
                else None
            )
            if rest is None and given != question:
                rest = given
        elif isinstance(given, Mapping):
            question = given[self._question]
            rest = {key: item for key, item in given.items() if key != self._question}
        else:
            raise NotPlainError(f"it has no key {self._question!r}")
        if not isinstance(question, str) or not question.strip():
            raise NotPlainError("there is no question in words")
        return question, rest

    def _answer(self, output: Any, watch: ChainWatch, tenant: str | None) -> Answer | None:
        try:
            payload = write_output(output)
        except (NotPlainError, ValueError) as error:
            _log.debug("an answer of %r is not kept: %s", self.name, error)
            return None
        model, usage = watch.spent
        return Answer(
            payload=payload,
            answer=_said(output),
            usage=usage,
            model=model,
            tenant=tenant,
            sources=watch.sources,
            tags=self._tags,
            ttl_s=self._ttl_s,
            finish_reason=watch.finish_reason,
        )


def _watched(config: RunnableConfig, watch: ChainWatch) -> RunnableConfig:
    return merge_configs(config, RunnableConfig(callbacks=[watch]))


def _found(hit: Hit) -> tuple[Any] | None:
    """Return what was kept; None where it cannot be read, or this caller is the one to fetch it anew."""
    if hit.refresh:
        return None
    try:
        return (read_output(hit.payload),)
    except NotPlainError as error:
        _log.warning("a cached answer could not be read and is left out: %s", error)
        return None


def _told(hit: Hit) -> dict[str, Any]:
    return {**mark_of(hit), "model": hit.model, "question": hit.question}


def _joined(pieces: list[Any]) -> Any:
    """Add pieces up as LangChain does; what cannot be added is not kept."""
    if not pieces:
        return None
    whole = pieces[0]
    for piece in pieces[1:]:
        try:
            whole = whole + piece
        except TypeError:
            return object()
    return whole


def _said(output: Any) -> str | None:
    """Return what an output says in words, for comparing answers."""
    if isinstance(output, str):
        return output
    if isinstance(output, Mapping):
        for key in ("answer", "output", "result", "text"):
            if isinstance(output.get(key), str):
                return str(output[key])
    return None
