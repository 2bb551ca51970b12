"""A model that is several: each request goes to the cheapest tier that is good enough."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import aclosing, closing
from decimal import Decimal
from functools import partial
from typing import Any, Literal, cast

from langchain_core.language_models import LanguageModelInput
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.runnables import Runnable, RunnableConfig, RunnableSerializable
from langchain_core.runnables.config import ensure_config, merge_configs
from langchain_core.runnables.utils import AddableDict
from pydantic import ConfigDict, Field

from langchain_tokenomics._budget_gate import current_cover
from langchain_tokenomics._budget_steps import Step, Steps, take, take_async
from langchain_tokenomics._messages import attribution_of
from langchain_tokenomics._route_request import Defaults, messages_of, read_request, tool_names
from langchain_tokenomics._route_schemas import schema_text
from langchain_tokenomics._route_steps import Attempt, RouteSteps
from langchain_tokenomics._route_tiers import TierModel, answer_of, router_of, tier_models
from tokenomics_core.budgets import Budgets
from tokenomics_core.errors import ConfigurationError, StoreError
from tokenomics_core.routing import Cascade, Router, RouteRequest, RouterStats
from tokenomics_core.routing.policies import CascadeStart

__all__ = ["ModelRouter"]

_END = object()


class ModelRouter(RunnableSerializable[LanguageModelInput, AIMessage]):
    """Route calls over tiers, as if they were one chat model.

    router = ModelRouter({"cheap": ChatOpenAI(model="gpt-4.1-nano"), "dear": ChatOpenAI(model="gpt-4.1")})
    chain = prompt | router | StrOutputParser()

    Each call is handed over whole to the chosen tier's own model, so that callbacks, caches, usage and model
    names are those of that model. The route stands in the metadata (`route_tier`, `route_reasons` ...) and
    tags (`route:TIER`) of its run, and in the ledger with what it saved (`avoided_by` is `route`).

    After an error, a rate limit or a timeout the next tier that can is asked; a stream is not begun anew once
    its first piece has arrived. A request may say `task`, `max_cost_usd`, `quality_floor`, `language`,
    `downgrade_to` and `route_question` (the question itself, where the prompt holds passages besides) in its
    config, as metadata or under `configurable`.
    """

    tiers: tuple[TierModel, ...] = Field(exclude=True, repr=False)
    router: Router = Field(exclude=True, repr=False)
    cascade: Cascade | None = Field(default=None, exclude=True, repr=False)
    streaming: Literal["route", "judge"] = "route"
    task: str | None = None
    max_cost_usd: Decimal | None = None
    quality_floor: float | None = None
    budgets: Budgets | None = Field(default=None, exclude=True, repr=False)
    handles: tuple[type[BaseException], ...] = Field(default=(Exception,), repr=False)
    bound_tools: tuple[str, ...] = ()
    bound_needs: frozenset[str] = frozenset()
    bound_schemas: str = Field(default="", repr=False)
    default_config: RunnableConfig = Field(default_factory=RunnableConfig, exclude=True, repr=False)

    model_config = ConfigDict(arbitrary_types_allowed=True)

    def __init__(
        self,
        tiers: Any,
        *,
        router: Router | None = None,
        cascade: Cascade | None = None,
        streaming: Literal["route", "judge"] | None = None,
        task: str | None = None,
        max_cost_usd: Decimal | str | float | None = None,
        quality_floor: float | None = None,
        budgets: Budgets | None = None,
        handles: tuple[type[BaseException], ...] = (Exception,),
        bound_tools: Sequence[str] = (),
        bound_needs: frozenset[str] = frozenset(),
        bound_schemas: str = "",
        default_config: RunnableConfig | None = None,
        name: str | None = None,
        **settings: Any,
    ) -> None:
        """Set the tiers and how to choose.

        Args:
            tiers: Models by name, the weakest first, or pairs of a `Tier` and its model. Anything runnable
                may stand in, such as a `CognitiveScaffold`.
            router: What decides. Without one, `settings` make it: `classifier`, `policy`, `prices`,
                `safe_tier` and all else that `Router` takes.
            cascade: Asks the cheap tier first and judges its answer; it has a router itself.
            streaming: What `stream` does with a cascade: `route` goes without it, so that pieces arrive as
                they come; `judge` holds every piece back until the answer is accepted. None for `judge` where
                the cascade decides on drafts only, else `route`.
            task: Kind of task, unless a config says it.
            max_cost_usd: Most that a call may be expected to cost, unless a config says it.
            quality_floor: Least chance of a good answer, in [0, 1], unless a config says it.
            budgets: A limit with `action="downgrade:TIER"` that is used up keeps calls at or below that tier.
            handles: Errors after which the next tier is asked.
            bound_tools: Names of the tools that are bound; set by `bind_tools`.
            bound_needs: What bound schemas need; set by `with_structured_output`.
            bound_schemas: What bound tools and schemas add to a prompt; set by both.
            default_config: Under every call's own; set by `with_config`.
            name: Of this runnable.
            **settings: For the `Router` that is made here.

        Raises:
            ConfigurationError: The tiers cannot be read, or a setting contradicts another.
        """
        models = tier_models(tiers)
        if streaming not in ("route", "judge", None):
            raise ConfigurationError(f"streaming must be 'route' or 'judge', not {streaming!r}")
        # Checked here, once, as a request would be.
        defaults = RouteRequest(
            question="",
            max_cost_usd=cast("Decimal | None", max_cost_usd),
            quality_floor=quality_floor,
        )
        made = router_of(models, router, cascade, settings)
        if streaming is None:
            drafts = cascade is not None and isinstance(made.policy, CascadeStart)
            streaming = "judge" if drafts else "route"
        fields: dict[str, Any] = {
            "tiers": models,
            "router": made,
            "cascade": cascade,
            "streaming": streaming,
            "task": task,
            "max_cost_usd": defaults.max_cost_usd,
            "quality_floor": quality_floor,
            "budgets": budgets,
            "handles": handles,
            "bound_tools": tuple(bound_tools),
            "bound_needs": bound_needs,
            "bound_schemas": bound_schemas,
            "name": name,
            "default_config": default_config if default_config is not None else RunnableConfig(),
        }
        super().__init__(**fields)

    # What a chat model can do besides answering

    def bind_tools(self, tools: Sequence[Any], **kwargs: Any) -> ModelRouter:
        """Return a router whose tiers all have the tools; only tiers that can use them are chosen."""
        return self._mapped(
            lambda model: model.bind_tools(tools, **kwargs),
            bound_tools=(*self.bound_tools, *tool_names(tools)),
            bound_schemas=self.bound_schemas + schema_text({"tools": tools}),
        )

    def with_structured_output(self, schema: Any, **kwargs: Any) -> ModelRouter:
        """Return a router whose tiers all answer in a schema; the output is what theirs is."""
        needs = {"function_calling": "tools", "json_mode": "json_mode"}.get(
            kwargs.get("method", ""), "json_schema"
        )
        return self._mapped(
            lambda model: model.with_structured_output(schema, **kwargs),
            bound_needs=self.bound_needs | ({needs} - {"json_mode"}),
            bound_schemas=self.bound_schemas + schema_text({"tools": [schema]}),
        )

    def with_config(self, config: RunnableConfig | None = None, **kwargs: Any) -> ModelRouter:
        """Return a router that lays each call's config over this one, also after `bind_tools`."""
        own = cast("RunnableConfig", {**(config or {}), **kwargs})
        return self.model_copy(update={"default_config": merge_configs(self.default_config, own)})

    def stats(self) -> RouterStats:
        """Return what was done and what it saved after all its own costs."""
        return self.router.stats()

    @property
    def models(self) -> dict[str, Runnable[Any, Any]]:
        """The model of each tier."""
        return {item.tier.name: item.model for item in self.tiers}

    # Answers

    def invoke(
        self,
        input: LanguageModelInput,  # noqa: A002 - the framework's name
        config: RunnableConfig | None = None,
        **kwargs: Any,
    ) -> AIMessage:
        """Answer in the chosen tier."""
        config = self._config(config)
        asked = self._asked(input, config, kwargs)
        output, _ = take(self._steps().run(asked, partial(self._call, input, config, kwargs), answer_of))
        return cast("AIMessage", output)

    async def ainvoke(
        self,
        input: LanguageModelInput,  # noqa: A002 - the framework's name
        config: RunnableConfig | None = None,
        **kwargs: Any,
    ) -> AIMessage:
        """Answer in the chosen tier, the same one as `invoke`."""
        config = self._config(config)
        asked = await self._aasked(input, config, kwargs)
        output, _ = await take_async(
            self._steps().run(asked, partial(self._call, input, config, kwargs), answer_of)
        )
        return cast("AIMessage", output)

    def stream(
        self,
        input: LanguageModelInput,  # noqa: A002 - the framework's name
        config: RunnableConfig | None = None,
        **kwargs: Any,
    ) -> Iterator[AIMessageChunk]:
        """Answer piece by piece; see `streaming` for what a cascade does."""
        config = self._config(config)
        asked = self._asked(input, config, kwargs)
        if self.cascade is not None and self.streaming == "judge":
            pieces, attempt = take(self._held(asked, partial(self._collected, input, config, kwargs)))
            try:
                yield from pieces
            finally:
                attempt.held_back.release(accepted=True).here()
            return
        opened, attempt = take(self._opened(asked, partial(self._first, input, config, kwargs)))
        try:
            with closing(opened[1]) as rest:
                if opened[0] is not _END:
                    yield opened[0]
                    yield from rest
        except BaseException as error:
            attempt.broke(error)
            raise
        attempt.answered()

    async def astream(
        self,
        input: LanguageModelInput,  # noqa: A002 - the framework's name
        config: RunnableConfig | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[AIMessageChunk]:
        """Answer piece by piece, in the same tier as `stream`."""
        config = self._config(config)
        asked = await self._aasked(input, config, kwargs)
        if self.cascade is not None and self.streaming == "judge":
            held = self._held(asked, partial(self._collected, input, config, kwargs))
            pieces, attempt = await take_async(held)
            try:
                for piece in pieces:
                    yield piece
            finally:
                await attempt.held_back.release(accepted=True).there()
            return
        opened, attempt = await take_async(self._opened(asked, partial(self._first, input, config, kwargs)))
        try:
            async with aclosing(opened[1]) as rest:
                if opened[0] is not _END:
                    yield opened[0]
                    async for piece in rest:
                        yield piece
        except BaseException as error:
            attempt.broke(error)
            raise
        attempt.answered()

    # How

    def _mapped(self, change: Callable[[Any], Runnable[Any, Any]], **update: Any) -> ModelRouter:
        changed = tuple(TierModel(item.tier, change(item.model), item.takes_marks) for item in self.tiers)
        return self.model_copy(update={"tiers": changed, **update})

    def _steps(self) -> RouteSteps:
        return RouteSteps(self.router, self.cascade, self.handles)

    def _held(self, asked: RouteRequest, ask: Callable[[Attempt], Step]) -> Steps[tuple[Any, Attempt]]:
        return self._steps().run(asked, ask, _answer_of_pieces, but_last=True)

    def _opened(self, asked: RouteRequest, ask: Callable[[Attempt], Step]) -> Steps[tuple[Any, Attempt]]:
        return self._steps().run(asked, ask, answer_of, judged=False, open_ended=True)

    def _config(self, config: RunnableConfig | None) -> RunnableConfig:
        return merge_configs(self.default_config, ensure_config(config))

    def _asked(self, value: Any, config: RunnableConfig, kwargs: dict[str, Any]) -> RouteRequest:
        return self._read(value, config, kwargs, self._downgrade(config))

    async def _aasked(self, value: Any, config: RunnableConfig, kwargs: dict[str, Any]) -> RouteRequest:
        return self._read(value, config, kwargs, await self._adowngrade(config))

    def _read(
        self, value: Any, config: RunnableConfig, kwargs: dict[str, Any], downgrade_to: str | None
    ) -> RouteRequest:
        defaults = Defaults(
            task=self.task,
            max_cost_usd=self.max_cost_usd,
            quality_floor=self.quality_floor,
            tools=self.bound_tools,
            needs=self.bound_needs,
            schemas=self.bound_schemas,
        )
        return read_request(messages_of(value), config, kwargs, defaults, downgrade_to=downgrade_to)

    def _downgrade(self, config: RunnableConfig) -> str | None:
        if self.budgets is not None:
            try:
                return self.budgets.left(attribution_of(config.get("metadata") or {}, "")).downgrade_to
            except StoreError:
                return None  # the reservation of the call decides what that means
        return _covered_downgrade()

    async def _adowngrade(self, config: RunnableConfig) -> str | None:
        if self.budgets is not None:
            try:
                left = await self.budgets.aleft(attribution_of(config.get("metadata") or {}, ""))
            except StoreError:
                return None  # likewise
            return left.downgrade_to
        return _covered_downgrade()

    def _model(self, attempt: Attempt) -> TierModel:
        return next(item for item in self.tiers if item.tier.name == attempt.route.tier.name)

    def _call(self, value: Any, config: RunnableConfig, kwargs: dict[str, Any], attempt: Attempt) -> Step:
        item = self._model(attempt)
        model, asked = attempt.model(item.model), item.read(value)
        told, own = attempt.config(config), item.settings(kwargs)
        return Step(partial(model.invoke, asked, told, **own), partial(model.ainvoke, asked, told, **own))

    def _first(self, value: Any, config: RunnableConfig, kwargs: dict[str, Any], attempt: Attempt) -> Step:
        """Open a stream and wait for its first piece: until then another tier may take over."""
        item = self._model(attempt)
        asked, told, own = item.read(value), attempt.config(config), item.settings(kwargs)
        return Step(
            lambda: _begin(item.model.stream(asked, told, **own)),
            lambda: _abegin(item.model.astream(asked, told, **own)),
        )

    def _collected(
        self, value: Any, config: RunnableConfig, kwargs: dict[str, Any], attempt: Attempt
    ) -> Step:
        """Take a whole stream; nobody sees any of it yet."""
        item = self._model(attempt)
        model, asked = attempt.model(item.model), item.read(value)
        told, own = attempt.config(config), item.settings(kwargs)
        return Step(
            lambda: list(model.stream(asked, told, **own)),
            lambda: _acollect(model.astream(asked, told, **own)),
        )


def _covered_downgrade() -> str | None:
    """Return the tier that a budget around an agent's call asks for."""
    cover = current_cover()
    return None if cover is None else cover.downgrade_to


def _begin(pieces: Iterator[Any]) -> tuple[Any, Iterator[Any]]:
    return next(pieces, _END), pieces


async def _abegin(pieces: AsyncIterator[Any]) -> tuple[Any, AsyncIterator[Any]]:
    return await anext(pieces, _END), pieces


async def _acollect(pieces: AsyncIterator[Any]) -> list[Any]:
    return [piece async for piece in pieces]


def _answer_of_pieces(pieces: list[Any]) -> Any:
    whole = None
    for piece in pieces:
        grows = whole is not None and isinstance(piece, (AIMessageChunk, AddableDict))
        whole = whole + piece if grows else piece
    return answer_of(whole)
