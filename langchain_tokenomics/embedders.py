"""Let any LangChain embedding say how near questions are."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from langchain_core.embeddings import Embeddings

from tokenomics_core.embedding import Embedder
from tokenomics_core.errors import ConfigurationError
from tokenomics_core.tokens import count_tokens

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["as_embedder"]

_LIMITS = ("max_seq_length", "max_tokens", "embedding_ctx_length")
_NAMES = ("model", "model_name", "model_id", "deployment", "repo_id")


def as_embedder(embeddings: Embeddings | Embedder, *, identity: str | None = None) -> Embedder:
    """Return a LangChain embedding as what the package works with; the core's own stay as they are.

    Args:
        embeddings: Any LangChain `Embeddings`.
        identity: What tells its vectors from another's; class and model where it is not given.

    Raises:
        ConfigurationError: It is neither.
    """
    if isinstance(embeddings, Embeddings):
        return LangChainEmbedder(embeddings, identity)
    if isinstance(embeddings, Embedder):
        return embeddings
    raise ConfigurationError(
        f"an embedding has embed_query or embed, {type(embeddings).__name__} has neither; none was taken"
    )


class LangChainEmbedder:
    """A LangChain embedding whose dimension is asked for once, with a first text.

    Questions are embedded one by one as questions, since some models embed documents otherwise.
    """

    def __init__(self, embeddings: Embeddings, identity: str | None = None) -> None:
        self.embeddings = embeddings
        self._inner = _innermost(embeddings)
        self._model = _first_of(self._inner, _NAMES)
        self._identity = identity or f"langchain:{type(self._inner).__qualname__}:{self._model or 'unnamed'}"
        size = getattr(self._inner, "dimensions", None)
        if identity is None and isinstance(size, int):
            self._identity += f":{size}"
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
                self._dimension = len(self.embeddings.embed_query("dimension"))
            return self._dimension

    @property
    def max_tokens(self) -> int | None:
        """How many tokens are read, where the model says so."""
        limit = _first_of(self._inner, _LIMITS, int)
        if limit is None:
            client: Any = getattr(self._inner, "_client", None) or getattr(self._inner, "client", None)
            limit = _first_of(client, ("max_seq_length",), int)
        return limit if isinstance(limit, int) and limit > 0 else None

    def fits(self, text: str) -> bool:
        """Tell whether the whole text is read, counted high; True where the model names no limit."""
        limit = self.max_tokens
        if limit is None or len(text.encode()) < limit:
            return True
        return int(count_tokens(text, self._model)) < limit

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embed each text as a question."""
        return self._unit([self.embeddings.embed_query(text) for text in texts])

    async def aembed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embed each text as a question without blocking the event loop."""
        return self._unit([await self.embeddings.aembed_query(text) for text in texts])

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


def _innermost(embeddings: Any) -> Any:
    """Return the model itself where a meter or another wrapper stands before it."""
    inner = getattr(embeddings, "embeddings", None)
    return _innermost(inner) if isinstance(inner, Embeddings) else embeddings


def _first_of(owner: Any, names: Sequence[str], kind: type = str) -> Any:
    for name in names:
        value = getattr(owner, name, None)
        if isinstance(value, kind) and value:
            return value
    return None
