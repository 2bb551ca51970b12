"""Embed each text once: a cache of vectors in memory, and in a file that outlives the process."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Self, TypeVar

from tokenomics_core.embedding._asked import check_texts, check_whole_number
from tokenomics_core.embedding._embedder import Embedder
from tokenomics_core.embedding._vector_file import VectorFile
from tokenomics_core.errors import StoreError

if TYPE_CHECKING:
    import os
    from types import TracebackType

    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float32]
    Vectors = NDArray[np.float32]

__all__ = ["CachedEmbedder", "EmbeddingStats"]

_A = TypeVar("_A")
_T = TypeVar("_T")
_log = logging.getLogger("tokenomics")


@dataclass(frozen=True, slots=True)
class EmbeddingStats:
    """How often an embedder was spared.

    Attributes:
        hits: Texts whose vector was there.
        misses: Texts that were embedded.
        avoided_chars: Characters of the texts that were not embedded again.
        failures: Times that the file could not be read or written.
    """

    hits: int
    misses: int
    avoided_chars: int
    failures: int


class CachedEmbedder:
    """Puts a cache in front of an embedder, for queries that come again and documents ingested twice.

    It is an embedder with the identity of the one that it wraps. The texts of a call that are not known are
    embedded in one call, each once. Vectors in the file take half precision. A file that cannot be used, be
    it damaged or another program's, is left as it is and costs nothing but its help: the failure is counted
    and logged once, and texts are embedded.

    Args:
        embedder: What embeds.
        path: A SQLite file that any number of processes share; None keeps vectors in memory only.
        max_entries: Most vectors kept in memory, the longest unused leave first.

    Raises:
        ConfigurationError: `max_entries` is no whole number of 1 or more; when it embeds, if it is not given
            a list of texts.
    """

    def __init__(
        self, embedder: Embedder, path: str | os.PathLike[str] | None = None, *, max_entries: int = 50_000
    ) -> None:
        check_whole_number("max_entries", max_entries)
        self._embedder, self._max_entries = embedder, max_entries
        self._file = None if path is None else VectorFile(Path(path))
        self._kept: OrderedDict[bytes, Vector] = OrderedDict()
        self._lock = threading.Lock()
        self._hits = self._misses = self._avoided_chars = self._failures = 0
        self._is_failing = False

    @property
    def identity(self) -> str:
        """That of the embedder."""
        return self._embedder.identity

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        return self._embedder.dimension

    @property
    def max_tokens(self) -> int | None:
        """That of the embedder."""
        return self._embedder.max_tokens

    @property
    def stats(self) -> EmbeddingStats:
        """How often the embedder was spared so far."""
        with self._lock:
            return EmbeddingStats(self._hits, self._misses, self._avoided_chars, self._failures)

    def fits(self, text: str) -> bool:
        """Tell whether the whole text is read."""
        return self._embedder.fits(text)

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return one vector of unit length per text, float32 of shape `(len(texts), dimension)`."""
        texts = check_texts(texts)
        keys = [self._key(text) for text in texts]
        known = self._known(keys)
        missing = _missing(texts, keys, known)
        if missing:
            fresh = dict(zip(missing, self._embedder.embed(list(missing.values())), strict=True))
            self._keep(fresh)
            known |= fresh
        return self._rows(texts, keys, known, missing)

    async def aembed(self, texts: Sequence[str]) -> Vectors:
        """Return the same without blocking the event loop."""
        texts = check_texts(texts)
        keys = [self._key(text) for text in texts]
        known = await self._away(self._known, keys)
        missing = _missing(texts, keys, known)
        if missing:
            fresh = dict(zip(missing, await self._embedder.aembed(list(missing.values())), strict=True))
            await self._away(self._keep, fresh)
            known |= fresh
        return self._rows(texts, keys, known, missing)

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    async def _away(self, function: Callable[[_A], _T], argument: _A) -> _T:
        """Run what may touch the file in a thread; without a file there is nothing to wait for."""
        return function(argument) if self._file is None else await asyncio.to_thread(function, argument)

    def _key(self, text: str) -> bytes:
        name = self._embedder.identity.encode("utf-8")
        data = text.encode("utf-8", "surrogatepass")
        return blake2b(len(name).to_bytes(4, "little") + name + data, digest_size=20).digest()

    def _known(self, keys: Sequence[bytes]) -> dict[bytes, Vector]:
        with self._lock:
            known = {key: vector for key in keys if (vector := self._kept.get(key)) is not None}
            for key in known:
                self._kept.move_to_end(key)
        unknown = [key for key in dict.fromkeys(keys) if key not in known]
        if unknown and self._file is not None:
            try:
                found = self._file.read(unknown, self.dimension)
                self._is_failing = False
            except StoreError as error:
                self._failed(error)
            else:
                self._remember(found)
                known |= found
        return known

    def _keep(self, fresh: Mapping[bytes, Vector]) -> None:
        self._remember(fresh)
        if self._file is not None:
            try:
                self._file.write(fresh)
                self._is_failing = False
            except StoreError as error:
                self._failed(error)

    def _remember(self, vectors: Mapping[bytes, Vector]) -> None:
        with self._lock:
            for key, vector in vectors.items():
                self._kept[key] = vector.copy()
                self._kept.move_to_end(key)
            while len(self._kept) > self._max_entries:
                self._kept.popitem(last=False)

    def _failed(self, error: StoreError) -> None:
        with self._lock:
            self._failures += 1
            was_failing, self._is_failing = self._is_failing, True
        if not was_failing:
            _log.warning("the embedding cache could not be used (%s); texts are embedded anew", error)

    def _rows(
        self,
        texts: Sequence[str],
        keys: Sequence[bytes],
        known: Mapping[bytes, Vector],
        missing: Mapping[bytes, str],
    ) -> Vectors:
        import numpy as np  # noqa: PLC0415 - importing the package must not load numpy

        with self._lock:
            self._misses += len(missing)
            self._hits += len(texts) - len(missing)
            self._avoided_chars += sum(map(len, texts)) - sum(map(len, missing.values()))
        if not keys:
            return np.empty((0, self.dimension), np.float32)
        return np.stack([known[key] for key in keys]).astype(np.float32)


def _missing(texts: Sequence[str], keys: Sequence[bytes], known: Mapping[bytes, object]) -> dict[bytes, str]:
    return {key: text for key, text in zip(keys, texts, strict=True) if key not in known}
