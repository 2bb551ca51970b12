"""Where sentences end, in prose of many languages."""

# ruff: noqa: RUF001, SIM905 - words and marks of other languages, as text

from __future__ import annotations

import re

__all__ = ["cut_long", "sentence_spans"]

# Marks that end a sentence wherever they stand, and marks that do so only before white space.
_FULL = "。！？｡።។။།॥।؟۔"
_CLOSING = "\"'”’»)\\]」』）】》"
# A citation mark belongs to the sentence that it follows: "... in 1990.[3] Then", "... in 1990. [3, 4] Then".
_CITATION = r"(?:[ \t]?\[(?:\^?\w{1,12}|\d+(?:[,;–-]\s?\d+)*)\](?:\([^()\s]*\))?)*"
# A run of stops is read once, from its beginning, or a leader of 20,000 dots takes the square of that.
_STOP = re.compile(
    rf"(?:(?<![.!?…])(?P<stop>[.!?…]++)[{_CLOSING}]*{_CITATION}(?=\s|$)|[{_FULL}]+[{_CLOSING}]*{_CITATION})\s*"
)
_BOUNDARY = re.compile(_STOP.pattern + r"|\s*\n[ \t\r]*\n\s*|(?P<line>[ \t\r]*\n[ \t\r]*)")
_LAST_WORD = re.compile(r"[\w.&'’-]+$")
_INITIALS = re.compile(r"(?:[^\W\d_]\.)*[^\W\d_]")
_ABBREVIATIONS = frozenset(
    # English
    "mr mrs ms mx dr prof sr jr st mt ft vs etc e.g i.e eg ie cf al fig figs eq eqs no nos vol vols ed eds "
    "pp ch sec inc ltd co corp dept univ est approx ca gen col lt sgt capt cmdr adm maj rev hon gov sen rep "
    "pres ave blvd rd hwy jan feb mar apr jun jul aug sep sept oct nov dec "
    "op para ref viz resp incl excl min max avg "
    # German
    "z.b d.h u.a o.ä s.o s.u usw bzw bspw evtl ggf inkl zzgl vgl nr bd hrsg jh jhd mio mrd str tel abs "
    "aufl dipl geb gest ing kap lat phil sog u.s.w v.a z.t "
    # French, Spanish, Italian, Portuguese, Dutch
    "m mme mlle mm p.ex sra srta dra d.c a.c ee.uu núm pág págs av dott sig sigg ecc pag ed.it exmo "
    "dhr mevr bijv enz blz "
    # Russian, Polish, Turkish
    "т.е т.д т.п т.к г гг в вв им ул стр рис тыс млн млрд др проф np itd itp tzn prof dr hab ul nr "
    "vb vs örn".split()
)
# "U.S. The" ends a sentence, "U.S. Army" does not.
_STARTERS = frozenset(
    "the a an in on at it its he his she her they their this that these those there after before when while "
    "although however but and as by for from since during if we you i der die das ein eine es er sie im in "
    "am el la los las un una le les il lo".split()
)
_MONTHS = re.compile(
    r"(?:jan|feb|mär|mar|apr|ma[iy]|jun|jul|aug|sep|okt|oct|nov|dez|dec|jahrhundert|jh|century|enero|août)",
    re.IGNORECASE,
)
_WRAPPED_LINE = 60
_LONGEST = 1_500
_SOFT_BREAK = re.compile(r"[;:]\s+|\s[–—-]\s+|,\s+|\s+")


def sentence_spans(text: str, start: int = 0, end: int | None = None) -> list[tuple[int, int]]:
    """Cut a stretch of prose into sentences, as offsets without the white space between them.

    A sentence of more than 1,500 characters is cut further, at a semicolon, dash, comma or blank.
    """
    end = len(text) if end is None else end
    spans: list[tuple[int, int]] = []
    here = start
    boundary = _BOUNDARY if text.find("\n", start, end) >= 0 else _STOP
    for match in boundary.finditer(text, start, end):
        if match.end() >= end or not _ends(text, here, match, end):
            continue
        _add(spans, text, here, match.start() + len(match.group().rstrip()))
        here = match.end()
    _add(spans, text, here, end)
    return spans


def _add(spans: list[tuple[int, int]], text: str, start: int, end: int) -> None:
    piece = text[start:end]
    start += len(piece) - len(piece.lstrip())
    end -= len(piece) - len(piece.rstrip())
    spans.extend(cut_long(text, start, end, _LONGEST))


def cut_long(text: str, start: int, end: int, longest: int) -> list[tuple[int, int]]:
    """Cut a stretch into pieces of at most so many characters, at a semicolon, dash, comma or blank."""
    spans: list[tuple[int, int]] = []
    while end - start > longest:
        cut = _soft_cut(text, start, longest)
        spans.append((start, start + len(text[start:cut].rstrip())))
        start = cut
    if end > start:
        spans.append((start, end))
    return [(one, other) for one, other in spans if other > one]


def _soft_cut(text: str, start: int, longest: int) -> int:
    """Find the last good place to cut within the longest allowed stretch."""
    best: dict[str, int] = {}
    for match in _SOFT_BREAK.finditer(text, start + longest // 2, start + longest):
        best[match.group().strip()[:1]] = match.end()
    for marks in (";:", "–—-", ",", ""):
        places = [at for mark, at in best.items() if (mark in marks if mark else not marks)]
        if places:
            return max(places)
    return start + longest


def _ends(text: str, start: int, match: re.Match[str], end: int) -> bool:
    """Tell whether a possible boundary is one."""
    stop = match.group("stop")
    if stop is None and match.re is _BOUNDARY and match.group("line") is not None:
        return _line_ends(text, start, match)
    if stop is None:
        return True
    follows = text[match.end() : min(match.end() + 24, end)]
    first = follows.lstrip("\"'“‘«([„¿¡*_")[:1]
    if "\n\n" in match.group():
        return True
    if first.islower():
        return False
    return stop != "." or not _abbreviates(text, start, match.start(), follows)


def _abbreviates(text: str, start: int, stop: int, follows: str) -> bool:
    """Tell whether the full stop belongs to the word before it."""
    word_match = _LAST_WORD.search(text, max(start, stop - 24), stop)
    if word_match is None:
        return False
    word = word_match.group()
    lower = word.lower()
    following = follows.lstrip("\"'“‘«([„").split(None, 1)[0].strip(".,;:)'\"") if follows.strip() else ""
    if lower.isdigit():
        return len(lower) <= 2 and bool(_MONTHS.match(following))
    if lower in _ABBREVIATIONS:
        return lower not in {"etc", "usw", "ecc", "enz", "al", "no"} or following[:1].isdigit()
    if _INITIALS.fullmatch(word) and (len(word) == 1 or "." in word):
        return word != "I" and following.lower() not in _STARTERS
    return False


def _line_ends(text: str, start: int, match: re.Match[str]) -> bool:
    """A line break ends a sentence unless the line looks wrapped: long, or carried on in lower case."""
    line_start = max(text.rfind("\n", start, match.start()) + 1, start)
    length = match.start() - line_start
    following = text[match.end() : match.end() + 1]
    return not following.islower() and length < _WRAPPED_LINE
