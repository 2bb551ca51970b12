"""Claim: `import tokenomics_core` adds less than 50 ms to the start of Python.

Method: whole processes, one after another in rotation, so that drift of the machine hits all alike; the
best round of each counts, as a shared machine only ever adds time, less the best of a bare `python -c
pass`. Beside it: `import genai_prices`, the price library underneath, and `import
langchain_core.callbacks`, which any LangChain program loads.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time

PROGRAMS = {
    "bare Python": "pass",
    "tokenomics_core": "import tokenomics_core",
    "genai_prices": "import genai_prices",
    "langchain_core.callbacks": "import langchain_core.callbacks",
}
BAR_MS = 50


def seconds(code: str) -> float:
    begin = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return time.perf_counter() - begin


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=25)
    rounds = parser.parse_args().rounds
    for code in PROGRAMS.values():  # compile and cache once
        seconds(code)
    times: dict[str, list[float]] = {name: [] for name in PROGRAMS}
    for _ in range(rounds):
        for name, code in PROGRAMS.items():
            times[name].append(seconds(code))
    print(f"{rounds} rounds of {len(PROGRAMS)} processes each; no randomness; best rounds")
    bare = times["bare Python"]
    added = {}
    for name, measured in times.items():
        added[name] = (min(measured) - min(bare)) * 1000
        print(f"  {name:26} {min(measured) * 1000:8.1f} ms   added {added[name]:8.1f} ms")
    ours = added["tokenomics_core"]
    print(f"added by genai_prices / added by tokenomics_core: {added['genai_prices'] / ours:.1f}x")
    print(f"bar: below {BAR_MS} ms added: {'held' if ours < BAR_MS else 'MISSED'}")
    sys.exit(0 if ours < BAR_MS else 1)


if __name__ == "__main__":
    main()
