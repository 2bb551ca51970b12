"""Scores of other routers, as their packages ship them; runs in any Python that has them, alone or imported.

Each scorer returns numbers that are higher for harder questions. As a script it reads one JSON object from
standard input, `{"texts": [...], "answers": [...]}`, and writes `versions`, `scores`, `seconds`, `skipped`.
`seconds` is the CPU time of each question by scorer.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version

os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # it would ask the network on import

Scorer = Callable[[str], float]


def litellm_complexity() -> tuple[str, Scorer]:
    from litellm.router_strategy.complexity_router.complexity_router import ComplexityRouter

    router = ComplexityRouter(model_name="auto", litellm_router_instance=None, complexity_router_config={})
    return "litellm", lambda text: float(router.classify(text)[1])


def litellm_heuristic_v2() -> tuple[str, Scorer]:
    from litellm.router_strategy.adaptive_router.classifier import classify_prompt
    from litellm.router_strategy.complexity_router.tier_predictor import (
        TierSuccessPredictor,
        resolve_tier_artifact,
    )

    predictor = TierSuccessPredictor(resolve_tier_artifact("ultrafeedback"))

    def score(text: str) -> float:
        chances = predictor.predict(text, classify_prompt(text)).probabilities
        return chances[4] - chances[1]

    return "litellm", score


def langchain_model_router() -> tuple[str, Scorer]:
    from langchain_model_router.strategies.heuristic import HeuristicStrategy
    from langchain_model_router.strategy import RoutingRequest

    strategy = HeuristicStrategy("weak", "strong")

    def score(text: str) -> float:
        request = RoutingRequest(
            text=text,
            content_blocks=[{"type": "text", "text": text}],
            modalities=frozenset({"text"}),
            routes=("weak", "strong"),
            tools_bound=False,
        )
        return sum(strategy.weights[name] * signal(request) for name, signal in strategy.signals.items())

    return "langchain-model-router", score


def cascadeflow_complexity() -> tuple[str, Scorer]:
    from cascadeflow.integrations.langchain.complexity import ComplexityDetector

    detector, levels = ComplexityDetector(), ("trivial", "simple", "moderate", "hard", "expert")

    def score(text: str) -> float:
        return float(levels.index(detector.detect(text)["complexity"]))

    return "cascadeflow", score


def cascadeflow_difficulty() -> tuple[str, Scorer]:
    from cascadeflow.quality.query_difficulty import QueryDifficultyEstimator

    estimator = QueryDifficultyEstimator()
    return "cascadeflow", lambda text: float(estimator.estimate(text))


QUESTION_SCORERS: dict[str, Callable[[], tuple[str, Scorer]]] = {
    "LiteLLM complexity": litellm_complexity,
    "LiteLLM heuristic_v2": litellm_heuristic_v2,
    "langchain-model-router": langchain_model_router,
    "cascadeflow complexity": cascadeflow_complexity,
    "cascadeflow difficulty": cascadeflow_difficulty,
}


def answer_scores(questions: list[str], answers: list[str]) -> dict[str, list[float]]:
    """How doubtful cascadeflow finds each answer: its LangChain score, and its own estimator."""
    from types import SimpleNamespace

    from cascadeflow.integrations.langchain.utils import calculate_quality
    from cascadeflow.quality.confidence import ProductionConfidenceEstimator

    estimator = ProductionConfidenceEstimator()

    def shipped(answer: str) -> float:
        generation = SimpleNamespace(text=answer, message=None, generation_info=None)
        return -float(calculate_quality(SimpleNamespace(generations=[generation])))

    pairs = list(zip(questions, answers, strict=True))
    return {
        "cascadeflow quality (LangChain)": [shipped(answer) for _, answer in pairs],
        "cascadeflow confidence": [
            -float(estimator.estimate(response=answer, query=question).final_confidence)
            for question, answer in pairs
        ],
    }


def measure(texts: list[str], answers: list[str]) -> dict:
    found: dict = {"versions": {}, "scores": {}, "seconds": {}, "answer_scores": {}, "skipped": []}
    for name, make in QUESTION_SCORERS.items():
        try:
            package, score = make()
        except (ImportError, TypeError, AttributeError) as error:
            found["skipped"].append(f"{name}: skipped, {type(error).__name__}: {error}")
            continue
        found["versions"][package] = version(package)
        for text in texts[:20]:
            score(text)
        scores, seconds = [], []
        for text in texts:
            start = time.thread_time()
            scores.append(score(text))
            seconds.append(time.thread_time() - start)
        found["scores"][name], found["seconds"][name] = scores, seconds
    if answers:
        try:
            found["answer_scores"] = answer_scores(texts, answers)
            found["versions"]["cascadeflow"] = version("cascadeflow")
        except (ImportError, PackageNotFoundError) as error:
            found["skipped"].append(f"cascadeflow's answer scores: skipped, {error}")
    return found


def ask(python: str | None, texts: list[str], answers: list[str]) -> dict:
    """Measure here, or in the Python that has the packages."""
    if python is None:
        with contextlib.redirect_stdout(sys.stderr):
            return measure(texts, answers)
    asked = json.dumps({"texts": texts, "answers": answers})
    done = subprocess.run([python, __file__], input=asked, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["no message"]
        return {"versions": {}, "scores": {}, "seconds": {}, "answer_scores": {},
                "skipped": [f"peers: skipped, {python} failed: {lines[-1]}"]}  # fmt: skip
    return json.loads(done.stdout)


if __name__ == "__main__":
    given = json.load(sys.stdin)
    with contextlib.redirect_stdout(sys.stderr):
        result = measure(given["texts"], given["answers"])
    json.dump(result, sys.stdout)
