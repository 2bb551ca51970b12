"""Take a prompt apart into who says what and where it came from."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from tokenomics_core.errors import ConfigurationError

__all__ = ["PromptPart", "Source", "split_prompt"]

Source = Literal["system", "few-shot", "context", "history", "question", "tool results", "tool schemas"]
# A line's own blanks only, and no two ways to read one blank: time grows with the text, whatever it is.
_EXAMPLE = re.compile(
    r"^[#* \t]*(?:examples?[ \t]*\d*[ \t]*[:.)\-]"
    r"|(?:input|q|question|user)[ \t]*(?:\d+[ \t]*)?:.*\n"
    r"\s*(?:output|a|answer|assistant)[ \t]*(?:\d+[ \t]*)?:)",
    re.IGNORECASE | re.MULTILINE,
)
_BLOCK_OPENS = re.compile(r"<(context|documents?|sources?|passages?|search_results?)\b[^<>]*>", re.IGNORECASE)
_BLOCK_CLOSES = re.compile(r"</(context|documents?|sources?|passages?|search_results?)>", re.IGNORECASE)
_CONTEXT_HEADING = re.compile(
    r"^[#* \t]*(?:context|documents?|sources?|passages?|retrieved|background)"
    r"(?: information)?(?: is below\.?)?[ \t]*(?::[ \t]*)?\n",
    re.IGNORECASE | re.MULTILINE,
)
_NEXT_HEADING = re.compile(
    r"^[#* \t]*(?:question|query|task|instructions?|user|answer)\b.*?:", re.IGNORECASE | re.MULTILINE
)
_ROLES = {"human": "user", "ai": "assistant", "developer": "system", "function": "tool", "model": "assistant"}


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptPart:
    """A piece of a prompt.

    Attributes:
        role: `system`, `user`, `assistant`, `tool`, or `tools` for schemas.
        source: What kind of text it is.
        place: Where it stands: the number of its message from 0, or the name of a tool.
        text: What it says.
    """

    role: str
    source: Source
    place: str
    text: str


def split_prompt(messages: Any, tools: Iterable[Any] = ()) -> list[PromptPart]:
    """Take messages and tool schemas apart.

    The last user message is the question, what stands before it in blocks marked as context is context,
    pairs that are named or worded as examples are few-shot, all other earlier turns are history.

    Args:
        messages: A string, or messages as mappings, (role, text) pairs or objects with a role or type.
        tools: Tool schemas as mappings.

    Raises:
        ConfigurationError: Something is no message; nothing was analysed.
    """
    if isinstance(messages, str):
        messages = [{"role": "user", "content": messages}]
    if isinstance(messages, Mapping) or not isinstance(messages, Iterable):
        messages = [messages]
    read = [_message(message, place) for place, message in enumerate(messages)]
    asks = [place for place, (role, _, _) in enumerate(read) if role == "user"]
    last = asks[-1] if asks else -1
    parts = [_schema(tool) for tool in tools]
    shown = _examples(read, last)
    for place, (role, name, text) in enumerate(read):
        parts += _split(role, name, text, place, is_question=place == last, is_example=place in shown)
    return [part for part in parts if part.text.strip()]


def _split(
    role: str, name: str, text: str, place: int, *, is_question: bool, is_example: bool
) -> list[PromptPart]:
    def part(source: Source, piece: str) -> PromptPart:
        return PromptPart(role=role, source=source, place=str(place), text=piece)

    fixed: Source | None = None
    if role == "tool":
        fixed = "tool results"
    elif is_example or name.startswith("example"):
        fixed = "few-shot"
    elif role == "assistant":
        fixed = "history"
    rest: Source = fixed or ("system" if role == "system" else "question" if is_question else "history")
    block = None if fixed else _context(text)
    if block is None:
        example = _EXAMPLE.search(text) if rest == "system" else None
        start = example.start() if example else len(text)
        return [part(rest, text[:start]), part("few-shot", text[start:])]
    start, end = block
    return [part(rest, text[:start]), part("context", text[start:end]), part(rest, text[end:])]


def _context(text: str) -> tuple[int, int] | None:
    """Find where context stands: in a block, or under a heading, whichever opens first."""
    heading = _CONTEXT_HEADING.search(text)
    closed = {match[1].lower(): match for match in _BLOCK_CLOSES.finditer(text)}
    for match in _BLOCK_OPENS.finditer(text):
        if heading is not None and heading.start() < match.start():
            break
        last = closed.get(match[1].lower())
        if last is not None and last.start() >= match.end():
            return match.start(), last.end()
    if heading is None:
        return None
    # A last paragraph that asks or is headed otherwise closes it.
    return heading.start(), _end_of_context(text, heading.end())


def _end_of_context(text: str, start: int) -> int:
    heading = _NEXT_HEADING.search(text, start)
    if heading:
        return heading.start()
    last = text.rstrip().rfind("\n\n")
    return last if last > start and text.rstrip().endswith("?") else len(text)


def _examples(read: Sequence[tuple[str, str, str]], last: int) -> set[int]:
    """Find pairs of turns before the question that are worded as examples of each other."""
    shown: set[int] = set()
    for place in range(last - 1):
        (role, _, text), (next_role, _, answer) = read[place], read[place + 1]
        if role == "user" and next_role == "assistant" and _looks_shown(text, answer, read[last][2]):
            shown |= {place, place + 1}
    return shown


def _looks_shown(text: str, answer: str, question: str) -> bool:
    """A shown question is worded like the real one: it begins with the same label, such as `Review:`."""
    label = re.match(r"\s*([A-Z][\w ]{1,30}:)", question)
    return bool(label and text.lstrip().startswith(label[1]) and answer)


def _message(message: Any, place: int) -> tuple[str, str, str]:
    if isinstance(message, str):
        return "user", "", message
    if isinstance(message, Sequence) and len(message) == 2 and isinstance(message[0], str):
        return _ROLES.get(message[0], message[0]), "", _text(message[1])
    role = _get(message, "role") or _get(message, "type")
    if role is None:
        raise ConfigurationError(f"message {place} has no role: {message!r:.80}; nothing was analysed")
    role = str(getattr(role, "value", role))
    calls = _get(message, "tool_calls")
    text = _text(_get(message, "content"))
    if calls:
        text += "\n" + json.dumps(calls, default=str, ensure_ascii=False)
    return _ROLES.get(role, role), str(_get(message, "name") or ""), text


def _get(message: Any, name: str) -> Any:
    return message.get(name) if isinstance(message, Mapping) else getattr(message, name, None)


def _text(content: Any) -> str:
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    if isinstance(content, Sequence):
        return "\n".join(_block(block) for block in content)
    return str(content)


def _block(block: Any) -> str:
    if isinstance(block, str):
        return block
    if isinstance(block, Mapping):
        return str(block.get("text") or _text(block.get("content")))
    return str(getattr(block, "text", ""))


def _schema(tool: Any) -> PromptPart:
    if not isinstance(tool, Mapping):
        raise ConfigurationError(f"a tool's schema must be a mapping, not {tool!r:.80}; nothing was analysed")
    inner = tool.get("function", tool)
    name = inner.get("name") if isinstance(inner, Mapping) else None
    text = json.dumps(tool, ensure_ascii=False, separators=(",", ":"), default=str)
    return PromptPart(role="tools", source="tool schemas", place=str(name or "tool"), text=text)
