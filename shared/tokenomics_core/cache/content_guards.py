"""Reasons never to store an answer, and never to serve one: predicates that can be combined."""

from __future__ import annotations

import math
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from tokenomics_core.cache._personal_data import KINDS, find_personal_data
from tokenomics_core.cache._phrases import REFUSALS, TIME_WORDS, pattern_of
from tokenomics_core.errors import ConfigurationError

__all__ = [
    "DEFAULT_GUARDS",
    "Content",
    "ContentGuard",
    "EmptyAnswers",
    "Errors",
    "JudgedBelow",
    "PersonalData",
    "Refusals",
    "TimeDependent",
    "ToolCalls",
    "Truncated",
    "guard",
]

_REFUSAL_WITHIN_CHARS = 300
_SENTENCE_ENDS = ".!?:\n。！"  # noqa: RUF001 - Chinese and Japanese marks
_ASKS = re.compile(
    r"\W*(?:how|what|which|who|whom|whose|when|where|why|did|do|does|is|are|was|were|has|have|list|show|give|tell|"
    r"find|summari[sz]e|compare)\b",
    re.IGNORECASE,
)
_CUT_SHORT = frozenset(
    {"length", "max_tokens", "max_output_tokens", "model_length", "incomplete", "too_long"}
)
_FILTERED = frozenset(
    {"content_filter", "refusal", "safety", "blocklist", "prohibited_content", "recitation", "spii"}
)
_FAILED = frozenset({"error", "failed", "cancelled", "malformed_function_call"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What a guard looks at.

    Attributes:
        stage: `ask` before anything is looked up, `store` with a fresh answer, `serve` with a stored one.
        question: As it is asked.
        answer: What the answer says; None before there is one, or where nobody can tell.
        payload: The answer as it is kept; None before there is one.
        finish_reason: Why the model stopped, in lower case; None where unknown, as for stored answers.
        has_tool_calls: Whether a fresh answer asks for tools.
        is_error: Whether the call failed.
        judge_score: How good a fresh answer is, in [0, 1].
        model: Which model gave it.
        tags: It is labelled with.
    """

    stage: Literal["ask", "store", "serve"]
    question: str
    answer: str | None = None
    payload: bytes | str | None = None
    finish_reason: str | None = None
    has_tool_calls: bool = False
    is_error: bool = False
    judge_score: float | None = None
    model: str | None = None
    tags: tuple[str, ...] = ()


class ContentGuard(ABC):
    """A reason not to store or serve.

    Guards combine: `a | b` objects where either does, `a & b` where both do, `~a` where `a` does not.
    The name shows in statistics and explanations.
    """

    name: str = "guard"
    on_question: bool = False
    """Whether it may object to a question alone, before anything is looked up."""

    @abstractmethod
    def objects(self, content: Content) -> bool:
        """Tell whether this must not be stored or served; answer the same for the same content."""

    def __or__(self, other: ContentGuard) -> ContentGuard:
        return _Combined("or", (self, other))

    def __and__(self, other: ContentGuard) -> ContentGuard:
        return _Combined("and", (self, other))

    def __invert__(self) -> ContentGuard:
        return _Combined("not", (self,))

    def __repr__(self) -> str:
        return f"<content guard {self.name}>"


class Errors(ContentGuard):
    """Objects to what a failed call left."""

    name = "error"

    def objects(self, content: Content) -> bool:
        """See `ContentGuard.objects`."""
        return content.is_error or content.finish_reason in _FAILED


class Truncated(ContentGuard):
    """Objects to answers that a limit cut short, by any provider's word for it."""

    name = "truncated"

    def objects(self, content: Content) -> bool:
        """See `ContentGuard.objects`."""
        return content.finish_reason in _CUT_SHORT


class EmptyAnswers(ContentGuard):
    """Objects to answers without a word, unless they call tools."""

    name = "empty"

    def objects(self, content: Content) -> bool:
        """See `ContentGuard.objects`."""
        if content.stage == "ask" or content.has_tool_calls or content.payload is None:
            return False
        return not content.payload or (content.answer is not None and not content.answer.strip())


class Refusals(ContentGuard):
    """Objects to answers that begin as refusals do, and to those a provider's filter stopped.

    Args:
        languages: Of `de en es fr it ja nl pl pt ru zh`; all by default.
    """

    name = "refusal"

    def __init__(self, languages: Iterable[str] = tuple(REFUSALS)) -> None:
        self._begins = pattern_of(REFUSALS, _known(languages, REFUSALS))

    def objects(self, content: Content) -> bool:
        """See `ContentGuard.objects`."""
        if content.finish_reason in _FILTERED:
            return True
        if not content.answer:
            return False
        begin = content.answer[:_REFUSAL_WITHIN_CHARS].replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")
        return any(self._starts_sentence(begin, found.start()) for found in self._begins.finditer(begin))

    @staticmethod
    def _starts_sentence(text: str, at: int) -> bool:
        before = text[:at].rstrip(" \"'*_>-")
        return not before or before[-1] in _SENTENCE_ENDS


class ToolCalls(ContentGuard):
    """Objects to answers that ask for tools: what a tool does, happens anew each time."""

    name = "tool_calls"

    def objects(self, content: Content) -> bool:
        """See `ContentGuard.objects`."""
        return content.has_tool_calls


class PersonalData(ContentGuard):
    """Objects to what points to a person: mail addresses, telephone numbers, accounts, cards.

    Mailboxes of an office (`support@...`), numbers that are free to call and examples' domains point to none.

    Args:
        kinds: Of `email phone iban card ssn`; all by default.
        where: Whether questions, answers or both are looked through.
        allowed: Addresses, numbers (digits only) and mail domains that are public.
    """

    name = "personal_data"

    def __init__(
        self,
        kinds: Iterable[str] = tuple(KINDS),
        *,
        where: Literal["both", "question", "answer"] = "both",
        allowed: Iterable[str] = (),
    ) -> None:
        self._kinds = _known(kinds, KINDS)
        if where not in {"both", "question", "answer"}:
            raise ConfigurationError(f"where must be 'both', 'question' or 'answer', not {where!r}")
        self._where = where
        self._allowed = frozenset(item.lower() for item in allowed)
        self.on_question = where != "answer"

    def objects(self, content: Content) -> bool:
        """See `ContentGuard.objects`."""
        texts = []
        if self._where != "answer":
            texts.append(content.question)
        if self._where != "question" and content.answer:
            texts.append(content.answer)
        return any(find_personal_data(text, self._kinds, self._allowed) for text in texts)


class TimeDependent(ContentGuard):
    """Objects to questions whose answer is true only for a while: "today", "latest", "current price".

    Args:
        languages: Of `de en es fr it ja nl pt ru zh`. English alone by default: a word of one language may
            be harmless in another.
    """

    name = "time_dependent"
    on_question = True

    def __init__(self, languages: Iterable[str] = ("en",)) -> None:
        self._words = pattern_of(TIME_WORDS, _known(languages, TIME_WORDS))

    def objects(self, content: Content) -> bool:
        """See `ContentGuard.objects`."""
        return any(
            found.groupdict().get("past") is None or _ASKS.match(content.question)
            for found in self._words.finditer(content.question)
        )


class JudgedBelow(ContentGuard):
    """Objects to fresh answers that a judge scored below a bar; what nobody judged passes.

    Args:
        score: The bar, in [0, 1].
    """

    name = "judged_below"

    def __init__(self, score: float) -> None:
        if not (isinstance(score, int | float) and math.isfinite(score) and 0 <= score <= 1):
            raise ConfigurationError(f"score must be in [0, 1], not {score!r}; no guard was made")
        self._score = score

    def objects(self, content: Content) -> bool:
        """See `ContentGuard.objects`."""
        return content.judge_score is not None and content.judge_score < self._score


def guard(name: str, objects: Callable[[Content], bool], *, on_question: bool = False) -> ContentGuard:
    """Make a guard of a function.

    Args:
        name: Shows in statistics and explanations.
        objects: Whether content must not be stored or served.
        on_question: Whether it may object to a question alone; it is then asked first, with no answer.
    """
    return _Function(name, objects, on_question=on_question)


class _Function(ContentGuard):
    def __init__(self, name: str, function: Callable[[Content], bool], *, on_question: bool) -> None:
        self.name, self._function, self.on_question = name, function, on_question

    def objects(self, content: Content) -> bool:
        return bool(self._function(content))


class _Combined(ContentGuard):
    def __init__(self, how: Literal["or", "and", "not"], parts: Sequence[ContentGuard]) -> None:
        self._how, self._parts = how, tuple(parts)
        names = [part.name for part in parts]
        self.name = f"not {names[0]}" if how == "not" else f"({f' {how} '.join(names)})"
        # A question alone settles an `or` by any part, all else only where every part can judge by it.
        can = [part.on_question for part in parts]
        self.on_question = any(can) if how == "or" else all(can)

    def objects(self, content: Content) -> bool:
        parts = self._parts
        if content.stage == "ask" and self._how == "or":
            parts = tuple(part for part in parts if part.on_question)
        told = [part.objects(content) for part in parts]
        if self._how == "not":
            return not told[0]
        return any(told) if self._how == "or" else all(told)


def _known(names: Iterable[str], known: Mapping[str, object]) -> tuple[str, ...]:
    chosen = (names,) if isinstance(names, str) else tuple(names)
    for name in chosen:
        if name not in known:
            raise ConfigurationError(f"{name!r} must be one of {', '.join(known)}; no guard was made")
    if not chosen:
        raise ConfigurationError(f"choose at least one of {', '.join(known)}; no guard was made")
    return chosen


DEFAULT_GUARDS: tuple[ContentGuard, ...] = (
    Errors(),
    Truncated(),
    EmptyAnswers(),
    Refusals(),
    ToolCalls(),
    PersonalData(),
    TimeDependent(),
)
"""What is never stored or served unless other guards are named."""
