"""Our own dated prices over those of genai-prices: gaps filled, errors corrected, each with its source."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import time
from decimal import Decimal
from functools import cache
from importlib.resources import files
from typing import Any

from tokenomics_core.pricing._calendar import ALWAYS, Window
from tokenomics_core.pricing._entries import read_sheet, read_start
from tokenomics_core.pricing._schedule import BatchRule, Offer, Variant

__all__ = ["Overlay", "bundled_overlay", "read_overlay"]

_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@dataclass(frozen=True)
class Overlay:
    """Additions to price data, by provider and model.

    Attributes:
        offers: Prices that stand over those of the data.
        additions: Rates that are added to every price of the data.
        batch_rules: By provider, how batches were discounted before the data has batch prices.
        models: By provider, models that the data may lack, under their full names.
    """

    offers: Mapping[tuple[str, str], Sequence[Offer]] = field(default_factory=dict)
    additions: Mapping[tuple[str, str], Sequence[Variant]] = field(default_factory=dict)
    batch_rules: Mapping[str, BatchRule] = field(default_factory=dict)
    models: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def correct(self, offers: Iterable[Offer], listed_by: str, model: str) -> list[Offer]:
        """Return the offers of a model in a provider's list with what is known better laid over them."""
        key = (listed_by, model.lower())
        added = tuple(self.additions.get(key, ()))
        kept = [replace(offer, variants=(*offer.variants, *added)) for offer in offers]
        return [*kept, *self.offers.get(key, ())]


@cache
def bundled_overlay() -> Overlay:
    """Read the overlay that comes with the package."""
    text = files("tokenomics_core.pricing").joinpath("data", "overlay.toml").read_text(encoding="utf-8")
    return read_overlay(tomllib.loads(text, parse_float=Decimal))


def read_overlay(data: Mapping[str, Any]) -> Overlay:
    """Turn overlay data into offers; its form is described by the bundled file."""
    offers: dict[tuple[str, str], list[Offer]] = {}
    additions: dict[tuple[str, str], list[Variant]] = {}
    models: dict[str, list[str]] = {}
    for entry in data.get("price", ()):
        for model in entry["models"]:
            key = (entry["provider"], model.lower())
            offer = _offer(entry, model)
            if entry.get("new"):
                models.setdefault(entry["provider"], []).append(model)
            if entry.get("adds"):
                addition = Variant({}, offer.window, offer.sheet or {}, offer.source)
                additions.setdefault(key, []).append(addition)
            else:
                offers.setdefault(key, []).append(offer)
    for entry in data.get("unpriced", ()):
        for model in entry["models"]:
            offer = Offer(None, f"overlay: {entry['source']}", notes=(entry["reason"],))
            offers.setdefault((entry["provider"], model.lower()), []).append(offer)
    rules = {entry["provider"]: _batch_rule(entry) for entry in data.get("batch", ())}
    return Overlay(offers, additions, rules, models)


def _offer(entry: Mapping[str, Any], model: str) -> Offer:
    where = f"{entry['provider']}/{model}"
    window = _window(entry)
    day = window.start.date() if window.start else None
    hours = f" at {' and '.join(entry['daily'])} UTC" if entry.get("daily") else ""
    return Offer(
        sheet=read_sheet(entry["usd_per_mtok"], where, partial=bool(entry.get("adds"))),
        source=f"overlay: {where}{f', from {day}' if day else ''}{hours}, {_citation(entry)}",
        window=window,
        price_date=day,
        variants=tuple(_batch_price(entry, where)),
        notes=(entry["note"],) if entry.get("note") else (),
    )


def _batch_price(entry: Mapping[str, Any], where: str) -> Iterator[Variant]:
    if rates := entry.get("batch_usd_per_mtok"):
        yield Variant({"processing": "batch"}, ALWAYS, read_sheet(rates, where, partial=True))


def _citation(entry: Mapping[str, Any]) -> str:
    return f"{entry['source']} checked {entry['checked']}"


def _batch_rule(entry: Mapping[str, Any]) -> BatchRule:
    factor = Decimal(entry["factor"])
    return BatchRule(_window(entry), factor, f"overlay: batch times {factor}, {_citation(entry)}")


def _window(entry: Mapping[str, Any]) -> Window:
    return Window(
        start=read_start(entry.get("from"), "from"),
        end=read_start(entry.get("until"), "until"),
        daily=tuple(_span(span) for span in entry.get("daily", ())),
        weekdays=frozenset(_WEEKDAYS.index(day) for day in entry.get("weekdays", ())),
        except_dates=frozenset(entry.get("except_dates", ())),
    )


def _span(text: str) -> tuple[time, time]:
    first, last = text.split("-")
    return time.fromisoformat(first), time.fromisoformat(last)
