"""Serve LlamaIndex from what was paid for already: models, streams, agents and structured output."""

from __future__ import annotations

from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Callable,
    Coroutine,
    Generator,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, cast

from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    ChatResponseAsyncGen,
    ChatResponseGen,
    CompletionResponse,
    CompletionResponseAsyncGen,
    CompletionResponseGen,
    LLMMetadata,
    MessageRole,
)
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llama_index.core.llms.llm import LLM, ToolSelection
from llama_index.core.prompts import BasePromptTemplate, PromptTemplate
from llama_index.core.tools.types import BaseTool
from llama_index.core.types import TokenAsyncGen, TokenGen
from pydantic import BaseModel, Field, PrivateAttr

from llama_index_tokenomics._cache_codec import Chats, Completions, Said, Told, read_said, write_said
from llama_index_tokenomics._cache_door import CachedCall, Door, Place
from llama_index_tokenomics._cache_event import MARK, CacheHitEvent
from llama_index_tokenomics._cache_open import Tenant, open_cache, teller_of
from llama_index_tokenomics._cache_request import (
    Asked,
    Split,
    account_of,
    asked_in_chat,
    asked_in_completion,
    is_readable,
    plain,
    settings_of,
    tool_parts,
)
from llama_index_tokenomics._cached_engine import CachingQueryEngine
from llama_index_tokenomics._cached_streams import again, again_async, pass_on, pass_on_async
from llama_index_tokenomics._cached_structured import StructuredAsk
from llama_index_tokenomics._models import kind_of, name_of, provider_of
from tokenomics_core.cache import Answer, ChatRequest, KeyRule, ResponseCache
from tokenomics_core.cache.content_guards import ContentGuard
from tokenomics_core.errors import ConfigurationError

if TYPE_CHECKING:
    from tokenomics_core.cache import CachePolicy, CacheStats
    from tokenomics_core.embedding import Embedder
    from tokenomics_core.types import HoldOut

__all__ = ["MARK", "CacheHitEvent", "CachingLLM", "CachingQueryEngine"]

_R = TypeVar("_R", ChatResponse, CompletionResponse)
_QUESTION = "query_str"
_PLACE_OF_QUESTION = "\0the question\0"
_UPWARD = (
    "callback_manager",
    "completion_to_prompt",
    "messages_to_prompt",
    "output_parser",
    "pydantic_program_mode",
    "query_wrapper_prompt",
    "system_prompt",
)
"""What a model has that LlamaIndex reads from whatever stands before it."""

_split: ContextVar[Split | None] = ContextVar("tokenomics_prompt_split", default=None)


class CachingLLM(FunctionCallingLLM):
    """Answers from the cache what a model was asked before, in the same words or in others of that meaning.

    Settings.llm = CachingLLM(OpenAI(model="gpt-4.1-mini"), path="cache.db")

    Query and chat engines, agents, streams, tools and structured output work as with the model itself. In a
    prompt of an engine only the question is compared by meaning; its context, template and everything else
    must be equal. In a conversation only the last turn of the user is. Equal calls in flight become one.
    A hit sends no event of a model, costs nothing and leaves budgets alone; `track_cost` records what it
    avoided.
    """

    llm: Any = Field(exclude=True, repr=False)
    """The model that is asked on a miss; never part of a dump, since it holds its key."""

    passes_on: ClassVar[bool] = True
    """Whether a budget guard waits for the model behind this one to be asked."""

    _door: Door = PrivateAttr()

    def __init__(
        self,
        llm: LLM,
        cache: ResponseCache | None = None,
        *,
        path: str | Path | None = None,
        tenant: Tenant = None,
        embedding: Embedder | BaseEmbedding | None = None,
        policy: CachePolicy | None = None,
        guards: Iterable[ContentGuard] | None = None,
        ttl_s: float | None = None,
        hold_out: HoldOut | None = None,
        rule: KeyRule | None = None,
        **settings: Any,
    ) -> None:
        """Put a cache before a model.

        Args:
            llm: Any LlamaIndex model.
            cache: A cache that is set up already, with any store; a new one where none is given.
            path: A SQLite file that every process of a machine may share; None keeps answers in memory.
            tenant: Whose answers these are, or a function that tells for each call; None asks the tag
                `tenant` of the attribution in force. Without a tenant, models with different API keys share
                nothing.
            embedding: What says how near questions are: LlamaIndex's or the core's; None for the shipped one.
            policy: What decides whether near is near enough; None for a bound of 2% wrong answers.
            guards: What is never stored or served; None for the core's default.
            ttl_s: Seconds that an answer stays fresh; None for ever.
            hold_out: Whose calls are left alone, so that what the cache saves can be measured.
            rule: What must be equal and which requests are served how; None for the core's default.
            settings: Fields of LlamaIndex's `LLM`; those of the model where they are not given.

        Raises:
            ConfigurationError: Settings contradict one another, or `llm` is no model.
        """
        if not isinstance(llm, LLM):
            raise ConfigurationError(
                f"llm must be a LlamaIndex LLM, not {type(llm).__name__}; nothing was cached"
            )
        opened = open_cache(
            cache,
            path=path,
            embedding=embedding,
            policy=policy,
            guards=guards,
            ttl_s=ttl_s,
            hold_out=hold_out,
        )
        super().__init__(llm=llm, **{**{name: getattr(llm, name) for name in _UPWARD}, **settings})
        self._door = Door(opened, rule or KeyRule(), teller_of(tenant))

    @classmethod
    def class_name(cls) -> str:
        """Return the name under which LlamaIndex lists this model."""
        return "CachingLLM"

    @property
    def metadata(self) -> LLMMetadata:
        """The model's own."""
        return self.llm.metadata  # type: ignore[no-any-return]  # a model's

    @property
    def cache(self) -> ResponseCache:
        """Where answers live."""
        return self._door.cache

    @property
    def failures(self) -> int:
        """How many calls went on without the cache as something in this adapter failed."""
        return self._door.failures

    def stats(self) -> CacheStats:
        """Tell what was hit, missed and avoided."""
        return self.cache.stats()

    # -- conversations

    def chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        """Answer from the cache, or ask the model and keep its answer."""
        return self._answered(
            self._chat_place(messages, kwargs), Chats, partial(self._model.chat, messages, **kwargs)
        )

    async def achat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        """Do the same without blocking the event loop."""
        place = self._chat_place(messages, kwargs)
        return await self._aanswered(place, Chats, partial(self._model.achat, messages, **kwargs))

    def stream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponseGen:
        """Stream an answer from the cache in the pieces it came in, or the model's."""
        place = self._chat_place(messages, kwargs)
        return self._streamed(place, Chats, partial(self._model.stream_chat, messages, **kwargs))

    async def astream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponseAsyncGen:
        """Do the same without blocking the event loop."""
        place = self._chat_place(messages, kwargs)
        return await self._astreamed(place, Chats, partial(self._model.astream_chat, messages, **kwargs))

    # -- texts

    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        """Answer from the cache, or ask the model and keep its answer."""
        place = self._text_place(prompt, formatted, kwargs)
        ask = partial(self._model.complete, prompt, formatted=formatted, **kwargs)
        return self._answered(place, Completions, ask)

    async def acomplete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        """Do the same without blocking the event loop."""
        place = self._text_place(prompt, formatted, kwargs)
        ask = partial(self._model.acomplete, prompt, formatted=formatted, **kwargs)
        return await self._aanswered(place, Completions, ask)

    def stream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponseGen:
        """Stream an answer from the cache in the pieces it came in, or the model's."""
        place = self._text_place(prompt, formatted, kwargs)
        ask = partial(self._model.stream_complete, prompt, formatted=formatted, **kwargs)
        return self._streamed(place, Completions, ask)

    async def astream_complete(
        self, prompt: str, formatted: bool = False, **kwargs: Any
    ) -> CompletionResponseAsyncGen:
        """Do the same without blocking the event loop."""
        place = self._text_place(prompt, formatted, kwargs)
        ask = partial(self._model.astream_complete, prompt, formatted=formatted, **kwargs)
        return await self._astreamed(place, Completions, ask)

    # -- tools

    def chat_with_tools(
        self,
        tools: Sequence[BaseTool],
        user_msg: str | ChatMessage | None = None,
        chat_history: list[ChatMessage] | None = None,
        verbose: bool = False,
        allow_parallel_tool_calls: bool = False,
        tool_required: bool = False,
        **kwargs: Any,
    ) -> ChatResponse:
        """Answer from the cache, or ask the model and keep an answer that calls no tool."""
        place, given = self._tool_place(
            tools, user_msg, chat_history, _flags(kwargs, verbose, allow_parallel_tool_calls, tool_required)
        )
        return self._answered(place, Chats, partial(self._model.chat_with_tools, tools, **given))

    async def achat_with_tools(
        self,
        tools: Sequence[BaseTool],
        user_msg: str | ChatMessage | None = None,
        chat_history: list[ChatMessage] | None = None,
        verbose: bool = False,
        allow_parallel_tool_calls: bool = False,
        tool_required: bool = False,
        **kwargs: Any,
    ) -> ChatResponse:
        """Do the same without blocking the event loop."""
        place, given = self._tool_place(
            tools, user_msg, chat_history, _flags(kwargs, verbose, allow_parallel_tool_calls, tool_required)
        )
        ask = partial(self._model.achat_with_tools, tools, **given)
        return await self._aanswered(place, Chats, ask)

    def stream_chat_with_tools(
        self,
        tools: Sequence[BaseTool],
        user_msg: str | ChatMessage | None = None,
        chat_history: list[ChatMessage] | None = None,
        verbose: bool = False,
        allow_parallel_tool_calls: bool = False,
        tool_required: bool = False,
        **kwargs: Any,
    ) -> ChatResponseGen:
        """Stream an answer from the cache, or the model's and keep it where it calls no tool."""
        place, given = self._tool_place(
            tools, user_msg, chat_history, _flags(kwargs, verbose, allow_parallel_tool_calls, tool_required)
        )
        return self._streamed(place, Chats, partial(self._model.stream_chat_with_tools, tools, **given))

    async def astream_chat_with_tools(
        self,
        tools: Sequence[BaseTool],
        user_msg: str | ChatMessage | None = None,
        chat_history: list[ChatMessage] | None = None,
        verbose: bool = False,
        allow_parallel_tool_calls: bool = False,
        tool_required: bool = False,
        **kwargs: Any,
    ) -> ChatResponseAsyncGen:
        """Do the same without blocking the event loop."""
        place, given = self._tool_place(
            tools, user_msg, chat_history, _flags(kwargs, verbose, allow_parallel_tool_calls, tool_required)
        )
        ask = partial(self._model.astream_chat_with_tools, tools, **given)
        return await self._astreamed(place, Chats, ask)

    def get_tool_calls_from_response(
        self, response: ChatResponse, error_on_no_tool_call: bool = True, **kwargs: Any
    ) -> list[ToolSelection]:
        """Read calls of tools as the model's own class reads them."""
        read = self._model.get_tool_calls_from_response
        return read(response, error_on_no_tool_call=error_on_no_tool_call, **kwargs)

    def _prepare_chat_with_tools(
        self,
        tools: Sequence[BaseTool],
        user_msg: str | ChatMessage | None = None,
        chat_history: list[ChatMessage] | None = None,
        verbose: bool = False,
        allow_parallel_tool_calls: bool = False,
        tool_required: bool = False,
        **kwargs: Any,
    ) -> dict[str, Any]:
        return self._model._prepare_chat_with_tools(  # noqa: SLF001 - what LlamaIndex asks of models
            tools,
            user_msg=user_msg,
            chat_history=None if chat_history is None else list(chat_history),
            **_flags(kwargs, verbose, allow_parallel_tool_calls, tool_required),
        )

    # -- prompts

    def predict(self, prompt: BasePromptTemplate, **prompt_args: Any) -> str:
        """Fill a prompt in and answer it; `query_str` is compared by meaning, all else must be equal."""
        with self._splitting(prompt, prompt_args):
            return super().predict(prompt, **prompt_args)

    async def apredict(self, prompt: BasePromptTemplate, **prompt_args: Any) -> str:
        """Do the same without blocking the event loop."""
        with self._splitting(prompt, prompt_args):
            return await super().apredict(prompt, **prompt_args)

    def stream(self, prompt: BasePromptTemplate, **prompt_args: Any) -> TokenGen:
        """Fill a prompt in and stream its answer; see `predict`."""
        with self._splitting(prompt, prompt_args):
            return super().stream(prompt, **prompt_args)

    async def astream(self, prompt: BasePromptTemplate, **prompt_args: Any) -> TokenAsyncGen:
        """Do the same without blocking the event loop."""
        with self._splitting(prompt, prompt_args):
            return await super().astream(prompt, **prompt_args)

    # -- structured output

    def structured_predict(
        self,
        output_cls: type[BaseModel],
        prompt: PromptTemplate,
        llm_kwargs: dict[str, Any] | None = None,
        **prompt_args: Any,
    ) -> Any:
        """Return an object of a schema; what the schema says is part of what must be equal."""
        return self._structured(output_cls, prompt, llm_kwargs, prompt_args).whole()

    async def astructured_predict(
        self,
        output_cls: type[BaseModel],
        prompt: PromptTemplate,
        llm_kwargs: dict[str, Any] | None = None,
        **prompt_args: Any,
    ) -> Any:
        """Do the same without blocking the event loop."""
        return await self._structured(output_cls, prompt, llm_kwargs, prompt_args).awhole()

    def _structured_stream_call(
        self,
        output_cls: type[BaseModel],
        prompt: PromptTemplate,
        llm_kwargs: dict[str, Any] | None = None,
        **prompt_args: Any,
    ) -> Generator[Any, None, None]:
        return self._structured(output_cls, prompt, llm_kwargs, prompt_args).stream()

    async def _structured_astream_call(
        self,
        output_cls: type[BaseModel],
        prompt: PromptTemplate,
        llm_kwargs: dict[str, Any] | None = None,
        **prompt_args: Any,
    ) -> AsyncGenerator[Any, None]:
        return self._structured(output_cls, prompt, llm_kwargs, prompt_args).astream()

    # -- one call

    @property
    def _model(self) -> FunctionCallingLLM:
        """The model, listened to by whoever listens to this one: engines replace the manager they find."""
        if self.llm.callback_manager is not self.callback_manager:
            self.llm.callback_manager = self.callback_manager
        return cast("FunctionCallingLLM", self.llm)  # tools are asked for only where the metadata says so

    def _answered(self, place: Place | None, form: Any, ask: Callable[[], _R]) -> _R:
        with CachedCall.begin(self._door, place, read_said) as call:
            if call.found is not None:
                return cast("_R", form.whole(call.found, {MARK: dict(call.mark)}))
            response = ask()
            call.keep(self._written(place, form, response, (), Told().then(response)))
            return response

    async def _aanswered(
        self, place: Place | None, form: Any, ask: Callable[[], Coroutine[Any, Any, _R]]
    ) -> _R:
        async with await CachedCall.abegin(self._door, place, read_said) as call:
            if call.found is not None:
                return cast("_R", form.whole(call.found, {MARK: dict(call.mark)}))
            response = await ask()
            await call.akeep(self._written(place, form, response, (), Told().then(response)))
            return response

    def _streamed(
        self, place: Place | None, form: Any, ask: Callable[[], Iterator[_R]]
    ) -> Generator[_R, None, None]:
        call: CachedCall[Said] = CachedCall.begin(self._door, place, read_said)
        if call.found is not None:
            return again(form.pieces(call.found, {MARK: dict(call.mark)}))
        try:
            return pass_on(call, ask(), partial(self._written_stream, place, form))
        except BaseException:
            call.abandon()
            raise

    async def _astreamed(
        self, place: Place | None, form: Any, ask: Callable[[], Coroutine[Any, Any, AsyncIterator[_R]]]
    ) -> AsyncGenerator[_R, None]:
        call: CachedCall[Said] = await CachedCall.abegin(self._door, place, read_said)
        if call.found is not None:
            return again_async(form.pieces(call.found, {MARK: dict(call.mark)}))
        try:
            return pass_on_async(call, await ask(), partial(self._written_stream, place, form))
        except BaseException:
            await call.aabandon()
            raise

    def _written_stream(
        self, place: Place | None, form: Any, response: Any, pieces: tuple[str, ...], told: Told
    ) -> Answer | None:
        """Return what is kept of a stream: nothing, where the provider says how it ends and did not."""
        kind = kind_of(self.llm)
        if told.finish_reason is None and (kind.is_openai or kind.provider == "anthropic"):
            return None
        return self._written(place, form, response, pieces, told)

    def _written(
        self, place: Place | None, form: Any, response: Any, pieces: tuple[str, ...], told: Told
    ) -> Answer | None:
        with self._door.watching():
            said: Said | None = None if place is None else form.said(response, pieces)
            if said is None or place is None:
                return None
            return Answer(
                payload=write_said(said),
                answer=said.gist,
                usage=told.usage,
                model=told.model or place.model,
                tenant=place.tenant,
                finish_reason=told.finish_reason,
                has_tool_calls=said.calls_tools,
            )
        return None

    # -- where a call is looked for

    def _chat_place(
        self, messages: Sequence[ChatMessage], settings: Mapping[str, Any], tools: list[Any] | None = None
    ) -> Place | None:
        with self._door.watching():
            return self._place(asked_in_chat(messages, _split.get()), "chat", settings, tools=tools)
        return None

    def _text_place(self, prompt: str, formatted: bool, settings: Mapping[str, Any]) -> Place | None:
        with self._door.watching():
            asked = asked_in_completion(prompt, formatted=formatted, split=_split.get())
            return self._place(asked, "completion", settings)
        return None

    def _tool_place(
        self,
        tools: Sequence[BaseTool],
        user_msg: str | ChatMessage | None,
        chat_history: list[ChatMessage] | None,
        settings: Mapping[str, Any],
    ) -> tuple[Place | None, dict[str, Any]]:
        """Return the place, and what is handed on: a list of its own, since models write into it."""
        said = ChatMessage(role=MessageRole.USER, content=user_msg) if isinstance(user_msg, str) else user_msg
        messages = [*(chat_history or []), *([] if said is None else [said])]
        place = None
        with self._door.watching():
            asked = asked_in_chat(messages)
            place = self._place(asked, "chat", {**settings, "with_tools": True}, tools=tool_parts(tools))
        return place, {
            "user_msg": user_msg,
            "chat_history": None if chat_history is None else list(chat_history),
            **settings,
        }

    def _structured(
        self,
        output_cls: type[BaseModel],
        prompt: PromptTemplate,
        llm_kwargs: dict[str, Any] | None,
        prompt_args: dict[str, Any],
    ) -> StructuredAsk:
        place = None
        with self._door.watching():
            messages = prompt.format_messages(llm=self.llm, **prompt_args)
            asked = asked_in_chat(messages, self._split_of(prompt, prompt_args))
            place = self._place(asked, "structured", llm_kwargs or {}, schema=output_cls)
        return StructuredAsk(self._door, place, self._model, output_cls, prompt, llm_kwargs, prompt_args)

    def _place(
        self,
        asked: Asked,
        operation: str,
        settings: Mapping[str, Any],
        *,
        tools: list[Any] | None = None,
        schema: Any = None,
    ) -> Place:
        model, tenant = self.llm, self._door.tenant()
        read = {**settings_of(model), **{name: plain(value) for name, value in settings.items()}}
        whole = [read, tools, asked.around, asked.messages]
        request = ChatRequest(
            messages=asked.messages,
            model=name_of(model, {}),
            settings=read if is_readable(whole) else None,
            tools=tools,
            response_schema=schema,
            tenant=tenant,
            extra={
                "llama_index": operation,
                "around": asked.around,
                "account": account_of(model) if tenant is None else None,
            },
        )
        return self._door.place(
            request, most=asked.most, why=asked.why, operation=operation, provider=provider_of(model)
        )

    # -- where the question stands in a prompt

    @contextmanager
    def _splitting(self, prompt: BasePromptTemplate, prompt_args: dict[str, Any]) -> Iterator[None]:
        token = _split.set(self._split_of(prompt, prompt_args, whole=True))
        try:
            yield
        finally:
            _split.reset(token)

    def _split_of(
        self, prompt: BasePromptTemplate, prompt_args: dict[str, Any], *, whole: bool = False
    ) -> Split:
        """Fill a prompt in with a mark in place of the question."""
        question = {**prompt.kwargs, **prompt_args}.get(_QUESTION)
        if not isinstance(question, str) or not question.strip() or _PLACE_OF_QUESTION in question:
            return Split()
        marked = {**prompt_args, _QUESTION: _PLACE_OF_QUESTION}
        with self._door.watching():
            if whole and not self.metadata.is_chat_model:
                return Split(question, _PLACE_OF_QUESTION, prompt=self._get_prompt(prompt, **marked))
            messages = (
                self._get_messages(prompt, **marked)
                if whole
                else prompt.format_messages(llm=self.llm, **marked)
            )
            return Split(question, _PLACE_OF_QUESTION, messages=tuple(messages))
        return Split()


def _flags(told: dict[str, Any], verbose: bool, parallel: bool, required: bool) -> dict[str, Any]:
    """Put LlamaIndex's flags to the rest; models of older integrations do not know the last one."""
    flags = {"verbose": verbose, "allow_parallel_tool_calls": parallel, **told}
    return {**flags, "tool_required": True} if required else flags
