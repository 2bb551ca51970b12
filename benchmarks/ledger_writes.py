"""What recording a call costs beside a bare sqlite3 insert, and what sums over 100,000 calls cost.

Method: the same records (drawn with the seed below) go to each writer in rounds of 1,000, the order of the
writers shuffled in every round, so that drift of the machine hits all alike; the median round counts. `bare`
is sqlite3 alone: WAL, synchronous=NORMAL, one autocommitted INSERT of six prepared columns into a table with
no index but its rowid; `bare, same table` inserts prepared rows into the ledger's own table of 27 columns and
three indexes, so that the difference to the ledger is what Python does. Each writer has its own file in a
temporary directory. `later` includes writing everything out at the end of the round. Sums: median of 5 over
one ledger of 100,000 records, beside `SELECT model, sum(cost)` over floats in a bare table of as many rows.
Run: python benchmarks/ledger_writes.py
"""

from __future__ import annotations

import asyncio
import platform
import random
import sqlite3
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from tokenomics_core import Attribution, SpendRecord, Usage
from tokenomics_core.ledger import MemoryLedger, SQLiteLedger
from tokenomics_core.ledger._entry import admit
from tokenomics_core.ledger._rows import INSERT, to_row

SEED = 20261103
ROUND = 1_000
N_ROUNDS = 15
N_SUMMED = 100_000
BARE_TABLE = "CREATE TABLE calls (id TEXT, at REAL, model TEXT, user TEXT, cost REAL, tokens INTEGER)"
MODELS = ("model-a", "model-b", "model-c", "model-d")


def draw(rng: random.Random, number: int) -> SpendRecord:
    tokens, tier = rng.randrange(200, 8_000), rng.choice(["basic", "power"])
    return SpendRecord(
        at=datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=number * 30),
        model=rng.choice(MODELS),
        provider="provider",
        usage=Usage(
            input_tokens=tokens, output_tokens=rng.randrange(20, 900), cache_read_tokens=rng.randrange(200)
        ),
        cost_usd=Decimal(rng.randrange(10**9)).scaleb(-11),
        price_source="a price list of 2026-11",
        attribution=Attribution(user=f"user-{rng.randrange(500)}", feature="chat", tags={"user_tier": tier}),
        latency_s=rng.random(),
        id=f"{rng.getrandbits(128):032x}",
    )


def bare_connection(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    return connection


def bare_writer(path: Path) -> Callable[[list[SpendRecord]], float]:
    connection = bare_connection(path)
    connection.execute(
        "CREATE TABLE calls (id TEXT, at REAL, model TEXT, user TEXT, cost REAL, tokens INTEGER)"
    )

    def write(records: list[SpendRecord]) -> float:
        rows = [
            (r.id, r.at.timestamp(), r.model, r.attribution.user, float(r.cost_usd), r.usage.input_tokens)
            for r in records
        ]
        started = time.perf_counter()
        for row in rows:
            connection.execute("INSERT INTO calls VALUES (?, ?, ?, ?, ?, ?)", row)
        return time.perf_counter() - started

    return write


def same_table_writer(path: Path) -> Callable[[list[SpendRecord]], float]:
    SQLiteLedger(path).close()
    connection = bare_connection(path)

    def write(records: list[SpendRecord]) -> float:
        rows = [to_row(admit(record, keep_content=False)) for record in records]
        started = time.perf_counter()
        for row in rows:
            connection.execute(INSERT, row)
        return time.perf_counter() - started

    return write


def ledger_writer(ledger: MemoryLedger | SQLiteLedger) -> Callable[[list[SpendRecord]], float]:
    def write(records: list[SpendRecord]) -> float:
        started = time.perf_counter()
        for record in records:
            ledger.record(record)
        if isinstance(ledger, SQLiteLedger):
            ledger.flush()
        return time.perf_counter() - started

    return write


def threaded_writer(ledger: SQLiteLedger) -> Callable[[list[SpendRecord]], float]:
    def write(records: list[SpendRecord]) -> float:
        def work(part: list[SpendRecord]) -> None:
            for record in part:
                ledger.record(record)

        threads = [threading.Thread(target=work, args=(records[number::16],)) for number in range(16)]
        started = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return time.perf_counter() - started

    return write


def async_writer(ledger: SQLiteLedger) -> Callable[[list[SpendRecord]], float]:
    async def gather(records: list[SpendRecord]) -> None:
        await asyncio.gather(*(ledger.arecord(record) for record in records))

    def write(records: list[SpendRecord]) -> float:
        started = time.perf_counter()
        asyncio.run(gather(records))
        return time.perf_counter() - started

    return write


def measure_writes(directory: Path, rng: random.Random) -> None:
    writers = {
        "bare sqlite3": bare_writer(directory / "bare.db"),
        "bare sqlite3, same table": same_table_writer(directory / "same.db"),
        "MemoryLedger": ledger_writer(MemoryLedger()),
        "SQLiteLedger": ledger_writer(SQLiteLedger(directory / "each.db")),
        "SQLiteLedger, later": ledger_writer(SQLiteLedger(directory / "later.db", flush_every_s=0.05)),
        "SQLiteLedger, 16 threads": threaded_writer(SQLiteLedger(directory / "threads.db")),
        "SQLiteLedger, arecord x 1000": async_writer(SQLiteLedger(directory / "async.db")),
        "SQLiteLedger, full": ledger_writer(SQLiteLedger(directory / "full.db", synchronous="full")),
    }
    seconds: dict[str, list[float]] = {name: [] for name in writers}
    for number in range(N_ROUNDS):
        records = [draw(rng, number * ROUND + index) for index in range(ROUND)]
        order = list(writers)
        rng.shuffle(order)
        for name in order:
            seconds[name].append(writers[name](records) / ROUND)
    bare = statistics.median(seconds["bare sqlite3"])
    print(f"{'writer':<30} {'us a record':>12} {'of bare':>8}")
    for name, times in seconds.items():
        median = statistics.median(times)
        print(f"{name:<30} {median * 1e6:>12.1f} {median / bare:>8.2f}")


def measure_sums(directory: Path, rng: random.Random) -> None:
    records = [draw(rng, number) for number in range(N_SUMMED)]
    memory, ledger = MemoryLedger(), SQLiteLedger(directory / "sums.db", flush_every_s=3600)
    bare = bare_connection(directory / "bare_sums.db")
    bare.execute(BARE_TABLE)
    for record in records:
        memory.record(record)
        ledger.record(record)
    bare.executemany(
        "INSERT INTO calls VALUES (?, ?, ?, ?, ?, ?)",
        [(r.id, r.at.timestamp(), r.model, r.attribution.user, float(r.cost_usd), 1) for r in records],
    )
    ledger.flush()
    questions: dict[str, Callable[[], object]] = {
        "bare: sum of floats by model": lambda: bare.execute(
            "SELECT model, sum(cost) FROM calls GROUP BY model"
        ).fetchall(),
        "SQLiteLedger.by('model')": lambda: ledger.by("model"),
        "SQLiteLedger.by(a tag)": lambda: ledger.by("user_tier"),
        "SQLiteLedger.total(user=...)": lambda: ledger.total(user="user-7"),
        "SQLiteLedger by day in Berlin": lambda: ledger.totals_by(bucket="day", timezone="Europe/Berlin"),
        "MemoryLedger.by('model')": lambda: memory.by("model"),
    }
    print(f"\n{'sum over ' + format(N_SUMMED, ','):<30} {'ms':>12} {'of bare':>8}")
    reference = 0.0
    for name, ask in questions.items():
        times = []
        for _ in range(5):
            started = time.perf_counter()
            ask()
            times.append(time.perf_counter() - started)
        median = statistics.median(times)
        reference = reference or median
        print(f"{name:<30} {median * 1e3:>12.2f} {median / reference:>8.2f}")
    assert ledger.by("model") == memory.by("model")


def main() -> None:
    rng = random.Random(SEED)
    print(f"seed {SEED}; Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}")
    print(f"{N_ROUNDS} rounds of {ROUND:,} records for each writer, median round\n")
    with tempfile.TemporaryDirectory() as directory:
        measure_writes(Path(directory), rng)
        measure_sums(Path(directory), rng)


if __name__ == "__main__":
    main()
