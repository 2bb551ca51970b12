"""Make an embedder of any function that embeds."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

from tokenomics_core.embedding._asked import check_texts, check_whole_number
from tokenomics_core.errors import ConfigurationError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]

__all__ = ["FunctionEmbedder", "unit_rows"]

_BYTES_PER_TOKEN = 4


class FunctionEmbedder:
    """Embeds with a function of yours, such as a call to a provider's endpoint.

    Args:
        function: Takes a list of texts and returns one vector per text.
        identity: Name and version of what it does; change it whenever its vectors change.
        dimension: Length of a vector.
        max_tokens: How many of its own tokens it reads of a text; None where it reads everything.
        afunction: The same for async code; without it `function` runs in a thread there.
        count: Counts a text's tokens as the function does; without it a text counts as one token for every
            four bytes of UTF-8.

    Raises:
        ConfigurationError: A setting is wrong; or, when it embeds, what the function returns is not one
            finite vector of `dimension` numbers per text, and not zero.
    """

    def __init__(
        self,
        function: Callable[[list[str]], Any],
        *,
        identity: str,
        dimension: int,
        max_tokens: int | None = None,
        afunction: Callable[[list[str]], Awaitable[Any]] | None = None,
        count: Callable[[str], int] | None = None,
    ) -> None:
        if not identity or not isinstance(identity, str):
            raise ConfigurationError(f"identity must be a name, not {identity!r}; nothing was embedded")
        check_whole_number("dimension", dimension)
        if max_tokens is not None:
            check_whole_number("max_tokens", max_tokens)
        for name, value in (("function", function), ("afunction", afunction), ("count", count)):
            if not callable(value) and (name == "function" or value is not None):
                raise ConfigurationError(f"{name} must be a function, not {value!r}; no embedder was made")
        self._function, self._afunction, self._count = function, afunction, count
        self._identity, self._dimension, self._max_tokens = identity, dimension, max_tokens

    @property
    def identity(self) -> str:
        """Name and version."""
        return self._identity

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        return self._dimension

    @property
    def max_tokens(self) -> int | None:
        """How many of its own tokens of a text the function reads."""
        return self._max_tokens

    def fits(self, text: str) -> bool:
        """Tell whether the whole text is read."""
        if self._max_tokens is None:
            return True
        if self._count is not None:
            return self._count(text) <= self._max_tokens
        return len(text.encode("utf-8", "surrogatepass")) <= _BYTES_PER_TOKEN * self._max_tokens

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return one vector of unit length per text, float32 of shape `(len(texts), dimension)`."""
        asked = check_texts(texts)
        return unit_rows(self._function(asked) if asked else [], len(asked), self._dimension, self._identity)

    async def aembed(self, texts: Sequence[str]) -> Vectors:
        """Return the same without blocking the event loop."""
        asked = check_texts(texts)
        if not asked:
            found: Any = []
        elif self._afunction is not None:
            found = await self._afunction(asked)
        else:
            found = await asyncio.to_thread(self._function, asked)
        return unit_rows(found, len(asked), self._dimension, self._identity)


def unit_rows(found: Any, count: int, dimension: int, identity: str) -> Vectors:
    """Return vectors scaled to unit length.

    Raises:
        ConfigurationError: They are not `count` finite vectors of `dimension` numbers, none of them zero.
    """
    import numpy as np  # noqa: PLC0415 - importing the package must not load numpy

    if not count:
        return np.empty((0, dimension), np.float32)
    try:
        vectors = np.asarray(found, np.float64)
    except (TypeError, ValueError) as error:
        raise ConfigurationError(
            f"{identity!r} returned no vectors ({error}); nothing was embedded"
        ) from error
    if vectors.shape != (count, dimension):
        raise ConfigurationError(
            f"{identity!r} returned vectors of shape {vectors.shape}, not {(count, dimension)}; "
            "nothing was embedded"
        )
    # By its largest number first: the square of a very large or small one is no number any more.
    largest = np.abs(vectors).max(axis=1)
    usable = np.isfinite(largest) & (largest > 0)
    if not usable.all():
        row = int(np.flatnonzero(~usable)[0])
        raise ConfigurationError(
            f"{identity!r} returned a vector whose largest number is {largest[row]} for text {row}; "
            "nothing was embedded"
        )
    vectors = vectors / largest[:, None]
    lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
    scaled: Vectors = (vectors / lengths[:, None]).astype(np.float32)
    return scaled
