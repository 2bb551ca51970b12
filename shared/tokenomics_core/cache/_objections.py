"""Ask all content guards, each at its time, and remember what they said of stored answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from tokenomics_core.cache._entry import CacheEntry
from tokenomics_core.cache._hit import Answer
from tokenomics_core.cache.content_guards import Content, ContentGuard
from tokenomics_core.errors import ConfigurationError

__all__ = ["Objections"]

_K = TypeVar("_K")
_REMEMBERED = 10_000


class Objections:
    """The first guard that objects; one that fails objects too, for nobody knows what it would have said."""

    def __init__(self, guards: Iterable[ContentGuard], on_failure: Callable[[str, Exception], None]) -> None:
        self._guards = tuple(guards)
        for guard in self._guards:
            if not isinstance(guard, ContentGuard):
                raise ConfigurationError(
                    f"guards must be content guards, not {guard!r}; make one of a function with "
                    "tokenomics_core.cache.content_guards.guard(name, function)"
                )
        self._on_question = tuple(guard for guard in self._guards if guard.on_question)
        self._on_failure = on_failure
        self._of_question: dict[str, str | None] = {}
        self._of_entry: dict[tuple[str, str], str | None] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the guards, in the order they are asked."""
        return tuple(guard.name for guard in self._guards)

    def to_question(self, question: str) -> str | None:
        """Return which guard objects to a question before anything is looked up."""
        if question in self._of_question:
            return self._of_question[question]
        told = self._first(self._on_question, Content(stage="ask", question=question))
        _keep(self._of_question, question, told)
        return told

    def to_serving(self, question: str, entry: CacheEntry) -> str | None:
        """Return which guard objects to serving a stored answer."""
        asked = (entry.id, question)
        if asked in self._of_entry:
            return self._of_entry[asked]
        content = Content(
            stage="serve",
            question=question,
            answer=entry.answer,
            payload=entry.payload,
            model=entry.model,
            tags=entry.tags,
        )
        told = self._first(self._guards, content)
        _keep(self._of_entry, asked, told)
        return told

    def to_storing(self, question: str, fresh: Answer) -> str | None:
        """Return which guard objects to keeping a fresh answer."""
        content = Content(
            stage="store",
            question=question,
            answer=fresh.text,
            payload=fresh.payload,
            finish_reason=None if fresh.finish_reason is None else fresh.finish_reason.lower(),
            has_tool_calls=fresh.has_tool_calls,
            is_error=fresh.is_error,
            judge_score=fresh.judge_score,
            model=fresh.model,
            tags=fresh.tags,
        )
        return self._first(self._guards, content)

    def _first(self, guards: Iterable[ContentGuard], content: Content) -> str | None:
        for guard in guards:
            try:
                if guard.objects(content):
                    return guard.name
            except Exception as error:  # noqa: BLE001 - a guard of the user's may not break the call
                self._on_failure(guard.name, error)
                return guard.name
        return None


def _keep(known: dict[_K, str | None], key: _K, told: str | None) -> None:
    if len(known) >= _REMEMBERED:
        known.clear()
    known[key] = told
