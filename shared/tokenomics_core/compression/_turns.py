"""What belongs together in a conversation: a call of tools and its results are one turn."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tokenomics_core.errors import ConfigurationError

__all__ = ["Message", "Turn", "check_messages", "plain_text", "role_of", "text_of", "tool_names", "turns_of"]

Message = Mapping[str, Any]

_SYSTEM = ("system", "developer")
# Besides these, an item of OpenAI's Responses is a call where its type ends with `_call`, such as
# `custom_tool_call`, and that call's result where it ends with `_call_output`.
_CALL_TYPES = ("tool_use", "tool_call", "mcp_approval_request")
_RESULT_TYPES = ("tool_result", "mcp_approval_response")
_TEXTS = ("text", "input_text", "output_text", "refusal", "content", "output")


@dataclass(frozen=True, slots=True)
class Turn:
    """Messages that are kept or left out together.

    Attributes:
        start: Place of the first.
        end: Place after the last.
        is_system: Whether a message in it instructs the model, so that it always stays.
    """

    start: int
    end: int
    is_system: bool

    @property
    def places(self) -> range:
        """Places of its messages."""
        return range(self.start, self.end)


def check_messages(messages: Iterable[Message]) -> list[Message]:
    """Return messages as a list.

    Raises:
        ConfigurationError: Something in it is no mapping with a role.
    """
    if isinstance(messages, (str, bytes, Mapping)) or not isinstance(messages, Iterable):
        raise ConfigurationError(f"messages must be a list of mappings, not {messages!r:.80}")
    found = list(messages)
    for message in found:
        if not isinstance(message, Mapping) or not (
            isinstance(message.get("role"), str) or isinstance(message.get("type"), str)
        ):
            raise ConfigurationError(
                f"a message must be a mapping with a role, not {message!r:.80}; nothing was compressed"
            )
    return found


def turns_of(messages: Sequence[Message]) -> list[Turn]:
    """Group messages so that no call of a tool is parted from its result.

    What stands between a call and its result belongs to the turn. A result whose call is nowhere stays with
    the message before it. An item of reasoning stays with all that the model said or called after it:
    OpenAI's Responses refuses either without the other.
    """
    starts = list(range(len(messages)))
    asked: dict[str, int] = {}
    thought: int | None = None
    for place, message in enumerate(messages):
        if message.get("type") == "reasoning":
            thought = place if thought is None else thought
        elif role_of(message) != "assistant":
            thought = None
        if thought is not None:
            starts[place] = starts[thought]
        for call in _call_ids(message):
            asked[call] = place
        for answered in _result_ids(message):
            first = asked.get(answered, max(place - 1, 0))
            if answered in asked or not _is_system(messages[first]):
                start = min(starts[first : place + 1])
                starts[first : place + 1] = [start] * (place + 1 - first)
    turns: list[Turn] = []
    place = 0
    while place < len(messages):
        end = place + 1
        while end < len(messages) and starts[end] <= place:
            end += 1
        group = messages[place:end]
        turns.append(Turn(place, end, any(map(_is_system, group))))
        place = end
    return turns


def role_of(message: Message) -> str:
    """Name who speaks; items of OpenAI's Responses without a role speak for the assistant or a tool."""
    role = message.get("role")
    if isinstance(role, str):
        return role
    return "tool" if _is_result(message) else "assistant"


def text_of(message: Message) -> str:
    """Return all that a message says: its speaker's name, its text, its calls and their results."""
    said = " ".join(part for part in _parts(message) if part)
    name = message.get("name")
    return f"{name}: {said}" if isinstance(name, str) and name else said


def plain_text(message: Message) -> str:
    """Return what a user or an assistant says in words; nothing of tools."""
    if role_of(message) not in {"user", "assistant"}:
        return ""
    content = message.get("content")
    if isinstance(content, str):
        return content
    blocks = content if isinstance(content, list) else []
    texts = [
        block if isinstance(block, str) else block.get("text")
        for block in blocks
        if isinstance(block, (str, Mapping))
    ]
    return "\n".join(text for text in texts if isinstance(text, str))


def tool_names(message: Message) -> Iterator[str]:
    """Name the tools that a message calls."""
    for call in _calls(message):
        function = call.get("function")
        name = (function if isinstance(function, Mapping) else call).get("name")
        if isinstance(name, str):
            yield name


def _is_system(message: Message) -> bool:
    return role_of(message) in _SYSTEM


def _is_call(item: Mapping[str, Any]) -> bool:
    kind = item.get("type")
    return isinstance(kind, str) and (kind in _CALL_TYPES or kind.endswith("_call"))


def _is_result(item: Mapping[str, Any]) -> bool:
    kind = item.get("type")
    return isinstance(kind, str) and (kind in _RESULT_TYPES or kind.endswith("_call_output"))


def _calls(message: Message) -> list[Mapping[str, Any]]:
    listed = message.get("tool_calls")
    calls = (
        [call for call in listed if isinstance(call, Mapping)] if isinstance(listed, (list, tuple)) else []
    )
    if isinstance(old := message.get("function_call"), Mapping):
        calls.append(old)
    if _is_call(message):
        calls.append(message)
    return calls + [block for block in _blocks(message) if _is_call(block)]


def _call_ids(message: Message) -> list[str]:
    return [str(call.get("call_id") or call.get("id") or call.get("name") or "") for call in _calls(message)]


def _result_ids(message: Message) -> list[str]:
    found = [
        _answered(block, "tool_use_id", "call_id", "tool_call_id")
        for block in _blocks(message)
        if _is_result(block)
    ]
    if _is_result(message) or role_of(message) in {"tool", "function"}:
        found.append(_answered(message, "tool_call_id", "call_id", "approval_request_id", "name", "id"))
    return found


def _answered(item: Mapping[str, Any], *names: str) -> str:
    return str(next((item[name] for name in names if item.get(name)), ""))


def _blocks(message: Message) -> list[Mapping[str, Any]]:
    content = message.get("content")
    return [block for block in content if isinstance(block, Mapping)] if isinstance(content, list) else []


def _parts(value: Any) -> Iterator[str]:  # a message, a block or what stands in them: foreign data
    if isinstance(value, str):
        yield value
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from _parts(inner)
    elif isinstance(value, Mapping):
        for name in _TEXTS:
            yield from _parts(value.get(name))
        if "role" in value or _is_call(value):
            for call in _calls(value):
                function = call.get("function")
                source = function if isinstance(function, Mapping) else call
                yield str(source.get("name") or "")
                arguments = source.get("arguments", source.get("input", source.get("args")))
                yield arguments if isinstance(arguments, str) else json.dumps(arguments, default=str)
