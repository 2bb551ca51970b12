"""Tell whether two answers say the same, so that a miss teaches the policy something for nothing."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable, Sequence
from typing import Any, Final

from tokenomics_core.errors import ConfigurationError

__all__ = ["AnswerComparer", "answer_digest_text"]

_NUMBER: Final = re.compile(r"(?<![\w.])[-+]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:[eE][-+]?\d+)?(?![\w])")
_LIST_MARK: Final = re.compile(r"(?m)^\s*(?:\d{1,3}[.)]|[-*•#>]+)\s+")
_MARKUP: Final = re.compile(r"[*_`#>~]+")
_SPACED_WORD: Final = re.compile(r"\w+(?:'\w+)?")
_NEGATIONS: Final = frozenset(
    [
        "no",
        "not",
        "never",
        "none",
        "nothing",
        "neither",
        "nor",
        "cannot",
        "can't",
        "don't",
        "doesn't",
        "didn't",
        "won't",
        "isn't",
        "aren't",
        "wasn't",
        "weren't",
        "without",
        "unable",
        "nicht",
        "kein",
        "keine",
        "nie",
        "ne",
        "pas",
        "jamais",
        "nunca",
        "non",
        "mai",
        "não",
        "нет",
        "не",
    ]
)
_EDGES: Final = " \t\n.,;:!?\"'()[]{}…。！？"  # noqa: RUF001 - marks of several scripts


class AnswerComparer:
    """Compares a fresh answer with a stored one: the same, different, or not to be told.

    Equal up to spelling is the same. Structured answers (JSON, numbers) and short ones are different wherever
    they are not the same. Longer ones are different where their numbers or, up to 60 words, their negations
    differ; else by how near their meanings are; between the two thresholds nobody can tell, and nothing is
    learned. A judge is asked only about what would be left open.

    Args:
        same_above: Cosine of their vectors from which longer answers are the same; None leaves them open.
        different_below: Cosine below which they are different; None for none.
        short_words: Up to how many words an answer is short.
        judge: Called with two answers; True, False, or None where it cannot tell. It may be async.
    """

    def __init__(
        self,
        *,
        same_above: float | None = 0.95,
        different_below: float | None = 0.6,
        short_words: int = 8,
        judge: Callable[[str, str], Any] | None = None,
    ) -> None:
        bounds = [bound for bound in (different_below, same_above) if bound is not None]
        if sorted(bounds) != bounds or any(not -1 <= bound <= 1 for bound in bounds):
            raise ConfigurationError(
                "different_below and same_above must be in [-1, 1] and in this order, not "
                f"{different_below!r} and {same_above!r}; no comparer was made"
            )
        if short_words < 0:
            raise ConfigurationError(
                f"short_words must be 0 or more, not {short_words!r}; no comparer was made"
            )
        self.judge = judge
        self._same_above, self._different_below = same_above, different_below
        self._short_words = short_words

    @property
    def uses_meaning(self) -> bool:
        """Whether the cosine of two answers can tell anything."""
        return self._same_above is not None or self._different_below is not None

    def by_meaning(self, similarity: float) -> bool | None:
        """Tell from two longer answers' cosine whether they say the same; None between the thresholds."""
        if self._same_above is not None and similarity >= self._same_above:
            return True
        return False if self._different_below is not None and similarity < self._different_below else None

    def by_form(self, one: str, other: str) -> bool | None:
        """Tell from their words alone whether two answers say the same; None where that is not enough."""
        if answer_digest_text(one) == answer_digest_text(other):
            return True
        structured = _structure(one), _structure(other)
        if structured[0] is not None or structured[1] is not None:
            return structured[0] == structured[1]
        words = _words(one), _words(other)
        if min(len(words[0]), len(words[1])) <= self._short_words:
            return False
        return False if _contradict(one, other, words) else None


def answer_digest_text(answer: str) -> str:
    """Fold an answer's spelling: case, spacing, markup, marks at its ends; equal texts say the same."""
    structured = _structure(answer)
    if structured is not None:
        return structured
    plain = _MARKUP.sub(
        "", unicodedata.normalize("NFC", answer).replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")
    )
    return " ".join(plain.lower().split()).strip(_EDGES)


def _structure(answer: str) -> str | None:
    """Write JSON and numbers in one way; None for what is neither."""
    text = answer.strip().strip("`")
    if _NUMBER.fullmatch(text.rstrip(".")):
        return repr(float(text.rstrip(".").replace(",", "")))
    if text[:1] not in {"{", "["}:
        text = text.removeprefix("json").strip()
    if text[:1] not in {"{", "["}:
        return None
    try:
        return json.dumps(_plain(json.loads(text)), sort_keys=True)
    except (ValueError, RecursionError):
        return None


def _plain(value: Any) -> Any:
    """Let 1 and 1.0 be one number, and True none."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _words(text: str) -> list[str]:
    return _SPACED_WORD.findall(text.lower().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'"))


def _contradict(one: str, other: str, words: tuple[Sequence[str], Sequence[str]]) -> bool:
    numbers = _numbers(one), _numbers(other)
    short = max(len(words[0]), len(words[1])) <= 60
    if short:
        return numbers[0] != numbers[1] or _negations(words[0]) % 2 != _negations(words[1]) % 2
    return bool(numbers[0] - numbers[1]) and bool(numbers[1] - numbers[0])


def _numbers(text: str) -> frozenset[float]:
    plain = _LIST_MARK.sub("", text)
    return frozenset(float(found[0].replace(",", "")) for found in _NUMBER.finditer(plain))


def _negations(words: Sequence[str]) -> int:
    return sum(word in _NEGATIONS or word.endswith("n't") for word in words)
