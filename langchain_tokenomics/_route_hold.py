"""A draft that may yet be rejected is not shown to whoever shows what arrives."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final, NamedTuple, TypeVar
from uuid import UUID

from langchain_core.callbacks import AsyncCallbackHandler, BaseCallbackHandler, BaseCallbackManager
from langchain_core.callbacks.base import LLMManagerMixin
from langchain_core.callbacks.manager import ahandle_event, handle_event
from langchain_core.language_models import BaseLanguageModel
from langchain_core.runnables import Runnable, RunnableBinding, RunnableParallel, RunnableSequence
from langchain_core.tracers import BaseTracer
from langchain_core.tracers._streaming import _StreamingCallbackHandler, _V2StreamingCallbackHandler
from langchain_core.tracers.context import _configure_hooks

from langchain_tokenomics._budget_steps import Step
from langchain_tokenomics._runs import RunTree

__all__ = ["HeldBack"]

_Callbacks = list[BaseCallbackHandler] | BaseCallbackManager | None
_R = TypeVar("_R")

_IGNORED_BY: Final[Mapping[str, str | None]] = {
    "on_llm_start": "ignore_llm",
    "on_chat_model_start": "ignore_chat_model",
    "on_llm_new_token": "ignore_llm",
    "on_stream_event": "ignore_llm",
    "on_llm_end": "ignore_llm",
    "on_llm_error": "ignore_llm",
    "on_chain_start": "ignore_chain",
    "on_chain_end": "ignore_chain",
    "on_chain_error": "ignore_chain",
    "on_agent_action": "ignore_agent",
    "on_agent_finish": "ignore_agent",
    "on_tool_start": "ignore_agent",
    "on_tool_end": "ignore_agent",
    "on_tool_error": "ignore_agent",
    "on_retriever_start": "ignore_retriever",
    "on_retriever_end": "ignore_retriever",
    "on_retriever_error": "ignore_retriever",
    "on_retry": "ignore_retry",
    "on_text": None,
    "on_custom_event": "ignore_custom_event",
}
"""What LangChain tells handlers, and the property by which each of them declines it."""
_PIECES = ("on_llm_new_token", "on_stream_event")


class HeldBack:
    """What the handlers of one attempt are told only once its answer is accepted.

    A handler that shows a run as it goes (`astream_events`, a graph's messages) hears nothing before, and
    nothing at all of a draft that is rejected. One that listens to pieces hears of every call that is paid,
    but of its pieces only where they became the answer. Tracers and meters, which show nobody anything, hear
    everything at once.
    """

    def __init__(self) -> None:
        self._told: list[_Event] = []

    def over(self, callbacks: Any) -> _Callbacks:
        """Return callbacks in which those who would show a draft are held back."""
        if callbacks is None:
            return None
        if not isinstance(callbacks, BaseCallbackManager):
            return self._all(callbacks, {})
        kept, known = callbacks.copy(), dict[int, BaseCallbackHandler]()
        kept.handlers = self._all(kept.handlers, known)
        kept.inheritable_handlers = self._all(kept.inheritable_handlers, known)
        return kept

    def within(self, model: _R) -> _R:
        """Return a runnable in which the callbacks of its models are held back as well."""
        made: Any = model
        if isinstance(model, BaseLanguageModel):
            if model.callbacks:
                made = model.model_copy(update={"callbacks": self.over(model.callbacks)})
        elif isinstance(model, RunnableBinding):
            bound, config = self.within(model.bound), dict(model.config)
            if config.get("callbacks"):
                config["callbacks"] = self.over(config["callbacks"])
            if bound is not model.bound or config != model.config:
                made = model.model_copy(update={"bound": bound, "config": config})
        elif isinstance(model, RunnableSequence):
            steps = [self.within(step) for step in model.steps]
            if not all(map(_same, steps, model.steps)):
                made = RunnableSequence(*steps, name=model.name)
        elif isinstance(model, RunnableParallel):
            parts: Mapping[str, Runnable[Any, Any]] = {
                name: self.within(step) for name, step in model.steps__.items()
            }
            if not all(map(_same, parts.values(), model.steps__.values())):
                made = model.model_copy(update={"steps__": parts})
        found: _R = made
        return found

    def release(self, *, accepted: bool, but_last: bool = False) -> Step:
        """Return the step that tells everything, or of a rejected draft only that its calls ended.

        Args:
            accepted: Whether the answer is used.
            but_last: Whether the end is told later, after the pieces were handed on: `astream_events` shows
                the pieces of a run only before its end.
        """
        return Step(partial(self._release, accepted, but_last), partial(self._arelease, accepted, but_last))

    def _all(
        self, handlers: Sequence[BaseCallbackHandler], known: dict[int, BaseCallbackHandler]
    ) -> list[BaseCallbackHandler]:
        return [known.setdefault(id(handler), self._one(handler)) for handler in handlers]

    def _one(self, handler: BaseCallbackHandler) -> BaseCallbackHandler:
        if isinstance(handler, _StreamingCallbackHandler):
            kind = _HiddenEvents if isinstance(handler, _V2StreamingCallbackHandler) else _Hidden
            return kind(handler, self._told)
        if isinstance(handler, (BaseTracer, RunTree)) or not _listens_to_pieces(handler):
            return handler
        if any(var.get() is handler for var, *_ in _configure_hooks):
            return handler  # LangChain adds those again where it does not find them
        return _WithoutPieces(handler, self._told)

    def _release(self, accepted: bool, but_last: bool) -> None:
        for event in self._take(accepted, but_last):
            handle_event([event.handler], event.name, _IGNORED_BY[event.name], *event.given, **event.named)

    async def _arelease(self, accepted: bool, but_last: bool) -> None:
        for event in self._take(accepted, but_last):
            await ahandle_event(
                [event.handler], event.name, _IGNORED_BY[event.name], *event.given, **event.named
            )

    def _take(self, accepted: bool, but_last: bool) -> list[_Event]:
        cut = len(self._told) - (accepted and but_last)
        told, self._told[:] = self._told[: max(cut, 0)], self._told[max(cut, 0) :]
        return [event for event in told if accepted or event.is_paid_for]


class _Event(NamedTuple):
    """Something that a handler was not told yet.

    Attributes:
        handler: Whom to tell.
        name: Of its method.
        given: Arguments by position.
        named: Arguments by name.
        is_paid_for: Whether it is told of a rejected draft too.
    """

    handler: BaseCallbackHandler
    name: str
    given: tuple[Any, ...]
    named: dict[str, Any]
    is_paid_for: bool


class _Hidden(BaseCallbackHandler):
    """Stands for a handler that shows runs, and remembers what it would have been told.

    As that one would, it makes models answer in pieces also where they are not asked to.
    """

    run_inline = True

    def __init__(self, handler: BaseCallbackHandler, told: list[_Event]) -> None:
        self._handler, self._told = handler, told

    def __getattribute__(self, name: str) -> Any:
        if name not in _IGNORED_BY:
            return object.__getattribute__(self, name)
        return partial(_remember, self._told, self._handler, name, False)

    def tap_output_aiter(self, run_id: UUID, output: AsyncIterator[_R]) -> AsyncIterator[_R]:
        """Let pieces of a chain pass untold; those of its models are told."""
        return output

    def tap_output_iter(self, run_id: UUID, output: Iterator[_R]) -> Iterator[_R]:
        """Do the same in sync code."""
        return output


class _HiddenEvents(_Hidden, _V2StreamingCallbackHandler):
    """Stands for one that is told of blocks of content instead of tokens."""


class _WithoutPieces(BaseCallbackHandler):
    """Stands for a handler that listens to pieces, and passes on all else; order is kept."""

    def __init__(self, handler: BaseCallbackHandler, told: list[_Event]) -> None:
        self._handler, self._told = handler, told

    def __getattribute__(self, name: str) -> Any:
        if name in ("_handler", "_told") or name.startswith("__"):
            return object.__getattribute__(self, name)
        if name in _PIECES:
            return partial(_remember, self._told, self._handler, name, False)
        if name == "on_llm_end" and any(event.handler is self._handler for event in self._told):
            return partial(_remember, self._told, self._handler, name, True)
        return getattr(self._handler, name)


def _remember(
    told: list[_Event],
    handler: BaseCallbackHandler,
    event: str,
    is_paid_for: bool,
    /,
    *given: Any,
    **named: Any,
) -> None:
    told.append(_Event(handler, event, given, named, is_paid_for))


def _listens_to_pieces(handler: BaseCallbackHandler) -> bool:
    kind = type(handler)
    return any(
        getattr(kind, name) not in (getattr(LLMManagerMixin, name), getattr(AsyncCallbackHandler, name))
        for name in _PIECES
    )


def _same(one: object, other: object) -> bool:
    return one is other
