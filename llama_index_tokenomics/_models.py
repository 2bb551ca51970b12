"""Know of a LlamaIndex model what a bill needs: its provider, its tier, its prompt cache."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from llama_index.core.base.llms.types import CachePoint, ChatMessage, LLMMetadata
from llama_index.core.llms.structured_llm import StructuredLLM

__all__ = ["Kind", "cache_lifetimes", "kind_of", "name_of", "provider_of", "service_tier_of"]

_TIERS = frozenset({"flex", "priority", "fast"})
_UNNAMED = LLMMetadata().model_name
_NO_SETTINGS: Mapping[str, Any] = {}
_NO_FIELDS: dict[str, Any] = {}

# The package `llama-index-llms-NAME` or `llama-index-embeddings-NAME` and the provider that it speaks to,
# where it speaks to one only, as genai-prices names it.
_PROVIDERS = {
    "anthropic": "anthropic",
    "azure_openai": "azure",
    "bedrock": "aws",
    "bedrock_converse": "aws",
    "cohere": "cohere",
    "deepseek": "deepseek",
    "fireworks": "fireworks",
    "gemini": "google",
    "google_genai": "google",
    "groq": "groq",
    "mistralai": "mistral",
    "openai": "openai",
    "openrouter": "openrouter",
    "perplexity": "perplexity",
    "together": "together",
    "vertex": "google",
    "voyageai": "voyageai",
}
# Where a client that speaks to anyone was pointed at.
_HOSTS = {
    "//api.openai.com": "openai",
    ".openai.azure.com": "azure",
    "//api.cerebras.ai": "cerebras",
    "//api.deepseek.com": "deepseek",
    "//api.fireworks.ai": "fireworks",
    "//api.groq.com": "groq",
    "//api.mistral.ai": "mistral",
    "//api.perplexity.ai": "perplexity",
    "//api.together.xyz": "together",
    "//api.x.ai": "x-ai",
    "//openrouter.ai": "openrouter",
}


@dataclass(frozen=True, slots=True)
class Kind:
    """What a model's class tells.

    Attributes:
        provider: The provider that its package speaks to, where it speaks to one only.
        is_openai: Whether it is LlamaIndex's client for Chat Completions or one of its descendants.
        is_azure: Whether it is that client for Azure.
        is_langchain: Whether it hands the call to a LangChain model.
        is_wrapper: Whether it never asks a provider itself.
    """

    provider: str | None = None
    is_openai: bool = False
    is_azure: bool = False
    is_langchain: bool = False
    is_wrapper: bool = False


def kind_of(model: Any) -> Kind:
    """Read a model's family from the packages that its class and its bases live in."""
    return _kind_of_class(type(model))  # type: ignore[arg-type]  # a class is hashable, whatever mypy reads of it


@lru_cache(maxsize=256)
def _kind_of_class(model_class: type[Any]) -> Kind:
    packages = [_package(base) for base in model_class.__mro__]
    named = [name for name in packages if name is not None]
    bases = {(_package(base), base.__name__) for base in model_class.__mro__}
    return Kind(
        provider=_PROVIDERS.get(named[0]) if named else None,
        is_openai=("openai", "OpenAI") in bases,
        is_azure=("azure_openai", "AzureOpenAI") in bases,
        is_langchain=("langchain", "LangChainLLM") in bases,
        is_wrapper=issubclass(model_class, StructuredLLM),
    )


def provider_of(model: object) -> str | None:
    """Name a model's provider, by the address that it was pointed at, else by its package."""
    kind = kind_of(model)
    base = _field(model, "api_base")
    if not isinstance(base, str) or not base:
        return kind.provider
    named = next((name for host, name in _HOSTS.items() if host in base), None)
    # The client for OpenAI that speaks to an unknown address speaks to anyone.
    return named or (None if kind.provider == "openai" else kind.provider)


def name_of(model: Any, model_dict: Mapping[str, Any]) -> str | None:
    """Name the model that is asked for, from an event's description of it, else from the model itself.

    The description's key depends on LlamaIndex's version, and of LangChain models it names but a few.
    """
    name = _first_name(model_dict.get, "model_name", "model")
    if name is None and model is not None:
        if kind_of(model).is_langchain:
            inner = getattr(model, "llm", None)
            return _first_name(lambda key: getattr(inner, key, None), "model_name", "model", "model_id")
        name = _first_name(lambda key: getattr(model.metadata, key, None), "model_name")
    return name


def service_tier_of(model: object, call: Mapping[str, Any]) -> str | None:
    """Return the service tier that a call asks for, where it asks for one that has a price of its own."""
    tier = _standing(model).get("service_tier") or call.get("service_tier")
    return tier if isinstance(tier, str) and tier in _TIERS else None


def cache_lifetimes(model: object, messages: object, call: Mapping[str, Any]) -> frozenset[str]:
    """Return for how long a request asks Anthropic to cache parts of it: `5m`, `1h`, both or neither."""
    standing = getattr(model, "additional_kwargs", None)
    marks = [
        call.get("cache_control"),
        standing.get("cache_control") if isinstance(standing, Mapping) else None,
    ]
    if isinstance(messages, Sequence):
        for message in messages:
            if isinstance(message, ChatMessage):
                marks.append(message.additional_kwargs.get("cache_control"))
                marks += [block.cache_control for block in message.blocks if isinstance(block, CachePoint)]
    found = {_lifetime(mark) for mark in marks if mark is not None}
    if _field(model, "cache_idx") is not None:
        found.add("5m")
    return frozenset(found)


def _field(model: object, name: str) -> Any:
    """Return a model's field without asking pydantic, which is slow to say that there is none."""
    fields: dict[str, Any] = getattr(model, "__dict__", _NO_FIELDS)
    return fields.get(name)


def _standing(model: object) -> Mapping[str, Any]:
    """Return what a model sends with every call; it wins over what a call names."""
    settings = _field(model, "additional_kwargs")
    return settings if isinstance(settings, Mapping) else _NO_SETTINGS


def _first_name(get: Callable[[str], Any], *keys: str) -> str | None:
    for key in keys:
        name = get(key)
        if isinstance(name, str) and name and name != _UNNAMED:
            return name
    return None


def _lifetime(mark: object) -> str:
    ttl = mark.get("ttl") if isinstance(mark, Mapping) else getattr(mark, "ttl", None)
    return "1h" if ttl == "1h" else "5m"


def _package(base: type) -> str | None:
    parts = base.__module__.split(".")
    if parts[:2] in (["llama_index", "llms"], ["llama_index", "embeddings"]) and len(parts) > 2:
        return parts[2]
    return None
