"""Prices of the user's own: negotiated, corrected, or of a model that runs on the user's hardware."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from os import PathLike
from pathlib import Path
from typing import Any

from tokenomics_core.errors import ConfigurationError
from tokenomics_core.pricing._calendar import Window
from tokenomics_core.pricing._entries import read_amount, read_sheet, read_start
from tokenomics_core.pricing._providers import provider_id
from tokenomics_core.pricing._rates import EXACT
from tokenomics_core.pricing._schedule import Offer, Variant
from tokenomics_core.pricing._units import KINDS

__all__ = ["Overrides", "OwnModel", "self_hosted_usd_per_mtok"]

_REQUESTS = {
    "batch": {"processing": "batch"},
    "flex": {"service_tier": "flex"},
    "priority": {"service_tier": "priority"},
    "fast": {"service_tier": "fast"},
}
_HOSTING = {
    "gpu_hour_usd",
    "gpus",
    "utilization",
    "tokens_per_s",
    "input_tokens_per_s",
    "output_tokens_per_s",
}
_KEYS = {*KINDS, *_REQUESTS, *_HOSTING, "provider", "from", "tiers", "requests", "units"}
_FINEST = Decimal("1e-12")
_EVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class OwnModel:
    """The user's prices for one model.

    Attributes:
        name: As the user wrote it.
        provider: Where it is served, if the prices hold only there.
        offers: The prices.
    """

    name: str
    provider: str | None
    offers: tuple[Offer, ...]


class Overrides:
    """A user's own prices by model name.

    Args:
        source: A table of model names, or the path of a TOML or JSON file that holds one. Each name has one
            table, or a list of tables with different `from`:

            - prices in USD per million tokens by kind: `input`, `output`, `cache_read`, `cache_write`,
              `cache_write_1h`, `reasoning`, `input_audio` ...; a kind that is left out costs what the kind
              costs that it is a part of;
            - `tiers`: a list of tables with `above` (whole input tokens) and the kinds that change;
            - `requests`: USD per request; `units`: USD for one of another unit, such as `web_searches`;
            - `batch`, `flex`, `priority`, `fast`: tables of kinds that change for such requests;
            - or `gpu_hour_usd` with `tokens_per_s`, or `input_tokens_per_s` and `output_tokens_per_s`, and
              `gpus`, `utilization`: see `self_hosted_usd_per_mtok`;
            - `provider`: only there; `from`: the day, or time with a zone, from which it holds.

    Raises:
        ConfigurationError: Something is not understood; the message names the entry.
    """

    def __init__(self, source: Mapping[str, Any] | str | PathLike[str] | None = None) -> None:
        origin, table = _read(source)
        self._models: dict[str, list[OwnModel]] = {}
        for name, value in table.items():
            for own in _own_models(name, value, origin):
                self._models.setdefault(name.lower(), []).append(own)

    def __bool__(self) -> bool:
        return bool(self._models)

    def find(self, names: Sequence[str], provider: str | None, *, lenient: bool = False) -> OwnModel | None:
        """Return the prices for the first of several names that has some.

        Args:
            names: Spellings of one model, the likeliest first.
            provider: Where it is served, as the price data names it; None if unknown.
            lenient: Whether prices for one provider are good for an unknown one, if there is but one.
        """
        for name in names:
            found = self._models.get(name.lower(), [])
            exact = [own for own in found if own.provider is not None and own.provider == provider]
            general = [own for own in found if own.provider is None]
            if match := (exact or general):
                return match[0]
            if lenient and provider is None and len(found) == 1:
                return found[0]
        return None


def _read(source: Mapping[str, Any] | str | PathLike[str] | None) -> tuple[str, Mapping[str, Any]]:
    if source is None:
        return "", {}
    if isinstance(source, Mapping):
        return "", source
    if not isinstance(source, str | PathLike):
        raise ConfigurationError(f"overrides must be a table or the path of a file, not {source!r:.80}")
    path = Path(source)
    try:
        text = path.read_text(encoding="utf-8")
        if path.suffix.lower() == ".toml":
            table: object = tomllib.loads(text, parse_float=Decimal)
        elif path.suffix.lower() == ".json":
            table = json.loads(text, parse_float=Decimal)
        else:
            raise ConfigurationError(f"overrides must be a .toml or .json file, not {str(path)!r}")
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, json.JSONDecodeError) as problem:
        raise ConfigurationError(f"overrides cannot be read from {str(path)!r}: {problem}") from problem
    if not isinstance(table, Mapping):
        raise ConfigurationError(f"overrides in {str(path)!r} must be a table of model names")
    return path.name, table


def _own_models(name: object, value: object, origin: str) -> Iterator[OwnModel]:
    if not isinstance(name, str) or not name.strip():
        raise ConfigurationError(f"overrides must be named after a model, not {name!r}")
    entries = value if isinstance(value, (list, tuple)) else [value]
    if not entries:
        raise ConfigurationError(f"overrides[{name!r}] is empty; no price was set")
    by_provider: dict[str | None, list[Offer]] = {}
    for entry in entries:
        if not isinstance(entry, Mapping):
            raise ConfigurationError(f"overrides[{name!r}] must be a table of prices, not {entry!r}")
        where = f"overrides[{name!r}]"
        if unknown := sorted(set(entry) - _KEYS, key=str):
            raise ConfigurationError(
                f"{where} has no {', '.join(map(str, unknown))}; it has {', '.join(sorted(_KEYS))}"
            )
        provider = _read_provider(entry.get("provider"), where)
        by_provider.setdefault(provider, []).append(_offer(name, entry, where, origin))
    for provider, offers in by_provider.items():
        offers.sort(key=lambda offer: offer.window.start or _EVER)
        yield OwnModel(name, provider, tuple(offers))


def _read_provider(value: object, where: str) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or not value.strip():
        raise ConfigurationError(f"{where}.provider must be a name, not {value!r}")
    return provider_id(value)


def _offer(name: str, entry: Mapping[str, Any], where: str, origin: str) -> Offer:
    start = read_start(entry.get("from"), f"{where}.from")
    label = f"override: {name}{f' ({origin})' if origin else ''}"
    if _HOSTING & set(entry):
        prices: Mapping[str, Any] = _hosted(entry, where)
        label = f"{label}, self-hosted at {read_amount(entry['gpu_hour_usd'], where)} USD per GPU-hour"
    else:
        prices = entry
    variants = []
    for request, when in _REQUESTS.items():
        if entry.get(request) is not None:
            if not isinstance(entry[request], Mapping):
                raise ConfigurationError(f"{where}.{request} must be a table, not {entry[request]!r}")
            if unknown := sorted(set(entry[request]) - {*KINDS, "tiers", "requests", "units"}):
                raise ConfigurationError(f"{where}.{request} has no {', '.join(unknown)}")
            sheet = read_sheet(entry[request], f"{where}.{request}", partial=True)
            variants.append(Variant(when, Window(), sheet))
    return Offer(
        sheet=read_sheet(prices, where),
        source=f"{label}{f', from {start.date()}' if start else ''}",
        window=Window(start=start),
        price_date=start.date() if start else None,
        variants=tuple(variants),
        own=True,
    )


def _hosted(entry: Mapping[str, Any], where: str) -> dict[str, Decimal]:
    if mixed := sorted(set(entry) & {*KINDS, "tiers"}):
        raise ConfigurationError(f"{where} has both hardware and {', '.join(mixed)}; give one or the other")
    if "gpu_hour_usd" not in entry:
        raise ConfigurationError(f"{where} needs gpu_hour_usd to price tokens by hardware; no price was set")
    has_one, has_two = "tokens_per_s" in entry, {"input_tokens_per_s", "output_tokens_per_s"} <= set(entry)
    if has_one == has_two:
        raise ConfigurationError(
            f"{where} needs tokens_per_s, or input_tokens_per_s and output_tokens_per_s; no price was set"
        )
    amounts = {key: read_amount(entry[key], f"{where}.{key}") for key in _HOSTING & set(entry)}

    def price(speed: str) -> Decimal:
        shared = {key: amounts[key] for key in ("gpus", "utilization") if key in amounts}
        try:
            return self_hosted_usd_per_mtok(amounts["gpu_hour_usd"], amounts[speed], **shared)
        except ConfigurationError as problem:
            raise ConfigurationError(f"{where}: {problem}; no price was set") from problem

    first, second = ("tokens_per_s",) * 2 if has_one else ("input_tokens_per_s", "output_tokens_per_s")
    return {"input": price(first), "output": price(second)}


def self_hosted_usd_per_mtok(
    gpu_hour_usd: Decimal,
    tokens_per_s: Decimal,
    *,
    gpus: Decimal = Decimal(1),
    utilization: Decimal = Decimal(1),
) -> Decimal:
    """Turn what hardware costs into a price per million tokens.

    Price = 1,000,000 x gpu_hour_usd x gpus / (3600 x tokens_per_s x utilization), to 12 decimals. With one
    speed for input and another for output, a call pays for the time that each would take alone.

    Args:
        gpu_hour_usd: USD for one GPU and hour, whether it works or not.
        tokens_per_s: What the whole deployment handles when it is busy.
        gpus: How many GPUs the deployment has.
        utilization: The share of the time, in (0, 1], in which it is busy.

    Raises:
        ConfigurationError: An amount is out of range.
    """
    if tokens_per_s <= 0 or gpus <= 0:
        raise ConfigurationError(f"tokens_per_s and gpus must be above 0, not {tokens_per_s} and {gpus}")
    if not 0 < utilization <= 1:
        raise ConfigurationError(f"utilization must be above 0 and at most 1, not {utilization}")
    hourly_usd = EXACT.multiply(EXACT.multiply(gpu_hour_usd, gpus), Decimal(1_000_000))
    hourly_tokens = EXACT.multiply(EXACT.multiply(Decimal(3600), tokens_per_s), utilization)
    return EXACT.divide(hourly_usd, hourly_tokens).quantize(_FINEST, rounding=ROUND_HALF_EVEN, context=EXACT)
