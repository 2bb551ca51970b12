"""What a conversation should not forget of the turns that are left out, word for word and in a few lines."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tokenomics_core.compression._split import sentence_spans
from tokenomics_core.compression._turns import Message, plain_text, role_of, tool_names

__all__ = ["Fact", "facts_of", "heading_of", "write_note"]

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


def facts_of(messages: Sequence[Message], places: Sequence[int], scores: dict[int, float]) -> list[Fact]:
    """Find sentences that decide, oblige or hold figures, by weight.

    Only users and assistants are quoted: a tool's words would gain a voice that they did not have.

    Args:
        messages: The whole conversation.
        places: Of the messages that are left out.
        scores: How much each of them is to the point, in spreads.
    """
    facts: list[Fact] = []
    seen = set[str]()
    for place in places:
        text = plain_text(messages[place])
        for start, end in sentence_spans(text):
            said = " ".join(text[start:end].split())
            if not _SHORTEST <= len(said) <= _LONGEST or said in seen or said.endswith("?"):
                continue
            decides, exact = _DECIDES.search(said), _EXACT.search(said)
            if decides or exact:
                seen.add(said)
                weight = (_DECISION if decides else 0.0) + (_FIGURE if exact else 0.0)
                facts.append(
                    Fact(place, start, role_of(messages[place]), said, weight + scores.get(place, 0.0))
                )
    return sorted(facts, key=lambda fact: (-fact.weight, fact.place, fact.at))


def heading_of(messages: Sequence[Message], places: Sequence[int]) -> str:
    """Say how many messages of whom are left out, and which tools they called."""
    roles = Counter(role_of(messages[place]) for place in places)
    tools = Counter(name for place in places for name in tool_names(messages[place]))
    told = ", ".join(f"{number} {role}" for role, number in sorted(roles.items()))
    called = ", ".join(f"{name} ({number})" if number > 1 else name for name, number in sorted(tools.items()))
    heading = f"[{len(places)} earlier {'message' if len(places) == 1 else 'messages'} left out: {told}"
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


def _lines(facts: Sequence[Fact]) -> list[str]:
    if not facts:
        return []
    ordered = sorted(facts, key=lambda fact: (fact.place, fact.at))
    return ["Said in them:", *(f"- {fact.role}: {fact.text}" for fact in ordered)]
