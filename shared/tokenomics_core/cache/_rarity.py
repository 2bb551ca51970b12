"""How rare a word is; the rarer a word that only one question has, the more it changes the answer."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files

__all__ = ["is_common", "rarity"]


def rarity(word: str) -> float:
    """Return the rarity of a stem in [0.1, 1]; a word that is not in the table counts 1."""
    return _table().get(word, 1.0)


def is_common(word: str) -> bool:
    """Whether the stem is in the table."""
    return word in _table()


@cache
def _table() -> dict[str, float]:
    text = files("tokenomics_core.cache").joinpath("data", "rarity.json").read_text(encoding="utf-8")
    bands: dict[str, str] = json.loads(text)["bands"]
    rarest = max(map(int, bands)) + 2
    return {word: max(0.1, int(band) / rarest) for band, words in bands.items() for word in words.split()}
