"""Claim: a report of many calls stays quick: a sum costs nothing to ask for, a table one pass.

Method: records of several models, features and users are put into a `CostReport`; then the total, a
grouping, the text and the page are asked for, and beside each `sum()` over the list of the same records'
costs, which is the least that any sum could take. Medians of several rounds in rotation. Printed: seconds
and the ratio to that plain sum; the bar is a second for the text and for the page of 50,000 records.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from tokenomics_core import Attribution, SpendRecord, Usage
from tokenomics_core.observability import CostReport

START = datetime(2026, 11, 1, tzinfo=UTC)
BAR_S = 1.0


def record(at: int, chance: random.Random, n_users: int) -> SpendRecord:
    tokens = chance.randrange(100, 20_000)
    return SpendRecord(
        at=START + timedelta(seconds=at),
        model=f"model-{chance.randrange(6)}",
        usage=Usage(input_tokens=tokens, output_tokens=tokens // 8, cache_read_tokens=tokens // 2),
        cost_usd=Decimal(tokens) * Decimal("0.0000025"),
        price_source="prices of the benchmark",
        attribution=Attribution(
            user=f"user-{chance.randrange(n_users)}", feature=f"feature-{chance.randrange(5)}", run=f"{at}"
        ),
    )


def seconds(action: Callable[[], object]) -> float:
    begin = time.perf_counter()
    action()
    return time.perf_counter() - begin


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=50_000)
    parser.add_argument("--users", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=7)
    args = parser.parse_args()
    chance = random.Random(args.seed)
    records = [record(at, chance, args.users) for at in range(args.records)]
    report = CostReport()

    filling_s = seconds(lambda: [report.add(item) for item in records])
    ways: dict[str, Callable[[], object]] = {
        "plain sum over the list": lambda: sum(item.cost_usd or 0 for item in records),
        "total_usd": lambda: report.total_usd,
        "totals": lambda: report.totals,
        'by("user")': lambda: report.by("user"),
        "str()": lambda: str(report),
        "page": report._repr_html_,
    }
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(args.rounds):
        for name, way in ways.items():
            times[name].append(seconds(way))
    print(
        f"{args.records:,} records, {args.users:,} users, seed {args.seed}; median of {args.rounds} rounds; "
        f"adding a record took {filling_s / args.records * 1e6:.2f} us"
    )
    medians = {name: statistics.median(measured) for name, measured in times.items()}
    plain_s = medians["plain sum over the list"]
    for name, median_s in medians.items():
        print(f"  {name:25} {median_s * 1e3:10.4f} ms = {median_s / plain_s:8.4f}x of a plain sum")
    held = max(medians["str()"], medians["page"]) * 50_000 / args.records < BAR_S
    print(f"bar: text and page of 50,000 records within {BAR_S} s: {'held' if held else 'MISSED'}")
    sys.exit(0 if held else 1)


if __name__ == "__main__":
    main()
