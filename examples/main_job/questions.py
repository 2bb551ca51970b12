"""The questions of the main job, and what makes an answer to them right."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

__all__ = ["DEFAULT_PATH", "Kind", "Question", "load_questions", "share_out"]

Kind = Literal["easy", "plain", "hard", "paraphrase", "near_miss", "follow_up"]

DEFAULT_PATH = Path(__file__).resolve().parents[1] / "questions.jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One question of the stream. Only `text` is ever sent to a provider.

    Attributes:
        id: Unique in its file.
        text: What is asked.
        kind: `paraphrase` asks what `of` asks in other words; `near_miss` looks like `of` and has
            another answer; `follow_up` makes sense only after the earlier ones of its `conversation`;
            `hard` needs two documents, or a fact deep inside a long one.
        of: The question that a paraphrase or near miss belongs to; it comes earlier.
        conversation: The dialogue that it belongs to.
        user: Who asks.
        feature: The part of the application that is asked.
        sources: Documents that together hold the facts.
        facts: What the answer must say; each fact in one of the wordings of its inner tuple.
    """

    id: str
    text: str
    kind: Kind
    user: str
    feature: str
    sources: tuple[str, ...]
    facts: tuple[tuple[str, ...], ...]
    of: str | None = None
    conversation: str | None = None


def load_questions(path: Path = DEFAULT_PATH) -> list[Question]:
    """Read questions from a file with one JSON object per line.

    Raises:
        ValueError: A line is no question; the message names the file and the line.
    """
    questions = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip():
            continue
        try:
            questions.append(_question(json.loads(line)))
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{path}:{number} is no question ({error!r}); nothing was asked") from error
    return questions


def share_out(questions: Sequence[Question], ways: int) -> dict[str, int]:
    """Deal questions out in turn; a conversation stays together, and so do a question and its variants."""
    dealt: dict[str, int] = {}
    shares = {}
    for question in questions:
        topic = question.conversation or question.of or question.id
        shares[question.id] = dealt.setdefault(topic, len(dealt) % ways)
    return shares


def _question(data: dict[str, Any]) -> Question:
    question = Question(
        **{
            **data,
            "sources": tuple(data["sources"]),
            "facts": tuple(tuple(wordings) for wordings in data["facts"]),
        }
    )
    if question.kind not in get_args(Kind):
        raise ValueError(f"kind must be one of {', '.join(get_args(Kind))}, not {question.kind!r}")
    if not question.facts or not all(question.facts):
        raise ValueError("without facts no answer can be judged")
    return question
