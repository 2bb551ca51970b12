"""The questions of the main job, and what makes an answer to them right."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

__all__ = ["DEFAULT_PATH", "Kind", "Question", "ask_again", "load_questions", "share_out"]

Kind = Literal["easy", "plain", "hard", "paraphrase", "near_miss", "follow_up", "repeat"]

DEFAULT_PATH = Path(__file__).resolve().parents[1] / "questions.jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One question of the stream. Only `text` is ever sent to a provider.

    Attributes:
        id: Unique in its file.
        text: What is asked.
        kind: `paraphrase` asks what `of` asks in other words; `near_miss` looks like `of` and has
            another answer; `follow_up` makes sense only after the earlier ones of its `conversation`;
            `hard` needs two documents, or a fact deep inside a long one; `repeat` asks what `of` asked, as
            somebody else typed it.
        of: The question that a paraphrase, near miss or repeat belongs to; it comes earlier.
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


def ask_again(questions: Sequence[Question], *, every: int = 5, later: int = 40) -> list[Question]:
    """Let other users ask some questions of a stream once more, as people do.

    Args:
        questions: The stream; what belongs to a conversation is not repeated.
        every: Which of the others are: the first, and every so many after it.
        later: How many questions come in between.
    """
    users = sorted({question.user for question in questions})
    alone = [question.id for question in questions if question.conversation is None and question.of is None]
    chosen = set(alone[::every])
    mixed: list[Question] = []
    due: dict[int, Question] = {}
    for at, question in enumerate(questions):
        mixed.append(question)
        if question.id in chosen:
            other = users[(users.index(question.user) + 1) % len(users)]
            text = question.text.rstrip("?").lower() if len(due) % 2 else f"{question.text} "
            due[at + later] = replace(
                question, id=f"r{question.id}", kind="repeat", of=question.id, user=other, text=text
            )
        if at in due:
            mixed.append(due[at])
    return [*mixed, *(question for at, question in due.items() if at >= len(questions))]


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
