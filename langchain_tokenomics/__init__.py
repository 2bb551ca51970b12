"""Price, attribute and show what LangChain calls cost.

from langchain_tokenomics import track_cost

with track_cost() as cost:
    chain.invoke("How do I reset my password?")
print(cost)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from tokenomics_core.errors import MissingExtraError

try:
    import langchain_core as _  # noqa: F401 - asked for only to know whether it is there
except ModuleNotFoundError as error:
    raise MissingExtraError("langchain-core", "langchain") from error

from langchain_tokenomics._from_config import from_config
from langchain_tokenomics.budgets import BudgetCallbackHandler, BudgetExceededError
from langchain_tokenomics.cache import SemanticCache
from langchain_tokenomics.callbacks import CostCallbackHandler
from langchain_tokenomics.chains import CachedChain
from langchain_tokenomics.embedders import as_embedder
from langchain_tokenomics.embeddings import MeteredEmbeddings
from langchain_tokenomics.tracking import track_cost
from tokenomics_core.types import attribution, in_context

if TYPE_CHECKING:
    from langchain_tokenomics._caching_middleware import CachingMiddleware
    from langchain_tokenomics._compression_edit import CompressionEdit
    from langchain_tokenomics._prompt_caching import PromptCachingMiddleware
    from langchain_tokenomics._route_scaffold import CognitiveScaffold
    from langchain_tokenomics._routing_middleware import RoutingMiddleware
    from langchain_tokenomics.compressors import ContextCompressor
    from langchain_tokenomics.history import HistoryCompressor
    from langchain_tokenomics.middleware import BudgetMiddleware
    from langchain_tokenomics.router import ModelRouter

__all__ = [
    "BudgetCallbackHandler",
    "BudgetExceededError",
    "BudgetMiddleware",
    "CachedChain",
    "CachingMiddleware",
    "CognitiveScaffold",
    "CompressionEdit",
    "ContextCompressor",
    "CostCallbackHandler",
    "HistoryCompressor",
    "MeteredEmbeddings",
    "ModelRouter",
    "PromptCachingMiddleware",
    "RoutingMiddleware",
    "SemanticCache",
    "as_embedder",
    "attribution",
    "from_config",
    "in_context",
    "track_cost",
]


_LATER = {
    "BudgetMiddleware": "langchain_tokenomics.middleware",
    "CachingMiddleware": "langchain_tokenomics._caching_middleware",
    "CognitiveScaffold": "langchain_tokenomics._route_scaffold",
    "CompressionEdit": "langchain_tokenomics._compression_edit",
    "ContextCompressor": "langchain_tokenomics.compressors",
    "HistoryCompressor": "langchain_tokenomics.history",
    "ModelRouter": "langchain_tokenomics.router",
    "PromptCachingMiddleware": "langchain_tokenomics._prompt_caching",
    "RouterDecisionModel": "langchain_tokenomics._route_decisions",
    "RoutingMiddleware": "langchain_tokenomics._routing_middleware",
}
"""What needs the extra `agents`, or numpy, and is imported when it is asked for."""


def __getattr__(name: str) -> Any:  # the names of a module
    if name in _LATER:
        return getattr(import_module(_LATER[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
