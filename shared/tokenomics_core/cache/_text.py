"""When two questions are the same text, and what of a text a store can hold."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from hashlib import blake2b

__all__ = ["key_of", "normalised", "storable", "storable_name"]

# Compatibility forms that say something: 10² is not 102, 1½ is not 11/2, m² stays.
_KEPT_FORMS = ("<super>", "<sub>", "<fraction>", "<circle>", "<square>")
_UNSEEN = frozenset("\u200b\ufeff\u00ad")
# Units whose case tells them apart: 5 mW and 5 MW, 5 Mb and 5 MB. The hour of day is none of them.
_UNIT = re.compile(
    r"(?<=\d)\s?(?![aApP][mM]\b)[kKmMgGtTpPnNuU]?i?"
    r"(?:[bB](?:ps)?|[wW]h?|[vV][aA]?|[aA]h?|[hH]z|[jJ]|[gG]|[lL]|[mM]|[sS]|[cC]|[fF]|[kK]|[tT])(?!\w)"
)
# Names whose case tells them apart: codes of letters of both cases and digits, addresses, paths, variables,
# switches of commands; and abbreviations that are another word in lower case, where not all is in capitals.
_NAME = re.compile(
    r"(?<!\S)[^\w\s$/\\~.-]*(?:"
    r"(?P<code>(?=\S*\d)(?=\S*[a-z])(?=\S[^\sA-Z]*[A-Z])\w\S*)|(?P<address>(?:\w+://|www\.|[~.]?/|\w:\\)\S+)"
    r"|(?P<variable>\$\w\S*|\w+(?:_\w+)+)|(?P<switch>--?[A-Za-z]\S*)"
    r"|(?P<word>IT|US|WHO|AIDS|IN|OR|ME|CAN|WAS)(?!\w))"
)
_VERBATIM = re.compile(r"(```.*?```|`[^`\n]*`|\"[^\"\n]*\"|“[^”\n]*”)", re.DOTALL)
# A question that begins with one of these asks the same with its mark and without; other texts may not: "the
# server is down" tells what "the server is down?" asks.
_ASKING = re.compile(
    r"(?:what|which|who|whom|whose|why|how|is|are|does|did|was|were|wie|wer|wieso|warum|welche[rsmn]?|quel(?:le)?s?"
    r"|pourquoi|combien|cu[aá]l(?:es)?|qu[eé]|por qu[eé])(?:'s|'re)?\s",
    re.IGNORECASE,
)
_FINAL_MARK = re.compile(r"(?<=\w)\s?\?+$")
_INDENTED = re.compile(r"\n(?:\t| {2})")
_LINE_START = re.compile(r"[ \t]*")


def normalised(question: str) -> str:
    """Fold what does not change a question's meaning: letter case, spacing, ways of writing a character.

    So is the mark of a question that begins with a word that asks. What may change the meaning stays: digits,
    other punctuation, superscripts and fractions (10² is not 102), the case of a
    unit after a number (5 mW is not 5 MW), of codes, addresses, paths, variables and switches (`-r` is not
    `-R`) and of abbreviations that are another word (US is not us), what stands in quotes or code, and how
    lines are indented.
    """
    if not question.isascii():
        question = _composed(question)
    if "`" in question or '"' in question or "“" in question:
        parts = _VERBATIM.split(question)
        return "".join(part if index % 2 else _folded(part) for index, part in enumerate(parts)).strip()
    folded = _folded(question).strip()
    return _FINAL_MARK.sub("", folded) if folded.endswith("?") and _ASKING.match(folded) else folded


def key_of(question: str) -> str:
    """Digest a question; equal normalised texts, and only these, have equal keys."""
    return blake2b(normalised(question).encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def storable(text: str) -> str:
    """Replace what a database refuses in a text: NUL and halves of characters."""
    if text.isascii() and "\0" not in text:
        return text
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()


def storable_name(name: str) -> str:
    """Return a name that a database takes; different names stay different."""
    kept = storable(name)
    if kept == name:
        return name
    digest = blake2b(name.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
    return f"{kept}\N{REPLACEMENT CHARACTER}{digest}"


def _composed(text: str) -> str:
    return unicodedata.normalize("NFC", "".join(map(_one_form, text)))


@lru_cache(maxsize=4096)
def _one_form(char: str) -> str:
    if char in _UNSEEN:
        return ""
    if unicodedata.decomposition(char).startswith(_KEPT_FORMS):
        return char
    return unicodedata.normalize("NFKC", char)


def _folded(text: str) -> str:
    text = _lowered(text)
    if "\n" in text and _INDENTED.search(text):
        return "\n".join(_spaced_line(line) for line in text.split("\n"))
    body = " ".join(text.split())
    return f"{' ' if text[:1].isspace() else ''}{body}{' ' if body and text[-1:].isspace() else ''}"


def _lowered(text: str) -> str:
    """Lower all letters but those of a unit after a number, and of names that case tells apart."""
    lowered = text.lower()
    if lowered != text:
        kept = sorted({found.span() for found in _UNIT.finditer(text)} | set(_cased_names(text)))
        parts, end = [], 0
        for first, last in kept:
            if last > end:
                parts += [text[end : max(first, end)].lower(), text[max(first, end) : last]]
                end = last
        lowered = "".join([*parts, text[end:].lower()])
    return lowered if lowered.isascii() else unicodedata.normalize("NFC", lowered)


def _cased_names(text: str) -> Iterator[tuple[int, int]]:
    is_shouted = text.upper() == text
    for found in _NAME.finditer(text):
        if found["word"] is None or not is_shouted:
            yield found.span()


def _spaced_line(line: str) -> str:
    indent = _LINE_START.match(line)
    return f"{indent[0] if indent else ''}{' '.join(line.split())}".rstrip()
