"""Words as they are compared: lower case, without endings; pairs of characters where words are not parted."""

# ruff: noqa: RUF001, SIM905 - words and marks of other languages, as text

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

__all__ = ["STOP_WORDS", "stem", "words_of"]

# Scripts written without blanks between words: Han, Kana, Thai, Lao, Khmer, Myanmar, Tibetan. Hangul is
# written with blanks, but its particles are endings of any kind.
_UNPARTED = "぀-ヿ㐀-䶿一-鿿豈-﫿\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u0f00-\u0fff가-힣𠀀-𯨟"
_WORD = re.compile(rf"[{_UNPARTED}]+|[^\W_{_UNPARTED}]+(?:['’][^\W_]+)?")
_IS_UNPARTED = re.compile(rf"[{_UNPARTED}]")
_ASCII_WORD = re.compile(r"[a-z0-9]+(?:'[a-z]+)?")

STOP_WORDS = frozenset(
    # English
    "a an the of in on at to for from by with and or but is are was were be been being am do does did "
    "has have had it its this that these those as who what which when where why how whom whose there "
    "their they he she his her him them i you we me my your our us will would can could should may "
    "might must shall not no so if than then too very s t about into over after before between during "
    "also such some any all each other more most one "
    # German
    "der die das den dem des ein eine einer eines einem einen und oder aber ist sind war waren wird "
    "werden wurde wurden hat haben hatte in im am an auf aus bei mit nach von vom zu zum zur für über "
    "unter als auch wie was wer wen wem wann wo warum welche welcher welches welchen es er sie man sich "
    "nicht durch um so nur noch "
    # French, Spanish, Italian, Portuguese
    "le la les l un une des du de d et ou en dans sur pour par avec que qui quoi quel quelle quels "
    "quelles où quand comment pourquoi est sont était ce cette ces il elle ils elles se sa son ses au "
    "aux ne pas el los las una unos unas del y o al con por para como más qué quién cuál cuándo dónde "
    "cómo es son fue era se su sus lo no i gli uno di da che chi cosa è sono si nel nella e os as um "
    "uma dos da do em na ao "
    # Russian
    "и в во не что он на я с со как а то все она так его но да ты к у же вы за бы по только ее мне было "
    "вот от меня еще нет о из ему когда где кто какой какая какие каком была были был "
    # Arabic
    "في من على إلى عن ما هو هي هذا هذه ذلك التي الذي كان كانت أن إن و أو متى أين كم كيف ماذا لماذا مع".split()
)


def words_of(text: str) -> list[str]:
    """Return a text's words in lower case; a run of characters that stand unparted gives its pairs."""
    lower = text.lower()
    if lower.isascii():
        return _ASCII_WORD.findall(lower)
    words: list[str] = []
    for word in _WORD.findall(lower):
        if word.isascii() or not _IS_UNPARTED.match(word) or len(word) == 1:
            words.append(word)
        else:
            words += [word[at : at + 2] for at in range(len(word) - 1)]
    return words


@lru_cache(maxsize=100_000)
def stem(word: str) -> str:
    """Take off a word's endings; rough, but the same for a question and its answer."""
    if word.isascii():
        return _latin_stem(word.split("'", 1)[0] if "'" in word else word)
    if _IS_UNPARTED.match(word):
        return word
    plain = "".join(
        char
        for char in unicodedata.normalize("NFD", word.split("’", 1)[0])
        if unicodedata.category(char) != "Mn"
    )
    if plain.isascii():
        return _latin_stem(plain)
    first = plain[0]
    if "\u0600" <= first <= "\u06ff":
        return _arabic_stem(plain)
    return plain[:6] if len(plain) > 6 else plain


def _latin_stem(word: str) -> str:
    if len(word) <= 3 or word[0].isdigit():
        return word
    for ending, instead in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) + len(instead) >= 3:
            word = word[: len(word) - len(ending)] + instead
            break
    if len(word) > 3 and word[-1] == word[-2] and word[-1] not in "lsz":
        word = word[:-1]
    return word[:-1] if len(word) > 4 and word[-1] in "ey" else word


_ENDINGS = (
    ("ationally", ""), ("ational", ""), ("ization", ""), ("isation", ""), ("fulness", ""),
    ("ations", ""), ("ation", ""), ("ments", ""), ("ment", ""), ("ities", ""), ("ity", ""),
    ("ingly", ""), ("edly", ""), ("ions", ""), ("ion", ""), ("ists", ""), ("ist", ""), ("ings", ""),
    ("ing", ""), ("ers", ""), ("ies", "y"), ("ied", "y"), ("ness", ""), ("ous", ""), ("ive", ""),
    ("ally", "al"), ("est", ""), ("en", ""), ("em", ""), ("ed", ""), ("er", ""), ("es", ""), ("ly", ""),
    ("ss", "ss"), ("us", "us"), ("s", ""),
)  # fmt: skip


def _arabic_stem(word: str) -> str:
    for prefix in ("وال", "بال", "كال", "فال", "لل", "ال", "و", "ب", "ل"):
        if word.startswith(prefix) and len(word) - len(prefix) >= 3:
            word = word[len(prefix) :]
            break
    for suffix in ("ات", "ون", "ين", "ها", "هم", "ية", "ه", "ة", "ي"):
        if word.endswith(suffix) and len(word) - len(suffix) >= 3:
            return word[: -len(suffix)]
    return word
