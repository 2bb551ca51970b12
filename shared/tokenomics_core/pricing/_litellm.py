"""Take over LiteLLM's cost map as overrides."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from decimal import Decimal
from os import PathLike
from pathlib import Path
from typing import Any

from tokenomics_core.errors import ConfigurationError
from tokenomics_core.pricing._names import read_model_name
from tokenomics_core.pricing._providers import provider_id
from tokenomics_core.pricing._rates import EXACT

__all__ = ["load_litellm"]

_KINDS = {
    "input_cost_per_token": "input",
    "output_cost_per_token": "output",
    "cache_read_input_token_cost": "cache_read",
    "cache_creation_input_token_cost": "cache_write",
    "cache_creation_input_token_cost_above_1hr": "cache_write_1h",
    "output_cost_per_reasoning_token": "reasoning",
    "input_cost_per_audio_token": "input_audio",
    "output_cost_per_audio_token": "output_audio",
    "cache_read_input_audio_token_cost": "cache_read_audio",
    "input_cost_per_image_token": "input_image",
    "output_cost_per_image_token": "output_image",
}
_PARENTS = {"cache_write_1h": "cache_write", "cache_read_audio": "input_audio"}
_UNITS = {
    "input_cost_per_second": "audio_seconds",
    "input_cost_per_character": "input_characters",
    "input_cost_per_query": "rerank_searches",
}
_REQUESTS = {"_batches": "batch", "_flex": "flex", "_priority": "priority"}
_TIER = re.compile(r"^(?P<key>.+)_above_(?P<thousands>\d+)k_tokens$")
_PER_TOKEN_TO_MTOK = Decimal(1_000_000)


def load_litellm(path: str | PathLike[str]) -> dict[str, list[dict[str, Any]]]:
    """Read LiteLLM's JSON cost map as overrides for a `PriceBook`.

    Every price holds only at the provider that the map names. Token prices by kind, steps for long inputs,
    batch, flex and priority prices, seconds, characters and searches are taken over. Left out, and so
    unknown: entries without a price, entries whose input and output cost exactly 0 (LiteLLM writes that for
    many models whose price it does not know) and prices that it states in other ways, such as
    `tiered_pricing`. Where LiteLLM has `off_peak_pricing`, the price taken over is the one of peak hours.

    Args:
        path: `model_prices_and_context_window.json` of LiteLLM.

    Raises:
        ConfigurationError: The file cannot be read or is no such map.
    """
    try:
        table = json.loads(Path(path).read_text(encoding="utf-8"), parse_float=Decimal)
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as problem:
        raise ConfigurationError(f"the cost map cannot be read from {str(path)!r}: {problem}") from problem
    if not isinstance(table, Mapping):
        raise ConfigurationError(f"{str(path)!r} holds no cost map")
    overrides: dict[str, dict[str, dict[str, Any]]] = {}
    for name, entry in table.items():
        if name == "sample_spec" or not isinstance(entry, Mapping):
            continue
        prices = _read_entry(entry)
        if prices is None:
            continue
        prices["provider"] = str(entry.get("litellm_provider") or "litellm")
        by_provider = overrides.setdefault(_own_name(name, prices["provider"]), {})
        by_provider[provider_id(prices["provider"])] = prices
    return {name: list(by_provider.values()) for name, by_provider in overrides.items()}


def _own_name(name: str, provider: str) -> str:
    """Return the name without the provider's prefix, which the entry states apart from it."""
    read = read_model_name(name)
    same = read.prefix is not None and read.prefix.id == provider_id(provider)
    return read.rest if same else name


def _read_entry(entry: Mapping[str, Any]) -> dict[str, Any] | None:
    if "tiered_pricing" in entry:
        return None
    prices: dict[str, Any] = _token_prices(entry, "")
    if not any(prices.get(kind) for kind in ("input", "output")):
        prices = {}
    units = {unit: entry[key] for key, unit in _UNITS.items() if entry.get(key)}
    searches = entry.get("search_context_cost_per_query")
    if isinstance(searches, Mapping) and searches.get("search_context_size_medium") and prices:
        units["web_searches"] = searches["search_context_size_medium"]
    if units:
        prices["units"] = units
    if not prices:
        return None
    for suffix, request in _REQUESTS.items():
        if special := _token_prices(entry, suffix):
            prices[request] = special
    return prices


def _token_prices(entry: Mapping[str, Any], suffix: str) -> dict[str, Any]:
    prices: dict[str, Any] = {}
    tiers: dict[int, dict[str, Any]] = {}
    for key, value in entry.items():
        if not key.endswith(suffix) or isinstance(value, bool) or not isinstance(value, (int, Decimal)):
            continue
        name = key.removesuffix(suffix)
        tier = _TIER.match(name)
        kind = _KINDS.get(tier["key"] if tier else name)
        if kind is None or value < 0 or (value == 0 and kind.startswith("cache")):
            continue
        price = EXACT.multiply(Decimal(value), _PER_TOKEN_TO_MTOK)
        if tier:
            tiers.setdefault(int(tier["thousands"]) * 1000, {})[kind] = price
        else:
            prices[kind] = price
    return _consistent(prices, tiers)


def _consistent(prices: dict[str, Any], tiers: Mapping[int, Mapping[str, Any]]) -> dict[str, Any]:
    """Drop what has no price to be a part or a step of."""
    for kind, parent in _PARENTS.items():
        if kind in prices and parent not in prices:
            del prices[kind]
    steps = [
        {"above": above, **{kind: price for kind, price in found.items() if kind in prices}}
        for above, found in sorted(tiers.items())
    ]
    if steps and prices:
        prices["tiers"] = steps
    return prices
