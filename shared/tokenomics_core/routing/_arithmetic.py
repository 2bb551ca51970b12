"""Re-compute the sums that an answer writes down; nothing is ever evaluated as code."""

from __future__ import annotations

import re
from collections.abc import Iterator

__all__ = ["check_equations", "evaluate", "plain_number"]

_NOTES = re.compile(r"<<[^<>]*>>")
_NUMBER = r"\(?-?\$?\d[\d,]{0,20}(?:\.\d{1,20})?%?\)?"
_GAP = r"\s{0,3}"
_EQUATION = re.compile(
    rf"((?:[-(]{_GAP}){{0,4}}{_NUMBER}(?:{_GAP}[-+*/x\u00d7\u00f7]{_GAP}[-(]{{0,4}}{_GAP}{_NUMBER}){{1,20}})"
    rf"{_GAP}={_GAP}(-?{_GAP}\$?{_GAP}-?\d[\d,]{{0,20}}(?:\.\d{{1,20}})?%?)"
)
"""Every repetition is bounded: an answer may have been written to keep a check busy."""
_TOKEN = re.compile(r"\d+(?:\.\d+)?%?|[-+*/()]")
_PLAIN = re.compile(r"\$?\s?[-+]?\$?\d[\d,]*(?:\.\d+)?\.?")
_LONGEST = 200
_TOLERANCE = 0.011
_PLUS, _MINUS, _OPEN, _CLOSE = "+", "-", "(", ")"


def check_equations(text: str) -> tuple[int, int]:
    """Count the equations of the form `x op y ... = d` that could be read, and those of them that are wrong.

    The operators are + - * / x and the signs of multiplication and division; dollar signs and thousands
    commas are dropped, and `%` means a hundredth. An equation is right within 0.011 of the greater of 1 and
    its right side.

    Returns:
        How many were checked, and how many of these are wrong.
    """
    checked = wrong = 0
    for match in _EQUATION.finditer(_NOTES.sub("", text)):
        value, stated = evaluate(match[1]), evaluate(match[2])
        if value is None or stated is None:
            continue
        checked += 1
        wrong += abs(value - stated) > _TOLERANCE * max(1.0, abs(stated))
    return checked, wrong


def evaluate(expression: str) -> float | None:
    """Compute a sum of plain numbers with the usual precedence; None where it cannot be read."""
    if len(expression) > _LONGEST:
        return None
    cleaned = expression.replace(",", "").replace("$", "").replace(" ", "").replace("\n", "")
    cleaned = cleaned.replace("\u00d7", "*").replace("x", "*").replace("\u00f7", "/")
    tokens = _TOKEN.findall(cleaned)
    if not tokens or "".join(tokens) != cleaned:
        return None
    try:
        return _Sum(tokens).value()
    except (ValueError, ZeroDivisionError, OverflowError):
        return None


def plain_number(text: str) -> float | None:
    """Read a text that is one number, such as `$1,200.50`; None for anything else."""
    stripped = text.strip()
    if len(stripped) > _LONGEST or _PLAIN.fullmatch(stripped) is None:
        return None
    try:
        return float(re.sub(r"[$,\s]", "", stripped).rstrip("."))
    except ValueError:
        return None


class _Sum:
    """A recursive descent over tokens: sums of products of signed numbers and brackets."""

    def __init__(self, tokens: list[str]) -> None:
        self._tokens: Iterator[str] = iter(tokens)
        self._next: str | None = next(self._tokens)

    def value(self) -> float:
        value = self._sum()
        if self._next is not None:
            raise ValueError(self._next)
        return value

    def _take(self) -> str | None:
        token, self._next = self._next, next(self._tokens, None)
        return token

    def _sum(self) -> float:
        value = self._product()
        while self._next in ("+", "-"):
            value = value + self._product() if self._take() == "+" else value - self._product()
        return value

    def _product(self) -> float:
        value = self._signed()
        while self._next in ("*", "/"):
            value = value * self._signed() if self._take() == "*" else value / self._signed()
        return value

    def _signed(self) -> float:
        token = self._take()
        if token in (_PLUS, _MINUS):
            return -self._signed() if token == _MINUS else self._signed()
        if token == _OPEN:
            value = self._sum()
            if self._take() != ")":
                raise ValueError(token)
            return value
        if token is None or token in ("*", "/", ")"):
            raise ValueError(token)
        return float(token[:-1]) / 100 if token.endswith("%") else float(token)
