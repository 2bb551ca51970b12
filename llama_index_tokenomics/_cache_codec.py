"""Write answers down and read them back, without reviving anything but plain data."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    CompletionResponse,
    ContentBlock,
    MessageRole,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
)
from pydantic import BaseModel

from llama_index_tokenomics._responses import has_usage
from tokenomics_core.types import Usage
from tokenomics_core.usage import finish_reason_from_raw, model_from_raw, usage_from_llama_index

__all__ = [
    "Chats",
    "Completions",
    "Said",
    "Told",
    "read_said",
    "said_in_chat",
    "said_in_completion",
    "said_object",
    "write_said",
]

_VERSION = 1
_KINDS = (TextBlock, ThinkingBlock, ToolCallBlock)


@dataclass(frozen=True, slots=True)
class Said:
    """What a model said.

    Attributes:
        blocks: The content, in order.
        pieces: The text as it arrived, where it was streamed.
        role: Who speaks.
    """

    blocks: tuple[ContentBlock, ...]
    pieces: tuple[str, ...] = ()
    role: MessageRole = field(default=MessageRole.ASSISTANT)

    @property
    def text(self) -> str:
        """What was said in words."""
        return "".join(block.text for block in self.blocks if isinstance(block, TextBlock))

    @property
    def gist(self) -> str:
        """What was said or asked of tools, for comparing answers."""
        calls = [f"{b.tool_name} {b.tool_kwargs}" for b in self.blocks if isinstance(b, ToolCallBlock)]
        return "\n".join([self.text, *calls]) if calls else self.text

    @property
    def calls_tools(self) -> bool:
        """Whether the model asked for a tool."""
        return any(isinstance(block, ToolCallBlock) for block in self.blocks)

    def fresh_blocks(self) -> list[ContentBlock]:
        """Copy the content; calls of tools get ids of their own, so that no two of a history are alike."""
        copies: list[ContentBlock] = [block.model_copy(deep=True) for block in self.blocks]
        for block in copies:
            if isinstance(block, ToolCallBlock):
                block.tool_call_id = f"call_{uuid.uuid4().hex}"
        return copies


@dataclass(frozen=True, slots=True)
class Told:
    """What a provider told of an answer.

    Attributes:
        finish_reason: Why the model stopped; None where it was not told.
        usage: What the call consumed; None where it was not told.
        model: Which model answered; None where it was not told.
    """

    finish_reason: str | None = None
    usage: Usage | None = None
    model: str | None = None

    def then(self, response: ChatResponse | CompletionResponse) -> Told:
        """Take in the next piece of a stream; what was told earlier stands where it says nothing."""
        return Told(
            finish_reason_from_raw(response.raw) or self.finish_reason,
            (usage_from_llama_index(response) if has_usage(response) else None) or self.usage,
            model_from_raw(response.raw) or self.model,
        )


class Chats:
    """Answers as chat messages."""

    @staticmethod
    def said(response: ChatResponse, pieces: tuple[str, ...] = ()) -> Said | None:
        """Read what was said; None where it cannot be written down."""
        return said_in_chat(response, pieces)

    @staticmethod
    def whole(said: Said, notes: dict[str, Any]) -> ChatResponse:
        """Say it again, sharing nothing with earlier answers."""
        message = ChatMessage(role=said.role, blocks=said.fresh_blocks())
        return ChatResponse(message=message, additional_kwargs=notes)

    @classmethod
    def pieces(cls, said: Said, notes: dict[str, Any]) -> Iterator[ChatResponse]:
        """Say it again as it came."""
        *earlier, last = said.pieces or (said.text,)
        text = ""
        for piece in earlier:
            text += piece
            message = ChatMessage(role=said.role, blocks=[TextBlock(text=text)])
            yield ChatResponse(message=message, delta=piece, additional_kwargs=dict(notes))
        response = cls.whole(said, dict(notes))
        response.delta = last
        yield response


class Completions:
    """Answers as plain text."""

    @staticmethod
    def said(response: CompletionResponse, pieces: tuple[str, ...] = ()) -> Said | None:
        """Read what was said."""
        return said_in_completion(response, pieces)

    @staticmethod
    def whole(said: Said, notes: dict[str, Any]) -> CompletionResponse:
        """Say it again."""
        return CompletionResponse(text=said.text, additional_kwargs=notes)

    @staticmethod
    def pieces(said: Said, notes: dict[str, Any]) -> Iterator[CompletionResponse]:
        """Say it again as it came."""
        text = ""
        for piece in said.pieces or (said.text,):
            text += piece
            yield CompletionResponse(text=text, delta=piece, additional_kwargs=dict(notes))


def said_in_chat(response: ChatResponse, pieces: tuple[str, ...] = ()) -> Said | None:
    """Read an answer; None where it holds what cannot be written down, such as an image."""
    blocks = tuple(response.message.blocks)
    if not blocks or any(type(block) not in _KINDS for block in blocks):
        return None
    said = Said(blocks, pieces, response.message.role)
    if not said.calls_tools and "tool_calls" in response.message.additional_kwargs:
        return None  # an integration that does not speak in blocks
    return Said(blocks, (), said.role) if pieces and "".join(pieces) != said.text else said


def said_in_completion(response: CompletionResponse, pieces: tuple[str, ...] = ()) -> Said | None:
    """Read an answer; None where it is empty."""
    if not response.text:
        return None
    return Said((TextBlock(text=response.text),), pieces if "".join(pieces) == response.text else ())


def said_object(result: object, kind: type[BaseModel]) -> Said | None:
    """Write an object of a schema down; None where reading it back would make another one."""
    if not isinstance(result, kind):
        return None
    try:
        text = result.model_dump_json()
        same = kind.model_validate_json(text) == result
    except ValueError:
        return None
    return Said((TextBlock(text=text),)) if same else None


def write_said(said: Said) -> str:
    """Write an answer as JSON."""
    return json.dumps(
        {
            "v": _VERSION,
            "role": said.role.value,
            "blocks": [block.model_dump(mode="json") for block in said.blocks],
            "pieces": list(said.pieces),
        },
        ensure_ascii=False,
        separators=(",", ":"),
    )


def read_said(payload: str | bytes) -> Said | None:
    """Read what `write_said` wrote; None where it is anything else."""
    try:
        data = json.loads(payload)
        if not isinstance(data, dict) or data.get("v") != _VERSION:
            return None
        blocks = tuple(map(_block, data["blocks"]))
        pieces = tuple(str(piece) for piece in data["pieces"])
        role = MessageRole(data["role"])
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    return Said(blocks, pieces, role) if blocks else None


def _block(item: Mapping[str, Any]) -> ContentBlock:
    """Revive one of three kinds of block; any other name is a KeyError."""
    match item["block_type"]:
        case "text":
            return TextBlock.model_validate(item)
        case "thinking":
            return ThinkingBlock.model_validate(item)
        case "tool_call":
            return ToolCallBlock.model_validate(item)
    raise KeyError(item["block_type"])
