"""What an answer tells of itself: arithmetic, form, doubt, agreement; named and versioned."""

from __future__ import annotations

import ast
import json
import math
import re
from collections import Counter

from tokenomics_core.routing._arithmetic import check_equations, plain_number
from tokenomics_core.routing._features import FEATURE_NAMES, text_features
from tokenomics_core.routing._protocols import Answer

__all__ = ["ANSWER_FEATURES_VERSION", "ANSWER_FEATURE_NAMES", "agreement", "answer_features", "final_answer"]

ANSWER_FEATURES_VERSION = 1
"""Weights learned on one version are not read with another."""

_RESPONSE_NAMES = (
    "log_characters",
    "newlines",
    "equations",
    "equations_wrong",
    "equations_wrong_share",
    "marks_final",
    "final_is_number",
    "final_has_point",
    "numbers",
    "question_numbers_used",
    "assumes",
    "equals_signs",
    "final_is_long",
    "question_numbers",
)
_MORE_NAMES = (
    "hedges",
    "refuses",
    "repeats",
    "unfinished",
    "code_parses",
    "code_broken",
    "json_parses",
    "schema_ok",
    "schema_broken",
    "tool_calls",
    "has_logprobs",
    "mean_logprob",
    "least_logprob",
    "has_samples",
    "agreement",
    "final_log_size",
    "final_is_whole",
    "final_in_question",
    "final_is_last_result",
    "steps_per_number",
)
ANSWER_FEATURE_NAMES = (
    *(f"question_{name}" for name in FEATURE_NAMES),
    *(f"answer_{name}" for name in (*_RESPONSE_NAMES, *_MORE_NAMES)),
)

_NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?")
_BOXED = re.compile(r"\\boxed\{([^{}]{0,200})\}")
_FINAL = re.compile(
    r"(?:final answer|the answer is|answer)\s{0,3}(?:is)?\s{0,3}[:=]?\s{0,3}([^\n]{1,200})", re.IGNORECASE
)
_RESULT = re.compile(r"=\s{0,3}\$?\s{0,3}(\d[\d,]{0,20}(?:\.\d+)?)")
_HEDGE = re.compile(
    r"\b(?:might|maybe|perhaps|possibly|not sure|uncertain|unclear|i think|i believe|probably|approximately|"
    r"it seems|it depends|more information|not enough information)\b",
    re.IGNORECASE,
)
_REFUSAL = re.compile(
    r"\b(?:i can(?:no|')t|i'm sorry|i am sorry|i apologi[sz]e|as an ai|i am unable|i'm unable|"
    r"cannot (?:help|assist|answer|determine)|don't know|do not know)\b",
    re.IGNORECASE,
)
_CODE = re.compile(r"```([\w+-]*)\n(.*?)```", re.DOTALL)
_SENTENCE = re.compile(r"[.!?\n]+")
_MUCH_TEXT = 20_000


def answer_features(question: str, answer: Answer) -> list[float]:
    """Compute the features of `ANSWER_FEATURE_NAMES`, not yet standardised.

    Only the first 20,000 characters of either text are read.
    """
    question, text = question[:_MUCH_TEXT], answer.text[:_MUCH_TEXT]
    final, is_marked = final_answer(text)
    return [
        *text_features(question),
        *_response(question, text, final, is_marked),
        *_form(text, answer),
        *_confidence(answer, final),
        *_final(question, text, final),
    ]


def final_answer(text: str) -> tuple[str, bool]:
    """Return what an answer comes to, and whether it marks that with `####`.

    Without the mark: a boxed result, what follows "the answer is", or the last number.
    """
    if "####" in text:
        return text.rsplit("####", 1)[1].strip(), True
    if boxed := _BOXED.findall(text):
        return str(boxed[-1]).strip(), False
    if named := _FINAL.findall(text):
        return str(named[-1]).strip(), False
    numbers = _NUMBER.findall(text)
    return (numbers[-1] if numbers else text.strip()[-_SHORT_FINAL:]), False


_SHORT_FINAL = 200
_LONG_FINAL = 12


def agreement(answer: Answer, final: str | None = None) -> float:
    """Return the share of further samples that come to the same result; 0 without samples.

    Args:
        answer: With its samples.
        final: What it comes to, if that is known already.
    """
    if not answer.samples:
        return 0.0
    result = final_answer(answer.text[:_MUCH_TEXT])[0] if final is None else final
    return sum(_same(result, final_answer(sample[:_MUCH_TEXT])[0]) for sample in answer.samples) / len(
        answer.samples
    )


def _response(question: str, text: str, final: str, is_marked: bool) -> list[float]:
    checked, wrong = check_equations(text)
    asked = set(_plain_numbers(question))
    found = _plain_numbers(text)
    lower = text.lower()
    marked = final if is_marked else ""
    return [
        math.log1p(len(text)),
        float(text.count("\n")),
        float(checked),
        float(wrong),
        wrong / max(1, checked),
        float(is_marked),
        float(plain_number(marked) is not None),
        float("." in marked),
        float(len(found)),
        len(asked & set(found)) / len(asked) if asked else 0.0,
        float("however" in lower or "assum" in lower),
        float(text.count("=")),
        float(len(marked) > _LONG_FINAL),
        float(len(asked)),
    ]


def _form(text: str, answer: Answer) -> list[float]:
    parsed, broken = _code(text)
    return [
        float(min(5, len(_HEDGE.findall(text)))),
        float(bool(_REFUSAL.search(text))),
        _repetition(text),
        float(answer.finish_reason in ("length", "max_tokens", "content_filter") or not text.strip()),
        float(parsed),
        float(broken),
        float(_is_json(text)),
        float(answer.schema_ok is True),
        float(answer.schema_ok is False),
        float(min(5, len(answer.tool_calls))),
    ]


def _confidence(answer: Answer, final: str) -> list[float]:
    logprobs = [value for value in answer.logprobs or () if math.isfinite(value)]
    return [
        float(bool(logprobs)),
        sum(logprobs) / len(logprobs) if logprobs else 0.0,
        max(-10.0, min(logprobs)) if logprobs else 0.0,
        float(bool(answer.samples)),
        agreement(answer, final),
    ]


def _final(question: str, text: str, final: str) -> list[float]:
    value = plain_number(final)
    asked = _plain_numbers(question)
    results = _RESULT.findall(text)
    number = f"{value:g}" if value is not None else ""
    return [
        math.log1p(min(abs(value), 1e12)) if value is not None else 0.0,
        float(value is not None and value == int(value)) if value is not None and abs(value) < 1e15 else 0.0,
        float(number in asked),
        float(bool(results) and value is not None and _as_number(results[-1]) == number),
        len(results) / max(1, len(set(asked))),
    ]


def _plain_numbers(text: str) -> list[str]:
    return [_as_number(found) for found in _NUMBER.findall(text)]


def _as_number(found: str) -> str:
    try:
        return f"{float(found.replace(',', '')):g}"
    except ValueError:
        return found


def _same(first: str, second: str) -> bool:
    one, other = plain_number(first), plain_number(second)
    if one is not None and other is not None:
        return abs(one - other) <= 1e-6 * max(1.0, abs(one))
    return " ".join(first.lower().split()).rstrip(".") == " ".join(second.lower().split()).rstrip(".")


def _repetition(text: str) -> float:
    """Return the share of sentences that stand in the answer more than once."""
    sentences = [part.strip() for part in _SENTENCE.split(text) if len(part.strip()) > 10]
    if not sentences:
        return 0.0
    counts = Counter(sentences)
    return sum(count - 1 for count in counts.values()) / len(sentences)


def _code(text: str) -> tuple[bool, bool]:
    """Tell whether the answer has Python blocks that all parse, and whether it has one that does not."""
    blocks = [
        body for language, body in _CODE.findall(text) if language.lower() in ("", "py", "python", "python3")
    ]
    if not blocks:
        return False, False
    broken = sum(not _parses(body) for body in blocks)
    return broken == 0, broken > 0


def _parses(code: str) -> bool:
    try:
        ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def _is_json(text: str) -> bool:
    stripped = text.strip()
    fenced = _CODE.fullmatch(stripped)
    body = fenced[2].strip() if fenced is not None else stripped
    if not body.startswith(("{", "[")):
        return False
    try:
        json.loads(body)
    except (ValueError, RecursionError):
        return False
    return True
