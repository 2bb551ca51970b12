"""Let any LlamaIndex embedding say how near questions are."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

from llama_index.core.base.embeddings.base import BaseEmbedding

from tokenomics_core.embedding import Embedder
from tokenomics_core.errors import ConfigurationError
from tokenomics_core.tokens import count_tokens

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["as_embedder"]

_SIZES = ("dimensions", "output_dimensionality", "dimension")
_LIMITS = ("max_length", "max_tokens")


def as_embedder(embed_model: BaseEmbedding | Embedder, *, identity: str | None = None) -> Embedder:
    """Return a LlamaIndex embedding as what the package works with; the core's own stay as they are.

    Args:
        embed_model: Any LlamaIndex `BaseEmbedding`.
        identity: What tells its vectors from another's; class and model where it is not given.

    Raises:
        ConfigurationError: It is neither.
    """
    if isinstance(embed_model, BaseEmbedding):
        return LlamaIndexEmbedder(embed_model, identity)
    if isinstance(embed_model, Embedder):
        return embed_model
    raise ConfigurationError(
        f"an embedding has get_query_embedding or embed, {type(embed_model).__name__} has neither; "
        "none was taken"
    )


class LlamaIndexEmbedder:
    """A LlamaIndex embedding whose dimension is asked for once, with a first text.

    Questions are embedded one by one as queries, since some models embed documents otherwise.
    """

    def __init__(self, embed_model: BaseEmbedding, identity: str | None = None) -> None:
        self.embed_model = embed_model
        name = f"llama_index:{type(embed_model).__qualname__}:{embed_model.model_name}"
        sizes = [getattr(embed_model, field, None) for field in _SIZES]
        size = next((size for size in sizes if isinstance(size, int)), None)
        self._identity = identity or (name if size is None else f"{name}:{size}")
        self._dimension: int | None = None
        self._lock = threading.Lock()

    @property
    def identity(self) -> str:
        """Class and model."""
        return self._identity

    @property
    def dimension(self) -> int:
        """Length of a vector; the first who asks waits for one."""
        with self._lock:
            if self._dimension is None:
                self._dimension = len(self.embed_model.get_query_embedding("dimension"))
            return self._dimension

    @property
    def max_tokens(self) -> int | None:
        """How many tokens are read, where the model says so."""
        limits = [getattr(self.embed_model, name, None) for name in _LIMITS]
        return next((limit for limit in limits if isinstance(limit, int) and limit > 0), None)

    def fits(self, text: str) -> bool:
        """Tell whether the whole text is read, counted high; True where the model names no limit."""
        limit = self.max_tokens
        if limit is None or len(text.encode()) < limit:
            return True
        return int(count_tokens(text, self.embed_model.model_name)) < limit

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embed each text as a query."""
        return self._unit([self.embed_model.get_query_embedding(text) for text in texts])

    async def aembed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embed each text as a query without blocking the event loop."""
        return self._unit([await self.embed_model.aget_query_embedding(text) for text in texts])

    def _unit(self, vectors: Sequence[Sequence[float]]) -> NDArray[np.float32]:
        import numpy as np  # noqa: PLC0415 - loaded only where it is used

        if not vectors:
            return np.zeros((0, self.dimension), dtype=np.float32)
        matrix: NDArray[np.float32] = np.asarray(vectors, dtype=np.float32)
        if matrix.ndim != 2 or not np.isfinite(matrix).all():
            raise ConfigurationError(f"{self._identity} returned no vectors of finite numbers")
        with self._lock:
            if self._dimension is None:
                self._dimension = int(matrix.shape[1])
        norms = np.linalg.norm(matrix, axis=1, keepdims=True)
        return (matrix / np.where(norms > 0, norms, 1)).astype(np.float32)
