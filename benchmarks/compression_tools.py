"""What tool results cost after they were rewritten without loss, and logs after they were grouped.

Method: JSON results as agents of shops and airlines get them, generated with the seed below, as `json.dumps`
writes them (with blanks). Tokens are o200k where that vocabulary is at hand. `minified` is the same JSON
without blanks; `TOON` is the package python-toon where it is installed. Shares are of the tokens of the
minified text. Every text is restored and compared to the digit. Then JSON of any shape is compressed and
restored, --cases times, counting failures and texts that are longer than the minified one.

Logs: the 16 systems of loghub, 2,000 lines each, cut into chunks (--chunk lines, as a tool would return
them), each chunk compressed alone; a line is rare where its chunk holds two lines or fewer of its kind (its
words, with numbers and quoted strings masked, which is also the grouping's own rule). Beside it: the first
and last lines of the chunk at the same tokens.

Run: python benchmarks/compression_tools.py [--cases 100000] [--data FOLDER] [--chunk 200]
"""

from __future__ import annotations

import argparse
import gzip
import importlib.util
import json
import random
import time
from collections import Counter
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

from _tool_payloads import PAYLOADS, any_json

from tokenomics_core.compression import compress_tool_output, restore_json
from tokenomics_core.compression._fold import template_of
from tokenomics_core.tokens import count_tokens

SEED = 20261121
EACH = 60


def tokens(text: str) -> int:
    return int(count_tokens(text))


def minified(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def toon() -> Callable[[object], str] | None:
    if importlib.util.find_spec("toon") is None:
        print("TOON: skipped, python-toon is not installed")
        return None
    import toon

    print(f"TOON: python-toon {version('python-toon')}")
    return toon.encode


def measure_payloads() -> None:
    draw, encode = random.Random(SEED), toon()
    total: Counter[str] = Counter()
    grown = broken = 0
    print(f"{'':<24}{'tokens':>8}{'as sent':>9}{'TOON':>8}{'columnar':>10}   (of minified)")
    for name, make in PAYLOADS.items():
        sums: Counter[str] = Counter()
        for _ in range(EACH):
            value = make(draw)
            text, short = json.dumps(value), minified(value)
            done = compress_tool_output(text)
            broken += not done.lossless or restore_json(done.text) != short
            grown += done.tokens_after > tokens(short)
            sums.update(sent=tokens(text), minified=tokens(short), columnar=done.tokens_after)
            if encode is not None:
                sums["toon"] += tokens(encode(value))
        show(name, sums)
        total += sums
    show("all", total)
    print(f"round-trip failures: {broken}; longer than minified: {grown}; of {EACH * len(PAYLOADS)}")
    verdict(
        "at most 0.70 of minified, never above", total["columnar"] <= 0.7 * total["minified"] and not grown
    )


def show(name: str, sums: Counter[str]) -> None:
    base = sums["minified"]
    other = f"{sums['toon'] / base:8.2f}" if "toon" in sums else "       -"
    print(f"{name:<24}{base:>8,}{sums['sent'] / base:>9.2f}{other}{sums['columnar'] / base:>10.2f}")


def measure_round_trips(cases: int) -> None:
    draw = random.Random(SEED)
    broken = grown = 0
    started = time.perf_counter()
    for _ in range(cases):
        value = any_json(draw)
        short = minified(value)
        # Characters stand for tokens: what counts must not matter for the round trip, and they are quick.
        done = compress_tool_output(json.dumps(value), kind="json", count=len)
        broken += not done.lossless or restore_json(done.text) != short
        grown += len(done.text) > len(short)
    seconds = time.perf_counter() - started
    print(
        f"{cases:,} generated values: {broken} round-trip failures, {grown} longer than minified, "
        f"{seconds:.0f} s"
    )
    verdict("no failure and none longer", not broken and not grown)


def measure_logs(data: Path, chunk: int) -> None:
    path = data / "compression" / "loghub_2k.jsonl.gz"
    if not path.exists():
        print(f"logs: skipped, {path} is not there")
        return
    total: Counter[str] = Counter()
    print(f"{'logs':<16}{'tokens':>9}{'after':>8}{'rare lines kept':>17}{'first and last':>16}")
    with gzip.open(path, "rt", encoding="utf-8") as rows:
        for row in map(json.loads, rows):
            sums = measure_log(row["lines"], chunk)
            show_log(row["system"], sums)
            total += sums
    show_log("all", total)
    verdict(
        "at most 34%, every rare line kept",
        total["after"] <= 0.34 * total["before"] and total["kept"] == total["rare"],
    )


def measure_log(lines: list[str], chunk: int) -> Counter[str]:
    sums: Counter[str] = Counter()
    for start in range(0, len(lines), chunk):
        part = lines[start : start + chunk]
        done = compress_tool_output("\n".join(part), kind="log")
        kinds = Counter(map(template_of, part))
        rare = [line for line in part if kinds[template_of(line)] <= 2]
        held = set(done.text.split("\n"))
        ends = first_and_last(part, done.tokens_after)
        sums.update(
            before=done.tokens_before,
            after=done.tokens_after,
            rare=len(rare),
            kept=sum(line in held for line in rare),
            ends=sum(line in ends for line in rare),
        )
    return sums


def first_and_last(lines: list[str], budget: int) -> set[str]:
    kept: list[str] = []
    low, high = 0, len(lines) - 1
    while low <= high:
        at = low if len(kept) % 2 == 0 else high
        budget -= tokens(lines[at]) + 1
        if budget < 0:
            break
        kept.append(lines[at])
        low, high = (low + 1, high) if at == low else (low, high - 1)
    return set(kept)


def show_log(name: str, sums: Counter[str]) -> None:
    rare = max(sums["rare"], 1)
    print(
        f"{name:<16}{sums['before']:>9,}{sums['after'] / sums['before']:>8.1%}"
        f"{sums['kept'] / rare:>17.1%}{sums['ends'] / rare:>16.1%}"
    )


def verdict(claim: str, holds: bool) -> None:
    print(f"  {claim}: {'holds' if holds else 'DOES NOT HOLD'}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--chunk", type=int, default=200)
    arguments = parser.parse_args()
    print(f"seed {SEED}; tokens: {count_tokens('a text').method}")
    measure_payloads()
    measure_round_trips(arguments.cases)
    if arguments.data is None:
        print("logs: skipped, no --data was given")
    else:
        measure_logs(arguments.data, arguments.chunk)


if __name__ == "__main__":
    main()
