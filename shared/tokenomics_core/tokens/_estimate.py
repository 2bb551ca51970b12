"""Estimate tokens from characters alone, script by script, rather high than low.

A text is taken apart into the words, letters, digits and punctuation of each writing system; every such
feature has a rate in tokens of o200k. The rates of words and letters are least-squares fits of the relative
error on sentences written for it, printed by `python benchmarks/fit_token_estimate.py`; those of digits,
punctuation and blanks follow o200k's split pattern (digits in threes, a space joins the next word). `MARGIN`
goes on top. `python benchmarks/token_counting.py` prints the error on other sentences, and a test holds it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["LATIN_MARGIN", "MARGIN", "RATES", "estimate_tokens", "features_of", "script_shares"]

MARGIN = 1.07
"""Factor for texts whose words are rarer than those of the fit."""

LATIN_MARGIN = 1.12
"""The same for Latin letters, where one rate has to do for many languages."""

RATES: Mapping[str, float] = MappingProxyType(
    {
        # Fitted, as the fitting script prints them.
        "english_letters": 0.027,
        "english_words": 0.973,
        "latin_accented": 0.000,
        "latin_extended": 1.158,
        "latin_letters": 0.119,
        "latin_stacked": 0.052,
        "latin_words": 1.048,
        "russian_letters": 0.155,
        "russian_words": 0.785,
        "cyrillic_letters": 0.233,
        "cyrillic_words": 0.903,
        "greek_letters": 0.349,
        "greek_words": 0.505,
        "arabic_costlier": 0.508,
        "arabic_letters": 0.353,
        "arabic_words": 0.000,
        "hebrew_letters": 0.035,
        "hebrew_words": 1.848,
        "devanagari_letters": 0.216,
        "devanagari_words": 0.661,
        "indic_letters": 0.270,
        "indic_words": 0.654,
        "hangul_letters": 0.814,
        "hangul_words": 0.000,
        "thai_letters": 0.406,
        "han_costlier": 1.443,
        "han_letters": 0.758,
        "hiragana_letters": 0.832,
        "katakana_letters": 0.843,
        # Given by the split pattern.
        "digit_groups": 1.0,
        "punctuation_runs": 1.0,
        "punctuation_more": 0.5,
        "blank_runs": 1.0,
        # Letters beyond any word's length: identifiers, base64, gene sequences.
        "endless_letters": 0.55,
        # Scripts that were not fitted and symbols: o200k has most letters; emoji take two or three tokens.
        "unfitted_letters": 1.0,
        "symbols": 2.5,
    }
)
"""Tokens per feature, before the margin."""

_LATIN = ("english", "latin")
_COSTS = {name: rate * (LATIN_MARGIN if name.startswith(_LATIN) else MARGIN) for name, rate in RATES.items()}
_LOWER = "a-z\u00df-\u00f6\u00f8-\u024f\u1e00-\u1eff"
_UPPER = "A-Z\u00c0-\u00d6\u00d8-\u00de"
_WORD_END = 4  # letters that a Latin word has for its first token
_LONGEST_WORD = 20
_ACCENTED_SHARE = 0.005  # of the letters, from which on a Latin text is not English
# o200k splits Latin words where lower case meets upper case, as in camelCase.
_LATIN_WORDS = re.compile(f"[{_UPPER}]*[{_LOWER}]+|[{_UPPER}]+")
_ACCENTED = re.compile("[\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f\u1e00-\u1eff]")
_ACCENTS = {
    "latin_accented": re.compile("[\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u00ff]"),
    "latin_extended": re.compile("[\u0100-\u017f]"),  # Polish, Turkish ...
    "latin_stacked": re.compile("[\u0180-\u024f\u1e00-\u1eff]"),  # Vietnamese
}
_DIGITS = re.compile(r"\d+")
_PUNCTUATION = re.compile(
    r"[\x00-\x08\x0e-\x1b\x7f!-/:-@\[-`{-~\u00a1-\u00a9\u00ab-\u00b4\u00b6-\u00b8\u00bb-\u00bf\u00d7\u00f7"
    r"\u2010-\u205e\u20a0-\u20c0\u2100-\u2bff"  # general punctuation, currencies, symbols
    r"\u3001-\u3004\u3008-\u3020\u3030\u30fb\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff65"
    r"\u060c\u060d\u061b-\u061f\u066a-\u066d\u06d4\u0964\u0965\u05be\u05c0\u05c3\u05c6\u05f3\u05f4]+"
)
_BLANKS = re.compile(r"\s{2,}|[^\S ]")

# Letters and the marks that stand on them. The scripts above the line put spaces between words.
_SPACED = {
    "cyrillic": "\u0400-\u052f",
    "greek": "\u0370-\u037d\u037f-\u0386\u0388-\u03ff\u1f00-\u1fff",
    "arabic": (
        "\u0610-\u061a\u0620-\u065f\u066e-\u06d3\u06d5-\u06dc\u06df-\u06e8\u06ea-\u06ef"
        "\u06fa-\u06ff\u0750-\u077f\ufb50-\ufdff\ufe70-\ufefc"
    ),
    "hebrew": "\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u05d0-\u05f2",
    "devanagari": "\u0900-\u0963\u0971-\u097f",
    "indic": "\u0980-\u0dff",
    "hangul": "\uac00-\ud7a3\u1100-\u11ff\u3130-\u318f",
}
_UNSPACED = {
    "thai": "\u0e01-\u0e3a\u0e40-\u0e4e",
    "hiragana": "\u3041-\u309f",
    "katakana": "\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff\uff66-\uff9f",
    "han": "\u3005-\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff",
}
_RUNS = {name: re.compile(f"[{letters}]+") for name, letters in (_SPACED | _UNSPACED).items()}
# Letters that only Russian has, and letters that it lacks: other languages in its script cost more.
_RUSSIAN, _NOT_RUSSIAN = re.compile("[ыэё]"), re.compile("[іїєґўјљњћџђѓќѕәғқңөұүһ]")
_COSTLIER = {
    "arabic": re.compile("[پچژکگیٹڈڑںےھ]"),  # Persian and Urdu
    # Frequent characters of traditional Chinese that neither simplified Chinese nor Japanese has.
    "han": re.compile("[們這來會國說對學還沒為與發經關點號讓從顯樣實應嗎麼裡總體樓歲兒邊舊錢聽寫讀賣]"),
}


def estimate_tokens(text: str) -> int:
    """Estimate how many o200k tokens a text has, without a vocabulary and rather high than low."""
    tokens = math.ceil(sum(_COSTS[name] * value for name, value in features_of(text).items()))
    return max(tokens, 1) if text else 0


def script_shares(text: str) -> tuple[float, float]:
    """Return which part of a text's tokens is in other scripts than Latin, and which of these is Indic."""
    if text.isascii():
        return 0.0, 0.0
    tokens = {name: _COSTS[name] * value for name, value in features_of(text).items()}
    total = sum(tokens.values())
    indic = sum(value for name, value in tokens.items() if name.startswith(("devanagari", "indic")))
    ours = (*_LATIN, "endless", "digit", "punctuation", "blank")
    other = sum(value for name, value in tokens.items() if not name.startswith(ours))
    return (other / total, indic / total) if total else (0.0, 0.0)


def features_of(text: str) -> dict[str, int]:
    """Count what has a rate; features that a text lacks are left out."""
    found: dict[str, int] = {}
    words = _LATIN_WORDS.findall(text)
    letters = sum(map(len, words))
    if words:
        accents = 0 if text.isascii() else len(_ACCENTED.findall(text))
        spoken = "latin" if accents > _ACCENTED_SHARE * letters else "english"
        found[f"{spoken}_words"] = len(words)
        found[f"{spoken}_letters"] = sum(size - _WORD_END for size in map(len, words) if size > _WORD_END)
        if endless := sum(size - _LONGEST_WORD for size in map(len, words) if size > _LONGEST_WORD):
            found["endless_letters"] = endless
    if digits := _DIGITS.findall(text):
        found["digit_groups"] = sum((length + 2) // 3 for length in map(len, digits))
    if runs := _PUNCTUATION.findall(text):
        found["punctuation_runs"] = len(runs)
        found["punctuation_more"] = sum(map(len, runs)) - len(runs)
    if blanks := _BLANKS.findall(text):
        found["blank_runs"] = len(blanks)
    if not text.isascii():
        counted = letters + sum(map(len, digits)) + sum(map(len, runs))
        found |= _other_scripts(text, counted)
    return found


def _other_scripts(text: str, counted: int) -> dict[str, int]:
    found: dict[str, int] = {}
    characters = set(text)
    alphabet = "".join(characters)
    for name, pattern in _ACCENTS.items():
        if accents := len(pattern.findall(text)):
            found[name] = accents
    for name, pattern in _RUNS.items():
        if pattern.search(alphabet) is None:
            continue
        runs = pattern.findall(text)
        letters = sum(map(len, runs))
        counted += letters
        spoken = _variety(name, text)
        found[f"{spoken}_letters"] = letters
        if name in _SPACED:
            found[f"{spoken}_words"] = len(runs)
        if name in _COSTLIER and (costlier := len(_COSTLIER[name].findall(text))):
            found[f"{name}_costlier"] = costlier
    rest = len(text) - counted - sum(map(str.isspace, text))
    if rest > 0:
        symbols = sum(text.count(character) for character in characters if character > "\uffff")
        found["symbols"] = symbols
        found["unfitted_letters"] = max(0, rest - symbols)
    return found


def _variety(script: str, text: str) -> str:
    if script != "cyrillic":
        return script
    lowered = text.lower()
    russian = len(_RUSSIAN.findall(lowered)) > len(_NOT_RUSSIAN.findall(lowered))
    return "russian" if russian else "cyrillic"
