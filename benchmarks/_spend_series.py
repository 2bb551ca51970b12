"""Calls with a daily and weekly rhythm, tails, and changes that are known."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from tokenomics_core import Attribution, SpendRecord, Usage

START = datetime(2026, 8, 3, tzinfo=UTC)  # a Monday
PER_DAY = 1_000
Change = Callable[[int], float]


def unchanged(_: int) -> float:
    return 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """How log costs vary: noise of one hour, its correlation, its tail, and the rhythm of its mean."""

    name: str
    sigma: float = 0.6
    phi: float = 0.0
    rhythm: float = 0.3
    tail: str = "lognormal"


SHAPES = (
    Shape(name="lognormal, rhythm x1.35"),
    Shape(name="autocorrelated, phi 0.7", phi=0.7),
    Shape(name="strong rhythm x1.8", rhythm=0.6),
    Shape(name="wide, sigma 1.2", sigma=1.2),
    Shape(name="Pareto tail, index 1.25", sigma=0.8, tail="pareto"),
    Shape(name="two models, 1 to 12", sigma=0.4, tail="two models"),
)


def calls(
    count: int, seed: int, shape: Shape, *, cost: Change = unchanged, rate: Change = unchanged
) -> Iterator[SpendRecord]:
    """Yield calls whose cost and rate are multiplied by what a change says of their number."""
    rng = random.Random(f"{seed}/{shape.name}")
    at, noise = START, 0.0
    for number in range(count):
        hour, weekend = at.hour + at.minute / 60, at.weekday() >= 5
        swing = (1 + 0.8 * math.sin((hour - 9) / 24 * 2 * math.pi)) * (0.5 if weekend else 1)
        at += timedelta(seconds=rng.expovariate(PER_DAY / 86_400 * swing * rate(number)))
        fresh = rng.expovariate(1) - 1 if shape.tail == "pareto" else rng.gauss(0, 1)
        noise = shape.phi * noise + math.sqrt(1 - shape.phi**2) * fresh
        log_usd = math.log(0.01) + shape.sigma * noise - (0.2 if weekend else 0) + math.log(cost(number))
        log_usd += shape.rhythm * math.sin((hour - 14) / 24 * 2 * math.pi)
        if shape.tail == "two models" and rng.random() < 0.2:
            log_usd += math.log(12)
        usd = Decimal(repr(round(math.exp(log_usd), 12)))
        yield SpendRecord(
            at=at,
            model="gpt-4o",
            usage=Usage(input_tokens=max(1, int(usd * 400_000)), output_tokens=0),
            cost_usd=usd,
            price_source="generated",
            attribution=Attribution(feature="chat"),
            id=str(number),
        )
