"""Read from LlamaIndex's objects what a bill needs: usage, model, cost, text, attribution."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    CompletionResponse,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
)

from tokenomics_core.types import Attribution

__all__ = [
    "Response",
    "attribution_of",
    "content_of",
    "delta_of",
    "has_usage",
    "text_of",
]

Response = ChatResponse | CompletionResponse

_USER = ("user_id", "user")
_CONVERSATION = ("conversation_id", "conversation", "thread_id", "session_id")
_TAGS = ("user_tier",)


def attribution_of(tags: Mapping[str, Any]) -> Attribution:
    """Read who a call is for from LlamaIndex's instrument tags.

    Known keys: `user_id` or `user`, `feature`, `project`, `conversation_id` (or `thread_id`, `session_id`),
    `run`, and the tag `user_tier`. All others are left alone: workflows put prompt text there.
    """
    if not tags:
        return Attribution()
    return Attribution(
        user=_first(tags, _USER),
        feature=_first(tags, ("feature",)),
        project=_first(tags, ("project",)),
        conversation=_first(tags, _CONVERSATION),
        run=_first(tags, ("run",)),
        tags={key: str(tags[key]) for key in _TAGS if tags.get(key) is not None},
    )


def has_usage(response: Response) -> bool:
    """Whether a piece of a stream carries usage; a cheap look, made for every piece."""
    raw, told = response.raw, response.additional_kwargs
    if told and ("usage" in told or "prompt_tokens" in told):
        return True
    if type(raw) is dict:
        return bool(raw.get("usage") or raw.get("usage_metadata"))
    return bool(getattr(raw, "usage", None))


def delta_of(response: Response) -> str:
    """Return what a piece of a stream adds, thinking included."""
    said = response.delta or ""
    for told in (response.additional_kwargs, _message_kwargs(response)):
        thought = told.get("thinking_delta")
        if isinstance(thought, str):
            return said + thought
    return said


def text_of(response: Response | None) -> str:
    """Return an answer as one text: what was thought, said and asked of tools."""
    if response is None:
        return ""
    if isinstance(response, CompletionResponse):
        return response.text
    return "\n".join(part for block in response.message.blocks if (part := _block_text(block)))


def content_of(prompt: Any, answer: str) -> str:
    """Return prompt and answer as text, for owners who ask to keep them."""
    asked = "\n".join(map(_message_text, prompt)) if isinstance(prompt, list) else str(prompt)
    return f"{asked}\nassistant: {answer}"


def _block_text(block: object) -> str:
    if isinstance(block, TextBlock):
        return block.text
    if isinstance(block, ThinkingBlock):
        return block.content or ""
    if isinstance(block, ToolCallBlock):
        return f"{block.tool_name} {block.tool_kwargs}"
    return ""


def _message_text(message: object) -> str:
    if not isinstance(message, ChatMessage):
        return str(message)
    return f"{message.role.value}: " + "\n".join(filter(None, map(_block_text, message.blocks)))


def _message_kwargs(response: Response) -> Mapping[str, Any]:
    return response.message.additional_kwargs if isinstance(response, ChatResponse) else {}


def _first(tags: Mapping[str, Any], keys: tuple[str, ...]) -> str | None:
    for key in keys:
        value = tags.get(key)
        if value is not None:
            return str(value)
    return None
