"""Write LlamaIndex's messages as OpenAI's interface takes them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from llama_index.core.base.llms.types import (
    CachePoint,
    ChatMessage,
    ImageBlock,
    MessageRole,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
)

__all__ = ["as_mapping"]

_ROLES = {MessageRole.CHATBOT: "assistant", MessageRole.MODEL: "assistant"}


def as_mapping(message: ChatMessage) -> dict[str, Any]:
    """Return a message as OpenAI's interface takes it; media are named, not included."""
    texts = [text for block in message.blocks if (text := _said(block))]
    media = [part for block in message.blocks if (part := _medium(block)) is not None]
    said = "\n".join(texts)
    found: dict[str, Any] = {
        "role": _ROLES.get(message.role, message.role.value),
        "content": [{"type": "text", "text": said}, *media] if media else said,
    }
    if calls := _calls(message):
        found["tool_calls"] = calls
    told = message.additional_kwargs
    if message.role in {MessageRole.TOOL, MessageRole.FUNCTION} and told.get("tool_call_id") is not None:
        found["tool_call_id"] = str(told["tool_call_id"])
    if isinstance(told.get("name"), str):
        found["name"] = told["name"]
    return found


def _said(block: object) -> str:
    if isinstance(block, TextBlock):
        return block.text
    return (block.content or "") if isinstance(block, ThinkingBlock) else ""


def _medium(block: object) -> dict[str, Any] | None:
    if isinstance(block, (TextBlock, ThinkingBlock, ToolCallBlock, CachePoint)):
        return None
    if isinstance(block, ImageBlock):
        return {"type": "image_url", "image_url": {"url": str(block.url or "data:,")}}
    return {"type": "text", "text": f"[{type(block).__name__}]"}


def _calls(message: ChatMessage) -> list[dict[str, Any]]:
    blocks = [block for block in message.blocks if isinstance(block, ToolCallBlock)]
    if blocks:
        return [_call(block.tool_call_id, block.tool_name, block.tool_kwargs) for block in blocks]
    told = message.additional_kwargs.get("tool_calls")
    return [_told_call(call) for call in told] if isinstance(told, list) else []


def _told_call(call: Any) -> dict[str, Any]:
    """Read a call as clients leave it with a message: their own object, or a mapping."""
    function = _of(call, "function") or call
    arguments = _of(function, "arguments")
    return _call(_of(call, "id"), _of(function, "name"), "" if arguments is None else arguments)


def _call(name: object, tool: object, arguments: object) -> dict[str, Any]:
    said = arguments if isinstance(arguments, str) else json.dumps(arguments, default=str)
    return {
        "id": "" if name is None else str(name),
        "type": "function",
        "function": {"name": "" if tool is None else str(tool), "arguments": said},
    }


def _of(owner: Any, name: str) -> Any:
    return owner.get(name) if isinstance(owner, Mapping) else getattr(owner, name, None)
