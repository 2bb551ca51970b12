"""Entries and vectors for the tests of stores."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
from hypothesis import strategies as st

from tokenomics_core import Usage
from tokenomics_core.cache._entry import CacheEntry
from tokenomics_core.cache._text import key_of

DIMENSION = 8
EMBEDDER = "test-embedder/1"
NOW = 1_763_730_000.0


def unit(seed: int, dimension: int = DIMENSION) -> np.ndarray:
    """Return a vector of unit length that half precision holds without loss of order in the tests."""
    vector = np.random.default_rng(seed).normal(size=dimension).astype(np.float32)
    return vector / np.linalg.norm(vector)


def entry(
    question: str = "How do I reset my password?",
    *,
    number: int = 0,
    partition: str = "p",
    payload: bytes = b"answer",
    now: float = NOW,
    **about,
) -> CacheEntry:
    about.setdefault("key", key_of(question))
    about.setdefault("group", f"g{number}")
    about.setdefault("answer", None)
    return CacheEntry(
        id=f"id-{number}",
        partition=partition,
        question=question,
        payload=payload,
        is_text=about.pop("is_text", True),
        created_at=now,
        **about,
    )


usages = st.one_of(
    st.none(),
    st.builds(
        Usage,
        input_tokens=st.integers(0, 10**9),
        output_tokens=st.integers(0, 10**9),
        extras=st.sampled_from([{}, {"web_searches": 2}, {"audio_seconds": Decimal("1.25")}]),
        service_tier=st.sampled_from([None, "flex", "\ud83d"]),
    ),
)

texts = st.one_of(
    st.sampled_from(
        [
            "How do I reset my password?",
            "how do i cancel",
            "10² m",
            "Wie heißt\u200b du?",
            "\0 a NUL",
            "half \ud83d of a character",
            "",
            "日本語の質問 🎌",
            "' OR 1=1; --",
            "%s {} $1 \\x00",
        ]
    ),
    st.text(st.characters(), max_size=12),
)
