"""One pass over the question stream, tracked, attributed and judged."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Protocol

import langchain_tokenomics  # noqa: F401 - once imported, every block counts LangChain's calls too
from examples.judge import is_right
from examples.main_job.questions import Question, share_out
from llama_index_tokenomics import track_cost
from tokenomics_core.compression.stats import CompressionStats
from tokenomics_core.errors import BudgetExceededError
from tokenomics_core.ledger import Ledger
from tokenomics_core.observability import CostReport
from tokenomics_core.types import attribution

__all__ = ["App", "Arm", "ArmResult", "Outcome", "run_arm"]


class App(Protocol):
    """A way to answer questions."""

    name: str

    def ask(self, question: Question, history: Sequence[tuple[str, str]]) -> str:
        """Answer a question after the questions and answers before it."""

    def compressed(self) -> CompressionStats:
        """Tell what compression made of what was retrieved."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """One way to run the whole stream.

    Attributes:
        name: What its column is called; `plain` for the frameworks as they are.
        apps: They share the questions out among them.
        models: The model of each feature.
        guard: What is open while the arm runs, such as a budget guard.
    """

    name: str
    apps: tuple[App, ...]
    models: dict[str, str]
    guard: Callable[[], AbstractContextManager[object]] = nullcontext


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A question, what was answered, and whether that is right; a refused one has no answer."""

    question: Question
    app: str
    model: str
    answer: str
    right: bool
    refused: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmResult:
    """Everything that one pass brought."""

    arm: Arm
    outcomes: tuple[Outcome, ...]
    report: CostReport


def run_arm(
    arm: Arm,
    questions: Sequence[Question],
    *,
    ledger: Ledger,
    run: str,
    on_progress: Callable[[int, CostReport], None] | None = None,
) -> ArmResult:
    """Ask every question in order and keep what was answered and what it cost.

    Args:
        arm: How to answer.
        questions: What to ask.
        ledger: Where every call is recorded, besides the report.
        run: What this run is called in the ledger.
        on_progress: Told after each question how many are done, and the bill so far.
    """
    shares = share_out(questions, len(arm.apps))
    history: dict[str, list[tuple[str, str]]] = {}
    outcomes = []
    # One block counts the calls of both frameworks, each once.
    with track_cost(title=f"Standard library questions, {arm.name}", ledger=ledger) as report, arm.guard():
        for done, question in enumerate(questions, start=1):
            app = arm.apps[shares[question.id]]
            before = history.setdefault(question.conversation, []) if question.conversation else []
            with attribution(
                user=question.user,
                feature=question.feature,
                project="stdlib-rag",
                conversation=question.conversation,
                run=run,
                tags={"framework": app.name, "arm": arm.name, "question": question.id},
            ):
                answer = _ask(app, question, before)
            if answer is not None:
                before.append((question.text, answer))
            outcomes.append(
                Outcome(
                    question=question,
                    app=app.name,
                    model=arm.models[question.feature],
                    answer=answer or "",
                    right=answer is not None and is_right(answer, question.facts),
                    refused=answer is None,
                )
            )
            if on_progress is not None:
                on_progress(done, report)
    return ArmResult(arm=arm, outcomes=tuple(outcomes), report=report)


def _ask(app: App, question: Question, history: Sequence[tuple[str, str]]) -> str | None:
    """Return the answer, or None where a budget refused the question."""
    try:
        return app.ask(question, tuple(history))
    except BudgetExceededError:
        return None
