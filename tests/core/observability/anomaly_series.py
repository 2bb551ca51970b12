"""Calls with a rhythm, tails and changes that are known, for tests and benchmarks of watching."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from tokenomics_core import Attribution, SpendRecord, Usage

START = datetime(2026, 9, 7, tzinfo=UTC)  # a Monday


def calls(
    count: int,
    *,
    seed: int,
    sigma: float = 0.6,
    phi: float = 0.0,
    rhythm: float = 0.3,
    per_day: float = 1_000,
    tail: str = "lognormal",
    factor: Callable[[int], float] = lambda _: 1.0,
    rate: Callable[[int], float] = lambda _: 1.0,
    feature: str = "chat",
) -> Iterator[SpendRecord]:
    """Yield calls whose log cost has a daily and weekly rhythm, AR(1) noise and changes by number of call.

    Args:
        count: How many.
        seed: Of everything random.
        sigma: Standard deviation of the log cost at one hour.
        phi: Its correlation from call to call.
        rhythm: By how much its mean swings over a day; nights and weekends are cheaper.
        per_day: Calls on a working day; nights have few, weekends half.
        tail: `lognormal`, or `pareto` for log costs with an exponential tail.
        factor: What the cost of a call is multiplied by.
        rate: What the rate is multiplied by at a call.
        feature: Whose calls they are.
    """
    rng = random.Random(seed)
    at, noise = START, 0.0
    for number in range(count):
        hour, is_weekend = at.hour + at.minute / 60, at.weekday() >= 5
        swing = 1 + 0.8 * math.sin((hour - 9) / 24 * 2 * math.pi)
        per_second = per_day / 86_400 * swing * (0.5 if is_weekend else 1) * rate(number)
        at += timedelta(seconds=rng.expovariate(per_second))
        fresh = rng.gauss(0, 1) if tail == "lognormal" else rng.expovariate(1) - 1
        noise = phi * noise + math.sqrt(1 - phi * phi) * fresh
        log_usd = math.log(0.01) + sigma * noise - (0.2 if is_weekend else 0)
        log_usd += rhythm * math.sin((hour - 14) / 24 * 2 * math.pi) + math.log(factor(number))
        usd = math.exp(log_usd)
        yield SpendRecord(
            at=at,
            model="gpt-4o",
            usage=Usage(input_tokens=max(1, round(usd * 4e5)), output_tokens=0),
            cost_usd=Decimal(repr(round(usd, 12))),
            price_source="generated",
            attribution=Attribution(feature=feature),
            id=f"{feature}-{number}",
        )
