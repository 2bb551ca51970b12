"""With the default policy and the built-in embedder near misses are not served, and paraphrases are."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from tokenomics_core.cache import BoundedError, FixedThreshold, Neighbour
from tokenomics_core.embedding import StaticEmbedder

HERE = Path(__file__).parent
EMBEDDER = StaticEmbedder()
POLICIES = {
    "default": BoundedError,
    "fixed": FixedThreshold,
    "strict": lambda: FixedThreshold(guards="strict"),
}


def rows(name: str) -> list[dict[str, str]]:
    return [json.loads(line) for line in (HERE / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]


def half(row: dict[str, str]) -> str:
    """Name the half a pair is in: guards were written with an eye on one and measured on the other."""
    return "test" if hashlib.sha256(f"{row['a']}|{row['b']}".encode()).digest()[-1] % 2 else "dev"


def served(pairs: list[dict[str, str]], policy: str) -> list[str]:
    """Return what is served when either question is stored and the other is asked."""
    found = []
    one, other = EMBEDDER.embed([row["a"] for row in pairs]), EMBEDDER.embed([row["b"] for row in pairs])
    for row, similarity in zip(pairs, np.sum(one * other, axis=1), strict=True):
        for stored, asked in ((row["a"], row["b"]), (row["b"], row["a"])):
            near = [Neighbour("e", float(similarity), stored, "g")]
            if POLICIES[policy]().decide("n", asked, near).serve:
                found.append(asked)
                break
    return found


@pytest.mark.parametrize("part", ["dev", "test"])
@pytest.mark.parametrize("policy", ["default", "fixed", "strict"])
def test_near_misses_are_not_served(part, policy):
    pairs = [row for row in rows("near_misses") if half(row) == part]
    assert len(served(pairs, policy)) <= max(1, 0.01 * len(pairs)), served(pairs, policy)


@pytest.mark.parametrize("part", ["dev", "test"])
def test_most_paraphrases_are_served(part):
    pairs = [row for row in rows("paraphrases") if half(row) == part]
    assert len(served(pairs, "default")) >= 0.55 * len(pairs)


def test_the_sets_are_as_large_as_they_are_said_to_be():
    assert len({(row["a"], row["b"]) for row in rows("near_misses")}) >= 300
    assert len({(row["a"], row["b"]) for row in rows("paraphrases")}) >= 150


def test_the_cosine_alone_would_serve_most_near_misses():
    pairs = rows("near_misses")
    one, other = EMBEDDER.embed([row["a"] for row in pairs]), EMBEDDER.embed([row["b"] for row in pairs])
    assert np.mean(np.sum(one * other, axis=1) > 0.8) > 0.5
