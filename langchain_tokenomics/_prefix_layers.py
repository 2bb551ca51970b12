"""The parts of a request from its most lasting to its newest, and where marks for caching may stand."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Final, Literal

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import BaseTool
from langchain_core.utils.function_calling import convert_to_openai_tool

from tokenomics_core.prompts import stable_tools

__all__ = [
    "Family",
    "Layer",
    "Parts",
    "Place",
    "cleaned",
    "end_of",
    "own_marks",
    "read_layers",
    "sorted_tools",
    "with_marks",
    "without_oldest_marks",
]

Family = Literal["anthropic", "openai", "none"]
LayerName = Literal["tools", "system", "documents", "earlier", "history"]
Place = tuple[int, int]

_MARKABLE: Final = ("text", "image", "image_url", "document", "file", "tool_result")
_BLOCK_KEYS: Final[Mapping[Family, str]] = {
    "anthropic": "cache_control",
    "openai": "prompt_cache_breakpoint",
}
_SETTINGS: Final[Mapping[Family, tuple[str, ...]]] = {
    "anthropic": ("cache_control",),
    "openai": ("prompt_cache_options", "prompt_cache_key", "prompt_cache_retention"),
}
_MARKS: Final = tuple(_BLOCK_KEYS.values())
_TOOLS: Final = -2
_SYSTEM: Final = -1
"""The places of tools and of the system message, before the first of the other messages."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What a request sends, in the order in which providers read it."""

    tools: tuple[Any, ...]
    system: SystemMessage | None
    messages: tuple[BaseMessage, ...]


@dataclass(frozen=True, slots=True)
class Layer:
    """The request from its beginning to the end of one part.

    Attributes:
        name: The part it ends with.
        digest: Names its content; equal layers are equal bytes.
        tokens: Its length.
        place: Message and block at its end; None for tools.
        blocks: Blocks of messages up to its end.
    """

    name: LayerName
    digest: str
    tokens: int
    place: Place | None
    blocks: int


def sorted_tools(tools: Sequence[Any]) -> list[Any]:
    """Return tools by name, and schemas with their keys by spelling: equal tools are then equal bytes."""
    return [
        _canonical(tool) if isinstance(tool, Mapping) else tool
        for tool in sorted(tools, key=lambda tool: (_tool_name(tool), repr(type(tool))))
    ]


def cleaned(parts: Parts, settings: Mapping[str, Any], family: Family) -> tuple[Parts, dict[str, Any]]:
    """Return a request without marks that its provider does not understand; what has none stays itself."""
    keys = tuple(key for name, key in _BLOCK_KEYS.items() if name != family)
    foreign = [key for name, group in _SETTINGS.items() if name != family for key in group]
    system = None if parts.system is None else _unmarked(parts.system, keys)
    tools = tuple(
        _without(tool, keys) if isinstance(tool, Mapping) and not keys_absent(tool, keys) else tool
        for tool in parts.tools
    )
    messages = tuple(_unmarked(message, keys) for message in parts.messages)
    return Parts(tools, system, messages), _without(settings, foreign)


def keys_absent(block: Mapping[str, Any], keys: Sequence[str]) -> bool:
    """Whether a block has none of the keys."""
    return not any(key in block for key in keys)


def read_layers(parts: Parts, count: Callable[[str], int]) -> list[Layer]:
    """Find the layers of a request: tools, system, documents, what the call before sent, and all.

    Documents are the further blocks of the system message, or those before the last block of the first human
    message.
    """
    reader = _Reader(count)
    found: list[Layer] = []
    if parts.tools:
        reader.read(*map(_tool_text, parts.tools))
        found.append(reader.layer("tools", None))
    wanted = _wanted(parts)
    held: list[tuple[int, BaseMessage]] = [] if parts.system is None else [(_SYSTEM, parts.system)]
    for at, message in [*held, *enumerate(parts.messages)]:
        reader.read(message.type)
        for number, block in enumerate(_blocks_of(message)):
            said = _block_text(block)
            reader.read(said, is_block=True, is_counted=_is_text(block))
            found.extend(reader.layer(name, (at, number)) for name in wanted.get((at, number), ()))
        if isinstance(message, AIMessage) and message.tool_calls:
            reader.read(json.dumps(message.tool_calls, sort_keys=True, default=str), is_block=True)
        if isinstance(message, ToolMessage):
            reader.read(message.tool_call_id, is_counted=False)
    return found


def with_marks(
    parts: Parts, marks: Mapping[LayerName, Mapping[str, Any]], layers: Sequence[Layer], family: Family
) -> Parts:
    """Return the request with a mark at the end of each layer named; messages given are not changed."""
    key = _BLOCK_KEYS[family]
    tools, system, messages = list(parts.tools), parts.system, list(parts.messages)
    for layer in layers:
        mark = marks.get(layer.name)
        if mark is None:
            continue
        if layer.place is None:
            tools[-1] = _marked_tool(tools[-1], mark)
        elif layer.place[0] == _SYSTEM and system is not None:
            system = _marked(system, layer.place[1], key, mark)
        else:
            at, number = layer.place
            messages[at] = _marked(messages[at], number, key, mark)
    return Parts(tuple(tools), system, tuple(messages))


def own_marks(parts: Parts, settings: Mapping[str, Any]) -> dict[Place, str | None]:
    """Find the marks that a caller has placed, and the lifetimes that they ask for."""
    found: dict[Place, str | None] = {}
    for at, tool in enumerate(parts.tools):
        extras = tool if isinstance(tool, Mapping) else getattr(tool, "extras", None)
        _note_mark(found, (_TOOLS, at), extras)
    held: list[tuple[int, BaseMessage]] = [] if parts.system is None else [(_SYSTEM, parts.system)]
    for at, message in [*held, *enumerate(parts.messages)]:
        for number, block in enumerate(_blocks_of(message)):
            _note_mark(found, (at, number), block)
    _note_mark(found, (len(parts.messages), 0), settings)
    return found


def without_oldest_marks(parts: Parts, own: Mapping[Place, str | None], most: int) -> Parts:
    """Return a request whose messages have lost their first marks, as many as the provider would not take."""
    surplus = [place for place in own if 0 <= place[0] < len(parts.messages)][: max(len(own) - most, 0)]
    if not surplus:
        return parts
    messages = list(parts.messages)
    for at, number in surplus:
        blocks = _blocks_of(messages[at])
        blocks[number] = _without(blocks[number], _MARKS)
        messages[at] = messages[at].model_copy(update={"content": blocks})
    return Parts(parts.tools, parts.system, tuple(messages))


def end_of(layer: Layer, parts: Parts) -> Place:
    """Return where a layer's mark stands among the others."""
    return layer.place if layer.place is not None else (_TOOLS, len(parts.tools) - 1)


def _note_mark(found: dict[Place, str | None], place: Place, holder: Any) -> None:
    mark = (
        next((holder[key] for key in _MARKS if key in holder), None) if isinstance(holder, Mapping) else None
    )
    if mark is not None:
        found[place] = mark.get("ttl") if isinstance(mark, Mapping) else None


def _blocks_of(message: BaseMessage) -> list[Any]:
    # A text is one block.
    if isinstance(message.content, str):
        return [{"type": "text", "text": message.content}] if message.content else []
    return list(message.content)


class _Reader:
    """Reads a request from its beginning on."""

    def __init__(self, count: Callable[[str], int]) -> None:
        self._count = count
        self._digest = blake2b(digest_size=12)
        self._tokens = self._blocks = 0

    def read(self, *texts: str, is_block: bool = False, is_counted: bool = True) -> None:
        for text in texts:
            self._digest.update(f"{len(text)}:{text}".encode("utf-8", "surrogatepass"))
            self._tokens += self._count(text) if is_counted else 0
            self._blocks += is_block

    def layer(self, name: LayerName, place: Place | None) -> Layer:
        return Layer(name, self._digest.copy().hexdigest(), self._tokens, place, self._blocks)


def _wanted(parts: Parts) -> dict[Place, list[LayerName]]:
    """Find where layers end."""
    ends: list[tuple[LayerName, Place | None]] = []
    if parts.system is not None and (places := _markable(parts.system)):
        ends.append(("system", (_SYSTEM, places[0])))
        if len(places) > 1:
            ends.append(("documents", (_SYSTEM, places[-1])))
    first = next((at for at, one in enumerate(parts.messages) if isinstance(one, HumanMessage)), None)
    if (
        first is not None
        and len(places := _markable(parts.messages[first])) > 1
        and not _has(ends, "documents")
    ):
        ends.append(("documents", (first, places[-2])))
    edge = next(
        (at for at in reversed(range(len(parts.messages))) if isinstance(parts.messages[at], AIMessage)), 0
    )
    ends += [("earlier", _last_place(parts.messages, edge)), ("history", _last_place(parts.messages, None))]
    wanted: dict[Place, list[LayerName]] = {}
    for name, place in ends:
        if place is not None:
            wanted.setdefault(place, []).append(name)
    return wanted


def _has(ends: Sequence[tuple[LayerName, Place | None]], name: LayerName) -> bool:
    return any(one == name for one, _ in ends)


def _last_place(messages: Sequence[BaseMessage], end: int | None) -> Place | None:
    """Return the last block before a place that can be marked: a human's or a tool's."""
    for at in reversed(range(len(messages) if end is None else end)):
        if isinstance(messages[at], (HumanMessage, ToolMessage)) and (places := _markable(messages[at])):
            return at, places[-1]
    return None


def _markable(message: BaseMessage) -> list[int]:
    return [
        number
        for number, block in enumerate(_blocks_of(message))
        if (isinstance(block, str) and block)
        or (
            isinstance(block, Mapping)
            and block.get("type") in _MARKABLE
            and not (block["type"] == "text" and not block.get("text"))
        )
    ]


def _marked(message: Any, number: int, key: str, mark: Mapping[str, Any]) -> Any:
    blocks = _blocks_of(message)
    block = blocks[number]
    plain = {"type": "text", "text": block} if isinstance(block, str) else dict(block)
    blocks[number] = {**plain, key: dict(mark)}
    return message.model_copy(update={"content": blocks})


def _marked_tool(tool: Any, mark: Mapping[str, Any]) -> Any:
    if isinstance(tool, BaseTool):
        return tool.model_copy(update={"extras": {**(tool.extras or {}), "cache_control": dict(mark)}})
    return {**tool, "cache_control": dict(mark)} if isinstance(tool, Mapping) else tool


def _unmarked(message: Any, keys: Sequence[str]) -> Any:
    content = message.content
    if not isinstance(content, list) or all(
        keys_absent(block, keys) for block in content if isinstance(block, Mapping)
    ):
        return message
    plain = [_without(block, keys) if isinstance(block, Mapping) else block for block in content]
    return message.model_copy(update={"content": plain})


def _without(block: Mapping[str, Any], keys: Sequence[str]) -> dict[str, Any]:
    return {name: value for name, value in block.items() if name not in keys}


def _canonical(tool: Mapping[str, Any]) -> dict[str, Any]:
    return stable_tools([tool])[0] if _tool_name(tool) else dict(tool)


def _tool_name(tool: Any) -> str:
    inner = tool.get("function", tool) if isinstance(tool, Mapping) else tool
    name = inner.get("name") if isinstance(inner, Mapping) else getattr(inner, "name", None)
    return name if isinstance(name, str) else ""


def _tool_text(tool: Any) -> str:
    schema = tool if isinstance(tool, Mapping) else convert_to_openai_tool(tool)
    return json.dumps(_without(schema, _MARKS), default=str)


def _is_text(block: Any) -> bool:
    """Whether a block is counted: calls of tools stand apart, and nobody knows what pictures cost."""
    return isinstance(block, str) or "text" in block


def _block_text(block: Any) -> str:
    if isinstance(block, str):
        return block
    plain = _without(block, _MARKS)
    if set(plain) <= {"type", "text", "id", "index"} and isinstance(plain.get("text"), str):
        return str(plain["text"])
    return json.dumps(plain, sort_keys=True, default=str)
