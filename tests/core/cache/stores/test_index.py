"""An index finds what comparing with every row finds, at every stage of its graph."""

from __future__ import annotations

import numpy as np
import pytest

from tokenomics_core import ConfigurationError
from tokenomics_core.cache._index import VectorIndex

DIMENSION = 16


def rows_of(count: int, seed: int = 0) -> np.ndarray:
    rows = np.random.default_rng(seed).standard_normal((count, DIMENSION)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def nearest(rows: np.ndarray, alive: np.ndarray, vector: np.ndarray, k: int) -> set[str]:
    near = np.where(alive, rows @ vector, -2.0)
    return {str(place) for place in np.argsort(-near)[:k]}


def recall(index: VectorIndex, rows: np.ndarray, alive: np.ndarray, questions: np.ndarray) -> float:
    shares = []
    for vector in questions:
        found = [entry_id for entry_id, _ in index.search(vector, 5, lambda _id: True)]
        assert len(found) == len(set(found)) == 5
        assert all(alive[int(entry_id)] for entry_id in found)
        shares.append(len(set(found) & nearest(rows, alive, vector, 5)) / 5)
    return float(np.mean(shares))


@pytest.mark.parametrize("is_loaded", [False, True], ids=["added one by one", "loaded at once"])
def test_it_finds_what_comparing_with_all_finds_before_during_and_after_the_graph_is_built(is_loaded):
    rows, questions = rows_of(1_500), rows_of(12, seed=1)
    alive = np.ones(len(rows), bool)
    index = VectorIndex(DIMENSION, flat_most=100)
    if is_loaded:
        index.load([str(number) for number in range(len(rows))], rows.copy())
        assert recall(index, rows, alive, questions) == 1
    else:
        for number, row in enumerate(rows):
            index.add(str(number), row)
    for number in range(0, 1_500, 9):
        index.remove(str(number))
        alive[number] = False
    extra = rows_of(300, seed=2)
    rows, alive = np.vstack([rows, extra]), np.append(alive, np.ones(len(extra), bool))
    for number, row in enumerate(extra, start=1_500):
        index.add(str(number), row)
    assert index._block is None, "the graph was meant to have taken over"
    assert recall(index, rows, alive, questions) > 0.97
    assert len(index) == alive.sum()


def test_searches_alone_finish_the_graph_after_loading():
    rows = rows_of(2_400)
    index = VectorIndex(DIMENSION, flat_most=2_000)
    index.load([str(number) for number in range(len(rows))], rows.copy())
    for _ in range(len(rows) + 1):
        assert index.search(rows[7], 1, lambda _id: True)[0][0] == "7"
    assert index._block is None


def test_only_an_empty_index_is_loaded():
    index = VectorIndex(DIMENSION)
    index.add("a", rows_of(1)[0])
    with pytest.raises(ConfigurationError, match="nothing was loaded"):
        index.load(["b"], rows_of(1))
    assert index.search(rows_of(1)[0], 3, lambda _id: True)[0][0] == "a"


def test_loading_nothing_leaves_an_index_that_can_be_added_to():
    index = VectorIndex(DIMENSION)
    index.load([], np.zeros((0, DIMENSION), np.float32))
    assert index.search(rows_of(1)[0], 3, lambda _id: True) == []
    index.add("a", rows_of(1)[0])
    assert len(index) == 1
