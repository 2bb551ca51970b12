"""A chat model that asks the cache first, also where it is streamed."""

from __future__ import annotations

import threading
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator
from contextlib import aclosing, closing
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, cast

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.messages.tool import ToolCallChunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult, LLMResult
from langchain_core.outputs.chat_generation import merge_chat_generation_chunks
from langchain_core.rate_limiters import BaseRateLimiter
from langchain_core.runnables import RunnableBinding

from langchain_tokenomics._cache_call import CachedCall, carried, is_served_from_cache
from langchain_tokenomics._cache_codec import Stored, write_arguments
from langchain_tokenomics._cache_door import Door
from tokenomics_core.errors import ConfigurationError

__all__ = ["CachedModels"]

_M = TypeVar("_M")

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel as _Base
else:
    _Base = object  # what these stand before in a derived class is the model's own class


class CachedModels:
    """Makes models that go through one door.

    A cached model is a copy of the model whose class is derived from the model's own, so that its fields,
    tools, structured output, name and parameters are what they were.
    """

    def __init__(self, door: Door) -> None:
        self._door = door
        self._classes: dict[type, type] = {}
        self._lock = threading.Lock()

    def wrap(self, model: _M) -> _M:
        """Return the model with the cache in front of it; a binding of a model stays one."""
        if isinstance(model, RunnableBinding):
            return cast("_M", model.model_copy(update={"bound": self.wrap(model.bound)}))
        if not isinstance(model, BaseChatModel):
            raise ConfigurationError(
                f"a chat model can be cached, not {type(model).__name__}; no cache was put before it"
            )
        if isinstance(model, Cached):
            if model.tokenomics_door is self._door:
                return cast("_M", model)
            raise ConfigurationError("this model has another cache in front of it already")
        limiter = None if model.rate_limiter is None else MissLimiter(model.rate_limiter)
        copy = model.model_copy(update={"cache": False, "rate_limiter": limiter})
        object.__setattr__(copy, "__class__", self._class_of(type(model)))
        return cast("_M", copy)

    def _class_of(self, kind: type[BaseChatModel]) -> type:
        with self._lock:
            made = self._classes.get(kind)
            if made is None:
                parts: list[type] = [Cached]
                if kind._stream is not BaseChatModel._stream:  # noqa: SLF001 - what a subclass implements
                    parts.append(CachedStream)
                if kind._astream is not BaseChatModel._astream:  # noqa: SLF001 - what a subclass implements
                    parts.append(CachedAsyncStream)
                names = {
                    "__module__": kind.__module__,
                    "__qualname__": kind.__qualname__,
                    "__doc__": kind.__doc__,
                    "tokenomics_door": self._door,
                    "__annotations__": {"tokenomics_door": ClassVar[Door]},
                }
                made = self._classes[kind] = cast("type", type(kind))(kind.__name__, (*parts, kind), names)
            return made


class MissLimiter(BaseRateLimiter):
    """A rate limiter that lets answers from the cache pass, as LangChain's own caches do."""

    def __init__(self, limiter: BaseRateLimiter) -> None:
        self._limiter = limiter

    def acquire(self, *, blocking: bool = True) -> bool:
        """Wait for a place, unless nothing is sent."""
        return True if is_served_from_cache() else self._limiter.acquire(blocking=blocking)

    async def aacquire(self, *, blocking: bool = True) -> bool:
        """Wait for a place without blocking the event loop, unless nothing is sent."""
        return True if is_served_from_cache() else await self._limiter.aacquire(blocking=blocking)


class Cached(_Base):
    """Looks a call up before callbacks start, and keeps its answer once it is complete."""

    tokenomics_door: ClassVar[Door]

    def generate(
        self, messages: list[list[BaseMessage]], stop: list[str] | None = None, *args: Any, **kwargs: Any
    ) -> LLMResult:
        if len(messages) != 1 or _is_on_its_way(self):
            return super().generate(messages, stop, *args, **kwargs)
        with (
            CachedCall.begin(self.tokenomics_door, self, messages[0], stop, _of_call(kwargs)) as call,
            call.spread(),
        ):
            return super().generate(messages, stop, *args, **kwargs)

    async def agenerate(
        self, messages: list[list[BaseMessage]], stop: list[str] | None = None, *args: Any, **kwargs: Any
    ) -> LLMResult:
        if len(messages) != 1 or _is_on_its_way(self):
            return await super().agenerate(messages, stop, *args, **kwargs)
        async with await CachedCall.abegin(
            self.tokenomics_door, self, messages[0], stop, _of_call(kwargs)
        ) as call:
            with call.spread():
                return await super().agenerate(messages, stop, *args, **kwargs)

    def stream(
        self,
        input: Any,  # noqa: A002 - LangChain's name
        config: Any = None,
        *,
        stop: Any = None,
        **kwargs: Any,
    ) -> Iterator[AIMessageChunk]:
        messages = self._convert_input(input).to_messages()
        with CachedCall.begin(self.tokenomics_door, self, messages, stop, kwargs) as call:
            pieces = super().stream(input, config, stop=stop, **kwargs)
            with closing(cast("Generator[AIMessageChunk]", pieces)):
                # Only until the first piece: what a caller does between pieces is another call.
                with call.spread():
                    first = next(pieces, None)
                if first is not None:
                    yield first
                    yield from pieces

    async def astream(
        self,
        input: Any,  # noqa: A002 - LangChain's name
        config: Any = None,
        *,
        stop: Any = None,
        **kwargs: Any,
    ) -> AsyncIterator[AIMessageChunk]:
        messages = self._convert_input(input).to_messages()
        async with await CachedCall.abegin(self.tokenomics_door, self, messages, stop, kwargs) as call:
            pieces = super().astream(input, config, stop=stop, **kwargs)
            async with aclosing(cast("AsyncGenerator[AIMessageChunk]", pieces)):
                with call.spread():
                    first = await anext(pieces, None)
                if first is not None:
                    yield first
                    async for piece in pieces:
                        yield piece

    def _generate(
        self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> Any:
        call = carried(self)
        if call is not None and call.is_taken:
            return super()._generate(messages, stop, run_manager, **kwargs)  # type: ignore[safe-super]  # a model's
        if call is not None:
            return self._answered(call, messages, stop, run_manager, kwargs)
        with CachedCall.begin(self.tokenomics_door, self, messages, stop, kwargs) as own, own.spread():
            return self._answered(own, messages, stop, run_manager, kwargs)

    def _answered(
        self, call: CachedCall, messages: Any, stop: Any, run_manager: Any, kwargs: Any
    ) -> ChatResult:
        with call.taken(messages, kwargs):
            if call.stored is not None:
                return _result(call.stored)
            result = super()._generate(messages, stop, run_manager, **kwargs)  # type: ignore[safe-super]  # a model's
            call.keep(_told_all(result))
            return result

    async def _agenerate(
        self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> Any:
        call = carried(self)
        if call is not None and call.is_taken:
            return await super()._agenerate(messages, stop, run_manager, **kwargs)
        if call is not None:
            return await self._aanswered(call, messages, stop, run_manager, kwargs)
        async with await CachedCall.abegin(self.tokenomics_door, self, messages, stop, kwargs) as own:
            with own.spread():
                return await self._aanswered(own, messages, stop, run_manager, kwargs)

    async def _aanswered(
        self, call: CachedCall, messages: Any, stop: Any, run_manager: Any, kwargs: Any
    ) -> ChatResult:
        with call.taken(messages, kwargs):
            if call.stored is not None:
                return _result(call.stored)
            result = await super()._agenerate(messages, stop, run_manager, **kwargs)
            await call.akeep(_told_all(result))
            return result


class CachedStream(_Base):
    """Says a stored answer again in its pieces."""

    tokenomics_door: ClassVar[Door]

    def _stream(
        self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> Iterator[ChatGenerationChunk]:
        call = carried(self)
        if call is not None and call.is_taken:
            yield from super()._stream(messages, stop, run_manager, **kwargs)
            return
        own = (
            call if call is not None else CachedCall.begin(self.tokenomics_door, self, messages, stop, kwargs)
        )
        with own if call is None else _Nothing(), own.taken(messages, kwargs):
            if own.stored is not None:
                yield from _pieces(own.stored)
                return
            kept: list[ChatGenerationChunk] = []
            for chunk in super()._stream(messages, stop, run_manager, **kwargs):
                kept.append(_snapshot(chunk))
                yield chunk
            own.keep(*_whole(kept))


class CachedAsyncStream(_Base):
    """Says a stored answer again in its pieces, without blocking the event loop."""

    tokenomics_door: ClassVar[Door]

    async def _astream(
        self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> AsyncIterator[ChatGenerationChunk]:
        call = carried(self)
        if call is not None and call.is_taken:
            async for chunk in super()._astream(messages, stop, run_manager, **kwargs):
                yield chunk
            return
        own = (
            call
            if call is not None
            else await CachedCall.abegin(self.tokenomics_door, self, messages, stop, kwargs)
        )
        async with own if call is None else _Nothing():
            with own.taken(messages, kwargs):
                if own.stored is not None:
                    for chunk in _pieces(own.stored):
                        yield chunk
                    return
                kept: list[ChatGenerationChunk] = []
                async for chunk in super()._astream(messages, stop, run_manager, **kwargs):
                    kept.append(_snapshot(chunk))
                    yield chunk
                await own.akeep(*_whole(kept))


class _Nothing:
    """Ends nothing: whoever looked the call up further out ends it."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: object) -> None:
        return None

    async def __aenter__(self) -> None:
        return None

    async def __aexit__(self, *_: object) -> None:
        return None


def _is_on_its_way(model: object) -> bool:
    """Whether this call was looked up further out and is only passed on here."""
    call = carried(model)
    return call is not None and not call.is_taken


def _of_call(kwargs: dict[str, Any]) -> dict[str, Any]:
    """Leave out what `generate` is told for its callbacks."""
    return {key: value for key, value in kwargs.items() if key not in _FOR_CALLBACKS}


_FOR_CALLBACKS = frozenset({"callbacks", "tags", "metadata", "run_name", "run_id"})


def _result(stored: Stored) -> ChatResult:
    return ChatResult(generations=[cast("ChatGeneration", each) for each in stored.generations])


def _told_all(result: ChatResult) -> list[ChatGeneration]:
    """Put together what LangChain puts together after this: the metadata around a message and in it."""
    around = result.llm_output if len(result.generations) == 1 else None
    return [
        _with_metadata(each, {**(around or {}), **(each.generation_info or {})})
        for each in result.generations
    ]


def _with_metadata(generation: ChatGeneration, around: dict[str, Any]) -> ChatGeneration:
    message = generation.message
    told = {**around, **message.response_metadata}
    return ChatGeneration(
        message=message.model_copy(update={"response_metadata": told}),
        generation_info=generation.generation_info,
    )


def _snapshot(chunk: ChatGenerationChunk) -> ChatGenerationChunk:
    """Copy a piece before anybody writes into it."""
    told = {**(chunk.generation_info or {}), **chunk.message.response_metadata}
    return ChatGenerationChunk(
        message=chunk.message.model_copy(deep=True, update={"response_metadata": told})
    )


def _whole(kept: list[ChatGenerationChunk]) -> tuple[list[ChatGenerationChunk], list[ChatGenerationChunk]]:
    merged = merge_chat_generation_chunks([*kept])
    return ([] if merged is None else [merged]), kept


def _pieces(stored: Stored) -> list[ChatGenerationChunk]:
    """Return the pieces of an answer; one, where it did not come in pieces."""
    if stored.chunks:
        return stored.chunks
    message = cast("AIMessage", cast("ChatGeneration", stored.generations[0]).message)
    return [
        ChatGenerationChunk(
            message=AIMessageChunk(
                content=message.content,
                additional_kwargs=message.additional_kwargs,
                response_metadata=message.response_metadata,
                usage_metadata=message.usage_metadata,
                tool_call_chunks=[
                    ToolCallChunk(
                        name=each["name"],
                        args=write_arguments(each["args"]),
                        id=each["id"],
                        index=at,
                        type="tool_call_chunk",
                    )
                    for at, each in enumerate(message.tool_calls)
                ],
                chunk_position="last",
            )
        )
    ]
