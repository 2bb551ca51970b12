"""What a question asks about, read once: words, numbers, dates, names, negation."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from itertools import takewhile
from typing import Final, NamedTuple

from tokenomics_core.cache._lexicon import (
    DATES,
    IRREGULAR,
    NEGATIONS,
    NUMBER_WORDS,
    SCOPE,
    STOP,
    UNITS,
    stem,
    words_in,
)

__all__ = ["IDENTIFIER", "Question", "analyze"]

_LONGEST: Final = 2_000
_TOKEN: Final = re.compile(
    r"[$€£¥₹%]|(?:[A-Za-z]+-)*[A-Za-z]*\d[A-Za-z\d]*(?:[.,:/\-\u2013][A-Za-z]*\d[A-Za-z\d]*)*"
    r"|[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\u0e00-\u0e7f]|[^\W\d_]+(?:['\u2019.\-&][^\W\d_]+)*[+#]*"
)
_QUANTITY: Final = re.compile(r"^(\d[\d.,]*?)([^\W\d_]+)$")
_CONTRACTED: Final = {
    **dict.fromkeys(("aint", "ain't"), ("not",)),
    **{
        f"{verb}{ending}": (word, "not")
        for verb, word in {
            "ca": "can",
            "wo": "will",
            "sha": "shall",
            **{
                same: same
                for same in words_in(
                    "do does did is are was were have has had could should would might must need"
                )
            },
        }.items()
        for ending in ("nt", "n't")
    },
    "cannot": ("can", "not"),
    "i'm": ("i", "am"),
    "im": ("i", "am"),
    "ive": ("i", "have"),
    "whats": ("what", "is"),
    "hows": ("how", "is"),
    "wheres": ("where", "is"),
    "gonna": ("going", "to"),
    "wanna": ("want", "to"),
    "gotta": ("have", "to"),
    "lets": ("let", "us"),
    "let's": ("let", "us"),
}
_ENDINGS: Final = {"'ll": "will", "'re": "are", "'ve": "have", "'d": "would", "'m": "am", "'s": ""}
# Parts of two letters at least, so that neither "e.g." nor "U.S." is one, nor the number in "3.5".
IDENTIFIER: Final = re.compile(r"\b(?:[^\W\d]\w+(?:\.[^\W\d]\w+)+|[^\W_]+_\w+|[a-z]+[A-Z]\w*)")
_ASKING: Final = frozenset(words_in("who whom whose what which when where why how"))
_AFTER_HOW: Final = frozenset(
    words_in("much many long often far old big tall fast soon late high deep wide heavy hot cold")
)
_COUNTING: Final = (("how", "many"), ("how", "much"))
_DEFINING: Final = (("what", "is", "the"), ("what", "are", "the"))
_AMOUNTS: Final = (("number", "of"), ("amount", "of"))
_JOINED: Final = {
    "wi-fi": "wifi",
    "e-mail": "email",
    "e-mails": "emails",
    "log-in": "login",
    "sign-in": "signin",
}
_PHRASAL: Final = frozenset(
    words_in("turn turned turning switch switched log logged logging sign signed check checked put shut")
)
_PARTICLES: Final = frozenset({"on", "off", "in", "out", "up", "down"})
_AFTER_NUMBERS: Final = frozenset({"am"})
_GREETED: Final = frozenset({"morning", "afternoon", "evening", "night"})
_AMBIGUOUS_MONTHS: Final = frozenset({"may", "march", "sun", "fall", "second"})


class Question(NamedTuple):
    """A question taken apart; every set holds normalised words.

    Attributes:
        text: As it was asked, in Unicode's compatible form.
        tokens: All words in order, contractions expanded, lower case.
        content: Stems of the words that carry meaning, in order.
        stems: The same as a set.
        words: Stem to the word it came from.
        numbers: Numbers, ids and versions; number words too.
        units: Units of measure and currencies.
        dates: Days, months, parts of the day.
        scope: Words such as only, all, before, without, last.
        names: Words written like names.
        identifiers: Names of things in code, files and hosts: `a.b`, `a_b`, `aB`; lower case.
        negations: How many negating words there are.
        asks: The question word; how much and how many apart from how; empty where there is none.
        aspect: Stems of the words that name what is asked for: matches in "how many matches", cutoff in
            "what is the cutoff of"; empty where none is named.
        free: Stems of all words outside of identifiers.
        trigrams: Hashes of three letters in a row.
    """

    text: str
    tokens: tuple[str, ...]
    content: tuple[str, ...]
    stems: frozenset[str]
    words: dict[str, str]
    numbers: frozenset[str]
    units: frozenset[str]
    dates: frozenset[str]
    scope: frozenset[str]
    names: frozenset[str]
    identifiers: frozenset[str]
    negations: int
    asks: str
    aspect: frozenset[str]
    free: frozenset[str]
    trigrams: frozenset[str]


@lru_cache(maxsize=8_192)
def analyze(text: str) -> Question:
    """Take a question apart; what follows the first 2,000 characters is not read."""
    plain = unicodedata.normalize("NFKC", text[:_LONGEST]).replace("\u2019", "'")
    raw = _TOKEN.findall(plain)
    tokens: list[str] = []
    numbers: set[str] = set()
    units: set[str] = set()
    for part in raw:
        _read(part, tokens, numbers, units)
    dates, scope, content = _sort_out(tokens, raw, numbers, units)
    words = {stem(word): word for word in content}
    lowered = " ".join(tokens)
    outside = _outside_identifiers(plain, tokens)
    return Question(
        text=plain,
        tokens=tuple(tokens),
        content=tuple(words_of := [stem(word) for word in content]),
        stems=frozenset(words_of),
        words=words,
        numbers=frozenset(numbers),
        units=frozenset(units),
        dates=dates,
        scope=scope,
        names=_names(plain, raw),
        identifiers=frozenset(found.lower() for found in IDENTIFIER.findall(plain)),
        negations=sum(token in NEGATIONS for token in tokens),
        asks=_asks(tokens),
        aspect=_aspect(outside),
        free=frozenset(map(stem, outside)),
        trigrams=frozenset(lowered[i : i + 3] for i in range(len(lowered) - 2)) or frozenset({lowered}),
    )


def _read(part: str, tokens: list[str], numbers: set[str], units: set[str]) -> None:
    low = _JOINED.get(part.lower(), part.lower())
    if any(letter.isdigit() for letter in low):
        _read_number(low, tokens, numbers, units)
        return
    if low in UNITS and not low.isalpha():
        units.add(UNITS[low])
        return
    if low in _CONTRACTED:
        tokens.extend(_CONTRACTED[low])
        return
    if "'" in low:
        for ending, word in _ENDINGS.items():
            if low.endswith(ending):
                low = low.removesuffix(ending)
                tokens.extend([low, word] if word else [low])
                return
        low = low.replace("'", "")
    tokens.extend(low.split("-") if "-" in low else [low])


def _read_number(low: str, tokens: list[str], numbers: set[str], units: set[str]) -> None:
    low = "".join(str(unicodedata.digit(c)) if c.isdigit() and not c.isascii() else c for c in low).strip(
        ".,:-/"
    )
    found = _QUANTITY.match(low)
    if found and found[2] in ("st", "nd", "rd", "th"):
        low = found[1]
    elif found and (found[2] in UNITS or found[2] in ("k", "m", "h", "s")):
        low = found[1]
        units.add(UNITS.get(found[2], found[2]))
    if re.fullmatch(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?", low):
        low = low.replace(",", "")
    low = re.sub(r"^(\d+)\.00$", r"\1", low)
    numbers.add(low)
    tokens.append(low)


def _sort_out(
    tokens: list[str], raw: list[str], numbers: set[str], units: set[str]
) -> tuple[frozenset[str], frozenset[str], list[str]]:
    dates: set[str] = set()
    scope: set[str] = set()
    content: list[str] = []
    for place, token in enumerate(tokens):
        if token in numbers:
            continue
        if token in NUMBER_WORDS:
            numbers.add(NUMBER_WORDS[token])
        elif token in UNITS and (
            token not in _AFTER_NUMBERS or _is_number(tokens[place - 1 : place], numbers)
        ):
            units.add(UNITS[token])
        elif token in _GREETED and tokens[place - 1 : place] == ["good"]:
            content.pop()  # a greeting says nothing of what is asked
        elif token in DATES and (token not in _AMBIGUOUS_MONTHS or _is_month(token, place, tokens, raw)):
            dates.add(DATES[token])
        elif token in SCOPE:
            scope.add(SCOPE[token])
        elif token not in STOP and token not in NEGATIONS:
            content.append(_with_particle(token, tokens[place + 1 : place + 6]))
    return frozenset(dates), frozenset(scope), content


def _with_particle(token: str, after: list[str]) -> str:
    """Join a verb with the particle that makes another verb of it: turn the light off."""
    if token not in _PHRASAL:
        return token
    reach = after if token.startswith(("turn", "switch")) else after[:1]
    particle = next((word for word in reach if word in _PARTICLES), "")
    return f"{stem(token)}_{particle}" if particle else token


def _is_number(before: list[str], numbers: set[str]) -> bool:
    return bool(before) and (before[0] in numbers or before[0] in NUMBER_WORDS)


def _is_month(token: str, place: int, tokens: list[str], raw: list[str]) -> bool:
    before = tokens[place - 1] if place else ""
    return before in ("in", "of", "on", "until", "till", "since", "by", "this", "next", "last") or (
        place > 0 and token.capitalize() in raw[1:]
    )


def _names(plain: str, raw: list[str]) -> frozenset[str]:
    letters = [c for c in plain if c.isalpha()]
    if not letters or sum(c.isupper() for c in letters) > 0.5 * len(letters):
        return frozenset()
    starts = {found[1] for found in re.finditer(r"(?:^|[.?!]\s+|[\"(])(\w+)", plain)}
    found: set[str] = set()
    for part in raw:
        low = part.lower().removesuffix("'s")
        inner = any(c.isupper() for c in part[1:])
        if low in STOP or low in NUMBER_WORDS or low in DATES or low in _CONTRACTED or "'" in low:
            continue
        if inner or (part[0].isupper() and part not in starts):
            found.add(stem(IRREGULAR.get(low, low)))
    return frozenset(found)


def _outside_identifiers(plain: str, tokens: list[str]) -> list[str]:
    if not IDENTIFIER.search(plain):
        return tokens
    found: list[str] = []
    for part in _TOKEN.findall(IDENTIFIER.sub(" ", plain)):
        _read(part, found, set(), set())
    return found


def _aspect(tokens: list[str]) -> frozenset[str]:
    """Read on from the question word to the end of the noun that it asks for."""
    for place, word in enumerate(tokens):
        if word not in _ASKING:
            continue
        opening = (word, *tokens[place + 1 : place + 3])
        if opening[:2] in _COUNTING:
            return frozenset(map(stem, takewhile(_is_naming, tokens[place + 2 :])))
        if opening in _DEFINING:
            rest = tokens[place + 3 :]
            skipped = 2 if tuple(rest[:2]) in _AMOUNTS else 0
            return frozenset(map(stem, takewhile(_is_naming, rest[skipped:])))
    return frozenset()


def _is_naming(token: str) -> bool:
    return token not in STOP and token not in NEGATIONS and token not in SCOPE


def _asks(tokens: list[str]) -> str:
    for place, word in enumerate(tokens):
        if word not in _ASKING:
            continue
        after = tokens[place + 1] if place + 1 < len(tokens) else ""
        if word == "how":
            return "why" if after == "come" else f"how {after}" if after in _AFTER_HOW else "how"
        if word == "what" and after in ("time", "date", "day", "year"):
            return "when"
        return {"whom": "who", "whose": "who"}.get(word, word)
    return ""
