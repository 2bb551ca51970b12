"""Leave out of a request what only another provider understands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from langchain_core.messages import BaseMessage

__all__ = ["fitted", "fitted_settings", "takes_marks"]

_CACHE_CONTROL: Final = "cache_control"
_CACHE_KEY: Final = "prompt_cache_key"


def takes_marks(provider: str | None, kind: str) -> bool:
    """Whether a model understands `cache_control`, as those of Anthropic do wherever they are hosted."""
    return "anthropic" in f"{provider} {kind}".lower() or provider == "amazon_bedrock"


def fitted(messages: Sequence[BaseMessage]) -> list[BaseMessage]:
    """Return the messages without marks for Anthropic's prompt cache; those without any stay as they are."""
    return [_unmarked(message) for message in messages]


def fitted_settings(settings: Mapping[str, Any], *, anthropic: bool) -> dict[str, Any]:
    """Return settings of a call without those of the other provider's prompt cache."""
    foreign = _CACHE_KEY if anthropic else _CACHE_CONTROL
    kept = {name: value for name, value in settings.items() if name != foreign}
    tools = kept.get("tools")
    if not anthropic and isinstance(tools, list):
        kept["tools"] = [_without(tool) if isinstance(tool, Mapping) else tool for tool in tools]
    return kept


def _unmarked(message: BaseMessage) -> BaseMessage:
    content = message.content
    if not isinstance(content, list) or not any(
        isinstance(block, Mapping) and _CACHE_CONTROL in block for block in content
    ):
        return message
    plain = [_without(block) if isinstance(block, Mapping) else block for block in content]
    return message.model_copy(update={"content": plain})


def _without(block: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in block.items() if name != _CACHE_CONTROL}
