"""What one routing decision costs in CPU time, beside the routers people use.

Method: questions of MMLU and GSM8K, drawn with the seed below, one at a time in one thread; CPU time of the
thread (`time.thread_time`), so that other programs do not count. `DifficultyClassifier` is its assessment
alone, `Router.decide` the whole decision: filters, costs of every tier from the price table, chances, policy,
record. Peers are asked for their score only, as their packages ship them; those of another Python
(--peers-python PATH) are timed there in the same run. Medians and 99th percentiles; the ratio is a peer's
median by that of the whole decision. What is not installed is skipped and said to be.
Run: OMP_NUM_THREADS=1 python benchmarks/routing_latency.py --data DATA_FOLDER [--peers-python PATH]
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import _routing_peers
import numpy as np
from _routing_data import read_pairs

from tokenomics_core.routing import DifficultyClassifier, Router, RouteRequest, Threshold, Tier

SETS = ("routellm_mmlu", "routellm_gsm8k")
ASKED_MS = 0.15


def ours() -> dict[str, Callable[[str], object]]:
    classifier = DifficultyClassifier.pretrained()
    tiers = [
        Tier(name="weak", model="weak", price=("0.6", "0.6")),
        Tier(name="strong", model="strong", price=("10", "30")),
    ]
    router = Router(tiers, classifier=classifier, policy=Threshold(0.2))
    return {
        "DifficultyClassifier": lambda text: classifier.assess(RouteRequest(question=text), tiers),
        "Router.decide": lambda text: router.decide(RouteRequest(question=text)),
    }


def timed(decide: Callable[[str], object], texts: list[str]) -> list[float]:
    for text in texts[:20]:
        decide(text)
    seconds = []
    for text in texts:
        start = time.thread_time()
        decide(text)
        seconds.append(time.thread_time() - start)
    return seconds


def main(args: argparse.Namespace) -> None:
    print(
        f"Python {platform.python_version()}, numpy {np.__version__}, token-economics "
        f"{version('token-economics')}, seed {args.seed}, load {os.getloadavg()[0]:.1f}"
    )
    for name in SETS:
        pairs = read_pairs(args.data, name)
        if pairs is None:
            continue
        order = np.random.default_rng(args.seed).permutation(len(pairs.texts))[: args.questions]
        texts = [pairs.texts[at] for at in order]
        peers = _routing_peers.ask(args.peers_python, texts, [])
        rows = {label: timed(decide, texts) for label, decide in ours().items()} | peers["seconds"]
        whole = float(np.median(rows["Router.decide"]))
        versions = ", ".join(f"{package} {number}" for package, number in sorted(peers["versions"].items()))
        size = np.mean([len(text) for text in texts])
        print(f"\n{name}: {len(texts)} questions, {size:.0f} characters on the mean; peers: {versions}")
        for line in peers["skipped"]:
            print(f"  {line}")
        for label, seconds in rows.items():
            median, slow = np.median(seconds), np.quantile(seconds, 0.99)
            print(f"  {label:26} p50 {1e6 * median:7.0f} us, p99 {1e6 * slow:7.0f} us, "
                  f"{median / whole:5.1f} of the whole decision")  # fmt: skip
        ok = whole * 1e3 < ASKED_MS
        print(
            f"  {'ok  ' if ok else 'MISS'} a decision at the median: {whole * 1e3:.3f} ms, "
            f"below {ASKED_MS} is asked"
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--peers-python", metavar="PATH", help="another Python that has the peers")
    parser.add_argument("--questions", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    main(parser.parse_args())
