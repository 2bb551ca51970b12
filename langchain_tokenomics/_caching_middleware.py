"""Serve an agent's model from the cache, also when its budget is spent."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from tokenomics_core.errors import MissingExtraError

try:
    import langchain.agents.middleware as _  # noqa: F401 - asked for only to know whether it is there
except ModuleNotFoundError as error:
    raise MissingExtraError("langchain", "agents") from error

from langchain.agents.middleware.types import (
    AgentMiddleware,
    AgentState,
    ExtendedModelResponse,
    ModelRequest,
    ModelResponse,
)
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.utils.function_calling import convert_to_openai_tool

from langchain_tokenomics._cache_call import CachedCall
from langchain_tokenomics._cache_door import Asked
from langchain_tokenomics._cache_model import Cached
from langchain_tokenomics.cache import SemanticCache

__all__ = ["CachingMiddleware"]

_Response = ModelResponse[Any] | ExtendedModelResponse[Any] | AIMessage


class CachingMiddleware(AgentMiddleware[AgentState[Any], Any, Any]):
    """Answer an agent's model calls from the cache, each turn with its whole history equal.

    create_agent(model, tools, middleware=[CachingMiddleware(cache), BudgetMiddleware(budgets)])

    Put it before `BudgetMiddleware`, so that answers that cost nothing are served when the budget is spent.
    Turns that end in a tool's result are served word for word only, and answers that call tools are not kept
    unless the cache's guards allow them; then only for the same words. With a `response_format` the model
    itself is cached instead, whose answer is read again each time. Callbacks see a hit as a call that cost
    nothing. Its message has a new id, so no earlier turn of the thread is replaced.
    """

    def __init__(self, cache: SemanticCache | None = None) -> None:
        """Take the cache to serve from; None for one in memory."""
        super().__init__()
        self.cache = SemanticCache() if cache is None else cache

    def wrap_model_call(
        self, request: ModelRequest[Any], handler: Callable[[ModelRequest[Any]], ModelResponse[Any]]
    ) -> _Response:
        """Serve the turn, or ask the model and keep what it says."""
        model = self._model_of(request)
        if model is None:
            return handler(request)
        asked = self._asked(model, request)
        cached = request.override(model=model)
        if asked is None:
            return handler(cached)
        with CachedCall.begin_at(self.cache.door, model, asked) as call, call.spread():
            if call.stored is not None:
                return model.invoke(_messages_of(request), **request.model_settings)
            call.expect(_messages_of(request), len(request.tools))
            return handler(cached)

    async def awrap_model_call(
        self,
        request: ModelRequest[Any],
        handler: Callable[[ModelRequest[Any]], Awaitable[ModelResponse[Any]]],
    ) -> _Response:
        """Do the same without blocking the event loop."""
        model = self._model_of(request)
        if model is None:
            return await handler(request)
        asked = self._asked(model, request)
        cached = request.override(model=model)
        if asked is None:
            return await handler(cached)
        async with await CachedCall.abegin_at(self.cache.door, model, asked) as call:
            with call.spread():
                if call.stored is not None:
                    return await model.ainvoke(_messages_of(request), **request.model_settings)
                call.expect(_messages_of(request), len(request.tools))
                return await handler(cached)

    def _model_of(self, request: ModelRequest[Any]) -> BaseChatModel | None:
        """Return the cached model; None for what is no chat model or has a cache of its own."""
        model: object = request.model  # a user may put any runnable there
        if not isinstance(model, BaseChatModel):
            return None
        if isinstance(model, Cached) and model.tokenomics_door is not self.cache.door:
            return None
        return self.cache.cached(model)

    def _asked(self, model: BaseChatModel, request: ModelRequest[Any]) -> Asked | None:
        """Read a turn; None where it is the model's own call that is looked up."""
        if request.response_format is not None:
            return None
        try:
            tools = [
                tool if isinstance(tool, dict) else convert_to_openai_tool(tool) for tool in request.tools
            ]
            told = {**request.model_settings, "tools": tools or None, "tool_choice": request.tool_choice}
            return self.cache.door.asked_of_model(model, _messages_of(request), None, told)
        except Exception as error:  # noqa: BLE001 - a cache may not break the agent that it serves
            self.cache.door.failed(error)
            return None


def _messages_of(request: ModelRequest[Any]) -> list[BaseMessage]:
    system = request.system_message
    return [*([] if system is None else [system]), *request.messages]
