"""How well vectors find questions of the same intent."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

__all__ = ["figures", "questions"]


def questions(data: Path, count: int, *, seed: int) -> tuple[list[str], list[str]]:
    """Draw questions of BANKING77 and their intents; nothing is ever trained on them."""
    with gzip.open(data / "cache" / "intents_banking77.jsonl.gz", "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    chosen = np.random.default_rng(seed).choice(len(rows), count, replace=False)
    return [rows[i]["text"] for i in chosen], [rows[i]["intent"] for i in chosen]


def figures(vectors: NDArray[np.float32], labels: Sequence[str], precision: float = 0.95) -> dict[str, float]:
    """Return the share whose nearest neighbour has the same label, and the share servable at a precision.

    The servable share is the largest share of questions, taken by falling similarity to their nearest
    neighbour, of which at least `precision` have the same label as it.
    """
    names = np.unique(labels, return_inverse=True)[1]
    nearest, best = [], []
    for start in range(0, len(vectors), 512):
        near = vectors[start : start + 512] @ vectors.T
        near[np.arange(len(near)), np.arange(start, start + len(near))] = -2
        nearest.append(near.argmax(axis=1))
        best.append(near.max(axis=1))
    right = names[np.concatenate(nearest)] == names
    order = np.argsort(-np.concatenate(best), kind="stable")
    shares = np.cumsum(right[order]) / np.arange(1, len(order) + 1)
    good = np.flatnonzero(shares >= precision)
    return {
        "same_intent": round(float(right.mean()), 4),
        "servable_at_95": round(float((good[-1] + 1) / len(order)) if len(good) else 0.0, 4),
    }
