"""Fifteen named properties of a question that tell hard from easy in domains never seen in training."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["FEATURES_VERSION", "FEATURE_NAMES", "feature_matrix", "text_features"]

FEATURES_VERSION = 1
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
_WORD = re.compile(r"\w+")
_DIGIT = re.compile(r"\d")
_CAPITAL = re.compile(r"[A-Z]")
_OPERATORS = re.compile(r"[+\-*/^<>]")


def text_features(text: str) -> list[float]:
    """Compute the features of `FEATURE_NAMES`, not yet standardised; an empty text has all zeros."""
    size, words, lower = len(text), text.split(), text.lower()
    if not words:
        return [math.log1p(size), *([0.0] * (len(FEATURE_NAMES) - 1))]
    number = len(words)
    capitals = len(_CAPITAL.findall(text)) if text.isascii() else sum(map(str.isupper, text))
    return [
        math.log1p(size),
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


def feature_matrix(texts: Sequence[str]) -> NDArray[np.float64]:
    """Compute the features of several texts, shape (n, 15)."""
    return np.array([text_features(text) for text in texts], dtype=np.float64).reshape(-1, len(FEATURE_NAMES))
