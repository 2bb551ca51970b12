"""Objects of a schema from the cache."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from typing import TYPE_CHECKING, Any

from llama_index.core.prompts import PromptTemplate
from pydantic import BaseModel

from llama_index_tokenomics._cache_codec import read_said, said_object, write_said
from llama_index_tokenomics._cache_door import CachedCall, Door, Place
from llama_index_tokenomics._cache_spent import Spent
from tokenomics_core.cache import Answer

if TYPE_CHECKING:
    from llama_index.core.llms.llm import LLM

__all__ = ["StructuredAsk"]


class StructuredAsk:
    """A request for an object: of the cache, else of the model by its own way of asking."""

    def __init__(
        self,
        door: Door,
        place: Place | None,
        model: LLM,
        output_cls: type[BaseModel],
        prompt: PromptTemplate,
        llm_kwargs: dict[str, Any] | None,
        prompt_args: dict[str, Any],
    ) -> None:
        self._door, self._place, self._model = door, place, model
        self._kind, self._prompt = output_cls, prompt
        # Models write into the settings of a call.
        self._settings, self._arguments = dict(llm_kwargs or {}), prompt_args

    def whole(self) -> Any:
        """Return the object."""
        with CachedCall.begin(self._door, self._place, self._read) as call:
            if call.found is not None:
                return call.found
            spent = Spent()
            with spent.watching():
                found = self._model.structured_predict(
                    self._kind, self._prompt, llm_kwargs=self._settings, **self._arguments
                )
            call.keep(self._answer(found, spent))
            return found

    async def awhole(self) -> Any:
        """Return the object without blocking the event loop."""
        async with await CachedCall.abegin(self._door, self._place, self._read) as call:
            if call.found is not None:
                return call.found
            spent = Spent()
            with spent.watching():
                found = await self._model.astructured_predict(
                    self._kind, self._prompt, llm_kwargs=self._settings, **self._arguments
                )
            await call.akeep(self._answer(found, spent))
            return found

    def stream(self) -> Generator[Any, None, None]:
        """Yield the object as it grows; one from the cache comes whole."""
        with CachedCall.begin(self._door, self._place, self._read) as call:
            if call.found is not None:
                yield call.found
                return
            nothing = object()
            last: Any = nothing
            spent = Spent()
            with spent.watching():
                stream = self._model._structured_stream_call(  # noqa: SLF001 - what `stream_structured_predict` asks
                    self._kind, self._prompt, self._settings, **self._arguments
                )
                piece = next(stream, nothing)
            while piece is not nothing:
                last = piece
                yield piece
                piece = next(stream, nothing)
            call.keep(self._answer(last, spent))

    async def astream(self) -> AsyncGenerator[Any, None]:
        """Yield the object as it grows, without blocking the event loop."""
        async with await CachedCall.abegin(self._door, self._place, self._read) as call:
            if call.found is not None:
                yield call.found
                return
            nothing = object()
            last: Any = nothing
            spent = Spent()
            with spent.watching():
                stream = await self._model._structured_astream_call(  # noqa: SLF001 - likewise
                    self._kind, self._prompt, self._settings, **self._arguments
                )
                piece = await anext(stream, nothing)
            while piece is not nothing:
                last = piece
                yield piece
                piece = await anext(stream, nothing)
            await call.akeep(self._answer(last, spent))

    def _read(self, payload: bytes | str) -> BaseModel | None:
        said = read_said(payload)
        if said is None:
            return None
        try:
            return self._kind.model_validate_json(said.text)
        except ValueError:
            return None

    def _answer(self, found: object, spent: Spent) -> Answer | None:
        said = said_object(found, self._kind)
        if said is None or self._place is None:
            return None
        model, usage, _ = spent.total
        return Answer(
            payload=write_said(said),
            answer=said.text,
            usage=usage,
            model=model or self._place.model,
            tenant=self._place.tenant,
        )
