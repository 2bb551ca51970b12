"""What can be billed: token kinds, searches, seconds, requests, as genai-prices names and relates them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

__all__ = ["KINDS", "Unit", "load_units"]

KINDS: Mapping[str, str] = {
    "input": "input_tokens",
    "output": "output_tokens",
    "cache_read": "cache_read_tokens",
    "cache_write": "cache_write_tokens",
    "cache_write_5m": "cache_write_5m_tokens",
    "cache_write_1h": "cache_write_1h_tokens",
    "reasoning": "output_reasoning_tokens",
    "citation": "output_citation_tokens",
    "input_audio": "input_audio_tokens",
    "output_audio": "output_audio_tokens",
    "cache_read_audio": "cache_audio_read_tokens",
    "input_image": "input_image_tokens",
    "output_image": "output_image_tokens",
    "cache_read_image": "cache_image_read_tokens",
    "input_video": "input_video_tokens",
    "output_video": "output_video_tokens",
}
"""Short names of token kinds, as overrides and `Price` use them, and the billed unit of each."""


@dataclass(frozen=True, slots=True)
class Unit:
    """One thing that can be billed.

    Attributes:
        key: Its name in a usage.
        price_key: Its name in the price data.
        per: How many of it a price in the data is for.
        dimensions: What sets it apart; a unit with more of them is a part of one with fewer.
    """

    key: str
    price_key: str
    per: int
    dimensions: frozenset[tuple[str, str]]

    @property
    def direction(self) -> str | None:
        """`input`, `output`, or None for what is neither, such as a search."""
        return dict(self.dimensions).get("direction")

    @property
    def is_tokens(self) -> bool:
        """Whether it counts tokens."""
        return ("family", "tokens") in self.dimensions

    def includes(self, other: Unit) -> bool:
        """Whether every one of the other unit is also one of this; a unit includes itself."""
        return self.dimensions <= other.dimensions

    def is_compatible_with(self, other: Unit) -> bool:
        """Whether one token can be both at once."""
        mine, theirs = dict(self.dimensions), dict(other.dimensions)
        return all(theirs.get(name, value) == value for name, value in mine.items())


@cache
def load_units() -> Mapping[str, Unit]:
    """Read the units that genai-prices knows, by their name in a usage."""
    from genai_prices.data_units import unit_data  # noqa: PLC0415 - the price data is loaded on first use

    return {
        key: Unit(key, raw.get("price_key", key), raw["per"], frozenset(raw.get("dimensions", {}).items()))
        for key, raw in unit_data.items()
    }
