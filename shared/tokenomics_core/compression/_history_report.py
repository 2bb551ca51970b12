"""What a compression of a conversation kept and what it left out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tokenomics_core.compression._summary import SummaryReport
from tokenomics_core.compression._turns import Message

__all__ = ["CompressedHistory", "DroppedTurn", "HistoryReport", "KeptMessage", "KeptReason"]

KeptReason = Literal["whole", "system", "last", "question", "goal", "relevant"]


@dataclass(frozen=True, slots=True)
class KeptMessage:
    """A message that is sent.

    Attributes:
        place: Where it stood among the messages given.
        reason: Why it stayed; `whole` where everything did.
    """

    place: int
    reason: KeptReason


@dataclass(frozen=True, slots=True)
class DroppedTurn:
    """Messages that were left out together.

    Attributes:
        places: Where they stood among the messages given.
        tokens: What they would have cost.
        score: How much to the point they were, comparable within one compression only; None where nothing
            was scored.
    """

    places: tuple[int, ...]
    tokens: int
    score: float | None


@dataclass(frozen=True, slots=True)
class HistoryReport:
    """What a compression of a conversation did.

    Attributes:
        tokens_before: Tokens of the messages given.
        tokens_after: Tokens of the messages to send.
        budget_tokens: The most that were allowed.
        kept: What is sent, in order.
        dropped: What is not, in order.
        note: The message that says so; None where nothing was left out, none was wanted or none fitted.
        summary: What became of a summary; None where none was asked for.
        remarks: What was not done, and why.
        has_question: Whether the last words of the user's are sent, where there are any.
    """

    tokens_before: int
    tokens_after: int
    budget_tokens: int
    kept: tuple[KeptMessage, ...]
    dropped: tuple[DroppedTurn, ...] = ()
    note: str | None = None
    summary: SummaryReport | None = None
    remarks: tuple[str, ...] = ()
    has_question: bool = True


@dataclass(frozen=True, slots=True)
class CompressedHistory:
    """The messages to send in place of a conversation.

    Attributes:
        messages: Those kept, the very objects that were given and in their order, and the note.
        tokens_before: Tokens of the messages given.
        tokens_after: Tokens of `messages`; never more than allowed.
        report: What was kept and what left out.
    """

    messages: list[Message]
    tokens_before: int
    tokens_after: int
    report: HistoryReport
