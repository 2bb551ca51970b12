"""Random usages, contexts and moments, and what genai-prices itself makes of them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from random import Random
from typing import Any

from genai_prices import Usage as GenaiUsage
from genai_prices.types import ModelInfo, Provider, StartDateConstraint, TimeOfDateConstraint

from tokenomics_core import Usage

LENGTHS = (0, 1, 7, 999, 128_000, 128_001, 200_000, 200_001, 272_000, 272_001, 512_001, 3_000_000, 10**9)
HUGE = (10**15, 10**18, 123_456_789_012_345_678)
GENAI_NAMES = {
    "reasoning_tokens": "output_reasoning_tokens",
    "cache_read_audio_tokens": "cache_audio_read_tokens",
}
COUNTS = (
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "cache_write_5m_tokens",
    "cache_write_1h_tokens",
    "reasoning_tokens",
    "input_audio_tokens",
    "output_audio_tokens",
    "cache_read_audio_tokens",
)


def to_genai(usage: Usage) -> GenaiUsage:
    counts: dict[str, Any] = {
        GENAI_NAMES.get(name, name): value for name in COUNTS if (value := getattr(usage, name)) is not None
    }
    return GenaiUsage(**counts, **usage.extras)


def random_tokens(rng: Random) -> dict[str, int]:
    """Counts of one call that do not contradict each other, some of them left out."""
    total = rng.choice((*LENGTHS, rng.randrange(400_000), rng.randrange(400_000)))
    if rng.random() < 0.03:
        total = rng.choice(HUGE)
    read = rng.randint(0, total)
    write = rng.randint(0, total - read)
    hour = rng.randint(0, write)
    five = rng.randint(0, write - hour)
    audio_read = rng.randint(0, read)
    audio = audio_read + rng.randint(0, total - read - write)
    output = rng.choice((0, 1, 500, rng.randrange(100_000)))
    reasoning = rng.randint(0, output)
    tokens = {"input_tokens": total, "output_tokens": output}
    if rng.random() < 0.6:
        tokens["cache_read_tokens"] = read
    if rng.random() < 0.6:
        tokens |= {"cache_write_tokens": write}
        if rng.random() < 0.6:
            tokens |= {"cache_write_1h_tokens": hour}
        if rng.random() < 0.3:
            tokens |= {"cache_write_5m_tokens": five}
    if rng.random() < 0.4:
        tokens["reasoning_tokens"] = reasoning
    if rng.random() < 0.2:
        tokens["output_audio_tokens"] = rng.randint(0, output - reasoning)
    if rng.random() < 0.25 and "cache_read_tokens" in tokens and "cache_write_tokens" in tokens:
        tokens |= {"input_audio_tokens": audio, "cache_read_audio_tokens": audio_read}
    return tokens


def random_extras(rng: Random, priced: set[str]) -> dict[str, int | float | Decimal]:
    """Further billed units, mostly ones that the model has a price for."""
    extras: dict[str, int | float | Decimal] = {}
    for name in (
        "web_searches",
        "storage_searches",
        "input_text_messages",
        "input_characters",
        "input_pixels",
    ):
        if rng.random() < (0.6 if name in priced else 0.03):
            extras[name] = rng.randrange(5000)
    if rng.random() < (0.8 if "input_document_pages" in priced else 0.03):
        pages = rng.randrange(2000)
        extras |= {"input_document_pages": pages, "input_annotated_document_pages": rng.randint(0, pages)}
    if rng.random() < (0.9 if "audio_seconds" in priced else 0.03):
        seconds: Any = rng.choice((3, 7.25, Decimal("61.05"), rng.random() * 4000, rng.randrange(90_000)))
        extras["audio_seconds"] = seconds
        if rng.random() < 0.5:
            extras["input_audio_seconds"] = seconds
    return extras


def random_usage(rng: Random, model: ModelInfo) -> Usage:
    priced = set(price_keys(model))
    tokens = random_tokens(rng)
    extras = random_extras(rng, {name for key, name in BILLED.items() if key in priced})
    if rng.random() < 0.1:
        name = rng.choice(("cache_read_tokens", "reasoning_tokens", "input_audio_tokens"))
        tokens[name] = rng.randrange(10**6)
    return Usage(**tokens, extras=extras, **random_request(rng, model))  # type: ignore[arg-type]  # built above


BILLED = {
    "web_searches_kcount": "web_searches",
    "storage_searches_kcount": "storage_searches",
    "input_text_messages_kcount": "input_text_messages",
    "input_mchars": "input_characters",
    "input_gpixels": "input_pixels",
    "input_document_kpages": "input_document_pages",
    "audio_hours": "audio_seconds",
}


def price_keys(model: ModelInfo) -> Iterator[str]:
    sheets = [entry.prices for entry in model.prices] if isinstance(model.prices, list) else [model.prices]
    for sheet in sheets:
        yield from (key for key, value in vars(sheet).items() if value is not None)


def random_request(rng: Random, model: ModelInfo) -> dict[str, Any]:
    """A service tier, a batch or another property, mostly one that the model has a price for."""
    known = [variant.when for variant in model.price_variants or ()]
    if known and rng.random() < 0.7:
        when = rng.choice(known)
    elif rng.random() < 0.3:
        when = rng.choice(({"service_tier": "flex"}, {"processing": "batch"}, {"route": "elsewhere"}))
    else:
        return {}
    request: dict[str, Any] = {}
    context = dict(when)
    if context.get("processing") == "batch" and rng.random() < 0.5:
        request["batch"] = True
        del context["processing"]
    if "service_tier" in context and rng.random() < 0.5:
        request["service_tier"] = context.pop("service_tier")
    return {**request, "context": context} if context else request


def genai_context(usage: Usage) -> dict[str, str]:
    context = dict(usage.context)
    if usage.service_tier:
        context.setdefault("service_tier", usage.service_tier)
    if usage.service_tier == "fast":
        context.setdefault("speed", "fast")
    if usage.batch:
        context.setdefault("processing", "batch")
    return context


def moments(rng: Random, model: ModelInfo) -> list[datetime]:
    """Every boundary between prices with the instants beside it, and some random times, in several zones."""
    found = [datetime(2024, 1, 1, tzinfo=UTC) + timedelta(seconds=rng.randrange(4 * 365 * 86_400))]
    constraints = [entry.constraint for entry in model.prices] if isinstance(model.prices, list) else []
    constraints += [variant.constraint for variant in model.price_variants or ()]
    days = {c.start_date for c in constraints if isinstance(c, StartDateConstraint)}
    for day in days:
        edge = datetime.combine(day, time(), UTC)
        found += [edge - timedelta(microseconds=1), edge, edge + timedelta(hours=rng.randrange(48))]
    for constraint in constraints:
        if isinstance(constraint, TimeOfDateConstraint):
            day = rng.choice([*days, date(2025, 5, 5)]) + timedelta(days=rng.randrange(-3, 4))
            for edge_time in (constraint.start_time, constraint.end_time):
                edge = datetime.combine(day, edge_time)
                edge = edge if edge.tzinfo else edge.replace(tzinfo=UTC)
                found += [edge - timedelta(microseconds=1), edge, edge + timedelta(microseconds=1)]
    zones = (UTC, timezone(timedelta(hours=8)), timezone(timedelta(hours=-7, minutes=-30)))
    return [moment.astimezone(rng.choice(zones)) for moment in found]


def genai_price(
    provider: Provider, model: ModelInfo, usage: Usage, at: datetime
) -> tuple[Decimal, Decimal, Decimal]:
    """What genai-prices charges: the whole, input, output."""
    calculation = model.calc_price(
        to_genai(usage), provider, genai_request_timestamp=at, price_context=genai_context(usage)
    )
    return calculation.total_price, calculation.input_price, calculation.output_price
