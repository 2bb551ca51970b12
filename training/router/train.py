"""Train the difficulty classifier that ships with the package; see MODEL_CARD.md beside this file.

python training/router/train.py DATA [--out FILE] [--seed 0]

DATA holds `routing/routellm_mmlu.jsonl.gz` and `routing/routellm_gsm8k.jsonl.gz`: questions of MMLU and GSM8K
with the outcomes of mixtral-8x7b-instruct (weak) and gpt-4-1106-preview (strong) from lm-sys/RouteLLM. Rows
that RouteLLM lists as contaminated are left out. Before the weights are written, the same recipe is fitted
without a set and measured on it: on each of the two, on MMLU's subjects in five parts, and, where
`routing/llmrouter_9models.jsonl.gz` is there, on its fourteen task sets.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tokenomics_core.routing import DifficultyClassifier
from tokenomics_core.routing.evaluation import Ranking

WEAK, STRONG = "mixtral-8x7b-instruct", "gpt-4-1106-preview"
# Pairs of the nine models; a pair counts on a set where the strong one leads by LEAST_GAP.
PAIRS = (
    ("mistral-7b-instruct-v0.3", "llama-3.1-nemotron-51b-instruct"),
    ("codegemma-7b", "llama-3.1-8b-instruct"),
    ("llama-3.1-8b-instruct", "llama-3.3-nemotron-super-49b-v1"),
    ("gemma-2-9b-it", "llama-3.1-nemotron-51b-instruct"),
)
LEAST_GAP = 0.1
# Sets that hold the same kind of question are left out together.
SAME_AS = {"mmlu": "routellm_mmlu", "gsm8k": "routellm_gsm8k", "agentverse-mgsm": "routellm_gsm8k"}
SETS = ("routellm_mmlu", "routellm_gsm8k")
# Nobody's traffic is MMLU or GSM8K: half the say goes to the features, which hold up in new domains.
SHARE = 0.5
DRAWS = 200
SHIPPED = Path(__file__).parents[2] / "shared/tokenomics_core/routing/data/difficulty.npz"


class Rows(NamedTuple):
    """Questions with both models' outcomes, and what part of its set each is from."""

    texts: list[str]
    weak: NDArray[np.float64]
    strong: NDArray[np.float64]
    part: list[str]

    def take(self, chosen: NDArray[np.int64]) -> Rows:
        """Take some of the rows."""
        texts, parts = [self.texts[at] for at in chosen], [self.part[at] for at in chosen]
        return Rows(texts, self.weak[chosen], self.strong[chosen], parts)


def main() -> int:
    """Measure, fit, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, default=SHIPPED)
    parser.add_argument("--seed", type=int, default=0)
    settings = parser.parse_args()
    folder = settings.data / "routing"
    try:
        sets = {name: read(folder / f"{name}.jsonl.gz") for name in SETS}
    except OSError as error:
        print(f"skipped: {error}; nothing was trained", file=sys.stderr)
        return 2
    shipped = fit(list(sets.values()), settings.seed)
    only = {name: fit([sets[name]], settings.seed) for name in SETS}
    print("APGR on what the recipe was not fitted on (0.5 is chance)")
    for left_out, other in (SETS, SETS[::-1]):
        show(left_out, sets[left_out], only[other].predict(sets[left_out].texts), settings.seed)
    mmlu = sets["routellm_mmlu"]
    show("MMLU, subjects left out", mmlu, subjects_left_out(mmlu, settings.seed), settings.seed)
    areas, others = [], []
    for name, pairs in nine_models(folder / "llmrouter_9models.jsonl.gz"):
        without = SAME_AS.get(name)
        classifier = shipped if without is None else only[SETS[1 - SETS.index(without)]]
        gain = classifier.predict(pairs[0].texts)
        found = [apgr(gain, rows.weak, rows.strong) for rows in pairs]
        areas.append(float(np.mean(found)))
        if len(pairs) > 1:
            others.append(float(np.mean(list(by_other_pairs(pairs)))))
        strange = classifier.out_of_domain(pairs[0].texts).mean()
        print(f"  {name}: {areas[-1]:.3f}, {len(found)} pairs, n = {len(gain)}, {strange:.0%} out of domain")
    if areas:
        print(f"  mean of {len(areas)} sets of nine models {np.mean(areas):.3f}, least {min(areas):.3f}")
        print(
            f"  ordered by what the other pairs of models really gained on the same questions: mean of "
            f"{len(others)} sets {np.mean(others):.3f}, least {min(others):.3f}"
        )
    print(shipped.report_)
    shipped.save(settings.out)
    print(f"{settings.out}: {settings.out.stat().st_size / 1e6:.2f} MB, seed {settings.seed}")
    return 0


def fit(sets: Sequence[Rows], seed: int) -> DifficultyClassifier:
    """Fit the recipe of the shipped weights."""
    texts = [text for rows in sets for text in rows.texts]
    weak, strong = (np.concatenate([rows[column] for rows in sets]) for column in (1, 2))
    return DifficultyClassifier(seed=seed, robust_share=SHARE).fit(texts, weak, strong)


def subjects_left_out(rows: Rows, seed: int, folds: int = 5) -> NDArray[np.float64]:
    """Predict each fifth of the subjects from the others."""
    fold_of = np.array([int(hashlib.sha256(part.encode()).hexdigest(), 16) % folds for part in rows.part])
    gain = np.zeros(len(fold_of))
    for fold in range(folds):
        test = np.flatnonzero(fold_of == fold)
        classifier = fit([rows.take(np.flatnonzero(fold_of != fold))], seed)
        gain[test] = classifier.predict(rows.take(test).texts)
    return gain


def read(path: Path) -> Rows:
    """Read the questions of a set and both models' outcomes."""
    rows = [row for row in lines_of(path) if not row["contaminated"]]
    return rows_of(rows, WEAK, STRONG)


def nine_models(path: Path) -> Iterator[tuple[str, list[Rows]]]:
    """Read the task sets, each with the pairs of models that differ on it."""
    if not path.exists():
        print(f"  {path} is not there; not measured on the sets of nine models")
        return
    by_set: dict[str, list[dict[str, Any]]] = {}
    for row in lines_of(path):
        by_set.setdefault(row["dataset"], []).append(row)
    for name, rows in by_set.items():
        pairs = [rows_of(rows, weak, strong) for weak, strong in PAIRS]
        pairs = [pair for pair in pairs if pair.strong.mean() - pair.weak.mean() >= LEAST_GAP]
        if pairs:
            yield name, pairs


def by_other_pairs(pairs: Sequence[Rows]) -> Iterator[float]:
    """Order the questions of each pair by what other pairs truly gained: more than a text can tell."""
    gains = np.array([rows.strong - rows.weak for rows in pairs])
    for place, rows in enumerate(pairs):
        yield apgr(np.delete(gains, place, axis=0).mean(axis=0), rows.weak, rows.strong)


def rows_of(rows: list[dict[str, Any]], weak: str, strong: str) -> Rows:
    outcomes = [
        np.array([row["scores"][model] for row in rows], dtype=np.float64) for model in (weak, strong)
    ]
    parts = [str(row.get("subject", "")) for row in rows]
    return Rows([row["query_text"] for row in rows], outcomes[0], outcomes[1], parts)


def lines_of(path: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def show(name: str, rows: Rows, gain: NDArray[np.float64], seed: int) -> None:
    """Print the area with its 95 % bootstrap interval over questions."""
    rng = np.random.default_rng(seed)
    draws = []
    for _ in range(DRAWS):
        chosen = rng.integers(0, len(gain), len(gain))
        draws.append(apgr(gain[chosen], rows.weak[chosen], rows.strong[chosen]))
    low, high = np.quantile(draws, (0.025, 0.975))
    area = apgr(gain, rows.weak, rows.strong)
    print(f"  {name}: {area:.3f} [{low:.3f}, {high:.3f}], n = {len(gain)}")


def apgr(gain: NDArray[np.float64], weak: NDArray[np.float64], strong: NDArray[np.float64]) -> float:
    """Area of performance gap recovered over the share of strong calls (RouteLLM, 2024)."""
    return Ranking(gain, weak, strong).curve().apgr


if __name__ == "__main__":
    sys.exit(main())
