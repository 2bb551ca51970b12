"""What the package asks of anything that turns texts into vectors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]

__all__ = ["Embedder"]


@runtime_checkable
class Embedder(Protocol):
    """Turns texts into vectors whose inner product says how alike the texts are."""

    @property
    def identity(self) -> str:
        """Name and version; vectors of two embedders are compared only where these are equal."""

    @property
    def dimension(self) -> int:
        """Length of a vector."""

    @property
    def max_tokens(self) -> int | None:
        """How many of its own tokens of a text it reads; None where it does not say."""

    def fits(self, text: str) -> bool:
        """Tell whether the whole text is read; one that is cut off looks like any other of its beginning."""

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return one vector of unit length per text, float32 of shape `(len(texts), dimension)`."""

    async def aembed(self, texts: Sequence[str]) -> Vectors:
        """Return the same without blocking the event loop."""
