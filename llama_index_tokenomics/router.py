"""A model that is several: each request goes to the cheapest tier that is good enough."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from decimal import Decimal
from typing import Any, ClassVar, Literal, cast

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
from pydantic import BaseModel, PrivateAttr

from llama_index_tokenomics._routing_answer import MARK
from llama_index_tokenomics._routing_budget import DowngradeReader
from llama_index_tokenomics._routing_calls import Form, RoutedCalls
from llama_index_tokenomics._routing_hints import routing
from llama_index_tokenomics._routing_request import RequestReader, asking, question_of
from llama_index_tokenomics._routing_scaffold import CognitiveScaffold
from llama_index_tokenomics._routing_steps import RouteSteps
from llama_index_tokenomics._routing_tiers import TierModels, Tiers, router_of, shared_settings
from llama_index_tokenomics.budgets import BudgetGuard
from llama_index_tokenomics.cache import _flags
from tokenomics_core.budgets import Budgets
from tokenomics_core.errors import ConfigurationError
from tokenomics_core.routing import Cascade, Route, Router, RouteRequest, RouterStats
from tokenomics_core.routing.policies import CascadeStart

__all__ = ["MARK", "CognitiveScaffold", "RoutingLLM", "routing"]

Streaming = Literal["route", "judge"]


class RoutingLLM(FunctionCallingLLM):
    """Sends each request to the cheapest tier that is good enough, as if the tiers were one model.

    Settings.llm = RoutingLLM({"cheap": OpenAI(model="gpt-4.1-nano"), "dear": OpenAI(model="gpt-4.1")})

    Query and chat engines, agents, streams, tools and structured output work as with one model. The route is
    decided on the question: what an engine puts around it counts for the size only, and what an agent's tools
    answer does not count as an ask. Each call is handed over whole to the tier's own model, so that there is
    one pair of events for each call of a provider, with that model's name.

    After an error, a rate limit or a timeout the next tier that can is asked; a stream is not begun anew once
    its first piece has arrived. The route stands in `additional_kwargs["tokenomics_route"]` of an answer, in
    the log, and in the ledger with what it saved (`avoided_by` is `route`).
    """

    passes_on: ClassVar[bool] = True
    """Whether a budget guard waits for the model behind this one to be asked."""

    _tiers: TierModels = PrivateAttr()
    _router: Router = PrivateAttr()
    _cascade: Cascade | None = PrivateAttr()
    _reader: RequestReader = PrivateAttr()
    _budget: DowngradeReader = PrivateAttr()
    _hints: dict[str, Any] = PrivateAttr()
    _whole: RoutedCalls = PrivateAttr()
    _streams: RoutedCalls = PrivateAttr()
    _metadata: LLMMetadata = PrivateAttr()

    def __init__(
        self,
        tiers: Tiers,
        *,
        router: Router | None = None,
        cascade: Cascade | None = None,
        streaming: Streaming | None = None,
        task: str | None = None,
        max_cost_usd: Decimal | str | None = None,
        quality_floor: float | None = None,
        budgets: Budgets | BudgetGuard | None = None,
        handles: tuple[type[Exception], ...] = (Exception,),
        context_window: int | None = None,
        **settings: Any,
    ) -> None:
        """Set the tiers and how to choose.

        Args:
            tiers: Models by name, the weakest first, or pairs of a `Tier` and its model. A tier that is only
                named takes name, window and abilities from what its model says of itself.
            router: What decides. Without one, `settings` make it: `classifier`, `policy`, `prices`,
                `safe_tier` and all else that `Router` takes; its classifier is the pretrained one where not
                every tier states its quality.
            cascade: Asks the cheap tier first and judges its answer; it has a router itself.
            streaming: What a stream does with a cascade: `route` goes without it, so that pieces arrive as
                they come; `judge` holds every piece back until the answer is accepted. None for `judge` where
                the cascade decides on drafts only, else `route`. Agents stream unless they are told not to.
            task: Kind of task, unless a `routing` block says it.
            max_cost_usd: Most that a call may be expected to cost, unless a `routing` block says it.
            quality_floor: Least chance of a good answer, in [0, 1], unless a `routing` block says it.
            budgets: A limit with `action="downgrade:TIER"` that is used up keeps calls at or below that tier.
                None for those of the guards that are open where a call begins.
            handles: Errors after which the next tier is asked.
            context_window: Tokens that engines and memories may fill; that of the smallest tier if None. What
                is too long for a tier goes up to one that has the room.
            settings: For the `Router` that is made here, and fields of LlamaIndex's `LLM`; the latter are
                those of the tiers where they are not given.

        Raises:
            ConfigurationError: The tiers cannot be read, or a setting contradicts another.
        """
        models = TierModels(tiers)
        if streaming not in ("route", "judge", None):
            raise ConfigurationError(f"streaming must be 'route' or 'judge', not {streaming!r}")
        fields = {name: settings.pop(name) for name in set(settings) & set(LLM.model_fields)}
        made = router_of(models, router, cascade, settings)
        super().__init__(**shared_settings(models.models, fields))
        self._tiers, self._router, self._cascade = models, made, cascade
        self._hints = _hints(task, max_cost_usd, quality_floor)
        self._reader = RequestReader(models.smallest_window)
        self._metadata = models.metadata(context_window)
        known = {tier.name for tier in made.tiers} | {tier.model for tier in made.tiers}
        self._budget = DowngradeReader(budgets, frozenset(known))
        if streaming is None:
            drafts = cascade is not None and isinstance(made.policy, CascadeStart)
            streaming = "judge" if drafts else "route"
        judged, plain = RouteSteps(made, cascade, handles), RouteSteps(made, None, handles)
        self._whole = RoutedCalls(judged, self._model)
        self._streams = RoutedCalls(judged if streaming == "judge" else plain, self._model)

    @classmethod
    def class_name(cls) -> str:
        """Return the name under which LlamaIndex lists this model."""
        return "RoutingLLM"

    @property
    def metadata(self) -> LLMMetadata:
        """What holds whichever tier is chosen."""
        return self._metadata

    @property
    def router(self) -> Router:
        """What decides."""
        return self._router

    @property
    def cascade(self) -> Cascade | None:
        """What judges answers."""
        return self._cascade

    @property
    def models(self) -> dict[str, LLM]:
        """The model of each tier."""
        return {tier.name: self._tiers.model(tier.name) for tier in self._tiers.tiers}

    def stats(self) -> RouterStats:
        """Return what was done and what it saved after all its own costs."""
        return self._router.stats()

    def feedback(self, route: Route | str, ok: bool | float) -> bool:
        """Learn from a label of an answer, by its route or the route's id; see `Router.feedback`."""
        return self._router.feedback(route, ok)

    # -- conversations

    def chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        """Answer in the chosen tier."""
        request = self._asked(self._reader.chat(messages, kwargs))
        return cast("ChatResponse", self._whole.ask(request, Form("chat", (messages,), kwargs)))

    async def achat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        """Answer in the chosen tier, the same one as `chat`."""
        request = await self._aasked(self._reader.chat(messages, kwargs))
        return cast("ChatResponse", await self._whole.aask(request, Form("chat", (messages,), kwargs)))

    def stream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponseGen:
        """Answer piece by piece; see `streaming` for what a cascade does."""
        request = self._asked(self._reader.chat(messages, kwargs))
        return self._streams.stream(request, Form("stream_chat", (messages,), kwargs))

    async def astream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponseAsyncGen:
        """Answer piece by piece, in the same tier as `stream_chat`."""
        request = await self._aasked(self._reader.chat(messages, kwargs))
        return await self._streams.astream(request, Form("stream_chat", (messages,), kwargs))

    # -- texts

    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        """Answer in the chosen tier."""
        request = self._asked(self._reader.text(prompt, kwargs))
        form = Form("complete", (prompt,), {"formatted": formatted, **kwargs})
        return cast("CompletionResponse", self._whole.ask(request, form))

    async def acomplete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        """Answer in the chosen tier, the same one as `complete`."""
        request = await self._aasked(self._reader.text(prompt, kwargs))
        form = Form("complete", (prompt,), {"formatted": formatted, **kwargs})
        return cast("CompletionResponse", await self._whole.aask(request, form))

    def stream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponseGen:
        """Answer piece by piece; see `streaming` for what a cascade does."""
        request = self._asked(self._reader.text(prompt, kwargs))
        form = Form("stream_complete", (prompt,), {"formatted": formatted, **kwargs})
        return self._streams.stream(request, form)

    async def astream_complete(
        self, prompt: str, formatted: bool = False, **kwargs: Any
    ) -> CompletionResponseAsyncGen:
        """Answer piece by piece, in the same tier as `stream_complete`."""
        request = await self._aasked(self._reader.text(prompt, kwargs))
        form = Form("stream_complete", (prompt,), {"formatted": formatted, **kwargs})
        return await self._streams.astream(request, form)

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
        """Answer in the chosen tier, which can call tools; all calls of one ask go to the same."""
        flags = _flags(kwargs, verbose, allow_parallel_tool_calls, tool_required)
        request = self._asked(self._tool_request(tools, user_msg, chat_history, kwargs))
        return cast(
            "ChatResponse",
            self._whole.ask(request, _tool_form("chat_with_tools", tools, user_msg, chat_history, flags)),
        )

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
        """Answer in the chosen tier, the same one as `chat_with_tools`."""
        flags = _flags(kwargs, verbose, allow_parallel_tool_calls, tool_required)
        request = await self._aasked(self._tool_request(tools, user_msg, chat_history, kwargs))
        form = _tool_form("chat_with_tools", tools, user_msg, chat_history, flags)
        return cast("ChatResponse", await self._whole.aask(request, form))

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
        """Answer piece by piece; see `streaming` for what a cascade does."""
        flags = _flags(kwargs, verbose, allow_parallel_tool_calls, tool_required)
        request = self._asked(self._tool_request(tools, user_msg, chat_history, kwargs))
        form = _tool_form("stream_chat_with_tools", tools, user_msg, chat_history, flags)
        return self._streams.stream(request, form)

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
        """Answer piece by piece, in the same tier as `stream_chat_with_tools`."""
        flags = _flags(kwargs, verbose, allow_parallel_tool_calls, tool_required)
        request = await self._aasked(self._tool_request(tools, user_msg, chat_history, kwargs))
        form = _tool_form("stream_chat_with_tools", tools, user_msg, chat_history, flags)
        return await self._streams.astream(request, form)

    def get_tool_calls_from_response(
        self, response: ChatResponse, error_on_no_tool_call: bool = True, **kwargs: Any
    ) -> list[ToolSelection]:
        """Read calls of tools as the model that answered reads them."""
        told = response.additional_kwargs.get(MARK)
        model = self._tiers.model(told.get("route_tier") if isinstance(told, dict) else None)
        read = cast("FunctionCallingLLM", model).get_tool_calls_from_response
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
        """Prepare for the safe tier; LlamaIndex asks the tiers themselves, each for its own calls."""
        model = cast("FunctionCallingLLM", self._tiers.model(self._router.safe_tier))
        return model._prepare_chat_with_tools(  # noqa: SLF001 - what LlamaIndex asks of models
            tools,
            user_msg=user_msg,
            chat_history=None if chat_history is None else list(chat_history),
            **_flags(kwargs, verbose, allow_parallel_tool_calls, tool_required),
        )

    # -- prompts

    def predict(self, prompt: BasePromptTemplate, **prompt_args: Any) -> str:
        """Fill a prompt in and answer it; the route is decided on its `query_str`."""
        with asking(prompt, prompt_args):
            return super().predict(prompt, **prompt_args)

    async def apredict(self, prompt: BasePromptTemplate, **prompt_args: Any) -> str:
        """Do the same without blocking the event loop."""
        with asking(prompt, prompt_args):
            return await super().apredict(prompt, **prompt_args)

    def stream(self, prompt: BasePromptTemplate, **prompt_args: Any) -> TokenGen:
        """Fill a prompt in and stream its answer; see `predict`."""
        with asking(prompt, prompt_args):
            return super().stream(prompt, **prompt_args)

    async def astream(self, prompt: BasePromptTemplate, **prompt_args: Any) -> TokenAsyncGen:
        """Do the same without blocking the event loop."""
        with asking(prompt, prompt_args):
            return await super().astream(prompt, **prompt_args)

    # -- structured output

    def structured_predict(
        self,
        output_cls: type[BaseModel],
        prompt: PromptTemplate,
        llm_kwargs: dict[str, Any] | None = None,
        **prompt_args: Any,
    ) -> Any:
        """Return an object of a schema, asked for in the chosen tier's own way."""
        request = self._asked(self._schema_request(prompt, llm_kwargs, prompt_args))
        return self._whole.ask(request, _schema_form(output_cls, prompt, llm_kwargs, prompt_args))

    async def astructured_predict(
        self,
        output_cls: type[BaseModel],
        prompt: PromptTemplate,
        llm_kwargs: dict[str, Any] | None = None,
        **prompt_args: Any,
    ) -> Any:
        """Do the same without blocking the event loop."""
        request = await self._aasked(self._schema_request(prompt, llm_kwargs, prompt_args))
        return await self._whole.aask(request, _schema_form(output_cls, prompt, llm_kwargs, prompt_args))

    def _structured_stream_call(
        self,
        output_cls: type[BaseModel],
        prompt: PromptTemplate,
        llm_kwargs: dict[str, Any] | None = None,
        **prompt_args: Any,
    ) -> Generator[Any, None, None]:
        request = self._asked(self._schema_request(prompt, llm_kwargs, prompt_args))
        form = _schema_form(output_cls, prompt, llm_kwargs, prompt_args, streams=True)
        return self._streams.stream(request, form)

    async def _structured_astream_call(
        self,
        output_cls: type[BaseModel],
        prompt: PromptTemplate,
        llm_kwargs: dict[str, Any] | None = None,
        **prompt_args: Any,
    ) -> AsyncGenerator[Any, None]:
        request = await self._aasked(self._schema_request(prompt, llm_kwargs, prompt_args))
        form = _schema_form(output_cls, prompt, llm_kwargs, prompt_args, streams=True)
        return await self._streams.astream(request, form)

    # -- one request

    def _asked(self, read: Callable[..., RouteRequest]) -> RouteRequest:
        return read(defaults=self._hints, downgrade_to=self._budget.read())

    async def _aasked(self, read: Callable[..., RouteRequest]) -> RouteRequest:
        return read(defaults=self._hints, downgrade_to=await self._budget.aread())

    def _tool_request(
        self,
        tools: Sequence[BaseTool],
        user_msg: str | ChatMessage | None,
        chat_history: list[ChatMessage] | None,
        settings: dict[str, Any],
    ) -> Callable[..., RouteRequest]:
        said = ChatMessage(role=MessageRole.USER, content=user_msg) if isinstance(user_msg, str) else user_msg
        messages = [*(chat_history or []), *([] if said is None else [said])]
        return self._reader.chat(messages, settings, tools=tools)

    def _schema_request(
        self, prompt: PromptTemplate, llm_kwargs: dict[str, Any] | None, prompt_args: dict[str, Any]
    ) -> Callable[..., RouteRequest]:
        messages = prompt.format_messages(llm=self._tiers.models[0], **prompt_args)
        return self._reader.chat(
            messages,
            llm_kwargs or {},
            needs=frozenset({"json_schema"}),
            question=question_of(prompt, prompt_args),
        )

    def _model(self, tier: str) -> tuple[LLM, dict[str, Any]]:
        """Return a tier's model, listened to by whoever listens to this one, and what its tier adds."""
        model = self._tiers.model(tier)
        if model.callback_manager is not self.callback_manager:
            model.callback_manager = self.callback_manager
        return model, self._tiers.settings(tier)


def _hints(
    task: str | None, max_cost_usd: Decimal | str | None, quality_floor: float | None
) -> dict[str, Any]:
    said = {"task": task, "max_cost_usd": max_cost_usd, "quality_floor": quality_floor}
    found = {name: value for name, value in said.items() if value is not None}
    RouteRequest(question="", **cast("Any", found))  # refuses here what would fail every request
    return found


def _tool_form(
    method: str,
    tools: Sequence[BaseTool],
    user_msg: str | ChatMessage | None,
    chat_history: list[ChatMessage] | None,
    settings: dict[str, Any],
) -> Form:
    return Form(method, (tools,), {"user_msg": user_msg, "chat_history": chat_history, **settings})


def _schema_form(
    output_cls: type[BaseModel],
    prompt: PromptTemplate,
    llm_kwargs: dict[str, Any] | None,
    prompt_args: dict[str, Any],
    *,
    streams: bool = False,
) -> Form:
    method = "_structured_stream_call" if streams else "structured_predict"
    given = {"llm_kwargs": dict(llm_kwargs or {}), **prompt_args}
    return Form(method, (output_cls, prompt), given, is_structured=True)
