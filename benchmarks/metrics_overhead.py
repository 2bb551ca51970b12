"""What installed metrics add to recording a call, beside OpenTelemetry's own instruments used by hand.

Method: one call is started and finished in a `CallTracker` that fills a report, `--calls` times, with metrics
off, with metrics on, and with metrics on inside a recording span. Beside it the same measurements are made by
hand: two counters and three histogram records with attributes that were made before. The ways take turns in
every round; the median over rounds is shown. Calls differ in feature, so that several series grow.

python benchmarks/metrics_overhead.py
"""

from __future__ import annotations

import argparse
import platform
import random
import statistics
import time
from collections.abc import Callable
from contextlib import nullcontext
from importlib.metadata import version

from opentelemetry.metrics import Meter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider

from tokenomics_core import Attribution, Usage
from tokenomics_core.observability import CallEnd, CallStart, CallTracker, CostReport, install_metrics
from tokenomics_core.pricing import PriceBook

FEATURES = ("chat", "search", "mail", "code")
USAGE = Usage(input_tokens=1200, output_tokens=300)
NAMES = {"gen_ai.provider.name": "openai", "gen_ai.response.model": "gpt-4o"}


def tracked(features: list[str], prices: PriceBook) -> float:
    """Return seconds per call of a tracker."""
    tracker = CallTracker(CostReport(prices=prices).add, prices=prices, bills=True)
    who = {feature: Attribution(feature=feature, project="shop") for feature in FEATURES}
    start = time.perf_counter()
    for index, feature in enumerate(features):
        key = str(index)
        tracker.start(CallStart(key=key, model="gpt-4o", provider="openai", attribution=who[feature]))
        tracker.finish(key, CallEnd(usage=USAGE))
    return (time.perf_counter() - start) / len(features)


def by_hand(features: list[str], meter: Meter) -> float:
    """Return seconds per call of bare instruments."""
    calls, cost = meter.create_counter("calls"), meter.create_counter("cost")
    tokens, duration = meter.create_histogram("tokens"), meter.create_histogram("duration")
    base = {feature: {**NAMES, "feature": feature, "project": "shop"} for feature in FEATURES}
    kinds = {
        feature: ({**labels, "gen_ai.token.type": "input"}, {**labels, "gen_ai.token.type": "output"})
        for feature, labels in base.items()
    }
    start = time.perf_counter()
    for feature in features:
        labels, (input_labels, output_labels) = base[feature], kinds[feature]
        calls.add(1, labels)
        cost.add(0.006, labels)
        tokens.record(1200, input_labels)
        tokens.record(300, output_labels)
        duration.record(0.7, labels)
    return (time.perf_counter() - start) / len(features)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--calls", type=int, default=3000)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args()
    features = random.Random(arguments.seed).choices(FEATURES, k=arguments.calls)
    prices = PriceBook()
    provider = MeterProvider([InMemoryMetricReader()], shutdown_on_exit=False)
    meter = provider.get_meter("by hand")
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("application")

    def on(spans: bool) -> float:
        with install_metrics(provider, spans=spans):
            block = tracer.start_as_current_span("request") if spans else nullcontext()
            with block:
                return tracked(features, prices)

    ways: dict[str, Callable[[], float]] = {
        "metrics off": lambda: tracked(features, prices),
        "metrics on": lambda: on(spans=False),
        "metrics on, in a recording span": lambda: on(spans=True),
        "bare instruments by hand": lambda: by_hand(features, meter),
    }
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(arguments.rounds):
        for name, way in ways.items():
            taken[name].append(way())
    us = {name: statistics.median(values) * 1e6 for name, values in taken.items()}
    print(__doc__.strip().splitlines()[0])
    print(
        f"Python {platform.python_version()}, opentelemetry-sdk {version('opentelemetry-sdk')}, "
        f"{arguments.calls:,} calls, {arguments.rounds} rounds, seed {arguments.seed}"
    )
    for name, value in us.items():
        print(f"  {name:<34}{value:8.1f} us per call")
    added = us["metrics on"] - us["metrics off"]
    spanned = us["metrics on, in a recording span"] - us["metrics on"]
    bare = us["bare instruments by hand"]
    print(
        f"Metrics add {added:.1f} us, {added / bare:.2f}x the bare instruments; a span {spanned:.1f} us more."
    )


if __name__ == "__main__":
    main()
