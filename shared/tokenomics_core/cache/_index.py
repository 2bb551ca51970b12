"""Find the nearest vectors of one partition: a block of rows while it is small, FAISS's HNSW graph beyond."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tokenomics_core.errors import ConfigurationError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Vector = NDArray[np.float32]

__all__ = ["VectorIndex"]

_FLAT_MOST: Final = 2_000
"""Up to here comparing with every row takes no longer than walking the graph."""

_MOVED_PER_ADD: Final = 6
"""Rows that each insertion moves into the graph that is being built, so that no single one waits for it."""

_ROWS_PER_MOVE: Final = 8_000
"""As many rows are compared in the time that one is moved into the graph."""

_LINKS: Final = 32
_EF_SEARCH: Final = 64
_EF_CONSTRUCTION: Final = 80
_DEAD_SHARE: Final = 0.25
_FIRST_ROWS: Final = 8


class VectorIndex:
    """Ids by vector; not safe for threads by itself.

    Small partitions are compared row by row, exactly. From 2,000 rows on a graph is built beside them, a few
    rows with every insertion, and takes over when it has them all; recall is then about 0.99. After many were
    loaded at once, every search takes its share of the building too, about as long as it takes itself.
    Removed rows leave the block at once; the graph skips them, and is built anew when a quarter is dead.

    Args:
        dimension: Of the vectors.
        flat_most: Up to how many rows are compared one by one.
    """

    def __init__(self, dimension: int, *, flat_most: int = _FLAT_MOST) -> None:
        self._dimension, self._flat_most = dimension, flat_most
        self._block: _Block | None = _Block(dimension)
        self._graph: _Graph | None = None
        self._next: _Graph | None = None
        self._waiting: Iterator[tuple[str, Vector]] | None = None

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        return self._dimension

    def __len__(self) -> int:
        holder = self._holder
        return 0 if holder is None else len(holder)

    @property
    def nbytes(self) -> int:
        """What the vectors and links take."""
        return sum(holder.nbytes for holder in (self._block, self._graph, self._next) if holder is not None)

    def add(self, entry_id: str, vector: Vector) -> None:
        """Add an id, in place of its earlier vector."""
        self.remove(entry_id)
        for holder in (self._block, self._graph):
            if holder is not None:
                holder.add(entry_id, vector)
        if self._next is not None:
            self._next.add(entry_id, vector)
        self._tend(_MOVED_PER_ADD)

    def load(self, ids: Sequence[str], rows: NDArray[np.float32]) -> None:
        """Fill an empty index at once; the graph is built later, a little with every use."""
        if len(self):
            raise ConfigurationError("only an empty index is loaded; nothing was loaded")
        self._graph = self._next = self._waiting = None
        self._block = _Block(self._dimension, list(ids), rows)
        self._tend(0)

    def remove(self, entry_id: str) -> None:
        """Remove an id; nothing happens where it is unknown."""
        for holder in (self._block, self._graph, self._next):
            if holder is not None:
                holder.remove(entry_id)

    def search(
        self, vector: Vector, k: int, is_live: Callable[[str], bool] | None
    ) -> list[tuple[str, float]]:
        """Return at most `k` live ids and their inner products, the nearest first.

        Args:
            vector: What is searched for.
            k: How many.
            is_live: Tells what may be found; None where all may.
        """
        if self._next is not None and self._block is not None:
            self._tend(max(1, len(self._block) // _ROWS_PER_MOVE))
        holder = self._holder
        if holder is None or not len(holder) or k < 1:
            return []
        wanted = k
        while True:
            near = holder.search(vector, min(wanted, len(holder)))
            if is_live is None:
                return near
            live = [found for found in near if is_live(found[0])]
            if len(live) >= k or wanted >= len(holder):
                return live[:k]
            wanted *= 4

    @property
    def _holder(self) -> _Block | _Graph | None:
        return self._block if self._block is not None else self._graph

    def _tend(self, moves: int) -> None:
        """Begin, go on with or end the building of a graph."""
        if self._next is None:
            if self._block is not None and len(self._block) > self._flat_most:
                self._next, self._waiting = _Graph(self._dimension), self._block.snapshot()
            elif self._graph is not None and self._graph.dead > _DEAD_SHARE * max(
                len(self._graph), self._flat_most
            ):
                self._next, self._waiting = _Graph(self._dimension), self._graph.snapshot()
            return
        source = self._holder
        for _ in range(moves):
            item = next(self._waiting, None) if self._waiting is not None else None
            if item is None:
                self._graph, self._block, self._next, self._waiting = self._next, None, None, None
                return
            if source is not None and item[0] in source and item[0] not in self._next:
                self._next.add(*item)


class _Block:
    """Rows side by side; a removed one is filled with the last."""

    def __init__(
        self, dimension: int, ids: list[str] | None = None, rows: NDArray[np.float32] | None = None
    ) -> None:
        self._ids = ids if ids is not None else []
        self._rows = (
            rows if rows is not None and len(rows) else np.zeros((_FIRST_ROWS, dimension), np.float32)
        )
        self._places = {entry_id: place for place, entry_id in enumerate(self._ids)}

    def __len__(self) -> int:
        return len(self._ids)

    def __contains__(self, entry_id: str) -> bool:
        return entry_id in self._places

    @property
    def nbytes(self) -> int:
        return int(self._rows.nbytes)

    def add(self, entry_id: str, vector: Vector) -> None:
        place = len(self._ids)
        if place == len(self._rows):
            grown = np.zeros((place * 2, self._rows.shape[1]), np.float32)
            grown[:place] = self._rows
            self._rows = grown
        self._rows[place] = vector
        self._places[entry_id] = place
        self._ids.append(entry_id)

    def remove(self, entry_id: str) -> None:
        place = self._places.pop(entry_id, None)
        if place is None:
            return
        last = self._ids.pop()
        if last != entry_id:
            self._rows[place] = self._rows[len(self._ids)]
            self._ids[place] = last
            self._places[last] = place

    def search(self, vector: Vector, k: int) -> list[tuple[str, float]]:
        count = len(self._ids)
        near = self._rows[:count] @ vector
        if 2 * k < count:
            chosen = near.argpartition(count - k)[count - k :]
            chosen = chosen[near[chosen].argsort()[::-1]]
        else:
            chosen = near.argsort()[::-1][:k]
        ids = self._ids
        return [
            (ids[place], value) for place, value in zip(chosen.tolist(), near[chosen].tolist(), strict=True)
        ]

    def snapshot(self) -> Iterator[tuple[str, Vector]]:
        """Yield what is there now; rows that were removed meanwhile may be among it."""
        ids, rows = list(self._ids), self._rows[: len(self._ids)].copy()
        return ((entry_id, rows[place]) for place, entry_id in enumerate(ids))


class _Graph:
    """FAISS's HNSW graph over vectors in half precision; what is removed stays in it, marked."""

    def __init__(self, dimension: int) -> None:
        import faiss  # noqa: PLC0415 - only large partitions need it

        self._faiss: Any = faiss
        half: Any = faiss.ScalarQuantizer.QT_fp16
        self._dimension = dimension
        self._index: Any = faiss.IndexHNSWSQ(dimension, half, _LINKS, faiss.METRIC_INNER_PRODUCT)
        self._index.hnsw.efConstruction = _EF_CONSTRUCTION
        self._index.hnsw.efSearch = _EF_SEARCH
        self._index.is_trained = True  # half precision needs no training
        self._ids: list[str | None] = []
        self._places: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, entry_id: str) -> bool:
        return entry_id in self._places

    @property
    def dead(self) -> int:
        """How many rows are marked as removed."""
        return len(self._ids) - len(self._places)

    @property
    def nbytes(self) -> int:
        return len(self._ids) * (2 * self._dimension + 8 * _LINKS + 16)

    def add(self, entry_id: str, vector: Vector) -> None:
        self._index.add(np.ascontiguousarray(vector, np.float32)[None])
        self._places[entry_id] = len(self._ids)
        self._ids.append(entry_id)

    def remove(self, entry_id: str) -> None:
        place = self._places.pop(entry_id, None)
        if place is not None:
            self._ids[place] = None

    def search(self, vector: Vector, k: int) -> list[tuple[str, float]]:
        wanted = min(k + min(self.dead, 4 * k), len(self._ids))
        while True:
            if wanted > _EF_SEARCH:
                # Beyond the beam's width the graph finds less than it is asked for.
                parameters = self._faiss.SearchParametersHNSW(efSearch=2 * wanted)
                values, places = self._index.search(vector[None], wanted, params=parameters)
            else:
                values, places = self._index.search(vector[None], wanted)
            ids = self._ids
            found = [
                (entry_id, value)
                for place, value in zip(places[0].tolist(), values[0].tolist(), strict=True)
                if place >= 0 and (entry_id := ids[place]) is not None
            ]
            if len(found) >= min(k, len(self._places)) or wanted >= len(ids):
                return found[:k]
            wanted = min(4 * wanted, len(ids))

    def snapshot(self) -> Iterator[tuple[str, Vector]]:
        """Yield what is live now, one by one as it is asked for."""
        ids = list(self._ids)
        return (
            (entry_id, self._index.reconstruct(place))
            for place, entry_id in enumerate(ids)
            if entry_id is not None
        )
