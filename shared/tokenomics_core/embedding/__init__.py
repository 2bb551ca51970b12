"""Turn texts into vectors, without a download and without a key."""

from tokenomics_core.embedding._embedder import Embedder
from tokenomics_core.embedding._static import StaticEmbedder

__all__ = ["Embedder", "StaticEmbedder"]
