"""The two frameworks as applications for a stream, plain or with whatever `wrap` puts before a model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from langchain_openai import ChatOpenAI
from llama_index.llms.openai.utils import from_openai_message_dicts
from llama_index.llms.openai_like import OpenAILike  # type: ignore[import-untyped]  # has no py.typed
from pydantic import SecretStr

from tokenomics_core.traffic import TrafficRecord

__all__ = ["LangChainApplication", "LlamaIndexApplication"]

Wrap = Callable[[Any], Any]


class LangChainApplication:
    """Asks through `ChatOpenAI`, one model per name and settings."""

    def __init__(self, base_url: str, wrap: Wrap = lambda model: model) -> None:
        self._base_url, self._wrap = base_url, wrap
        self._models: dict[tuple[Any, ...], Any] = {}

    def ask(self, request: TrafficRecord) -> str:
        key = (request.model, request.settings.get("temperature"), request.settings.get("max_tokens"))
        if key not in self._models:
            self._models[key] = self._wrap(
                ChatOpenAI(
                    model=request.model,
                    temperature=key[1],
                    max_completion_tokens=key[2],
                    base_url=self._base_url,
                    api_key=SecretStr("unused"),
                    max_retries=0,
                )
            )
        model = self._models[key]
        if request.tools:
            model = model.bind_tools(list(request.tools))
        return str(model.invoke(list(request.messages or ())).text)


class LlamaIndexApplication:
    """Asks through `OpenAILike`, one model per name and settings."""

    def __init__(self, base_url: str, wrap: Wrap = lambda model: model) -> None:
        self._base_url, self._wrap = base_url, wrap
        self._models: dict[tuple[Any, ...], Any] = {}

    def ask(self, request: TrafficRecord) -> str:
        key = (request.model, request.settings.get("temperature"), request.settings.get("max_tokens"))
        if key not in self._models:
            self._models[key] = self._wrap(
                OpenAILike(
                    model=request.model,
                    temperature=key[1] or 0.0,
                    max_tokens=key[2],
                    api_base=self._base_url,
                    api_key="unused",
                    is_chat_model=True,
                    context_window=128_000,
                    max_retries=0,
                )
            )
        messages = from_openai_message_dicts([_whole(message) for message in request.messages or ()])
        told = {"tools": [dict(tool) for tool in request.tools]} if request.tools else {}
        return str(self._models[key].chat(messages, **told).message.content or "")


def _whole(message: Any) -> Any:
    return {"content": None, **message}
