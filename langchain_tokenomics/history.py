"""Send of a conversation what the next answer needs, as messages in and messages out."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from langchain_core.embeddings import Embeddings
from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
    convert_to_messages,
)
from langchain_core.runnables import Runnable, RunnableConfig

from langchain_tokenomics._context_ledger import MARK, cut_documents, mark_of
from langchain_tokenomics.compressors import query_first
from tokenomics_core.compression import (
    CompressedHistory,
    RollingSummary,
    acompress_history,
    compress_history,
)
from tokenomics_core.compression.stats import COST_TAG, CompressionStats, CompressionTally
from tokenomics_core.embedding import Embedder
from tokenomics_core.errors import ConfigurationError
from tokenomics_core.tokens import count_tokens
from tokenomics_core.types import attribution

__all__ = ["HistoryCompressor", "as_mapping"]

_log = logging.getLogger("tokenomics")
_MOST_CONVERSATIONS = 1_000
_NOTE_TYPES: dict[str, type[BaseMessage]] = {
    "user": HumanMessage,
    "assistant": AIMessage,
    "system": SystemMessage,
    "developer": SystemMessage,
}
_ROLES: tuple[tuple[type[BaseMessage], str], ...] = (
    (AIMessage, "assistant"),
    (SystemMessage, "system"),
    (ToolMessage, "tool"),
    (FunctionMessage, "function"),
)
_TOLD_ROLES = ("assistant", "system", "developer", "tool", "function")
_CALL_BLOCKS = ("tool_use", "function_call", "tool_call")


class HistoryCompressor(Runnable[Any, Any]):
    """Keeps of a conversation its instructions, its last turns and the earlier ones that a question is about.

    prompt | HistoryCompressor(8_000) | model                                # a step of a chain
    create_react_agent(model, tools, pre_model_hook=HistoryCompressor(8_000))
    ContextEditingMiddleware(edits=[HistoryCompressor(8_000)])               # of create_agent

    Messages that are kept are the very objects given, ids included, in their order; a call of tools and its
    results stay or go together; what is left out is said in one message. A list of messages gives a list, a
    prompt's value too; an agent's state, a mapping with `messages`, gives `{"llm_input_messages": [...]}`, so
    that the thread keeps everything.

    While a question is worked on, as in a loop of tools, earlier turns once chosen stay chosen, so that the
    provider's cached prefix stays whole; a new question chooses anew. Where instructions and last turn alone
    are more than `max_tokens`, everything is sent and a warning logged, unless `strict`.

    Args:
        max_tokens: The most tokens to send, everything included.
        reselect: `question` to choose turns anew with each message of a human, `full` only when they do not
            fit any more: cheaper where the provider caches, less to the point.
        compress_to: Down to which share of `max_tokens`, so that the next turns find room.
        keep_last: How many last messages stay, where they fit; the last turn always does.
        embedder: Any LangChain `Embeddings`, or one of the core's; the built-in one where none is given.
        multilingual: Whether `embedder` reads other languages than English.
        by_meaning: Whether to ask an embedder at all.
        recency: How much newer turns are preferred; 0 or more.
        notes: Whether to say what is left out.
        note_role: Who says it.
        summarize: Writes a summary of older turns with a model, where that pays.
        model: Whose tokens to count.
        tools: Schemas that are sent along, counted into the budget.
        count: Counts the tokens of messages in another way.
        strict: Whether to raise where instructions and last turn alone do not fit.

    Raises:
        ConfigurationError: An argument cannot be.
    """

    def __init__(
        self,
        max_tokens: int,
        *,
        reselect: Literal["question", "full"] = "question",
        compress_to: float = 0.8,
        keep_last: int = 4,
        embedder: Embeddings | Embedder | None = None,
        multilingual: bool = False,
        by_meaning: bool = True,
        recency: float = 0.3,
        notes: bool = True,
        note_role: str = "user",
        summarize: RollingSummary | None = None,
        model: str | None = None,
        tools: Iterable[Any] | None = None,
        count: Callable[[Sequence[Mapping[str, Any]]], int] | None = None,
        strict: bool = False,
    ) -> None:
        if reselect not in ("question", "full"):
            raise ConfigurationError(f"reselect must be question or full, not {reselect!r}")
        if (
            isinstance(compress_to, bool)
            or not isinstance(compress_to, (int, float))
            or not 0 < compress_to <= 1
        ):
            raise ConfigurationError(f"compress_to must be above 0 and at most 1, not {compress_to!r}")
        schemas = None if tools is None else list(tools)
        self.max_tokens, self._strict = max_tokens, strict
        self._by_question = reselect == "question"
        self._count = count or (lambda some: int(count_tokens(list(some), model, tools=schemas)))
        self._settings: dict[str, Any] = {
            "keep_last": keep_last,
            "embedder": None if embedder is None else query_first(embedder),
            "multilingual": multilingual,
            "by_meaning": by_meaning,
            "recency": recency,
            "notes": notes,
            "note_role": note_role,
            "summarize": summarize,
            "count": self._count,
        }
        compress_history([], max_tokens=max_tokens, **self._settings)
        self._targets = (max(int(compress_to * max_tokens), 1), max_tokens)
        self._chosen: OrderedDict[str, list[BaseMessage]] = OrderedDict()
        self._tally = CompressionTally()
        self._lock = threading.Lock()

    def __call__(self, state: Any) -> Any:
        """Do what `invoke` does, as a function: for hooks that want one."""
        return self._run(state)

    def invoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:  # noqa: A002
        """Compress a conversation."""
        return self._call_with_config(self._run, input, config)

    async def ainvoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:  # noqa: A002
        """Compress a conversation without blocking the event loop."""
        return await self._acall_with_config(self._arun, input, config)

    def apply(self, messages: list[Any], *, count_tokens: Callable[[Sequence[BaseMessage]], int]) -> None:
        """Compress a list of messages in place, as an edit of LangChain's `ContextEditingMiddleware`."""
        messages[:] = self.compress(messages)

    def compress(self, messages: Sequence[BaseMessage]) -> list[BaseMessage]:
        """Return the messages to send."""
        job = self._begin(messages)
        if job.held is not None:
            return job.held
        with attribution(tags=COST_TAG):
            for target in job.targets:
                try:
                    done = compress_history(job.mappings, max_tokens=target, **self._settings)
                except ConfigurationError as error:
                    refused = error
                else:
                    if done.report.has_question or target == job.targets[-1]:
                        return self._finish(job, done)
        return self._overflow(job, refused)

    async def acompress(self, messages: Sequence[BaseMessage]) -> list[BaseMessage]:
        """Return the messages to send without blocking the event loop."""
        job = await asyncio.to_thread(self._begin, messages)
        if job.held is not None:
            return job.held
        with attribution(tags=COST_TAG):
            for target in job.targets:
                try:
                    done = await acompress_history(job.mappings, max_tokens=target, **self._settings)
                except ConfigurationError as error:
                    refused = error
                else:
                    if done.report.has_question or target == job.targets[-1]:
                        return self._finish(job, done)
        return self._overflow(job, refused)

    def stats(self) -> CompressionStats:
        """Return what was done so far, by any thread."""
        return self._tally.stats()

    def _run(self, given: Any) -> Any:
        return _returned(given, self.compress(_messages_in(given)))

    async def _arun(self, given: Any) -> Any:
        return _returned(given, await self.acompress(_messages_in(given)))

    def _overflow(self, job: _Job, error: ConfigurationError) -> list[BaseMessage]:
        if self._strict:
            raise error
        _log.warning("a conversation is sent as it is: %s", error)
        self._tally.add(job.before, job.before)
        return job.messages

    def _finish(self, job: _Job, done: CompressedHistory) -> list[BaseMessage]:
        self._tally.add(done.tokens_before, done.tokens_after)
        if not done.report.has_question:
            _log.warning("a conversation is sent without the user's last message, which did not fit")
        known = {id(mapping): message for mapping, message in zip(job.mappings, job.messages, strict=True)}
        told = mark_of(done.tokens_before, done.tokens_after)
        kept = [known.get(id(mapping)) or _note(mapping, told) for mapping in done.messages]
        if done.report.note is None:
            stayed = set(map(id, kept))
            gone = (message.text for message in job.messages if id(message) not in stayed)
            cut_documents.note(
                (message.text for message in kept),
                gone,
                done.tokens_before - done.tokens_after,
                source=[message.text for message in job.messages],
                is_old=True,
            )
        self._keep(job.names[-1], kept)
        return kept

    def _begin(self, messages: Sequence[BaseMessage]) -> _Job:
        given = list(messages)
        mappings = [as_mapping(message) for message in given]
        before = self._count(mappings) if given else 0
        if before <= self.max_tokens:
            self._tally.add(before, before)
            return _Job(given, mappings, before, [], given)
        names = _names(given, mappings)
        return _Job(given, mappings, before, names, self._hold(given, names, before), self._targets)

    def _hold(self, messages: list[BaseMessage], names: list[str], before: int) -> list[BaseMessage] | None:
        """Return what was chosen at an earlier call, and what came since, where that may be sent."""
        humans = [at for at, message in enumerate(messages, 1) if isinstance(message, HumanMessage)]
        first = max(humans, default=len(messages)) if self._by_question else 1
        with self._lock:
            known = (
                place for place in range(len(messages), first - 1, -1) if names[place - 1] in self._chosen
            )
            place = next(known, 0)
            chosen = self._chosen[names[place - 1]] if place else []
        candidate = [*chosen, *messages[place:]]
        if (
            not place
            or (after := self._count([as_mapping(message) for message in candidate])) > self.max_tokens
        ):
            return None
        self._tally.add(before, after)
        self._keep(names[-1], candidate)
        return candidate

    def _keep(self, name: str, chosen: list[BaseMessage]) -> None:
        with self._lock:
            self._chosen[name] = chosen
            self._chosen.move_to_end(name)
            while len(self._chosen) > _MOST_CONVERSATIONS:
                self._chosen.popitem(last=False)


@dataclass(frozen=True, slots=True)
class _Job:
    """One compression.

    Attributes:
        messages: The conversation.
        mappings: The same as the core reads it.
        before: Its tokens.
        names: Of its beginnings, each a digest of all messages up to its place.
        held: What may be sent without choosing anew; None where nothing may.
        targets: How many tokens to send; the next where the one before is too few for the last turn.
    """

    messages: list[BaseMessage]
    mappings: list[dict[str, Any]]
    before: int
    names: list[str]
    held: list[BaseMessage] | None
    targets: tuple[int, ...] = ()


def _names(messages: Sequence[BaseMessage], mappings: Sequence[Mapping[str, Any]]) -> list[str]:
    digest = hashlib.blake2b(digest_size=16)
    names: list[str] = []
    for message, mapping in zip(messages, mappings, strict=True):
        said = json.dumps([message.id, mapping], sort_keys=True, default=str)
        digest.update(said.encode("utf-8", "surrogatepass"))
        names.append(digest.hexdigest())
    return names


def as_mapping(message: BaseMessage) -> dict[str, Any]:
    """Return a message as OpenAI's interface takes it."""
    content: Any = message.content
    calls = message.tool_calls if isinstance(message, AIMessage) else []
    if calls and isinstance(content, list):
        content = [
            block
            for block in content
            if not (isinstance(block, Mapping) and block.get("type") in _CALL_BLOCKS)
        ]
    found: dict[str, Any] = {"role": _role_of(message), "content": content}
    if message.name:
        found["name"] = message.name
    if calls:
        found["tool_calls"] = [
            {
                "id": call["id"],
                "type": "function",
                "function": {"name": call["name"], "arguments": json.dumps(call["args"], default=str)},
            }
            for call in calls
        ]
    if isinstance(message, ToolMessage):
        found["tool_call_id"] = message.tool_call_id
    return found


def _role_of(message: BaseMessage) -> str:
    """Name who speaks; a chunk of a stream is of its message's class, whatever its `type` says."""
    if isinstance(message, ChatMessage):
        return message.role if message.role in _TOLD_ROLES else "user"
    return next((role for kind, role in _ROLES if isinstance(message, kind)), "user")


def _note(mapping: Mapping[str, Any], told: Mapping[str, Any]) -> BaseMessage:
    kind, content = _NOTE_TYPES[str(mapping["role"])], mapping["content"]
    name = hashlib.blake2b(str(content).encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
    return kind(content=content, id=f"left-out-{name}", response_metadata={MARK: dict(told)})


def _messages_in(given: Any) -> list[BaseMessage]:
    if isinstance(given, Mapping):
        found = given.get("messages")
    else:
        found = given.to_messages() if hasattr(given, "to_messages") else getattr(given, "messages", given)
    if isinstance(found, (str, bytes)) or not isinstance(found, Sequence):
        raise ConfigurationError(
            f"a conversation must be messages, or a state that holds them, not {given!r:.80}; nothing was "
            "compressed"
        )
    return convert_to_messages(list(found))


def _returned(given: Any, kept: list[BaseMessage]) -> Any:
    is_state = isinstance(given, Mapping) or (
        hasattr(given, "messages") and not hasattr(given, "to_messages")
    )
    return {"llm_input_messages": kept} if is_state else kept
