"""Find the passages of a retrieved context in a prompt, and those of them that nobody needed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

__all__ = ["ContextReader", "ContextUse", "split_context"]

_BLOCK: Final = re.compile(
    r"<(context|documents?|sources?|passages?|search_results?|results|chunks?|snippets?|excerpts?)\b[^>]*>"
    r"(.*?)</\1>",
    re.IGNORECASE | re.DOTALL,
)
_HEADING: Final = re.compile(
    r"^[#*\s]*(?:context|documents?|sources?|passages?|excerpts?|snippets?|retrieved|background"
    r"|search results|knowledge base)\b[^\n:]{0,60}:[*\s]*$"
    r"|^[#*]+\s*(?:context|documents?|sources?|passages?|search results)\s*[#*]*\s*$",
    re.IGNORECASE | re.MULTILINE,
)
_ASKS: Final = re.compile(
    r"^[#*\s]*(?:question|query|task|user question|instructions?|answer)\b[^\n:]{0,40}:"
    r"|</(?:context|documents|sources|passages|search_results)>",
    re.IGNORECASE | re.MULTILINE,
)
_MARK: Final = re.compile(
    r"^[ \t>*#-]*(?:[\[(]\d{1,3}[\])][:.]?|\d{1,3}[.)]|"
    r"(?:document|passage|source|chunk|excerpt|snippet|doc|result|context)\s*#?\d{1,3}\b"
    r"[^\n:]{0,80}:?)[ \t]*",
    re.IGNORECASE | re.MULTILINE,
)
_INNER: Final = re.compile(
    r"<(document|doc|passage|source|chunk|snippet|excerpt|result|item)\b[^>]*>(.*?)</\1>",
    re.IGNORECASE | re.DOTALL,
)
_RULE: Final = re.compile(r"^\s*(?:-{3,}|\*{3,}|={3,}|_{3,})\s*$", re.MULTILINE)
_BLANK: Final = re.compile(r"\n\s*\n")
_WORD: Final = re.compile(r"[^\W\d_]{3,}")
_HINTS: Final = (
    *("context", "document", "source", "passage", "excerpt", "snippet", "chunk", "retrieved", "background"),
    *("search", "knowledge", "result", "doc", "[1"),
)
"""Where none of these stands in a text, no pattern above finds anything."""
_STEM_LETTERS: Final = 5
_LEAST_WORDS: Final = 4
_LEAST_CHARS: Final = 400
_REMEMBERED_CHARS: Final = 6_000_000
_EMPTY: Final = frozenset(
    (  # noqa: SIM905 - words read better as text
        "about above after again also although always among another any are because been before being "
        "below between both but can cannot could did does doing down during each either every few for "
        "from further had has have having her here hers him his how however into its itself just know "
        "like many may might more most much must neither nor not now off once one only other our out "
        "over own per please same shall she should since some such tell than that the their them then "
        "there these they this those though through too two under until upon very via was well were what "
        "when where whether which while who whom whose why will with within without would yet you your "
    ).split()
)


class ContextUse(NamedTuple):
    """What became of a prompt's passages.

    Attributes:
        passages: How many there are.
        repeated_tokens: Of those that stand in the same prompt before, word for word.
        unused_tokens: Of those that share no word of meaning with question or answer.
    """

    passages: int = 0
    repeated_tokens: int = 0
    unused_tokens: int = 0


class _Passage(NamedTuple):
    key: str
    stems: frozenset[str]


class ContextReader:
    """Reads the passages of prompts, and remembers them: the same ones are retrieved again and again.

    Args:
        count: Counts the tokens of a text for a model.
    """

    def __init__(self, count: Callable[[str, str], int]) -> None:
        self._count = count
        self._passages: dict[str, _Passage] = {}
        self._splits: dict[str, tuple[list[str], str]] = {}
        self._tokens: dict[tuple[str, str], int] = {}
        self._remembered_chars = 0

    def read(
        self, messages: Sequence[Mapping[str, Any]], texts: Sequence[str], answer: str | None, model: str
    ) -> tuple[ContextUse, str]:
        """Read a prompt's passages; return what became of them, and the question beside them.

        Args:
            messages: Of the request.
            texts: What each of them says.
            answer: None where the log keeps none; then only repetition is seen.
            model: Whose tokens are counted.
        """
        last = next(
            (place for place in reversed(range(len(messages))) if messages[place].get("role") == "user"), -1
        )
        question = texts[last] if last >= 0 else ""
        found: list[str] = []
        judged: set[int] = set()
        for place, (message, text) in enumerate(zip(messages, texts, strict=True)):
            if len(text) < _LEAST_CHARS or message.get("role") not in ("user", "system", "developer"):
                continue
            passages, rest = self._split(text)
            if place == last:
                question = rest
            if message.get("role") != "user" or place == last:
                judged.update(range(len(found), len(found) + len(passages)))
            found += passages
        if len(found) < 2:
            return ContextUse(), question
        return self._judge(found, judged, question, answer, model), question

    def _judge(
        self, found: list[str], judged: set[int], question: str, answer: str | None, model: str
    ) -> ContextUse:
        read = [self._read(passage) for passage in found]
        asked = _stems(question) | _stems(answer) if answer else frozenset()
        fits = [bool(passage.stems & asked) for passage in read]
        # Where no passage has a word in common with question and answer, they are of two languages.
        may_tell = bool(answer) and any(fits)
        repeated = unused = 0
        seen: set[str] = set()
        for place, (text, passage) in enumerate(zip(found, read, strict=True)):
            if passage.key in seen:
                repeated += self._tokens_of(text, model)
            elif may_tell and place in judged and not fits[place] and len(passage.stems) >= _LEAST_WORDS:
                unused += self._tokens_of(text, model)
            seen.add(passage.key)
        return ContextUse(len(found), repeated, unused)

    def _split(self, text: str) -> tuple[list[str], str]:
        found = self._splits.get(text)
        if found is None:
            found = split_context(text)
            self._room_for(2 * len(text))
            self._splits[text] = found
        return found

    def _read(self, text: str) -> _Passage:
        found = self._passages.get(text)
        if found is None:
            found = _Passage(" ".join(text.split()), _stems(text))
            self._room_for(3 * len(text))
            self._passages[text] = found
        return found

    def _tokens_of(self, text: str, model: str) -> int:
        found = self._tokens.get((text, model))
        if found is None:
            found = self._count(text, model)
            self._room_for(len(text))
            self._tokens[text, model] = found
        return found

    def _room_for(self, chars: int) -> None:
        """Forget everything once much is remembered; it is found out again."""
        self._remembered_chars += chars
        if self._remembered_chars > _REMEMBERED_CHARS:
            for kept in (self._passages, self._splits, self._tokens):
                kept.clear()
            self._remembered_chars = chars


def split_context(text: str) -> tuple[list[str], str]:
    """Take a message apart into the passages of its context and what else it says.

    A context stands in tags, under a heading, or is numbered; passages are told apart by tags, numbers,
    rules or blank lines. A text without several passages has none.
    """
    lower = text.lower()
    if not any(hint in lower for hint in _HINTS):
        return [], text
    blocks = list(_BLOCK.finditer(text)) if "</" in text else []
    if blocks:
        passages = [passage for block in blocks for passage in _parted(block[2])]
        rest = _without(text, [block.span() for block in blocks])
    else:
        start, end = _region(text)
        passages = list(_parted(text[start:end])) if end > start else []
        rest = text[:start] + text[end:]
    return (passages, rest) if len(passages) > 1 else ([], text)


def _region(text: str) -> tuple[int, int]:
    """Find where a context begins and ends that no tags enclose."""
    heading = _HEADING.search(text)
    if heading is not None:
        start = heading.end()
    else:
        marks = list(_MARK.finditer(text))
        bracketed = [mark for mark in marks if mark[0].lstrip(" \t>*#-")[:1].lower() in "[dpscer"]
        if len(bracketed) < 2:
            return 0, 0
        start = bracketed[0].start()
    asks = _ASKS.search(text, start)
    if asks is not None:
        return start, asks.start()
    last = text.rstrip().rfind("\n\n")
    return start, last if last > start and text.rstrip().endswith("?") else len(text)


def _parted(region: str) -> Iterator[str]:
    inner = list(_INNER.finditer(region))
    marks = list(_MARK.finditer(region))
    if len(inner) > 1:
        pieces = [piece[2] for piece in inner]
    elif len(marks) > 1:
        ends = [mark.start() for mark in marks[1:]] + [len(region)]
        pieces = [region[mark.end() : end] for mark, end in zip(marks, ends, strict=True)]
    elif _RULE.search(region):
        pieces = _RULE.split(region)
    else:
        pieces = _BLANK.split(region)
    for piece in pieces:
        if stripped := piece.strip():
            yield stripped


def _without(text: str, spans: Sequence[tuple[int, int]]) -> str:
    kept, end = [], 0
    for start, stop in spans:
        kept.append(text[end:start])
        end = stop
    return "".join([*kept, text[end:]])


def _stems(text: str) -> frozenset[str]:
    """Return the beginnings of a text's words of meaning, so that forms of a word are one."""
    return frozenset(word[:_STEM_LETTERS] for word in _WORD.findall(text.lower()) if word not in _EMPTY)
