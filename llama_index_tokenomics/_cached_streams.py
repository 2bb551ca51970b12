"""Pass a stream on while it is noted down; only one that was read to its good end is kept."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator
from typing import Any, TypeVar

from llama_index.core.base.llms.types import ChatResponse, CompletionResponse

from llama_index_tokenomics._cache_codec import Said, Told
from llama_index_tokenomics._cache_door import CachedCall
from tokenomics_core.cache import Answer

__all__ = ["again", "again_async", "pass_on", "pass_on_async"]

_R = TypeVar("_R", ChatResponse, CompletionResponse)
Write = Callable[[Any, tuple[str, ...], Told], Answer | None]


class _Notes:
    """What was read of a stream so far."""

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self.told = Told()
        self.last: Any = None

    def add(self, response: ChatResponse | CompletionResponse) -> None:
        self.pieces.append(response.delta or "")
        self.told = self.told.then(response)
        self.last = response


def pass_on(call: CachedCall[Said], stream: Iterator[_R], write: Write) -> Generator[_R, None, None]:
    """Yield the pieces of a fresh answer, then keep it; a stream that is dropped lets others take over."""
    with call:
        notes = _Notes()
        try:
            for response in stream:
                notes.add(response)
                yield response
        finally:
            if isinstance(stream, Generator):
                stream.close()
        if notes.last is not None:
            call.keep(write(notes.last, tuple(notes.pieces), notes.told))


async def pass_on_async(
    call: CachedCall[Said], stream: AsyncIterator[_R], write: Write
) -> AsyncGenerator[_R, None]:
    """Do the same without blocking the event loop."""
    async with call:
        notes = _Notes()
        try:
            async for response in stream:
                notes.add(response)
                yield response
        finally:
            if isinstance(stream, AsyncGenerator):
                await stream.aclose()
        if notes.last is not None:
            await call.akeep(write(notes.last, tuple(notes.pieces), notes.told))


def again(pieces: Iterator[_R]) -> Generator[_R, None, None]:
    """Say a stored answer again."""
    yield from pieces


async def again_async(pieces: Iterator[_R]) -> AsyncGenerator[_R, None]:
    """Say a stored answer again."""
    for piece in pieces:
        yield piece
