"""How soon a change of spending is noticed, how often nothing is, and whether the reason is right.

Method: series of calls of one feature with 1,000 calls on a working day, nights with few and weekends with
half of them, log costs with a rhythm of day and week, noise and a tail (see _spend_series.py), every seed
another series. Nothing changes in the first three weeks, which are also what is learned from.

Detectors, all told of the same calls in the same run, and all with one alarm until 20 calls were in order:
- `watch`: AnomalyWatch with its defaults, which state one false alarm in 100,000 calls for single calls and
  for the level, and one in 365 days for the rate.
- `10x`: a call above 10 times the median of the last 500 calls of its feature.
- `EMA z`: a call, or an hour's number of calls, more than 3 standard deviations above an exponential moving
  average (weight 0.05), which learns from every call, as packages of this field do.

False alarms: alarms in the three weeks without a change, per 1,000 calls. Changes: how many series are
noticed within two days of calls, and after how many calls (median, and the slowest noticed); a detector that
alarms anyway is sometimes right by chance, so that what it would have noticed without any change is shown
beside it. Drivers: of 200 changes with a known cause and noise, how many have it as their main driver, and
how many parts add up exactly. Forecast: share of 90% intervals that hold the truth, over generated daily
totals, by how many days were known. Hold-out: share of 95% intervals that hold the true saving per call.

Run: python benchmarks/anomalies.py [--seeds 8] [--forecasts 40]
"""

from __future__ import annotations

import argparse
import math
import random
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from statistics import median

from _spend_series import SHAPES, Change, Shape, calls, unchanged

from tokenomics_core import Attribution, SpendRecord, Usage
from tokenomics_core.ledger import MemoryLedger, SQLiteLedger
from tokenomics_core.observability.savings import HoldOut, savings
from tokenomics_core.observability.watching import AnomalyWatch, CallSums, explain_change, forecast_days
from tokenomics_core.pricing import PriceBook

SEED = 20261121
QUIET = 18_000  # three weeks
AFTER = 2_000
Detector = Callable[[SpendRecord], bool]


# Detectors


def watch() -> Detector:
    watching = AnomalyWatch(dimensions=("feature",))
    return lambda record: bool(watching.add(record))


class OneAlarm:
    """Alarms once until 20 calls in a row were in order."""

    def __init__(self) -> None:
        self.quiet = QUIET

    def __call__(self, stands_out: bool) -> bool:
        is_new = stands_out and self.quiet >= 20
        self.quiet = 0 if stands_out else self.quiet + 1
        return is_new


def plain() -> Detector:
    latest: deque[float] = deque(maxlen=500)
    alarm, middle, age = OneAlarm(), math.inf, 0

    def judge(record: SpendRecord) -> bool:
        nonlocal middle, age
        usd = float(record.cost_usd or 0)
        if age % 20 == 0 and len(latest) >= 20:  # a median of 500 changes little in 20 calls
            middle = median(latest)
        age += 1
        latest.append(usd)
        return alarm(usd > 10 * middle)

    return judge


class Ema:
    def __init__(self, weight: float = 0.05) -> None:
        self.weight, self.mean, self.square, self.seen = weight, 0.0, 0.0, 0

    def above(self, value: float) -> bool:
        spread = math.sqrt(self.square)
        is_above = self.seen >= 20 and value > self.mean + 3 * spread
        off = value - self.mean
        step = max(self.weight, 1 / (self.seen + 1))
        self.mean += step * off
        self.square = (1 - step) * (self.square + step * off * off)
        self.seen += 1
        return is_above


def ema() -> Detector:
    costs, rates, alarm = Ema(), Ema(), OneAlarm()
    hour: datetime | None = None
    count = 0

    def judge(record: SpendRecord) -> bool:
        nonlocal hour, count
        here = record.at.replace(minute=0, second=0, microsecond=0)
        is_rate = hour is not None and here != hour and rates.above(count)
        hour, count = here, count + 1 if here == hour else 1
        return alarm(costs.above(float(record.cost_usd or 0)) or is_rate)

    return judge


DETECTORS: dict[str, Callable[[], Detector]] = {"watch": watch, "10x": plain, "EMA z": ema}


# False alarms and delays


@dataclass(frozen=True, slots=True)
class Planted:
    name: str
    cost: Change = unchanged
    rate: Change = unchanged
    spike: float = 0.0


def from_quiet(factor: float) -> Change:
    return lambda number: factor if number >= QUIET else 1.0


def drifting(number: int) -> float:
    return math.exp(max(0, number - QUIET) / 5_000 * math.log(2))


CHANGES = (
    Planted("level x1.5", cost=from_quiet(1.5)),
    Planted("level x2", cost=from_quiet(2)),
    Planted("level x5", cost=from_quiet(5)),
    Planted("rate x2", rate=from_quiet(2)),
    Planted("rate x5", rate=from_quiet(5)),
    Planted("drift x2 in 5 days", cost=drifting),
    Planted("one call x20 its median", spike=20),
    Planted("one call x50 its median", spike=50),
    Planted("nothing"),
)


def false_alarms(seeds: int) -> None:
    print(f"False alarms per 1,000 calls, {seeds} x {QUIET:,} calls without a change\n")
    print(f"{'series':28}" + "".join(f"{name:>10}" for name in DETECTORS))
    for shape in SHAPES:
        counts = dict.fromkeys(DETECTORS, 0)
        for seed in range(seeds):
            judges = {name: make() for name, make in DETECTORS.items()}
            for record in calls(QUIET, SEED + seed, shape):
                for name, judge in judges.items():
                    counts[name] += judge(record)
        rates = (1_000 * count / seeds / QUIET for count in counts.values())
        print(f"{shape.name:28}" + "".join(f"{rate:>10.3f}" for rate in rates), flush=True)
    print("\nstated for `watch`: at most 0.020 for calls and levels together, and one a year for the rate\n")


def spiked(records: Iterator[SpendRecord], planted: Planted) -> Iterator[SpendRecord]:
    for number, record in enumerate(records):
        if planted.spike and number == QUIET:
            yield replace(record, cost_usd=Decimal("0.01") * Decimal(planted.spike))
        else:
            yield record


def delays(seeds: int, shape: Shape) -> None:
    print(f"Noticed of {seeds}, and calls until then (median, slowest): {shape.name}\n")
    print(f"{'change':26}" + "".join(f"{name:>20}" for name in DETECTORS))
    for planted in CHANGES:
        after = 1 if planted.spike else AFTER
        found: dict[str, list[int]] = {name: [] for name in DETECTORS}
        for seed in range(seeds):
            judges = {name: make() for name, make in DETECTORS.items()}
            some = calls(QUIET + after, SEED + seed, shape, cost=planted.cost, rate=planted.rate)
            for number, record in enumerate(spiked(some, planted)):
                for name, judge in list(judges.items()):
                    if judge(record) and number >= QUIET:
                        found[name].append(number - QUIET)
                        del judges[name]
        cells = (
            f"{len(late)}  {median(late):>5.0f} {max(late):>5}" if late else "0      -     -"
            for late in found.values()
        )
        print(f"{planted.name:26}" + "".join(f"{cell:>20}" for cell in cells), flush=True)
    print()


# Drivers

BOOK = PriceBook()


def some_calls(
    rng: random.Random,
    count: int,
    *,
    tokens: float = 1,
    dear: float = 0.2,
    read: float = 0.5,
    hits: float = 0.3,
    price: float = 1,
) -> Iterator[SpendRecord]:
    for _ in range(count):
        model = "gpt-4o" if rng.random() < dear else "gpt-4o-mini"
        inputs = max(1, int(2_000 * tokens * rng.lognormvariate(0, 0.5)))
        usage = Usage(
            input_tokens=inputs,
            cache_read_tokens=int(inputs * read * rng.uniform(0.8, 1.2)),
            output_tokens=max(1, int(300 * tokens * rng.lognormvariate(0, 0.5))),
        )
        is_hit = rng.random() < hits
        usd = BOOK.cost(usage, model).total_usd
        assert usd is not None
        yield SpendRecord(
            at=datetime(2026, 11, 1, tzinfo=UTC),
            model=model,
            usage=usage,
            cost_usd=Decimal(0) if is_hit else usd * Decimal(str(price)),
            price_source="generated",
            source="cache" if is_hit else "model",
        )


CAUSES: dict[str, dict[str, float]] = {
    "volume": {"count": 900},
    "tokens": {"tokens": 1.6},
    "model_mix": {"dear": 0.5},
    "prompt_cache": {"read": 0.0},
    "cache_hits": {"hits": 0.0},
    "price": {"price": 1.5},
}


def drivers() -> None:
    print("Drivers: main driver right, and parts that add up exactly, of 200 changes of 600 calls\n")
    for cause, settings in CAUSES.items():
        right = exact = 0
        for number in range(200):
            rng = random.Random(f"{SEED}/{cause}/{number}")
            now = {"count": 600, **settings}
            before = CallSums.of(some_calls(rng, 600))
            change = explain_change(
                before, CallSums.of(some_calls(rng, int(now.pop("count")), **now)), prices=BOOK
            )
            right += change.main_driver == cause
            exact += sum(change.parts.values()) == change.change_usd
        print(f"{cause:16}{right:>6} right {exact:>6} exact", flush=True)
    print()


# Forecast

WEEK = (1.0, 1.1, 1.1, 1.0, 0.9, 0.3, 0.25)
KNOWN = (5, 7, 14, 30, 60)
DAYS: dict[str, dict[str, float]] = {
    "weekdays, noise 15%": {},
    "weekdays, noise 50%": {"sigma": 0.5},
    "one day in 25 x2 to x5": {"wild": 0.04},
    "level wanders 3% a day": {"wander": 0.03},
    "grows 1% a day": {"growth": 0.01},
    "correlated 0.6, noise 30%": {"sigma": 0.3, "phi": 0.6},
}


def daily(
    seed: int,
    *,
    sigma: float = 0.15,
    wild: float = 0,
    wander: float = 0,
    growth: float = 0,
    phi: float = 0,
) -> dict[date, Decimal]:
    rng, level, noise, days = random.Random(SEED + seed), 0.0, 0.0, {}
    for number in range(90):
        day = date(2026, 9, 1) + timedelta(days=number)
        level += rng.gauss(growth, wander)
        noise = phi * noise + math.sqrt(1 - phi * phi) * rng.gauss(0, 1)
        usd = 100 * WEEK[day.weekday()] * math.exp(level + sigma * noise)
        usd *= rng.choice((2, 3, 5)) if rng.random() < wild else 1
        days[day] = Decimal(repr(round(usd, 6)))
    return days


def forecasts(count: int) -> None:
    print(f"Forecast of 18 days: share of {count} 90% intervals that hold the truth / their median width\n")
    print(f"{'days':28}" + "".join(f"{f'{known} known':>14}" for known in KNOWN))
    for name, settings in DAYS.items():
        cells = []
        for known in KNOWN:
            held, widths = 0, []
            for seed in range(count):
                days = daily(seed, **settings)
                order = sorted(days)
                today, last = order[60], order[77]
                past = {day: days[day] for day in order[60 - known : 60]}
                said = forecast_days(
                    past, first=today, last=last, today=today, at=datetime(2026, 11, 1, tzinfo=UTC)
                )
                truth = sum(days[day] for day in order[60:78])
                assert said.low_usd is not None
                assert said.high_usd is not None
                held += said.low_usd <= truth <= said.high_usd
                widths.append(float((said.high_usd - said.low_usd) / truth))
            cells.append(f"{held / count:>8.0%} {median(widths):>5.2f}")
        print(f"{name:28}" + "".join(f"{cell:>14}" for cell in cells), flush=True)
    print()


# Hold-out


def hold_outs(count: int) -> None:
    """Draw conversations of uneven length and cost, of which those that are treated cost 30% less."""
    held, shares = 0, []
    for seed in range(count):
        rng, hold_out, records = random.Random(SEED + seed), HoldOut(share=0.1), []
        for number in range(600):
            name, usual = f"{seed}-{number}", 0.01 * rng.lognormvariate(0, 0.8)
            for _ in range(rng.randint(1, 8)):
                usd = usual * rng.lognormvariate(0, 0.4) * (1 if hold_out.left_alone(name) else 0.7)
                records.append(
                    SpendRecord(
                        at=datetime(2026, 11, 1, tzinfo=UTC),
                        model="gpt-4o",
                        usage=Usage(),
                        cost_usd=Decimal(repr(round(usd, 12))),
                        price_source="generated",
                        attribution=Attribution(conversation=name),
                    )
                )
        measured = savings(records, hold_out=hold_out).measured
        assert measured is not None
        assert measured.low_usd is not None
        assert measured.high_usd is not None
        truth = 0.3 * 0.01 * math.exp(0.8**2 / 2) * math.exp(0.4**2 / 2)
        held += float(measured.low_usd) <= truth <= float(measured.high_usd)
        shares.append(float(measured.high_usd - measured.low_usd) / truth)
    print(
        f"Hold-out of 10% of 600 conversations: {held / count:.0%} of {count} 95% intervals hold the true "
        f"saving per call; median width {median(shares):.1f} times the saving"
    )


# Overhead


def overhead() -> None:
    """Compare what a watch over three dimensions takes per record with writing it to ledgers, in turns."""
    some = list(calls(4_000, SEED, SHAPES[0]))
    watching, memory = AnomalyWatch(), MemoryLedger()
    with tempfile.TemporaryDirectory() as folder, SQLiteLedger(f"{folder}/ledger.db") as disk:
        steps = {"watch": watching.add, "memory": memory.record, "SQLite": disk.record}
        taken = dict.fromkeys(steps, 0.0)
        for start in range(0, len(some), 200):
            for name, step in steps.items():
                before = time.perf_counter()
                for record in some[start : start + 200]:
                    step(record)
                taken[name] += time.perf_counter() - before
    disk_times, memory_times = (taken["watch"] / taken[name] for name in ("SQLite", "memory"))
    print(f"Watching a record takes {disk_times:.2f} times what a SQLiteLedger takes to write it,")
    print(f"and {memory_times:.1f} times what a MemoryLedger does\n")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--forecasts", type=int, default=40)
    given = parser.parse_args(arguments)
    print(f"seed {SEED}\n")
    false_alarms(given.seeds)
    for shape in (SHAPES[0], SHAPES[1]):
        delays(given.seeds, shape)
    drivers()
    overhead()
    forecasts(given.forecasts)
    hold_outs(5 * given.forecasts)


if __name__ == "__main__":
    main()
