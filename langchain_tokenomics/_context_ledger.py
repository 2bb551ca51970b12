"""How the bill knows that a call was sent less context than it would have been, or read a cached prefix."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Final

from langchain_core.messages import AIMessage, BaseMessage

from tokenomics_core.observability import CutTexts, repriced_difference, with_more_input
from tokenomics_core.observability.savings import CombinedSaving
from tokenomics_core.protocols import Pricer
from tokenomics_core.types import Outcome, Usage

__all__ = ["MARK", "PREFIX_KEY", "cut_documents", "mark_of", "saved_by", "uncached"]

MARK: Final = "tokenomics_compression"
"""The key in a message's `response_metadata` that says how many tokens it had and has."""

PREFIX_KEY: Final = "tokenomics_prompt_cache"
"""The key in a run's metadata that says that the package chose what its provider caches."""

Saving = Callable[[str, Usage, Decimal | None, Outcome], Decimal | None]


def mark_of(tokens_before: int, tokens_after: int, **more: Any) -> dict[str, Any]:
    """Describe what compression did to a message, for its `response_metadata`."""
    return {"tokens_before": tokens_before, "tokens_after": tokens_after, **more}


cut_documents = CutTexts()


def saved_by(
    routed: Saving | None,
    prompt: Any,
    metadata: Mapping[str, Any],
    prices: Pricer | None,
    model: str | None,
    provider: str | None,
) -> tuple[Saving | None, str, int]:
    """Return what tells the saving of a call, what saved, and the tokens that compression took out of it."""
    fresh, old = _avoided(prompt)
    ways: list[tuple[str, Saving]] = [] if routed is None else [("route", routed)]
    if model is not None and prices is not None:
        bill = _Bill(prices, model, provider)
        if fresh + old > 0:
            ways.append(("compress", lambda _, usage, usd, __: bill.more(usage, usd, fresh, old)))
        if metadata.get(PREFIX_KEY):
            ways.append(("prompt_cache", lambda _, usage, usd, __: bill.less_cached(usage, usd)))
    if len(ways) <= 1:
        return (ways[0][1], ways[0][0], fresh + old) if ways else (None, "route", fresh + old)
    combined = CombinedSaving(ways)
    return combined, combined.name, fresh + old


@dataclass(frozen=True, slots=True)
class _Bill:
    """What a call would have cost with other usage."""

    prices: Pricer
    model: str
    provider: str | None

    def more(self, usage: Usage, usd: Decimal | None, fresh: int, old: int) -> Decimal | None:
        """Return what the call would have cost more with the tokens that were taken out."""
        return self._difference(with_more_input(usage, fresh, old), usd)

    def less_cached(self, usage: Usage, usd: Decimal | None) -> Decimal | None:
        """Return what the call would have cost more without the provider's cache; below 0 for mere writes."""
        return self._difference(uncached(usage), usd)

    def _difference(self, usage: Usage | None, usd: Decimal | None) -> Decimal | None:
        return repriced_difference(usage, usd, self.prices, self.model, self.provider)


def uncached(usage: Usage) -> Usage:
    """Return the usage of the same call where the provider caches nothing."""
    return replace(
        usage,
        cache_read_tokens=None,
        cache_write_tokens=None,
        cache_write_5m_tokens=None,
        cache_write_1h_tokens=None,
        cache_read_audio_tokens=None,
    )


def _avoided(prompt: Any) -> tuple[int, int]:
    """Return the tokens taken out of what is new in a prompt, and out of earlier turns."""
    if isinstance(prompt, str):
        return (cut_documents.tokens_in(prompt) if cut_documents else 0), 0
    messages = [one for one in prompt if isinstance(one, BaseMessage)] if isinstance(prompt, list) else []
    edge = next((at for at in range(len(messages), 0, -1) if isinstance(messages[at - 1], AIMessage)), 0)
    fresh, old = _marked(messages[edge:]), _marked(messages[:edge])
    if not cut_documents:
        return fresh, old
    texts = [message.text for message in messages]
    cut_fresh, _ = cut_documents.new_and_old_in("\n".join(texts[edge:]))
    # What was chosen of a whole conversation stands on both sides of the edge.
    return fresh + cut_fresh, old + max(cut_documents.tokens_in("\n".join(texts)) - cut_fresh, 0)


def _marked(messages: Sequence[BaseMessage]) -> int:
    return sum(
        _tokens(message.response_metadata[MARK]) for message in messages if MARK in message.response_metadata
    )


def _tokens(mark: Any) -> int:
    if not isinstance(mark, Mapping):
        return 0
    before, after = mark.get("tokens_before"), mark.get("tokens_after")
    return max(before - after, 0) if isinstance(before, int) and isinstance(after, int) else 0
