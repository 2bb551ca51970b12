"""Read from a request what a router needs: the human's ask apart from all that stands around it."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any
from uuid import uuid4

from llama_index.core.base.llms.types import ChatMessage, MessageRole, ToolCallBlock
from llama_index.core.prompts import BasePromptTemplate
from llama_index.core.tools.types import BaseTool
from llama_index_instrumentation.dispatcher import active_instrument_tags

from llama_index_tokenomics._responses import attribution_of
from llama_index_tokenomics._routing_hints import hints_here
from tokenomics_core.routing import RouteRequest
from tokenomics_core.tokens import estimate_tokens
from tokenomics_core.types import current_attribution

__all__ = ["RequestReader", "asking", "question_of"]

_QUESTIONS = ("query_str", "question")
"""What LlamaIndex's own prompts call the human's ask."""
_STATE = re.compile(r"\ACurrent state:\n.*?\n\nCurrent message:\n(.*?)\n?\Z", re.DOTALL)
_RUN_ID = "llamaindex.run_id"
_LENGTHS = ("max_tokens", "max_completion_tokens", "max_output_tokens")
_NEEDS = {
    "AudioBlock": "audio",
    "DocumentBlock": "files",
    "ImageBlock": "images",
    "VideoBlock": "videos",
}
"""What a tier must be able to do for a block of a message, by its class, as older releases lack some."""
_HUMAN = frozenset({MessageRole.USER})
_CHARACTERS_PER_TOKEN = 4
_FAR_BELOW = 3
_REMEMBERED = 10_000

_question: ContextVar[str | None] = ContextVar("tokenomics_route_question", default=None)


@contextmanager
def asking(prompt: BasePromptTemplate, arguments: Mapping[str, Any]) -> Iterator[None]:
    """Keep the question that a prompt is filled in with, for as long as it is asked."""
    token = _question.set(question_of(prompt, arguments))
    try:
        yield
    finally:
        _question.reset(token)


class RequestReader:
    """Turns requests into what a router decides on.

    Args:
        smallest_window: Tokens of the tier with the least room; far below it nothing needs to be counted.
    """

    def __init__(self, smallest_window: int | None) -> None:
        self._smallest = smallest_window
        self._turns = _Turns()

    def chat(
        self,
        messages: Sequence[ChatMessage],
        settings: Mapping[str, Any],
        *,
        tools: Sequence[BaseTool] = (),
        needs: frozenset[str] = frozenset(),
        question: str | None = None,
    ) -> Callable[..., RouteRequest]:
        """Read a conversation; in a prompt of an engine, the question that it was made for.

        Returns:
            What makes the request from the `defaults` of a router and what its budgets ask for.

        Args:
            messages: The whole request.
            settings: Arguments of the call.
            tools: On offer.
            needs: What the tier must be able to do.
            question: The ask, where it is known apart from the messages.
        """
        texts = [(message.role.value, message.content or "") for message in messages]
        place = _place_of_ask(messages, texts)
        asked = question if question is not None else _question.get()
        if asked is None:
            asked = _without_state(texts[place][1]) if place is not None else (texts[-1][1] if texts else "")
        seen = {_NEEDS.get(type(block).__name__) for message in messages for block in message.blocks}
        needs = needs | frozenset(need for need in seen if need is not None)
        names = tuple(tool.metadata.name or "" for tool in tools)
        schemas = "".join(json.dumps(tool.metadata.get_parameters_dict(), default=str) for tool in tools)
        goes_on = place is not None and place < len(messages) - 1
        return partial(
            self._request,
            asked,
            settings,
            history=tuple(texts[:place] if place is not None else texts[:-1]),
            tools=names,
            needs=needs,
            size=self._size("\n".join([*(text for _, text in texts), *_arguments(messages), schemas])),
            is_loop=bool(names) or goes_on or _RUN_ID in active_instrument_tags.get(),
            goes_on=goes_on,
        )

    def text(self, prompt: str, settings: Mapping[str, Any]) -> Callable[..., RouteRequest]:
        """Read a text to be completed; see `chat`."""
        asked = _question.get()
        return partial(
            self._request, asked if asked is not None else prompt, settings, size=self._size(prompt)
        )

    def _request(
        self,
        asked: str,
        settings: Mapping[str, Any],
        *,
        size: int,
        defaults: Mapping[str, Any],
        downgrade_to: str | None,
        is_loop: bool = False,
        goes_on: bool = False,
        needs: frozenset[str] = frozenset(),
        **told: Any,
    ) -> RouteRequest:
        tags = active_instrument_tags.get()
        hints: dict[str, Any] = {"downgrade_to": downgrade_to, **defaults, **hints_here()}
        asked = hints.pop("question", asked)
        needs = needs | hints.pop("needs", frozenset())
        who, here = attribution_of(tags), current_attribution()
        conversation = hints.pop("conversation", None) or who.conversation or here.conversation
        turn = hints.pop("turn", None)
        if turn is None and is_loop:
            run = tags.get(_RUN_ID)
            words = hashlib.sha256(asked.encode(errors="surrogatepass")).digest()  # no prompt is kept
            key = (conversation, who.user or here.user, None if run is None else str(run), words)
            turn = self._turns.of(key, goes_on=goes_on or run is not None)
        most = hints.pop("max_output_tokens", None) or _most_output(settings)
        return RouteRequest(
            question=asked,
            input_tokens=size,
            needs=needs,
            conversation=conversation,
            turn=turn,
            max_output_tokens=most,
            **told,
            **hints,
        )

    def _size(self, text: str) -> int:
        """Count tokens carefully only where a window may be too small."""
        if text.isascii() and (self._smallest is None or len(text) * _FAR_BELOW < self._smallest):
            return len(text) // _CHARACTERS_PER_TOKEN + 1
        return estimate_tokens(text)


class _Turns:
    """Names the human asks: all calls of a tool loop get one name, a repeated question a new one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._names: OrderedDict[object, str] = OrderedDict()

    def of(self, key: object, *, goes_on: bool) -> str:
        """Return the name of an ask; a new one, unless it goes on."""
        with self._lock:
            name = self._names.get(key) if goes_on else None
            if name is None:
                name = uuid4().hex
            self._names[key] = name
            self._names.move_to_end(key)
            if len(self._names) > _REMEMBERED:
                self._names.popitem(last=False)
            return name


def question_of(prompt: BasePromptTemplate, arguments: Mapping[str, Any]) -> str | None:
    """Return the question that a prompt is filled in with; None where it names none."""
    filled = {**prompt.kwargs, **arguments}
    for name in _QUESTIONS:
        found = filled.get(name)
        if isinstance(found, str) and found.strip():
            return found
    return None


def _place_of_ask(messages: Sequence[ChatMessage], texts: Sequence[tuple[str, str]]) -> int | None:
    """Return where the human asked last; what a ReAct agent writes in the user's name is not the human's."""
    for place in range(len(messages) - 1, -1, -1):
        if messages[place].role in _HUMAN and not _is_observation(messages, texts, place):
            return place
    return None


def _arguments(messages: Sequence[ChatMessage]) -> Iterator[str]:
    """Yield what tools were called with, which is sent along as well."""
    for message in messages:
        for block in message.blocks:
            if isinstance(block, ToolCallBlock):
                yield str(block.tool_kwargs)


def _is_observation(messages: Sequence[ChatMessage], texts: Sequence[tuple[str, str]], place: int) -> bool:
    return (
        place > 0
        and texts[place][1].startswith("Observation:")
        and messages[place - 1].role is MessageRole.ASSISTANT
        and "Action:" in texts[place - 1][1]
    )


def _without_state(text: str) -> str:
    """Take off what an agent with a state puts around the human's words."""
    found = _STATE.match(text)
    return text if found is None else found[1]


def _most_output(settings: Mapping[str, Any]) -> int | None:
    for name in _LENGTHS:
        value = settings.get(name)
        if type(value) is int and value > 0:
            return value
    return None
