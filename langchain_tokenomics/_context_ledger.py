"""How the bill knows that a call was sent less context than it would have been, or read a cached prefix."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from hashlib import blake2b
from typing import Any, Final
from weakref import ReferenceType, ref

from langchain_core.messages import AIMessage, BaseMessage

from tokenomics_core.observability import CostScope, current_scope
from tokenomics_core.protocols import Pricer
from tokenomics_core.types import Outcome, Usage

__all__ = ["MARK", "PREFIX_KEY", "CutDocuments", "cut_documents", "mark_of", "saved_by", "uncached"]

MARK: Final = "tokenomics_compression"
"""The key in a message's `response_metadata` that says how many tokens it had and has."""

PREFIX_KEY: Final = "tokenomics_prompt_cache"
"""The key in a run's metadata that says that the package chose what its provider caches."""

Saving = Callable[[str, Usage, Decimal | None, Outcome], Decimal | None]
_SHORTEST, _LONGEST, _MOST = 16, 400, 16


def mark_of(tokens_before: int, tokens_after: int, **more: Any) -> dict[str, Any]:
    """Describe what compression did to a message, for its `response_metadata`."""
    return {"tokens_before": tokens_before, "tokens_after": tokens_after, **more}


@dataclass(frozen=True, slots=True)
class _Cut:
    kept: tuple[str, ...]
    gone: tuple[str, ...]
    tokens: int
    source: bytes
    until_s: float
    block: ReferenceType[CostScope] | None

    def belongs_to(self, block: CostScope | None) -> bool:
        return self.block is None or self.block() is block

    def is_in(self, text: str) -> bool:
        return all(one in text for one in self.kept) and not any(one in text for one in self.gone)


class CutDocuments:
    """Recognises prompts in which documents stand that were compressed.

    A chain turns documents into text before a model is asked, so nothing of a document but its words arrives
    there. A prompt is taken to hold a compression's result where it has the stretches that were kept and
    lacks those that were left out. Of several compressions of the same documents only the last counts.

    Args:
        most: Compressions remembered; the oldest go first.
        ttl_s: For how many seconds.
        clock: Gives seconds that never run backwards.
    """

    def __init__(
        self, *, most: int = 256, ttl_s: float = 600.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._ttl_s, self._clock = ttl_s, clock
        self._cuts: deque[_Cut] = deque(maxlen=most)
        self._lock = threading.Lock()

    def note(self, kept: Iterable[str], gone: Iterable[str], tokens: int, *, source: Iterable[str]) -> None:
        """Remember a compression.

        Args:
            kept: Stretches that are sent.
            gone: Stretches that are not.
            tokens: What their leaving spares.
            source: The texts that were compressed.
        """
        stayed = _longest(kept)
        left = tuple(one for one in _longest(gone) if not any(one in other for other in stayed))
        if tokens <= 0 or not stayed or not left:
            return
        digest = blake2b(digest_size=16)
        for text in source:
            digest.update(f"{len(text)}:{text}".encode("utf-8", "surrogatepass"))
        scope = current_scope()
        block = None if scope is None else ref(scope)
        with self._lock:
            cut = _Cut(stayed, left, tokens, digest.digest(), self._clock() + self._ttl_s, block)
            self._cuts.appendleft(cut)

    def __bool__(self) -> bool:
        return bool(self._cuts)

    def tokens_in(self, text: str) -> int:
        """Return how many tokens compression took out of a prompt."""
        now, block = self._clock(), current_scope()
        with self._lock:
            # What another block compressed may stand in this one's prompts without having been cut for them.
            cuts = [cut for cut in self._cuts if cut.until_s >= now and cut.belongs_to(block)]
        found: dict[bytes, int] = {}
        for cut in cuts:
            if cut.source not in found and cut.is_in(text):
                found[cut.source] = cut.tokens
        return sum(found.values())


cut_documents = CutDocuments()


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
    return _sum([way for _, way in ways]), "+".join(name for name, _ in ways), fresh + old


@dataclass(frozen=True, slots=True)
class _Bill:
    """What a call would have cost with other usage."""

    prices: Pricer
    model: str
    provider: str | None

    def more(self, usage: Usage, usd: Decimal | None, fresh: int, old: int) -> Decimal | None:
        """Return what the call would have cost more with the tokens that were taken out.

        Those of earlier turns would have been read from the provider's cache where this call read from it.
        """
        if usage.input_tokens is None:
            return None
        read = usage.cache_read_tokens
        added = replace(
            usage,
            input_tokens=usage.input_tokens + fresh + old,
            cache_read_tokens=read + old if read else read,
        )
        return self._difference(added, usd)

    def less_cached(self, usage: Usage, usd: Decimal | None) -> Decimal | None:
        """Return what the call would have cost more without the provider's cache; below 0 for mere writes."""
        return self._difference(uncached(usage), usd)

    def _difference(self, usage: Usage, usd: Decimal | None) -> Decimal | None:
        other = self.prices.cost(usage, self.model, self.provider, None).total_usd
        return None if other is None or usd is None else other - usd


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


def _sum(ways: Sequence[Saving]) -> Saving:
    def total(key: str, usage: Usage, cost_usd: Decimal | None, outcome: Outcome) -> Decimal | None:
        known = [usd for way in ways if (usd := way(key, usage, cost_usd, outcome)) is not None]
        return sum(known, Decimal(0)) if known else None

    return total


def _avoided(prompt: Any) -> tuple[int, int]:
    """Return the tokens taken out of what is new in a prompt, and out of earlier turns."""
    if isinstance(prompt, str):
        return (cut_documents.tokens_in(prompt) if cut_documents else 0), 0
    messages = [one for one in prompt if isinstance(one, BaseMessage)] if isinstance(prompt, list) else []
    edge = next((at for at in range(len(messages), 0, -1) if isinstance(messages[at - 1], AIMessage)), 0)
    return _taken(messages[edge:]), _taken(messages[:edge])


def _taken(messages: Sequence[BaseMessage]) -> int:
    marked = sum(
        _tokens(message.response_metadata[MARK]) for message in messages if MARK in message.response_metadata
    )
    if not cut_documents:
        return marked
    return marked + cut_documents.tokens_in("\n".join(message.text for message in messages))


def _tokens(mark: Any) -> int:
    if not isinstance(mark, Mapping):
        return 0
    before, after = mark.get("tokens_before"), mark.get("tokens_after")
    return max(before - after, 0) if isinstance(before, int) and isinstance(after, int) else 0


def _longest(texts: Iterable[str]) -> tuple[str, ...]:
    told = {text.strip()[:_LONGEST].strip() for text in texts}
    return tuple(
        sorted((one for one in told if len(one) >= _SHORTEST), key=lambda one: (-len(one), one))[:_MOST]
    )
