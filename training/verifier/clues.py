"""Learn how margins, agreement and guards are weighed before a namespace has taught anything.

Streams of questions of some intents each are gone through with outcomes told and nothing served; a logistic
regression over the clues is fitted to whether the nearest neighbour's answer was right, and written into the
verifier's file. Among fewer than four neighbours the verifier's own word stays all there is: questions in a
young partition are alike in ways that those of a data set are not. What the weights do on the data set that
was left out is printed; see MODEL_CARD.md.
Run: python training/verifier/clues.py DATA_FOLDER --version 3 [--vectors minilm.npz]
With --vectors FILE, MiniLM's vectors of each set are read from FILE-SET.npz (`texts`, `vectors`) as well.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from train import OUT, SETS, embedder, intents

from tokenomics_core.cache._bounded import BoundedError
from tokenomics_core.cache._clues import CLUES
from tokenomics_core.cache._entry import Neighbour
from tokenomics_core.cache._experience import refit
from tokenomics_core.cache._protocols import Decision
from tokenomics_core.cache._verifier import Verifier

N_INTENTS, SEEDS, REQUESTS = (12, 30, 60), (0, 1), 1_500
SKIPPED = 30
"""Requests at the start of a stream that say nothing: hardly anything is stored yet."""
TRUSTED_FROM = 3.5
"""Log-odds of 0.97; the weights alone decide from there on until outcomes are known."""
VERIFIER_ONLY = tuple(float(name.endswith("log_odds")) for name in CLUES)


class Row(NamedTuple):
    clues: tuple[float, ...]
    right: bool
    servable: bool
    stream: str


def stream_rows(
    name: str, verifier: Verifier, intent: dict[str, str], vectors: np.ndarray, place: dict[str, int]
) -> list[Row]:
    """Go through one stream with every outcome told and nothing served."""
    texts = list(intent)
    rows: list[Row] = []
    policy, truth, groups = BoundedError(0.02, verifier=verifier), {}, {}
    kept = np.zeros((len(texts), vectors.shape[1]), np.float32)
    for number, text in enumerate(texts):
        vector = vectors[place[text]]
        found, similarity = nearest(kept[:number], vector) if number else ([], [])
        neighbours = [
            Neighbour(str(i), s, texts[i], groups[i]) for i, s in zip(found, similarity, strict=True)
        ]
        decision: Decision = policy.decide(name, text, neighbours)
        same = {group: truth[group] == intent[text] for group in decision.compare}
        if number >= SKIPPED and decision.neighbour is not None:
            evidence = decision.evidence
            rows.append(Row(evidence.clues, same[decision.neighbour.group], evidence.servable, name))
        policy.learn(name, replace(decision, serve=False), same)
        group = next((group for group, equal in same.items() if equal), f"g{number}")
        truth.setdefault(group, intent[text])
        groups[number] = group
        kept[number] = vector
    return rows


def bare(path: Path) -> Verifier:
    """Return the verifier without the clues that its file holds by now."""
    data = json.loads(path.read_text(encoding="utf-8"))
    data.pop("clues", None)
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "verifier.json"
        copy.write_text(json.dumps(data), encoding="utf-8")
        return Verifier(copy)


def nearest(kept: np.ndarray, vector: np.ndarray, k: int = 10) -> tuple[list[int], list[float]]:
    similarity = kept @ vector
    best = np.argsort(-similarity, kind="stable")[:k]
    return best.tolist(), similarity[best].tolist()


def hits(rows: list[Row], weights: list[float] | tuple[float, ...], wrong: float) -> float:
    """Return the share that could be served, in hindsight, with that share of all requests wrong."""
    servable = sorted(
        ((float(np.dot(row.clues, weights)), row.right) for row in rows if row.servable), reverse=True
    )
    errors, best = 0, 0
    for number, (_, right) in enumerate(servable, 1):
        errors += not right
        if errors <= wrong * len(rows):
            best = number
    return best / len(rows)


def main(args: argparse.Namespace) -> None:
    rows: dict[str, list[Row]] = {name: [] for name in SETS}
    verifier = bare(args.out)
    for name in SETS:
        intent = intents(args.data, name)
        texts = list(intent)
        place = {text: number for number, text in enumerate(texts)}
        tables = {"static": np.asarray(embedder("static")(texts), np.float32)}
        if args.vectors is not None:
            with np.load(args.vectors.with_name(f"{args.vectors.stem}-{name}.npz")) as kept:
                where = {str(text): number for number, text in enumerate(kept["texts"])}
                tables["minilm"] = kept["vectors"][[where[text] for text in texts]].astype(np.float32)
        for which, vectors in tables.items():
            for n_intents in N_INTENTS:
                for seed in SEEDS:
                    rng = random.Random(f"{name} {n_intents} {seed}")
                    names = sorted(set(intent.values()))
                    some = set(rng.sample(names, min(n_intents, len(names))))
                    drawn = [text for text in sorted(intent) if intent[text] in some]
                    drawn = rng.sample(drawn, min(REQUESTS, len(drawn)))
                    label = f"{name} {which} {n_intents}"
                    chosen = {text: intent[text] for text in drawn}
                    rows[name] += stream_rows(label, verifier, chosen, vectors, place)
        print(f"{name}: {len(rows[name])} outcomes, {np.mean([row.right for row in rows[name]]):.1%} right")

    def fitted(chosen: list[Row]) -> list[float]:
        return refit([(row.clues, row.right) for row in chosen], VERIFIER_ONLY)

    for left_out in SETS:
        weights = fitted([row for name in SETS if name != left_out for row in rows[name]])
        for stream in dict.fromkeys(row.stream for row in rows[left_out]):
            held = [row for row in rows[left_out] if row.stream == stream]
            alone, with_clues = hits(held, VERIFIER_ONLY, 0.005), hits(held, weights, 0.005)
            print(f"  left out {stream:24s} at 0.5% wrong: {alone:6.1%}, with clues {with_clues:6.1%}")
    weights = fitted([row for name in SETS for row in rows[name]])
    data = json.loads(args.out.read_text(encoding="utf-8"))
    data["version"] = args.version
    data["clues"] = {
        "names": list(CLUES),
        "weights": [round(weight, 4) for weight in weights],
        "trusted_from": TRUSTED_FROM,
    }
    args.out.write_text(json.dumps(data) + "\n", encoding="utf-8")
    print({name: round(weight, 2) for name, weight in zip(CLUES, weights, strict=True)})
    print(f"{args.out}: {args.out.stat().st_size} bytes, version {args.version}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--vectors", type=Path)
    parser.add_argument("--version", required=True)
    parser.add_argument("--out", type=Path, default=OUT)
    main(parser.parse_args())
