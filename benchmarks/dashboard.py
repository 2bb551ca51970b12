"""How soon a dashboard answers over a large ledger, beside asking the ledger anew for every look.

Method: a SQLite ledger of `--calls` calls, all in the last 20 days, four models, five features and thousands
of users, is written with the seed below. A dashboard is opened over it and asked over HTTP as a browser does:
until the first answer (today), until the whole month is in it, and then 200 times in a row, while reading
goes on. Beside it, in the same run, is what a page that reads at every look would wait for: the same sums of
the month by the ledger's own `totals_by`, one after the other. Memory is the peak of the process, above that
before the dashboard was opened; writing has a process of its own.

python benchmarks/dashboard.py
python benchmarks/dashboard.py --calls 100000
"""

from __future__ import annotations

import argparse
import json
import platform
import random
import resource
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from tokenomics_core import Attribution, SpendRecord, Usage
from tokenomics_core.ledger import SQLiteLedger
from tokenomics_core.observability.dashboard import Dashboard

MODELS = ("model-a", "model-b", "model-c", "model-d")
FEATURES = ("chat", "search", "mail", "code", "sum")


def draw(rng: random.Random, count: int, now: datetime) -> Iterator[SpendRecord]:
    start = now - timedelta(days=20)
    for number in range(count):
        hit = rng.random() < 0.2
        yield SpendRecord(
            at=start + (now - start) * (number / count),
            model=rng.choice(MODELS),
            provider="provider",
            usage=Usage(input_tokens=rng.randrange(100, 5000), output_tokens=rng.randrange(10, 800)),
            cost_usd=Decimal(0) if hit else Decimal(rng.randrange(10**9)).scaleb(-11),
            price_source="a price list",
            source="cache" if hit else "model",
            avoided_usd=Decimal(rng.randrange(10**8)).scaleb(-11) if hit else None,
            avoided_by="cache" if hit else None,
            attribution=Attribution(
                user=f"user-{int(rng.paretovariate(0.7)) % 20_000}",
                feature=rng.choice(FEATURES),
                project=rng.choice(("shop", "library")),
                run=f"run-{number // 3}",
            ),
            id=f"{number:032x}",
        )


def fill(path: str, count: int, seed: int) -> None:
    with SQLiteLedger(path) as ledger:
        ledger._record_all(draw(random.Random(seed), count, datetime.now(UTC)))


def look(url: str) -> dict:
    """Return the data, as soon as there are any."""
    while True:
        try:
            with urllib.request.urlopen(f"{url}data.json", timeout=60) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            if error.code != 503:
                raise


def anew(ledger: SQLiteLedger, since: datetime) -> float:
    """Return seconds for the sums that the page shows."""
    start = time.perf_counter()
    for dimension in ("model", "feature", "project", "user", "avoided_by"):
        ledger.totals_by(dimension, since=since)
    ledger.totals_by(bucket="day", since=since)
    ledger.totals(since=since)
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--calls", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "ledger.db")
        # In a process of its own, so that what writing takes is not taken for what reading takes.
        code = f"from benchmarks.dashboard import fill; fill({path!r}, {arguments.calls}, {arguments.seed})"
        subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[1])
        with SQLiteLedger(path) as ledger:
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            with Dashboard(ledger) as dashboard:
                start = time.perf_counter()
                document = look(dashboard.url)
                first = time.perf_counter() - start
                while not document["complete"]:
                    document = look(dashboard.url)
                month = time.perf_counter() - start
                looks = []
                for _ in range(200):
                    began = time.perf_counter()
                    look(dashboard.url)
                    looks.append(time.perf_counter() - began)
            memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
            each = anew(ledger, datetime.now(UTC) - timedelta(days=31))
    print(
        f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, {arguments.calls:,} calls, "
        f"seed {arguments.seed}"
    )
    median, worst = statistics.median(looks), max(looks)
    print(f"  first answer, today             {first:9.3f} s")
    print(f"  the whole month                 {month:9.3f} s")
    print(f"  a look from then on, median     {median:9.4f} s, slowest of 200 {worst:.4f} s")
    print(f"  the ledger asked at every look  {each:9.3f} s, {each / median:,.0f}x the median look")
    print(f"  memory                          {memory / 1024:9.1f} MiB more")


if __name__ == "__main__":
    main()
