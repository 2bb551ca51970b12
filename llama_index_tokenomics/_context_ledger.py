"""How the bill knows that a call was sent less context than it would have been."""

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

from llama_index.core.base.llms.types import ChatMessage

from tokenomics_core.observability import CostScope, current_scope
from tokenomics_core.protocols import Pricer
from tokenomics_core.types import Outcome, Usage

__all__ = ["AVOIDED_TAG", "COST_TAG", "CutTexts", "Saving", "cut_texts", "saved_by"]

AVOIDED_TAG: Final = "compress_tokens_avoided"
"""The tag of a record that says how many tokens compression took out of its prompt."""

COST_TAG: Final[Mapping[str, str]] = {"compress_role": "embedder"}
"""The tag under which the bill shows what compressing itself costs."""

Saving = Callable[[str, Usage, Decimal | None, Outcome], Decimal | None]
_SHORTEST, _LONGEST, _MOST = 16, 400, 16


@dataclass(frozen=True, slots=True)
class _Cut:
    kept: tuple[str, ...]
    gone: tuple[str, ...]
    tokens: int
    source: bytes
    is_old: bool
    until_s: float
    block: ReferenceType[CostScope] | None

    def belongs_to(self, block: CostScope | None) -> bool:
        return self.block is None or self.block() is block

    def is_in(self, text: str) -> bool:
        return all(one in text for one in self.kept) and not any(one in text for one in self.gone)


class CutTexts:
    """Recognises prompts in which compressed nodes or a compressed history stand.

    An engine turns nodes into text before a model is asked, splits and joins them, and may ask several times.
    So a prompt is taken to hold what was compressed where it has the stretches that were kept and lacks those
    that were left out. Of several compressions of the same text only the last one counts.

    Args:
        most: Compressions remembered; the oldest go first.
        ttl_s: For how many seconds.
        clock: Gives seconds that never run backwards.
    """

    def __init__(
        self, *, most: int = 1_024, ttl_s: float = 600.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._ttl_s, self._clock = ttl_s, clock
        self._cuts: deque[_Cut] = deque(maxlen=most)
        self._lock = threading.Lock()

    def note(
        self,
        kept: Iterable[str],
        gone: Iterable[str],
        tokens: int,
        *,
        source: Iterable[str],
        is_old: bool = False,
    ) -> None:
        """Remember a compression.

        Args:
            kept: Stretches that are sent.
            gone: Stretches that are not.
            tokens: What their leaving spares.
            source: The texts that were compressed.
            is_old: Whether they were sent before, so that a provider may have them in its cache.
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
            self._cuts.appendleft(
                _Cut(stayed, left, tokens, digest.digest(), is_old, self._clock() + self._ttl_s, block)
            )

    def __bool__(self) -> bool:
        return bool(self._cuts)

    def tokens_in(self, text: str) -> tuple[int, int]:
        """Return how many tokens were taken out of what is new in a prompt, and out of earlier turns."""
        now, block = self._clock(), current_scope()
        with self._lock:
            # What another block compressed may stand in this one's prompts without having been cut for them.
            cuts = [cut for cut in self._cuts if cut.until_s >= now and cut.belongs_to(block)]
        found: dict[bytes, _Cut] = {}
        for cut in cuts:
            if cut.source not in found and cut.is_in(text):
                found[cut.source] = cut
        fresh = sum(cut.tokens for cut in found.values() if not cut.is_old)
        return fresh, sum(cut.tokens for cut in found.values() if cut.is_old)


cut_texts = CutTexts()


def saved_by(
    routed: Saving | None, prompt: Any, prices: Pricer | None, model: str | None, provider: str | None
) -> tuple[Saving | None, str, int]:
    """Return what tells the saving of a call, what saved, and the tokens that compression took out of it."""
    fresh, old = cut_texts.tokens_in(_words_of(prompt)) if cut_texts else (0, 0)
    if not fresh + old or prices is None or model is None:
        return routed, "route", fresh + old
    bill = _Bill(prices, model, provider, fresh, old)
    if routed is None:
        return bill.more, "compress", fresh + old

    def both(key: str, usage: Usage, usd: Decimal | None, outcome: Outcome) -> Decimal | None:
        ways = (routed, bill.more)
        known = [saved for way in ways if (saved := way(key, usage, usd, outcome)) is not None]
        return sum(known, Decimal(0)) if known else None

    return both, "route+compress", fresh + old


@dataclass(frozen=True, slots=True)
class _Bill:
    prices: Pricer
    model: str
    provider: str | None
    fresh: int
    old: int

    def more(self, _: str, usage: Usage, usd: Decimal | None, __: Outcome) -> Decimal | None:
        """Return what the call would have cost more with the tokens that were taken out.

        Those of earlier turns would have been read from the provider's cache where this call read from it.
        """
        if usage.input_tokens is None or usd is None:
            return None
        read = usage.cache_read_tokens
        added = replace(
            usage,
            input_tokens=usage.input_tokens + self.fresh + self.old,
            cache_read_tokens=read + self.old if read else read,
        )
        other = self.prices.cost(added, self.model, self.provider, None).total_usd
        return None if other is None else other - usd


def _words_of(prompt: Any) -> str:
    if isinstance(prompt, str):
        return prompt
    messages: Sequence[Any] = prompt if isinstance(prompt, Sequence) else ()
    return "\n".join(message.content or "" for message in messages if isinstance(message, ChatMessage))


def _longest(texts: Iterable[str]) -> tuple[str, ...]:
    told = {text.strip()[:_LONGEST].strip() for text in texts}
    return tuple(
        sorted((one for one in told if len(one) >= _SHORTEST), key=lambda one: (-len(one), one))[:_MOST]
    )
