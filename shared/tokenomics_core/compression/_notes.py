"""What a conversation should not forget of the turns that are left out, word for word and in a few lines."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from tokenomics_core.compression._split import sentence_spans
from tokenomics_core.compression._turns import Message, plain_text, role_of, tool_names

__all__ = ["EarlierNote", "Fact", "facts_of", "heading_of", "read_note", "write_note"]

# What speaks of a decision, a wish, a rule or a fact about oneself.
_DECIDES = re.compile(
    r"\b(?:decid|agree[ds]?\b|let'?s\b|we(?:'ll| will| should)\b|i(?:'ll| will)\b|must\b|never\b|always\b"
    r"|prefer|deadline|due\b|instead of|don'?t\b|do not\b|should(?:n'?t)?\b|need(?:s|ed)? to\b"
    r"|my (?:name|email|order|account|address|id)\b|i(?:'m| am)\b|chose|choose|use\b"
    r"|entschied|beschloss|müssen|immer\b|nie\b|décid|décision|toujours|jamais|decidi|acord|siempre|nunca)",
    re.IGNORECASE,
)
_EXACT = re.compile(r"\d|[A-Z]{2,}|https?://|\S+@\S+|`[^`]+`|[\w-]+/[\w-]+")
_SHORTEST, _LONGEST = 12, 300
_DECISION, _FIGURE = 1.5, 0.5
_NOTE = re.compile(
    r"\[\d+ earlier messages? left out: (?P<told>\d+ [\w-]+(?:, \d+ [\w-]+)*)"
    r"(?:; tools called: (?P<called>[^\]]+))?\]"
    r"(?:\nSummary: (?P<summary>(?:(?!\nSaid in them:\n).)+))?"
    r"(?:\nSaid in them:(?P<facts>(?:\n- [\w-]+: [^\n]+)+))?",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Fact:
    """A sentence of a message that is left out.

    Attributes:
        place: Place of its message.
        at: Where it stands in the message.
        role: Who said it.
        text: The sentence.
        weight: How much it deserves a place.
    """

    place: int
    at: int
    role: str
    text: str
    weight: float


@dataclass(frozen=True, slots=True)
class EarlierNote:
    """What a note of an earlier compression says, where its conversation is compressed again.

    Attributes:
        roles: How many messages of whom were left out.
        tools: How often they called which tool.
        summary: A model's words; empty where there are none.
        facts: Role and sentence of what was quoted, in order.
    """

    roles: Counter[str]
    tools: Counter[str]
    summary: str
    facts: tuple[tuple[str, str], ...]


def read_note(message: Message) -> EarlierNote | None:
    """Read a message that is a note as `write_note` writes them, and nothing besides."""
    content = message.get("content")
    found = _NOTE.fullmatch(content) if isinstance(content, str) else None
    if found is None:
        return None
    roles, tools = Counter[str](), Counter[str]()
    for part in found["told"].split(", "):
        number, _, role = part.partition(" ")
        roles[role] += int(number)
    for part in (found["called"] or "").split(", ") if found["called"] else ():
        name, _, number = part.partition(" (")
        tools[name] += int(number.rstrip(")")) if number.rstrip(")").isdecimal() else 1
    lines = (found["facts"] or "").split("\n- ")[1:]
    facts = tuple((role, said) for role, _, said in (line.partition(": ") for line in lines))
    return EarlierNote(roles, tools, found["summary"] or "", facts)


def facts_of(messages: Sequence[Message], places: Sequence[int], scores: dict[int, float]) -> list[Fact]:
    """Find sentences that decide, oblige or hold figures, by weight.

    Only users and assistants are quoted: a tool's words would gain a voice that they did not have. What a
    note of an earlier compression quotes is quoted again, as what it is.

    Args:
        messages: The whole conversation.
        places: Of the messages that are left out.
        scores: How much each of them is to the point, in spreads.
    """
    facts: list[Fact] = []
    seen = set[str]()
    for place in places:
        for at, role, said in _quotable(messages[place]):
            weight = _weight(said)
            if weight and _SHORTEST <= len(said) <= _LONGEST and said not in seen and not said.endswith("?"):
                seen.add(said)
                facts.append(Fact(place, at, role, said, weight + scores.get(place, 0.0)))
    return sorted(facts, key=lambda fact: (-fact.weight, fact.place, fact.at))


def heading_of(messages: Sequence[Message], places: Sequence[int]) -> str:
    """Say how many messages of whom are left out, and which tools they called.

    A note of an earlier compression stands for the messages that it speaks of.
    """
    roles, tools = Counter[str](), Counter[str]()
    for place in places:
        if (note := read_note(messages[place])) is not None:
            roles += note.roles
            tools += note.tools
        else:
            roles[role_of(messages[place])] += 1
            tools.update(tool_names(messages[place]))
    told = ", ".join(f"{number} {role}" for role, number in sorted(roles.items()))
    called = ", ".join(f"{name} ({number})" if number > 1 else name for name, number in sorted(tools.items()))
    many = roles.total()
    heading = f"[{many} earlier {'message' if many == 1 else 'messages'} left out: {told}"
    return heading + (f"; tools called: {called}]" if called else "]")


def write_note(heading: str, summary: str, facts: Sequence[Fact], fits: Callable[[str], bool]) -> str:
    """Write heading, summary and as many facts as fit, in the order in which they were said.

    Args:
        heading: What is left out.
        summary: A model's words; empty where there are none.
        facts: By weight.
        fits: Whether a note is short enough.

    Returns:
        The note; empty where not even the heading fits.
    """
    parts = [heading]
    if summary and fits(f"{heading}\nSummary: {summary}"):
        parts.append(f"Summary: {summary}")
    if not fits(parts[0]):
        return ""
    chosen: list[Fact] = []
    misses = 0
    for fact in facts:
        if fits("\n".join([*parts, *_lines([*chosen, fact])])):
            chosen.append(fact)
        elif (misses := misses + 1) == _MISSES:
            break
    return "\n".join([*parts, *_lines(chosen)])


_MISSES = 5


def _quotable(message: Message) -> Iterator[tuple[int, str, str]]:
    """Yield where each sentence stands, who said it, and what."""
    if (note := read_note(message)) is not None:
        for at, (role, said) in enumerate(note.facts):
            yield at, role, said
        return
    text = plain_text(message)
    for start, end in sentence_spans(text):
        yield start, role_of(message), " ".join(text[start:end].split())


def _weight(said: str) -> float:
    return (_DECISION if _DECIDES.search(said) else 0.0) + (_FIGURE if _EXACT.search(said) else 0.0)


def _lines(facts: Sequence[Fact]) -> list[str]:
    if not facts:
        return []
    ordered = sorted(facts, key=lambda fact: (fact.place, fact.at))
    return ["Said in them:", *(f"- {fact.role}: {fact.text}" for fact in ordered)]
