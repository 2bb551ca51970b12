"""What providers ask and give for a cached prefix, as dated data."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from fnmatch import fnmatchcase
from functools import lru_cache
from importlib.resources import files
from typing import Any

from tokenomics_core.errors import ConfigurationError

__all__ = ["CacheRule", "find_rule"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheRule:
    """How one provider caches the beginning of prompts.

    Attributes:
        provider: Who.
        minimum_tokens: Shorter prefixes are not cached, and nothing says so.
        ttls_s: By name (`5m`, `1h`, `30m`, `automatic`) how many seconds an entry lives after its last use.
        write: By the same name, what writing costs as a multiple of the input price.
        read: What reading costs as a multiple of the input price, where no price of its own is known.
        breakpoints: How many places of a request may be marked; 0 where the provider finds them itself.
        automatic: Whether the provider caches unasked.
        source: Where this is documented.
        checked: The day it was last compared with that page.
    """

    provider: str
    minimum_tokens: int
    ttls_s: Mapping[str, int]
    write: Mapping[str, Decimal]
    read: Decimal
    breakpoints: int
    automatic: bool
    source: str
    checked: str

    def __post_init__(self) -> None:
        if self.ttls_s.keys() != self.write.keys() or not self.ttls_s:
            raise ConfigurationError(
                f"a cache rule needs a write price for each of its lifetimes, not {sorted(self.write)} for "
                f"{sorted(self.ttls_s)}"
            )
        numbers: list[int | Decimal] = [self.minimum_tokens, self.breakpoints, self.read]
        numbers += [*self.ttls_s.values(), *self.write.values()]
        if any(number < 0 for number in numbers):
            raise ConfigurationError(f"the numbers of a cache rule must be 0 or more, not {min(numbers)}")


def find_rule(model: str, provider: str | None) -> CacheRule | None:
    """Find the rule of a model; None where nothing is known of its provider."""
    name = model.lower().rsplit("/", 1)[-1]
    who = (provider or _provider_of(name)).lower()
    for who_else, patterns, rule in _rules():
        if who_else == who and any(fnmatchcase(name, pattern) for pattern in patterns):
            return rule
    return None


@lru_cache(maxsize=1)
def _rules() -> tuple[tuple[str, tuple[str, ...], CacheRule], ...]:
    text = (files("tokenomics_core.prompts") / "data" / "prompt_cache_rules.json").read_text(encoding="utf-8")
    data: dict[str, Any] = json.loads(text, parse_float=Decimal)
    return tuple(
        (
            row["provider"],
            tuple(row["models"]),
            CacheRule(
                provider=row["provider"],
                minimum_tokens=row["minimum_tokens"],
                ttls_s=row["ttls_s"],
                write={name: Decimal(multiple) for name, multiple in row["write"].items()},
                read=Decimal(row["read"]),
                breakpoints=row["breakpoints"],
                automatic=row["automatic"],
                source=row["source"],
                checked=data["checked"],
            ),
        )
        for row in data["rules"]
    )


def _provider_of(name: str) -> str:
    for start, provider in (("claude", "anthropic"), ("gemini", "google"), ("deepseek", "deepseek")):
        if name.startswith(start):
            return provider
    return "openai" if name.startswith(("gpt", "o1", "o3", "o4", "chatgpt")) else ""
