"""Let what a stream does when it is read belong to the query that returned it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextvars import Context
from typing import Any, Generic, TypeVar, cast

from llama_index.core.base.response.schema import AsyncStreamingResponse, StreamingResponse

__all__ = ["Lazy", "Unread", "read_in", "reads_elsewhere"]

_T = TypeVar("_T")
Lazy = StreamingResponse | AsyncStreamingResponse


class Unread:
    """Lives as long as a stream may still begin calls.

    Attributes:
        done: Called when the stream was read or closed; not where the garbage collector takes one.
    """

    __slots__ = ("__weakref__", "done")

    def __init__(self, done: Callable[[Unread], None]) -> None:
        self.done = done


def reads_elsewhere(response: Lazy) -> bool:
    """Whether a response's stream was bound to its query already, or there is none to bind."""
    stream: object = response.response_gen
    code = getattr(stream, "gi_code", None) or getattr(stream, "ag_code", None)
    return code in _OURS or not isinstance(stream, (Generator, AsyncGenerator))


def read_in(context: Context, response: Lazy, unread: Unread) -> None:
    """Have a response's stream run in a context, wherever it is read.

    Synthesizers return generators that ask the model when they are first read, which may be after the block
    that the query was made in, or in another thread.
    """
    stream: object = response.response_gen
    if isinstance(stream, Generator):
        response.response_gen = _read(context, stream, unread)
    elif isinstance(stream, AsyncGenerator):
        response.response_gen = _aread(context, stream, unread)


def _read(context: Context, stream: Generator[str, None, None], unread: Unread) -> Generator[str, None, None]:
    try:
        while True:
            try:
                piece = context.run(next, stream)
            except StopIteration:
                return
            yield piece
    finally:
        context.run(stream.close)
        unread.done(unread)


async def _aread(
    context: Context, stream: AsyncGenerator[str, None], unread: Unread
) -> AsyncGenerator[str, None]:
    try:
        while True:
            try:
                piece = await _Within(context, anext(stream))
            except StopAsyncIteration:
                return
            yield piece
    finally:
        await _Within(context, stream.aclose())
        unread.done(unread)


_OURS = (_read.__code__, _aread.__code__)


class _Within(Generic[_T]):
    """Await something whose steps run in a context, in the task that awaits it."""

    def __init__(self, context: Context, awaitable: Awaitable[_T]) -> None:
        self._context, self._awaitable = context, awaitable

    def __await__(self) -> Generator[Any, Any, _T]:
        steps = self._awaitable.__await__()
        step: Callable[[Any], Any] = steps.send
        given: Any = None
        while True:
            try:
                waits_for = self._context.run(step, given)
            except StopIteration as end:
                return cast("_T", end.value)
            try:
                step, given = steps.send, (yield waits_for)
            except BaseException as error:  # noqa: BLE001 - it is handed in, and comes out where it is not caught
                step, given = steps.throw, error
