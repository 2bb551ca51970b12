"""Price, attribute and show what LlamaIndex calls cost.

from llama_index_tokenomics import track_cost

with track_cost() as cost:
    engine.query("How do I reset my password?")
print(cost)
"""

from importlib.util import find_spec

from tokenomics_core.errors import MissingExtraError

try:
    is_installed = find_spec("llama_index.core") is not None
except ModuleNotFoundError:
    is_installed = False
if not is_installed:
    raise MissingExtraError("llama-index-core", "llama-index")

from llama_index_tokenomics._from_config import from_config
from llama_index_tokenomics.budgets import BudgetGuard
from llama_index_tokenomics.cache import CachingLLM, CachingQueryEngine
from llama_index_tokenomics.compressors import ContextCompressionPostprocessor
from llama_index_tokenomics.embedders import as_embedder
from llama_index_tokenomics.memory import CompressedMemory
from llama_index_tokenomics.router import CognitiveScaffold, RoutingLLM, routing
from llama_index_tokenomics.tracking import CostTracking, install_cost_tracking, track_cost
from tokenomics_core.types import attribution, in_context

__all__ = [
    "BudgetGuard",
    "CachingLLM",
    "CachingQueryEngine",
    "CognitiveScaffold",
    "CompressedMemory",
    "ContextCompressionPostprocessor",
    "CostTracking",
    "RoutingLLM",
    "as_embedder",
    "attribution",
    "from_config",
    "in_context",
    "install_cost_tracking",
    "routing",
    "track_cost",
]
