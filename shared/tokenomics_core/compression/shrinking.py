"""Rules that shorten text word by word; nothing uses them unless told to.

They save little and can cost answers: see the table in docs/compression.md before switching one on.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from tokenomics_core.errors import ConfigurationError
from tokenomics_core.tokens import count_tokens

__all__ = ["RULES", "ShrunkText", "shrink_text"]

RULES: Final = ("whitespace", "boilerplate", "fillers", "articles", "stop_words")
"""From the safest to the riskiest."""

_KEPT = re.compile(r"(```.*?```|`[^`\n]*`|\"[^\"\n]*\"|https?://\S+|\[\d+\])", re.DOTALL)
_BLANKS = (re.compile(r"[ \t]+(?=\n)"), re.compile(r"\n{3,}"), re.compile(r"(?<=\S)[ \t]{2,}(?=\S)"))
_BOILERPLATE = re.compile(
    r"^.*(?:all rights reserved|©|\(c\) \d{4}|accept (?:all )?cookies|cookie policy|privacy policy"
    r"|terms of (?:use|service)"
    r"|subscribe to our newsletter|share (?:this )?on (?:facebook|twitter|x|linkedin)"
    r"|skip to (?:main )?content"
    r"|click here to).*\n?",
    re.IGNORECASE | re.MULTILINE,
)
_FILLERS = re.compile(
    r"\b(?:as a matter of fact|it should be noted that|it is worth (?:noting|mentioning) that"
    r"|needless to say"
    r"|in order (?=to\b)|basically|actually|very|really|quite|simply|just|please)\b[, ]*",
    re.IGNORECASE,
)
_ARTICLES = re.compile(r"\b(?:a|an|the) (?=\w)", re.IGNORECASE)
# No negation, no question word, no word of quantity or time: those say something.
_STOP_WORDS = re.compile(
    r"\b(?:a|an|the|of|to|in|on|at|by|for|with|and|that|this|these|those|is|are|was|were|be|been|being|it|its|as|from"
    r"|has|have|had|do|does|did|will|would|can|could|should"
    r"|their|his|her|our|your|there|which|who|also|such) (?=\w)",
    re.IGNORECASE,
)
_PATTERNS: Final[dict[str, tuple[tuple[re.Pattern[str], str], ...]]] = {
    "whitespace": ((_BLANKS[0], ""), (_BLANKS[1], "\n\n"), (_BLANKS[2], " ")),
    "boilerplate": ((_BOILERPLATE, ""),),
    "fillers": ((_FILLERS, ""),),
    "articles": ((_ARTICLES, ""),),
    "stop_words": ((_STOP_WORDS, ""),),
}


@dataclass(frozen=True, slots=True)
class ShrunkText:
    """A shortened text.

    Attributes:
        text: What to send.
        tokens_before: Tokens of the original.
        tokens_after: Tokens of `text`; never more.
        removed: By rule how many places it changed.
    """

    text: str
    tokens_before: int
    tokens_after: int
    removed: dict[str, int]


def shrink_text(
    text: str, rules: Iterable[str], *, model: str | None = None, count: Callable[[str], int] | None = None
) -> ShrunkText:
    """Shorten a text by the rules named, and by no other.

    Code, quotations, addresses, citation marks such as `[3]`, numbers and negations stay as they are.

    Args:
        text: Prose.
        rules: Of `RULES`; there is no default.
        model: Whose tokens to count.
        count: Another way to count tokens.

    Raises:
        ConfigurationError: A rule is unknown, none is named, or the text is none; nothing was shortened.
    """
    if not isinstance(text, str):
        raise ConfigurationError(f"text must be text, not {text!r:.80}; nothing was shortened")
    wanted = [rules] if isinstance(rules, str) else list(rules)
    unknown = [rule for rule in wanted if rule not in RULES]
    if unknown or not wanted:
        raise ConfigurationError(
            f"rules must be of {', '.join(RULES)}, not {unknown or wanted!r}; nothing was shortened"
        )
    tokens = count or (lambda piece: int(count_tokens(piece, model)))
    removed: dict[str, int] = dict.fromkeys((rule for rule in RULES if rule in wanted), 0)
    parts = _KEPT.split(text)
    for rule in removed:
        for pattern, instead in _PATTERNS[rule]:
            for place in range(0, len(parts), 2):
                parts[place], times = pattern.subn(instead, parts[place])
                removed[rule] += times
    shorter = "".join(parts)
    before, after = tokens(text), tokens(shorter)
    if after >= before:
        return ShrunkText(text, before, before, dict.fromkeys(removed, 0))
    return ShrunkText(shorter, before, after, removed)
