"""Named properties of a question that tell hard from easy in domains never seen in training."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tokenomics_core.routing._words import excerpt

__all__ = [
    "CONTEXT_NAMES",
    "FEATURES_VERSION",
    "FEATURE_NAMES",
    "NO_CONTEXT",
    "Context",
    "context_features",
    "feature_matrix",
    "text_features",
]

Context = tuple[Sequence[tuple[str, str]], Sequence[str]]
"""Earlier messages as (role, text), and the names of the tools on offer."""

FEATURES_VERSION = 2
"""Weights learned on one version are not read with another."""

FEATURE_NAMES = (
    "log_characters",
    "log_words",
    "mean_word_length",
    "digit_share",
    "question_marks",
    "newlines",
    "dollars_and_equals",
    "operators_per_100",
    "capital_share",
    "negated",
    "code",
    "distinct_word_share",
    "says_follow",
    "says_which",
    "asks_why",
)
"""Of the question alone."""
CONTEXT_NAMES = ("log_messages", "log_history_characters", "log_tools", "short_follow_up")
"""Of what stands around it; without weight where nothing was learned of it."""
NO_CONTEXT = [0.0] * len(CONTEXT_NAMES)
_SHORT = 6
_WORD = re.compile(r"\w+")
_DIGIT = re.compile(r"\d")
_CAPITAL = re.compile(r"[A-Z]")
_OPERATORS = re.compile(r"[+\-*/^<>]")


def text_features(text: str) -> list[float]:
    """Compute the features of `FEATURE_NAMES`, not yet standardised; a blank text has only a length.

    All but the length are those of an `excerpt`.
    """
    length = math.log1p(len(text))
    text = excerpt(text)
    size, words, lower = len(text), text.split(), text.lower()
    if not words:
        return [length, *([0.0] * (len(FEATURE_NAMES) - 1))]
    number = len(words)
    capitals = len(_CAPITAL.findall(text)) if text.isascii() else sum(map(str.isupper, text))
    return [
        length,
        math.log1p(number),
        sum(map(len, words)) / number,
        len(_DIGIT.findall(text)) / size,
        float(text.count("?")),
        float(text.count("\n")),
        float(text.count("$") + text.count("=")),
        100 * len(_OPERATORS.findall(text)) / size,
        capitals / size,
        float("NOT" in text or "EXCEPT" in text or ("not" in lower and "not" in _WORD.findall(text))),
        float("`" in text or "def " in text),
        len(set(lower.split())) / number,
        float("follow" in lower),
        float("which" in lower),
        float("why" in lower or "explain" in lower),
    ]


def context_features(text: str, context: Context) -> list[float]:
    """Compute the features of `CONTEXT_NAMES`; all zeros without earlier messages and tools."""
    history, tools = context
    if not history and not tools:
        return NO_CONTEXT
    return [
        math.log1p(len(history)),
        math.log1p(sum(len(message) for _, message in history)),
        math.log1p(len(tools)),
        float(bool(history) and len(text.split()) < _SHORT),
    ]


def feature_matrix(texts: Sequence[str], contexts: Sequence[Context] | None = None) -> NDArray[np.float64]:
    """Compute all features of several questions, shape (n, 19): of the text, then of the context."""
    around = contexts if contexts is not None else [((), ())] * len(texts)
    rows = [
        text_features(text) + context_features(text, context)
        for text, context in zip(texts, around, strict=True)
    ]
    return np.array(rows, dtype=np.float64).reshape(-1, len(FEATURE_NAMES) + len(CONTEXT_NAMES))
