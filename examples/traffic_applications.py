"""The two frameworks as applications for a stream, plain or with whatever `wrap` puts before a model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from langchain_openai import ChatOpenAI
from llama_index.core.tools import BaseTool, ToolMetadata, ToolOutput
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
                    is_function_calling_model=True,
                    context_window=128_000,
                    max_retries=0,
                )
            )
        messages = from_openai_message_dicts([_whole(message) for message in request.messages or ()])
        model = self._models[key]
        if request.tools:
            offered = [Offered(tool["function"]) for tool in request.tools]
            return str(model.chat_with_tools(offered, chat_history=messages).message.content or "")
        return str(model.chat(messages).message.content or "")


class Offered(BaseTool):
    """A tool that a model may ask for and nobody calls."""

    def __init__(self, function: Mapping[str, Any]) -> None:
        self._metadata = _Metadata(name=function["name"], description=function.get("description", ""))
        self._metadata.parameters = dict(function.get("parameters", {}))

    @property
    def metadata(self) -> ToolMetadata:
        return self._metadata

    def __call__(self, input: Any) -> ToolOutput:  # noqa: A002 - the framework's name
        raise NotImplementedError


@dataclass
class _Metadata(ToolMetadata):
    parameters: dict[str, Any] = field(default_factory=dict)

    def get_parameters_dict(self) -> dict[str, Any]:
        return self.parameters


def _whole(message: Any) -> Any:
    return {"content": None, **message}
