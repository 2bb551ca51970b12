"""Send of a conversation what the next answer needs, and keep all of it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Literal, Self

from llama_index.core.base.llms.types import ChatMessage, MessageRole
from llama_index.core.llms.llm import LLM
from llama_index.core.memory.types import DEFAULT_CHAT_STORE_KEY, BaseChatStoreMemory
from llama_index.core.storage.chat_store import BaseChatStore, SimpleChatStore
from llama_index.core.storage.chat_store.loading import load_chat_store
from pydantic import ConfigDict, Field, PrivateAttr, field_serializer

from llama_index_tokenomics._chat_mappings import as_mapping
from llama_index_tokenomics._context_ledger import cut_texts
from llama_index_tokenomics.compressors import query_first
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

__all__ = ["CompressedMemory"]

_log = logging.getLogger("tokenomics")
_DEFAULT_TOKENS, _MOST_OF_WINDOW = 8_000, 0.75


class CompressedMemory(BaseChatStoreMemory):
    """Keeps a whole conversation and sends of it what the question is about.

    index.as_chat_engine(memory=CompressedMemory(max_tokens=8_000))
    await agent.run("And in euros?", memory=CompressedMemory.from_defaults(llm=llm))

    `get` gives instructions, the last turns and the earlier ones that the question is about: the very
    messages that were put, in their order, with calls of tools and their results never parted, and one
    message that says what is left out. `get_all` gives everything. Where everything fits, `get` does too.

    While a question is worked on, as in a loop of tools, earlier turns once chosen stay chosen, so that the
    provider's cached prefix stays whole; a new question chooses anew. Where instructions and last turn alone
    are more than `max_tokens`, everything is sent and a warning logged, unless `strict`.

    Attributes:
        max_tokens: The most tokens to send, everything included.
        reselect: `question` to choose turns anew with each question, `full` only when they do not fit any
            more: cheaper where the provider caches, less to the point.
        compress_to: Down to which share of `max_tokens`, so that the next turns find room.
        keep_last: How many last messages stay, where they fit; the last turn always does.
        embedder: Any LlamaIndex `BaseEmbedding`, or one of the core's; the built-in one where none is given.
        multilingual: Whether `embedder` reads other languages than English.
        by_meaning: Whether to ask an embedder at all.
        recency: How much newer turns are preferred; 0 or more.
        notes: Whether to say what is left out.
        note_role: Who says it.
        summarize: Writes a summary of older turns with a model, where that pays.
        model: Whose tokens to count.
        tools: Schemas that are sent along, counted into the budget.
        count: Counts the tokens of messages, as OpenAI's interface takes them, in another way.
        strict: Whether to raise where instructions and last turn alone do not fit.
    """

    max_tokens: int = _DEFAULT_TOKENS
    reselect: Literal["question", "full"] = "question"
    compress_to: float = Field(default=0.8, gt=0, le=1)
    keep_last: int = 4
    embedder: Any = Field(default=None, exclude=True)  # pydantic cannot check a protocol that has properties
    multilingual: bool = False
    by_meaning: bool = True
    recency: float = 0.3
    notes: bool = True
    note_role: str = "user"
    summarize: RollingSummary | None = Field(default=None, exclude=True)
    model: str | None = None
    tools: list[Any] | None = Field(default=None, exclude=True)
    count: Callable[[Sequence[Mapping[str, Any]]], int] | None = Field(default=None, exclude=True)
    strict: bool = False

    model_config = ConfigDict(arbitrary_types_allowed=True, extra="forbid")

    _embedder: Embedder | None = PrivateAttr(None)
    _tally: CompressionTally = PrivateAttr(default_factory=CompressionTally)
    _held: _Choice | None = PrivateAttr(None)

    def __init__(self, **settings: Any) -> None:
        """Take the settings that the class names.

        Raises:
            ConfigurationError: One of them cannot be.
        """
        super().__init__(**settings)
        if self.embedder is not None:
            self._embedder = query_first(self.embedder)
        compress_history([], max_tokens=self.max_tokens, **self._settings())

    @field_serializer("chat_store")
    def serialize_courses_in_order(self, chat_store: BaseChatStore) -> dict[str, Any]:
        """Write the store down, as the method of LlamaIndex whose name this has.

        Its own stumbles over the messages of `SimpleChatStore` with some releases of pydantic.
        """
        if not isinstance(chat_store, SimpleChatStore):
            return {**chat_store.model_dump(), "class_name": chat_store.class_name()}
        said = {
            key: [message.model_dump(mode="json") for message in messages]
            for key, messages in chat_store.store.items()
        }
        return {"store": said, "class_name": chat_store.class_name()}

    @classmethod
    def class_name(cls) -> str:
        """Return the name under which LlamaIndex keeps this class."""
        return "CompressedMemory"

    @classmethod
    def from_defaults(
        cls,
        chat_history: list[ChatMessage] | None = None,
        llm: LLM | None = None,
        *,
        chat_store: BaseChatStore | None = None,
        chat_store_key: str = DEFAULT_CHAT_STORE_KEY,
        max_tokens: int | None = None,
        **settings: Any,
    ) -> Self:
        """Make a memory that counts as a model does and leaves it room.

        Args:
            chat_history: What was said before.
            llm: Who is going to read it; names the model whose tokens are counted.
            chat_store: Where messages are kept; in this process by default.
            chat_store_key: Under which key.
            max_tokens: The most tokens to send; by default 8,000, or three quarters of the model's window
                where that is less.
            settings: Others that the class names.
        """
        if llm is not None:
            settings.setdefault("model", llm.metadata.model_name or None)
            most = int(llm.metadata.context_window * _MOST_OF_WINDOW)
            max_tokens = max_tokens if max_tokens is not None else max(min(_DEFAULT_TOKENS, most), 1)
        if max_tokens is not None:
            settings["max_tokens"] = max_tokens
        store = chat_store if chat_store is not None else SimpleChatStore()
        if chat_history is not None:
            store.set_messages(chat_store_key, chat_history)
        return cls(chat_store=store, chat_store_key=chat_store_key, **settings)

    @classmethod
    def from_dict(cls, data: dict[str, Any], **kwargs: Any) -> Self:
        """Read what `to_dict` wrote; embedder, summary, tools and counter are to be given again."""
        told = {**data, **kwargs}
        told.pop("class_name", None)
        if isinstance(store := told.get("chat_store"), dict):
            told["chat_store"] = load_chat_store(dict(store))
        return cls(**told)

    def get(
        self,
        input: str | None = None,  # noqa: A002 - LlamaIndex names it
        initial_token_count: int = 0,
        **kwargs: Any,
    ) -> list[ChatMessage]:
        """Return what to send.

        Args:
            input: What is asked now; by default the user's last words.
            initial_token_count: Tokens that are sent besides.
            kwargs: For the store.
        """
        job = self._begin(super().get(**kwargs), input, initial_token_count)
        if job.ready is not None:
            return job.ready
        refused: ConfigurationError | None = None
        with attribution(tags=COST_TAG):
            for target in job.targets:
                try:
                    done = compress_history(job.mappings, job.query, max_tokens=target, **self._settings())
                except ConfigurationError as error:
                    refused = error
                else:
                    if done.report.has_question or target == job.targets[-1]:
                        return self._finish(job, done)
        return self._overflow(job, refused)

    async def aget(
        self,
        input: str | None = None,  # noqa: A002 - LlamaIndex names it
        initial_token_count: int = 0,
        **kwargs: Any,
    ) -> list[ChatMessage]:
        """Return what to send without blocking the event loop."""
        found = await super().aget(**kwargs)
        job = await asyncio.to_thread(self._begin, found, input, initial_token_count)
        if job.ready is not None:
            return job.ready
        refused: ConfigurationError | None = None
        with attribution(tags=COST_TAG):
            for target in job.targets:
                try:
                    done = await acompress_history(
                        job.mappings, job.query, max_tokens=target, **self._settings()
                    )
                except ConfigurationError as error:
                    refused = error
                else:
                    if done.report.has_question or target == job.targets[-1]:
                        return self._finish(job, done)
        return self._overflow(job, refused)

    def stats(self) -> CompressionStats:
        """Return what was done so far, by any thread."""
        return self._tally.stats()

    def _settings(self) -> dict[str, Any]:
        return {
            "keep_last": self.keep_last,
            "embedder": self._embedder,
            "multilingual": self.multilingual,
            "by_meaning": self.by_meaning,
            "recency": self.recency,
            "notes": self.notes,
            "note_role": self.note_role,
            "summarize": self.summarize,
            "count": self._tokens_of,
        }

    def _tokens_of(self, mappings: Sequence[Mapping[str, Any]]) -> int:
        if self.count is not None:
            return self.count(mappings)
        return int(count_tokens(list(mappings), self.model, tools=self.tools))

    def _begin(self, messages: list[ChatMessage], query: str | None, besides: int) -> _Job:
        mappings = [as_mapping(message) for message in messages]
        asked = query if query and query.strip() else _last_words(messages)
        most = self.max_tokens - besides
        job = _Job(messages, mappings, asked, self._tokens_of(mappings), most, self._beginnings(mappings))
        if job.before <= most:
            job.ready = list(messages)
            self._tally.add(job.before, job.before)
        elif most > 0:
            job.ready = self._hold(job)
            job.targets = (max(int(self.compress_to * most), 1), most)
        return job

    def _beginnings(self, mappings: Iterable[Mapping[str, Any]]) -> list[str]:
        digest = blake2b(digest_size=16)
        names: list[str] = []
        for mapping in mappings:
            digest.update(repr(mapping).encode("utf-8", "surrogatepass"))
            names.append(digest.hexdigest())
        return names

    def _hold(self, job: _Job) -> list[ChatMessage] | None:
        """Return what was chosen at an earlier call, and what came since, where that may be sent."""
        held = self._held
        if (
            held is None
            or held.place > len(job.names)
            or job.names[held.place - 1] != held.name
            or (self.reselect == "question" and held.query != job.query)
        ):
            return None
        candidate = [*held.messages, *job.messages[held.place :]]
        after = self._tokens_of([as_mapping(message) for message in candidate])
        if after > job.most:
            return None
        self._tally.add(job.before, after)
        return candidate

    def _overflow(self, job: _Job, error: ConfigurationError | None = None) -> list[ChatMessage]:
        problem = error or ConfigurationError(
            f"{self.max_tokens - job.most} tokens are sent besides a conversation that may have "
            f"{self.max_tokens} with them; nothing was compressed"
        )
        if self.strict:
            raise problem
        _log.warning("a conversation is sent as it is: %s", problem)
        self._tally.add(job.before, job.before)
        return list(job.messages)

    def _finish(self, job: _Job, done: CompressedHistory) -> list[ChatMessage]:
        self._tally.add(done.tokens_before, done.tokens_after)
        if not done.report.has_question:
            _log.warning("a conversation is sent without the user's last message, which did not fit")
        known = {id(mapping): message for mapping, message in zip(job.mappings, job.messages, strict=True)}
        kept = [known.get(id(mapping)) or _note(mapping) for mapping in done.messages]
        stayed = set(map(id, kept))
        cut_texts.note(
            (message.content or "" for message in kept),
            (message.content or "" for message in job.messages if id(message) not in stayed),
            done.tokens_before - done.tokens_after,
            source=[message.content or "" for message in job.messages],
            is_old=True,
        )
        if job.names:
            self._held = _Choice(len(job.names), job.names[-1], job.query, kept)
        return kept


@dataclass(slots=True)
class _Job:
    """One compression.

    Attributes:
        messages: The conversation.
        mappings: The same as the core reads it.
        query: What is asked.
        before: Its tokens.
        most: How many may be sent.
        names: Of its beginnings, each a digest of all messages up to its place.
        ready: What to send where nothing is to be chosen.
        targets: How many tokens to send; the next where the one before is too few for the last turn.
    """

    messages: list[ChatMessage]
    mappings: list[dict[str, Any]]
    query: str | None
    before: int
    most: int
    names: list[str]
    ready: list[ChatMessage] | None = None
    targets: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class _Choice:
    place: int
    name: str
    query: str | None
    messages: list[ChatMessage]


def _last_words(messages: Sequence[ChatMessage]) -> str | None:
    return next((message.content for message in reversed(messages) if message.role is MessageRole.USER), None)


def _note(mapping: Mapping[str, Any]) -> ChatMessage:
    return ChatMessage(role=MessageRole(str(mapping["role"])), content=str(mapping["content"]))
