"""Turn texts into vectors, without a download and without a key."""

from tokenomics_core.embedding._cached import CachedEmbedder, EmbeddingStats
from tokenomics_core.embedding._embedder import Embedder
from tokenomics_core.embedding._function import FunctionEmbedder
from tokenomics_core.embedding._static import StaticEmbedder

__all__ = ["CachedEmbedder", "Embedder", "EmbeddingStats", "FunctionEmbedder", "StaticEmbedder"]
