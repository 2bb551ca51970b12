"""How long an audit of a million calls takes, in how much memory, and whether it finds what was planted.

Method: seeded traffic with every kind of waste is written as JSON lines, once per size, over as many days
as the rate of the smaller size needs (so a log ten times as long lasts ten times as long). Each size is
then audited in a process of its own with two workers: wall time from the first import to the audit, CPU
time and the largest resident memory of the process and its workers, workers at their worst all at once. The
floor is measured in the same run on the same file, by one process: `json.loads` of every line and a sum of
its tokens times a price, which is what a spreadsheet would do. Growth is the ratio of the times of the
sizes over the ratio of their rows; at most 1 is linear. Found over planted: the audit's dollars against the
generator's truth. Resume: the audit is killed (SIGKILL) when half of its stretches are on disk and started
again in the same folder.
Run: python benchmarks/traffic_audit.py [--rows 100000 1000000] [--seed 1] [--keep FOLDER]
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import platform
import resource
import signal
import subprocess
import sys
import tempfile
import time
from decimal import Decimal
from pathlib import Path

PER_DAY = 10_000
PROCESSES = 2
CHILD = "--audit-one"


def write_log(rows: int, seed: int, path: Path) -> dict:
    from tokenomics_core.traffic import generate_traffic, write_traffic

    truth_path = path.with_suffix(".truth.json")
    if path.exists() and truth_path.exists():
        return json.loads(truth_path.read_text())
    traffic = generate_traffic(rows, seed=seed, days=max(10.0, rows / PER_DAY))
    write_traffic(traffic, path)
    truth = traffic.truth.to_dict()
    for waste in truth["wastes"].values():
        del waste["ids"]
    truth_path.write_text(json.dumps(truth))
    return truth


def floor(path: Path) -> tuple[float, float]:
    """Parse every line and sum tokens times one price; nothing else is looked at."""
    start, cpu_start, total = time.perf_counter(), time.process_time(), 0.0
    by_model: dict[str, float] = {}
    with path.open("rb") as lines:
        for line in lines:
            row = json.loads(line)
            usage = row.get("usage") or (row.get("response") or {}).get("usage") or {}
            model = row.get("model") or (row.get("request") or {}).get("model") or ""
            cost = (usage.get("prompt_tokens") or 0) * 1e-6 + (usage.get("completion_tokens") or 0) * 4e-6
            by_model[model] = by_model.get(model, 0.0) + cost
            total += cost
    return time.perf_counter() - start, time.process_time() - cpu_start


def audit_one(path: str, workdir: str) -> None:
    """Run in a process of its own: audit, then print what it took."""
    start = time.perf_counter()
    from tokenomics_core.traffic import audit_traffic, read_traffic

    audit = audit_traffic(read_traffic(path), processes=PROCESSES, workdir=workdir)
    wall_s = time.perf_counter() - start
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    print(
        json.dumps(
            {
                "wall_s": wall_s,
                "cpu_s": own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime,
                "own_mb": own.ru_maxrss / 1024,
                "worker_mb": children.ru_maxrss / 1024,
                "audit": audit.to_dict(),
            }
        )
    )


def start_audit(path: Path, workdir: Path) -> subprocess.Popen[str]:
    command = [sys.executable, __file__, CHILD, str(path), str(workdir)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=environment, start_new_session=True
    )


def measured(path: Path, workdir: Path) -> dict:
    out, _ = (process := start_audit(path, workdir)).communicate()
    if process.returncode:
        raise SystemExit(f"the audit of {path} failed with {process.returncode}")
    return json.loads(out)


def killed_and_resumed(path: Path, workdir: Path, stretches: int) -> tuple[int, dict]:
    process = start_audit(path, workdir)
    while process.poll() is None and len(list(workdir.glob("*.npz"))) < max(1, stretches // 2):
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    done = len(list(workdir.glob("*.npz")))
    return done, measured(path, workdir)


def main() -> None:
    if len(sys.argv) > 1 and sys.argv[1] == CHILD:
        audit_one(*sys.argv[2:])
        return
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="a folder for the logs, to use them again")
    arguments = parser.parse_args()
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores, seed {arguments.seed}, load", end=" ")
    print(f"{os.getloadavg()[0]:.1f} at the start; {PROCESSES} workers")
    with tempfile.TemporaryDirectory() as spare:
        folder = arguments.keep or Path(spare)
        folder.mkdir(parents=True, exist_ok=True)
        results = [one_size(rows, arguments.seed, folder, Path(spare)) for rows in sorted(arguments.rows)]
    for (rows, result), (more, larger) in itertools.pairwise(results):
        for name in ("wall_s", "cpu_s"):
            growth = (larger[name] / result[name]) / (more / rows)
            print(f"growth of {name[:-2]} time from {rows:,} to {more:,} rows: {growth:.2f} of linear")


def one_size(rows: int, seed: int, folder: Path, spare: Path) -> tuple[int, dict]:
    path = folder / f"traffic-{rows}-{seed}.jsonl"
    truth = write_log(rows, seed, path)
    workdir = spare / f"work-{rows}"
    result = measured(path, workdir)
    peak_mb = max(result["own_mb"], 0) + PROCESSES * result["worker_mb"]
    floor_s, floor_cpu_s = floor(path)
    print(f"\n{rows:,} calls, {path.stat().st_size / 2**20:,.0f} MiB of JSON lines")
    print(f"  audit {result['wall_s']:.1f} s ({result['cpu_s']:.1f} s of CPU, ", end="")
    print(f"{result['cpu_s'] / rows * 1e6:.0f} us a call)")
    print(f"  json.loads and one sum {floor_s:.1f} s ({floor_cpu_s:.1f} s of CPU); ", end="")
    print(f"the audit takes {result['cpu_s'] / floor_cpu_s:.1f} times its CPU and ", end="")
    print(f"{result['wall_s'] / floor_s:.1f} times its time")
    print(f"  memory at most {peak_mb:,.0f} MiB: {result['own_mb']:,.0f} and ", end="")
    print(f"{PROCESSES} workers of {result['worker_mb']:,.0f}")
    audit = result["audit"]
    print(f"  total {audit['total_usd']} USD, planted {truth['total_usd']}")
    print(f"  {'waste':20} {'planted USD':>14} {'found USD':>14} {'ratio':>7} {'calls':>9} {'found':>9}")
    found = {waste["kind"]: waste for waste in audit["wastes"]}
    for kind, planted in truth["wastes"].items():
        one = found.get(kind, {"usd": "0", "calls": 0})
        ratio = float(Decimal(one["usd"]) / Decimal(planted["usd"])) if Decimal(planted["usd"]) else 0.0
        print(
            f"  {kind:20} {float(planted['usd']):14.4f} {float(one['usd']):14.4f} {ratio:7.4f} "
            f"{planted['calls']:9,} {one['calls']:9,}"
        )
    stretches = len(list(workdir.glob("*.npz")))
    if stretches > 1:
        done, again = killed_and_resumed(path, spare / f"resumed-{rows}", stretches)
        same = again["audit"] == audit
        print(
            f"  killed with {done} of {stretches} stretches done: the rest took {again['wall_s']:.1f} s, ",
            end="",
        )
        print(f"and the audit is {'the same' if same else 'ANOTHER'}")
    return rows, result


if __name__ == "__main__":
    main()
