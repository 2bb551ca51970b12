"""Train the acceptor that ships with the package, and print what it does on answers held out.

    python training/acceptor/train.py --data DIR

DIR holds `routing/routellm_gsm8k.jsonl.gz`: questions of GSM8K with the answers of a weak and a strong
model and whether each is right. Ten folds, three shuffles, all calls paid: the weak one always, the strong
one where it is asked. Tokens are characters / 4 of question and answer; prices are those of July 2024, weak
$0.6 / $0.6 and strong $10 / $30 per million. Writes `shared/tokenomics_core/routing/data/acceptor.json`
with `--write`.
"""

from __future__ import annotations

import argparse
import gzip
import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tokenomics_core.routing import Answer, AnswerAcceptor
from tokenomics_core.routing.evaluation import expected_calibration_error

ROOT = Path(__file__).parents[2]
TARGET = ROOT / "shared" / "tokenomics_core" / "routing" / "data" / "acceptor.json"
WEAK, STRONG = "mixtral-8x7b-instruct", "gpt-4-1106-preview"
WEAK_USD, STRONG_USD = (0.6e-6, 0.6e-6), (10e-6, 30e-6)
FOLDS, SHUFFLES = 10, 3
QUALITIES = (0.90, 0.95, 0.98)


class Rows:
    """What both models said, and what it cost."""

    def __init__(self, path: Path) -> None:
        with gzip.open(path, "rt", encoding="utf-8") as file:
            rows = [json.loads(line) for line in file]
        rows = [row for row in rows if not row["contaminated"]]
        self.questions = [row["query_text"] for row in rows]
        self.answers = [Answer(text=row["responses"][WEAK]) for row in rows]
        self.weak = np.array([row["scores"][WEAK] for row in rows], dtype=np.float64)
        self.strong = np.array([row["scores"][STRONG] for row in rows], dtype=np.float64)
        self.weak_usd = np.array([_usd(row, WEAK, WEAK_USD) for row in rows])
        self.strong_usd = np.array([_usd(row, STRONG, STRONG_USD) for row in rows])

    def __len__(self) -> int:
        return len(self.questions)


def held_out(rows: Rows, seed: int, folds: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the chance that each weak answer is right, and the gain of the strong one, held out."""
    fold = np.random.default_rng(seed).permutation(len(rows)) % folds
    chances, gains = np.zeros(len(rows)), np.zeros(len(rows))
    for number in range(folds):
        train = np.nonzero(fold != number)[0]
        acceptor = AnswerAcceptor(seed=seed).fit(
            [rows.questions[place] for place in train],
            [rows.answers[place] for place in train],
            rows.weak[train],
            next_right=rows.strong[train],
        )
        for place in np.nonzero(fold == number)[0]:
            view = acceptor.assess(rows.questions[place], rows.answers[place])
            chances[place], gains[place] = view.probability, view.gain or 0.0
    return chances, gains


def curve(rows: Rows, score: NDArray[np.float64]) -> dict[str, float]:
    """Ask again in the order of the score; return APGR and what is saved at shares of the strong quality."""
    order = np.argsort(-score, kind="stable")
    n = len(score)
    gained = np.concatenate([[0.0], np.cumsum((rows.strong - rows.weak)[order])]) / n
    paid = rows.weak_usd.sum() + np.concatenate([[0.0], np.cumsum(rows.strong_usd[order])])
    recovered = gained / (rows.strong.mean() - rows.weak.mean())
    found = {"apgr": float(np.trapezoid(recovered, dx=1 / n))}
    for quality in QUALITIES:
        k = int(np.nonzero(rows.weak.mean() + gained >= quality * rows.strong.mean())[0][0])
        found[f"saved at {quality:.0%}"] = float(1 - paid[k] / rows.strong_usd.sum())
    return found


def interval(rows: Rows, score: NDArray[np.float64], seed: int, resamples: int = 500) -> tuple[float, float]:
    """Return a 95% bootstrap interval of the APGR over questions."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(resamples):
        places = rng.integers(0, len(score), len(score))
        part = Rows.__new__(Rows)
        part.weak, part.strong = rows.weak[places], rows.strong[places]
        part.weak_usd, part.strong_usd = rows.weak_usd[places], rows.strong_usd[places]
        found.append(curve(part, score[places])["apgr"])
    low, high = np.quantile(found, [0.025, 0.975])
    return float(low), float(high)


def _usd(row: dict[str, dict[str, str]], model: str, rates: tuple[float, float]) -> float:
    return len(row["query_text"]) / 4 * rates[0] + len(row["responses"][model]) / 4 * rates[1]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--data", type=Path, required=True, help="folder that holds routing/routellm_gsm8k.jsonl.gz"
    )
    parser.add_argument("--write", action="store_true", help="write the weights into the package")
    arguments = parser.parse_args()
    rows = Rows(arguments.data / "routing" / "routellm_gsm8k.jsonl.gz")
    print(f"{len(rows)} questions; weak right {rows.weak.mean():.4f}, strong {rows.strong.mean():.4f}")
    results = [held_out(rows, seed, FOLDS) for seed in range(SHUFFLES)]
    for name, which in (("chance that the answer is right", 0), ("gain of asking again", 1)):
        scores = [-found[0] if which == 0 else found[1] for found in results]
        curves = [curve(rows, score) for score in scores]
        means = {key: float(np.mean([one[key] for one in curves])) for key in curves[0]}
        low, high = interval(rows, scores[0], seed=0)
        print(f"by the {name}: " + ", ".join(f"{key} {value:.3f}" for key, value in means.items()))
        print(f"  95% bootstrap of the APGR, first shuffle: [{low:.3f}, {high:.3f}]")
    errors = [expected_calibration_error(found[0], rows.weak) for found in results]
    print(f"calibration error held out: {np.mean(errors):.3f}")
    print(f"always the weak model: {1 - rows.weak_usd.sum() / rows.strong_usd.sum():.3f} saved")
    acceptor = AnswerAcceptor().fit(rows.questions, rows.answers, rows.weak, next_right=rows.strong)
    print(acceptor.report_)
    print(f"least gain {acceptor.least_gain_:.4f}")
    if arguments.write:
        acceptor.save(TARGET)
        print(f"wrote {TARGET.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
