"""Make the calls of a route: whole answers, streams, tools and objects of a schema in one way."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator, Mapping
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

from llama_index.core.llms.llm import LLM

from llama_index_tokenomics._routing_answer import answer_of, answer_of_pieces, marked
from llama_index_tokenomics._routing_attempt import Attempt
from llama_index_tokenomics._routing_steps import RouteSteps, Step, Steps, follow, follow_async
from llama_index_tokenomics._routing_tiers import fitted
from tokenomics_core.routing import RouteRequest

__all__ = ["Form", "RoutedCalls"]

_END = object()
_ASYNC = {"structured_predict": "astructured_predict", "_structured_stream_call": "_structured_astream_call"}
_UNREADABLE = (ValueError, TypeError)


@dataclass(frozen=True, slots=True)
class Form:
    """A method of a model and its arguments, before anybody knows which model.

    Attributes:
        method: Its name in sync code.
        given: Arguments by position.
        named: Arguments by name.
        is_structured: Whether an object of a schema is asked for; an answer that is none may be rejected.
    """

    method: str
    given: tuple[Any, ...]
    named: Mapping[str, Any]
    is_structured: bool = False

    def call(self, model: LLM, added: Mapping[str, Any]) -> Any:
        """Ask a model."""
        given, named = self._arguments(model, added)
        return getattr(model, self.method)(*given, **named)

    def call_async(self, model: LLM, added: Mapping[str, Any]) -> Any:
        """Ask a model in async code; what it returns is to be awaited."""
        given, named = self._arguments(model, added)
        return getattr(model, _ASYNC.get(self.method, f"a{self.method}"))(*given, **named)

    def _arguments(self, model: LLM, added: Mapping[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Copy what models write into, and leave out what this one's provider does not know."""
        given, named = self.given, dict(self.named)
        if self.is_structured:
            named["llm_kwargs"] = {**added, **named["llm_kwargs"]}
            return given, named
        if "tools" in self.method and named["chat_history"] is not None:
            named["chat_history"] = list(fitted(model, named["chat_history"]))
        elif "chat" in self.method and "tools" not in self.method:
            given = (fitted(model, given[0]),)
        return given, {**added, **named}


class RoutedCalls:
    """Asks tier after tier until an answer stands.

    Args:
        steps: Decide what comes next.
        model: Returns a tier's model, and what its tier adds to a call.
    """

    def __init__(self, steps: RouteSteps, model: Callable[[str], tuple[LLM, dict[str, Any]]]) -> None:
        self._steps, self._model = steps, model

    def ask(self, request: RouteRequest, form: Form) -> Any:
        """Return an answer."""
        output, attempt = follow(self._run(request, form, self._whole, answer_of))
        return marked(output, attempt.route.as_metadata())

    async def aask(self, request: RouteRequest, form: Form) -> Any:
        """Return an answer without blocking the event loop."""
        output, attempt = await follow_async(self._run(request, form, self._whole, answer_of))
        return marked(output, attempt.route.as_metadata())

    def stream(self, request: RouteRequest, form: Form) -> Generator[Any, None, None]:
        """Return the pieces of an answer; until the first one another tier may take over."""
        steps = self._run(request, form, self._opened, _answer_of_opened, is_open_ended=True)
        opened, attempt = follow(steps)
        return cast("_Opened", opened).pieces(attempt)

    async def astream(self, request: RouteRequest, form: Form) -> AsyncGenerator[Any, None]:
        """Return the pieces of an answer without blocking the event loop."""
        steps = self._run(request, form, self._opened, _answer_of_opened, is_open_ended=True)
        opened, attempt = await follow_async(steps)
        return cast("_Opened", opened).apieces(attempt)

    def _run(
        self,
        request: RouteRequest,
        form: Form,
        step: Callable[[Form, Attempt], Step],
        answer: Callable[[Any], Any],
        *,
        is_open_ended: bool = False,
    ) -> Steps:
        return self._steps.run(
            request,
            partial(step, form),
            answer,
            is_open_ended=is_open_ended,
            unreadable=_UNREADABLE if form.is_structured else (),
        )

    def _whole(self, form: Form, attempt: Attempt) -> Step:
        model, added = self._model(attempt.route.tier.name)

        def ask() -> Any:
            with attempt.billing():
                return form.call(model, added)

        async def aask() -> Any:
            with attempt.billing():
                return await form.call_async(model, added)

        return Step(ask, aask)

    def _opened(self, form: Form, attempt: Attempt) -> Step:
        """Open a stream up to its first piece, or up to its end where it may yet be rejected."""
        model, added = self._model(attempt.route.tier.name)

        def ask() -> _Opened:
            with attempt.billing():
                stream = form.call(model, added)
                if attempt.is_held:
                    return _Opened(list(stream), None)
                first = next(stream, _END)
            return _Opened([] if first is _END else [first], stream)

        async def aask() -> _Opened:
            with attempt.billing():
                stream = await form.call_async(model, added)
                if attempt.is_held:
                    return _Opened([piece async for piece in stream], None)
                first = await anext(stream, _END)
            return _Opened([] if first is _END else [first], stream)

        return Step(ask, aask)


@dataclass(frozen=True, slots=True)
class _Opened:
    """A stream of which some pieces were read.

    Attributes:
        read: Those pieces.
        rest: The others; None where there are none.
    """

    read: list[Any]
    rest: Any

    def pieces(self, attempt: Attempt) -> Generator[Any, None, None]:
        """Yield every piece, and report how it ended."""
        told = attempt.route.as_metadata()
        with _reported(attempt):
            for piece in self.read:
                yield marked(piece, told)
            if self.rest is not None:
                try:
                    for piece in self.rest:
                        yield marked(piece, told)
                finally:
                    _close(self.rest)

    async def apieces(self, attempt: Attempt) -> AsyncGenerator[Any, None]:
        """Yield every piece, and report how it ended, without blocking the event loop."""
        told = attempt.route.as_metadata()
        with _reported(attempt):
            for piece in self.read:
                yield marked(piece, told)
            if self.rest is not None:
                async with aclosing(self.rest) as rest:
                    async for piece in rest:
                        yield marked(piece, told)


@contextmanager
def _reported(attempt: Attempt) -> Iterator[None]:
    """Report an attempt by how a block around its stream ends."""
    try:
        yield
    except Exception as error:
        attempt.failed(error)
        attempt.given_up()
        raise
    except BaseException:  # the reader went away, after some of it
        attempt.withdrawn()
        raise
    attempt.answered()


def _close(stream: Iterator[Any] | AsyncIterator[Any]) -> None:
    close = getattr(stream, "close", None)
    if close is not None:
        close()


def _answer_of_opened(opened: _Opened) -> Any:
    return answer_of_pieces(opened.read)
