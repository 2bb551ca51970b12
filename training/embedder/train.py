"""Train the table of token vectors against the teacher's vectors and write it in 8 bits.

python -m training.embedder.train --taught DIR --out FILE [--hold-out 0.25] [--measure DATA_FOLDER]

`--taught` is what `teach` wrote. With `--hold-out` a share of the labelled intents stays unseen, texts and
all, to choose settings by; the shipped table is trained without it.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from tokenomics_core.embedding._weights import save_weights
from tokenomics_core.embedding._wordpiece import WordPieces, split_words
from training.embedder.measure import figures, questions

Floats = NDArray[np.float32]


def main() -> None:
    settings = _arguments()
    torch.manual_seed(settings.seed)
    torch.set_num_threads(settings.threads)
    rng = np.random.default_rng(settings.seed)
    labels, texts, targets, tokens, alone = _load(settings.taught)
    held = _held_out(labels, settings.hold_out, rng)
    kept = [index for index, label in enumerate(labels) if label not in held]
    names, start = _rows(tokens, alone, [texts[i] for i in kept], targets[kept], settings)
    pieces = WordPieces({name: row for row, name in enumerate(names)}, names.index("[UNK]"))
    bags = [np.array(pieces.rows(texts[i]) or [pieces_unknown(names)], np.int64) for i in kept]
    numbers = _numbers([labels[i] for i in kept])
    table = _train(start, bags, targets[kept], numbers, settings, rng)
    rows, scale = _to_8_bits(table)
    save_weights(settings.out, tuple(names), rows, scale, settings.version)
    print(
        f"{settings.out}: {settings.out.stat().st_size / 1e6:.2f} MB, {len(names):,} rows of {rows.shape[1]}"
    )
    _report(settings, labels, texts, held)


def _report(settings: argparse.Namespace, labels: list[str], texts: list[str], held: set[str]) -> None:
    from tokenomics_core.embedding import StaticEmbedder

    embedder = StaticEmbedder(settings.out)
    if held:
        unseen = [i for i, label in enumerate(labels) if label in held]
        print(
            "unseen intents", figures(embedder.embed([texts[i] for i in unseen]), [labels[i] for i in unseen])
        )
    if settings.measure:
        asked, intents = questions(settings.measure, 3_000, seed=0)
        print("BANKING77", figures(embedder.embed(asked), intents))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--taught", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--measure", type=Path)
    parser.add_argument("--version", default="1")
    parser.add_argument("--dimension", type=int, default=300)
    parser.add_argument("--pairs", type=int, default=0, help="rows for pairs of words")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--batch", type=int, default=1_024)
    parser.add_argument("--rate", type=float, default=0.001)
    parser.add_argument("--heat", type=float, default=0.05)
    parser.add_argument("--label-weight", type=float, default=0.05)
    parser.add_argument("--square-weight", type=float, default=20.0)
    parser.add_argument("--dropout", type=float, default=0.1)
    parser.add_argument("--hold-out", type=float, default=0.0)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    return parser.parse_args()


def _load(folder: Path) -> tuple[list[str], list[str], Floats, list[str], Floats]:
    pairs = json.loads((folder / "texts.json").read_text(encoding="utf-8"))
    tokens = json.loads((folder / "vocabulary.json").read_text(encoding="utf-8"))
    targets = np.load(folder / "texts.npy").astype(np.float32)
    alone = np.load(folder / "tokens.npy").astype(np.float32)
    return [label for label, _ in pairs], [text for _, text in pairs], targets, tokens, alone


def _held_out(labels: list[str], share: float, rng: np.random.Generator) -> set[str]:
    """Choose labelled intents of the public sets that nothing is learned from."""
    public = sorted({label for label in labels if label.startswith("cache/")})
    return set(rng.choice(public, int(share * len(public)), replace=False)) if share else set()


def _rows(
    tokens: list[str], alone: Floats, texts: list[str], targets: Floats, settings: argparse.Namespace
) -> tuple[list[str], Floats]:
    """Choose the rows and where they start: the teacher's view of each token, in its main directions."""
    keep = [i for i, token in enumerate(tokens) if _is_useful(token)]
    names = [tokens[i] for i in keep]
    mean = targets.mean(axis=0)
    _, _, axes = np.linalg.svd(targets[::4] - mean, full_matrices=False)
    axes = axes[: settings.dimension].T
    vectors = (alone[keep] - mean) @ axes
    pieces = WordPieces({name: row for row, name in enumerate(names)}, names.index("[UNK]"))
    counts = Counter(row for text in texts for row in pieces.rows(text))
    total = sum(counts.values())
    rarity = np.array([1e-3 / (1e-3 + counts[row] / total) for row in range(len(names))], np.float32)
    vectors *= rarity[:, None]
    pairs = Counter(pair for text in texts for pair in _neighbours(text))
    frequent = [pair for pair, count in pairs.most_common(settings.pairs) if count >= 8]
    return names + frequent, np.concatenate([vectors, np.zeros((len(frequent), vectors.shape[1]))]).astype(
        np.float32
    )


def _is_useful(token: str) -> bool:
    if token.startswith("[unused") or token in {"[PAD]", "[CLS]", "[SEP]", "[MASK]"}:
        return False
    return "\n" not in token


def _neighbours(text: str) -> set[str]:
    words = list(split_words(text))
    return {f"{a} {b}" for a, b in pairwise(words)}


def pieces_unknown(names: list[str]) -> int:
    """Return the row of an unknown word."""
    return names.index("[UNK]")


def _numbers(labels: list[str]) -> NDArray[np.int64]:
    """Number the labels; texts without one have numbers of their own."""
    known: dict[str, int] = {}
    return np.array(
        [known.setdefault(label or f"#{index}", len(known)) for index, label in enumerate(labels)]
    )


def _train(
    start: Floats,
    bags: list[NDArray[np.int64]],
    targets: Floats,
    labels: NDArray[np.int64],
    settings: argparse.Namespace,
    rng: np.random.Generator,
) -> Floats:
    table = torch.nn.Parameter(torch.tensor(start))
    # Weights of rows are learned apart from their directions: common words fade faster that way.
    weight = torch.nn.Parameter(torch.zeros(len(start)))
    optimiser = torch.optim.Adam([{"params": [table], "lr": settings.rate}, {"params": [weight], "lr": 0.01}])
    taught = torch.tensor(targets)
    order = _clusters(targets, rng)
    steps_in_all = settings.epochs * (len(bags) // settings.batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, [settings.rate, 0.01], total_steps=steps_in_all + 1, pct_start=0.1
    )
    for epoch in range(settings.epochs):
        lost = []
        for chosen in _batches(order, settings.batch, rng):
            drop = settings.dropout
            kept = [
                bag[rng.random(len(bag)) >= drop] if len(bag) > 3 else bag
                for bag in (bags[i] for i in chosen)
            ]
            kept = [bag if len(bag) else bags[i][:1] for bag, i in zip(kept, chosen, strict=True)]
            offsets = torch.tensor(np.cumsum([0, *map(len, kept[:-1])]))
            flat = torch.tensor(np.concatenate(kept))
            vectors = functional.embedding_bag(
                flat, table, offsets, mode="sum", per_sample_weights=torch.exp(weight[flat])
            )
            loss = _loss(
                functional.normalize(vectors), taught[chosen], torch.tensor(labels[chosen]), settings
            )
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            lost.append(float(loss.detach()))
        print(f"epoch {epoch + 1}: {np.mean(lost):.4f}", flush=True)
    return (table * torch.exp(weight)[:, None]).detach().numpy()


def _loss(
    student: torch.Tensor, teacher: torch.Tensor, labels: torch.Tensor, settings: argparse.Namespace
) -> torch.Tensor:
    """Match the teacher's similarities within a batch, near ones above all; pull equal intents together."""
    mine, theirs = student @ student.T, teacher @ teacher.T
    self_ = torch.eye(len(mine), dtype=torch.bool)
    square = functional.mse_loss(mine, theirs)
    wanted = functional.softmax((theirs / settings.heat).masked_fill(self_, -1e4), dim=1)
    got = functional.log_softmax((mine / settings.heat).masked_fill(self_, -1e4), dim=1)
    listwise = functional.kl_div(got, wanted, reduction="batchmean")
    same = (labels[:, None] == labels[None, :]) & ~self_
    has = same.any(dim=1)
    if settings.label_weight and bool(has.any()):
        pulled = -(got[has] * same[has]).sum(dim=1) / same[has].sum(dim=1)
        listwise = listwise + settings.label_weight * pulled.mean()
    return listwise + settings.square_weight * square


def _clusters(targets: Floats, rng: np.random.Generator) -> list[NDArray[np.int64]]:
    """Group texts that the teacher finds alike, so that a batch holds near ones to tell apart."""
    centres = targets[rng.choice(len(targets), len(targets) // 48, replace=False)]
    nearest = np.concatenate([np.argmax(part @ centres.T, axis=1) for part in np.array_split(targets, 64)])
    return [np.flatnonzero(nearest == cluster) for cluster in range(len(centres))]


def _batches(
    clusters: list[NDArray[np.int64]], size: int, rng: np.random.Generator
) -> list[NDArray[np.int64]]:
    order = np.concatenate([rng.permutation(clusters[i]) for i in rng.permutation(len(clusters))])
    cut = len(order) // size * size
    batches = order[:cut].reshape(-1, size)
    return list(batches[rng.permutation(len(batches))])


def _to_8_bits(table: Floats) -> tuple[NDArray[np.int8], NDArray[np.float16]]:
    """Round every row on a scale of its own."""
    scale = np.maximum(np.abs(table).max(axis=1) / 127, 1e-6).astype(np.float16)
    return np.clip(np.rint(table / scale.astype(np.float32)[:, None]), -127, 127).astype(np.int8), scale


if __name__ == "__main__":
    main()
