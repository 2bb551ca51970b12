"""The price data of genai-prices, read when it is first needed, in this area's own terms."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from functools import cached_property
from importlib.metadata import version
from typing import TYPE_CHECKING

from tokenomics_core.errors import StoreError
from tokenomics_core.pricing._calendar import ALWAYS, Window
from tokenomics_core.pricing._rates import Rate
from tokenomics_core.pricing._schedule import Offer, Variant
from tokenomics_core.pricing._units import load_units

if TYPE_CHECKING:
    from genai_prices import types

__all__ = ["PriceData", "bundled_data", "fetch_data", "offers_of"]

_CHECKED = re.compile(r"(?:checked|verified|observed|reported)[^.;]{0,30}?(20\d\d-\d\d-\d\d)")


@dataclass(frozen=True)
class PriceData:
    """Providers and their models, and how old that knowledge is.

    Attributes:
        providers: As genai-prices has them.
        name: What it is, for the source of a cost.
        fetched_on: The day it was fetched; None for what came with the package.
    """

    providers: Sequence[types.Provider]
    name: str
    fetched_on: date | None = None

    @cached_property
    def as_of(self) -> date | None:
        """The day it was fetched, or else the last day on which the data says a price was checked."""
        if self.fetched_on is not None:
            return self.fetched_on
        comments = [provider.price_comments for provider in self.providers]
        comments += [model.price_comments for provider in self.providers for model in provider.models]
        days = [day for comment in comments if comment for day in _CHECKED.findall(comment)]
        return date.fromisoformat(max(days)) if days else None

    @cached_property
    def by_id(self) -> Mapping[str, types.Provider]:
        """The providers by their id."""
        return {provider.id: provider for provider in self.providers}


def bundled_data() -> PriceData:
    """Read the data that genai-prices holds; this imports it, which takes a good part of a second."""
    from genai_prices.data_snapshot import get_snapshot  # noqa: PLC0415 - loaded on first use

    return PriceData(get_snapshot().providers, f"genai-prices {version('genai-prices')}")


def fetch_data(url: str | None, timeout_s: float, now: datetime) -> PriceData:
    """Fetch newer data with genai-prices' own updater.

    Raises:
        StoreError: It could not be fetched, or is not what this version of genai-prices reads.
    """
    import httpx2  # noqa: PLC0415 - a dependency of genai-prices, needed for this alone
    from genai_prices.update_prices import DEFAULT_UPDATE_URL, UpdatePrices  # noqa: PLC0415 - likewise

    source = url or DEFAULT_UPDATE_URL
    updater = UpdatePrices(url=source, request_timeout=httpx2.Timeout(timeout_s))
    try:
        snapshot = updater.fetch()
    except (httpx2.HTTPError, httpx2.InvalidURL, ValueError, TypeError, AssertionError, KeyError) as problem:
        raise StoreError(
            "price data", f"{source} gave no usable prices ({problem}); the old prices stay in use"
        ) from problem
    if snapshot is None or not any(provider.models for provider in snapshot.providers):
        raise StoreError("price data", f"{source} lists no models; the old prices stay in use")
    name = f"genai-prices {version('genai-prices')} with prices fetched on {now.date()}"
    return PriceData(snapshot.providers, name, now.date())


def offers_of(model: types.ModelInfo, source: str, *, with_variants: bool) -> Iterator[Offer]:
    """Turn a model's prices into offers.

    Args:
        model: The model.
        source: What each offer says about where it came from.
        with_variants: Whether special requests have their own prices; genai-prices gives none to a model
            that a provider takes over from another provider's list.
    """
    variants = tuple(_variants(model)) if with_variants else ()
    if isinstance(model.prices, list):
        for conditional in model.prices:
            window = _window(conditional.constraint)
            day = window.start.date() if window.start else None
            label = f"{source}, from {day}" if day else source
            sheet, notes = _sheet(conditional.prices)
            yield Offer(sheet, label, window, day, variants, notes=notes)
    else:
        sheet, notes = _sheet(model.prices)
        yield Offer(sheet, source, variants=variants, notes=notes)


def _variants(model: types.ModelInfo) -> Iterator[Variant]:
    for variant in model.price_variants or ():
        yield Variant(dict(variant.when), _window(variant.constraint), _sheet(variant.prices)[0])


def _window(constraint: types.StartDateConstraint | types.TimeOfDateConstraint | None) -> Window:
    if constraint is None:
        return ALWAYS
    start = getattr(constraint, "start_date", None)
    if start is not None:
        return Window(start=datetime.combine(start, time(), UTC))
    first, last = (_utc_time(getattr(constraint, name)) for name in ("start_time", "end_time"))
    return Window(daily=((first, last),))


def _utc_time(value: time) -> time:
    """Return a time of day in UTC without its zone; one without a zone is in UTC."""
    if value.tzinfo is None:
        return value
    return datetime.combine(date(1970, 1, 1), value).astimezone(UTC).time()


def _sheet(prices: types.ModelPrice) -> tuple[dict[str, Rate], tuple[str, ...]]:
    by_price_key = {unit.price_key: unit.key for unit in load_units().values()}
    sheet: dict[str, Rate] = {}
    unknown: list[str] = []
    for price_key, value in vars(prices).items():
        if value is None or price_key.startswith("_"):
            continue
        if price_key in by_price_key:
            sheet[by_price_key[price_key]] = _rate(value)
        else:
            unknown.append(price_key)
    note = f"newer price data names {', '.join(unknown)}, which this version cannot charge"
    return sheet, (note,) if unknown else ()


def _rate(value: Decimal | types.TieredPrices) -> Rate:
    if isinstance(value, Decimal):
        return Rate(value)
    return Rate(value.base, tuple((tier.start, tier.price) for tier in value.tiers))
