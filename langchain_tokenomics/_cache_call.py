"""One call of a cached model: an answer to say again, or a fresh one to keep."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from langchain_core.language_models import BaseChatModel
from langchain_core.load import dumps
from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatGenerationChunk, Generation

from langchain_tokenomics._cache_codec import Stored
from langchain_tokenomics._cache_door import Asked, Door
from tokenomics_core.cache import Answer

if TYPE_CHECKING:
    from tokenomics_core.cache._turn import Turn

__all__ = ["CachedCall", "carried", "is_served_from_cache"]


class CachedCall:
    """Whose turn it is, what the cache holds, and where a fresh answer goes.

    Attributes:
        model: What is asked.
        stored: The answer to say again; None where the model is to be asked.
        is_over: Whether it has ended; a task that it left behind may still carry it.
    """

    def __init__(self, door: Door, model: object, asked: Asked | None, turn: Turn | None) -> None:
        self.model = model
        self.stored: Stored | None = None
        self._door, self._asked, self._turn = door, asked, turn
        self.is_over = False
        self._is_taken = False
        self._expected: tuple[str, int] | None = None
        hit = None if turn is None else turn.hit
        if hit is not None and not hit.refresh:
            try:
                self.stored = door.read(hit)
            except Exception as error:  # noqa: BLE001 - a cache may not break the call that it serves
                door.failed(error)

    @classmethod
    def begin(
        cls,
        door: Door,
        model: BaseChatModel,
        messages: Sequence[BaseMessage],
        stop: Any,
        kwargs: dict[str, Any],
    ) -> CachedCall:
        """Look a call up, and wait where another one computes the same."""
        try:
            asked = door.asked_of_model(model, messages, stop, kwargs)
        except Exception as error:  # noqa: BLE001 - a cache may not break the call that it serves
            door.failed(error)
            return cls(door, model, None, None)
        return cls.begin_at(door, model, asked)

    @classmethod
    def begin_at(cls, door: Door, model: object, asked: Asked) -> CachedCall:
        """Do the same for a place that is known."""
        try:
            turn = door.cache.begin(asked.partition, asked.question, how=asked.how, tenant=asked.tenant)
        except Exception as error:  # noqa: BLE001 - a cache may not break the call that it serves
            door.failed(error)
            return cls(door, model, None, None)
        return cls(door, model, asked, turn)

    @classmethod
    async def abegin(
        cls,
        door: Door,
        model: BaseChatModel,
        messages: Sequence[BaseMessage],
        stop: Any,
        kwargs: dict[str, Any],
    ) -> CachedCall:
        """Do the same without blocking the event loop."""
        try:
            asked = door.asked_of_model(model, messages, stop, kwargs)
        except Exception as error:  # noqa: BLE001 - a cache may not break the call that it serves
            door.failed(error)
            return cls(door, model, None, None)
        return await cls.abegin_at(door, model, asked)

    @classmethod
    async def abegin_at(cls, door: Door, model: object, asked: Asked) -> CachedCall:
        """Do the same for a place that is known, without blocking the event loop."""
        try:
            turn = await door.cache.abegin(
                asked.partition, asked.question, how=asked.how, tenant=asked.tenant
            )
        except Exception as error:  # noqa: BLE001 - a cache may not break the call that it serves
            door.failed(error)
            return cls(door, model, None, None)
        return cls(door, model, asked, turn)

    def expect(self, messages: Sequence[BaseMessage], n_tools: int) -> None:
        """Keep only the answer to this: what stands in between may change it, or ask something of its own."""
        self._expected = (dumps(list(messages)), n_tools)

    @contextmanager
    def taken(self, messages: Sequence[BaseMessage], kwargs: dict[str, Any]) -> Iterator[None]:
        """Answer the call inside the block; where that fails it may be tried again."""
        self._is_taken = True
        if self._expected is not None:
            sent = (dumps(list(messages)), len(kwargs.get("tools") or ()))
            if sent != self._expected or "response_format" in kwargs:
                self._asked = None
        try:
            yield
        except BaseException:
            self._is_taken = False
            raise

    @property
    def is_taken(self) -> bool:
        """Whether somebody answers it already."""
        return self._is_taken

    def keep(
        self, generations: Sequence[Generation], chunks: Sequence[ChatGenerationChunk] | None = None
    ) -> None:
        """Store a complete answer and serve those who wait."""
        try:
            plan = self._plan(generations, chunks)
            if plan is None or self._turn is None:
                return
            answer, how, by_hand = plan
            if by_hand and self._asked is not None:
                asked = self._asked
                self._door.cache.put(
                    asked.partition, asked.question, answer, how=how, lookup=self._turn.lookup
                )
            else:
                self._turn.finish(answer)
        except Exception as error:  # noqa: BLE001 - the answer is paid for and must reach its caller
            self._door.failed(error)

    async def akeep(
        self, generations: Sequence[Generation], chunks: Sequence[ChatGenerationChunk] | None = None
    ) -> None:
        """Store a complete answer without blocking the event loop."""
        try:
            plan = self._plan(generations, chunks)
            if plan is None or self._turn is None:
                return
            answer, how, by_hand = plan
            if by_hand and self._asked is not None:
                asked = self._asked
                await self._door.cache.aput(
                    asked.partition, asked.question, answer, how=how, lookup=self._turn.lookup
                )
            else:
                await self._turn.afinish(answer)
        except Exception as error:  # noqa: BLE001 - the answer is paid for and must reach its caller
            self._door.failed(error)

    def _plan(
        self, generations: Sequence[Generation], chunks: Sequence[ChatGenerationChunk] | None
    ) -> tuple[Answer, Any, bool] | None:
        """Return what is stored, how, and whether the turn does not do it; None where nothing is."""
        if self._asked is None or self._turn is None or self.stored is not None or self.is_over:
            return None
        answer = self._door.written(self._asked, generations, chunks)
        if answer is None:
            return None
        how = self._door.how_to_store(self._asked, answer)
        return answer, how, how != self._asked.how or self._turn.hit is not None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.is_over = True
        try:
            if self._turn is not None:
                self._turn.abandon()
        except Exception as failure:  # noqa: BLE001 - a cache may not break the call that it serves
            self._door.failed(failure)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.is_over = True
        try:
            if self._turn is not None:
                await self._turn.aabandon()
        except Exception as failure:  # noqa: BLE001 - a cache may not break the call that it serves
            self._door.failed(failure)

    @contextmanager
    def spread(self) -> Iterator[None]:
        """Hand the call to what runs inside the block."""
        token = _carried.set(self)
        try:
            yield
        finally:
            _carried.reset(token)


_carried: ContextVar[CachedCall | None] = ContextVar("tokenomics_cached_call", default=None)


def carried(model: object) -> CachedCall | None:
    """Return the call of this model that was looked up further out."""
    call = _carried.get()
    return call if call is not None and call.model is model and not call.is_over else None


def is_served_from_cache() -> bool:
    """Whether the model call that begins here is answered from the cache, and costs nothing."""
    call = _carried.get()
    return call is not None and call.stored is not None and not call.is_taken and not call.is_over
