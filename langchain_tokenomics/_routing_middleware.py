"""Send each model call of an agent to the cheapest tier that is good enough."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, cast

from tokenomics_core.errors import MissingExtraError

try:
    import langchain.agents.middleware as _  # noqa: F401 - asked for only to know whether it is there
except ModuleNotFoundError as error:
    raise MissingExtraError("langchain", "agents") from error

from dataclasses import replace
from decimal import Decimal

from langchain.agents.middleware.types import (
    AgentMiddleware,
    AgentState,
    ExtendedModelResponse,
    ModelRequest,
    ModelResponse,
)
from langchain.agents.structured_output import AutoStrategy, ProviderStrategy, ToolStrategy
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import var_child_runnable_config

from langchain_tokenomics._budget_gate import current_cover
from langchain_tokenomics._budget_rules import config_here
from langchain_tokenomics._budget_steps import Step, Steps, take, take_async
from langchain_tokenomics._route_marks import fitted, fitted_settings
from langchain_tokenomics._route_request import Defaults, read_request
from langchain_tokenomics._route_steps import Attempt, RouteSteps
from langchain_tokenomics._route_tiers import TierModel, answer_of, router_of, tier_models
from tokenomics_core.errors import ConfigurationError
from tokenomics_core.routing import Answer, Cascade, Router, RouteRequest, RouterStats
from tokenomics_core.routing._sticky import Recent

__all__ = ["RoutingMiddleware"]

_Response = ModelResponse[Any] | ExtendedModelResponse[Any]
_Ask = Callable[[ModelRequest[Any]], Step]


class RoutingMiddleware(AgentMiddleware[AgentState[Any], Any, Any]):
    """Choose the tier of an agent's model calls, once for each ask of a human.

    create_agent(dear, tools, middleware=[RoutingMiddleware({"cheap": cheap, "dear": dear})])

    All calls of one ask, as in a loop of tools, go to one tier. What only another provider understands is
    left out where the provider changes. After an error the next tier that can is asked, and then whatever
    stands outside, such as `ModelFallbackMiddleware`: a model that it puts in place is not replaced again.
    Put `BudgetMiddleware` before it, and a soft limit (`action="downgrade:TIER"`) keeps calls at or below
    its tier; a model to which the budget has switched is left in place unless it is a tier's.
    """

    def __init__(
        self,
        tiers: Any,
        *,
        router: Router | None = None,
        cascade: Cascade | None = None,
        task: str | None = None,
        max_cost_usd: Decimal | str | float | None = None,
        quality_floor: float | None = None,
        handles: tuple[type[BaseException], ...] = (Exception,),
        **settings: Any,
    ) -> None:
        """Set the tiers and how to choose; the arguments mean what they do for `ModelRouter`.

        Raises:
            ConfigurationError: The tiers cannot be read, or a setting contradicts another.
        """
        super().__init__()
        self._tiers = tier_models(tiers)
        for item in self._tiers:
            if not isinstance(item.model, BaseChatModel):
                raise ConfigurationError(
                    f"tier {item.tier.name!r} of an agent must be a chat model, not {item.model!r:.80}"
                )
        self.router = router_of(self._tiers, router, cascade, settings)
        self._steps = RouteSteps(self.router, cascade, handles)
        defaults = RouteRequest(
            question="", max_cost_usd=cast("Decimal | None", max_cost_usd), quality_floor=quality_floor
        )
        self._given_up: Recent[tuple[Any, Any]] = Recent(_MOST_GIVEN_UP)
        self._defaults = Defaults(
            task=task, max_cost_usd=defaults.max_cost_usd, quality_floor=defaults.quality_floor
        )

    def stats(self) -> RouterStats:
        """Return what was done and what it saved after all its own costs."""
        return self.router.stats()

    def wrap_model_call(
        self, request: ModelRequest[Any], handler: Callable[[ModelRequest[Any]], ModelResponse[Any]]
    ) -> _Response:
        """Ask the chosen tier's model."""

        def ask(asked: ModelRequest[Any], config: RunnableConfig) -> Step:
            return Step(lambda: _within(config, handler, asked), _unused)

        untouched: _Ask = lambda asked: Step(lambda: handler(asked), _unused)  # noqa: E731 - as short as a def
        return take(self._routed(request, untouched, ask))

    async def awrap_model_call(
        self,
        request: ModelRequest[Any],
        handler: Callable[[ModelRequest[Any]], Awaitable[ModelResponse[Any]]],
    ) -> _Response:
        """Ask the chosen tier's model without blocking the event loop."""

        def ask(asked: ModelRequest[Any], config: RunnableConfig) -> Step:
            return Step(_unused, lambda: _awithin(config, handler, asked))

        return await take_async(
            self._routed(request, lambda asked: Step(_unused, lambda: handler(asked)), ask)
        )

    def _routed(
        self,
        request: ModelRequest[Any],
        untouched: _Ask,
        ask: Callable[[ModelRequest[Any], RunnableConfig], Step],
    ) -> Steps[_Response]:
        downgrade_to = self._downgrade(request)
        if downgrade_to is _LEAVE or self._is_put_in_place(request):
            response: _Response = yield untouched(request)
            return response
        config = cast("RunnableConfig", dict(config_here()))
        asked = self._read(request, config, downgrade_to)

        def attempt_step(attempt: Attempt) -> Step:
            item = next(one for one in self._tiers if one.tier.name == attempt.route.tier.name)
            return ask(_for_tier(request, item, attempt), attempt.config(config))

        try:
            output, _ = yield from self._steps.run(asked, attempt_step, _answer_of_response)
        except Exception:
            self._given_up.put(id(request.state), (request.state, request.model))
            raise
        return cast("_Response", output)

    def _read(
        self, request: ModelRequest[Any], config: RunnableConfig, downgrade_to: str | None
    ) -> RouteRequest:
        system = request.system_message
        messages = [*([] if system is None else [system]), *request.messages]
        told = {**request.model_settings, "tools": request.tools}
        defaults = replace(self._defaults, needs=_NEEDS.get(type(request.response_format), frozenset()))
        return read_request(messages, config, told, defaults, downgrade_to=downgrade_to)

    def _downgrade(self, request: ModelRequest[Any]) -> str | None:
        """Return the tier that a budget allows, or that its model is to be left in place."""
        cover = current_cover()
        if cover is None:
            return None
        if not cover.is_downgraded:
            return cover.downgrade_to
        return next((item.tier.name for item in self._tiers if item.model is request.model), _LEAVE)

    def _is_put_in_place(self, request: ModelRequest[Any]) -> bool:
        """Whether somebody outside gives this very call to another model, after all tiers have failed.

        One call of a node has one state, whatever is overridden in its request. No context variable would
        do: LangChain runs each middleware in a copy of the context.
        """
        given_up = self._given_up.get(id(request.state))
        return given_up is not None and given_up[0] is request.state and given_up[1] is not request.model


_MOST_GIVEN_UP = 64  # calls at once that a middleware outside may still rescue
_LEAVE = "\x00leave"
_NEEDS: Mapping[type, frozenset[str]] = {
    AutoStrategy: frozenset({"tools"}),  # what it falls back to
    ToolStrategy: frozenset({"tools"}),
    ProviderStrategy: frozenset({"json_schema"}),
}


def _for_tier(request: ModelRequest[Any], item: TierModel, attempt: Attempt) -> ModelRequest[Any]:
    """Return the request for a tier, without what only another tier's provider understands."""
    model = attempt.model(cast("BaseChatModel", item.model))
    settings = item.settings(request.model_settings)
    if item.takes_marks is not False:
        return request.override(model=model, model_settings=settings)
    system = request.system_message
    return request.override(
        model=model,
        model_settings=fitted_settings(settings, anthropic=False),
        messages=cast("Any", fitted(request.messages)),
        system_message=None if system is None else cast("Any", fitted([system])[0]),
    )


def _within(
    config: RunnableConfig, handler: Callable[[ModelRequest[Any]], Any], asked: ModelRequest[Any]
) -> Any:
    """Call what is inside with a config that runs there inherit."""
    token = var_child_runnable_config.set(config)
    try:
        return handler(asked)
    finally:
        var_child_runnable_config.reset(token)


async def _awithin(
    config: RunnableConfig, handler: Callable[[ModelRequest[Any]], Awaitable[Any]], asked: ModelRequest[Any]
) -> Any:
    token = var_child_runnable_config.set(config)
    try:
        return await handler(asked)
    finally:
        var_child_runnable_config.reset(token)


def _answer_of_response(response: Any) -> Answer:
    """Read the answer in whatever an agent's model call returns."""
    inner = response.model_response if isinstance(response, ExtendedModelResponse) else response
    if isinstance(inner, ModelResponse):
        message: BaseMessage | None = next((one for one in inner.result if isinstance(one, AIMessage)), None)
        answer = answer_of(message if message is not None else "")
        if inner.structured_response is not None:
            return Answer(text=answer.text or str(inner.structured_response), schema_ok=True)
        return answer
    return answer_of(inner)


def _unused() -> Any:
    raise AssertionError("unreachable: a sync driver takes sync steps, an async one async ones")
