"""Find in a prompt what costs tokens and tells the model nothing, or keeps its start from being cached."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from tokenomics_core.prompts._parts import PromptPart

__all__ = ["Waste", "WasteKind", "find_wastes"]

WasteKind = Literal[
    "duplicate",
    "unstable_prefix",
    "indented_json",
    "oversized_schema",
    "verbose",
    "whitespace",
    "embedded_data",
    "markup",
    "long_history",
]
_SENTENCE = re.compile(r"[^.!?\n]+[.!?]?")
_LEAST_REPEATED_WORDS = 8
_STAMP = re.compile(
    r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d)?(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d)?|\b\d\d:\d\d:\d\d\b"
    r"|(?:today(?:'s date)?|current (?:date|time|date and time)|now)\s*(?:is|:|=)\s*[^\n.]{0,40}\d"
    # Ten digits alone may be a telephone's number: seconds since 1970 stand behind a word for time.
    r"|(?:unix|epoch|time(?:[ _-]?stamp)?|(?<![a-z])(?:ts|now|date|generated|created|updated|iat|exp))"
    r"[^\n\w]{0,10}(?:(?:is|at|time|seconds|ms)[^\n\w]{1,10})?\b1[6-9]\d{8}(?:\d{3})?\b",
    re.IGNORECASE,
)
_DIALLED = re.compile(
    r"\b(?:(?:tele)?phone|tel|fax|dial|mobile|whatsapp|sms)\b[^\n]*$"
    r"|\bcall(?:[^\w\n]+(?:us|me|him|her|them|at|on|any|under))*[^\w\n]*$",
    re.IGNORECASE,
)
_ID = re.compile(
    r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b"
    r"|\b(?:request|session|trace|run|correlation|conversation|message)[_ -]?id\s*[:=]\s*\S{4,}"
    r"|\b(?:nonce|seed)\s*[:=]\s*\S{4,}",
    re.IGNORECASE,
)
_SHOWN = re.compile(
    r"(?:\be\.g\.|\bfor example|\bexample:|\bsuch as|\bformat(?:ted)?\b|\blike\b)[^\n]*$", re.IGNORECASE
)
_OPENING = re.compile(r"\{(?=\s*[\"}])|\[(?=\s*[\"{\[\]\d\-tfn])")
_MOST_NO_JSON = 500
"""Brackets that may turn out to open no JSON: each can cost as much time as the text is long."""
_BLOB = re.compile(r"(?:data:[\w/+.-]+;base64,)?[A-Za-z0-9+/]{200,}={0,2}")
_TAG = re.compile(
    r"<(?:/?(?:div|span|p|a|ul|li|td|tr|table|tbody|img|br|script|style|section|html|body|head)\b[^<>]*)>",
    re.IGNORECASE,
)
_SHARE_OF_MARKUP = 0.15
_RULE_LINE = re.compile(r"^[\s=*_~#\-]{8,}$", re.MULTILINE)
_GAPS = re.compile(r"\n(?:[ \t]*\n){2,}|(?<=\S)[ \t]{4,}(?=\S)|[ \t]+(?=\n)")
_OPENS_A_BLOCK = (":", "{", "(", "[", ",", "\\")
_FILLERS = re.compile(
    r"\b(?:please (?:make sure|ensure|note|remember|be (?:aware|advised|sure))(?: that)?"
    r"|it is (?:very |extremely |absolutely )?(?:important|essential|crucial|imperative|vital)"
    r"(?: to note)?(?: that)?"
    r"|(?:as|being) an? (?:ai|artificial intelligence|large)[\w ]{0,20}(?:model|assistant)"
    r"|take a deep breath"
    r"|you (?:are|will be) (?:an? )?(?:world[- ]class|highly (?:skilled|intelligent|capable))"
    r"|under no circumstances|at all times|in order to|keep in mind that|needless to say"
    r"|i (?:will|'ll) tip you|thank you (?:very much|so much|in advance)|do your (?:very )?best"
    r"|(?<!very )(?<!very, )(?:very,? )+(?:careful|important)(?:ly)?)",
    re.IGNORECASE,
)
_MANY_FILLERS = 4
_BIG_SCHEMA_TOKENS = 600
_LONG_HISTORY_TOKENS = 2_000
_LONG_HISTORY_SHARE = 0.5
_LEAST_SAVING_TOKENS = 10
_PREFIX_SOURCES = ("system", "few-shot", "tool schemas")


@dataclass(frozen=True, slots=True, kw_only=True)
class Waste:
    """Something to take out or to move.

    Attributes:
        kind: What it is.
        place: Where it stands: a message's number or a tool's name.
        tokens: What it costs in every call; for `unstable_prefix` the tokens behind it that cannot be cached.
        detail: What was found, with a quotation.
        fix: What to do.
    """

    kind: WasteKind
    place: str
    tokens: int
    detail: str
    fix: str


def find_wastes(parts: Sequence[PromptPart], count: Callable[[str], int]) -> list[Waste]:
    """Look for every kind of waste; what would save less than ten tokens is not worth a line."""
    found = [
        *_duplicates(parts, count),
        *_unstable(parts, count),
        *_long_history(parts, count),
        *(waste for part in parts for waste in _in_part(part, count)),
    ]
    return [waste for waste in found if waste.tokens >= _LEAST_SAVING_TOKENS]


def _in_part(part: PromptPart, count: Callable[[str], int]) -> Iterator[Waste]:
    if part.source == "tool schemas":
        tokens = count(part.text)
        if tokens > _BIG_SCHEMA_TOKENS:
            yield Waste(
                kind="oversized_schema",
                place=part.place,
                tokens=tokens - _BIG_SCHEMA_TOKENS,
                detail=f"the schema of {part.place} takes {tokens} tokens in every call",
                fix="shorten its descriptions, drop optional parameters, or offer it only where it is needed",
            )
        return
    yield from _embedded(part, count)
    yield from _indented_json(part, count)
    yield from _markup(part, count)
    yield from _whitespace(part, count)
    yield from _verbose(part, count)


def _duplicates(parts: Sequence[PromptPart], count: Callable[[str], int]) -> Iterator[Waste]:
    seen: dict[str, str] = {}
    for part in parts:
        if part.source == "tool schemas":
            continue
        tokens, first, quote = 0, "", ""
        for sentence in _repeatable(part.text):
            key = " ".join(re.findall(r"\w+", sentence.lower()))
            if key in seen:
                tokens += count(sentence)
                first, quote = first or seen[key], quote or sentence.strip()
            else:
                seen[key] = part.place
        if tokens:
            yield Waste(
                kind="duplicate",
                place=part.place,
                tokens=tokens,
                detail=f"says again what message {first} says: {_quoted(quote)}",
                fix="say it once",
            )


def _repeatable(text: str) -> Iterator[str]:
    for match in _SENTENCE.finditer(text):
        if len(re.findall(r"\w+", match[0])) >= _LEAST_REPEATED_WORDS:
            yield match[0]


def _unstable(parts: Sequence[PromptPart], count: Callable[[str], int]) -> Iterator[Waste]:
    """Find what changes from call to call in front of what does not."""
    prefix = [part for part in parts if part.source in _PREFIX_SOURCES]
    for place, part in enumerate(prefix):
        if part.source == "tool schemas":  # what a schema shows is an example
            continue
        found = (match for pattern in (_STAMP, _ID) for match in pattern.finditer(part.text))
        changing = min(
            (match for match in found if not _is_example(part.text, match)),
            key=lambda match: match.start(),
            default=None,
        )
        if changing is None:
            continue
        behind = count(part.text[changing.end() :]) + sum(count(later.text) for later in prefix[place + 1 :])
        yield Waste(
            kind="unstable_prefix",
            place=part.place,
            tokens=max(behind, _LEAST_SAVING_TOKENS),
            detail=f"{_quoted(changing[0])} changes from call to call, and nothing behind it can be cached",
            fix="move it behind everything that stays the same, into the last message",
        )
        return


def _is_example(text: str, match: re.Match[str]) -> bool:
    """Tell a form that is described (`for example 14:30:00`, `request_id: string`) from what changes."""
    before = text[max(0, match.start() - 60) : match.start()]
    if match[0][-10:].isdecimal() and _DIALLED.search(before):
        return True
    return bool(_SHOWN.search(before)) or not any(map(str.isdigit, match[0]))


def _embedded(part: PromptPart, count: Callable[[str], int]) -> Iterator[Waste]:
    blobs = [match[0] for match in _BLOB.finditer(part.text)]
    if blobs:
        yield Waste(
            kind="embedded_data",
            place=part.place,
            tokens=sum(map(count, blobs)),
            detail=f"{len(blobs)} encoded file(s) in the text: {_quoted(blobs[0])}",
            fix="send it as an image or file part, or leave it out",
        )


def _indented_json(part: PromptPart, count: Callable[[str], int]) -> Iterator[Waste]:
    saved = 0
    for block in _json_blocks(part.text):
        try:
            value = json.loads(block)
        except ValueError:
            continue
        short = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        saved += max(0, count(block) - count(short))
    if saved:
        yield Waste(
            kind="indented_json",
            place=part.place,
            tokens=saved,
            detail="JSON is indented for people",
            fix="send it minified, or as columns: compress_tool_output(text, lossless=True)",
        )


def _json_blocks(text: str) -> Iterator[str]:
    """Find objects and lists that span lines."""
    place = failures = 0
    decoder = json.JSONDecoder()
    while failures < _MOST_NO_JSON and (opening := _OPENING.search(text, place)):
        start = opening.start()
        try:
            _, end = decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            place, failures = start + 1, failures + 1
            continue
        if "\n" in text[start:end]:
            yield text[start:end]
        place = end


def _markup(part: PromptPart, count: Callable[[str], int]) -> Iterator[Waste]:
    tags = [match[0] for match in _TAG.finditer(part.text)]
    if tags and sum(map(len, tags)) > _SHARE_OF_MARKUP * len(part.text):
        yield Waste(
            kind="markup",
            place=part.place,
            tokens=sum(map(count, tags)),
            detail=f"{len(tags)} HTML tags, such as {_quoted(tags[0])}",
            fix="send the text of the page: compress_tool_output(page, kind='html')",
        )


def _whitespace(part: PromptPart, count: Callable[[str], int]) -> Iterator[Waste]:
    if part.source == "tool results" or "```" in part.text:
        return
    without_json = part.text
    for block in _json_blocks(part.text):
        without_json = without_json.replace(block, "")
    tidy = _RULE_LINE.sub("", _GAPS.sub(_as_it_could_be, _unindented(without_json)))
    saved = count(without_json) - count(tidy)
    if saved > 0:
        yield Waste(
            kind="whitespace",
            place=part.place,
            tokens=saved,
            detail="blank lines, rules and runs of spaces",
            fix="leave one blank line between paragraphs",
        )


def _as_it_could_be(gap: re.Match[str]) -> str:
    if gap[0].startswith("\n"):
        return "\n\n"
    return "" if gap.end() < len(gap.string) and gap.string[gap.end()] == "\n" else " "


def _unindented(text: str) -> str:
    """Take off the indentation that all lines share; what some have beyond it may be code, a list or YAML."""
    first, _, rest = text.partition("\n")
    if first[:1].isspace():
        return textwrap.dedent(text)
    # A text in triple quotes begins behind them; a first line that opens a block is code.
    return (
        text
        if first.rstrip().endswith(_OPENS_A_BLOCK)
        else f"{first}\n{textwrap.dedent(rest)}"
        if rest
        else first
    )


def _verbose(part: PromptPart, count: Callable[[str], int]) -> Iterator[Waste]:
    if part.source not in ("system", "few-shot", "question"):
        return
    fillers = [match[0] for match in _FILLERS.finditer(part.text)]
    if len(fillers) >= _MANY_FILLERS:
        yield Waste(
            kind="verbose",
            place=part.place,
            tokens=sum(map(count, fillers)),
            detail=f"{len(fillers)} phrases that ask for nothing, such as {_quoted(fillers[0])}",
            fix="say what to do, once, in the imperative",
        )


def _long_history(parts: Sequence[PromptPart], count: Callable[[str], int]) -> Iterator[Waste]:
    total = sum(count(part.text) for part in parts)
    history = sum(count(part.text) for part in parts if part.source in ("history", "tool results"))
    if history > _LONG_HISTORY_TOKENS and history > _LONG_HISTORY_SHARE * total:
        yield Waste(
            kind="long_history",
            place="history",
            tokens=history - _LONG_HISTORY_TOKENS,
            detail=f"earlier turns are {history} of {total} tokens",
            fix=f"compress_history(messages, question, max_tokens={total - history + _LONG_HISTORY_TOKENS})",
        )


def _quoted(text: str) -> str:
    short = " ".join(text.split())
    return repr(short if len(short) <= 60 else f"{short[:57]}...")
