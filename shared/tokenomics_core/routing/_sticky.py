"""One decision per human ask, and no switch of model that does not earn back the warm cache it leaves."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Generic, TypeVar

from tokenomics_core.errors import ConfigurationError
from tokenomics_core.routing._protocols import Candidate
from tokenomics_core.types import Usage

__all__ = ["Recent", "Stickiness", "WarmCache", "stay_reason"]

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stickiness:
    """When to keep to the tier of a conversation.

    Attributes:
        payback_calls: Within how many calls a switch to a cheaper tier has to earn back what it loses.
            1 by default: nobody knows how long a conversation goes on.
        cache_ttl_s: How long a provider keeps a prompt cache that is not read; 300 by default, the usual
            time.
        entries: How many asks and conversations are remembered.
    """

    payback_calls: float = 1.0
    cache_ttl_s: float = 300.0
    entries: int = 10_000

    def __post_init__(self) -> None:
        for name in ("payback_calls", "cache_ttl_s", "entries"):
            if not getattr(self, name) > 0:
                raise ConfigurationError(f"{name} must be above 0, not {getattr(self, name)!r}")


class Recent(Generic[_T]):
    """The most recent values by key, from any thread; the oldest make room."""

    def __init__(self, entries: int) -> None:
        self._entries = entries
        self._lock = threading.Lock()
        self._values: OrderedDict[object, _T] = OrderedDict()

    def get(self, key: object) -> _T | None:
        """Return the value of a key and keep it longer."""
        with self._lock:
            value = self._values.get(key)
            if value is not None:
                self._values.move_to_end(key)
            return value

    def put(self, key: object, value: _T) -> None:
        """Keep a value."""
        with self._lock:
            self._values[key] = value
            self._values.move_to_end(key)
            if len(self._values) > self._entries:
                self._values.popitem(last=False)

    def __len__(self) -> int:
        return len(self._values)


class WarmCache:
    """Remembers, by conversation, which tier's prompt cache is warm and how much it holds."""

    def __init__(self, stickiness: Stickiness, clock: Callable[[], float]) -> None:
        self._ttl_s, self._clock = stickiness.cache_ttl_s, clock
        self._warm: Recent[tuple[str, int, float]] = Recent(stickiness.entries)

    def reported(self, conversation: str, tier: str, usage: Usage) -> None:
        """Remember what a call left in the cache, as far as the provider reported it."""
        tokens = (usage.cache_read_tokens or 0) + (usage.cache_write_tokens or 0)
        self._warm.put(conversation, (tier, tokens, self._clock()))

    def of(self, conversation: str) -> tuple[str, int] | None:
        """Return the tier of a conversation and how many tokens its cache still holds."""
        known = self._warm.get(conversation)
        if known is None:
            return None
        tier, tokens, at = known
        return tier, tokens if self._clock() - at < self._ttl_s else 0


def stay_reason(
    current: Candidate, chosen: Candidate, chosen_warm_usd: Decimal | None, payback_calls: float
) -> str | None:
    """Say why a conversation should not leave its tier for a cheaper one; None if it may.

    Both costs are those of the next call: in the current tier with its cache, in the other without. Later
    calls find a warm cache in either tier, so the other earns `current - chosen_warm` with each.

    Args:
        current: The tier with the warm cache.
        chosen: The cheaper tier.
        chosen_warm_usd: What the call would cost in the other tier if its cache were as warm.
        payback_calls: Within how many calls the switch has to pay.
    """
    if current.cost_usd is None or chosen.cost_usd is None:
        return "a switch cannot be priced"
    later = Decimal(repr(payback_calls - 1)) if payback_calls > 1 else Decimal(0)
    gain = current.cost_usd - chosen.cost_usd
    if chosen_warm_usd is not None:
        gain += later * (current.cost_usd - chosen_warm_usd)
    if gain > 0:
        return None
    return f"leaving its warm cache would cost ${-gain:.6f} more than it saves"
