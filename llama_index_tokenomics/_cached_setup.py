"""Read how a query engine is set up, as far as that can be seen from outside."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any

from llama_index.core.base.base_query_engine import BaseQueryEngine
from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.base.llms.base import BaseLLM
from llama_index.core.callbacks import CallbackManager
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.prompts import BasePromptTemplate
from llama_index.core.response_synthesizers.base import BaseSynthesizer
from llama_index.core.tools.types import BaseTool, ToolMetadata
from llama_index.core.vector_stores.types import MetadataFilters
from pydantic import BaseModel

from llama_index_tokenomics._cache_request import plain, settings_of

__all__ = ["setup_of", "synthesizer_of"]

_DEEPEST = 12
_PARTS = (BaseQueryEngine, BaseRetriever, BaseSynthesizer, BaseNodePostprocessor, BaseTool)
_SIMPLE = (str, int, float, bool, Enum, MetadataFilters, BasePromptTemplate, ToolMetadata)
_HOW_NOT_WHAT = frozenset(
    {
        "_streaming",
        "_use_async",
        "_verbose",
        "show_progress",
        "use_async",
        "verbose",
        "_object_map",
        "object_map",
    }
)
"""Settings that change how an answer is made or shown and not what it says."""


def synthesizer_of(engine: object) -> object:
    """Return what writes an engine's answers, where it is where LlamaIndex's own engines have it."""
    return getattr(engine, "_response_synthesizer", None)


def setup_of(engine: BaseQueryEngine) -> Any:
    """Return the plain settings of an engine and of its retrievers, postprocessors, synthesizers and models.

    Indexes, stores and embeddings are left out, and so are objects of other kinds.
    """
    return _part(engine, 0)


def _part(part: object, depth: int) -> Any:
    kind = type(part)
    seen: dict[str, Any] = {"class": f"{kind.__module__}.{kind.__qualname__}"}
    if depth > _DEEPEST:
        return seen
    held: Mapping[str, Any] = getattr(part, "__dict__", {})
    for name in sorted(held):
        if name in _HOW_NOT_WHAT or (name == "_node_ids" and _names_all_nodes(part)):
            continue
        value = _value(held[name], depth + 1)
        if value is not _NOTHING:
            seen[name] = value
    return seen


_NOTHING = object()


def _value(value: object, depth: int) -> Any:
    if value is None or isinstance(value, CallbackManager) or depth > _DEEPEST:
        return _NOTHING
    if isinstance(value, (BaseLLM, *_PARTS)):
        return settings_of(value) if isinstance(value, BaseLLM) else _part(value, depth)
    if isinstance(value, _SIMPLE) or (isinstance(value, type) and issubclass(value, BaseModel)):
        return plain(value)
    if isinstance(value, Mapping):
        items = {str(key): _value(item, depth + 1) for key, item in value.items()}
        return {key: item for key, item in items.items() if item is not _NOTHING}
    if isinstance(value, (list, tuple)):
        return [item for each in value if (item := _value(each, depth + 1)) is not _NOTHING]
    return _NOTHING


def _names_all_nodes(retriever: object) -> bool:
    """Whether a retriever was told to look at every node of its index, as LlamaIndex's indexes tell theirs.

    What an index holds is no setting: its ids are made anew whenever it is built from documents.
    """
    nodes = getattr(getattr(getattr(retriever, "_index", None), "index_struct", None), "nodes_dict", None)
    named = getattr(retriever, "_node_ids", None)
    return isinstance(nodes, Mapping) and isinstance(named, (list, tuple)) and len(named) == len(nodes)
