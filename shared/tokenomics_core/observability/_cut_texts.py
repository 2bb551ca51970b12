"""Recognise prompts in which compressed text stands, so that the bill knows what they were spared."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from decimal import Decimal
from hashlib import blake2b
from weakref import ReferenceType, ref

from tokenomics_core.observability._scope import CostScope, current_scope
from tokenomics_core.protocols import Pricer
from tokenomics_core.types import Usage

__all__ = ["CutTexts", "repriced_difference", "with_more_input"]

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
    """Recognises prompts in which texts stand that were compressed.

    A framework turns documents, nodes and turns into text before a model is asked, splits and joins them, so
    nothing of them but their words arrives there. A prompt is taken to hold a compression's result where it
    has the stretches that were kept and lacks those that were left out. Of several compressions of the same
    texts only the last counts, and one made in a `track_cost` block counts in that block only.

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

    def tokens_in(self, text: str) -> int:
        """Return how many tokens compression took out of a prompt."""
        return sum(self.new_and_old_in(text))

    def new_and_old_in(self, text: str) -> tuple[int, int]:
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


def with_more_input(usage: Usage, fresh: int, old: int) -> Usage | None:
    """Return the usage of a call with the tokens that were taken out; None where its input is not known.

    Those of earlier turns would have been read from the provider's cache where the call read from it.
    """
    if usage.input_tokens is None:
        return None
    read = usage.cache_read_tokens
    return replace(
        usage,
        input_tokens=usage.input_tokens + fresh + old,
        cache_read_tokens=read + old if read else read,
    )


def repriced_difference(
    other: Usage | None, usd: Decimal | None, prices: Pricer, model: str, provider: str | None
) -> Decimal | None:
    """Return what a call would have cost more with other usage; None where either cost is not known."""
    if other is None or usd is None:
        return None
    cost = prices.cost(other, model, provider, None).total_usd
    return None if cost is None else cost - usd


def _longest(texts: Iterable[str]) -> tuple[str, ...]:
    told = {text.strip()[:_LONGEST].strip() for text in texts}
    return tuple(
        sorted((one for one in told if len(one) >= _SHORTEST), key=lambda one: (-len(one), one))[:_MOST]
    )
