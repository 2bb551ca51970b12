"""Choose which lines of a text stay within a budget of tokens."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence

__all__ = ["fit_lines", "relevance"]

_WORD = re.compile(r"\w+")
_ALARM = re.compile(
    r"error|exception|fail|fatal|critical|panic|denied|refused|timed? ?out"
    r"|traceback|warn|not found|assert|abort",
    re.IGNORECASE,
)
_SHORT_WORD = 2


def relevance(query: str | None) -> Callable[[str], float]:
    """Score texts by the share of a question's words that they hold, plus 1 where they speak of an error."""
    asked = {
        word for word in _WORD.findall((query or "").lower()) if len(word) > _SHORT_WORD or word.isdigit()
    }

    def score(text: str) -> float:
        share = len(asked.intersection(_WORD.findall(text.lower()))) / len(asked) if asked else 0.0
        return share + (1.0 if _ALARM.search(text) else 0.0)

    return score


def fit_lines(
    lines: Sequence[str], max_tokens: int, tokens: Callable[[str], int], score: Callable[[str], float]
) -> tuple[str, int]:
    """Keep the lines that matter most, in order, each gap saying how many lines it stands for.

    Lines score by `score`; among equals the first and the last stay longest.

    Returns:
        The text, of `max_tokens` at most (empty where not even a gap fits), and the number of lines left out.
    """
    last = len(lines) - 1
    ranked = sorted(range(len(lines)), key=lambda at: (-score(lines[at]), min(at, last - at), at))
    low, high = 0, len(lines)
    while low < high:
        middle = (low + high + 1) // 2
        if tokens(_text(lines, ranked[:middle])) <= max_tokens:
            low = middle
        else:
            high = middle - 1
    # Fewer lines may make more gaps, so the search can end where a line more would not fit but one less does.
    while low and tokens(_text(lines, ranked[:low])) > max_tokens:
        low -= 1
    text = _text(lines, ranked[:low])
    if low or tokens(text) <= max_tokens:
        return (text, len(lines) - low) if low or len(lines) > 1 else _one_line(lines, max_tokens, tokens)
    return "", len(lines)


def _one_line(lines: Sequence[str], max_tokens: int, tokens: Callable[[str], int]) -> tuple[str, int]:
    """Cut the middle out of a single line."""
    line = "".join(lines)
    low, high = 0, len(line) // 2
    while low < high:
        middle = math.ceil((low + high) / 2)
        if tokens(_halves(line, middle)) <= max_tokens:
            low = middle
        else:
            high = middle - 1
    text = _halves(line, low)
    return (text if tokens(text) <= max_tokens else ""), 1


def _halves(line: str, keep: int) -> str:
    return f"{line[:keep]} … {len(line) - 2 * keep} characters left out … {line[len(line) - keep :]}"


def _text(lines: Sequence[str], kept: Sequence[int]) -> str:
    parts: list[str] = []
    expected = 0
    for at in [*sorted(kept), len(lines)]:
        if at > expected:
            gap = at - expected
            parts.append(f"… {gap} {'line' if gap == 1 else 'lines'} left out …")
        if at < len(lines):
            parts.append(lines[at])
        expected = at + 1
    return "\n".join(parts)
