"""What a prompt asks and what it offers to read, whichever template wrote it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from examples.provider.exchange import Turn

__all__ = ["Passage", "Prompt", "read_prompt", "split_sentences", "terms_of"]

_ASKED = re.compile(r"(?:^|\n)[ \t]*(?:question|query|follow up input)[ \t]*:[ \t]*", re.IGNORECASE)
_ANSWER_CUE = re.compile(r"\n\s*(?:answer|standalone question)\s*:?\s*$", re.IGNORECASE)
_REWRITES = re.compile(r"\bstandalone question\b", re.IGNORECASE)
_EARLIER_LINE = re.compile(r"^(?:user|human)\s*:\s*(.+)$", re.IGNORECASE | re.MULTILINE)
_HEADING = re.compile(r"^### (.+)$", re.MULTILINE)
_RULE = re.compile(r"^-{3,}[ \t]*$", re.MULTILINE)
_SENTENCE_END = re.compile(r"(?<!e\.g\.)(?<!i\.e\.)(?<=[.!?])\s+(?=[A-Z0-9'\"`*(<_])")
_WORD = re.compile(r"[a-z0-9]+")
_FILLER_TEXT = """a an and are as at be by can do does for from has have how i if in is it its me my of on or
that the their them there they this to was what when where which who will with you"""
_FILLERS = frozenset(_FILLER_TEXT.split())


@dataclass(frozen=True, slots=True)
class Passage:
    """One document of the context: its heading and its sentences, in order."""

    heading: str
    sentences: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt taken apart.

    Attributes:
        question: What is asked now.
        earlier: What the user asked before, oldest first.
        passages: What there is to read, in the order given.
        rewrite: Whether the prompt wants the question rewritten to stand alone, and not answered.
    """

    question: str
    earlier: tuple[str, ...]
    passages: tuple[Passage, ...]
    rewrite: bool = False


def read_prompt(turns: Sequence[Turn]) -> Prompt:
    """Take a prompt apart.

    The question is what follows the last `Question:` or `Query:` of the last user message, or all
    of it. A passage begins with a line `### heading` and ends at the next, at a line of dashes or
    with its message; tool results are read the same way. Where nothing has such a heading, whatever
    else the prompt holds is read as one passage without one.
    """
    asked = max((at for at, turn in enumerate(turns) if turn.role == "user"), default=None)
    if asked is None:
        return Prompt("", (), ())
    rest, question = _split_question(turns[asked].text)
    earlier = tuple(_split_question(turn.text)[1] for turn in turns[:asked] if turn.role == "user")
    if _REWRITES.search(rest) or _REWRITES.search(turns[asked].text):
        return Prompt(question, earlier + tuple(_EARLIER_LINE.findall(rest)), (), rewrite=True)
    texts = [turn.text for turn in turns[:asked] if turn.role == "system"] + [rest]
    texts += [turn.text for turn in turns[asked + 1 :] if turn.role == "tool"]
    passages = tuple(passage for text in texts for passage in _passages(text))
    if not passages:
        loose = [sentence for text in texts for sentence in split_sentences(text)]
        passages = (Passage("", tuple(loose)),) if loose else ()
    return Prompt(question, earlier, passages)


def _split_question(text: str) -> tuple[str, str]:
    """Return what stands before the question, and the question."""
    cues = list(_ASKED.finditer(text))
    if not cues:
        return "", text.strip()
    return text[: cues[-1].start()], _ANSWER_CUE.sub("", text[cues[-1].end() :]).strip()


def _passages(text: str) -> Iterator[Passage]:
    headings = list(_HEADING.finditer(text))
    ends = [heading.start() for heading in headings[1:]] + [len(text)]
    for heading, end in zip(headings, ends, strict=False):  # without a heading there is still an end
        body = text[heading.end() : end]
        yield Passage(heading[1].strip(), tuple(split_sentences(_RULE.split(body)[0])))


def split_sentences(text: str) -> list[str]:
    """Split prose with hard line breaks into sentences; sessions of the interpreter are left out."""
    sentences = []
    for paragraph in re.split(r"\n\s*\n", text):
        lines = [line for line in paragraph.splitlines() if not line.lstrip().startswith((">>>", "..."))]
        joined = " ".join(" ".join(lines).split())
        sentences += [part for part in _SENTENCE_END.split(joined) if part]
    return sentences


def terms_of(text: str) -> list[str]:
    """Return the words that carry meaning, cut to a stem so that `returns` meets `returned`."""
    return [_stem(word) for word in _WORD.findall(text.lower()) if word not in _FILLERS]


def _stem(word: str) -> str:
    for ending in ("ing", "ed", "es", "s"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word[: -len(ending)].rstrip("e")
    return word.rstrip("e") if len(word) > 3 else word
