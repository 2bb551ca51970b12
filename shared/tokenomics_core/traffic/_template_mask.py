"""Tell what of a prompt stays the same from call to call: its text without dates, numbers and ids."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, NamedTuple

from tokenomics_core.traffic._facts_digest import digest

__all__ = ["STARTS", "MaskedText", "Masker"]

# Whatever holds a digit may change: dates, times, counters, ids. What does not change is found out later,
# where calls are compared. Names of days and months change with the dates beside them.
_MAY_CHANGE: Final = re.compile(
    r"\b(?:mon|tues|wednes|thurs|fri|satur|sun)day\b"
    r"|\b(?:january|february|march|april|june|july|august|september|october|november|december)\b"
    r"|\b[A-Za-z_]{0,40}\d[\w:/+@.,-]{0,80}",
    re.IGNORECASE,
)
_LONGEST_LINE: Final = 400
_REMEMBERED_CHARS: Final = 8_000_000
_MOST_SLOTS: Final = 24
STARTS: Final = (5, 10, 20, 40)
"""Of how many words the beginnings are that calls may share."""
_EXCERPT_CHARS: Final = 160


class MaskedText(NamedTuple):
    """A text taken apart into what stays and what may change.

    Attributes:
        template: Digest of what stays.
        slots: Digests of what may change, in order; at most 24.
        behind: Per slot, how many tokens of what stays stand behind it.
        starts: Digests of the first 5, 10, 20 and 40 words of what stays.
        excerpt: How it begins.
    """

    template: int
    slots: tuple[int, ...]
    behind: tuple[int, ...]
    starts: tuple[int, ...]
    excerpt: str


class _Line(NamedTuple):
    masked: str
    slots: tuple[int, ...]
    pieces: tuple[str, ...]


class Masker:
    """Masks texts line by line and remembers lines: of a long prompt only what is new is looked at.

    Args:
        count: Counts the tokens of a text for a model.
        least_chars: How much has to stay behind the first slot for tokens to be counted at all.
    """

    def __init__(self, count: Callable[[str, str], int], *, least_chars: int = 1_000) -> None:
        self._count, self._least_chars = count, least_chars
        self._lines: dict[str, _Line] = {}
        self._texts: dict[tuple[str, str], MaskedText] = {}
        self._tokens: dict[tuple[str, str], int] = {}
        self._layouts: dict[tuple[int, str], tuple[tuple[int, ...], tuple[int, ...], str]] = {}
        self._remembered_chars = 0

    def mask(self, text: str, model: str) -> MaskedText:
        """Take a text apart."""
        found = self._texts.get((text, model))
        if found is None:
            found = self._mask(text, model)
            if not found.slots or len(text) < 2_000:
                self._room_for(len(text))
                self._texts[text, model] = found
        return found

    def _mask(self, text: str, model: str) -> MaskedText:
        lines = [self._line(line) for line in _lines_of(text)]
        template = digest("\n".join(line.masked for line in lines).encode("utf-8", "surrogatepass"))
        slots = tuple(slot for line in lines for slot in line.slots)[:_MOST_SLOTS]
        known = self._layouts.get((template, model))
        if known is None:
            starts, excerpt = _starts_of(" ".join(line.masked for line in lines[:60]))
            known = self._behind(lines, model), starts, excerpt
            self._room_for(500)
            self._layouts[template, model] = known
        return MaskedText(template, slots, known[0], known[1], known[2])

    def _line(self, line: str) -> _Line:
        found = self._lines.get(line)
        if found is None:
            slots, pieces, end = [], [], 0
            for match in _MAY_CHANGE.finditer(line):
                slots.append(digest(match[0].encode("utf-8", "surrogatepass")))
                pieces.append(line[end : match.start()])
                end = match.end()
            pieces.append(line[end:])
            found = _Line("\x00".join(pieces), tuple(slots), tuple(pieces))
            self._room_for(len(line) + 100)
            self._lines[line] = found
        return found

    def _behind(self, lines: list[_Line], model: str) -> tuple[int, ...]:
        """Count, per slot, the tokens of what stays behind it."""
        stays: list[tuple[bool, str]] = []  # whether a slot stands before the piece
        for line in lines:
            stays += [(place > 0, piece) for place, piece in enumerate(line.pieces)]
            stays.append((False, "\n"))
        first = next((place for place, (after_slot, _) in enumerate(stays) if after_slot), None)
        if first is None or sum(len(piece) for _, piece in stays[first:]) < self._least_chars:
            return ()
        behind: list[int] = []
        run: list[str] = []
        tokens = 0
        for after_slot, piece in reversed(stays[first:]):
            run.append(piece)
            if after_slot:
                tokens += self._tokens_of("".join(reversed(run)), model)
                behind.append(tokens)
                run = []
        return tuple(reversed(behind))[:_MOST_SLOTS]

    def _tokens_of(self, text: str, model: str) -> int:
        if not text.strip():
            return 0
        found = self._tokens.get((text, model))
        if found is None:
            found = self._count(text, model)
            self._room_for(len(text) + 100)
            self._tokens[text, model] = found
        return found

    def _room_for(self, chars: int) -> None:
        """Forget everything once much is remembered; it is found out again."""
        self._remembered_chars += chars
        if self._remembered_chars > _REMEMBERED_CHARS:
            for kept in (self._lines, self._texts, self._tokens, self._layouts):
                kept.clear()
            self._remembered_chars = chars


def _starts_of(text: str) -> tuple[tuple[int, ...], str]:
    """Digest how a text begins, and quote it."""
    words = text[:4_000].replace("\x00", "#").split()
    starts = tuple(
        digest(b"start", " ".join(words[:length]).lower().encode("utf-8", "surrogatepass"))
        if len(words) >= length
        else 0
        for length in STARTS
    )
    return starts, " ".join(words[:60])[:_EXCERPT_CHARS]


def _lines_of(text: str) -> list[str]:
    """Cut a text into lines, and long lines into sentences."""
    lines: list[str] = []
    for line in text.split("\n"):
        if len(line) <= _LONGEST_LINE:
            lines.append(line)
        else:
            lines += line.split(". ")
    return lines
