"""Does a replayed log cost what the same stream really costs, to the nano-dollar, call by call?

Method: a generated stream (repeats, other wordings, near misses, talks, tools) is sent through the
frameworks' real clients to the stand-in provider on loopback, plainly; what goes over the wire is written
as a log and read back. The log is simulated with settings, and the very stream is sent once more with
`from_config` of those settings, on the clock of the stream. Compared are the ledger's total with the
simulated one, and what became of each request: sent (to which model), served from the cache, or refused.
With a router the log holds the answers of both tiers, sent beforehand. Exit code 1 where anything differs.

    python benchmarks/traffic_simulation.py [--requests 1000] [--seed 11]
"""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import langchain_tokenomics
import llama_index_tokenomics
from examples.traffic_applications import LangChainApplication, LlamaIndexApplication
from examples.traffic_stream import CHEAP, DEAR, open_stand_in, run_stream, stream
from examples.traffic_trial import BUDGETS, TIERS, became, became_in_replay, send
from tokenomics_core.config import Settings
from tokenomics_core.traffic import TrafficRecord, read_traffic, simulate_traffic, write_traffic

CACHE = "[ledger]\n[cache]\nmax_error = 0.1\nttl_s = 400000\n"
ROUTER = f"\n[router]\nshare = 0.4\n{TIERS}"
FRAMEWORKS: dict[str, tuple[Any, Callable[..., Any]]] = {
    "LangChain": (langchain_tokenomics, LangChainApplication),
    "LlamaIndex": (llama_index_tokenomics, LlamaIndexApplication),
}


def plainly(requests: list[TrafficRecord], application: Callable[..., Any]) -> list[TrafficRecord]:
    """Send the stream without anything and return the log that it leaves, read from a file."""
    with open_stand_in() as stand_in:
        outcomes = run_stream(requests, application(stand_in[0].openai_url), stand_in)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "traffic.jsonl"
        write_traffic([outcome.sent for outcome in outcomes if outcome.sent is not None], path)
        return list(read_traffic(path))


def compare(
    name: str, toml: str, requests: list[TrafficRecord], log: list[TrafficRecord], answers: Any
) -> bool:
    settings = Settings.load(toml)
    package, application = FRAMEWORKS[name.partition(",")[0]]
    began = time.perf_counter()
    simulated = simulate_traffic(log, settings.plan(), answers=answers)
    simulating_s = time.perf_counter() - began
    began = time.perf_counter()
    total, outcomes = send(requests, settings, package.from_config, application)
    sending_s = time.perf_counter() - began
    differing = sum(
        became_in_replay(call) != became(outcome)
        for call, outcome in zip(simulated.calls, outcomes, strict=True)
    )
    served = ", ".join(f"{how} {count}" for how, count in simulated.served.items() if count)
    print(
        f"{name:<30} log ${simulated.log_usd:.9f}, simulated ${simulated.usd:.9f}, real ${total:.9f}: "
        f"{int((simulated.usd - total) * 10**9)} nano-dollars and {differing} decisions apart"
    )
    print(f"{'':<30} {served}; simulated in {simulating_s:.1f} s, sent in {sending_s:.1f} s", flush=True)
    return simulated.usd == total and not differing


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--requests", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=11)
    arguments = parser.parse_args()
    logging.getLogger("langchain_core").setLevel(logging.ERROR)
    print(f"{arguments.requests} requests, seed {arguments.seed}")
    requests = stream(arguments.requests, seed=arguments.seed)
    is_same = True
    for framework, (_, application) in FRAMEWORKS.items():
        log = plainly(requests, application)
        is_same &= compare(f"{framework}, cache", CACHE, requests, log, ())
        is_same &= compare(f"{framework}, cache and budgets", CACHE + BUDGETS, requests, log, ())
        answers = [
            record
            for model in (CHEAP, DEAR)
            for record in plainly([replace(request, model=model) for request in requests], application)
        ]
        is_same &= compare(f"{framework}, cache and router", CACHE + ROUTER, requests, log, answers)
        is_same &= compare(f"{framework}, all three", CACHE + BUDGETS + ROUTER, requests, log, answers)
    print("the same to the nano-dollar, call by call" if is_same else "NOT the same")
    return 0 if is_same else 1


if __name__ == "__main__":
    sys.exit(main())
