"""The built-in embedder: sums of token vectors, no model, no download."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tokenomics_core.embedding._asked import check_texts, check_whole_number
from tokenomics_core.embedding._weights import Weights, load_weights, shipped_weights
from tokenomics_core.embedding._wordpiece import WordPieces

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]

__all__ = ["StaticEmbedder"]

_UNKNOWN = "[UNK]"
_AT_ONCE = 4096


class StaticEmbedder:
    """Embeds short texts in tens of microseconds, the same in every process, with weights that ship with us.

    A text's vector is the sum of its tokens' vectors, scaled to unit length: word order counts only in pairs
    of words that have a vector of their own. The vectors were distilled from all-MiniLM-L6-v2; what they were
    trained on, and how well they do, stands in `docs/embedding.md`.

    Args:
        path: Another table, as the training script writes it; the shipped one where none is given.
        max_tokens: Up to how many tokens a text is taken to be one thing; a sum over more says little.

    Raises:
        ConfigurationError: `max_tokens` is no whole number of 1 or more; when the weights are first needed,
            if they are missing or damaged; when it embeds, if it is not given a list of texts.
    """

    def __init__(self, path: str | Path | None = None, *, max_tokens: int = 128) -> None:
        check_whole_number("max_tokens", max_tokens)
        self._path = None if path is None else Path(path)
        self._max_tokens = max_tokens
        self._lock = threading.Lock()
        self._loaded: tuple[Weights, WordPieces, int] | None = None

    @property
    def identity(self) -> str:
        """Name, version and the first digits of the weights' digest."""
        weights, _, _ = self._load()
        return f"static-{weights.version}-{weights.digest[:12]}"

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        return int(self._load()[0].table.shape[1])

    @property
    def max_tokens(self) -> int:
        """Up to how many tokens a text is taken to be one thing."""
        return self._max_tokens

    def fits(self, text: str) -> bool:
        """Tell whether a text is short enough for its sum to mean something."""
        if len(text) > 20 * self._max_tokens:
            return False
        return len(self._load()[1].rows(text)) <= self._max_tokens

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return one vector of unit length per text, float32 of shape `(len(texts), dimension)`."""
        import numpy as np  # noqa: PLC0415 - importing the package must not load numpy

        asked = check_texts(texts)
        weights, pieces, unknown = self._load()
        vectors = np.empty((len(asked), weights.table.shape[1]), np.float32)
        for index, text in enumerate(asked):
            vectors[index] = _sum(weights, pieces.rows(text) or [unknown])
        return vectors

    async def aembed(self, texts: Sequence[str]) -> Vectors:
        """Return the same; a few short texts take less than a switch to a thread would."""
        asked = check_texts(texts)
        if sum(map(len, asked)) <= 20_000:
            return self.embed(asked)
        import asyncio  # noqa: PLC0415 - only long texts need it

        return await asyncio.to_thread(self.embed, asked)

    def _load(self) -> tuple[Weights, WordPieces, int]:
        loaded = self._loaded
        if loaded is None:
            with self._lock:
                if self._loaded is None:
                    weights = shipped_weights() if self._path is None else load_weights(self._path)
                    rows = {token: row for row, token in enumerate(weights.tokens)}
                    unknown = rows.get(_UNKNOWN, 0)
                    self._loaded = weights, WordPieces(rows, unknown), unknown
                loaded = self._loaded
        return loaded


def _sum(weights: Weights, rows: list[int]) -> NDArray[np.float32]:
    """Add up rows in their order, so that a text has the same vector alone and among others."""
    import numpy as np  # noqa: PLC0415 - see above

    total: NDArray[np.float32] = np.zeros(weights.table.shape[1], np.float32)
    for start in range(0, len(rows), _AT_ONCE):
        chosen = rows[start : start + _AT_ONCE]
        total += weights.scale[chosen] @ weights.table[chosen].astype(np.float32)
    length = float(np.sqrt(total @ total))
    if length <= 0.0:
        total[0] = length = 1.0
    return total / np.float32(length)
