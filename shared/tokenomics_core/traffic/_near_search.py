"""Find, among many questions, those that ask again in other words what was asked before."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tokenomics_core.cache import FixedThreshold, Neighbour, Verifier

# The cache keeps some pairs apart before it asks its verifier; an audit has to do the same to find the same.
from tokenomics_core.cache._apart import apart
from tokenomics_core.embedding import StaticEmbedder
from tokenomics_core.traffic._audit_frame import groups_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tokenomics_core.traffic._audit_frame import AuditFrame

    Ints = NDArray[np.int64]
    Floats = NDArray[np.float32]
    Halves = NDArray[np.float16]

__all__ = ["find_near"]

_NEIGHBOURS: Final = 10
"""As many as the response cache asks its store for."""
_LISTED: Final = 48
_OF_A_CELL: Final = 16
_LEARNED_FROM: Final = 30
_LEAST_SIMILARITY: Final = 0.5
_DENSE: Final = 1_500
_TEXTS_AT_ONCE: Final = 40_000
_CELL: Final = 200
_CELLS_SEEN: Final = 12
_TRAINED_ON: Final = 40
_EMBEDDED_AT_ONCE: Final = 20_000


def find_near(
    frame: AuditFrame, rows: Ints, repeated: NDArray[np.bool_], *, window_us: int
) -> tuple[Ints, NDArray[np.float64]]:
    """Return the calls that ask again, and the chance that each does.

    Questions are compared where all else of the request is equal and they hold the same numbers: with
    other numbers the cache never serves.

    Args:
        frame: All calls.
        rows: Those whose answer may be served and kept by meaning, in the order of time.
        repeated: Which of them repeat a request word for word.
        window_us: How old an answer may be.
    """
    blocks, questions = frame.column("block")[rows], frame.column("question")[rows]
    order, starts = groups_of(blocks, questions)
    firsts = order[starts]  # one row per wording, the first
    wording = np.empty(len(rows), np.int64)
    wording[order] = np.repeat(np.arange(len(starts)), np.diff([*starts, len(order)]))
    block_of = blocks[firsts]
    block_order, block_starts = groups_of(block_of)
    near: list[int] = []
    chances: list[float] = []
    by_wording = np.argsort(wording, kind="stable")
    wording_starts = np.searchsorted(wording[by_wording], np.arange(len(firsts) + 1))
    for members in _several(block_order, block_starts):
        texts = frame.texts(rows[firsts[members]])
        for ours in members_of_blocks(block_of[members]):
            group = members[ours]
            calls = np.concatenate(
                [by_wording[wording_starts[one] : wording_starts[one + 1]] for one in group.tolist()]
            )
            calls.sort()
            local = {one: place for place, one in enumerate(group.tolist())}
            found = _Block([texts[place] for place in ours.tolist()]).served(
                frame.at_us[rows[calls]],
                [local[one] for one in wording[calls].tolist()],
                repeated[calls],
                window_us,
            )
            near += [int(rows[calls[place]]) for place, _ in found]
            chances += [chance for _, chance in found]
    sequence = np.argsort(np.array(near, np.int64), kind="stable")
    return np.array(near, np.int64)[sequence], np.array(chances, np.float64)[sequence]


def members_of_blocks(blocks: Ints) -> Iterator[Ints]:
    """Yield the places of each block's members."""
    order, starts = groups_of(blocks)
    yield from np.split(order, starts[1:])


def _several(order: Ints, starts: Ints) -> Iterator[Ints]:
    """Yield wordings of blocks that have more than one, many blocks at once."""
    together: list[Ints] = []
    size = 0
    for members in np.split(order, starts[1:]):
        if len(members) < 2:
            continue
        together.append(members)
        size += len(members)
        if size >= _TEXTS_AT_ONCE:
            yield np.concatenate(together)
            together, size = [], 0
    if together:
        yield np.concatenate(together)


class _Block:
    """Wordings that may mean the same: one partition, the same numbers."""

    def __init__(self, texts: list[str]) -> None:
        self._texts = texts
        self._places, self._similarities = _nearest(texts)
        self._background = self._farther()

    def served(
        self, at_us: Ints, wordings: list[int], repeated: NDArray[np.bool_], window_us: int
    ) -> list[tuple[int, float]]:
        """Return which calls, in the order of time, would be served by meaning, and with what chance."""
        last_us: dict[int, int] = {}
        found: list[tuple[int, float]] = []
        for place, (at, wording, is_repeat) in enumerate(
            zip(at_us.tolist(), wordings, repeated.tolist(), strict=True)
        ):
            if not is_repeat:
                chance = self._chance(wording, last_us, at - window_us)
                if chance is not None:
                    found.append((place, chance))
            last_us[wording] = at
        return found

    def _chance(self, wording: int, last_us: dict[int, int], since_us: int) -> float | None:
        """Decide as the cache does: the nearest question that is not kept apart, the verifier, the guards."""
        asked = self._texts[wording]
        neighbours = [
            Neighbour(str(other), similarity, self._texts[other], str(other))
            for other, similarity in zip(
                self._places[wording].tolist(), self._similarities[wording].tolist(), strict=True
            )
            if other != wording and last_us.get(other, since_us - 1) >= since_us
        ][:_NEIGHBOURS]
        while neighbours and apart(asked, neighbours[0].question) is not None:
            neighbours = neighbours[1:]
        if not neighbours or neighbours[0].similarity < _LEAST_SIMILARITY:
            return None
        verifier, policy = _judges()
        judged = verifier.judge(asked, neighbours, background=self._background)
        if judged.probability < policy.threshold or any(name in judged.fired for name in policy.guards):
            return None
        return judged.probability

    def _farther(self) -> float | None:
        """Return how near farther questions are on average, which the cache learns as it goes."""
        if len(self._texts) < _LEARNED_FROM:
            return None
        farther = self._similarities[:, _NEIGHBOURS // 2 : _NEIGHBOURS]
        return float(farther[farther >= -1.0].mean())


def _nearest(texts: list[str]) -> tuple[Ints, Floats]:
    """Return each text's nearest others, the nearest first."""
    return _nearest_of_few(_embedder().embed(texts)) if len(texts) <= _DENSE else _nearest_of_many(texts)


def _nearest_of_few(vectors: Floats) -> tuple[Ints, Floats]:
    near = np.clip(vectors @ vectors.T, -1.0, 1.0)
    np.fill_diagonal(near, -2.0)
    places = np.argsort(-near, axis=1, kind="stable")[:, : max(min(_LISTED, len(vectors)) - 1, 1)]
    return places.astype(np.int64), np.take_along_axis(near, places, axis=1)


def _nearest_of_many(texts: list[str]) -> tuple[Ints, Floats]:
    """Look for the nearest in the cells around each text; vectors are kept in halves, 600 bytes each.

    All texts that look into a cell are compared with its members at once, which takes a tenth of the time
    that an index takes for one text after the other.
    """
    vectors = _halves(texts)
    cells, cell_of = _cells(vectors)
    members = np.split(
        np.argsort(cell_of, kind="stable"), np.cumsum(np.bincount(cell_of, minlength=cells.ntotal))[:-1]
    )
    found = [_nearest_to(vectors, start, cells, members) for start in range(0, len(texts), _EMBEDDED_AT_ONCE)]
    return np.concatenate([places for places, _ in found]), np.concatenate([near for _, near in found])


def _nearest_to(vectors: Halves, start: int, cells: Any, members: list[Ints]) -> tuple[Ints, Floats]:
    """Return the nearest others of some vectors, -1 where there are fewer."""
    asked = vectors[start : start + _EMBEDDED_AT_ONCE].astype(np.float32)
    looked_into = cells.search(asked, _CELLS_SEEN)[1]
    shape = (len(asked), _CELLS_SEEN, _OF_A_CELL)
    places, near = np.full(shape, -1, np.int64), np.full(shape, -2.0, np.float32)
    pairs = np.argsort(looked_into, axis=None, kind="stable")
    order, bounds = looked_into.ravel()[pairs], np.arange(len(members) + 1)
    ends = np.searchsorted(order, bounds)
    for cell, theirs in enumerate(members):
        ours, ranks = np.divmod(pairs[ends[cell] : ends[cell + 1]], _CELLS_SEEN)
        if not len(ours) or not len(theirs):
            continue
        alike = asked[ours] @ vectors[theirs].astype(np.float32).T
        alike[(ours + start)[:, None] == theirs[None, :]] = -2.0
        listed = min(_OF_A_CELL, len(theirs))
        best = np.argpartition(-alike, listed - 1, axis=1)[:, :listed]
        places[ours, ranks, :listed] = theirs[best]
        near[ours, ranks, :listed] = np.take_along_axis(alike, best, axis=1)
    flat_places, flat = places.reshape(len(asked), -1), near.reshape(len(asked), -1)
    first = np.argsort(-flat, axis=1, kind="stable")[:, :_LISTED]
    chosen = np.take_along_axis(flat, first, axis=1)
    return np.take_along_axis(flat_places, first, axis=1), np.minimum(chosen, 1.0)


def _halves(texts: list[str]) -> Halves:
    embedder = _embedder()
    vectors = np.empty((len(texts), embedder.dimension), np.float16)
    for start in range(0, len(texts), _EMBEDDED_AT_ONCE):
        piece = texts[start : start + _EMBEDDED_AT_ONCE]
        vectors[start : start + len(piece)] = embedder.embed(piece)
    return vectors


def _cells(vectors: Halves) -> tuple[Any, Ints]:
    """Part vectors into cells of some hundred; return an index of their centres and each vector's cell."""
    import faiss  # noqa: PLC0415 - only many questions need cells

    cells = max(_CELLS_SEEN, len(vectors) // _CELL)
    means = faiss.Kmeans(vectors.shape[1], cells, niter=6, seed=1, spherical=True)
    step = max(1, len(vectors) // (_TRAINED_ON * cells))
    means.train(vectors[::step].astype(np.float32))
    pieces = [
        means.index.search(vectors[start : start + _EMBEDDED_AT_ONCE].astype(np.float32), 1)[1][:, 0]
        for start in range(0, len(vectors), _EMBEDDED_AT_ONCE)
    ]
    return means.index, np.concatenate(pieces)


@cache
def _embedder() -> StaticEmbedder:
    return StaticEmbedder()


@cache
def _judges() -> tuple[Verifier, FixedThreshold]:
    verifier = Verifier()
    return verifier, FixedThreshold(verifier=verifier)
