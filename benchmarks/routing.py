"""How well routers and cascades choose between a weak and a strong model, beside the routers people use.

Method: public outcomes of mixtral-8x7b-instruct (weak) and gpt-4-1106-preview (strong) on MMLU and GSM8K from
lm-sys/RouteLLM, without the rows it lists as contaminated; and of nine models from ulab-uiuc/LLMRouter. A
router gives each question a score; the k highest go to strong, k = 0..n, a tie counts with its mean. APGR is
the area under the share of the accuracy gap recovered over the share of strong calls (chance 0.5); CPT50 and
CPT80 the least share of strong calls that recovers 50 or 80 %. Intervals in brackets are 95 % bootstrap over
questions; `ours above it by` is paired, on the same resamples. Beside every router stand chance, prompt
length, the single models and an oracle that knows the outcomes. Costs (cascade): tokens are characters / 4 of
question and answer, $0.6/$0.6 (weak) and $10/$30 (strong) per million; a cascade always pays the weak call;
savings are against strong for everything, read from the curve at the least cost that keeps so much of its
accuracy. Transfer: the recipe of the shipped weights, fitted on all sets but the one it is measured on.
Peers are scored as their packages ship them; what is not installed is skipped and said to be. They may live
in another Python: --peers-python PATH.
Run: OMP_NUM_THREADS=1 python benchmarks/routing.py --data DATA_FOLDER [--only NAME ...] [--peers-python PATH]
"""

from __future__ import annotations

import argparse
import logging
import os
import platform
import sys
from importlib.metadata import version
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import _routing_peers
import _routing_sections as sections
import numpy as np
from _routing_data import Pairs, read_pairs, read_rows

PARTS = ("fitted", "transfer", "calibration", "cascade", "nine")
LEAST_ALL = {"routellm_mmlu": 0.67, "routellm_gsm8k": 0.59}
LEAST_FEW = {"routellm_mmlu": 0.62}


def peers_on(sets: dict[str, Pairs], python: str | None) -> dict[str, dict]:
    """Ask every peer about every question once, and say what answered."""
    found, said = {}, set()
    for name, pairs in sets.items():
        found[name] = _routing_peers.ask(python, pairs.texts, pairs.answers)
        for package, number in found[name]["versions"].items():
            said.add(f"peer {package} {number}")
        said.update(found[name]["skipped"])
    for line in sorted(said):
        print(line)
    return found


def main(args: argparse.Namespace) -> None:
    logging.getLogger("tokenomics_core").setLevel(logging.ERROR)  # every small fit would caution
    sys.stdout.reconfigure(line_buffering=True)  # it takes minutes: show what is there
    print(
        f"Python {platform.python_version()}, numpy {np.__version__}, token-economics "
        f"{version('token-economics')}, seed {args.seed}, {args.resamples} resamples"
    )
    if not (args.data / "routing").is_dir():
        print(f"skipped: there is no folder {args.data / 'routing'} with outcome rows; nothing was measured")
        return
    sets = {name: pairs for name in LEAST_ALL if (pairs := read_pairs(args.data, name)) is not None}
    asked = {"fitted", "transfer", "cascade"} & set(args.only)
    peers = peers_on(sets, args.peers_python) if asked else {}
    scores = {name: found["scores"] for name, found in peers.items()}
    for name, pairs in sets.items():
        if "fitted" in args.only:
            sections.fitted(pairs, scores[name], LEAST_ALL[name], args.seed, args.resamples)
            if name in LEAST_FEW:
                sections.few_labels(pairs, LEAST_FEW[name], args.seed)
        if "calibration" in args.only:
            sections.calibration(pairs, args.seed)
    if len(sets) == 2:
        if "transfer" in args.only:
            sections.transfer(sets, scores, args.seed, args.resamples)
        if "calibration" in args.only:
            sections.controller(sets["routellm_mmlu"], sets["routellm_gsm8k"], args.seed)
    if "cascade" in args.only and "routellm_gsm8k" in sets:
        found = peers["routellm_gsm8k"]
        sections.cascade(
            sets["routellm_gsm8k"], found["scores"], found["answer_scores"], args.seed, args.resamples
        )
    if "nine" in args.only and (rows := read_rows(args.data, "llmrouter_9models")) is not None:
        sections.nine_models(rows, args.seed)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--peers-python", metavar="PATH", help="another Python that has the peers")
    parser.add_argument("--resamples", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    main(parser.parse_args())
