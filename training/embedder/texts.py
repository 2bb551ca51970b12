"""Gather the texts that the embedder learns from, each with its label where there is one."""

from __future__ import annotations

import gzip
import json
import random
import re
from collections.abc import Iterator
from pathlib import Path

from training.embedder.questions import generate

__all__ = ["gather", "words_of_wordnet"]

_LABELLED = ("cache/intents_nlu_eval", "cache/intents_clinc150")
_QUESTIONS = (
    ("routing/routellm_mmlu", "query_text"),
    ("routing/routellm_gsm8k", "query_text"),
    ("routing/llmrouter_9models", "query"),
    ("compression/nq_litm_pool_20docs", "question"),
    ("compression/hotpotqa_distractor_100", "question"),
    ("compression/xquad_en_15docs", "question"),
    ("compression/covidqa_questions", "question"),
)
_PASSAGES = (
    "compression/nq_litm_pool_20docs",
    "compression/hotpotqa_distractor_100",
    "compression/xquad_en_15docs",
)
_LONGEST = 240


def gather(
    data: Path, wordnet: Path, *, generated: int, passages: int, glosses: int, seed: int
) -> list[tuple[str, str]]:
    """Return (label, text) pairs, the label empty where there is none; texts are unique.

    Args:
        data: Folder with the public sets.
        wordnet: Folder with WordNet's `data.*` files.
        generated: How many questions to draw from the grammar.
        passages: How many sentences of passages to take.
        glosses: How many of WordNet's definitions and examples.
        seed: Of every draw.
    """
    rng = random.Random(seed)
    found = [(f"{name}:{row['intent']}", row["text"]) for name in _LABELLED for row in _rows(data, name)]
    found += [(f"made:{intent}", text) for intent, text in generate(generated, seed)]
    for name, field in _QUESTIONS:
        found += [
            ("", text)
            for row in _rows(data, name)
            if (text := str(row.get(field) or row.get("query_text") or ""))
        ]
    sentences = sorted({s for name in _PASSAGES for row in _rows(data, name) for s in _sentences(row)})
    found += [("", text) for text in rng.sample(sentences, min(passages, len(sentences)))]
    meanings = sorted(set(_glosses(wordnet)))
    found += [("", text) for text in rng.sample(meanings, min(glosses, len(meanings)))]
    seen: dict[str, tuple[str, str]] = {}
    for label, text in found:
        short = " ".join(text.split())[:_LONGEST]
        if short:
            seen.setdefault(short, (label, short))
    return list(seen.values())


def words_of_wordnet(wordnet: Path) -> list[str]:
    """Return WordNet's lemmas."""
    words = {
        line.split(" ", 1)[0].replace("_", " ")
        for path in sorted(wordnet.glob("index.*"))
        if path.name != "index.sense"
        for line in path.read_text(encoding="latin-1").splitlines()
        if not line.startswith(" ")
    }
    return sorted(words)


def _rows(data: Path, name: str) -> Iterator[dict[str, object]]:
    with gzip.open(data / f"{name}.jsonl.gz", "rt", encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def _sentences(row: dict[str, object]) -> Iterator[str]:
    documents = row.get("documents")
    for document in documents if isinstance(documents, list) else []:
        for sentence in re.split(r"(?<=[.!?])\s+", document["text"]):
            if 30 <= len(sentence) <= _LONGEST:
                yield sentence


def _glosses(wordnet: Path) -> Iterator[str]:
    for path in sorted(wordnet.glob("data.*")):
        for line in path.read_text(encoding="latin-1").splitlines():
            if line.startswith(" ") or " | " not in line:
                continue
            for part in line.split(" | ", 1)[1].split(";"):
                text = part.strip().strip('"')
                if 12 <= len(text) <= _LONGEST:
                    yield text
