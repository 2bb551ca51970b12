"""Train the difficulty classifier that ships with the package.

python training/router/train.py DATA [--out FILE] [--seed 0]

DATA holds `routing/routellm_mmlu.jsonl.gz` and `routing/routellm_gsm8k.jsonl.gz`: questions of MMLU and GSM8K
with the outcomes of mixtral-8x7b-instruct (weak) and gpt-4-1106-preview (strong) from lm-sys/RouteLLM. Rows
that RouteLLM lists as contaminated are left out. Before the weights are written, the same recipe is fitted on
each set alone and measured on the other.
"""

from __future__ import annotations

import argparse
import gzip
import json
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tokenomics_core.routing import DifficultyClassifier

WEAK, STRONG = "mixtral-8x7b-instruct", "gpt-4-1106-preview"
SHARE = 0.5
SETS = ("routellm_mmlu", "routellm_gsm8k")
SHIPPED = Path(__file__).parents[2] / "shared/tokenomics_core/routing/data/difficulty.npz"

Rows = tuple[list[str], NDArray[np.float64], NDArray[np.float64]]


def main() -> int:
    """Fit, measure across sets, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, default=SHIPPED)
    parser.add_argument("--seed", type=int, default=0)
    settings = parser.parse_args()
    try:
        sets = {name: read(settings.data / "routing" / f"{name}.jsonl.gz") for name in SETS}
    except OSError as error:
        print(f"skipped: {error}; nothing was trained", file=sys.stderr)
        return 2
    for held_out, other in (SETS, SETS[::-1]):
        classifier = DifficultyClassifier(seed=settings.seed, robust_share=SHARE).fit(*sets[other])
        texts, weak, strong = sets[held_out]
        area = apgr(classifier.predict(texts), weak, strong)
        print(f"trained on {other}, measured on {held_out}: APGR {area:.3f}")
    texts = [text for rows in sets.values() for text in rows[0]]
    weak, strong = (np.concatenate([rows[column] for rows in sets.values()]) for column in (1, 2))
    classifier = DifficultyClassifier(seed=settings.seed, robust_share=SHARE).fit(texts, weak, strong)
    print(classifier.report_)
    classifier.save(settings.out)
    print(f"{settings.out}: {settings.out.stat().st_size / 1e6:.2f} MB, seed {settings.seed}")
    return 0


def read(path: Path) -> Rows:
    """Read the questions of a set and both models' outcomes."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        rows = [row for row in map(json.loads, lines) if not row["contaminated"]]
    outcomes = [
        np.array([row["scores"][model] for row in rows], dtype=np.float64) for model in (WEAK, STRONG)
    ]
    return [row["query_text"] for row in rows], outcomes[0], outcomes[1]


def apgr(gain: NDArray[np.float64], weak: NDArray[np.float64], strong: NDArray[np.float64]) -> float:
    """Area of performance gap recovered over the share of strong calls (RouteLLM, 2024)."""
    better = (strong - weak)[np.argsort(-gain, kind="stable")]
    recovered = np.concatenate([[0.0], np.cumsum(better)]) / better.sum()
    return float(np.trapezoid(recovered, dx=1 / len(better)))


if __name__ == "__main__":
    sys.exit(main())
